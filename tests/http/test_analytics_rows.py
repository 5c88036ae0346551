"""Rows of analytics as a client of a real server sees them: failures and their questions, whole tables as a
stream, erasing and making anonymous, another server's log, trends; and that every path writes rows."""
import base64
import csv
import glob
import io
import json
import os
import shutil
import socket
import sqlite3
import tempfile
import time
import unittest

from ollama import Ollama
from server import SAMPLES, ServerTest, run

FIELDS = ["query_id", "timestamp", "client_id", "query_text", "query_length", "retrieval_time_ms",
          "generation_time_ms", "total_time_ms", "sources_count", "avg_relevance_score",
          "max_relevance_score", "model_used", "tokens_generated", "used_reranking",
          "used_hybrid_search", "used_query_expansion", "expansion_count", "success", "error_message"]


def rows_of(data, sql):
    connection = sqlite3.connect(f"file:{data}/analytics.db?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    rows = [dict(row) for row in connection.execute(sql)]
    connection.close()
    return rows


def files_with(data, text):
    """Files of analytics in the data folder that hold these bytes."""
    found = []
    for path in glob.glob(f"{data}/analytics*"):
        with open(path, "rb") as file:
            if text.encode() in file.read():
                found.append(os.path.basename(path))
    return found


def log_line(number, **more):
    line = {"query_id": f"q_{1762516800000 + number}", "timestamp": "2025-07-07T12:00:00.000250",
            "client_id": "anonymous", "query_text": f"old question {number}", "query_length": 14,
            "retrieval_time_ms": 12.5, "generation_time_ms": 100.0, "total_time_ms": 112.5, "sources_count": 4,
            "avg_relevance_score": 0.8123, "max_relevance_score": 0.91, "model_used": "mistral:7b-instruct",
            "tokens_generated": 41, "used_reranking": True, "used_hybrid_search": True,
            "used_query_expansion": False, "expansion_count": 0, "success": True, "error_message": None}
    line.update(more)
    return json.dumps(line)


class RowsTest(ServerTest):
    with_samples = True

    def setUp(self):
        self.token = self.sign_in("desk-1")
        self.get("DELETE", "/analytics/clear")

    def get(self, method, path, body=None):
        return self.ask(method, path, body, token=self.token)

    def query(self, text, client="desk-1"):
        reply = self.ask("POST", "/rag/query", {"query": text}, token=self.sign_in(client))
        self.assertEqual(reply.status, 200)
        return reply

    def chat(self, text, last, **more):
        """One question over the socket, until these bytes of the answer."""
        key = base64.b64encode(os.urandom(16)).decode()
        body = json.dumps({"type": "chat", "content": text, **more}).encode()
        mask = os.urandom(4)
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as client:
            client.sendall(f"GET /ws/chat?token={self.token} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                           f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
                           .encode())
            client.sendall(bytes([0x81, 0x80 | len(body)]) + mask +
                           bytes(b ^ mask[i % 4] for i, b in enumerate(body)))
            seen = b""
            while last not in seen:
                piece = client.recv(4096)
                self.assertTrue(piece, seen)
                seen += piece

    def health(self):
        return self.get("GET", "/analytics/health").json()


class Export(RowsTest):
    def test_csv_is_what_the_file_has(self):
        for i in range(5):
            self.query(f"How many days, \"number\" {i}?")
        reply = self.get("GET", "/analytics/export")
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.headers["Content-Type"], "text/csv; charset=utf-8")
        self.assertEqual(self.get("POST", "/analytics/export", {"output_path": "all.csv"}).status, 200)
        with open(f"{self.data}/exports/all.csv", "rb") as file:
            self.assertEqual(reply.body, file.read())
        lines = list(csv.DictReader(io.StringIO(reply.body.decode(), newline="")))
        self.assertEqual(list(lines[0]), FIELDS)
        self.assertEqual([line["query_text"][-2] for line in lines], list("01234"))
        self.assertTrue(reply.body.endswith(b"\r\n"))

    def test_every_table_and_format(self):
        self.query("How many days of annual leave?")
        count = {"queries": 1, "accesses": rows_of_all(self), "errors": 0}
        for table, expected in count.items():
            as_json = self.get("GET", f"/analytics/export?table={table}&format=json").json()
            lines = self.get("GET", f"/analytics/export?table={table}&format=jsonl").lines()
            rows = list(csv.reader(io.StringIO(
                self.get("GET", f"/analytics/export?table={table}&format=csv").body.decode(), newline="")))
            self.assertEqual(as_json, lines, table)
            self.assertEqual(len(as_json), expected, table)
            self.assertEqual(len(rows), 1 + expected, table)
            if expected:
                self.assertEqual(list(as_json[0]), rows[0], table)

    def test_range(self):
        self.query("one?")
        self.assertEqual(len(self.get("GET", "/analytics/export?format=json&end_time=2001-01-01").json()), 0)
        self.assertEqual(len(self.get("GET", "/analytics/export?format=json&start_time=2001-01-01").json()), 1)

    def test_wrong_parameters(self):
        for query, status in (("format=xml", 422), ("table=users", 422), ("start_time=soon", 400)):
            self.assertEqual(self.get("GET", "/analytics/export?" + query).status, status, query)

    def test_many_rows_go_out_in_pieces_and_a_client_may_leave(self):
        rows = [json.loads(log_line(i, query_text="long " * 400 + str(i))) for i in range(2000)]
        for start in range(0, len(rows), 1000):
            run("import-analytics", "--timezone", "UTC", "--quiet", self.write(rows[start:start + 1000]), data=self.data)
        reply = self.get("GET", "/analytics/export?format=jsonl")
        self.assertEqual(reply.headers.get("Transfer-Encoding"), "chunked")
        self.assertEqual(len(reply.lines()), 2000)
        with socket.create_connection(("127.0.0.1", self.port)) as client:
            client.sendall(f"GET /analytics/export HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.token}\r\n\r\n"
                           .encode())
            self.assertIn(b"200 OK", client.recv(4096))
        self.assertEqual(self.get("GET", "/analytics/export?format=json").status, 200)

    def write(self, rows):
        path = f"{self.data}/log.jsonl"
        with open(path, "w") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
        return path


