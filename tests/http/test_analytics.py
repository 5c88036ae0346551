"""The wire contract, section 1.5 and the tables of section 5, seen by a client of a real server."""
import csv
import hashlib
import io
import json
import os
import re
import sqlite3
import unittest

from server import SAMPLES, ServerTest, run

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?$")
FIELDS = ["query_id", "timestamp", "client_id", "query_text", "query_length", "retrieval_time_ms",
          "generation_time_ms", "total_time_ms", "sources_count", "avg_relevance_score",
          "max_relevance_score", "model_used", "tokens_generated", "used_reranking",
          "used_hybrid_search", "used_query_expansion", "expansion_count", "success", "error_message"]
ZEROS = {"total_queries": 0, "successful_queries": 0, "failed_queries": 0, "success_rate": 0.0,
         "avg_retrieval_time_ms": 0.0, "avg_generation_time_ms": 0.0, "avg_total_time_ms": 0.0,
         "avg_sources_count": 0.0, "avg_relevance_score": 0.0, "reranking_usage_count": 0,
         "reranking_usage_rate": 0.0, "hybrid_search_usage_count": 0, "hybrid_search_usage_rate": 0.0,
         "query_expansion_usage_count": 0, "query_expansion_usage_rate": 0.0, "start_time": None,
         "end_time": None}
NO_PATTERNS = {"total_queries": 0, "avg_query_length": 0.0, "min_query_length": 0,
               "max_query_length": 0, "top_words": {}, "queries_by_hour": {}}


class AnalyticsTest(ServerTest):
    def setUp(self):
        token = self.ask("POST", "/auth/token", {"client_id": "desk-1"})
        self.headers = {"Authorization": "Bearer " + token.json()["access_token"]} \
            if token.status == 200 else {}

    def get(self, path):
        return self.ask("GET", "/analytics/" + path, headers=self.headers)

    def post(self, path, body):
        return self.ask("POST", path, body, headers=self.headers)

    def rows(self, sql):
        connection = sqlite3.connect(f"file:{self.data}/analytics.db?mode=ro", uri=True)
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute(sql)]
        connection.close()
        return rows


class Empty(AnalyticsTest):
    def test_zeros(self):
        self.assertEqual(self.get("health").json(),
                         {"status": "healthy", "enable_logging": True, "total_queries": 0,
                          "total_errors": 0, "tracked_documents": 0, "waiting_bytes": 0,
                          "journal_bytes": 64 << 20, "lost_rows": 0, "replayed_rows": 0})
        self.assertEqual(self.get("query-stats").json(), ZEROS)
        self.assertEqual(self.get("document-popularity").json(), [])
        self.assertEqual(self.get("query-patterns").json(), NO_PATTERNS)
        summary = self.get("summary").json()
        self.assertRegex(summary.pop("timestamp"), TIME)
        self.assertEqual(summary, {"query_stats": ZEROS, "top_documents": [],
                                   "query_patterns": NO_PATTERNS})

    def test_export_of_nothing_is_a_header(self):
        reply = self.post("/analytics/export", {"output_path": "none.csv"})
        self.assertEqual(reply.status, 200)
        with open(f"{self.data}/exports/none.csv", newline="") as file:
            self.assertEqual(file.read(), ",".join(FIELDS) + "\r\n")


