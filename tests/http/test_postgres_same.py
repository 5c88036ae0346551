"""The same session with the log of questions in SQLite and in PostgreSQL: every answer of the wire contract's section 1.5
is the same, field by field; and a PostgreSQL that is slow holds up nobody."""
import collections
import csv
import io
import json
import os
import select
import socket
import sys
import threading
import time
import unittest

from server import ROOT, ServerTest, eventually, run
from test_analytics_rows import RowsTest, log_line

sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from postgres import Postgres  # noqa: E402

KEY = {"JWT_SECRET_KEY": "the same for both, so pseudonyms are"}
OLD = "end_time=2026-01-01T00:00:00"  # what was imported lies before that
MEASURED = ("avg_retrieval_time_ms", "avg_generation_time_ms", "avg_total_time_ms")  # of two servers, each its own
LEAVE = "How many days of annual leave do employees get?"


def setUpModule():
    global POSTGRES
    POSTGRES = Postgres()


def tearDownModule():
    POSTGRES.close()


class SlowLink:
    """A way to a server on which each answer may come late."""

    def __init__(self, port):
        self.server, self.delay, self.open = port, 0.0, True
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while self.open:
            try:
                near = self.listener.accept()[0]
                far = socket.create_connection(("127.0.0.1", self.server))
            except OSError:
                continue
            threading.Thread(target=self.carry, args=(near, far), daemon=True).start()

    def carry(self, near, far):
        late = collections.deque()  # of (when, bytes) for near
        with near, far:
            while True:
                wait = max(0.0, late[0][0] - time.monotonic()) if late else None
                for side in select.select([near, far], [], [], wait)[0]:
                    try:
                        data = side.recv(65536)
                        if not data:
                            return
                        if side is near:
                            far.sendall(data)
                        else:
                            late.append((time.monotonic() + self.delay, data))
                    except OSError:
                        return
                while late and late[0][0] <= time.monotonic():
                    near.sendall(late.popleft()[1])

    def close(self):
        self.open = False
        self.listener.close()


def server(**settings):
    class Server(RowsTest):
        chat = RowsTest.chat

        def runTest(self):
            pass

    Server.settings = {**KEY, **settings}
    Server.setUpClass()
    return Server()