def rows_of_all(test):
    test.health()
    return rows_of(test.data, "SELECT count(*) AS n FROM document_accesses")[0]["n"]


class Errors(RowsTest):
    @classmethod
    def setUpClass(cls):
        cls.model = Ollama()
        cls.model.breaks_after = 1
        cls.settings = {"LLM_BACKEND": "ollama", "OLLAMA_HOST": cls.model.url}
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.model.close()

    def break_off(self, text):
        """A question whose answer breaks off, after one that does not: a model that only fails is not asked."""
        self.model.breaks_after = None
        self.chat("hello", b'"complete"')
        self.model.breaks_after = 1
        self.chat(text, b"RAG_GENERATION_ERROR", use_rag=True)

    def test_a_chat_without_documents_fails_too(self):
        self.chat("hello", b"GENERATION_ERROR")
        errors = self.get("GET", "/analytics/errors").json()["errors"]
        self.assertEqual([(error["operation"], error["client_id"], error["query"]) for error in errors],
                         [("chat", "desk-1", None)])
        self.assertTrue(errors[0]["request_id"])

    def test_an_error_finds_its_question(self):
        self.break_off("What is annual leave?")
        reply = self.get("GET", "/analytics/errors")
        self.assertEqual(reply.status, 200)
        errors = reply.json()["errors"]
        self.assertEqual(len(errors), 1)
        error = errors[0]
        self.assertTrue(error["request_id"])
        self.assertEqual(error["client_id"], "desk-1")
        self.assertEqual(error["query"]["query_text"], "What is annual leave?")
        self.assertFalse(error["query"]["success"])
        same = self.get("GET", "/analytics/errors?request_id=" + error["request_id"]).json()["errors"]
        self.assertEqual(same, errors)
        self.assertEqual(self.get("GET", "/analytics/errors?request_id=none").json()["errors"], [])
        kept = rows_of(self.data, "SELECT metadata FROM error_logs UNION ALL SELECT metadata FROM query_logs")
        self.assertEqual({json.loads(row["metadata"])["request_id"] for row in kept}, {error["request_id"]})
        told = run("analytics", "errors", data=self.data).stdout
        self.assertIn("What is annual leave?", told)

    def test_pages(self):
        for i in range(5):
            self.break_off(f"What is annual leave {i}?")
        seen = []
        cursor = ""
        while cursor is not None:
            page = self.get("GET", f"/analytics/errors?limit=2{cursor and '&cursor=' + cursor}").json()
            seen += [error["query"]["query_text"] for error in page["errors"]]
            cursor = page["next"]
        self.assertEqual(seen, [f"What is annual leave {i}?" for i in (4, 3, 2, 1, 0)])
        self.assertEqual(self.get("GET", "/analytics/errors?cursor=x").status, 422)
        self.assertEqual(self.get("GET", "/analytics/errors?end_time=2001-01-01").json()["errors"], [])


