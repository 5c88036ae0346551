"""Vectors in a server (VECTOR_BACKEND): what is found is what the index of the program finds, with the same scores;
rights hold; a server that is away costs its half of a search and is named; what was taken in meanwhile is caught up;
a database that is not fit for it ends the start with the remedy."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

from server import ROOT, SOON, TARS, ServerTest, environment, eventually, run
from test_cache_redis import OPEN, Asking

sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from chroma import Chroma  # noqa: E402
from postgres import Postgres  # noqa: E402

QUESTIONS = ["How many days of leave does a new colleague have?", "what to do when the printer is stuck",
             "electricity of the building", "who may enter the server room", "expenses on a journey",
             "fire in the reading hall"]
COLLECTIONS = "/api/v2/tenants/default_tenant/databases/default_database/collections"


class Embedded(Asking, ServerTest):
    """The same documents in a server with the default back end, for comparison."""
    settings = {**OPEN, "CACHE_MEMORY_MB": "0"}
    with_samples = True


class Elsewhere(Asking):
    """What holds for every server of vectors; kill() and revive() are the back end's."""
    name = ""
    with_samples = True

    @classmethod
    def more_settings(cls):
        raise NotImplementedError

    @classmethod
    def start(cls):
        cls.settings = {**OPEN, "VECTOR_BACKEND": cls.name, "VECTOR_TIMEOUT_MS": "20000", "CACHE_MEMORY_MB": "0",
                        **cls.more_settings()}
        super().start()
        cls.token = cls.sign_in()

    def health(self):
        return self.ask("GET", "/ready").json()

    def in_step(self):
        return "vectors" not in self.health()["degraded"]

    def hits(self, question, of=None, **more):
        body = (of or self).search(question, **more)
        self.assertNotIn("degraded", body)
        return [(hit["metadata"]["file_name"], hit["chunk_index"], round(hit["metadata"]["vector_score"], 4),
                 round(hit["similarity_score"], 3)) for hit in body["results"]]

    def test_a_finds_what_the_index_finds(self):
        class Other(Embedded):
            pass

        eventually(self, self.in_step)
        Other.setUpClass()
        try:
            Other.token = Other.sign_in()
            for question in QUESTIONS:
                with self.subTest(question=question):
                    self.assertEqual(self.hits(question), self.hits(question, of=Other))
                    found = {"file_type": "md"}
                    self.assertEqual(self.hits(question, filters=found), self.hits(question, of=Other, filters=found))
        finally:
            Other.tearDownClass()

    def test_ready_and_metrics_tell(self):
        eventually(self, self.in_step)
        samples = self.samples()
        label = f'{{backend="{self.name}"}}'
        self.assertEqual(samples[f"rag_vectors_behind_changes{label}"], 0)
        self.assertGreater(samples[f"rag_vectors_written_total{label}"] + samples["rag_index_vectors"], 5)
        self.assertEqual(samples[f"rag_vectors_rebuilds_total{label}"], 0)

    def test_x_what_is_lost_while_nobody_writes_is_filled_again(self):
        eventually(self, self.in_step)
        before = self.hits(QUESTIONS[1])
        self.lose()
        eventually(self, lambda: self.search(QUESTIONS[1]).get("degraded") == "vectors" or self.is_there())
        eventually(self, self.is_there)
        eventually(self, lambda: self.in_step() and "degraded" not in self.search(QUESTIONS[1]))
        self.assertEqual(self.hits(QUESTIONS[1]), before)

    def test_y_away_and_back(self):
        self.put("harbour.txt", "The harbour master counts the ships that come in at dawn.")
        question = "ships that arrive at the port at sunrise"
        self.assertEqual(self.search(question)["results"][0]["metadata"]["file_name"], "harbour.txt")
        self.kill()
        try:
            body = self.search("harbour master ships")
            self.assertEqual(body["degraded"], "vectors")
            self.assertEqual(body["results"][0]["metadata"]["file_name"], "harbour.txt")
            eventually(self, lambda: not self.in_step())
            self.assertEqual(self.ask("GET", "/ready").status, 200)
            self.put("orchard.txt", "Apples ripen late in the northern orchard, pears before them.")
            self.assertEqual(self.search("orchard pears")["results"][0]["metadata"]["file_name"], "orchard.txt")
        finally:
            self.revive()
        eventually(self, self.in_step)
        eventually(self, lambda: "degraded" not in self.search("fruit that is picked in autumn"))
        best = self.search("fruit that is picked in autumn")["results"][0]
        self.assertEqual(best["metadata"]["file_name"], "orchard.txt")
        self.assertGreater(best["metadata"]["vector_score"], 0.1)

    def test_doctor_tells(self):
        told = json.loads(run("doctor", "--json", data=self.data, code=None, **self.settings).stdout)
        found = [check for check in told["checks"] if check["check"] == self.checked]
        self.assertEqual([check["status"] for check in found], ["ok"])