class Analytics(AnalyticsTest):
    with_samples = True

    def setUp(self):
        super().setUp()
        self.assertEqual(self.ask("DELETE", "/analytics/clear", headers=self.headers).json(),
                         {"status": "success", "message": "Analytics data cleared"})
        self.answer = self.post("/rag/query", {"query": "How many days of ANNUAL leave?",
                                               "conversation_id": "conv_1"}).json()
        self.stream = self.post("/rag/query/stream", {"query": "Who won the world cup?"}).lines()

    def test_a_row_holds_what_happened(self):
        self.assertEqual(self.get("query-stats").json()["total_queries"], 2)
        rows = self.rows("SELECT * FROM query_logs ORDER BY id")
        row = rows[0]
        self.assertEqual(row["query_text"], "How many days of ANNUAL leave?")
        self.assertEqual(row["query_hash"], hashlib.sha256(row["query_text"].encode()).hexdigest())
        self.assertEqual(row["client_id"], "desk-1" if self.headers else "anonymous")
        self.assertEqual(row["tenant"], "default")
        self.assertEqual((row["sources_count"], row["success"], row["error_message"]),
                         (len(self.answer["sources"]), 1, None))
        self.assertEqual(row["model_used"], self.answer["model"])
        self.assertAlmostEqual(row["total_time_ms"], self.answer["total_time_ms"], delta=0.01)
        hybrid = any(s["metadata"]["hybrid_search"] for s in self.answer["sources"])
        self.assertEqual(row["used_hybrid_search"], int(hybrid))
        self.assertEqual(row["used_reranking"],
                         int(any(s["metadata"]["reranked"] for s in self.answer["sources"])))
        self.assertEqual(row["used_query_expansion"], 0)
        scores = json.loads(row["relevance_scores"])
        self.assertEqual([round(s, 4) for s in scores], self.answer["relevance_scores"])
        metadata = json.loads(row["metadata"])
        self.assertRegex(metadata["request_id"], r"^[0-9a-f]{32}$|^[\x21-\x7e]+$")
        self.assertEqual(metadata["conversation_id"], "conv_1")
        self.assertEqual((rows[1]["sources_count"], rows[1]["avg_relevance_score"]), (0, None))
        accesses = self.rows("SELECT * FROM document_accesses ORDER BY rank")
        self.assertEqual([(a["document_id"], a["chunk_id"], a["file_name"], a["rank"]) for a in accesses],
                         [(s["document_id"], s["chunk_id"], s["file_name"], i + 1)
                          for i, s in enumerate(self.answer["sources"])])
        self.assertTrue(all(a["query_id"] == row["id"] for a in accesses))

    def test_stats(self):
        stats = self.get("query-stats").json()
        self.assertEqual(list(stats), list(ZEROS))
        self.assertEqual((stats["total_queries"], stats["successful_queries"], stats["failed_queries"]),
                         (2, 2, 0))
        self.assertEqual(stats["success_rate"], 1.0)
        self.assertEqual(stats["avg_sources_count"], round(len(self.answer["sources"]) / 2, 2))
        mean = sum(self.answer["relevance_scores"]) / len(self.answer["relevance_scores"])
        self.assertAlmostEqual(stats["avg_relevance_score"], mean / 2, places=3)

    def test_range(self):
        self.get("health")  # so that what waits is written
        first, second = [r["timestamp"].replace(" ", "T")
                         for r in self.rows("SELECT timestamp FROM query_logs ORDER BY id")]
        cases = [
            (f"start_time={first}", 2), (f"end_time={first}", 1), (f"start_time={second}", 1),
            (f"start_time={first}&end_time={second}", 2), (f"start_time={first}Z&end_time={first}Z", 1),
            ("end_time=2001-01-01", 0), ("start_time=2001-01-01T00:00:00%2B02:00", 2),
        ]
        for query, expected in cases:
            with self.subTest(query=query):
                stats = self.get("query-stats?" + query).json()
                self.assertEqual(stats["total_queries"], expected)
        stats = self.get(f"query-stats?start_time={first}").json()
        self.assertEqual((stats["start_time"], stats["end_time"]), (first, None))

    def test_wrong_times(self):
        for query in ("start_time=yesterday", "end_time=2025-13-01", "start_time="):
            with self.subTest(query=query):
                reply = self.get("query-stats?" + query)
                self.assertEqual(reply.status, 400)
                self.assertTrue(reply.json()["detail"].startswith("Invalid time format: "))

    def test_popularity(self):
        self.post("/rag/query", {"query": "How many days of annual leave?", "top_k": 1})
        documents = self.get("document-popularity").json()
        self.assertEqual(list(documents[0]), ["document_id", "file_name", "access_count", "last_accessed",
                                              "avg_relevance_score", "total_retrievals"])
        self.assertEqual(documents[0]["file_name"], "leave.md")
        self.assertEqual((documents[0]["access_count"], documents[0]["total_retrievals"]), (2, 2))
        self.assertRegex(documents[0]["last_accessed"], TIME)
        counts = [d["access_count"] for d in documents]
        self.assertEqual(counts, sorted(counts, reverse=True))
        self.assertEqual(len(self.get("document-popularity?top_n=1").json()), 1)
        for wrong in ("0", "101", "x"):
            self.assertEqual(self.get("document-popularity?top_n=" + wrong).status, 422)

    def test_patterns(self):
        patterns = self.get("query-patterns").json()
        self.assertEqual(list(patterns), list(NO_PATTERNS))
        self.assertEqual((patterns["total_queries"], patterns["min_query_length"],
                          patterns["max_query_length"], patterns["avg_query_length"]), (2, 22, 30, 26.0))
        self.assertEqual(patterns["top_words"]["annual"], 1)
        self.assertEqual(sum(patterns["queries_by_hour"].values()), 2)

    def test_export(self):
        reply = self.post("/analytics/export", {"output_path": "2026/questions.csv"})
        self.assertEqual(reply.json()["status"], "success")
        self.assertEqual(reply.json()["output_path"], "2026/questions.csv")
        with open(f"{self.data}/exports/2026/questions.csv", newline="") as file:
            text = file.read()
        rows = list(csv.DictReader(io.StringIO(text, newline="")))
        self.assertEqual(list(rows[0]), FIELDS)
        self.assertEqual(text.count("\r\n"), 3)
        self.assertEqual(rows[0]["query_text"], "How many days of ANNUAL leave?")
        self.assertRegex(rows[0]["query_id"], r"^q_\d{13}$")
        self.assertEqual((rows[0]["success"], rows[0]["used_query_expansion"], rows[0]["error_message"]),
                         ("True", "False", ""))
        reply = self.post("/analytics/export", {"output_path": f"{self.data}/exports/q.json"})
        self.assertEqual(reply.status, 200)
        with open(f"{self.data}/exports/q.json") as file:
            rows = json.load(file)
        self.assertEqual(list(rows[0]), FIELDS)
        self.assertEqual((len(rows), rows[0]["success"], rows[0]["error_message"]), (2, True, None))
        self.assertEqual(os.stat(f"{self.data}/exports/q.json").st_mode & 0o777, 0o600)

    def test_export_stays_inside(self):
        os.makedirs(f"{self.data}/exports", exist_ok=True)
        if not os.path.lexists(f"{self.data}/exports/out"):
            os.symlink("/tmp", f"{self.data}/exports/out")
        for path in ("../x.csv", "/tmp/x.csv", "x.txt", "", "out/x.csv", ".x.csv", f"{self.data}/x.csv"):
            with self.subTest(path=path):
                reply = self.post("/analytics/export", {"output_path": path})
                self.assertEqual(reply.status, 400)
                self.assertTrue(reply.json()["detail"].startswith("Invalid output path: "))
        self.assertEqual(self.post("/analytics/export", {}).status, 422)

    def test_refused_questions_leave_no_row(self):
        self.post("/rag/query", {"query": " "})
        reply = self.post("/rag/query", {"query": "x", "filters": {"file_type": {"$no": 1}}})
        self.assertEqual(reply.status, 422)
        self.assertEqual(self.get("query-stats").json()["total_queries"], 2)

    def test_summary(self):
        summary = self.get("summary").json()
        self.assertEqual(list(summary), ["query_stats", "top_documents", "query_patterns", "timestamp"])
        self.assertEqual(summary["query_stats"]["total_queries"], 2)
        self.assertEqual(summary["top_documents"][0]["file_name"], "leave.md")

    def test_failures_are_logged(self):
        broken = b"%PDF-1.4 but not really"
        os.makedirs(f"{self.data}/root", exist_ok=True)
        path = os.path.join(self.data, "root", "broken.pdf")
        with open(path, "wb") as file:
            file.write(broken)
        reply = self.post("/rag/index", {"file_path": path})
        self.assertEqual(reply.json()["status"], "failed")
        self.assertEqual(self.get("health").json()["total_errors"], 1)
        row = self.rows("SELECT * FROM error_logs")[0]
        self.assertEqual((row["service"], row["operation"], row["severity"]), ("ingest", "index", "WARNING"))
        self.assertTrue(row["error_message"])

    def test_tables_are_those_of_the_contract(self):
        expected = {
            "query_logs": "id timestamp query_text query_hash client_id retrieval_time_ms generation_time_ms "
                          "total_time_ms sources_count relevance_scores avg_relevance_score model_used "
                          "tokens_generated expansion_count used_reranking used_hybrid_search "
                          "used_query_expansion success error_message metadata",
            "document_accesses": "id timestamp query_id document_id file_name chunk_id relevance_score rank "
                                 "metadata",
            "error_logs": "id timestamp error_type error_message stack_trace service operation client_id "
                          "severity metadata",
            "system_metrics": "id timestamp cpu_usage_percent memory_usage_percent gpu_usage_percent "
                              "gpu_memory_usage_percent cache_hit_rate avg_query_time_ms avg_retrieval_time_ms "
                              "avg_generation_time_ms queries_per_minute active_connections total_documents "
                              "total_chunks metadata",
        }
        for table, columns in expected.items():
            found = [c["name"] for c in self.rows(f"PRAGMA table_info({table})")]
            self.assertEqual([c for c in found if c not in ("tenant", "collection", "request_id", "imported_id")], columns.split())
        names = {r["name"] for r in self.rows("SELECT name FROM sqlite_master WHERE type = 'index'")}
        for name in ("idx_query_timestamp", "idx_query_client_timestamp", "idx_query_success",
                     "idx_query_features", "ix_query_logs_query_hash", "idx_doc_access_timestamp",
                     "idx_doc_access_document", "idx_doc_access_query", "ix_document_accesses_chunk_id",
                     "idx_error_timestamp", "idx_error_type_timestamp", "idx_error_service",
                     "idx_error_severity", "ix_error_logs_client_id", "idx_metrics_timestamp"):
            self.assertIn(name, names)


