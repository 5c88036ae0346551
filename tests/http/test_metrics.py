"""The wire contract, sections 1.6, 1.8, 3 and 7.10, seen by a client of a real server."""
import os
import re
import time
import unittest

from server import SAMPLES, TARS, ServerTest

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?$")


class MetricsTest(ServerTest):
    def setUp(self):
        token = self.ask("POST", "/auth/token", {"client_id": "desk-1"})
        self.headers = {"Authorization": "Bearer " + token.json()["access_token"]}

    def get(self, path):
        return self.ask("GET", path, headers=self.headers)

    def scrape(self):
        found = {}
        for line in self.ask("GET", "/metrics/prometheus").body.decode().splitlines():
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                found[name] = float(value)
        return found

    def assert_shape(self, value, shape):
        self.assertEqual(list(value), list(shape))
        for name, kind in shape.items():
            self.assertIsInstance(value[name], kind, name)


class Metrics(MetricsTest):
    settings = {"METRICS_SAMPLE_SECONDS": "1"}
    with_samples = True

    def test_system(self):
        system = self.get("/metrics/system").json()
        self.assert_shape(system, {"cpu_percent": float, "memory_percent": float, "memory_used_mb": float,
                                   "memory_total_mb": float, "documents_indexed": int, "chunks_stored": int,
                                   "queries_processed": int, "average_retrieval_time_ms": float,
                                   "timestamp": str})
        self.assertTrue(0 <= system["cpu_percent"] <= 100)
        self.assertTrue(0 < system["memory_percent"] <= 100)
        self.assertAlmostEqual(system["memory_percent"],
                               100 * system["memory_used_mb"] / system["memory_total_mb"], places=1)
        stats = self.get("/rag/stats").json()
        self.assertEqual((system["documents_indexed"], system["chunks_stored"]),
                         (stats["total_documents"], stats["total_chunks"]))
        for _ in range(3):  # a new look, every 5 s, may fall between two
            pair = [self.get("/metrics/system").json()["cpu_percent"] for _ in range(2)]
            if pair[0] == pair[1]:
                break
        self.assertEqual(*pair)
        self.ask("POST", "/rag/query", {"query": "annual leave"}, headers=self.headers)
        after = self.get("/metrics/system").json()
        self.assertEqual(after["queries_processed"], system["queries_processed"] + 1)
        self.assertGreater(after["average_retrieval_time_ms"], 0)

    def test_historical(self):
        self.ask("POST", "/rag/query", {"query": "annual leave"}, headers=self.headers)
        found = []
        for _ in range(240):
            history = self.get("/metrics/historical?start_time=2001-01-01&end_time=2999-01-01&interval=10").json()
            found = [m for m in history["metrics"] if m["average_query_time_ms"] is not None]
            if found:
                break
            time.sleep(0.25)
        self.assert_shape(history, {"metrics": list, "start_time": str, "end_time": str, "interval": int,
                                    "note": str})
        self.assertEqual((history["start_time"], history["end_time"], history["interval"]),
                         ("2001-01-01", "2999-01-01", 10))
        sample = found[0]
        self.assertRegex(sample["timestamp"], TIME)
        self.assertTrue(0 <= sample["cpu_percent"] <= 100 and 0 < sample["memory_percent"] <= 100)
        self.assertGreater(sample["documents_indexed"], 0)
        self.assertGreaterEqual(sample["active_connections"], 0)
        self.assertGreater(sample["queries_per_minute"], 0)
        past = self.get("/metrics/historical?start_time=2001-01-01&end_time=2001-01-02").json()
        self.assertEqual((past["metrics"], past["interval"]), ([], 60))

    def test_historical_refuses(self):
        cases = [("", {"start_time", "end_time"}), ("start_time=a", {"end_time"}),
                 ("start_time=a&end_time=b&interval=9", {"interval"}),
                 ("start_time=a&end_time=b&interval=3601", {"interval"})]
        for query, names in cases:
            with self.subTest(query=query):
                reply = self.get("/metrics/historical?" + query)
                self.assertEqual(reply.status, 422)
                self.assertEqual({d["loc"][1] for d in reply.json()["detail"]}, names)
        reply = self.get("/metrics/historical?start_time=any&end_time=text")
        self.assertEqual((reply.status, reply.json()["metrics"]), (200, []))

    def test_health(self):
        health = self.ask("GET", "/metrics/health").json()
        self.assertRegex(health.pop("timestamp"), TIME)
        self.assertEqual(health, {"status": "healthy", "cpu_available": True, "memory_available": True,
                                  "gpu_available": False, "prometheus_enabled": True,
                                  "metrics_collected": True})

    def test_summary(self):
        summary = self.get("/metrics/summary").json()
        self.assert_shape(summary, {"application": dict, "cache": dict, "system": dict})
        self.assert_shape(summary["application"], {"version": str, "environment": str, "model": str})
        self.assert_shape(summary["cache"], {"enabled": bool, "hit_rate_percent": float, "total_hits": int,
                                             "total_misses": int, "total_sets": int})
        self.assert_shape(summary["system"], {"cpu_percent": float, "memory_percent": float})

    def test_a_question_is_counted_once_in_each(self):
        self.ask("POST", "/rag/query", {"query": "warm up"}, headers=self.headers)
        before = self.scrape()
        answer = self.ask("POST", "/rag/query", {"query": f"days of annual leave {time.time()}"},
                          headers=self.headers).json()
        after = self.scrape()

        def grown(name):
            return after[name] - before.get(name, 0)

        for name in ('tars_rag_queries_total{status="success"}', "tars_rag_query_duration_seconds_count",
                     "tars_rag_retrieval_duration_seconds_count", "tars_rag_generation_duration_seconds_count",
                     "tars_rag_sources_retrieved_count", "tars_vector_search_total",
                     "tars_vector_search_duration_seconds_count", 'tars_chromadb_operations_total{operation="query"}',
                     "tars_chromadb_query_duration_seconds_count", 'tars_embedding_operations_total{type="query"}',
                     "tars_embedding_duration_seconds_count", "tars_embeddings_generated_total",
                     "tars_analytics_queries_logged_total", 'tars_tenant_questions_total{tenant="default"}'):
            self.assertEqual(grown(name), 1, name)
        self.assertEqual(grown("tars_analytics_documents_accessed_total"), len(answer["sources"]))
        self.assertEqual(grown("tars_rag_queries_failed_total"), 0)

    def test_stats_have_the_watched_folder(self):
        nas = self.get("/rag/stats").json()["nas"]
        self.assertEqual(set(nas), {"enabled", "watch_path", "files_detected", "files_indexed", "files_failed",
                                    "files_skipped", "pending_files", "processing_files", "indexed_hashes",
                                    "last_scan", "started_at"})
        self.assertEqual((nas["enabled"], nas["last_scan"]), (False, None))

    def test_ops(self):
        summary = self.get("/ops/summary").json()
        self.assertEqual(list(summary), ["timestamp", "version", "uptime_seconds", "overall_status", "services",
                                         "model", "chroma_stats", "ingestion", "query_activity", "nas_mounted",
                                         "nas_document_count"])
        self.assertEqual(summary["overall_status"], "healthy")
        self.assertIn("store", [s["name"] for s in summary["services"]])
        self.assertGreater(summary["chroma_stats"]["total_chunks"], 0)
        snapshot = self.ask("GET", "/ops/health-snapshot").json()
        self.assertEqual(list(snapshot), ["timestamp", "version", "status", "services"])
        self.assertEqual((snapshot["status"], snapshot["services"]["store"], snapshot["services"]["analytics"]),
                         ("healthy", "healthy", "healthy"))


