"""Contract 1.3: questions, streams, searches, documents; 7.7, 7.8."""
import json
import os
import unittest

from contract import NUMBER, TEXT, UUID, Contract, decimals
from fake_ollama import MODEL, FakeOllama

QUESTION = {"query": "Who is the lighthouse keeper of Oldport?", "relevance_threshold": 0.0}


class Rag(Contract):
    def test_health(self):
        """1.3 GET /rag/health"""
        body = self.assert_json(self.http.get("/rag/health"))
        self.assertIn(body["status"], ("healthy", "degraded"))
        self.assert_keys(body, {"chromadb_status": str, "embedding_model_status": str, "collections": dict,
                                "total_documents": int, "total_chunks": int})
        self.assert_time(body["timestamp"])
        for stats in body["collections"].values():
            self.assert_stats(stats)

    def assert_stats(self, body):
        self.assert_keys(body, {"collection_name": str, "total_documents": int, "total_chunks": int,
                                "total_size_mb": NUMBER, "embedding_dimension": int,
                                "document_count": int, "chunk_count": int, "total_size": int})
        self.assert_time(body["last_updated"])

    def test_stats(self):
        """1.3 GET /rag/stats"""
        reply = self.http.get("/rag/stats")
        body = self.assert_json(reply)
        self.assert_stats(body)
        self.assertEqual(body["collection_name"], "tars_documents")
        self.assertGreaterEqual(body["total_documents"], 1)
        self.assertLessEqual(decimals(reply.text, "total_size_mb"), 2)

    def test_stats_for_the_ui(self):
        """1.9 stats: document_count, chunk_count, total_size"""
        body = self.http.get("/rag/stats").json()
        self.assertEqual((body["document_count"], body["chunk_count"]),
                         (body["total_documents"], body["total_chunks"]))

    # ---------------------------------------------------------------- index

    def assert_upload(self, body, status):
        self.assert_keys(body, {"document_id": str, "file_name": str, "chunks_created": int,
                                "processing_time_ms": NUMBER})
        self.assertIn("message", body)
        self.assertEqual(body["status"], status)

    def test_index(self):
        """1.3 POST /rag/index"""
        path = self.write("index.txt", "The bakery on Mill Lane opens at five in the morning.")
        reply = self.http.post("/rag/index", json={"file_path": path}, headers=self.bearer())
        body = self.assert_json(reply, 201)
        self.assert_upload(body, "success")
        self.assertRegex(body["document_id"], r"\Adoc_[0-9a-f]{16}\Z")
        self.assertEqual(body["file_name"], "index.txt")
        self.assertGreaterEqual(body["chunks_created"], 1)

    def test_index_for_the_ui(self):
        """1.9 index reply: metadata"""
        body = self.take(self.write("ui.txt", "The clock of the town hall is four minutes slow."))
        self.assert_keys(body["metadata"], {"document_id": str, "file_name": str, "file_path": str,
                                            "file_type": str, "file_size": int, "indexed_at": str,
                                            "chunk_count": int, "token_count": int, "page_count": None})

    def test_index_again(self):
        """1.3 POST /rag/index: already_indexed, force_reindex"""
        path = self.write("again.txt", "The well in the market square was dug in 1641.")
        first = self.take(path)
        self.assert_upload(self.take(path), "already_indexed")
        forced = self.take(path, force_reindex=True)
        self.assert_upload(forced, "success")
        self.assertEqual(forced["document_id"], first["document_id"])

    def test_index_failed_is_201(self):
        """1.3 POST /rag/index: 201 even when failed"""
        body = self.take(os.path.join(self.data, "root", "none.txt"))
        self.assert_upload(body, "failed")
        self.assertEqual((body["document_id"], body["chunks_created"]), ("", 0))
        self.assertIn("File not found", body["message"])

    def test_index_words(self):
        """7.1 loading: the words of each refusal"""
        for name, content, words in (("a.xyz", "x", "Unsupported file type: .xyz"), ("empty.txt", "", "File is empty")):
            with self.subTest(name):
                body = self.take(self.write(name, content))
                self.assertEqual(body["status"], "failed")
                self.assertIn(words, body["message"])

    def test_index_blank(self):
        """1.3 POST /rag/index: a blank path gives 422"""
        for value in ("", "  "):
            reply = self.http.post("/rag/index", json={"file_path": value}, headers=self.bearer())
            self.assertEqual(reply.status_code, 422)
        self.assert_invalid(self.http.post("/rag/index", json={}, headers=self.bearer()), "missing", "body",
                            "file_path")

    def test_index_outside_roots(self):
        """1.3 POST /rag/index: a path outside the roots gives 403 and nothing about the file"""
        for path in ("/etc/passwd", "/etc/no-such-file", os.path.join(self.data, "root", "..", "tars.db")):
            reply = self.http.post("/rag/index", json={"file_path": path}, headers=self.bearer())
            self.assertEqual(reply.status_code, 403, path)
            self.assertNotIn("not found", reply.text.lower())

    def test_batch(self):
        """1.3 POST /rag/index/batch"""
        paths = [self.write(f"batch{i}.txt", f"House number {i} of Mill Lane has a blue door.") for i in range(3)]
        paths.insert(1, os.path.join(self.data, "root", "missing.txt"))
        reply = self.http.post("/rag/index/batch", json={"file_paths": paths}, headers=self.bearer())
        body = self.assert_json(reply, 201)
        self.assertEqual((body["total_files"], body["successful"], body["failed"], body["already_indexed"]),
                         (4, 3, 1, 0))
        self.assertEqual(body["total_chunks"], sum(r["chunks_created"] for r in body["results"]))
        self.assertLessEqual(decimals(reply.text, "processing_time_ms"), 2)
        self.assertEqual([r["status"] for r in body["results"]], ["success", "failed", "success", "success"])
        self.assertEqual([r["file_name"] for r in body["results"]], [os.path.basename(p) for p in paths])

    def test_batch_bounds(self):
        """1.3 POST /rag/index/batch: max_concurrent 1..20"""
        for value, kind in ((0, "greater_than_equal"), (21, "less_than_equal")):
            reply = self.http.post("/rag/index/batch", json={"file_paths": [], "max_concurrent": value},
                                   headers=self.bearer())
            self.assert_invalid(reply, kind, "body", "max_concurrent")

    def test_batch_upload(self):
        """1.3 POST /rag/batch-upload: alias of /rag/index/batch"""
        path = self.write("alias.txt", "The alias of the harbour master is the Heron.")
        reply = self.http.post("/rag/batch-upload", json={"file_paths": [path]}, headers=self.bearer())
        self.assertEqual(self.assert_json(reply, 201)["successful"], 1)

    def test_upload_alias(self):
        """1.3 POST /rag/upload: with JSON the alias of /rag/index"""
        path = self.write("upload.txt", "The cooper of Oldport makes barrels of oak.")
        reply = self.http.post("/rag/upload", json={"file_path": path}, headers=self.bearer())
        self.assert_upload(self.assert_json(reply, 201), "success")

    def test_upload_files(self):
        """1.3 POST /rag/upload: multipart files (design 9.13)"""
        files = [("file", ("one.txt", b"The first boat is green.")), ("file", ("two.txt", b"The second is red."))]
        body = self.assert_json(self.http.post("/rag/upload", files=files, headers=self.bearer()), 201)
        self.assertEqual([r["file_name"] for r in body["results"]], ["one.txt", "two.txt"])
        self.assertEqual(len(body["job_ids"]), 2)
        for result in body["results"]:
            self.assert_upload(result, "success")

    def test_upload_one_file(self):
        """1.3 POST /rag/upload: one file, its fields at the top; wait=false"""
        files = [("file", ("three.txt", b"The third boat has no name yet."))]
        body = self.assert_json(self.http.post("/rag/upload", files=files, headers=self.bearer()), 201)
        self.assert_upload(body, "success")
        files = [("file", ("four.txt", b"The fourth boat is a raft."))]
        body = self.assert_json(self.http.post("/rag/upload?wait=false", files=files, headers=self.bearer()), 202)
        self.assertEqual(len(body["job_ids"]), 1)

    def test_document_delete(self):
        """1.3 DELETE /rag/document"""
        document = self.take(self.write("gone.txt", "The ropewalk burnt down in the winter."))["document_id"]
        reply = self.http.request("DELETE", "/rag/document", json={"document_id": document}, headers=self.bearer())
        body = self.assert_json(reply)
        self.assertEqual((body["document_id"], body["status"]), (document, "success"))
        self.assertGreaterEqual(body["chunks_deleted"], 1)
        self.assertIsInstance(body["message"], str)

    def test_document_not_found(self):
        """1.3 DELETE /rag/document: not_found is 200"""
        reply = self.http.request("DELETE", "/rag/document", json={"document_id": "doc_0000000000000000"},
                                  headers=self.bearer())
        body = self.assert_json(reply)
        self.assertEqual((body["status"], body["chunks_deleted"]), ("not_found", 0))

    def test_delete_alias(self):
        """1.3 DELETE /rag/delete: alias of /rag/document"""
        reply = self.http.request("DELETE", "/rag/delete", json={"document_id": "doc_0000000000000000"},
                                  headers=self.bearer())
        self.assertEqual(self.assert_json(reply)["status"], "not_found")

    def test_initialize(self):
        """1.3 POST /rag/initialize"""
        body = self.assert_json(self.http.post("/rag/initialize", headers=self.bearer()))
        self.assertEqual(body["status"], "success")
        self.assertIsInstance(body["message"], str)

    # ---------------------------------------------------------------- query

    def test_query(self):
        """1.3 POST /rag/query"""
        reply = self.http.post("/rag/query", json=QUESTION)
        body = self.assert_json(reply)
        self.assert_keys(body, {"query": str, "answer": str, "sources": list, "context_used": str,
                                "total_tokens": int, "retrieval_time_ms": NUMBER, "generation_time_ms": NUMBER,
                                "total_time_ms": NUMBER, "model": str, "relevance_scores": list, "cached": bool})
        self.assertEqual(body["query"], QUESTION["query"])
        self.assertIn("Miriam Vale", body["answer"])
        for key in ("retrieval_time_ms", "generation_time_ms", "total_time_ms"):
            self.assertLessEqual(decimals(reply.text, key), 2, key)

    def test_query_sources(self):
        """1.3 POST /rag/query: Source and its metadata"""
        body = self.http.post("/rag/query", json=QUESTION).json()
        self.assertGreaterEqual(len(body["sources"]), 1)
        for source in body["sources"]:
            self.assert_source(source)
        self.assertEqual(body["relevance_scores"], [s["similarity_score"] for s in body["sources"]])

    def test_query_without_sources(self):
        """1.3 POST /rag/query: include_sources false keeps relevance_scores"""
        body = self.http.post("/rag/query", json={**QUESTION, "include_sources": False}).json()
        self.assertEqual(body["sources"], [])
        self.assertGreaterEqual(len(body["relevance_scores"]), 1)

    def test_query_is_trimmed(self):
        """1.3 POST /rag/query: query is trimmed; blank and too long are 422"""
        body = self.http.post("/rag/query", json={**QUESTION, "query": "  Who?  "}).json()
        self.assertEqual(body["query"], "Who?")
        self.assert_invalid(self.http.post("/rag/query", json={"query": " \n "}), "value_error", "body", "query",
                            msg="Value error, query cannot be empty")
        self.assert_invalid(self.http.post("/rag/query", json={"query": "x" * 10001}), "value_error", "body",
                            "query", msg="Value error, query too long (max 10000 characters)")

    def test_query_length_is_in_characters(self):
        """1.3 POST /rag/query: 10000 characters, not bytes"""
        self.assertEqual(self.http.post("/rag/query", json={"query": "ü" * 10000}).status_code, 200)

    def test_query_bounds(self):
        """1.3 POST /rag/query: bounds of top_k and relevance_threshold"""
        for field, value, kind in (("top_k", 0, "greater_than_equal"), ("top_k", 21, "less_than_equal"),
                                   ("relevance_threshold", -0.1, "greater_than_equal"),
                                   ("relevance_threshold", 1.1, "less_than_equal")):
            with self.subTest(field=field, value=value):
                self.assert_invalid(self.http.post("/rag/query", json={"query": "x", field: value}), kind, "body",
                                    field)

    def test_query_top_k(self):
        """1.3 POST /rag/query: top_k bounds the sources"""
        self.assertEqual(len(self.http.post("/rag/query", json={**QUESTION, "top_k": 1}).json()["sources"]), 1)

    def test_query_filters(self):
        """7.3 filters: equality and operators"""
        other = self.take(self.write("other.md", "# Other\n\nThe lighthouse keeper of Newport is Jon Ash."))
        for filters in ({"file_type": "md"}, {"file_name": {"$eq": "other.md"}},
                        {"file_name": {"$in": ["other.md", "none.txt"]}}, {"file_type": {"$ne": "txt"}},
                        {"$and": [{"file_type": "md"}, {"document_id": other["document_id"]}]},
                        {"$or": [{"file_type": "md"}, {"file_type": "pdf"}]}):
            with self.subTest(filters):
                body = self.http.post("/rag/query", json={**QUESTION, "filters": filters}).json()
                self.assertEqual({s["file_name"] for s in body["sources"]}, {"other.md"})

    def test_query_threshold(self):
        """1.3 POST /rag/query: the default threshold leaves out what does not answer"""
        body = self.http.post("/rag/query", json={"query": "How many moons does the planet Saturn have?"}).json()
        self.assertEqual(body["sources"], [])
        self.assertEqual(body["relevance_scores"], [])

    # --------------------------------------------------------------- stream

    def stream(self, body):
        with self.http.stream("POST", "/rag/query/stream", json=body) as reply:
            self.assertEqual(reply.status_code, 200)
            self.assertTrue(reply.headers["content-type"].startswith("application/x-ndjson"))
            reply.read()
        return [json.loads(line) for line in reply.text.splitlines()]

    def test_stream(self):
        """1.3 POST /rag/query/stream"""
        lines = self.stream(QUESTION)
        kinds = [line["type"] for line in lines]
        self.assertEqual(kinds[0], "rag_sources")
        self.assertEqual(kinds[-1], "rag_complete")
        self.assertEqual(set(kinds[1:-1]), {"rag_token"})
        self.assertIn("Miriam Vale", "".join(line["token"] for line in lines[1:-1]))
        for line in lines:
            self.assert_time(line["timestamp"])
            self.assertRegex(line["conversation_id"], UUID)

    def test_stream_sources(self):
        """1.3 stream line rag_sources"""
        line = self.stream(QUESTION)[0]
        self.assert_keys(line, {"conversation_id": str, "sources": list, "timestamp": str,
                                "retrieval_time_ms": NUMBER})
        for source in line["sources"]:
            self.assert_source(source)
        self.assertGreater(line["retrieval_time_ms"], 0)

    def test_stream_token(self):
        """1.3 stream line rag_token"""
        line = self.stream(QUESTION)[1]
        self.assert_keys(line, {"token": str, "conversation_id": str, "has_sources": bool, "timestamp": str})
        self.assertTrue(line["token"])
        self.assertTrue(line["has_sources"])

    def test_stream_complete(self):
        """1.3 stream line rag_complete"""
        lines = self.stream(QUESTION)
        self.assert_keys(lines[-1], {"conversation_id": str, "total_tokens": int, "retrieval_time_ms": NUMBER,
                                     "generation_time_ms": NUMBER, "total_time_ms": NUMBER,
                                     "sources_count": int, "timestamp": str})
        self.assertEqual(lines[-1]["sources_count"], len(lines[0]["sources"]))

    def test_stream_echoes_conversation(self):
        """1.3 stream: conversation_id is echoed when one was sent"""
        name = self.fresh()
        for line in self.stream({**QUESTION, "conversation_id": name}):
            self.assertEqual(line["conversation_id"], name)

    def test_stream_without_sources(self):
        """1.3 stream: rag_sources only if asked for and found"""
        kinds = [line["type"] for line in self.stream({**QUESTION, "include_sources": False})]
        self.assertNotIn("rag_sources", kinds)
        lines = self.stream({"query": "How many moons does the planet Saturn have?"})
        self.assertNotIn("rag_sources", [line["type"] for line in lines])
        self.assertEqual(lines[-1]["sources_count"], 0)

    def test_stream_invalid(self):
        """1.3 stream: 422 as for the query"""
        self.assert_invalid(self.http.post("/rag/query/stream", json={}), "missing", "body", "query")

    # --------------------------------------------------------------- search

    def test_search(self):
        """1.3 POST /rag/search"""
        reply = self.http.post("/rag/search", json={"query": "lighthouse keeper"})
        body = self.assert_json(reply)
        self.assertEqual(body["query"], "lighthouse keeper")
        self.assertEqual(body["total_results"], len(body["results"]))
        self.assertGreaterEqual(len(body["results"]), 1)
        self.assertLessEqual(decimals(reply.text, "search_time_ms"), 2)

    def test_search_chunk(self):
        """1.3 POST /rag/search: Chunk and its metadata"""
        for chunk in self.http.post("/rag/search", json={"query": "lighthouse keeper"}).json()["results"]:
            self.assert_keys(chunk, {"chunk_id": str, "document_id": str, "content": str, "chunk_index": int,
                                     "token_count": int, "metadata": dict, "embedding": None,
                                     "similarity_score": NUMBER})
            self.assertIsNone(chunk["embedding"])
            meta = chunk["metadata"]
            self.assert_keys(meta, {"file_path": str, "file_name": str, "file_type": str, "file_size": int,
                                    "created_at": None, "modified_at": str, "indexed_at": str,
                                    "page_count": None, "word_count": int, "hash": str})
            self.assertEqual((meta["encoding"], meta["chunk_count"]), ("utf-8", 0))
            self.assertNotIn(".", meta["file_type"])
            self.assertRegex(meta["hash"], r"\A[0-9a-f]{64}\Z")
            self.assert_time(meta["indexed_at"])

    def test_search_whole_text(self):
        """1.3 POST /rag/search: the whole text of the chunk (9.2 fault 3)"""
        results = self.http.post("/rag/search", json={"query": "lighthouse keeper Miriam Vale"}).json()["results"]
        content = next(r["content"] for r in results if r["metadata"]["file_name"] == "harbour.txt")
        self.assertIn("red flag", content)
        self.assertGreater(len(content), len(TEXT) // 2)

    def test_search_blank(self):
        """1.3 POST /rag/search: query may be blank"""
        body = self.assert_json(self.http.post("/rag/search", json={"query": " "}))
        self.assertEqual((body["results"], body["total_results"]), ([], 0))

    def test_search_bounds(self):
        """1.3 POST /rag/search: top_k 1..100"""
        for value, kind in ((0, "greater_than_equal"), (101, "less_than_equal")):
            self.assert_invalid(self.http.post("/rag/search", json={"query": "x", "top_k": value}), kind, "body",
                                "top_k")
        self.assertEqual(self.http.post("/rag/search", json={"query": "x", "top_k": 100}).status_code, 200)

    def test_search_filters(self):
        """1.3 POST /rag/search: filters"""
        body = self.http.post("/rag/search", json={"query": "harbour", "filters": {"file_name": "none.txt"}}).json()
        self.assertEqual(body["results"], [])
        self.assert_invalid(self.http.post("/rag/search", json={"query": "x", "filters": []}), "dict_type", "body",
                            "filters")

    # ----------------------------------------------------- prompt and history

    def test_context(self):
        """7.8 context_used: "[Source i: file]", excerpts"""
        body = self.http.post("/rag/query", json=QUESTION).json()
        self.assertTrue(body["context_used"].startswith("[Source 1: "), body["context_used"][:40])
        self.assertIn(body["sources"][0]["file_name"] + "]\n", body["context_used"])

    def test_turns_are_kept(self):
        """7.8 both turns are stored, the assistant's with sources and times"""
        name = self.fresh()
        headers = self.bearer("historian")
        self.http.post("/rag/query", json={**QUESTION, "conversation_id": name}, headers=headers)
        body = self.http.get(f"/conversation/{name}", headers=headers).json()
        self.assertEqual([m["role"] for m in body["messages"]], ["user", "assistant"])
        self.assertEqual(body["messages"][0]["content"], QUESTION["query"])
        answer = body["messages"][1]
        self.assertGreaterEqual(len(answer["sources"]), 1)
        self.assert_keys(answer["metadata"], {"retrieval_time_ms": NUMBER, "generation_time_ms": NUMBER,
                                              "total_time_ms": NUMBER})


class Expansion(Contract):
    """Needs both switches, and a writer: quotes cannot expand, which costs nothing but the expansion."""
    settings = {"RATE_LIMIT_PER_MINUTE": "0", "USE_QUERY_EXPANSION": "true", "QUERY_EXPANSION_ENABLED": "true"}

    def test_without_a_model(self):
        """7.7 expansion without a language model costs the feature, not the question"""
        body = self.assert_json(self.http.post("/rag/query", json=QUESTION))
        self.assertGreaterEqual(len(body["sources"]), 1)


class ExpansionWithModel(Contract):
    """A writer that answers an expansion with three pieces of one line."""

    @classmethod
    def setUpClass(cls):
        cls.ollama = FakeOllama()
        cls.settings = {**Expansion.settings, "LLM_BACKEND": "ollama", "OLLAMA_HOST": cls.ollama.url,
                        "OLLAMA_MODEL": MODEL}
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.ollama.close()

    def asked(self):
        return [body for path, body in self.ollama.server.seen if path == "/api/generate"]

    def test_one_call(self):
        """7.7 expansion: one call of the language model, temperature 0.7, 200 tokens; kept for the next time"""
        before = len(self.asked())
        self.assert_json(self.http.post("/rag/query", json=QUESTION))
        calls = self.asked()[before:]
        self.assertEqual(len(calls), 2, "the expansion and the answer")
        self.assertIn(QUESTION["query"], calls[0]["prompt"])
        self.assertEqual((calls[0]["options"]["temperature"], calls[0]["options"]["num_predict"]), (0.7, 200))
        self.assert_json(self.http.post("/rag/query", json=QUESTION))
        self.assertEqual(len(self.asked()) - before, 3, "the second time the expansion is kept")

    def test_counted(self):
        """7.7 expansion is counted in the metrics"""
        self.http.post("/rag/query", json={**QUESTION, "query": "Where does the ferry to the island leave?"})
        self.assertRegex(self.http.get("/metrics/prometheus").text,
                         r"tars_rag_query_expansion_usage_total [1-9]")


if __name__ == "__main__":
    unittest.main()
