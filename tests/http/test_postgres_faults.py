"""The log of questions in a PostgreSQL that is killed, hangs, is restarted and comes back: statistics are away meanwhile,
and no row is ever lost or doubled. A real server, the real program."""
import concurrent.futures
import time
import unittest

import test_postgres
from server import eventually
from test_postgres import QUESTION, OnPostgres, Postgres


def setUpModule():
    test_postgres.POSTGRES = Postgres()


def tearDownModule():
    test_postgres.POSTGRES.close()


class Faults(OnPostgres):
    """Whatever happens to the server: at the end its rows are those of the questions that were answered."""
    database = "faults"
    more = {"POSTGRES_PING_TIMEOUT_MS": "300"}

    def ask_many(self, prefix, count):
        def one(number):
            return self.ask("POST", "/rag/query", {**QUESTION, "query": f"{prefix} {number}"}).status

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            self.assertEqual(set(pool.map(one, range(count))), {200})

    def exactly(self, prefix, count):
        def all_there():
            return int(self.rows(f"SELECT count(*) FROM query_logs WHERE query_text LIKE '{prefix} %'")[0][0]) >= count

        eventually(self, all_there)
        rows = self.rows(f"SELECT count(*), count(DISTINCT query_text) FROM query_logs WHERE query_text LIKE '{prefix} %'")
        self.assertEqual(rows, [[str(count), str(count)]])

    def test_killed_and_back(self):
        self.ask_many("killed", 20)
        test_postgres.POSTGRES.kill()
        self.ask_many("killed too", 20)
        self.assertEqual(self.ask("GET", "/analytics/query-stats").status, 503)
        eventually(self, lambda: self.ask("GET", "/ready").json()["checks"]["postgres"] == "disconnected")
        test_postgres.POSTGRES.start()
        eventually(self, self.answers_statistics)
        self.exactly("killed", 40)

    def test_hanging_and_back(self):
        self.ask_many("hung", 10)
        test_postgres.POSTGRES.pause()
        try:
            self.ask_many("hung too", 20)
            eventually(self, lambda: not self.answers_statistics())
            begun = time.monotonic()
            self.assertFalse(self.answers_statistics())
            self.assertLess(time.monotonic() - begun, 30)  # it hangs for ever
        finally:
            test_postgres.POSTGRES.resume()
        eventually(self, self.answers_statistics)
        self.exactly("hung", 30)

    def test_restarted_while_rows_are_written(self):
        for turn in range(3):
            with concurrent.futures.ThreadPoolExecutor(1) as beside:
                work = beside.submit(self.ask_many, f"restart {turn}", 20)
                test_postgres.POSTGRES.restart()
                work.result()
        self.exactly("restart", 60)

    def test_rows_outlive_both_ends(self):
        test_postgres.POSTGRES.kill()
        self.ask_many("both", 5)
        type(self).process.kill()
        type(self).process.wait()
        type(self).process.stdout.close()
        type(self).start()
        test_postgres.POSTGRES.start()
        type(self).token = self.sign_in()
        eventually(self, self.answers_statistics)
        self.exactly("both", 5)


if __name__ == "__main__":
    unittest.main()