class PgvectorTest(Elsewhere, ServerTest):
    name = "pgvector"
    checked = "vectors"

    @classmethod
    def setUpClass(cls):
        cls.postgres = cls.enterClassContext(Postgres(vectors=True))
        super().setUpClass()

    @classmethod
    def more_settings(cls):
        return {**cls.postgres.environment(), "POSTGRES_ENABLED": "false"}

    def kill(self):
        self.postgres.kill()

    def revive(self):
        self.postgres.start()

    def lose(self):
        self.postgres.query("DROP SCHEMA tars_vectors CASCADE")

    def is_there(self):
        return self.postgres.query("SELECT to_regclass('tars_vectors.windows') IS NOT NULL")[0][0] in (True, "t")

    def test_z_what_was_taken_out_comes_back(self):
        before = self.hits(QUESTIONS[0])
        self.postgres.query("DELETE FROM tars_vectors.windows WHERE passage % 2 = 0")
        self.stop()
        self.start()
        eventually(self, self.in_step)
        count, expected = self.postgres.query(
            "SELECT (SELECT count(*) FROM tars_vectors.windows), expected FROM tars_vectors.state")[0]
        self.assertEqual(count, expected)
        self.assertEqual(self.hits(QUESTIONS[0]), before)
        self.assertEqual(self.samples()['rag_vectors_rebuilds_total{backend="pgvector"}'], 1)


class KeptTest(Asking, ServerTest):
    """With the cache of replies: what was found while vectors were still to be written is not kept."""

    @classmethod
    def setUpClass(cls):
        cls.postgres = cls.enterClassContext(Postgres(vectors=True))
        cls.settings = {**OPEN, **cls.postgres.environment(), "VECTOR_BACKEND": "pgvector",
                        "VECTOR_TIMEOUT_MS": "20000", "POSTGRES_ENABLED": "false"}
        super().setUpClass()
        cls.token = cls.sign_in()

    def are_there(self, count):
        """The vectors of so many documents, and of all that there are. What is behind is told when it is looked at."""
        samples = self.samples()
        return (samples['rag_vectors_written_total{backend="pgvector"}'] >= count and
                samples['rag_vectors_behind_changes{backend="pgvector"}'] == 0)

    def test_what_was_found_before_the_vectors_were_there_is_not_kept(self):
        self.put("rates.txt", "Tariffs of the quay for the mooring of vessels.")
        eventually(self, lambda: self.are_there(1))
        self.postgres.query("CREATE FUNCTION tars_vectors.no() RETURNS trigger LANGUAGE plpgsql AS "
                            "$$ BEGIN RAISE EXCEPTION 'not now'; END $$")
        self.postgres.query("CREATE TRIGGER no BEFORE INSERT ON tars_vectors.windows EXECUTE FUNCTION tars_vectors.no()")
        self.put("orchard.txt", "Apples ripen late in the northern orchard, pears before them.")
        question = "fruit that is picked in autumn"
        body = self.search(question)
        self.assertNotIn("degraded", body)
        self.assertEqual([hit["metadata"]["file_name"] for hit in body["results"]], ["rates.txt"])
        self.postgres.query("DROP TRIGGER no ON tars_vectors.windows")
        eventually(self, lambda: self.are_there(2))
        self.assertEqual(self.search(question)["results"][0]["metadata"]["file_name"], "orchard.txt")


