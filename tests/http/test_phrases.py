"""Demands of a query: exact words, words of a title; what nobody holds is said and looked for by its words."""
import unittest

from server import ServerTest, run




class Phrases(ServerTest):
    settings = {"RATE_LIMIT_PER_MINUTE": "0"}

    @classmethod
    def start(cls):
        super().start()
        cls.token = cls.sign_in()
        for name, text in (("harbour.txt", "The notice period of the harbour office is four weeks."),
                           ("pier.txt", "A period of notice is given at the pier, and the harbour pays."),
                           ("school.txt", "War and Peace is read in the school of Oldport."),
                           ("books.txt", "Tolstoy wrote it; of peace and of war he knew much.")):
            reply = cls.upload([(name, text.encode())])
            if reply.status != 201:
                raise AssertionError(reply.body)

    def names(self, query, **more):
        reply = self.ask("POST", "/rag/search", {"query": query, **more})
        self.assertEqual(reply.status, 200, reply.body)
        body = reply.json()
        return [one["metadata"].get("file_name") or one["file_name"] for one in body["results"]], body

    def test_exact_words(self):
        for mode in ("hybrid", "words", "vectors"):
            with self.subTest(mode):
                names, body = self.names('"notice period"', mode=mode)
                self.assertEqual(names, ["harbour.txt"])
                self.assertNotIn("unmet", body)
                self.assertEqual(body["query"], '"notice period"')
        self.assertEqual(set(self.names("notice period")[0]) & {"harbour.txt", "pier.txt"},
                         {"harbour.txt", "pier.txt"})

    def test_title(self):
        self.assertEqual(self.names("title:school peace")[0], ["school.txt"])
        self.assertEqual(self.names('title:pier "period of notice"')[0], ["pier.txt"])

    def test_what_nobody_holds_is_looked_for_by_its_words(self):
        for _ in range(2):  # it is not kept
            names, body = self.names('"harbour notice period"')
            self.assertEqual(body["unmet"], "harbour notice period")
            self.assertIn("harbour.txt", names)
            self.assertFalse(body["cached"])

    def test_a_question_with_quotes_is_a_question(self):
        names, body = self.names('Who wrote "War and Peace"?')
        self.assertIn("books.txt", names)
        self.assertNotIn("unmet", body)

    def test_command(self):
        done = run("search", '"harbour notice period"', data=self.data)
        self.assertIn('no passage holds "harbour notice period"', done.stderr)


if __name__ == "__main__":
    unittest.main()
