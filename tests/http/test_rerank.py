"""Reranking: by a server of either interface, by a cross-encoder of the program itself, and by nobody; what a
client sees of it, what is kept of it, and that one that fails costs nothing but itself."""
import json
import os
import sys
import tempfile
import time
import unittest

from server import ROOT, ServerTest, eventually, run
from test_cache_redis import OPEN, Asking, RedisTest

sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from cross_encoder_folder import write as write_folder  # noqa: E402
from ports import free_port  # noqa: E402
from reranker_server import Reranker  # noqa: E402

# The best by words and meaning is not the one with gold in it.
FILES = [("one.txt", "The lighthouse keeper lights the lamp of the lighthouse every evening."),
         ("two.txt", "A lighthouse stands on the cape, its keeper sleeps by day."),
         ("three.txt", "Keeper of the lighthouse: a golden gold coin is his pay.")]
QUERY = "what does the lighthouse keeper light"


class Library(Asking, ServerTest):
    more_settings = {}

    @classmethod
    def start(cls):
        cls.settings = {**OPEN, **cls.more_settings}
        super().start()
        os.makedirs(os.path.join(cls.data, "root"), exist_ok=True)
        cls.token = cls.sign_in()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name, text in FILES:
            cls.put(name, text)

    def names(self, body):
        return [hit["metadata"]["file_name"] for hit in body["results"]]

    def stage_count(self, stage):
        return self.samples().get(f'rag_stage_duration_seconds_count{{stage="{stage}"}}', 0)


class RemoteTest(Library):
    api_settings = {}
    path = "/rerank"

    @classmethod
    def setUpClass(cls):
        cls.reranker = Reranker()
        cls.more_settings = {"RERANK_URL": cls.reranker.url + cls.path, "RERANK_WEIGHT": "0.9",
                             "RERANK_BUDGET_MS": "20000", **cls.api_settings}
        try:
            super().setUpClass()
        except BaseException:
            cls.reranker.stop()
            raise

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            cls.reranker.stop()

    def setUp(self):
        self.reranker.set_mode("")


class Remote:
    """What holds for both interfaces."""

    def test_the_order_is_the_reranker_s(self):
        plain = self.search(QUERY, rerank=False)
        self.assertNotEqual(self.names(plain)[0], "three.txt")
        self.assertTrue(all(hit["metadata"]["reranked"] is False for hit in plain["results"]))
        self.assertTrue(all(hit["metadata"]["cross_encoder_score"] is None for hit in plain["results"]))
        body = self.search(QUERY)
        self.assertEqual(self.names(body)[0], "three.txt")
        self.assertNotIn("degraded", body)
        about = [hit["metadata"] for hit in body["results"]]
        self.assertTrue(all(entry["reranked"] for entry in about))
        self.assertGreater(about[0]["cross_encoder_score"], 0.6)
        for entry, before in ((e, p["metadata"]) for e in about for p in plain["results"]
                              if e["file_name"] == p["metadata"]["file_name"]):
            self.assertEqual(entry["original_score"], before["original_score"])

    def test_an_answer_says_so(self):
        before = self.samples()
        stages = self.stage_count("rerank")
        reply = self.ask("POST", "/rag/query", {"query": QUERY + " then", "relevance_threshold": 0}).json()
        self.assertEqual(reply["sources"][0]["file_name"], "three.txt")
        self.assertTrue(reply["sources"][0]["metadata"]["reranked"])
        self.assertGreater(reply["sources"][0]["metadata"]["cross_encoder_score"], 0.6)
        self.assertIsNone(reply["degraded"])
        name = "tars_rag_reranking_usage_total"
        eventually(self, lambda: self.samples()[name] == before[name] + 1)
        self.assertEqual(self.stage_count("rerank"), stages + 1)
        reply = self.ask("POST", "/rag/query", {"query": QUERY + " then", "relevance_threshold": 0,
                                                "rerank": False}).json()
        self.assertFalse(reply["sources"][0]["metadata"]["reranked"])
        self.assertEqual(self.samples()[name], before[name] + 1)
        eventually(self, lambda: self.ask("GET", "/analytics/query-stats").json()["reranking_usage_count"] >= 1)

    def test_only_what_was_asked_is_sent(self):
        self.search(QUERY + " now")
        path, body = self.reranker.seen[-1]
        self.assertEqual(path, self.path)
        self.assertEqual(body["query"], QUERY + " now")
        self.assertEqual(set(body), self.fields)
        self.assertEqual(sorted(body["texts" if "texts" in body else "documents"]),
                         sorted(text for _, text in FILES))

    def test_status_names_it(self):
        self.assertEqual(self.ask("GET", "/rag/stats").json()["reranker"], self.model)
        self.assertNotIn("reranker", self.ask("GET", "/ready").json()["degraded"])

    def test_the_same_again_is_kept(self):
        self.search(QUERY + " twice")
        asked = len(self.reranker.seen)
        body = self.search(QUERY + " twice")
        self.assertTrue(body["cached"])
        self.assertEqual(self.names(body)[0], "three.txt")
        self.assertFalse(self.search(QUERY + " twice", rerank=False)["cached"])
        self.assertEqual(len(self.reranker.seen), asked)