class Survival(AnalyticsTest):
    def test_rows_survive_the_death_of_the_process(self):
        for i in range(20):
            self.post("/rag/query", {"query": f"question {i}"})
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        type(self).start()
        self.setUp()
        self.assertEqual(self.get("query-stats").json()["total_queries"], 20)
        self.assertEqual(len(self.rows("SELECT DISTINCT query_text FROM query_logs")), 20)


class Off(AnalyticsTest):
    settings = {"ANALYTICS_ENABLED": "false"}

    def test_nothing_is_kept(self):
        self.post("/rag/query", {"query": "How many days of annual leave?"})
        self.assertEqual(self.get("query-stats").json(), ZEROS)
        self.assertFalse(self.get("health").json()["enable_logging"])
        self.assertFalse(os.path.exists(f"{self.data}/analytics.db"))


class Commands(unittest.TestCase):
    def test_questions_asked_without_a_server_are_kept(self):
        import shutil
        import tempfile
        data = tempfile.mkdtemp(prefix="tars-http-")
        self.addCleanup(shutil.rmtree, data)
        run("ingest", SAMPLES, data=data)
        run("ask", "How many days of annual leave?", data=data)
        connection = sqlite3.connect(f"{data}/analytics.db")
        rows = connection.execute("SELECT query_text, sources_count FROM query_logs").fetchall()
        connection.close()
        self.assertEqual(rows[0][0], "How many days of annual leave?")
        self.assertGreater(rows[0][1], 0)


if __name__ == "__main__":
    unittest.main()
