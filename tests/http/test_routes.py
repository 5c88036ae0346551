"""The wire contract, sections 1.0, 1.1, 1.3 and 1.6, seen by a client of a real server."""
import os
import re
import unittest

from server import SAMPLES, ServerTest

LEAVE = os.path.join(SAMPLES, "handbook", "leave.md")
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?$")
UPLOAD = {"document_id": str, "file_name": str, "status": str, "chunks_created": int,
          "processing_time_ms": float, "message": (str, type(None))}
ANSWER = {"query": str, "answer": str, "context_used": str, "model": str, "sources": list,
          "total_tokens": int, "retrieval_time_ms": float, "generation_time_ms": float,
          "total_time_ms": float, "relevance_scores": list, "cached": bool}
SOURCE = {"document_id": str, "chunk_id": str, "file_name": str, "file_path": str, "chunk_index": int,
          "similarity_score": float, "excerpt": str, "page_number": (int, type(None)), "metadata": dict}
CHUNK = {"chunk_id": str, "document_id": str, "content": str, "chunk_index": int, "token_count": int,
         "metadata": dict, "embedding": type(None), "similarity_score": float}
CHUNK_METADATA = {"file_path": str, "file_name": str, "file_type": str, "file_size": int,
                  "created_at": str, "modified_at": str, "indexed_at": str, "encoding": str,
                  "page_count": (int, type(None)), "word_count": int, "chunk_count": int, "hash": str}
STATS = {"collection_name": str, "total_documents": int, "total_chunks": int, "total_size_mb": float,
         "last_updated": str, "embedding_dimension": int}


