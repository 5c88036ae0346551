"""What the cases of the wire contract share: a server in mode open, a real client, the shapes.

Each case is a test whose docstring begins with the row of the contract that it is about; the table in
docs/conformance.md is made of them (tools/conformance_table).
"""
import json
import os
import re
import uuid

import httpx

from server import SAMPLES, ServerTest

SERVICE, VERSION = "T.A.R.S. Backend", "v0.3.0-alpha"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\Z")
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\Z")
NUMBER = (int, float)
TEXT = """Harbour handbook. The lighthouse keeper of Oldport is Miriam Vale. She winds the clockwork of the lamp
every evening at six, and she writes the wind and the tide into the log of the harbour.

The ferry to the island leaves at seven in the morning from the north pier. It carries forty passengers and
two carts. In a storm the ferry stays in the harbour and a red flag is shown on the pier.
"""


def is_compact(body):
    """True when no white space stands outside of strings."""
    inside = escaped = False
    for char in body.decode():
        if inside:
            if escaped:
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                inside = False
        elif char == '"':
            inside = True
        elif char.isspace():
            return False
    return True


def decimals(text, key):
    """Digits behind the point of the number at key, as it was sent."""
    number = re.search(rf'"{key}": ?(-?\d+)(\.\d+)?', text)
    return len(number.group(2)) - 1 if number and number.group(2) else 0


class Contract(ServerTest):
    settings = {"RATE_LIMIT_PER_MINUTE": "0"}
    documents = True  # index one document first

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.http = httpx.Client(base_url=cls.url, timeout=60)
        if cls.documents:
            cls.indexed = cls.take(cls.write("harbour.txt", TEXT))

    @classmethod
    def tearDownClass(cls):
        cls.http.close()
        super().tearDownClass()

    @classmethod
    def write(cls, name, text):
        folder = os.path.join(cls.data, "root")
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, name)
        with open(path, "wb") as file:
            file.write(text if isinstance(text, bytes) else text.encode())
        return path

    @classmethod
    def sign_in(cls, client_id="desk-1", **more):
        reply = cls.http.post("/auth/token", json={"client_id": client_id, **more})
        assert reply.status_code == 200, reply.text
        return reply.json()

    @classmethod
    def bearer(cls, client_id="desk-1"):
        return {"Authorization": "Bearer " + cls.sign_in(client_id)["access_token"]}

    @classmethod
    def take(cls, path, **more):
        reply = cls.http.post("/rag/index", json={"file_path": path, **more}, headers=cls.bearer())
        assert reply.status_code == 201, reply.text
        return reply.json()

    def fresh(self):
        return "conv_" + uuid.uuid4().hex

    # ------------------------------------------------------------- assertions

    def assert_keys(self, value, kinds):
        """Every key is there and of its kind; more of them are allowed."""
        for key, kind in kinds.items():
            self.assertIn(key, value)
            if kind is not None:
                self.assertIsInstance(value[key], kind, key)
                if kind in (int, float, NUMBER):
                    self.assertNotIsInstance(value[key], bool, key)

    def assert_time(self, text):
        self.assertRegex(text, TIME)

    def assert_json(self, reply, status=200):
        self.assertEqual(reply.status_code, status, reply.text)
        self.assertEqual(reply.headers["content-type"], "application/json")
        self.assertTrue(is_compact(reply.content), reply.text)
        return reply.json()

    def assert_detail(self, reply, status, text):
        body = self.assert_json(reply, status)
        self.assertEqual(body["detail"], text)
        return body

    def assert_invalid(self, reply, kind, *loc, msg=None):
        """422 that names this problem."""
        body = self.assert_json(reply, 422)
        for problem in body["detail"]:
            self.assert_keys(problem, {"type": str, "loc": list, "msg": str, "input": None})
        found = [p for p in body["detail"] if p["type"] == kind and p["loc"] == list(loc)]
        self.assertTrue(found, f"no {kind} at {loc} in {body}")
        if msg:
            self.assertEqual(found[0]["msg"], msg)
        return found[0]

    def assert_not_found(self, reply, path, detail=False):
        body = self.assert_json(reply, 404)
        self.assertEqual(body["error"], "Not Found")
        self.assertEqual(body["message"], f"The requested endpoint {path} was not found")
        self.assertEqual(body["service"], SERVICE)
        self.assertEqual(body["version"], VERSION)
        self.assertEqual("detail" in body, detail)

    def assert_source(self, source):
        self.assert_keys(source, {"document_id": str, "chunk_id": str, "file_name": str, "file_path": str,
                                  "chunk_index": int, "similarity_score": NUMBER, "excerpt": str,
                                  "page_number": None, "metadata": dict})
        self.assert_keys(source["metadata"], {"hybrid_search": bool, "vector_score": None, "bm25_score": None,
                                              "fusion_method": str, "original_score": None,
                                              "cross_encoder_score": None, "reranked": bool})
        self.assertRegex(source["document_id"], r"\Adoc_[0-9a-f]{16}\Z")
        self.assertEqual(source["chunk_id"], f"{source['document_id']}_chunk_{source['chunk_index']}")
        self.assertGreaterEqual(source["similarity_score"], 0)
        self.assertLessEqual(source["similarity_score"], 1)
        self.assertLessEqual(len(source["excerpt"]), 203)
        if len(source["excerpt"]) > 200:
            self.assertTrue(source["excerpt"].endswith("..."))
