"""Contract 1.5: analytics; 7.9: the columns of the export."""
import csv
import glob
import os
import time
import unittest

from contract import NUMBER, Contract, decimals

STATS = {"total_queries": int, "successful_queries": int, "failed_queries": int, "success_rate": NUMBER,
         "avg_retrieval_time_ms": NUMBER, "avg_generation_time_ms": NUMBER, "avg_total_time_ms": NUMBER,
         "avg_sources_count": NUMBER, "avg_relevance_score": NUMBER, "reranking_usage_count": int,
         "reranking_usage_rate": NUMBER, "hybrid_search_usage_count": int, "hybrid_search_usage_rate": NUMBER,
         "query_expansion_usage_count": int, "query_expansion_usage_rate": NUMBER, "start_time": None,
         "end_time": None}
PATTERNS = {"total_queries": int, "avg_query_length": NUMBER, "min_query_length": int, "max_query_length": int,
            "top_words": dict, "queries_by_hour": dict}
COLUMNS = ["query_id", "timestamp", "client_id", "query_text", "query_length", "retrieval_time_ms",
           "generation_time_ms", "total_time_ms", "sources_count", "avg_relevance_score", "max_relevance_score",
           "model_used", "tokens_generated", "used_reranking", "used_hybrid_search", "used_query_expansion",
           "expansion_count", "success", "error_message"]


class Empty(Contract):
    documents = False

    def test_query_stats(self):
        """1.5 GET /analytics/query-stats: no rows give zeros, 200"""
        body = self.assert_json(self.http.get("/analytics/query-stats", headers=self.bearer()))
        self.assert_keys(body, STATS)
        self.assertEqual({v for k, v in body.items() if k in STATS and not k.endswith("_time")}, {0})

    def test_patterns(self):
        """1.5 GET /analytics/query-patterns: no rows give zeros, 200"""
        body = self.assert_json(self.http.get("/analytics/query-patterns", headers=self.bearer()))
        self.assert_keys(body, PATTERNS)
        self.assertEqual((body["total_queries"], body["top_words"], body["queries_by_hour"]), (0, {}, {}))

    def test_popularity(self):
        """1.5 GET /analytics/document-popularity: no rows give []"""
        self.assertEqual(self.assert_json(self.http.get("/analytics/document-popularity",
                                                        headers=self.bearer())), [])

    def test_summary(self):
        """1.5 GET /analytics/summary: no rows"""
        body = self.assert_json(self.http.get("/analytics/summary", headers=self.bearer()))
        self.assert_keys(body["query_stats"], STATS)


