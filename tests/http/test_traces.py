"""Traces as clients and readers of the log see them."""
import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
import unittest

import websockets
from fake_ollama import MODEL, FakeOllama
from server import ROOT, ServerTest, TARS, environment

sys.path.insert(0, os.path.join(ROOT, "tests"))
from support.otlp import Receiver, check_spans  # noqa: E402
from support.ports import free_port  # noqa: E402

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


class LogTest(ServerTest):
    """Every request has a trace's id, recorded or not; its lines carry it."""

    @classmethod
    def start(cls):
        cls.log = open(os.path.join(cls.data, "log"), "wb")
        cls.process = subprocess.Popen([TARS, "serve", "--port", "0", "--json"], cwd=cls.data, stderr=cls.log,
                                       env=environment(cls.data, LOG_LEVEL="DEBUG"), stdout=subprocess.PIPE, text=True)
        cls.url = json.loads(cls.process.stdout.readline())["url"]
        cls.port = int(cls.url.rsplit(":", 1)[1])

    @classmethod
    def stop(cls):
        code = super().stop()
        cls.log.close()
        return code

    def line_of(self, headers, path="/health"):
        """What the log says of a request."""
        request_id = self.ask("GET", path, headers=headers).headers["x-request-id"]
        with open(self.log.name, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file if line.startswith("{")]
        line, = [line for line in lines if line.get("request_id") == request_id]
        return line

    def test_own_trace(self):
        line = self.line_of({})
        self.assertEqual(line["trace_id"], line["request_id"])
        line = self.line_of({"X-Request-ID": "mine-1"})
        self.assertEqual(line["request_id"], "mine-1")
        self.assertRegex(line["trace_id"], "^[0-9a-f]{32}$")

    def test_callers_trace(self):
        line = self.line_of({"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "a=b"})
        self.assertEqual(line["trace_id"], TRACE)
        self.assertNotEqual(line["request_id"], TRACE)
        self.assertEqual(self.line_of({"Traceparent": f"cc-{TRACE}-{SPAN}-00-more"}, "/nope")["trace_id"], TRACE)

    def test_bad_trace_of_caller(self):
        for bad in (f"00-{TRACE}-{SPAN}", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", "", "x" * 5000):
            line = self.line_of({"traceparent": bad})
            self.assertEqual(line["trace_id"], line["request_id"], bad)


DOCUMENT = b"# Batteries\n\nThe battery of the lamp lasts nine hours. It is made of lithium.\n"
QUESTION = "How many hours does the battery of the lamp last?"
WORDS = ("battery", "lithium", "nine hours", "lamp")  # of question and document
REMOTE = 0x200


def named(spans, name):
    return [span for span in spans if span.name == name]


class ExportTest(ServerTest):
    content = "false"

    @classmethod
    def setUpClass(cls):
        cls.receiver, cls.ollama = Receiver(), FakeOllama()
        cls.settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": cls.receiver.url + "/", "OTEL_BSP_SCHEDULE_DELAY": "50",
                        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20secret,x-scope=a", "TRACE_CONTENT": cls.content,
                        "OTEL_SERVICE_NAME": "lamps", "FASTAPI_ENV": "test", "LLM_BACKEND": "ollama",
                        "OLLAMA_HOST": cls.ollama.url, "OLLAMA_MODEL": MODEL, "MODEL_TEMPERATURE": "0.25"}
        super().setUpClass()
        cls.token = cls.sign_in()
        reply = cls.upload([("lamp.md", DOCUMENT)])
        if reply.status != 201:
            raise AssertionError(reply.body)

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.receiver.close()
        cls.ollama.close()

    def question(self, query=QUESTION, status=200, headers=None, path="/rag/query"):
        """Ask, and give the spans of that request's trace."""
        reply = self.ask("POST", path, {"query": query, "relevance_threshold": 0}, headers=headers)
        self.assertEqual(reply.status, status, reply.body)
        sent = (headers or {}).get("traceparent", "--").split("-")[1]
        return self.trace(sent or reply.headers["x-request-id"])

    def trace(self, trace_id):
        def whole(spans):
            return any(span.trace == trace_id and span.kind == 2 for span in spans)
        return [span for span in self.receiver.wait(whole) if span.trace == trace_id]

    def root(self, spans):
        root, = [span for span in spans if not span.parent or span.flags & REMOTE]
        return root


class SpansTest(ExportTest):
    def test_question(self):
        spans = self.question(QUESTION + " Nobody has asked that before.")
        check_spans(self, spans)
        root = self.root(spans)
        self.assertEqual((root.name, root.kind, root.parent), ("POST /rag/query", 2, ""))
        self.assertEqual({key: root.attributes[key] for key in root.attributes if key != "tars.request.id"},
                         {"http.request.method": "POST", "url.scheme": "http", "network.protocol.name": "http",
                          "network.protocol.version": "1.1", "http.route": "/rag/query", "url.path": "/rag/query",
                          "tars.tenant": "default", "http.response.status_code": 200})
        children = [span.name for span in spans if span.parent == root.id]
        self.assertEqual(children, ["retrieval", "write prompt", f"chat {MODEL}", "check citations"])
        retrieval, = named(spans, "retrieval")
        steps = [span.name for span in spans if span.parent == retrieval.id]
        self.assertEqual([name for name in steps if not name.startswith("embeddings")],
                         ["search vectors", "search words", "fuse", "fetch"])
        self.assertGreaterEqual(retrieval.attributes["tars.retrieval.passages"], 1)
        self.assertIs(retrieval.attributes["tars.retrieval.kept"], False)
        again, = named(self.question(QUESTION + " Nobody has asked that before."), "retrieval")
        self.assertIs(again.attributes["tars.retrieval.kept"], True)

    def test_generation(self):
        chat, = named(self.question(), f"chat {MODEL}")
        port = int(self.ollama.url.rsplit(":", 1)[1])
        first = chat.attributes.pop("gen_ai.response.time_to_first_chunk")
        self.assertTrue(0 < first < 60)
        self.assertAlmostEqual(chat.attributes.pop("gen_ai.request.top_p"), 0.9, places=5)
        self.assertEqual(chat.attributes, {
            "tars.writer": "ollama", "gen_ai.operation.name": "chat", "gen_ai.provider.name": "ollama",
            "gen_ai.request.model": MODEL, "gen_ai.output.type": "text", "gen_ai.request.max_tokens": 2048,
            "gen_ai.request.temperature": 0.25, "gen_ai.request.top_k": 40.0, "server.address": "127.0.0.1",
            "server.port": port, "gen_ai.response.model": MODEL, "gen_ai.response.finish_reasons": ["stop"],
            "gen_ai.usage.input_tokens": 7, "gen_ai.usage.output_tokens": 3})
        self.assertEqual(chat.kind, 3)

    def test_embeddings(self):
        embeddings, = [span for span in self.question(QUESTION + " Really?") if span.name.startswith("embeddings ")]
        model = embeddings.attributes["gen_ai.request.model"]
        self.assertEqual(embeddings.name, f"embeddings {model}")
        self.assertEqual(embeddings.attributes, {
            "gen_ai.operation.name": "embeddings", "gen_ai.provider.name": "tars", "gen_ai.request.model": model,
            "gen_ai.embeddings.dimension.count": 384})

    def test_resource(self):
        span = self.question()[0]
        pid = span.resource.pop("process.pid")
        self.assertEqual(pid, self.process.pid)
        self.assertRegex(span.resource.pop("service.instance.id"), "^[0-9a-f]{32}$")
        with open(os.path.join(ROOT, "VERSION"), encoding="utf-8") as file:
            version = file.read().strip()
        self.assertEqual(span.resource, {"service.name": "lamps", "service.version": version, "host.name": socket.gethostname(),
                                         "deployment.environment.name": "test"})
        self.assertEqual((span.scope.name, span.scope.version), ("tars", version))
        _, path, headers, _ = self.receiver.requests[0]
        self.assertEqual((path, headers["content-type"], headers["authorization"], headers["x-scope"]),
                         ("/v1/traces", "application/json", "Bearer secret", "a"))

    def test_callers_trace(self):
        headers = {"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "rojo=1,congo=2"}
        spans = self.question(headers=headers)
        check_spans(self, spans)
        root = self.root(spans)
        self.assertEqual((root.parent, root.state, bool(root.flags & REMOTE)), (SPAN, "rojo=1,congo=2", True))
        chat, = named(spans, f"chat {MODEL}")
        heads = self.ollama.server.heads[-1]
        self.assertEqual(heads["traceparent"], f"00-{TRACE}-{chat.id}-01")
        self.assertEqual(heads["tracestate"], "rojo=1,congo=2")

    def test_caller_does_not_want_it(self):
        other = "1" + TRACE[1:]
        reply = self.ask("POST", "/rag/query", {"query": QUESTION, "relevance_threshold": 0},
                         headers={"traceparent": f"00-{other}-{SPAN}-00"})
        self.assertEqual(reply.status, 200)
        self.assertEqual(self.ollama.server.heads[-1]["traceparent"], f"00-{other}-{SPAN}-00")
        self.question()  # comes after it
        self.assertEqual([span for span in self.receiver.spans if span.trace == other], [])

    def test_names_are_few(self):
        for number in range(5):
            self.ask("GET", f"/made/up/{number}?q={WORDS[1]}")
            self.ask("GET", f"/conversation/made-{number}")
        spans = self.receiver.wait(lambda spans: len(named(spans, "GET")) >= 5)
        self.assertIn("GET /conversation/{conversation_id}", {span.name for span in spans})
        for span in spans:
            self.assertNotIn("made", span.name + json.dumps(span.attributes))

    def test_failures(self):
        spans = self.question(QUESTION + " DENY", headers={"traceparent": f"00-{TRACE[::-1]}-{SPAN}-01"})
        check_spans(self, spans)
        chat, = named(spans, f"chat {MODEL}")
        self.assertEqual((chat.code, chat.attributes["error.type"]), (2, "TARS_EUNAVAILABLE"))
        (name, _, event), = chat.events
        self.assertEqual((name, event), ("exception", {"exception.type": "TARS_EUNAVAILABLE",
                                                       "exception.message": "a part that is needed is away"}))
        # The answer was quoted instead.
        self.assertEqual([span.name for span in spans if span.name.startswith("write")],
                         ["write prompt", "write prompt", "write"])
        self.assertEqual(self.root(spans).code, 0)
        spans = self.question("", status=422)
        self.assertEqual((self.root(spans).code, self.root(spans).attributes["http.response.status_code"]), (0, 422))

    def test_ingest(self):
        self.assertEqual(self.upload([("other.md", b"# Other\n\nSome text of a file.")]).status, 201)
        spans = self.receiver.wait(lambda spans: len(named(spans, "ingest")) >= 2)
        check_spans(self, spans)
        job = named(spans, "ingest")[-1]
        self.assertEqual((job.parent, job.kind), ("", 1))
        self.assertEqual([re.sub(" .*", "", span.name) for span in spans if span.parent == job.id],
                         ["extract", "embeddings", "store", "index"])
        self.assertEqual({key: job.attributes[key] for key in job.attributes if key.startswith("tars.ingest")},
                         {"tars.ingest.outcome": "indexed", "tars.ingest.documents": 1, "tars.ingest.chunks": 1,
                          "tars.ingest.parts": 1})
        self.assertEqual(job.attributes["tars.file.type"], "md")

    def test_chat_and_stream(self):
        async def talk():
            url = f"ws://127.0.0.1:{self.port}/ws/chat?token={self.token}"
            async with websockets.connect(url) as socket_:
                await socket_.send(json.dumps({"type": "chat", "content": QUESTION, "conversation_id": "c-1",
                                               "use_rag": True, "rag_threshold": 0.0001}))
                while json.loads(await socket_.recv())["type"] not in ("rag_complete", "error"):
                    pass
        asyncio.run(talk())
        message, = named(self.receiver.wait(lambda spans: named(spans, "MESSAGE /ws/chat")), "MESSAGE /ws/chat")
        spans = self.trace(message.trace)
        check_spans(self, spans)
        self.assertEqual(message.attributes["gen_ai.conversation.id"], "c-1")
        self.assertIn("check citations", [span.name for span in spans if span.parent == message.id])
        spans = self.question(path="/rag/query/stream")
        check_spans(self, spans)
        self.assertIn("check citations", [span.name for span in spans])

    def test_zz_no_content(self):
        """After all the others: nothing of what was asked, found or written has left."""
        self.question()
        text = self.receiver.text().lower()
        for words in WORDS + ("piece0", "some text", "lamp.md", self.token.lower()):
            self.assertNotIn(words, text.replace("lamps", ""))
        exported = re.search(r'rag_trace_spans_total{result="exported"} (\d+)',
                             self.ask("GET", "/metrics/prometheus").body.decode())
        self.assertGreater(int(exported[1]), 50)


class ContentTest(ExportTest):
    content = "true"

    def test_content(self):
        spans = self.question()
        check_spans(self, spans)
        chat, = named(spans, f"chat {MODEL}")
        told, = json.loads(chat.attributes["gen_ai.system_instructions"])
        self.assertEqual(told["type"], "text")
        said, = json.loads(chat.attributes["gen_ai.input.messages"])
        self.assertEqual(said["role"], "user")
        self.assertIn(QUESTION, said["parts"][0]["content"])
        answer, = json.loads(chat.attributes["gen_ai.output.messages"])
        self.assertEqual(answer, {"role": "assistant", "finish_reason": "stop",
                                  "parts": [{"type": "text", "content": "piece0 piece1 piece2 "}]})
        retrieval, = named(spans, "retrieval")
        self.assertEqual(retrieval.attributes["gen_ai.retrieval.query.text"], QUESTION)
        found, = json.loads(retrieval.attributes["gen_ai.retrieval.documents"])
        self.assertIn("lithium", found["content"])
        self.assertTrue(found["id"].startswith("doc_"))
        job, = named(self.receiver.spans, "ingest")
        self.assertTrue(job.attributes["tars.file.path"].endswith("lamp.md"))

    def test_long_content_is_cut(self):
        spans = self.question("ä" * 9000)
        chat = named(spans, f"chat {MODEL}")
        retrieval, = named(spans, "retrieval")
        self.assertEqual(len(retrieval.attributes["gen_ai.retrieval.query.text"]), 9000)
        for span in chat:
            part, = json.loads(span.attributes["gen_ai.input.messages"])[0]["parts"]
            self.assertLessEqual(len(part["content"].encode()), 8192)

    def test_failure_in_words(self):
        chat, = named(self.question(QUESTION + " DENY"), f"chat {MODEL}")
        (_, _, event), = chat.events
        self.assertIn("denied", event["exception.message"])


class FaultTest(ServerTest):
    """A collector that fails costs spans, never a request, and not the stop of the server."""

    @classmethod
    def setUpClass(cls):
        cls.receiver = Receiver()
        cls.settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": cls.receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "20",
                        "OTEL_EXPORTER_OTLP_TIMEOUT": "2000", "LOG_LEVEL": "ERROR"}
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.receiver.close()

    def counts(self):
        text = self.ask("GET", "/metrics/prometheus").body.decode()
        return {name: float(value)
                for name, value in re.findall(r'^rag_trace_spans_total{result="(\w+)"} (\S+)', text, re.M)}

    def fails(self, plan):
        """One request's span meets plan; which counts rise, once they have."""
        before = self.counts()
        self.receiver.wait(lambda spans: not self.receiver.plan)
        with self.receiver.lock:
            seen = len(self.receiver.requests)
            self.receiver.plan = list(plan)
        self.assertEqual(self.ask("GET", "/health").status, 200)
        self.receiver.wait(lambda spans: not self.receiver.plan)
        return before, seen

    def test_it_comes_again(self):
        """What may pass is tried again, and the spans arrive; Retry-After is obeyed."""
        for planned in ((503, {}, ""), (429, {"Retry-After": "2"}, ""), "cut", "hang"):
            _, seen = self.fails([planned])
            self.receiver.wait(lambda spans: len(self.receiver.requests) >= seen + 2)
            first, second = self.receiver.requests[seen], self.receiver.requests[seen + 1]
            self.assertEqual(first[3], second[3], planned)
            # A connection that is cut before an answer is only opened again.
            pause = {503: 0.9, 429: 1.9, "h": 0.9, "c": 0}[planned[0]]
            self.assertGreaterEqual(second[0] - first[0], pause, planned)

    def test_it_does_not_come_again(self):
        for planned in ((400, {}, ""), (500, {}, ""), (301, {"Location": "/"}, "")):
            before, seen = self.fails([planned])
            self.receiver.wait(lambda spans: self.counts()["dropped"] > before["dropped"])
            body = self.receiver.requests[seen][3]
            self.assertEqual([request[3] for request in self.receiver.requests].count(body), 1)

    def test_partial_success(self):
        before, _ = self.fails([(200, {}, '{"partialSuccess":{"rejectedSpans":"1","errorMessage":"no room"}}')])
        self.receiver.wait(lambda spans: self.counts()["rejected"] == before["rejected"] + 1)
        for answer in ("", "nonsense", '{"partialSuccess":{"rejectedSpans":-5}}', '{"partialSuccess":{}}', "[1]"):
            self.fails([(200, {}, answer)])
        self.assertEqual(self.counts()["rejected"], before["rejected"] + 1)


class AwayTest(ServerTest):
    """Nobody listens there; and one listens, and never answers."""

    def serve_and_stop(self, endpoint):
        type(self).settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "20",
                               "LOG_LEVEL": "ERROR"}
        self.start()
        for _ in range(50):
            self.assertEqual(self.ask("GET", "/health").status, 200)
        time.sleep(0.1)
        before = time.monotonic()
        self.assertEqual(self.stop(), 0)
        self.assertLess(time.monotonic() - before, 20)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stop()

    @classmethod
    def tearDownClass(cls):
        cls.start()
        super().tearDownClass()

    def test_nobody_listens(self):
        self.serve_and_stop(f"http://127.0.0.1:{free_port()}")

    def test_nobody_answers(self):
        with socket.create_server(("127.0.0.1", 0), backlog=100) as silent:
            self.serve_and_stop(f"http://127.0.0.1:{silent.getsockname()[1]}")

    def test_bad_settings(self):
        for settings in ({"OTEL_EXPORTER_OTLP_ENDPOINT": "localhost:4318"},
                         {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318", "OTEL_EXPORTER_OTLP_HEADERS": "a"},
                         {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://localhost:4318",
                          "OTEL_EXPORTER_OTLP_HEADERS": "a=%0d%0ab"}):
            done = subprocess.run([TARS, "serve", "--port", "0"], cwd=self.data, timeout=60, capture_output=True,
                                  env=environment(self.data, **settings), text=True)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn("OTEL_EXPORTER_OTLP", done.stderr)


class ShareTest(ServerTest):
    """A share of the requests, by their traces' ids."""

    @classmethod
    def setUpClass(cls):
        cls.receiver = Receiver()
        cls.settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": cls.receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "20",
                        "OTEL_TRACES_SAMPLER_ARG": "0.5"}
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.receiver.close()

    def test_share(self):
        sampled = set()
        for _ in range(60):
            request_id = self.ask("GET", "/health").headers["x-request-id"]
            if int(request_id[16:], 16) >> 1 < 1 << 62:
                sampled.add(request_id)
        spans = self.receiver.wait(lambda spans: len(spans) >= len(sampled))
        self.assertEqual({span.trace for span in spans}, sampled)


if __name__ == "__main__":
    unittest.main()
