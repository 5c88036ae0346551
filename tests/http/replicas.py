"""Servers that share a store: each a process with a data folder of its own, on one PostgreSQL.

    class Some(ReplicasTest):
        count = 3
        def test_it(self):
            a, b, c = self.servers
            a.upload(...); self.soon(lambda: b.finds("words"))
"""
import contextlib
import glob
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time
import unittest

from postgres import Postgres
from server import TARS, ServerTest, environment


class Server:
    """One of them; asks like a ServerTest, without a class of its own."""
    ask = ServerTest.__dict__["ask"].__func__
    upload = ServerTest.__dict__["upload"].__func__
    sign_in = ServerTest.__dict__["sign_in"].__func__

    def __init__(self, settings):
        self.data = tempfile.mkdtemp(prefix="tars-replica-")
        self.settings, self.token, self.process = settings, "", None
        self.lines = []
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def start(self, **more):
        began = time.monotonic()
        self.process = subprocess.Popen([TARS, "serve", "--port", "0", "--json"], cwd=self.data,
                                        env=environment(self.data, **{"LOG_LEVEL": "INFO", **self.settings, **more}),
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.listener = threading.Thread(target=self.listen, args=(self.process.stderr,), daemon=True)
        self.listener.start()
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError("a server did not start:\n" + "\n".join(self.lines[-20:]))
        self.start_s = time.monotonic() - began
        self.port = int(json.loads(line)["url"].rsplit(":", 1)[1])

    def listen(self, stderr):
        for line in stderr:
            self.lines.append(line.rstrip())

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.end()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.end()

    def end(self):
        code = self.process.wait(timeout=60)
        self.listener.join(timeout=60)
        self.process.stdout.close()
        self.process.stderr.close()
        self.process = None
        return code

    def close(self):
        if self.process:
            self.process.kill()
            self.end()
        shutil.rmtree(self.data, ignore_errors=True)

    def found(self, words, **more):
        reply = self.ask("POST", "/rag/search", {"query": words, "top_k": 5, "relevance_threshold": 0, **more})
        if reply.status != 200:
            raise AssertionError(f"{reply.status} {reply.body}")
        return [source["document_id"] for source in reply.json()["results"]]

    def metric(self, name):
        for line in self.ask("GET", "/metrics/prometheus").body.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise AssertionError(f"no metric {name}")

    def texts(self):
        """Documents whose texts are kept beside the index."""
        try:
            path, = glob.glob(os.path.join(self.data, "index-*", "texts.db"))
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
                return file.execute("SELECT count(*) FROM documents").fetchone()[0]
        except (ValueError, sqlite3.Error) as fault:  # not there yet, or just being written
            raise AssertionError(f"no copy of texts to be read: {fault}") from fault

    def leads(self):
        return self.metric("tars_replica_leader") == 1


class ReplicasTest(unittest.TestCase):
    count = 2
    settings = {}
    pooled = "false"
    vectors = False  # with pgvector

    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(vectors=cls.vectors)
        cls.servers = []
        cls.shared = {**cls.postgres.environment(POSTGRES_ENABLED="false"), "STORE": "postgres",
                      "STORE_SHARED": "true", "STORE_POOLER": cls.pooled, **cls.settings}
        try:
            for _ in range(cls.count):
                cls.servers.append(Server(cls.shared))
            cls.token = cls.servers[0].sign_in()
            for server in cls.servers:
                server.token = cls.token
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        for server in cls.servers:
            server.close()
        cls.postgres.close()

    def rows(self, sql):
        return self.postgres.query(sql)

    def soon(self, holds, seconds=60, what="it"):
        """Until holds(); how long it took. A request that fails meanwhile is asked again."""
        start = time.monotonic()
        last = None
        while time.monotonic() - start < seconds:
            try:
                if holds():
                    return time.monotonic() - start
            except (AssertionError, OSError) as error:
                last = error
            time.sleep(0.05)
        raise AssertionError(f"{what} did not come about in {seconds} s; {last}")

    def said(self, server, words):
        """The server has logged them; what it has written is read a moment later."""
        self.soon(lambda: any(words in line for line in server.lines), what=f"{words} in the log")

    def put(self, server, name, text):
        """One document, through one server; its id."""
        reply = server.upload([(name, text.encode())])
        self.assertIn(reply.status, (200, 201), reply.body)
        rows = self.rows(f"SELECT document_id FROM tars.documents WHERE file_name = '{name}'")
        self.assertEqual(len(rows), 1, reply.body)
        return rows[0][0]