class Analytics(Contract):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.headers = cls.bearer("analyst")
        for question in ("Who is the lighthouse keeper of Oldport?", "When does the ferry leave the harbour?",
                         "What is shown on the pier in a storm?"):
            cls.http.post("/rag/query", json={"query": question, "relevance_threshold": 0}, headers=cls.headers)
        for _ in range(600):  # rows are written off the answer's path
            if cls.http.get("/analytics/query-stats", headers=cls.headers).json().get("total_queries") == 3:
                break
            time.sleep(0.1)

    def test_health(self):
        """1.5 GET /analytics/health"""
        body = self.assert_json(self.http.get("/analytics/health"))
        self.assert_keys(body, {"status": str, "enable_logging": bool, "total_queries": int, "total_errors": int,
                                "tracked_documents": int})

    def test_query_stats(self):
        """1.5 GET /analytics/query-stats"""
        reply = self.http.get("/analytics/query-stats", headers=self.headers)
        body = self.assert_json(reply)
        self.assert_keys(body, STATS)
        self.assertEqual((body["total_queries"], body["successful_queries"], body["failed_queries"],
                          body["success_rate"]), (3, 3, 0, 1))
        self.assertEqual((body["start_time"], body["end_time"]), (None, None))
        self.assertGreater(body["avg_sources_count"], 0)
        for key in STATS:
            places = 4 if key.endswith("_rate") or key == "avg_relevance_score" else 2
            self.assertLessEqual(decimals(reply.text, key), places, key)

    def test_query_stats_range(self):
        """1.5 GET /analytics/query-stats: start_time and end_time, inclusive, echoed"""
        params = {"start_time": "2001-01-01T00:00:00", "end_time": "2002-01-01T00:00:00"}
        body = self.assert_json(self.http.get("/analytics/query-stats", params=params, headers=self.headers))
        self.assertEqual((body["total_queries"], body["start_time"], body["end_time"]), (0, *params.values()))
        body = self.http.get("/analytics/query-stats", params={"start_time": "2001-01-01"},
                             headers=self.headers).json()
        self.assertEqual(body["total_queries"], 3)

    def test_query_stats_bad_time(self):
        """1.5 GET /analytics/query-stats: 400 Invalid time format"""
        body = self.assert_json(self.http.get("/analytics/query-stats", params={"start_time": "yesterday"},
                                              headers=self.headers), 400)
        self.assertTrue(body["detail"].startswith("Invalid time format: "), body)

    def test_popularity(self):
        """1.5 GET /analytics/document-popularity"""
        body = self.assert_json(self.http.get("/analytics/document-popularity", headers=self.headers))
        self.assertGreaterEqual(len(body), 1)
        for row in body:
            self.assert_keys(row, {"document_id": str, "file_name": str, "access_count": int, "last_accessed": str,
                                   "avg_relevance_score": NUMBER, "total_retrievals": int})
            self.assert_time(row["last_accessed"])
        counts = [row["access_count"] for row in body]
        self.assertEqual(counts, sorted(counts, reverse=True))

    def test_popularity_bounds(self):
        """1.5 GET /analytics/document-popularity: top_n 1..100"""
        for value, kind in ((0, "greater_than_equal"), (101, "less_than_equal")):
            self.assert_invalid(self.http.get(f"/analytics/document-popularity?top_n={value}", headers=self.headers),
                                kind, "query", "top_n")
        self.assertEqual(len(self.http.get("/analytics/document-popularity?top_n=1", headers=self.headers).json()), 1)

    def test_patterns(self):
        """1.5 GET /analytics/query-patterns"""
        reply = self.http.get("/analytics/query-patterns", headers=self.headers)
        body = self.assert_json(reply)
        self.assert_keys(body, PATTERNS)
        self.assertEqual(body["total_queries"], 3)
        self.assertEqual(body["top_words"]["the"], 4)
        self.assertLessEqual(len(body["top_words"]), 20)
        self.assertEqual(sum(body["queries_by_hour"].values()), 3)
        self.assertTrue(set(body["queries_by_hour"]) <= {str(hour) for hour in range(24)})
        self.assertEqual((body["min_query_length"], body["max_query_length"]), (37, 40))
        self.assertLessEqual(decimals(reply.text, "avg_query_length"), 2)

    def test_summary(self):
        """1.5 GET /analytics/summary"""
        body = self.assert_json(self.http.get("/analytics/summary", headers=self.headers))
        self.assert_keys(body["query_stats"], STATS)
        self.assert_keys(body["query_patterns"], PATTERNS)
        self.assertIsInstance(body["top_documents"], list)
        self.assert_time(body["timestamp"])

    def exported(self):
        found = glob.glob(os.path.join(self.data, "exports", "**", "*.csv"), recursive=True)
        self.assertEqual(len(found), 1)
        return found[0]

    def test_export(self):
        """1.5 POST /analytics/export; 7.9 the 19 columns"""
        body = self.assert_json(self.http.post("/analytics/export", json={"output_path": "queries.csv"},
                                               headers=self.headers))
        self.assert_keys(body, {"status": str, "output_path": str, "message": str})
        with open(self.exported(), "rb") as file:
            raw = file.read()
        self.assertEqual(raw.count(b"\r\n"), raw.count(b"\n"))
        rows = list(csv.DictReader(raw.decode().splitlines()))
        self.assertEqual(list(rows[0]), COLUMNS)
        self.assertEqual(len(rows), 3)
        self.assertEqual({row["success"] for row in rows}, {"True"})
        self.assertEqual({row["client_id"] for row in rows}, {"analyst"})

    def test_export_paths(self):
        """8 export path: 400 outside the one directory and for other endings"""
        for path in ("../out.csv", "/tmp/out.csv", "a/../../out.csv", "out.txt", "out", ""):
            with self.subTest(path):
                reply = self.http.post("/analytics/export", json={"output_path": path}, headers=self.headers)
                self.assertIn(reply.status_code, (400, 422))
        self.assert_invalid(self.http.post("/analytics/export", json={}, headers=self.headers), "missing", "body",
                            "output_path")


class Clear(Contract):
    def test_clear(self):
        """1.5 DELETE /analytics/clear"""
        headers = self.bearer("clear-1")
        self.http.post("/rag/query", json={"query": "Who?", "relevance_threshold": 0}, headers=headers)
        for _ in range(600):
            if self.http.get("/analytics/query-stats", headers=headers).json()["total_queries"]:
                break
            time.sleep(0.1)
        body = self.assert_json(self.http.delete("/analytics/clear", headers=headers))
        self.assert_keys(body, {"status": str, "message": str})
        self.assertEqual(self.http.get("/analytics/query-stats", headers=headers).json()["total_queries"], 0)


if __name__ == "__main__":
    unittest.main()