class Privacy(RowsTest):
    def test_erasing_leaves_nothing_in_the_files(self):
        self.query("zanzibarium for ann?", client="ann")
        self.query("quokkaville for bob?", client="bob")
        self.health()
        self.assertTrue(files_with(self.data, "zanzibarium"))
        reply = self.get("DELETE", "/analytics/clients/ann")
        self.assertEqual((reply.status, reply.json()["queries"], reply.json()["errors"]), (200, 1, 0))
        self.assertEqual(files_with(self.data, "zanzibarium"), [])
        self.assertTrue(files_with(self.data, "quokkaville"))
        self.assertEqual(self.get("DELETE", "/analytics/clients/ann").json()["queries"], 0)
        clients = {row["client_id"] for row in rows_of(self.data, "SELECT client_id FROM query_logs")}
        self.assertEqual(clients, {"bob"})
        audit = run("audit", "--action", "analytics-erased", data=self.data).stdout
        self.assertIn("ann", audit)

    def test_rows_that_wait_are_erased_too(self):
        for i in range(40):
            self.query(f"xylophonist {i}?", client="a/b c")
        reply = self.get("DELETE", "/analytics/clients/a%2Fb%20c")  # nobody asked for statistics before
        self.assertEqual(reply.json()["queries"], 40)
        self.assertEqual(files_with(self.data, "xylophonist"), [])

    def test_anonymous_rows_keep_the_counts(self):
        for i in range(3):
            self.query(f"zanzibarium {i} annual leave?", client="ann")
        self.query("quokkaville?", client="bob")
        before = self.get("GET", "/analytics/query-stats").json()
        popular = self.get("GET", "/analytics/document-popularity").json()
        reply = self.get("POST", "/analytics/anonymize", {"client_id": "ann"})
        self.assertEqual((reply.status, reply.json()["queries"]), (200, 3))
        self.assertEqual(self.get("GET", "/analytics/query-stats").json(), before)
        self.assertEqual(self.get("GET", "/analytics/document-popularity").json(), popular)
        self.assertEqual(files_with(self.data, "zanzibarium"), [])
        rows = rows_of(self.data, "SELECT client_id, query_text, query_hash, metadata FROM query_logs "
                                  "WHERE client_id <> 'bob'")
        self.assertEqual(len({row["client_id"] for row in rows}), 1)
        self.assertRegex(rows[0]["client_id"], "^anon-[0-9a-f]{16}$")
        self.assertEqual({(row["query_text"], row["query_hash"]) for row in rows}, {("", "")})
        self.assertNotIn("request_id", rows[0]["metadata"])
        self.query("again?", client="ann")
        self.assertEqual(self.get("POST", "/analytics/anonymize", {"client_id": "ann"}).json()["queries"], 1)
        names = rows_of(self.data, "SELECT DISTINCT client_id FROM query_logs WHERE client_id LIKE 'anon-%'")
        self.assertEqual([row["client_id"] for row in names], [rows[0]["client_id"]])
        old = self.get("POST", "/analytics/anonymize", {"before": "2100-01-01", "names": "anonymous"})
        self.assertEqual(old.json()["queries"], 1)
        self.assertEqual(rows_of(self.data, "SELECT count(*) AS n FROM query_logs WHERE client_id = 'anonymous'"),
                         [{"n": 1}])

    def test_wrong_bodies(self):
        for body in ({}, {"before": "soon"}, {"client_id": 5}, {"client_id": "a", "names": "none"}):
            self.assertEqual(self.get("POST", "/analytics/anonymize", body).status, 422, body)


