"""Contract 1.1 root and health, 1.6 metrics, 3 Prometheus, 1.8 ops."""
import re
import unittest

from contract import NUMBER, SERVICE, VERSION, Contract


class Root(Contract):
    def test_root(self):
        """1.1 GET /"""
        body = self.assert_json(self.http.get("/"))
        expected = {
            "service": SERVICE, "version": VERSION, "phase": "Phase 6 - Production Scaling & Security",
            "status": "production", "docs": "/docs", "health": "/health", "ready": "/ready", "auth": "/auth/token",
            "websocket": "/ws/chat", "rag": "/rag/query", "conversation": "/conversation/list",
            "metrics": "/metrics/system", "prometheus": "/metrics/prometheus", "analytics": "/analytics/summary",
            "nas_stats": "/rag/stats"}
        self.assertEqual({key: body.get(key) for key in expected}, expected)

    def test_health(self):
        """1.1 GET /health"""
        body = self.assert_json(self.http.get("/health"))
        self.assertEqual((body["status"], body["service"], body["version"]), ("healthy", SERVICE, VERSION))
        self.assert_time(body["timestamp"])

    def test_ready(self):
        """1.1 GET /ready"""
        body = self.assert_json(self.http.get("/ready"))
        self.assertEqual((body["service"], body["version"]), (SERVICE, VERSION))
        self.assertIsInstance(body["uptime_seconds"], int)
        self.assert_time(body["timestamp"])
        four = [body["checks"][name] for name in ("ollama", "chromadb", "embedding_model", "conversation_service")]
        self.assertTrue(set(four) <= {"healthy", "unhealthy"})
        self.assertEqual(body["status"], "ready" if set(four) == {"healthy"} else "degraded")
        self.assertIn(body["checks"]["nas_watcher"], ("enabled", "disabled"))
        for name in ("redis_cache", "postgres"):
            self.assertIn(body["checks"][name], ("connected", "disconnected", "disabled"))
        self.assertIsInstance(body["degraded"], list)

    def test_metrics(self):
        """1.1 GET /metrics"""
        body = self.assert_json(self.http.get("/metrics"))
        self.assertEqual((body["service"], body["version"]), (SERVICE, VERSION))
        self.assertIsInstance(body["uptime_seconds"], int)
        self.assert_time(body["startup_time"])
        self.assert_time(body["timestamp"])

    def test_docs(self):
        """1.1 GET /docs, /redoc, /docs/oauth2-redirect: self-contained pages"""
        for path in ("/docs", "/redoc", "/docs/oauth2-redirect"):
            with self.subTest(path):
                reply = self.http.get(path, follow_redirects=True)
                self.assertEqual(reply.status_code, 200)
                self.assertTrue(reply.headers["content-type"].startswith("text/html"))
                self.assertFalse(re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", reply.text))

    def test_openapi(self):
        """1.1 GET /openapi.json"""
        body = self.assert_json(self.http.get("/openapi.json"))
        self.assertTrue(body["openapi"].startswith("3."))
        for path in ("/auth/token", "/rag/query", "/conversation/list", "/analytics/summary"):
            self.assertIn(path, body["paths"])


class Metrics(Contract):
    def test_system(self):
        """1.6 GET /metrics/system"""
        body = self.assert_json(self.http.get("/metrics/system"))
        self.assert_keys(body, {"cpu_percent": NUMBER, "memory_percent": NUMBER, "memory_used_mb": NUMBER,
                                "memory_total_mb": NUMBER, "documents_indexed": int, "chunks_stored": int,
                                "queries_processed": int, "average_retrieval_time_ms": NUMBER})
        self.assert_time(body["timestamp"])
        self.assertTrue(0 <= body["cpu_percent"] <= 100 and 0 < body["memory_percent"] <= 100)
        self.assertGreater(body["memory_total_mb"], body["memory_used_mb"])
        self.assertGreaterEqual(body["chunks_stored"], 1)

    def test_system_is_cached(self):
        """1.6 GET /metrics/system: what the machine does is measured every 5 s at most"""
        def machine():
            told = self.http.get("/metrics/system").json()
            return [told[key] for key in ("cpu_percent", "memory_percent", "memory_used_mb")]

        pairs = []
        while not pairs or (pairs[-1][0] != pairs[-1][1] and len(pairs) < 3):  # a new look may fall between two
            pairs.append((machine(), machine()))
        self.assertEqual(*pairs[-1])

    def test_historical(self):
        """1.6 GET /metrics/historical"""
        params = {"start_time": "2025-01-01T00:00:00", "end_time": "2035-01-01T00:00:00"}
        body = self.assert_json(self.http.get("/metrics/historical", params=params))
        self.assert_keys(body, {"metrics": list, "note": str, "interval": int})
        self.assertEqual((body["start_time"], body["end_time"], body["interval"]), (*params.values(), 60))

    def test_historical_bounds(self):
        """1.6 GET /metrics/historical: required and bounded parameters"""
        self.assert_invalid(self.http.get("/metrics/historical"), "missing", "query", "start_time")
        for interval, kind in ((9, "greater_than_equal"), (3601, "less_than_equal")):
            reply = self.http.get("/metrics/historical", params={"start_time": "2025-01-01",
                                                                 "end_time": "2025-01-02", "interval": interval})
            self.assert_invalid(reply, kind, "query", "interval")

    def test_health(self):
        """1.6 GET /metrics/health"""
        body = self.assert_json(self.http.get("/metrics/health"))
        self.assert_keys(body, {"status": str, "cpu_available": bool, "memory_available": bool,
                                "gpu_available": bool, "prometheus_enabled": bool, "metrics_collected": None})
        self.assert_time(body["timestamp"])

    def test_summary(self):
        """1.6 GET /metrics/summary"""
        body = self.assert_json(self.http.get("/metrics/summary"))
        self.assert_keys(body["application"], {"version": str, "environment": str, "model": str})
        self.assert_keys(body["cache"], {"enabled": bool, "hit_rate_percent": NUMBER, "total_hits": int,
                                         "total_misses": int, "total_sets": int})
        self.assert_keys(body["system"], {"cpu_percent": NUMBER, "memory_percent": NUMBER})

    def test_prometheus(self):
        """1.6 GET /metrics/prometheus"""
        reply = self.http.get("/metrics/prometheus")
        self.assertEqual(reply.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")

    FAMILIES = {
        "application_info": "gauge", "http_requests_total": "counter", "http_request_duration_seconds": "histogram",
        "rag_queries_total": "counter", "rag_query_duration_seconds": "histogram",
        "rag_retrieval_duration_seconds": "histogram", "rag_generation_duration_seconds": "histogram",
        "rag_sources_retrieved": "histogram", "rag_relevance_score": "histogram",
        "rag_reranking_usage_total": "counter", "rag_hybrid_search_usage_total": "counter",
        "rag_query_expansion_usage_total": "counter", "rag_semantic_chunking_usage_total": "counter",
        "documents_indexed_total": "counter", "document_chunks_created": "histogram",
        "document_indexing_duration_seconds": "histogram", "cache_operations_total": "counter",
        "cache_hit_rate": "gauge", "websocket_connections_active": "gauge", "websocket_messages_total": "counter",
        "chromadb_operations_total": "counter", "chromadb_query_duration_seconds": "histogram",
        "ollama_generation_tokens_total": "counter", "ollama_generation_tokens_per_second": "gauge",
        "embedding_operations_total": "counter", "embedding_duration_seconds": "histogram",
        "system_cpu_usage_percent": "gauge", "system_memory_usage_percent": "gauge",
        "system_gpu_usage_percent": "gauge", "system_gpu_memory_usage_percent": "gauge",
        "analytics_queries_logged_total": "counter", "analytics_documents_accessed_total": "counter"}
    LATER = ("cache_hits_total", "cache_misses_total", "active_connections", "embeddings_generated_total",
             "rag_queries_failed_total", "llm_inference_duration_seconds", "llm_tokens_generated_total",
             "embedding_cache_hits_total", "embedding_cache_misses_total", "redis_cache_hits_total",
             "redis_cache_misses_total", "redis_memory_usage_bytes", "redis_memory_max_bytes",
             "db_query_duration_seconds", "db_queries_total", "db_connection_pool_active",
             "db_connection_pool_max", "vector_search_duration_seconds", "vector_search_total",
             "vector_store_documents_total", "gpu_utilization_percent", "gpu_memory_used_bytes",
             "gpu_temperature_celsius", "errors_total", "documents_processed_total",
             "document_processing_duration_seconds", "document_queue_length")

    def types(self):
        return dict(re.findall(r"^# TYPE (\S+) (\S+)$", self.http.get("/metrics/prometheus").text, re.M))

    def test_families(self):
        """3 the 32 families"""
        types = self.types()
        missing = {name: kind for name, kind in self.FAMILIES.items() if types.get("tars_" + name) != kind}
        self.assertEqual(missing, {})

    def test_later_names(self):
        """3 names that dashboards and alerts query"""
        types = self.types()
        self.assertEqual([name for name in self.LATER if "tars_" + name not in types], [])

    def test_le_is_a_float(self):
        """3 le prints as a float"""
        text = self.http.get("/metrics/prometheus").text
        self.assertIn('tars_rag_query_duration_seconds_bucket{le="1.0"}', text)
        self.assertIn('tars_rag_query_duration_seconds_bucket{le="+Inf"}', text)

    def test_endpoint_is_the_template(self):
        """3 http_requests_total: endpoint is the template of the route"""
        self.http.get("/conversation/conv_abc", headers=self.bearer())
        text = self.http.get("/metrics/prometheus").text
        self.assertRegex(text, r'tars_http_requests_total\{method="GET",endpoint="/conversation/\{conversation_id\}"')
        self.assertNotIn("conv_abc", text)

    def test_a_question_is_counted(self):
        """3 recorders move with a question"""
        def samples():
            text = self.http.get("/metrics/prometheus").text
            return dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))

        before = samples()
        self.http.post("/rag/query", json={"query": "Who winds the clockwork of the lamp?",
                                           "relevance_threshold": 0})
        after = samples()
        for name in ('tars_rag_queries_total{status="success"}', "tars_rag_query_duration_seconds_count",
                     "tars_rag_retrieval_duration_seconds_count", "tars_rag_sources_retrieved_count"):
            self.assertEqual(float(after[name]) - float(before.get(name, 0)), 1, name)


