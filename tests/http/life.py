"""A server for each test, whose life the test makes: started, told, stopped, looked at through its log."""
import http.client
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import unittest

from websockets.exceptions import ConnectionClosed

from ollama import Ollama
from server import TARS, Reply, environment

TEXT = "# Warranty\n\nThe warranty is two years long. Parts that wear out are not covered by it.\n"
PATIENCE = 60  # seconds; for machines that are busy


class Life(unittest.TestCase):
    """A server for each test, with a writer whose pace the test sets."""

    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="tars-life-")
        self.addCleanup(shutil.rmtree, self.data)
        self.model = Ollama()
        self.addCleanup(self.model.close)
        self.process = None
        self.addCleanup(self.end)

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=PATIENCE)
        if self.process:
            self.process.stdout.close()
            self.errors.close()

    def launch(self, *arguments, **settings):
        self.errors = open(os.path.join(self.data, "log"), "wb")
        more = {"LLM_BACKEND": "ollama", "OLLAMA_HOST": self.model.url, "CONVERSATION_MEMORY": "false", **settings}
        self.process = subprocess.Popen([TARS, "serve", "--port", "0", "--json", *arguments], cwd=self.data,
                                        env={k: v for k, v in environment(self.data, **more).items()
                                             if v is not None}, stdout=subprocess.PIPE,
                                        stderr=self.errors, text=True)

    def serve(self, *arguments, **settings):
        self.launch(*arguments, **settings)
        line = self.process.stdout.readline()
        self.assertTrue(line, f"the server did not start: {self.log()}")
        self.ready = json.loads(line)
        self.port = int(self.ready["url"].rsplit(":", 1)[1])

    def log(self):
        with open(os.path.join(self.data, "log"), encoding="utf-8") as file:
            return file.read()

    def await_log(self, *words):
        """Until a line has all the words; it is given."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for line in self.log().splitlines():
                if all(word in line for word in words):
                    return line
            time.sleep(0.01)
        raise AssertionError(f"no line has {words}:\n{self.log()}")

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        self.await_log("stopping:")

    def wait(self):
        return self.process.wait(timeout=PATIENCE)

    def connection(self):
        made = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        self.addCleanup(made.close)
        return made

    def send(self, connection, method, path, body=None, token=None):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection.request(method, path, None if body is None else json.dumps(body).encode(), headers)

    def ask(self, method, path, body=None, token=None):
        connection = self.connection()
        self.send(connection, method, path, body, token)
        return Reply(connection.getresponse())

    def token(self):
        return self.ask("POST", "/auth/token", {"client_id": "tester"}).json()["access_token"]

    def index(self):
        os.makedirs(os.path.join(self.data, "root"), exist_ok=True)
        path = os.path.join(self.data, "root", "warranty.md")
        with open(path, "w", encoding="utf-8") as file:
            file.write(TEXT)
        done = self.ask("POST", "/rag/index", {"file_path": path}, self.token()).json()
        self.assertEqual(done["status"], "success", done)

    def rows(self):
        with sqlite3.connect(os.path.join(self.data, "analytics.db")) as db:
            return db.execute("SELECT count(*) FROM query_logs").fetchone()[0]

    def hear_until(self, ws, last):
        heard = []
        while not heard or heard[-1]["type"] != last:
            heard.append(json.loads(ws.recv(timeout=PATIENCE)))
        return heard

    def hear_out(self, ws):
        heard = []
        try:
            while True:
                heard.append(json.loads(ws.recv(timeout=PATIENCE)))
        except ConnectionClosed:
            return heard

    def await_asked(self, count):
        deadline = time.monotonic() + PATIENCE
        while len(self.model.asked) < count and time.monotonic() < deadline:
            time.sleep(0.01)
        self.assertEqual(len(self.model.asked), count)