class Routes(ServerTest):
    with_samples = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.token = cls.sign_in()

    def assert_shape(self, value, shape):
        for name, kind in shape.items():
            self.assertIn(name, value)
            self.assertIsInstance(value[name], kind, name)

    # ------------------------------------------------------------------ 1.1, 1.6

    def test_root_and_health(self):
        root = self.ask("GET", "/").json()
        self.assertEqual(root["service"], "T.A.R.S. Backend")
        self.assertEqual(root["version"], "v0.3.0-alpha")
        self.assertEqual(root["prometheus"], "/metrics/prometheus")
        self.assertEqual(len([k for k in root if k != "build"]), 15)
        health = self.ask("GET", "/health").json()
        self.assertEqual(health["status"], "healthy")
        self.assertRegex(health["timestamp"], TIME)
        ready = self.ask("GET", "/ready").json()
        self.assertEqual(set(ready["checks"]), {"ollama", "chromadb", "embedding_model", "nas_watcher",
                                                "conversation_service", "redis_cache", "postgres"})
        self.assertIsInstance(ready["uptime_seconds"], int)
        self.assert_shape(self.ask("GET", "/metrics").json(),
                          {"service": str, "version": str, "uptime_seconds": int, "startup_time": str,
                           "timestamp": str})

    def test_prometheus(self):
        reply = self.ask("GET", "/metrics/prometheus")
        text = reply.body.decode()
        self.assertEqual(reply.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        indexed = re.search(r'^tars_documents_indexed_total\{status="success"\} ([0-9.]+)$', text, re.M)
        self.assertGreaterEqual(float(indexed.group(1)), 8)
        self.assertTrue("# TYPE tars_rag_query_duration_seconds histogram" in text)
        self.assertTrue("process_resident_memory_bytes" in text)
        connections = re.search(r"^tars_active_connections ([0-9.]+)$", text, re.M)
        self.assertGreaterEqual(float(connections.group(1)), 1)
        for line in text.splitlines():
            self.assertRegex(line, r'^(# (HELP|TYPE) .*|[a-z_]+(\{.*\})? [-+0-9.e]+)$')

    def test_head_is_get_without_body(self):
        reply = self.ask("HEAD", "/health")
        self.assertEqual((reply.status, reply.body), (200, b""))
        self.assertGreater(int(reply.headers["content-length"]), 50)

    # ----------------------------------------------------------------- 1.0 errors

    def test_unknown_path(self):
        reply = self.ask("GET", "/nope?x=1")
        body = reply.json()
        self.assertEqual(reply.status, 404)
        self.assertEqual(body["message"], "The requested endpoint /nope was not found")
        self.assertEqual((body["error"], body["service"], body["version"]),
                         ("Not Found", "T.A.R.S. Backend", "v0.3.0-alpha"))

    def test_wrong_method(self):
        reply = self.ask("GET", "/rag/query")
        self.assertEqual((reply.status, reply.json()["detail"]), (405, "Method Not Allowed"))
        self.assertEqual(reply.headers["allow"], "POST")

    def test_every_route_is_there_under_a_prefix(self):
        for path in ("/health", "/api/v1/health"):
            reply = self.ask("GET", path)
            self.assertEqual((reply.status, reply.headers["tars-api-version"]), (200, "1"))
        for path in ("/api/v1", "/api/v1/"):
            self.assertEqual(self.ask("GET", path).json()["service"], "T.A.R.S. Backend")
        self.assertEqual(self.ask("GET", "/api/v1/rag/query").status, 405)
        self.assertEqual(self.ask("GET", "/api/v1/health/").headers["location"], "/api/v1/health")
        for path in ("/api/v1/nope", "/api/v1x", "/api/v12/health", "/api/v1/api/v1/health"):
            reply = self.ask("GET", path)
            self.assertEqual((reply.status, reply.headers["tars-api-version"]), (404, "1"))
            self.assertEqual(reply.json()["message"], f"The requested endpoint {path} was not found")

    def test_request_id(self):
        self.assertEqual(self.ask("GET", "/health", headers={"X-Request-ID": "a-1_b.C"}).headers["x-request-id"],
                         "a-1_b.C")
        for bad in ("", "x" * 65, "a b", "<x>", "é".encode("latin-1")):
            self.assertRegex(self.ask("GET", "/health", headers={"X-Request-ID": bad}).headers["x-request-id"],
                             r"^[0-9a-f]{32}$")
        self.assertEqual(self.ask("GET", "/rag/query", headers={"X-Request-ID": "me"}).json()["request_id"], "me")

    def test_trailing_slash(self):
        reply = self.ask("GET", "/rag/stats/?a=b")
        self.assertEqual((reply.status, reply.headers["location"]), (307, "/rag/stats?a=b"))

    def test_validation(self):
        cases = [
            ({}, [("missing", ["body", "query"])]),
            ({"query": " "}, [("value_error", ["body", "query"])]),
            ({"query": "x" * 10001}, [("value_error", ["body", "query"])]),
            ({"query": 1, "top_k": 21}, [("string_type", ["body", "query"]),
                                        ("less_than_equal", ["body", "top_k"])]),
            ({"query": "x", "relevance_threshold": -0.1},
             [("greater_than_equal", ["body", "relevance_threshold"])]),
            ([], [("model_attributes_type", ["body"])]),
        ]
        for body, expected in cases:
            with self.subTest(body=str(body)[:40]):
                reply = self.ask("POST", "/rag/query", body)
                self.assertEqual(reply.status, 422)
                self.assertEqual([(d["type"], d["loc"]) for d in reply.json()["detail"]], expected)
        reply = self.ask("POST", "/rag/query", raw=b"{", headers={"Content-Type": "application/json"})
        self.assertEqual(reply.json()["detail"][0]["type"], "json_invalid")
        reply = self.ask("POST", "/rag/query", {"query": "é" * 10000})
        self.assertEqual(reply.status, 200)

    # --------------------------------------------------------------------- 1.3

    def test_query(self):
        answer = self.ask("POST", "/rag/query", {"query": "  How many days of annual leave?  ", "top_k": 3}).json()
        self.assert_shape(answer, ANSWER)
        self.assertEqual(answer["query"], "How many days of annual leave?")
        self.assertIn("28", answer["answer"])
        source = answer["sources"][0]
        self.assert_shape(source, SOURCE)
        self.assertEqual(source["file_path"], LEAVE)
        self.assertEqual(source["chunk_id"], source["document_id"] + "_chunk_0")
        self.assertLessEqual(len(source["excerpt"]), 203)
        self.assertEqual(answer["relevance_scores"], [s["similarity_score"] for s in answer["sources"]])
        self.assertTrue(answer["context_used"].startswith("[Source 1: leave.md]\n"))
        for citation in answer["citations"]:
            self.assertEqual(answer["answer"][citation["start"]:citation["end"]], citation["text"])

    def test_query_without_sources(self):
        answer = self.ask("POST", "/rag/query", {"query": "annual leave days", "include_sources": False}).json()
        self.assertEqual(answer["sources"], [])
        self.assertTrue(answer["relevance_scores"])

    def test_query_that_documents_do_not_answer(self):
        answer = self.ask("POST", "/rag/query", {"query": "Who won the 1998 football world cup?"}).json()
        self.assertEqual(answer["sources"], [])

    def test_stream(self):
        reply = self.ask("POST", "/rag/query/stream", {"query": "How many days of annual leave?",
                                                       "conversation_id": "conv_1"})
        lines = reply.lines()
        self.assertEqual(reply.headers["content-type"], "application/x-ndjson")
        self.assertEqual(lines[0]["type"], "rag_sources")
        self.assertEqual(lines[-1]["type"], "rag_complete")
        self.assertTrue(all(line["type"] == "rag_token" and line["has_sources"] for line in lines[1:-1]))
        self.assertTrue(all(line["conversation_id"] == "conv_1" for line in lines))
        self.assertEqual(lines[-1]["sources_count"], len(lines[0]["sources"]))
        self.assertIn(b'{"type": "rag_sources", "conversation_id": ', reply.body)
        self.assertNotEqual(self.ask("POST", "/rag/query/stream", {"query": "leave"}).lines()[-1]["conversation_id"], "")

    def test_search(self):
        found = self.ask("POST", "/rag/search", {"query": "annual leave", "top_k": 2}).json()
        self.assertEqual(found["total_results"], 2)
        self.assert_shape(found["results"][0], CHUNK)
        self.assert_shape(found["results"][0]["metadata"], CHUNK_METADATA)
        self.assertEqual(found["results"][0]["metadata"]["file_name"], "leave.md")
        self.assertEqual(self.ask("POST", "/rag/search", {"query": " "}).json()["total_results"], 0)
        self.assertEqual(self.ask("POST", "/rag/search", {"query": "x", "top_k": 101}).status, 422)
        only = self.ask("POST", "/rag/search", {"query": "energy", "filters": {"file_type": "pdf"}}).json()
        self.assertEqual({r["metadata"]["file_type"] for r in only["results"]}, {"pdf"})
        for mode in ("words", "vectors"):
            self.assertTrue(self.ask("POST", "/rag/search", {"query": "leave", "mode": mode}).json()["results"])

    def test_index(self):
        again = self.ask("POST", "/rag/index", {"file_path": LEAVE})
        self.assert_shape(again.json(), UPLOAD)
        self.assertEqual((again.status, again.json()["status"]), (201, "already_indexed"))
        forced = self.ask("POST", "/rag/index", {"file_path": LEAVE, "force_reindex": True}).json()
        self.assertEqual((forced["status"], forced["chunks_created"]), ("success", 1))
        gone = self.ask("POST", "/rag/index", {"file_path": os.path.join(SAMPLES, "gone.md")})
        self.assertEqual((gone.status, gone.json()["status"], gone.json()["document_id"]), (201, "failed", ""))
        self.assertIn("File not found", gone.json()["message"])

    def test_index_keeps_to_the_roots(self):
        for path in ("/etc/hostname", SAMPLES + "/../README.md", SAMPLES + "x", "relative.md",
                     SAMPLES + "/handbook/../../VERSION", "/nonexistent/x.md", self.data + "/tars.db"):
            with self.subTest(path=path):
                reply = self.ask("POST", "/rag/index", {"file_path": path})
                self.assertEqual(reply.status, 403)
                self.assertNotIn(path, reply.json()["detail"])
        self.assertEqual(self.ask("POST", "/rag/ingest", {"path": "/etc"}).status, 403)
        self.assertEqual(self.ask("POST", "/rag/index", {"file_path": "  "}).status, 422)

    def test_links_out_of_a_root_are_followed_first(self):
        root = os.path.join(self.data, "root")
        os.mkdir(root)
        os.symlink("/etc/hostname", os.path.join(root, "link.md"))
        with open(os.path.join(root, "plain.md"), "w") as file:
            file.write("A plain file may be read.")
        for name, status in (("link.md", 403), ("plain.md", 201)):
            reply = self.ask("POST", "/rag/index", {"file_path": os.path.join(root, name)})
            self.assertEqual(reply.status, status, name)

    def test_batch(self):
        reply = self.ask("POST", "/rag/index/batch", {"file_paths": [LEAVE, "/etc/passwd"]})
        body = reply.json()
        self.assertEqual(reply.status, 201)
        self.assertEqual((body["total_files"], body["already_indexed"], body["failed"]), (2, 1, 1))
        self.assertEqual([r["file_name"] for r in body["results"]], ["leave.md", "passwd"])

    def test_upload_then_forget(self):
        reply = self.upload([("parking.md", b"# Parking\n\nParking costs 3 euros a day.\n")])
        body = reply.json()
        self.assertEqual((reply.status, body["status"], body["chunks_created"]), (201, "success", 1))
        self.assertEqual(body["results"][0]["document_id"], body["document_id"])
        found = self.ask("POST", "/rag/search", {"query": "parking costs", "top_k": 1}).json()["results"]
        self.assertEqual(found[0]["document_id"], body["document_id"])
        gone = self.ask("DELETE", "/rag/document", {"document_id": body["document_id"]}).json()
        self.assertEqual((gone["status"], gone["chunks_deleted"]), ("success", 1))
        self.assertEqual(self.ask("DELETE", "/rag/document", {"document_id": body["document_id"]}).json()["status"],
                         "not_found")
        found = self.ask("POST", "/rag/search", {"query": "parking costs"}).json()["results"]
        self.assertNotIn(body["document_id"], [r["document_id"] for r in found])

    def test_upload_of_several(self):
        body = self.upload([("a.txt", b"First of two."), ("../../b.txt", b"Second of two."),
                            ("c.exe", b"MZ")]).json()
        self.assertEqual([r["file_name"] for r in body["results"]], ["a.txt", "b.txt", "c.exe"])
        self.assertEqual([r["status"] for r in body["results"]], ["success", "success", "failed"])
        self.assertEqual(len(body["job_ids"]), 3)

    def test_upload_without_waiting(self):
        reply = self.upload([("later.txt", b"Read me later.")], path="/rag/upload?wait=false")
        self.assertEqual((reply.status, list(reply.json())), (202, ["job_ids"]))
        job = self.ask("GET", f"/rag/jobs/{reply.json()['job_ids'][0]}").json()
        self.assertIn(job["state"], ("queued", "running", "done"))

    def test_upload_malformed(self):
        self.assertEqual(self.upload([], fields=[("x", "1")]).status, 422)
        broken = self.ask("POST", "/rag/upload", raw=b"--b\r\n",
                          headers={"Content-Type": "multipart/form-data; boundary=b"})
        self.assertEqual(broken.status, 400)

    def test_jobs(self):
        self.assertEqual(self.ask("GET", "/rag/jobs/999999").status, 404)
        self.assertEqual(self.ask("GET", "/rag/jobs?state=odd").status, 422)
        self.assertEqual(self.ask("GET", "/rag/jobs?limit=0").status, 422)
        self.assertEqual(self.ask("GET", "/rag/documents?offset=x").status, 422)
        self.assertTrue(self.ask("GET", "/rag/jobs?limit=1").json()["total"] == 1)
        self.assertEqual(self.ask("DELETE", "/rag/jobs/1").status, 409)
        self.assertTrue(self.ask("GET", "/rag/documents?limit=2").json()["documents"])

    def test_stats(self):
        stats = self.ask("GET", "/rag/stats").json()
        self.assert_shape(stats, STATS)
        self.assertGreaterEqual(stats["total_documents"], 11)
        health = self.ask("GET", "/rag/health").json()
        self.assert_shape(health["collections"]["tars_documents"], STATS)

    # ----------------------------------------------------------- browsers

    def test_cors(self):
        asked = {"Origin": "http://localhost:3000", "Access-Control-Request-Method": "POST",
                 "Access-Control-Request-Headers": "content-type"}
        reply = self.ask("OPTIONS", "/rag/query", headers=asked)
        self.assertEqual((reply.status, reply.body), (200, b"OK"))
        self.assertEqual(reply.headers["access-control-allow-origin"], "http://localhost:3000")
        self.assertEqual(reply.headers["access-control-allow-methods"], "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT")
        asked["Origin"] = "http://evil.example"
        reply = self.ask("OPTIONS", "/rag/query", headers=asked)
        self.assertEqual((reply.status, reply.body), (400, b"Disallowed CORS origin"))
        reply = self.ask("POST", "/rag/search", {"query": "x"}, headers={"Origin": "http://evil.example"})
        self.assertEqual(reply.status, 403)
        same = self.ask("POST", "/rag/search", {"query": "x"}, headers={"Origin": self.url})
        self.assertEqual(same.status, 200)

    def test_pages(self):
        page = self.ask("GET", "/ui")
        self.assertEqual(page.headers["content-type"], "text/html; charset=utf-8")
        self.assertNotIn("unsafe", page.headers["content-security-policy"])
        for name in re.findall(rb'(?:src|href)="(ui/[^"]+)"', page.body):
            self.assertEqual(self.ask("GET", "/" + name.decode()).status, 200)
        self.assertEqual(self.ask("GET", "/ui/none.js").status, 404)
        moved = self.ask("GET", "/", headers={"Accept": "text/html"})
        self.assertEqual((moved.status, moved.headers["location"]), (303, "ui"))
        api = self.ask("GET", "/health").headers
        self.assertEqual((api["x-frame-options"], api["x-content-type-options"]), ("DENY", "nosniff"))


if __name__ == "__main__":
    unittest.main()
