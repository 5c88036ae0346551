#!/usr/bin/env python3
"""Traces as an OpenTelemetry Collector takes them: the built program, a real collector
(tests/support/otel_collector), and what it wrote down.

    traces.py [--full]

A server takes a document in and answers questions, some of them for a caller with a trace of its own. Every request
and every job must be in the collector's file, once, whole, with times that nest and names that the conventions know,
and nothing of what was asked or written. Prints "N passed, M failed".
"""
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault("TARS_BIN", os.environ.get("TARS", os.path.join(ROOT, "build", "release", "tars")))
sys.path[:0] = [os.path.join(ROOT, "tests", "http"), os.path.join(ROOT, "tests")]
from server import ServerTest  # noqa: E402
from support.otlp import check_spans, read_lines  # noqa: E402
from support.ports import free_port  # noqa: E402

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
DOCUMENT = b"# Batteries\n\nThe battery of the lamp lasts nine hours. It is made of lithium.\n"
QUESTION = "How many hours does the battery of the lamp last?"
REQUESTS = 300 if "--full" not in sys.argv else 20000

CONFIG = """
receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:{port}
exporters:
  lines:
    path: {path}
service:
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [lines]
"""


def build():
    """The collector, made from its sources the first time."""
    return subprocess.run([os.path.join(ROOT, "tests", "support", "otel_collector", "build")], check=True,
                          stdout=subprocess.PIPE, text=True).stdout.strip()


class Collector:
    def __init__(self, folder):
        program = build()
        self.port = free_port()
        self.path = os.path.join(folder, "spans.jsonl")
        config = os.path.join(folder, "collector.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(port=self.port, path=self.path))
        self.process = subprocess.Popen([program, "--config", config], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        self.url = f"http://127.0.0.1:{self.port}"
        until = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.05)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


class CollectorTest(ServerTest):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="tars-traces-")
        cls.collector = Collector(cls.folder.name)
        cls.settings = {"OTEL_EXPORTER_OTLP_ENDPOINT": cls.collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        cls.collector.stop()
        cls.folder.cleanup()

    def test_all(self):
        asked = []
        self.token = self.sign_in()
        self.assertEqual(self.upload([("lamp.md", DOCUMENT)], token=self.token).status, 201)
        for number in range(REQUESTS):
            headers = {"traceparent": f"00-{TRACE}-{SPAN}-01"} if number % 10 == 0 else {}
            path, body = ("/rag/query", {"query": QUESTION, "relevance_threshold": 0}) if number % 3 else ("/health", None)
            reply = self.ask("POST" if body else "GET", path, body, headers=headers, token=self.token)
            self.assertEqual(reply.status, 200)
            asked.append((TRACE if headers else reply.headers["x-request-id"], reply.headers["x-request-id"]))
        # The stop of the server is what sends the last of them.
        self.assertEqual(self.stop(), 0)
        spans = read_lines(self.collector.path)
        check_spans(self, spans)
        served = [span for span in spans if span.kind == 2]
        self.assertEqual(len(served), len(asked) + 2)
        self.assertEqual({(span.trace, span.attributes["tars.request.id"]) for span in served[-len(asked):]}, set(asked))
        answers = [span for span in served if span.name == "POST /rag/query"]
        for span in answers:
            children = [child.name for child in spans if child.parent == span.id]
            self.assertEqual(children, ["retrieval", "write prompt", "write", "check citations"])
        self.assertEqual({span.parent for span in served if span.trace == TRACE}, {SPAN})
        jobs = [span for span in spans if span.name == "ingest"]
        self.assertEqual([job.attributes["tars.ingest.outcome"] for job in jobs], ["indexed"])
        with open(self.collector.path, encoding="utf-8") as file:
            text = file.read().lower()
        for words in ("battery", "lithium", "nine hours", "lamp.md"):
            self.assertNotIn(words, text)
        print(json.dumps({"requests": len(asked), "spans": len(spans)}))


def main():
    try:
        build()
    except subprocess.CalledProcessError as fault:  # tests/http/test_traces.py reads the same spans without it
        print(f"skipped the collector, which cannot be built: {fault}")
        print(f"0 passed, {int('--full' in sys.argv)} failed")
        return "--full" in sys.argv
    result = unittest.TextTestRunner(verbosity=1).run(unittest.defaultTestLoader.loadTestsFromTestCase(CollectorTest))
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
