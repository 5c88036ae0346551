"""sqlmap on every parameter of the interface: none of them reaches a statement as text.

    TARS=build/release/tars python3 tests/e2e/sqlmap.py [--full]

The targets are made from /openapi.json: query strings, path segments, and fields of JSON bodies, with a valid
token. Without --full the few with the most text in them, at sqlmap's first level; with it all, at the second.
"""
import json
import os
import re
import subprocess
import sys
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "http"))
os.environ["TARS_BIN"] = os.path.abspath(os.environ.get("TARS", os.path.join(ROOT, "build", "release", "tars")))

from server import ServerTest  # noqa: E402

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


class Sqlmap(ServerTest):
    settings = {"LOG_LEVEL": "CRITICAL"}
    with_samples = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.token = cls.sign_in("desk-1")

    def scan(self, method, path, body):
        out = os.path.join(self.data, "out")
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
                                  timeout=EACH_SECONDS, cwd=self.data)
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
        self.assertEqual(self.ask("GET", "/health").status, 200)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