class Cohere(Remote, RemoteTest):
    path = "/v1/rerank"
    api_settings = {"RERANK_API": "cohere", "RERANK_API_KEY": "secret-key-1", "RERANK_MODEL": "rerank-test"}
    fields = {"model", "query", "documents", "top_n"}
    model = "rerank-test"

    def test_the_key_is_shown_to_nobody_else(self):
        self.search(QUERY + " please")
        self.assertEqual(self.reranker.heads[-1]["authorization"], "Bearer secret-key-1")
        told = run("config", "--json", data=self.data, RERANK_API_KEY="secret-key-1").stdout
        self.assertNotIn("secret-key-1", told)


class Tei(Remote, RemoteTest):
    api_settings = {"RERANK_API": "tei"}
    fields = {"query", "texts", "truncate"}

    @property
    def model(self):
        return self.reranker.url + "/rerank"


class FoundOut(RemoteTest):
    """RERANK_API is auto: the server says 422 to what it does not speak, once."""

    def test_the_interface_is_found_out(self):
        for extra in (" a", " b"):
            self.assertEqual(self.names(self.search(QUERY + extra))[0], "three.txt")
        kinds = ["documents" in body for _, body in self.reranker.seen]
        self.assertEqual(kinds, [True, False, False])


class Failing(RemoteTest):
    """A reranker that fails costs the reranking and is told; the search is what it was."""
    api_settings = {"RERANK_API": "tei", "RERANK_BUDGET_MS": "400"}
    numbers = iter(range(1000000))

    def new_query(self):
        """None that is kept."""
        return f"{QUERY} {next(self.numbers)}"

    def fails(self, mode):
        plain = self.search(QUERY, rerank=False)
        self.reranker.set_mode(mode)
        start = time.monotonic()
        body = self.search(f"{QUERY} {mode}")
        took = time.monotonic() - start
        self.assertEqual(body["degraded"], "reranker")
        self.assertEqual(len(body["results"]), len(plain["results"]))
        self.assertTrue(all(not hit["metadata"]["reranked"] for hit in body["results"]))
        self.assertFalse(self.search(f"{QUERY} {mode}")["cached"], "it is not kept: the next one may be better")
        return took

    def recovers(self):
        """It is asked again by itself."""
        self.reranker.set_mode("")
        eventually(self, lambda: "degraded" not in self.search(self.new_query()))
        eventually(self, lambda: "reranker" not in self.ask("GET", "/ready").json()["degraded"])

    def test_garbage(self):
        self.fails("garbage")
        self.recovers()

    def test_refused(self):
        self.fails("refuse")
        self.recovers()

    def test_denied(self):
        self.fails("deny")
        self.recovers()

    def test_hung(self):
        self.assertLess(self.fails("hang"), 20)
        self.recovers()

    def test_left_alone(self):
        """Three failures in a row, and it is not asked for a moment; readiness names it and stays ready."""
        self.reranker.set_mode("refuse")

        def is_named():
            self.search(self.new_query())
            reply = self.ask("GET", "/ready")
            return reply.status == 200 and "reranker" in reply.json()["degraded"]

        eventually(self, is_named)
        reply = self.ask("POST", "/rag/query", {"query": QUERY + " alone", "relevance_threshold": 0}).json()
        self.assertTrue(reply["sources"])
        self.recovers()


class Nobody(Library):
    """Nothing listens there."""

    @classmethod
    def setUpClass(cls):
        cls.more_settings = {"RERANK_URL": f"http://127.0.0.1:{free_port()}"}
        super().setUpClass()

    def test_refused_connection(self):
        body = self.search(QUERY)
        self.assertEqual(body["degraded"], "reranker")
        self.assertEqual(len(body["results"]), len(FILES))


class SwitchedOff(RemoteTest):
    api_settings = {"RAG_RERANK_ENABLED": "false"}

    def test_nobody_is_asked(self):
        self.assertNotIn("degraded", self.search(QUERY, rerank=True))
        self.ask("POST", "/rag/query", {"query": QUERY, "rerank": True})
        self.assertEqual(self.reranker.seen, [])


class Without(Library):
    """The default names a model that is not on the disk: that is no error, and nothing is degraded."""
    more_settings = {"TARS_MODELS": "/nonexistent"}

    def test_calmly(self):
        body = self.search(QUERY, rerank=True)
        self.assertNotEqual(body.get("degraded"), "reranker")
        self.assertTrue(all(hit["metadata"]["reranked"] is False for hit in body["results"]))
        self.assertEqual(self.ask("GET", "/rag/stats").json()["reranker"], "")
        self.assertNotIn("reranker", self.ask("GET", "/ready").json()["degraded"])

    def test_doctor_says_why(self):
        done = json.loads(run("doctor", "--json", data=tempfile.mkdtemp(dir=self.data), code=None).stdout)
        found = {check["check"]: check for check in done["checks"]}["reranker"]
        self.assertIn("ms-marco-MiniLM-L-6-v2", found["finding"])
        self.assertIsNone(found["remedy"])