class Same(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.servers = [server(), server(**POSTGRES.environment())]
        for each in cls.servers:
            each.token = each.sign_in("root")
            cls.play(each)

    @classmethod
    def tearDownClass(cls):
        for each in cls.servers:
            each.tearDownClass()

    @staticmethod
    def play(each):
        """Imported rows, and one of every way to ask."""
        path = os.path.join(each.data, "old.log")
        with open(path, "w", encoding="utf-8") as file:
            for i in range(40):
                file.write(log_line(i, client_id=f"c{i % 4}", query_text=f"What is \u00e9t\u00e9 {i % 7}? {'x' * (i % 5)}",
                                    timestamp=f"2025-07-{i % 28 + 1:02}T{i % 24:02}:00:00", total_time_ms=100.0 + i,
                                    avg_relevance_score=None if i % 3 == 0 else i / 50, success=i % 5 != 0,
                                    error_message="it broke" if i % 5 == 0 else None, used_reranking=i % 2 == 0) + "\n")
        run("import-analytics", path, "--timezone", "UTC", data=each.data)
        for client in ("ann", "bob"):
            each.query(LEAVE, client=client)
        each.get("POST", "/rag/query/stream", {"query": "travel by rail"}).lines()
        each.chat(f"Please: {LEAVE}", b"rag_complete", use_rag=True)
        each.chat("no documents, and no model", b"GENERATION_ERROR")

    def told(self, path, method="GET", body=None):
        replies = [each.get(method, path, body) for each in self.servers]
        self.assertEqual([reply.status for reply in replies], [200, 200], [reply.body for reply in replies])
        return replies

    def same(self, path, without=(), method="GET", body=None):
        """Equal answers, field by field; those of `without` are there in both."""
        answers = [reply.json() for reply in self.told(path, method, body)]
        for answer in answers:
            for row in answer if isinstance(answer, list) else [answer]:
                for name in without:
                    self.assertIn(name, row)
                    del row[name]
        self.assertEqual(answers[0], answers[1], path)
        return answers[0]

    def test_1_statistics(self):
        stats = self.same(f"/analytics/query-stats?{OLD}")
        self.assertEqual((stats["total_queries"], stats["failed_queries"]), (40, 8))
        self.same("/analytics/query-stats?start_time=2025-07-05T03:00:00&end_time=2025-07-20T19:00:00")
        self.same("/analytics/query-stats?start_time=2030-01-01T00:00:00")
        self.assertEqual(self.same("/analytics/query-stats", MEASURED)["total_queries"], 44)
        self.assertTrue(self.same("/analytics/document-popularity", ("last_accessed",)))
        self.same("/analytics/document-popularity?top_n=1", ("last_accessed",))
        patterns = self.same("/analytics/query-patterns", ("queries_by_hour",))
        self.assertEqual(patterns["total_queries"], 44)
        self.assertIn("\u00e9t\u00e9", patterns["top_words"])
        hours = [reply.json()["queries_by_hour"] for reply in self.told("/analytics/query-patterns")]
        self.assertEqual([sum(each.values()) for each in hours], [44, 44])
        health = self.same("/analytics/health")
        self.assertEqual(health["total_queries"], 44)
        summaries = [reply.json() for reply in self.told("/analytics/summary")]
        self.assertEqual(*[list(summary) for summary in summaries])

    def test_2_rows(self):
        for form in ("csv", "json", "jsonl"):
            bodies = [reply.body for reply in self.told(f"/analytics/export?format={form}&{OLD}")]
            self.assertEqual(bodies[0], bodies[1], form)
        tables = [list(csv.DictReader(io.StringIO(reply.body.decode()))) for reply in self.told("/analytics/export")]
        self.assertEqual([len(table) for table in tables], [44, 44])
        for ours, theirs in zip(*[table[40:] for table in tables]):
            for name in ours:
                if name not in ("query_id", "timestamp") and not name.endswith("_time_ms"):
                    self.assertEqual(ours[name], theirs[name], name)
        errors = [reply.json()["errors"] for reply in self.told("/analytics/errors")]
        self.assertEqual(*[[(e["error_type"], e["operation"], e["client_id"]) for e in each] for each in errors])

    def test_3_the_socket_s_row(self):
        row = POSTGRES.query("SELECT client_id, sources_count > 0, success, model_used, metadata->>'request_id' <> '', "
                             "(SELECT count(*) FROM document_accesses WHERE query_id = query_logs.id) = sources_count "
                             "FROM query_logs WHERE query_text LIKE 'Please%'")
        self.assertEqual(row, [["root", "t", "t", "extract", "t", "t"]])
        self.assertEqual(POSTGRES.query("SELECT operation FROM error_logs WHERE operation = 'chat'"), [["chat"]])

    def test_4_privacy(self):
        """A client's rows made anonymous, and another's erased; numbers stay or go alike, texts go."""
        before = self.same(f"/analytics/query-stats?{OLD}")
        changed = self.same("/analytics/anonymize", method="POST", body={"client_id": "c1"})
        self.assertEqual(changed["queries"], 10)
        self.assertEqual(self.same(f"/analytics/query-stats?{OLD}"), before)
        names = [{row["client_id"] for row in map(json.loads, reply.body.splitlines())}
                 for reply in self.told(f"/analytics/export?format=jsonl&{OLD}")]
        self.assertEqual(names[0], names[1])
        self.assertTrue(any(name.startswith("anon-") for name in names[0]) and "c1" not in names[0])
        erased = self.same("/analytics/clients/c2", method="DELETE")
        self.assertEqual(erased["queries"], 10)
        self.assertEqual(self.same(f"/analytics/query-stats?{OLD}")["total_queries"], 30)
        self.assertEqual(self.same("/analytics/clients/ann", method="DELETE")["queries"], 1)
        self.assertEqual(POSTGRES.query("SELECT count(*) FROM query_logs WHERE client_id IN ('c1', 'c2', 'ann')"), [["0"]])
        self.assertEqual(POSTGRES.query("SELECT count(*) FROM document_accesses a WHERE a.query_id IS NOT NULL AND NOT "
                                        "EXISTS (SELECT FROM query_logs q WHERE q.id = a.query_id)"), [["0"]])
        self.same("/analytics/query-patterns", ("queries_by_hour",))
        self.same("/analytics/document-popularity", ("last_accessed",))

    def test_5_again_and_all(self):
        for each in self.servers:  # those that were erased come back, those that were changed are known
            run("import-analytics", os.path.join(each.data, "old.log"), "--timezone", "UTC", data=each.data)
        self.same(f"/analytics/query-stats?{OLD}")
        self.same("/analytics/clear", method="DELETE")
        self.assertEqual(self.same("/analytics/query-stats")["total_queries"], 0)
        self.same("/analytics/query-patterns")
        self.same("/analytics/document-popularity")
        self.assertEqual(POSTGRES.query("SELECT count(*) FROM query_logs"), [["0"]])


class Slow(ServerTest):
    """Answers of PostgreSQL that come seconds late."""
    with_samples = True

    @classmethod
    def setUpClass(cls):
        POSTGRES.create_database("slow")
        cls.link = SlowLink(POSTGRES.port)
        cls.settings = {**POSTGRES.environment(POSTGRES_DB="slow", POSTGRES_PORT=str(cls.link.port)),
                        "POSTGRES_PING_TIMEOUT_MS": "200"}
        super().setUpClass()
        cls.token = cls.sign_in()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.link.close()

    def statistics(self):
        return self.ask("GET", "/analytics/query-stats").status == 200

    def test_nobody_waits(self):
        eventually(self, self.statistics)
        self.link.delay = 5
        eventually(self, lambda: self.ask("GET", "/ready").json()["checks"]["postgres"] == "disconnected")
        for i in range(10):
            self.assertEqual(self.ask("POST", "/rag/query", {"query": f"{LEAVE} {i}"}).status, 200)
        refused = self.ask("GET", "/analytics/query-stats")
        self.assertEqual(refused.status, 503)
        self.link.delay = 0.0
        eventually(self, self.statistics)
        eventually(self, lambda: POSTGRES.query("SELECT count(*), count(DISTINCT query_text) FROM query_logs",
                                             "slow") == [["10", "10"]])


if __name__ == "__main__":
    unittest.main()
