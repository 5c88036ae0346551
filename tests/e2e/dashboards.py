#!/usr/bin/env python3
"""Every query of every dashboard and every alert's expression, asked of a real Prometheus that scrapes a real server.

    dashboards.py

The server has all that it can have: Redis, PostgreSQL, a language model that answers, refuses and breaks off, a
collector of traces. While questions, searches, chats, uploads and failures go on, each query must give data: at least
one series, with a number. Of an alert, what it compares with its bounds must. Prints "N passed, M failed".
"""
import asyncio
import importlib.machinery
import importlib.util
import json
import math
import os
import sys
import threading
import time
import unittest

import websockets

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault("TARS_BIN", os.environ.get("TARS", os.path.join(ROOT, "build", "release", "tars")))
sys.path[:0] = [os.path.join(ROOT, "tests", "http"), os.path.join(ROOT, "tests"), os.path.join(ROOT, "tests", "support")]
from fake_ollama import MODEL, FakeOllama  # noqa: E402
from postgres import Postgres  # noqa: E402
from prometheus import Prometheus  # noqa: E402
from redis_server import Redis  # noqa: E402
from server import ServerTest  # noqa: E402
from support.otlp import Receiver  # noqa: E402

SECONDS = 300  # for all queries together; trends come within a minute
RULES = os.path.join(ROOT, "deploy", "prometheus", "tars-alerts.yml")
TOKEN = "scrape-0123456789"
DOCUMENT = "# Lamps\n\nThe battery of lamp {0} lasts {0} hours. It is made of lithium.\n"