class Local(RedisTest):
    """A cross-encoder of this process, its scores in Redis."""
    more_settings = {"REDIS_RERANKER_TTL": "5", "RERANK_WEIGHT": "1", "RERANK_BUDGET_MS": "30000"}

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="tars-model-")
        write_folder(os.path.join(cls.folder.name, "tiny-cross"))
        cls.more_settings = {**cls.more_settings, "TARS_MODELS": cls.folder.name,
                             "RERANK_MODEL": "cross-encoder/tiny-cross", "EMBED_PRECISION": "fp32"}
        super().setUpClass()
        for name, text in FILES:
            cls.put(name, text)

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            cls.folder.cleanup()

    def test_order_and_scores(self):
        body = self.search(QUERY)
        scores = [hit["metadata"]["cross_encoder_score"] for hit in body["results"]]
        self.assertEqual(len(scores), len(FILES))
        self.assertEqual(scores, sorted(scores, reverse=True), "its weight is 1")
        self.assertTrue(all(0 <= score <= 1 for score in scores))
        self.assertEqual(self.ask("GET", "/rag/stats").json()["reranker"], "tiny-cross")

    def test_scores_are_kept_in_redis_and_end(self):
        self.connected()
        query = "who keeps the light of the cape"
        self.search(query)
        self.kept("rerank")
        key = self.redis.keys("tars:rerank:*")[0]
        self.assertRegex(key, "^tars:rerank:[0-9a-f]{64}$")
        self.assertIn(int(self.redis.cli("TTL", key)), (*range(6), -2))  # -2: it has ended meanwhile
        eventually(self, lambda: self.redis.keys("tars:rerank:*") == [])

    def test_scores_serve_another_request(self):
        """Of the same passages for the same question: kept, and the reranker is not asked again."""
        self.connected()
        query = "the keeper and his lamp"
        first = self.search(query)
        hits = self.info()["kinds"]["rerank"]["hits"]
        second = self.search(query, top_k=2)
        self.assertEqual(self.names_of(second), self.names_of(first)[:2])
        self.assertEqual(self.info()["kinds"]["rerank"]["hits"], hits + 1)

    def names_of(self, body):
        return [hit["metadata"]["file_name"] for hit in body["results"]]


class Commands(unittest.TestCase):
    """tars search and doctor, over the data folder itself."""

    @classmethod
    def setUpClass(cls):
        cls.data = tempfile.TemporaryDirectory(prefix="tars-rerank-")
        cls.folder = os.path.join(cls.data.name, "model")
        write_folder(cls.folder)
        os.makedirs(os.path.join(cls.data.name, "files"))
        for name, text in FILES:
            with open(os.path.join(cls.data.name, "files", name), "w", encoding="utf-8") as file:
                file.write(text)
        run("ingest", os.path.join(cls.data.name, "files"), data=cls.data.name)

    @classmethod
    def tearDownClass(cls):
        cls.data.cleanup()

    def tars(self, *arguments, code=0, **more):
        return run(*arguments, data=self.data.name, code=code,
                   **{"RERANK_MODEL": self.folder, "RERANK_BUDGET_MS": "30000", **more})

    def reranked(self, *arguments, **more):
        body = json.loads(self.tars("search", "--json", *arguments, QUERY, **more).stdout)
        return {hit["metadata"]["reranked"] for hit in body["results"]}

    def test_search(self):
        self.assertEqual(self.reranked(), {True})
        self.assertEqual(self.reranked("--rerank"), {True})
        self.assertEqual(self.reranked("--no-rerank"), {False})
        self.assertEqual(self.reranked(RAG_RERANK_ENABLED="false"), {False})
        self.assertEqual(self.reranked(USE_ADVANCED_RERANKING="false"), {False})
        self.tars("search", "--rerank", "--no-rerank", QUERY, code=2)

    def test_a_run_keeps_the_order(self):
        """Evaluators sort by the score."""
        body = json.loads(self.tars("search", "--json", QUERY, RERANK_WEIGHT="1").stdout)
        lines = self.tars("search", "--format", "trec", QUERY, RERANK_WEIGHT="1").stdout.splitlines()
        scores = [float(line.split()[4]) for line in lines]
        self.assertEqual([line.split()[2] for line in lines], [hit["document_id"] for hit in body["results"]])
        self.assertEqual(scores, sorted(set(scores), reverse=True))

    def test_no_time_no_reranking(self):
        """What is not read in time keeps its order; the search is whole."""
        body = json.loads(self.tars("search", "--json", QUERY, RERANK_BUDGET_MS="1").stdout)
        self.assertEqual(len(body["results"]), len(FILES))
        self.assertNotIn("degraded", body)

    def test_status(self):
        self.assertRegex(self.tars("status").stdout, r"reranker +model")

    def test_a_broken_folder_is_told(self):
        with tempfile.TemporaryDirectory(dir=self.data.name) as folder:
            write_folder(folder, labels=2)
            done = self.tars("search", QUERY, RERANK_MODEL=folder)
            self.assertIn("2 labels", done.stderr)
            self.assertIn("lighthouse", done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
