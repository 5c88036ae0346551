"""Where no passage passes the threshold, the answer says why: the words that nothing holds, or how far the nearest
passage is; of what the caller may see alone."""
import json
import unittest

from server import ServerTest, run
from test_rights_matrix import Rights

NONE = "The documents do not answer this question."
TEXTS = (("harbour.txt", "The notice period of the harbour office is four weeks."),
         ("school.txt", "War and Peace is read in the school of Oldport."))


class Absence(ServerTest):
    settings = {"RATE_LIMIT_PER_MINUTE": "0"}

    @classmethod
    def start(cls):
        super().start()
        cls.token = cls.sign_in()
        for name, text in TEXTS:
            reply = cls.upload([(name, text.encode())])
            if reply.status != 201:
                raise AssertionError(reply.body)

    def answer(self, query, **more):
        reply = self.ask("POST", "/rag/query", {"query": query, **more})
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json()

    def test_words_that_nothing_holds(self):
        for _ in range(2):  # the second time, too
            body = self.answer("Who flies zeppelins over Oldport?")
            self.assertEqual(body["answer"], f'{NONE} No passage holds "flies" or "zeppelins".')
            self.assertEqual(body["absence"]["reason"], "missing_words")
            self.assertEqual(body["absence"]["missing_words"], ["flies", "zeppelins"])
            self.assertEqual(body["absence"]["relevance_threshold"], 0.7)
            self.assertEqual((body["sources"], body["unsupported_count"]), ([], 0))
            self.assertEqual({one["verdict"] for one in body["citations"]}, {"no_claim"})

    def test_too_far(self):
        body = self.answer("Is the harbour office read in the school?", relevance_threshold=1)
        nearest = body["absence"]["nearest"]
        self.assertEqual((body["absence"]["reason"], body["absence"]["missing_words"]), ("too_far", []))
        self.assertIn(nearest["file_name"], [name for name, _ in TEXTS])
        self.assertTrue(nearest["document_id"].startswith("doc_"))
        self.assertLess(nearest["similarity_score"], 1)
        self.assertRegex(body["answer"], rf"^{NONE} The nearest passage, of {nearest['file_name']}, is too far from it: "
                                         r"relevance 0\.\d\d, 1 asked\.$")

    def test_a_filter(self):
        body = self.answer("the notice period of Oldport", filters={"file_name": "school.txt"}, relevance_threshold=1)
        self.assertEqual(body["answer"], f'{NONE} No passage that was searched holds "notice" or "period".')
        body = self.answer("the notice period", filters={"file_name": "none.txt"})
        self.assertEqual(body["absence"], {"reason": "nothing_searched", "missing_words": [], "nearest": None,
                                           "relevance_threshold": 0.7})
        self.assertEqual(body["answer"], f"{NONE} There is no document that could be searched for it.")

    def test_nothing_is_said_where_there_are_sources(self):
        body = self.answer("What is the notice period of the harbour office?", relevance_threshold=0)
        self.assertTrue(body["sources"])
        self.assertFalse({"absence", "unmet"} & set(body))

    def test_stream(self):
        reply = self.ask("POST", "/rag/query/stream", {"query": "zeppelins of Oldport", "relevance_threshold": 1})
        lines = reply.lines()
        self.assertEqual("".join(one["token"] for one in lines if one["type"] == "rag_token"),
                         f'{NONE} No passage holds "zeppelins".')
        self.assertEqual(lines[-1]["absence"]["missing_words"], ["zeppelins"])

    def test_unmet(self):
        """A demand that nothing meets is named beside the answer, with sources and without."""
        body = self.answer('"harbour notice period" weeks', relevance_threshold=0)
        self.assertEqual(body["unmet"], "harbour notice period")
        self.assertTrue(body["sources"])
        lines = self.ask("POST", "/rag/query/stream", {"query": "title:lighthouse weeks"}).lines()
        self.assertEqual(lines[-1]["unmet"], "lighthouse")
        body = self.answer('"harbour notice period" weeks', relevance_threshold=1)
        if not body["sources"]:
            self.assertIn(f'{NONE} No passage holds "harbour notice period" as it was asked.', body["answer"])

    def test_command(self):
        done = run("ask", "Who flies zeppelins over Oldport?", data=self.data)
        self.assertIn(f'{NONE} No passage holds "flies" or "zeppelins".', done.stdout)
        done = run("ask", "--threshold", "0", '"harbour notice period" weeks', data=self.data)
        self.assertIn('no passage holds "harbour notice period"; searched for its words', done.stderr)
        for command in ("ask", "search"):
            done = run(command, "title:lighthouse weeks", data=self.data)
            self.assertIn('no title holds "lighthouse"; searched for its words', done.stderr)
        body = json.loads(run("ask", "--json", "zeppelins", data=self.data).stdout)
        self.assertEqual(body["absence"]["missing_words"], ["zeppelins"])


class NoDocument(ServerTest):
    def test_empty(self):
        self.token = self.sign_in()
        body = self.ask("POST", "/rag/query", {"query": "zeppelins"}).json()
        self.assertEqual(body["answer"], f"{NONE} There is no document that could be searched for it.")
        self.assertEqual(body["absence"]["reason"], "nothing_searched")


class Hidden(Rights):
    """A word that hidden documents alone hold is answered as one that nobody holds, and no hidden one is near."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        self = cls()
        for name, role in (("boss", "admin"), ("outsider", "reader"), ("insider", "reader")):
            self.add(name, role)
        self.as_owner("POST", "/admin/collections", {"name": "vault", "restricted": True})
        self.as_owner("PUT", "/admin/collections/vault/grants/insider", {"may_write": False})
        boss = self.sign_in("boss")
        for name, text, fields in (("vault.txt", "The zqxvault of Oldport opens at seven.", (("collection", "vault"),)),
                                   ("office.txt", "The office of Oldport is open.", ())):
            reply = self.upload([(name, text.encode())], fields=fields, token=boss)
            if reply.status != 201:
                raise AssertionError(reply.body)

    def absence(self, who, query, **more):
        reply = self.asked("POST", "/rag/query", {"query": query, **more}, self.sign_in(who))
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json()

    def test_hidden_words_are_missing(self):
        inside = self.absence("insider", "When opens the zqxvault?", relevance_threshold=0.3)
        self.assertEqual(inside["sources"][0]["file_name"], "vault.txt")
        asked = {"relevance_threshold": 0.99}
        hidden = self.absence("outsider", "Oldport zqxvault", **asked)
        nobodys = self.absence("outsider", "Oldport zqxwault", **asked)
        self.assertEqual(hidden["absence"]["missing_words"], ["zqxvault"])
        self.assertEqual(nobodys["absence"]["missing_words"], ["zqxwault"])
        for body in (hidden, nobodys):
            self.assertEqual(body["absence"]["nearest"]["file_name"], "office.txt")
        self.assertEqual(hidden["answer"].replace("zqxvault", "zqxwault"), nobodys["answer"])
        self.assertEqual(hidden["absence"]["nearest"]["document_id"], nobodys["absence"]["nearest"]["document_id"])


if __name__ == "__main__":
    unittest.main()