def load_tool():
    loader = importlib.machinery.SourceFileLoader("monitoring", os.path.join(ROOT, "tools", "monitoring"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("monitoring", loader))
    loader.exec_module(module)
    return module


def compared(expression):
    """What an alert's expression compares: its parts at the top, between "and" and comparisons, but for numbers."""
    parts, depth, start, at = [], 0, 0, 0
    while at < len(expression):
        here = expression[at]
        if here == '"':
            at = expression.index('"', at + 1)
        depth += here in "({[" and 1 or here in ")}]" and -1 or 0
        found = next((op for op in (" and on (job, instance) ", " and ", " == ", " > ", " < ")
                      if depth == 0 and expression.startswith(op, at)), None)
        if found:
            parts.append(expression[start:at])
            start = at = at + len(found)
        else:
            at += 1
    parts = [part.strip() for part in [*parts, expression[start:]]]
    absent = [part[len("absent("):-1] if part.startswith("absent(") else part for part in parts]
    return [part for part in absent if not part.replace(".", "").replace("e6", "").isdigit()]


class Traffic(threading.Thread):
    """All that a server is asked, again and again."""

    def __init__(self, test):
        super().__init__(daemon=True)
        self.test, self.over, self.error, self.rounds = test, threading.Event(), None, 0

    def run(self):
        try:
            while not self.over.is_set():
                self.round(self.rounds)
                self.rounds += 1
        except Exception as error:  # told by the test
            self.error = error

    def question(self, query, path="/rag/query", **more):
        return self.test.ask("POST", path, {"query": query, "relevance_threshold": 0.0, **more})

    def round(self, number):
        ask = self.test.ask
        self.question(f"How long does the battery of lamp {number % 7} last?", conversation_id="c-1")
        self.question(f"How long does the battery of lamp {number % 7} last?", path="/rag/query/stream")
        self.question("What does the weather do tomorrow?", relevance_threshold=0.99)
        for _ in range(3):
            ask("POST", "/rag/search", {"query": f"battery of lamp {number % 3}"})
        asyncio.run(self.chat(number))
        name = f"lamp{number}.md"
        self.test.upload([(name, DOCUMENT.format(number).encode()), ("bad.pdf", b"%PDF-1.4 no " + str(number).encode())])
        if number % 3 == 2:
            listed = ask("POST", "/rag/search", {"query": f"lamp {number}", "top_k": 1}).json()["results"]
            for found in listed:
                ask("DELETE", f"/rag/documents/{found['document_id']}")
        if number % 2:
            self.question(f"BREAK after lamp {number}")
        ask("GET", "/analytics/query-stats")
        ask("GET", "/analytics/top-documents")
        if number % 5 == 0:
            ask("POST", "/rag/search", raw=b'{"query": "' + b"x" * (8 << 20) + b'"}',
                headers={"Content-Type": "application/json"})
        ask("GET", "/nothing/here")

    async def chat(self, number):
        url = f"ws://127.0.0.1:{self.test.port}/ws/chat?token={self.test.token}"
        async with websockets.connect(url) as socket:
            await socket.send(json.dumps({"type": "chat", "content": f"Lamp {number}?", "use_rag": True,
                                          "conversation_id": "c-2"}))
            while json.loads(await socket.recv())["type"] not in ("rag_complete", "error"):
                pass


class DashboardTest(ServerTest):
    @classmethod
    def setUpClass(cls):
        cls.redis = Redis("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")
        cls.addClassCleanup(cls.redis.stop)
        cls.postgres = Postgres(vectors=True)
        cls.addClassCleanup(cls.postgres.close)
        cls.ollama, cls.receiver = FakeOllama(), Receiver()
        cls.addClassCleanup(cls.ollama.close)
        cls.addClassCleanup(cls.receiver.close)
        cls.settings = {**cls.redis.settings(), **cls.postgres.environment(), "POSTGRES_ENABLED": "true", "VECTOR_BACKEND": "pgvector",
                        "METRICS_TOKEN": TOKEN, "METRICS_SAMPLE_SECONDS": "1", "LLM_BACKEND": "ollama",
                        "OLLAMA_HOST": cls.ollama.url, "OLLAMA_MODEL": MODEL, "USE_QUERY_EXPANSION": "true",
                        "QUERY_EXPANSION_ENABLED": "true", "WS_MAX_CONNECTIONS": "100", "LOG_LEVEL": "CRITICAL",
                        "OTEL_EXPORTER_OTLP_ENDPOINT": cls.receiver.url, "OTEL_BSP_SCHEDULE_DELAY": "500"}
        super().setUpClass()
        cls.token = cls.sign_in()
        cls.prometheus = Prometheus({"tars": {"port": cls.port, "token": TOKEN}}, rules=[RULES])
        cls.addClassCleanup(cls.prometheus.stop)

    def gives_data(self, expression):
        return any(not math.isnan(value) for _, value in self.prometheus.query(expression))

    def wait_for_all(self, queries):
        """The queries that never gave data."""
        until = time.monotonic() + SECONDS
        left = list(queries)
        while left and time.monotonic() < until:
            left = [query for query in left if not self.gives_data(query[1])]
            time.sleep(0.2)
        return left

    def test_1_parts(self):
        self.assertEqual(compared('a{x=~"b and c > d"} > 16e6 and on (job, instance) (e > 0) / f < 0.9'),
                         ['a{x=~"b and c > d"}', "(e > 0) / f"])
        self.assertEqual(compared('absent(up{job="tars"})'), ['up{job="tars"}'])

    def test_2_all(self):
        tool = load_tool()
        dashboards = list(tool.queries())
        alerts = [(rule["alert"], part) for rule in tool.alerts() for part in compared(rule["expr"].replace("\n", " "))]
        self.assertGreater(len(dashboards), 80)
        self.assertGreater(len(alerts), 30)
        self.prometheus.wait_until_up("tars")
        traffic = Traffic(self)
        before = time.monotonic()
        traffic.start()
        left = self.wait_for_all(dashboards + alerts)
        traffic.over.set()
        traffic.join(60)
        print(json.dumps({"dashboards": len(dashboards), "alerts": len(alerts), "rounds": traffic.rounds,
                          "seconds": round(time.monotonic() - before, 1)}))
        self.assertIsNone(traffic.error)
        self.assertEqual(left, [])

    def test_3_rules(self):
        """Prometheus evaluates every rule without an error."""
        rules = [rule for group in self.prometheus.get("/api/v1/rules")["groups"] for rule in group["rules"]]
        self.assertGreater(len(rules), 40)
        self.assertEqual([(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"], [])


def main():
    result = unittest.TextTestRunner(verbosity=2).run(unittest.defaultTestLoader.loadTestsFromTestCase(DashboardTest))
    failed = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - failed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