class WithoutPrometheus(MetricsTest):
    settings = {"PROMETHEUS_ENABLED": "false"}

    def test_its_routes_are_away(self):
        for path in ("/metrics/prometheus", "/metrics/summary"):
            self.assertEqual(self.get(path).status, 404)
        self.assertEqual(self.get("/metrics/system").status, 200)
        self.assertFalse(self.ask("GET", "/metrics/health").json()["prometheus_enabled"])


class WithGpu(MetricsTest):
    """The library is a stand-in (tests/support/fake_nvml.c); two processors, of which the last is told."""
    settings = {"TARS_NVML": os.path.join(os.path.dirname(TARS), "fake_nvml.so"), "METRICS_SAMPLE_SECONDS": "1"}

    def test_it_is_told_everywhere(self):
        self.assertIs(self.ask("GET", "/metrics/health").json()["gpu_available"], True)
        system = self.get("/metrics/system").json()
        self.assertEqual(list(system)[-5:], ["gpu_name", "gpu_percent", "gpu_memory_percent", "gpu_memory_used_mb",
                                             "gpu_memory_total_mb"])
        self.assertEqual([system[name] for name in list(system)[-5:]], ["Fake GPU 1", 11.0, 25.0, 2048.0, 8192.0])
        found = self.scrape()
        for name, value in (("system_gpu_usage_percent", 11), ("system_gpu_memory_usage_percent", 25),
                            ("gpu_utilization_percent", 11), ("gpu_memory_used_bytes", 2 << 30),
                            ("gpu_temperature_celsius", 41)):
            self.assertEqual(found["tars_" + name], value, name)
        rows = []
        for _ in range(240):
            rows = self.get("/metrics/historical?start_time=2001-01-01&end_time=2999-01-01").json()["metrics"]
            if rows:
                break
            time.sleep(0.25)
        self.assertEqual((rows[0]["gpu_percent"], rows[0]["gpu_memory_percent"]), (11.0, 25.0))


class GpuThatTellsLittle(MetricsTest):
    settings = {**WithGpu.settings, "FAKE_NVML_FAILS": "memory,handle1"}

    def test_what_is_not_told_is_null_or_0(self):
        system = self.get("/metrics/system").json()
        self.assertEqual((system["gpu_name"], system["gpu_percent"], system["gpu_memory_percent"]),
                         ("Fake GPU 0", 10.0, None))
        found = self.scrape()
        self.assertEqual((found["tars_gpu_utilization_percent"], found["tars_gpu_memory_used_bytes"]), (10, 0))


class Watched(MetricsTest):
    @classmethod
    def setUpClass(cls):
        cls.settings = {"NAS_WATCH_ENABLED": "true", "NAS_MOUNT_POINT": SAMPLES}
        super().setUpClass()

    def test_files_are_counted(self):
        nas = {}
        for _ in range(240):
            nas = self.get("/rag/stats").json()["nas"]
            if nas["files_indexed"] >= 8:
                break
            time.sleep(0.25)
        self.assertGreaterEqual(nas["files_detected"], nas["files_indexed"])
        self.assertGreaterEqual(nas["files_indexed"], 8)
        self.assertEqual((nas["enabled"], nas["files_failed"], nas["pending_files"]), (True, 0, 0))
        self.assertEqual(os.path.realpath(nas["watch_path"]), os.path.realpath(SAMPLES))
        self.assertRegex(nas["last_scan"], TIME)
        self.assertRegex(nas["started_at"], TIME)
        summary = self.get("/ops/summary").json()
        self.assertEqual((summary["nas_mounted"], summary["nas_document_count"] >= 8), (True, True))


if __name__ == "__main__":
    unittest.main()
