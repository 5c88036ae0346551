"""Results that are kept: given again while nothing has changed, and never after."""
import os
import unittest

from server import SAMPLES, ServerTest

BASE = ("query", "results", "total_results")


def shown(reply):
    return {key: reply.json()[key] for key in BASE}


class Cache(ServerTest):
    settings = {"RATE_LIMIT_PER_MINUTE": "0"}

    @classmethod
    def start(cls):
        os.makedirs(os.path.join(cls.data, "root"), exist_ok=True)
        super().start()
        cls.token = cls.sign_in()

    def put(self, name, text):
        path = os.path.join(self.data, "root", name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        reply = self.upload([(name, text.encode())])
        self.assertEqual(reply.status, 201, reply.body)
        return reply.json()["document_id"]

    def search(self, query, **more):
        reply = self.ask("POST", "/rag/search", {"query": query, **more})
        self.assertEqual(reply.status, 200, reply.body)
        return reply

    def samples(self):
        text = self.ask("GET", "/metrics/prometheus").body.decode()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in text.splitlines() if line and not line.startswith("#")}

    def test_same_question_again(self):
        self.put("tides.txt", "The tide tables of the harbour are printed each spring in Oldport.")
        first = self.search("When are the tide tables printed?")
        again = self.search("When are the tide tables printed?")
        self.assertFalse(first.json()["cached"])
        self.assertTrue(again.json()["cached"])
        self.assertEqual(shown(first), shown(again))
        self.assertGreater(first.json()["total_results"], 0)

    def test_each_field_is_told_apart(self):
        self.put("lamps.txt", "The lamps of the pier are lit with whale oil until midnight.")
        self.search("lamps of the pier")
        for more in ({"top_k": 1}, {"mode": "words"}, {"mode": "vectors"}, {"include_content": False},
                     {"relevance_threshold": 0.99}, {"distinct_documents": True},
                     {"filters": {"file_name": "lamps.txt"}}, {"filters": {"file_name": "none.txt"}}):
            with self.subTest(more):
                fresh = self.search("lamps of the pier", **more)
                # Without the text it is the same passages, which are kept.
                self.assertEqual(fresh.json()["cached"], "include_content" in more)
                kept = self.search("lamps of the pier", **more)
                self.assertTrue(kept.json()["cached"])
                self.assertEqual(shown(fresh), shown(kept))
        self.assertEqual(self.search("lamps of the pier", filters={"file_name": "none.txt"})
                         .json()["results"], [])

    def test_a_new_document_is_seen_at_once(self):
        self.search("who repairs the weather vane")
        self.assertTrue(self.search("who repairs the weather vane").json()["cached"])
        document = self.put("vane.txt", "The weather vane is repaired by Aldous Finch, the smith.")
        found = self.search("who repairs the weather vane").json()
        self.assertFalse(found["cached"])
        self.assertIn(document, [hit["document_id"] for hit in found["results"]])

    def test_a_forgotten_document_is_gone_at_once(self):
        document = self.put("bell.txt", "The bell of the observatory rings zyxglop at noon.")
        self.search("bell of the observatory")
        self.assertIn(b"zyxglop", self.search("bell of the observatory").body)
        gone = self.ask("DELETE", "/rag/document", {"document_id": document}, token=self.token)
        self.assertEqual(gone.status, 200, gone.body)
        self.assertNotIn(b"zyxglop", self.search("bell of the observatory").body)

    def test_counted(self):
        before = self.samples()
        self.search("a question that nobody has asked before")
        self.search("a question that nobody has asked before")
        after = self.samples()

        def more(name):
            return after.get(name, 0) - before.get(name, 0)

        self.assertEqual(more('tars_cache_operations_total{operation="get",result="hit"}'), 1)
        self.assertGreaterEqual(more('tars_cache_operations_total{operation="get",result="miss"}'), 1)
        self.assertGreaterEqual(more('tars_cache_operations_total{operation="set",result="success"}'), 1)
        self.assertGreater(after["tars_cache_hit_rate"], 0)
        self.assertGreater(after["tars_cache_bytes"], 0)

    def test_bad_requests_are_refused_as_ever(self):
        for body in ({}, {"query": 1}, {"query": "x", "top_k": 0}, {"query": "x", "mode": "other"}):
            with self.subTest(body):
                self.assertEqual(self.ask("POST", "/rag/search", body).status, 422)


class NoCache(ServerTest):
    settings = {"CACHE_MEMORY_MB": "0"}

    def test_nothing_is_kept(self):
        for _ in range(2):
            reply = self.ask("POST", "/rag/search", {"query": "anything"})
            self.assertEqual(reply.status, 200)
            self.assertFalse(reply.json()["cached"])


if __name__ == "__main__":
    unittest.main()
