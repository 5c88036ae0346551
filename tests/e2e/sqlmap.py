"""sqlmap on every parameter of the interface: none of them reaches a statement as text.

    TARS=build/release/tars python3 tests/e2e/sqlmap.py [--full]

The targets are made from /openapi.json: query strings, path segments, and fields of JSON bodies, with a valid
token. Without --full the few with the most text in them, at sqlmap's first level; with it all, at the second.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARS = os.path.abspath(os.environ.get("TARS", os.path.join(ROOT, "build", "release", "tars")))
FULL = "--full" in sys.argv
LEVEL, RISK, EACH_SECONDS = ("2", "2", 900) if FULL else ("1", "1", 120)
# method, path, JSON body; a star is where sqlmap puts its texts.
FIRST = [
    ("POST", "/rag/search", {"query": "handbook*", "filters": {"file_name": "a*"}}),
    ("GET", "/conversation/conv_1*", None),
    ("GET", "/analytics/query-stats?start_time=2025-01-01*&end_time=2030-01-01*", None),
    ("POST", "/conversation/message", {"conversation_id": "c1*", "message": {
        "id": "m1*", "role": "user*", "content": "x*", "timestamp": "2025-11-07T12:00:00*"}}),
]
REST = [
    ("POST", "/rag/query", {"query": "handbook*", "conversation_id": "c*", "filters": {"file_type": "txt*"}}),
    ("POST", "/auth/token", {"client_id": "desk*", "device_name": "a*", "device_type": "b*"}),
    ("POST", "/auth/refresh", {"refresh_token": "x*"}),
    ("POST", "/auth/revoke", {"token": "x*"}),
    ("DELETE", "/rag/document", {"document_id": "doc_0123456789abcdef*"}),
    ("POST", "/rag/index", {"file_path": "/tmp/a.txt*"}),
    ("GET", "/rag/documents?limit=10*&offset=0*", None),
    ("GET", "/rag/jobs?state=failed*&limit=10*", None),
    ("GET", "/rag/jobs/1*", None),
    ("GET", "/conversation/list?limit=10*", None),
    ("GET", "/analytics/document-popularity?top_n=5*", None),
    ("GET", "/metrics/historical?start_time=2025-01-01*&end_time=2030-01-01*&interval=60*", None),
    ("POST", "/analytics/export", {"output_path": "a.csv*"}),
    ("GET", "/admin/users?tenant=default*", None),
    ("GET", "/admin/audit?actor=a*&action=b*&limit=5*", None),
    ("POST", "/admin/users", {"name": "u1*", "role": "reader*"}),
    ("POST", "/admin/collections", {"name": "c1*", "description": "d*"}),
    ("DELETE", "/admin/users/nobody*", None),
]


class Sqlmap(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tars-sqlmap-")
        kept = {k: os.environ[k] for k in ("PATH", "HOME", "XDG_CACHE_HOME", "LANG") if k in os.environ}
        env = dict(kept, TARS_DATA=os.path.join(cls.folder, "data"), LLM_BACKEND="extract", LOG_LEVEL="CRITICAL",
                   RATE_LIMIT_PER_MINUTE="0")
        subprocess.run([TARS, "ingest", os.path.join(ROOT, "samples")], env=env, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.process = subprocess.Popen([TARS, "serve", "--port", "0", "--json"], cwd=cls.folder, env=env,
                                       stdout=subprocess.PIPE, text=True)
        cls.url = json.loads(cls.process.stdout.readline())["url"]
        cls.token = cls.post("/auth/token", {"client_id": "desk-1"})["access_token"]

    @classmethod
    def tearDownClass(cls):
        cls.process.send_signal(signal.SIGTERM)
        code = cls.process.wait(timeout=60)
        cls.process.stdout.close()
        shutil.rmtree(cls.folder)
        if code:
            raise AssertionError(f"the server ended with {code}")

    @classmethod
    def post(cls, path, body):
        request = urllib.request.Request(cls.url + path, json.dumps(body).encode(),
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)

    def scan(self, method, path, body):
        out = os.path.join(self.folder, "out")
        command = ["sqlmap", "-u", self.url + path, "--method", method, "--batch", "--level", LEVEL, "--risk", RISK,
                   "--dbms", "SQLite" if not FULL else "SQLite,PostgreSQL", "--technique", "BEUT" if FULL else "BEU",
                   "--ignore-code", "*", "--flush-session", "--output-dir", out, "--disable-coloring", "--threads", "2",
                   "--answers", "custom injection=Y,keep testing=N", "-H", f"Authorization: Bearer {self.token}"]
        if FULL:
            command[command.index("--dbms"):command.index("--dbms") + 2] = []
        if body is not None:
            command += ["--data", json.dumps(body), "-H", "Content-Type: application/json"]
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                  timeout=EACH_SECONDS, cwd=self.folder)
            text = done.stdout
            self.assertIn("do not appear to be injectable", text, text[-3000:])
        except subprocess.TimeoutExpired as slow:
            text = (slow.stdout or b"").decode(errors="replace")
        self.assertRegex(text, r"testing (for SQL injection|if|connection)", text[-2000:])
        self.assertNotRegex(text, r"is vulnerable|appears to be .*injectable|identified the following injection",
                            text[-3000:])
        return len(re.findall(r"testing for SQL injection on", text))

    def test_nothing_is_injectable(self):
        tested = 0
        for method, path, body in FIRST + (REST if FULL else []):
            with self.subTest(method=method, path=path):
                tested += self.scan(method, path, body)
        print(f"\nsqlmap: {tested} parameters tested", flush=True)
        self.assertGreater(tested, 0)

    def test_still_well_afterwards(self):
        with urllib.request.urlopen(self.url + "/health", timeout=30) as reply:
            self.assertEqual(reply.status, 200)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
