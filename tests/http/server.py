"""A server of its own for each test class: data folder, port and process are made and removed.

ask() sends the token of the class, if it has one (sign_in() gets one); token="" sends none."""
import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARS = os.environ.get("TARS_BIN", os.path.join(ROOT, "build", "debug", "tars"))
SAMPLES = os.path.join(ROOT, "samples")


SOON = 60  # seconds that a test waits for what must happen at all; nothing is measured by it


def eventually(test, what, seconds=SOON):
    until = time.monotonic() + seconds
    while not what():
        if time.monotonic() > until:
            test.fail(f"not within {seconds} seconds")
        time.sleep(0.02)


def environment(data, **more):
    """Only what a test means to set; no LLM, so that answers are the same everywhere."""
    kept = {k: os.environ[k] for k in ("PATH", "HOME", "XDG_CACHE_HOME", "ASAN_OPTIONS", "TSAN_OPTIONS",
                                       "LLVM_PROFILE_FILE", "LANG", "TARS_EXTRACT") if k in os.environ}
    kept.update(TARS_DATA=data, LLM_BACKEND="extract", TARS_ROOTS=f"{SAMPLES}:{data}/root", RATE_LIMIT_PER_MINUTE="0")
    kept.update(more)
    return kept


def run(*arguments, data, code=0, **more):
    """Run one command; its exit status is part of what is tested, unless code is None."""
    done = subprocess.run([TARS, *arguments], env=environment(data, **more), cwd=data, timeout=180,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if code is not None and done.returncode != code:
        raise AssertionError(f"tars {' '.join(arguments)} ended with {done.returncode}, expected {code}\n"
                             f"{done.stdout}\n{done.stderr}")
    return done


class Reply:
    def __init__(self, raw):
        self.status, self.headers, self.body = raw.status, raw.headers, raw.read()

    def json(self):
        return json.loads(self.body)

    def lines(self):
        return [json.loads(line) for line in self.body.splitlines()]


class ServerTest(unittest.TestCase):
    settings = {}
    with_samples = False  # True: what is in samples/ is taken in first
    token = ""

    @classmethod
    def setUpClass(cls):
        cls.data = tempfile.mkdtemp(prefix="tars-http-")
        cls.start()
        if cls.with_samples:
            run("ingest", SAMPLES, data=cls.data)

    @classmethod
    def start(cls):
        cls.process = subprocess.Popen([TARS, "serve", "--port", "0", "--json"], cwd=cls.data,
                                       env=environment(cls.data, **{"LOG_LEVEL": "WARNING", **cls.settings}),
                                       stdout=subprocess.PIPE, text=True)
        line = cls.process.stdout.readline()
        if not line:
            raise AssertionError("the server did not start")
        cls.url = json.loads(line)["url"]
        cls.port = int(cls.url.rsplit(":", 1)[1])

    @classmethod
    def stop(cls):
        cls.process.send_signal(signal.SIGTERM)
        code = cls.process.wait(timeout=60)
        cls.process.stdout.close()
        return code

    @classmethod
    def tearDownClass(cls):
        code = cls.stop()
        shutil.rmtree(cls.data)
        if code != 0:
            raise AssertionError(f"the server ended with {code}")

    @classmethod
    def sign_in(cls, client_id="tester", **more):
        """An access token: in mode open anybody gets one."""
        reply = cls.ask("POST", "/auth/token", {"client_id": client_id, **more}, token="")
        if reply.status != 200:
            raise AssertionError(f"{client_id} did not get a token: {reply.status} {reply.body}")
        return reply.json()["access_token"]

    @classmethod
    def ask(cls, method, path, body=None, headers=None, raw=None, token=None):
        connection = http.client.HTTPConnection("127.0.0.1", cls.port, timeout=60)
        headers = dict(headers or {})
        token = cls.token if token is None else token
        if token:
            headers.setdefault("Authorization", f"Bearer {token}")
        if body is not None:
            raw = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        connection.request(method, path, body=raw, headers=headers)
        reply = Reply(connection.getresponse())
        connection.close()
        return reply

    @classmethod
    def upload(cls, files, path="/rag/upload", fields=(), token=None):
        boundary = uuid.uuid4().hex
        parts = []
        for name, content in files:
            parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"'
                         "\r\nContent-Type: application/octet-stream\r\n\r\n".encode() + content + b"\r\n")
        for name, value in fields:
            parts.append(f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
                         .encode())
        raw = b"".join(parts) + f"--{boundary}--\r\n".encode()
        return cls.ask("POST", path, raw=raw, token=token,
                       headers={"Content-Type": f"multipart/form-data; boundary={boundary}"})