class Tenants(unittest.TestCase):
    def test_a_removed_tenant_leaves_no_text(self):
        data = tempfile.mkdtemp(prefix="tars-http-")
        self.addCleanup(shutil.rmtree, data)
        run("tenant", "add", "acme", data=data)
        with open(f"{data}/log.jsonl", "w") as file:
            file.writelines(log_line(i, query_text=f"zanzibarium {i}") + "\n" for i in range(600))
        run("import-analytics", "--timezone", "UTC", "--tenant", "acme", f"{data}/log.jsonl", data=data)
        self.assertTrue(files_with(data, "zanzibarium"))
        run("tenant", "remove", "acme", data=data)
        self.assertEqual(files_with(data, "zanzibarium"), [])


class Import(RowsTest):
    def write(self, *lines):
        path = f"{self.data}/old.log"
        with open(path, "w") as file:
            file.write("".join(line + "\n" for line in lines))
        return path

    def test_fields_times_and_bad_lines(self):
        path = self.write(log_line(1), "no json", log_line(2, success=False, error_message="it broke"), "",
                          log_line(3, query_text=None), "x" * (2 << 20), log_line(4))
        done = run("import-analytics", path, "--timezone", "Europe/Berlin", data=self.data, code=1)
        self.assertIn("6 lines: 3 imported, 0 already there, 3 bad", done.stdout)
        for number, words in ((2, "JSON"), (5, "query_text is missing"), (6, "too long")):
            self.assertRegex(done.stderr, rf"old\.log:{number}: .*{words}")
        again = run("import-analytics", path, "--timezone", "Europe/Berlin", "--json", "--quiet", data=self.data, code=1)
        self.assertEqual(json.loads(again.stdout), {"lines": 6, "imported": 0, "already_there": 3, "bad": 3})
        rows = rows_of(self.data, "SELECT * FROM query_logs ORDER BY id")
        self.assertEqual(len(rows), 3)
        row = rows[0]
        self.assertEqual(row["timestamp"], "2025-07-07 10:00:00.000250")  # two hours ahead in summer
        self.assertEqual((row["query_text"], row["client_id"], row["model_used"]),
                         ("old question 1", "anonymous", "mistral:7b-instruct"))
        self.assertEqual((row["retrieval_time_ms"], row["generation_time_ms"], row["total_time_ms"]),
                         (12.5, 100.0, 112.5))
        self.assertEqual((row["sources_count"], row["avg_relevance_score"], row["relevance_scores"]),
                         (4, 0.8123, None))
        self.assertEqual((row["tokens_generated"], row["used_reranking"], row["success"]), (41, 1, 1))
        self.assertEqual(json.loads(row["metadata"]), {"query_id": "q_1762516800001", "query_length": 14,
                                                       "max_relevance_score": 0.91, "imported": True})
        self.assertEqual((rows[1]["success"], rows[1]["error_message"]), (0, "it broke"))
        exported = self.get("GET", "/analytics/export?format=json").json()
        self.assertEqual(exported[0]["query_id"], "q_1762516800001")

    def test_without_a_server(self):
        data = tempfile.mkdtemp(prefix="tars-http-")
        self.addCleanup(shutil.rmtree, data)
        path = self.write(*(log_line(i, timestamp="2025-01-07T12:00:00Z") for i in range(1234)))
        done = run("import-analytics", path, data=data, TZ="America/New_York")
        self.assertIn("1234 imported", done.stdout)
        self.assertEqual(rows_of(data, "SELECT DISTINCT timestamp FROM query_logs"),
                         [{"timestamp": "2025-01-07 12:00:00.000000"}])

    def test_wrong_use(self):
        run("import-analytics", data=self.data, code=2)
        run("import-analytics", "x", "--timezone", "Nowhere/Town", data=self.data, code=2)
        run("import-analytics", f"{self.data}/missing", data=self.data, code=3)


