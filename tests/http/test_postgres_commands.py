"""What the commands say of PostgreSQL, and what they do to it: tars doctor, tars migrate; a database that lacks characters."""
import json
import os
import shutil
import sys
import tempfile
import time
import unittest

from server import ROOT, ServerTest, run

sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from postgres import Postgres  # noqa: E402

QUESTION = "Why is the caf\u00e9 \u6f22\u5b57 closed?"


def setUpModule():
    global POSTGRES
    POSTGRES = Postgres()
    POSTGRES.query("CREATE DATABASE latin OWNER tars ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
                   "postgres")
    POSTGRES.query("CREATE ROLE guest LOGIN", "postgres")


def tearDownModule():
    POSTGRES.close()


class Commands(unittest.TestCase):
    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="tars-postgres-cli-")
        self.addCleanup(shutil.rmtree, self.data)

    def database(self, name):
        POSTGRES.create_database(name)
        return POSTGRES.environment(POSTGRES_DB=name)

    def checks(self, code=0, **settings):
        told = json.loads(run("doctor", "--json", data=self.data, code=code, **settings).stdout)["checks"]
        return {c["check"]: (c["status"], c["finding"], c["remedy"]) for c in told
                if c["check"].startswith("postgres") or c["check"] == "waiting rows"}

    def migrate(self, *arguments, code=0, **settings):
        return run("migrate", *arguments, data=self.data, code=code, **settings)

    def test_migrations(self):
        settings = self.database("moves")
        told = json.loads(self.migrate("--json", code=1, **settings).stdout)
        self.assertEqual((told["schema"], told["database"], told["encoding"]), (0, "moves", "UTF8"))
        self.assertEqual({m["applied"] for m in told["migrations"]}, {False})
        self.assertIn("tars migrate apply", self.migrate("status", code=1, **settings).stdout)
        self.assertEqual(POSTGRES.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", "moves"), [["0"]])
        done = json.loads(self.migrate("apply", "--json", **settings).stdout)
        self.assertEqual((done["applied"], done["schema"]), (done["latest"], done["latest"]))
        again = json.loads(self.migrate("apply", "--json", **settings).stdout)
        self.assertEqual((again["applied"], again["schema"]), (0, done["latest"]))
        self.assertIn("Up to date", self.migrate(**settings).stdout)
        self.assertEqual(len(POSTGRES.query("SELECT version FROM tars_migrations", "moves")), done["latest"])
        POSTGRES.query("INSERT INTO tars_migrations (version, name) VALUES (999, 'later')", "moves")
        self.assertIn("newer program", self.migrate(code=1, **settings).stdout)
        self.assertIn("newer program", self.migrate("apply", code=3, **settings).stderr)

    def test_what_cannot_be_migrated(self):
        self.migrate("backwards", code=2)
        self.migrate("apply", "now", code=2)
        self.assertIn("refused", self.migrate(code=3, POSTGRES_HOST="127.0.0.1", POSTGRES_PORT="1").stderr)
        said = self.migrate("apply", code=3, **POSTGRES.environment(POSTGRES_DB="latin")).stderr
        self.assertIn("LATIN1", said)
        self.assertIn("ENCODING 'UTF8'", said)

    def test_doctor(self):
        self.assertEqual(self.checks(), {})
        settings = self.database("checked")
        found = self.checks(**settings)
        self.assertEqual(found["postgres"][0], "ok")
        self.assertIn(f"127.0.0.1:{POSTGRES.port} answers: PostgreSQL 1", found["postgres"][1])
        self.assertEqual(found["postgres rights"][:2], ("ok", "tars may read and write in checked"))
        self.assertEqual(found["postgres schema"][0], "warning")
        self.assertIn("tars migrate apply", found["postgres schema"][2])
        self.assertNotIn("postgres encoding", found)
        self.migrate("apply", **settings)
        self.assertEqual(self.checks(**settings)["postgres schema"][0], "ok")
        foreign = self.checks(code=1, **{**settings, "POSTGRES_USER": "guest"})
        self.assertEqual(foreign["postgres rights"][0], "error")
        self.assertIn("OWNER", foreign["postgres rights"][2])
        away = self.checks(**{**settings, "POSTGRES_PORT": "1"})
        self.assertEqual((away["postgres"][0], list(away)), ("warning", ["postgres"]))
        self.assertIn("refused", away["postgres"][1])
        latin = self.checks(code=1, **POSTGRES.environment(POSTGRES_DB="latin"))
        self.assertEqual(latin["postgres encoding"][0], "error")
        self.assertIn("ENCODING 'UTF8'", latin["postgres encoding"][2])


class Latin(ServerTest):
    """Questions that the database could not hold: none is lost, and it is said what to do."""
    token = ""

    @classmethod
    def setUpClass(cls):
        cls.settings = POSTGRES.environment(POSTGRES_DB="latin", START_WAIT_SECONDS="1")
        super().setUpClass()
        cls.token = cls.sign_in()

    def test_rows_wait_for_a_database_that_can_hold_them(self):
        for _ in range(3):
            self.assertEqual(self.ask("POST", "/rag/query", {"query": QUESTION}).status, 200)
        end = time.monotonic() + 60
        while True:  # until it has been reached at all
            refused = self.ask("GET", "/analytics/query-stats")
            self.assertEqual(refused.status, 503, (refused.body, self.ask("GET", "/ready").body))
            if "LATIN1" in refused.json()["detail"] or time.monotonic() > end:
                break
            time.sleep(0.05)
        self.assertIn("LATIN1", refused.json()["detail"])
        self.assertIn("ENCODING 'UTF8'", refused.json()["detail"])
        self.assertEqual(self.ask("GET", "/ready").json()["checks"]["postgres"], "disconnected")
        self.assertEqual(POSTGRES.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", "latin"), [["0"]])
        self.assertEqual(self.stop(), 0)
        told = json.loads(run("doctor", "--json", data=self.data, code=1, **self.settings).stdout)["checks"]
        waiting = next(c for c in told if c["check"] == "waiting rows")
        self.assertEqual(waiting["status"], "ok")
        self.assertGreater(int(waiting["finding"].split()[0]), 0)
        POSTGRES.create_database("wide")
        type(self).settings = POSTGRES.environment(POSTGRES_DB="wide")
        self.start()
        type(self).token = self.sign_in()
        end = time.monotonic() + 60
        while self.ask("GET", "/analytics/query-stats").json().get("total_queries") != 3:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.05)
        self.assertEqual(POSTGRES.query("SELECT query_text FROM query_logs", "wide"), [[QUESTION]] * 3)


if __name__ == "__main__":
    unittest.main()