class Ops(Contract):
    def test_summary(self):
        """1.8 GET /ops/summary"""
        body = self.assert_json(self.http.get("/ops/summary", headers=self.bearer()))
        self.assert_keys(body, {"version": str, "uptime_seconds": NUMBER, "overall_status": str, "services": list,
                                "model": None, "chroma_stats": None, "ingestion": None, "query_activity": None,
                                "nas_mounted": bool, "nas_document_count": None})
        self.assert_time(body["timestamp"])

    def test_snapshot(self):
        """1.8 GET /ops/health-snapshot"""
        body = self.assert_json(self.http.get("/ops/health-snapshot", headers=self.bearer()))
        self.assert_keys(body, {"version": str, "status": str, "services": dict})
        self.assert_time(body["timestamp"])


class Admin(Contract):
    settings = {"RATE_LIMIT_PER_MINUTE": "0", "ADMIN_CLIENT_IDS": "admin_001, admin_002"}

    def test_clear_cache(self):
        """1.8 DELETE /admin/clear-cache"""
        self.http.post("/rag/search", json={"query": "the ferry"})
        self.assertTrue(self.http.post("/rag/search", json={"query": "the ferry"}).json()["cached"])
        body = self.assert_json(self.http.delete("/admin/clear-cache", headers=self.bearer("admin_001")))
        self.assertEqual(body["status"], "cache cleared")
        self.assertFalse(self.http.post("/rag/search", json={"query": "the ferry"}).json()["cached"])

    def test_needs_admin(self):
        """1.8 403 Admin privileges required for this operation"""
        for path in ("/admin/clear-cache", "/admin/delete-all", "/analytics/clear"):
            with self.subTest(path):
                reply = self.http.request("DELETE", path, json={"confirm": "delete-all"}, headers=self.bearer())
                self.assert_detail(reply, 403, "Admin privileges required for this operation")

    def test_delete_all(self):
        """1.8 DELETE /admin/delete-all"""
        admin = self.bearer("admin_002")
        self.assertEqual(self.http.request("DELETE", "/admin/delete-all", json={}, headers=admin).status_code, 422)
        self.assertEqual(self.http.request("DELETE", "/admin/delete-all", json={"confirm": "yes"},
                                           headers=admin).status_code, 422)
        self.take(self.write("later.txt", "The tide table hangs beside the harbour office door."))
        body = self.assert_json(self.http.request("DELETE", "/admin/delete-all", json={"confirm": "delete-all"},
                                                  headers=admin))
        self.assertEqual(body["status"], "deleted")
        self.assertGreaterEqual(body["documents_deleted"], 1)
        self.assertGreaterEqual(body["chunks_deleted"], 1)
        self.assertEqual(self.http.get("/rag/stats").json()["total_documents"], 0)
        self.assertEqual(self.http.post("/rag/search", json={"query": "tide"}).json()["results"], [])


if __name__ == "__main__":
    unittest.main()