class Trends(RowsTest):
    settings = {"METRICS_SAMPLE_SECONDS": "1"}

    def test_trends(self):
        deadline = time.monotonic() + 60
        while not self.get("GET", "/analytics/trends").json()["trends"] and time.monotonic() < deadline:
            time.sleep(0.2)
        reply = self.get("GET", "/analytics/trends").json()
        trend = {trend["metric"]: trend for trend in reply["trends"]}["memory_percent"]
        self.assertEqual(trend["unit"], "percent")
        self.assertGreaterEqual(trend["samples"], 1)
        self.assertIsNone(trend["per_hour"])  # a minute says nothing of an hour
        self.assertFalse(trend["is_outlier"])
        self.assertIn("median", reply["rule"])
        self.assertEqual(reply["hours"], 24)
        while True:  # the sampler looks a little later than at the row
            text = self.ask("GET", "/metrics/prometheus").body.decode()
            if 'rag_system_outlier{metric="memory_percent"} 0' in text or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        self.assertIn('rag_system_outlier{metric="memory_percent"} 0', text)
        self.assertIn("memory_percent", run("analytics", "trends", data=self.data).stdout)


class Commands(RowsTest):
    def test_export_erase_anonymize(self):
        self.query("How many days of annual leave?", client="ann")
        self.query("How many days of annual leave?", client="bob")
        run("analytics", "export", "--format", "jsonl", "--output", "out.jsonl", data=self.data)
        with open(f"{self.data}/out.jsonl") as file:
            self.assertEqual(len(file.readlines()), 2)
        table = run("analytics", "export", data=self.data).stdout
        self.assertEqual(table.splitlines()[0].split(","), FIELDS)
        self.assertIn("1 questions", run("analytics", "anonymize", "--client", "bob", data=self.data).stdout)
        erased = run("analytics", "erase", "ann", "--json", data=self.data).stdout
        self.assertEqual(json.loads(erased)["queries"], 1)
        run("analytics", "export", "--format", "xml", data=self.data, code=3)
        run("analytics", "dance", data=self.data, code=2)


class EveryPath(RowsTest):
    def test_rows_of_every_path(self):
        body = {"query": "How many days of annual leave?"}
        self.get("POST", "/rag/query", body)
        self.get("POST", "/rag/query/stream", body).lines()
        run("ask", "How many days of annual leave?", data=self.data)
        self.chat("How many days of annual leave?", b"rag_complete", use_rag=True)
        self.health()
        rows = rows_of(self.data, "SELECT client_id, sources_count, success, metadata FROM query_logs")
        self.assertEqual(len(rows), 4)
        self.assertEqual({row["success"] for row in rows}, {1})
        self.assertTrue(all(row["sources_count"] > 0 for row in rows), rows)
        ids = [json.loads(row["metadata"]).get("request_id") for row in rows]
        self.assertEqual(len(set(ids)), 4)
        self.assertNotIn(None, ids)

    def test_without_a_server(self):
        data = tempfile.mkdtemp(prefix="tars-http-")
        self.addCleanup(shutil.rmtree, data)
        run("ingest", SAMPLES, data=data)
        run("ask", "How many days of annual leave?", data=data)
        rows = rows_of(data, "SELECT query_text, sources_count FROM query_logs")
        self.assertEqual(len(rows), 1)
        self.assertGreater(rows[0]["sources_count"], 0)


if __name__ == "__main__":
    unittest.main()