class ChromaTest(Elsewhere, ServerTest):
    name = "chroma"
    checked = "chroma"

    @classmethod
    def setUpClass(cls):
        cls.chroma = Chroma()
        cls.addClassCleanup(cls.chroma.close)
        super().setUpClass()

    @classmethod
    def more_settings(cls):
        return {"CHROMA_HOST": cls.chroma.url}

    def kill(self):
        self.chroma.kill()

    def revive(self):
        self.chroma.restart()

    def collections(self):
        with urllib.request.urlopen(self.chroma.url + COLLECTIONS, timeout=SOON) as reply:
            return [collection["name"] for collection in json.load(reply)]

    def lose(self):
        request = urllib.request.Request(self.chroma.url + COLLECTIONS + "/tars_documents", method="DELETE")
        urllib.request.urlopen(request, timeout=SOON).close()

    def is_there(self):
        return "tars_documents" in self.collections()


class SharedTest(Asking, ServerTest):
    """Two servers with different documents at one place: what one has written the other does not empty."""

    @classmethod
    def setUpClass(cls):
        cls.postgres = cls.enterClassContext(Postgres(vectors=True))
        cls.settings = {**OPEN, **cls.postgres.environment(), "VECTOR_BACKEND": "pgvector", "CACHE_MEMORY_MB": "0",
                        "VECTOR_TIMEOUT_MS": "20000", "POSTGRES_ENABLED": "false"}
        super().setUpClass()
        cls.token = cls.sign_in()

    def test_the_second_one_says_so_and_goes_by_words(self):
        class Second(Asking, ServerTest):
            settings = self.settings

        self.put("quay.txt", "Tariffs of the quay for the mooring of vessels.")
        eventually(self, lambda: "degraded" not in self.search("price of a berth"))
        before = self.postgres.query("SELECT * FROM tars_vectors.state")
        Second.setUpClass()
        try:
            Second.token = Second.sign_in()
            Second.put("orchard.txt", "Apples ripen late in the northern orchard.")
            eventually(self, lambda: Second.search("price of fruit").get("degraded") == "vectors")
            eventually(self, lambda: "vectors" in Second.ask("GET", "/ready").json()["degraded"])
            self.assertEqual(Second.search("orchard")["results"][0]["metadata"]["file_name"], "orchard.txt")
            self.assertEqual(self.postgres.query("SELECT * FROM tars_vectors.state"), before)
            self.assertNotIn("degraded", self.search("what does a mooring cost"))
            told = {s["name"]: s["detail"] for s in Second.ask("GET", "/ops/summary").json()["services"]}
            self.assertIn("or remove what is there", told["vectors"])
        finally:
            Second.tearDownClass()


class CommandTest(unittest.TestCase):
    """A command beside servers leaves writing to them; where none runs it does not wait for ever."""

    def test_where_nobody_writes_it_says_so_and_can_be_stopped(self):
        data = tempfile.mkdtemp(prefix="tars-http-")
        self.addCleanup(shutil.rmtree, data)
        path = os.path.join(data, "quay.txt")
        with open(path, "w", encoding="utf-8") as out:
            out.write("Tariffs of the quay for the mooring of vessels.")
        with Postgres(vectors=True) as postgres:
            settings = {**postgres.environment(), "STORE": "postgres", "STORE_SHARED": "true",
                        "JWT_SECRET": "0123456789abcdef" * 4}
            run("ingest", "--quiet", path, data=data, **settings)
            settings["VECTOR_BACKEND"] = "pgvector"
            done = run("search", "mooring", data=data, **settings)
            self.assertIn("waiting until pgvector is given", done.stderr)
            self.assertIn("Tariffs", done.stdout)
            process = subprocess.Popen([TARS, "search", "mooring"], env=environment(data, **settings), cwd=data,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            for line in process.stderr:
                if "waiting until" in line:
                    break
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=SOON)
            self.assertLess(time.monotonic() - begun, 7)  # it would wait for 8 s more


class NotFit(unittest.TestCase):
    def test_a_database_without_pgvector_names_the_remedy(self):
        data = tempfile.mkdtemp(prefix="tars-http-")
        self.addCleanup(shutil.rmtree, data)
        with Postgres() as postgres:
            done = run("search", "anything", data=data, code=None, VECTOR_BACKEND="pgvector", **postgres.environment())
        self.assertNotEqual(done.returncode, 0)
        for words in ("has no pgvector", "CREATE EXTENSION vector", "VECTOR_BACKEND=embedded"):
            self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main()
