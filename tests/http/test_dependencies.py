"""Redis and PostgreSQL that hang, are away, come and go: what a server does at its start, in between, and at its end.
Real ones, stopped by SIGSTOP and SIGKILL. A provider of identities that hangs: test_dependencies_provider.py."""
import os
import re
import sys
import time
import unittest

from life import PATIENCE, Life

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from postgres import Postgres  # noqa: E402
from redis_server import Redis  # noqa: E402

READY_S = 2  # /ready answers within this time, whatever hangs
BACK_S = 20  # a server that is there again is used again; after 5 s on a machine that has nothing else to do
START_S = 1  # START_WAIT_SECONDS
HUNG_MS = "1000"  # after so long PostgreSQL counts as hung, and Redis
SLACK_S = 20  # for threads that end, and other work of the machine; one attempt to connect may take longer
TRIES = 5  # a machine that has other work may keep one answer up, and not each of so many


def setUpModule():
    global POSTGRES, REDIS
    POSTGRES = Postgres()
    REDIS = Redis()


def tearDownModule():
    REDIS.stop()
    POSTGRES.close()


class Part:
    """A server elsewhere: how it is named, switched on and ill-treated."""

    def __init__(self, name, check, settings, **ways):
        self.name, self.check, self.settings = name, check, settings
        self.hang, self.resume, self.kill, self.start = (ways[way] for way in ("hang", "resume", "kill", "start"))


def redis():
    return Part("redis", "redis_cache", REDIS.settings(REDIS_TIMEOUT_MS=HUNG_MS), hang=REDIS.hang, resume=REDIS.resume, kill=REDIS.kill,
                start=REDIS.restart)


class Dependencies(Life):
    databases = 0

    def postgres(self):
        Dependencies.databases += 1
        self.database = f"life_{Dependencies.databases}"
        POSTGRES.create_database(self.database)
        return Part("postgres", "postgres", POSTGRES.environment(
            POSTGRES_DB=self.database, POSTGRES_PING_TIMEOUT_MS=HUNG_MS), hang=POSTGRES.pause,
                    resume=POSTGRES.resume, kill=POSTGRES.kill, start=POSTGRES.start)

    def parts(self):
        return self.postgres(), redis()

    def state(self, part):
        """As /ready tells it, in time."""
        took = []
        while not took or (took[-1] >= READY_S and len(took) < TRIES):
            begun = time.monotonic()
            reply = self.ask("GET", "/ready")
            took.append(time.monotonic() - begun)
        self.assertLess(took[-1], READY_S, took)
        told = reply.json()
        self.assertEqual((reply.status, told["status"]), (200, "ready"), "what is optional costs no readiness")
        state = told["checks"][part.check]
        self.assertEqual(part.name in told["degraded"], state == "disconnected")
        return state

    def await_state(self, part, wanted, seconds=PATIENCE):
        deadline = time.monotonic() + seconds
        while self.state(part) != wanted:
            self.assertLess(time.monotonic(), deadline, f"{part.name} is not {wanted}")
            time.sleep(0.05)

    def answer(self, *names):
        """Questions and searches, all of which are answered."""
        for name in names:
            reply = self.ask("POST", "/rag/query", {"query": f"How long is the warranty of {name}?"})
            self.assertEqual(reply.status, 200, reply.body)
            found = self.ask("POST", "/rag/search", {"query": f"warranty of {name}", "top_k": 3})
            self.assertEqual((found.status, found.json()["total_results"]), (200, 1))
            self.answered.append(f"How long is the warranty of {name}?")

    def index(self):
        if not self.answered:
            super().index()

    def logged(self):
        return sorted(row[0] for row in POSTGRES.query("SELECT query_text FROM query_logs", self.database))

    def await_rows(self):
        deadline = time.monotonic() + PATIENCE
        while len(self.logged()) < len(self.answered) and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(self.logged(), sorted(self.answered))

    def setUp(self):
        super().setUp()
        self.answered = []

    def test_one_that_hangs_and_goes_on(self):
        """The other goes on."""
        postgres, cache = self.parts()
        self.serve(**postgres.settings, **cache.settings)
        self.index()
        self.assertEqual([self.state(postgres), self.state(cache)], ["connected", "connected"])
        for part, other in ((postgres, cache), (cache, postgres)):
            with self.subTest(part=part.name):
                self.answer(f"a pump with {part.name}")
                part.hang()
                try:
                    self.answer(f"a valve without {part.name}", f"a hose without {part.name}")
                    self.await_state(part, "disconnected")
                    self.answer(f"a wheel without {part.name}")
                    self.assertEqual(self.state(other), "connected")
                finally:
                    part.resume()
                self.await_state(part, "connected", BACK_S)
        self.await_rows()

    def test_one_that_is_there_is_connected_at_the_first_look(self):
        postgres = self.postgres()
        self.serve(**postgres.settings, **redis().settings)
        self.assertEqual([self.state(postgres), self.state(redis())], ["connected", "connected"])
        self.assertEqual(self.ask("GET", "/analytics/query-stats", token=self.token()).status, 200)
        self.assertNotIn("is not there after", self.log())

    def test_a_start_without(self):
        parts = self.parts()
        for way in ("kill", "hang"):
            with self.subTest(way=way):
                for part in parts:
                    getattr(part, way)()
                try:
                    self.serve(START_WAIT_SECONDS=str(START_S), **parts[0].settings, **parts[1].settings)
                    for part in parts:
                        told = self.await_log(f"{part.name} is not there after", "going on without")
                        waited_ms = int(re.search(r"after (\d+) ms", told)[1])
                        self.assertGreaterEqual(waited_ms, START_S * 1000)
                        self.assertLess(waited_ms, (START_S + SLACK_S) * 1000)
                        self.assertEqual(self.state(part), "disconnected")
                finally:
                    for part in parts:
                        (part.start if way == "kill" else part.resume)()
                deadline = time.monotonic() + BACK_S
                for part in parts:
                    self.await_state(part, "connected", deadline - time.monotonic())
                self.assertEqual(self.stop(), 0)

    def test_a_stop_while_they_hang(self):
        parts = self.parts()
        settings = {"DRAIN_SECONDS": "1", **parts[0].settings, **parts[1].settings}
        self.serve(**settings)
        self.index()
        self.answer("a pump", "a valve")
        for part in parts:
            part.hang()
        try:
            self.answer("a hose", "a wheel")
            begun = time.monotonic()
            self.assertEqual(self.stop(), 0)
            self.assertLess(time.monotonic() - begun, 1 + BACK_S + SLACK_S)
        finally:
            for part in parts:
                part.resume()
        self.assertLess(len(self.logged()), len(self.answered))
        self.serve(**settings)
        self.await_rows()
        self.assertEqual(self.stop(), 0)
        self.assertEqual(self.logged(), sorted(self.answered))

    def stop(self):
        self.terminate()
        code = self.wait()
        self.end()
        return code


if __name__ == "__main__":
    unittest.main()
