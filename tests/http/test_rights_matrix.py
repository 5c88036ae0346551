"""Who may what: every route of routes.def with every kind of credential, in mode secret; and that nothing of
a collection ever reaches who has no right to it, by any road, when all caches are warm."""
import base64
import hashlib
import hmac
import json
import os
import re
import time
import unittest

from server import ROOT, ServerTest

SIGNING_KEY = "a-key-of-this-test-alone-0123456789abcdef"
SECRET = "correct horse battery staple"
ROUTE = re.compile(r'^TARS_ROUTE\((\w+), "([^"]+)", (\w+), (\w+), (\w+),', re.M)
NEED = ("PUBLIC", "ASK", "READER", "WRITER", "ADMIN", "SYSTEM")
# What each credential may, as a place in NEED; None: it is not valid.
HOLDS = {"none": 0, "expired": None, "revoked": None, "reader": 2, "writer": 3, "admin": 5, "other": 4,
         "key": 2, "oldkey": None}
NOBODY, BAD, GONE = "Not authenticated", "Could not validate credentials", "Token has been revoked"
ADMIN_ONLY = "Admin privileges required for this operation"
WORD = "zqxvault"  # only ever in the restricted document


def routes():
    with open(os.path.join(ROOT, "src", "api", "routes.def"), encoding="utf-8") as file:
        return ROUTE.findall(re.sub(r"/\*.*?\*/", "", file.read(), flags=re.S))


def signed(claims):
    def part(value):
        return base64.urlsafe_b64encode(json.dumps(value, separators=(",", ":")).encode()).rstrip(b"=")

    text = part({"alg": "HS256", "typ": "JWT"}) + b"." + part(claims)
    mark = hmac.new(SIGNING_KEY.encode(), text, hashlib.sha256).digest()
    return (text + b"." + base64.urlsafe_b64encode(mark).rstrip(b"=")).decode()


def claims_of(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


class Rights(ServerTest):
    settings = {"TARS_AUTH": "secret", "JWT_SECRET_KEY": SIGNING_KEY, "RATE_LIMIT_PER_MINUTE": "0"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with open(os.path.join(cls.data, "server.json"), encoding="utf-8") as file:
            cls.owner = {"X-Tars-Owner": json.load(file)["token"]}

    def as_owner(self, method, path, body=None):
        reply = self.ask(method, path, body, headers=self.owner)
        self.assertLess(reply.status, 300, f"{method} {path}: {reply.body}")
        return reply.json()

    def add(self, name, role, tenant="default"):
        self.as_owner("POST", f"/admin/users?tenant={tenant}", {"name": name, "role": role, "secret": SECRET})

    def sign_in(self, name, tenant="default"):
        reply = self.ask("POST", "/auth/token", {"client_id": name, "client_secret": SECRET, "tenant": tenant})
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json()["access_token"]

    def asked(self, method, path, body=None, token=None):
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.ask(method, path, body, headers=headers)


class Matrix(Rights):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        self = cls()
        self.as_owner("POST", "/admin/tenants", {"name": "other"})
        for name, role, tenant in (("reader", "reader", "default"), ("writer", "writer", "default"),
                                   ("admin", "admin", "default"), ("other", "admin", "other"),
                                   ("gone", "admin", "default")):
            self.add(name, role, tenant)
        cls.tokens = {name: self.sign_in(name, "other" if name == "other" else "default")
                      for name in ("reader", "writer", "admin", "other")}
        cls.tokens["none"] = None
        past = dict(claims_of(cls.tokens["admin"]), iat=int(time.time()) - 90000, exp=int(time.time()) - 3600)
        cls.tokens["expired"] = signed(past)
        cls.tokens["revoked"] = self.sign_in("gone")
        reply = self.asked("POST", "/auth/revoke", {"token": cls.tokens["revoked"]}, cls.tokens["revoked"])
        self.assertEqual(reply.status, 200, reply.body)
        made = self.as_owner("POST", "/admin/users/reader/keys", {"label": "matrix"})
        cls.tokens["key"] = made["key"]
        old = self.as_owner("POST", "/admin/users/admin/keys", {"label": "old"})
        keys = self.as_owner("GET", "/admin/users/admin/keys")["keys"]
        self.as_owner("DELETE", f"/admin/keys/{keys[0]['id']}")
        cls.tokens["oldkey"] = old["key"]

    def expected(self, need, who):
        """(status, detail); status None: the route itself answers."""
        level = NEED.index(need)
        if need == "PUBLIC":
            return None, None
        if HOLDS[who] is None:
            return 401, BAD if who == "expired" else GONE
        if who == "none":
            return 403, NOBODY
        if HOLDS[who] >= level:
            return None, None
        return 403, ADMIN_ONLY if level >= NEED.index("ADMIN") else None

    def call(self, method, path, who):
        path = re.sub(r"\{[^}]*\}", "none-such", path)
        body = {} if method in ("POST", "PUT", "PATCH", "DELETE") else None
        return self.asked(method, path, body, self.tokens[who])


def cell(method, path, need, who):
    def test(self):
        status, detail = self.expected(IN_SECRET.get(path, need), who)
        status = EXCEPTIONS.get((method, path, who), status)
        reply = self.call(method, path, who)
        if status is None:
            self.assertNotIn(reply.status, (401, 403) if need != "PUBLIC" else (None,), reply.body)
            self.assertLess(reply.status, 500, reply.body)
            return
        self.assertEqual(reply.status, status, reply.body)
        self.assertEqual(reply.headers["content-type"], "application/json")
        if detail:
            self.assertEqual(reply.json()["detail"], detail)
        self.assertEqual(reply.headers["www-authenticate"], "Bearer" if status == 401 else None)

    test.__doc__ = f"{method} {path} ({need}) with {who}"
    return test


# Asked by its own test below: it takes other shapes of refusal (a handshake), or would end the session.
# A key may not make keys: it would outlive its own revocation.
EXCEPTIONS = {("POST", "/auth/keys", "key"): 403}
# Said in words where routes.def has one need for all modes: open stays as the contract has it (design 9.2).
IN_SECRET = {"/ws/sessions": "ADMIN"}
APART = {"/ws/chat", "/auth/validate", "/auth/revoke", "/auth/logout"}


for number, (method, path, need, _, _) in enumerate(routes()):
    # What empties the store comes last, so that who may do it does not spoil the rest.
    order = 1 if method == "DELETE" and "{" not in path else 0
    for who in HOLDS:
        if path not in APART:
            name = re.sub(r"\W+", "_", f"{method}_{path}").strip("_").lower()
            setattr(Matrix, f"test_{order}_{number:03d}_{name}_{who}", cell(method, path, need, who))


class Public(Rights):
    def test_every_need_is_known(self):
        """routes.def: each route says who may"""
        found = routes()
        self.assertGreaterEqual(len(found), 38)
        for method, path, need, _, _ in found:
            self.assertIn(need, NEED, f"{method} {path}")

    def test_openapi_says_the_same(self):
        """/openapi.json: x-tars-need is that of routes.def"""
        paths = self.ask("GET", "/openapi.json").json()["paths"]
        for method, path, need, _, _ in routes():
            if path in paths and method.lower() in paths[path]:
                told = paths[path][method.lower()].get("x-tars-need")
                self.assertEqual((told or "").upper(), need, f"{method} {path}")

    def test_socket(self):
        """/ws/chat: no credential and a bad one are refused at the handshake"""
        for token in ("", "bad"):
            reply = self.ask("GET", f"/ws/chat?token={token}", headers={
                "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="})
            self.assertEqual(reply.status, 403)

    def test_secret_is_asked_for(self):
        """/auth/token: in mode secret a name alone gives nothing"""
        self.add("with-secret", "reader")
        for body in ({"client_id": "with-secret"}, {"client_id": "with-secret", "client_secret": "wrong"},
                     {"client_id": "nobody", "client_secret": SECRET}, {"client_id": "nobody"}):
            reply = self.ask("POST", "/auth/token", body)
            self.assertEqual(reply.status, 401, body)
        self.assertTrue(self.sign_in("with-secret"))


class Leaks(Rights):
    """The restricted collection `vault` of the default tenant: `insider` may read it, nobody else asked here."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        self = cls()
        self.as_owner("POST", "/admin/tenants", {"name": "other"})
        for name, role, tenant in (("insider", "writer", "default"), ("outsider", "writer", "default"),
                                   ("stranger", "admin", "other")):
            self.add(name, role, tenant)
        self.as_owner("POST", "/admin/collections", {"name": "vault", "restricted": True})
        self.as_owner("PUT", "/admin/collections/vault/grants/insider", {"writes": True})
        cls.tokens = {name: self.sign_in(name, "other" if name == "stranger" else "default")
                      for name in ("insider", "outsider", "stranger")}
        cls.before = {name: self.counts(token) for name, token in cls.tokens.items() if name != "insider"}
        cls.document = self.fill()
        self.warm()

    def put(self, name, text, **fields):
        boundary = "b0undary"
        parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
                 f"Content-Type: text/plain\r\n\r\n{text}\r\n"]
        parts += [f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
                  for key, value in fields.items()]
        raw = ("".join(parts) + f"--{boundary}--\r\n").encode()
        reply = self.ask("POST", "/rag/upload", raw=raw, headers={
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Authorization": f"Bearer {self.tokens['insider']}"})
        self.assertEqual(reply.status, 201, reply.body)
        self.assertEqual(reply.json()["status"], "success", reply.body)
        return reply.json()["document_id"]

    def fill(self):
        return self.put("strongroom.txt", f"The combination of the strongroom is {WORD} 31 47. The strongroom is "
                        "opened by the treasurer and by nobody else.", collection="vault")

    QUESTIONS = ("What is the combination of the strongroom?", WORD, "treasurer", "strongroom.txt")

    def warm(self):
        """Ask everything first with the right to it, so that whatever is kept is kept."""
        for question in self.QUESTIONS:
            for _ in range(2):
                found = self.asked("POST", "/rag/search", {"query": question}, self.tokens["insider"])
                self.assertIn(WORD, found.body.decode(), "the insider finds it")
            answer = self.asked("POST", "/rag/query", {"query": question, "relevance_threshold": 0},
                                self.tokens["insider"])
            self.assertIn(WORD, answer.body.decode())
            self.asked("POST", "/rag/query/stream", {"query": question, "relevance_threshold": 0},
                       self.tokens["insider"])
        time.sleep(1.5)  # rows of analytics are written off the answer's path

    def counts(self, token):
        """Everything that counts documents, passages or bytes, as this caller sees it."""
        stats = self.asked("GET", "/rag/stats", token=token).json()
        health = self.asked("GET", "/rag/health", token=token).json()
        documents = self.asked("GET", "/rag/documents", token=token).json()
        return {"documents": stats["total_documents"], "chunks": stats["total_chunks"], "size": stats["total_size_mb"],
                "bytes": stats["total_size"], "health": (health["total_documents"], health["total_chunks"]),
                "listed": len(documents["documents"])}

    def roads(self):
        """Every request that could carry something of a passage."""
        for question in self.QUESTIONS:
            for more in ({}, {"top_k": 100}, {"mode": "words"}, {"mode": "vectors"}, {"distinct_documents": True},
                         {"relevance_threshold": 0}, {"filters": {"file_name": "strongroom.txt"}},
                         {"filters": {"document_id": self.document}}, {"filters": {"collection": "vault"}},
                         {"filters": {"$or": [{"file_type": "txt"}, {"collection": "vault"}]}},
                         {"filters": {"collection": {"$ne": "none"}}}, {"collection": "vault"}):
                yield "POST", "/rag/search", {"query": question, **more}
            for more in ({}, {"filters": {"document_id": self.document}}, {"collection": "vault"}, {"top_k": 20}):
                for path in ("/rag/query", "/rag/query/stream"):
                    yield "POST", path, {"query": question, "relevance_threshold": 0, **more}
        for path in ("/rag/stats", "/rag/health", "/rag/documents", "/rag/documents?limit=1000", "/rag/jobs",
                     "/analytics/document-popularity?top_n=100", "/analytics/health",
                     "/rag/documents?collection=vault", "/rag/stats?collection=vault", "/me", "/me/collections",
                     "/ops/summary", "/ops/health-snapshot", "/metrics/system", "/metrics/summary",
                     "/metrics/prometheus", "/conversation/list", "/conversation/stats", "/ready"):
            yield "GET", path, None
        for job in range(1, 4):
            yield "GET", f"/rag/jobs/{job}", None
        yield "DELETE", "/rag/document", {"document_id": self.document}
        yield "DELETE", "/rag/document", {"document_id": "doc_0000000000000000"}

    def without_echo(self, text, body):
        """A reply repeats the question, names the words of it that nothing holds for this caller, and a reply to a
        deletion its id: that is no leak."""
        words = set(re.findall(r"\w+", (body or {}).get("query", "")))
        for missing in re.findall(r'"missing_words":\[([^\]]*)\]', text):
            self.assertLessEqual(set(json.loads(f"[{missing}]")), words)
            for word in json.loads(f"[{missing}]"):
                text = text.replace(f'"{word}"', "").replace(json.dumps(f'"{word}"')[1:-1], "")
        for said in ((body or {}).get("query"), (body or {}).get("document_id")):
            if said:
                text = text.replace(json.dumps(said, ensure_ascii=False), "").replace(json.dumps(said), "")
                text = text.replace(f"Document not found: {said}", "")
        return text

    def assert_silent(self, who):
        token = self.tokens.get(who)
        for method, path, body in self.roads():
            with self.subTest(who=who, path=path, body=body):
                reply = self.asked(method, path, body, token)
                self.assertLess(reply.status, 500)
                text = self.without_echo(reply.body.decode(), body)
                for mark in (WORD, "31 47", "strongroom", self.document, "vault"):
                    if mark == "vault" and reply.status in (404, 422):
                        continue  # "no such collection" may repeat its name
                    self.assertNotIn(mark, text)

    def test_insider_sees_it(self):
        """leaks: who has the right finds it, cached too"""
        kept = self.asked("POST", "/rag/search", {"query": self.QUESTIONS[0]}, self.tokens["insider"]).json()
        self.assertTrue(kept["cached"])
        self.assertIn(WORD, json.dumps(kept))

    def test_outsider(self):
        """leaks: a writer of the same tenant without the right"""
        self.assert_silent("outsider")

    def test_stranger(self):
        """leaks: an admin of another tenant"""
        self.assert_silent("stranger")

    def test_nobody(self):
        """leaks: without a credential"""
        self.assert_silent("nobody")

    def test_counts(self):
        """leaks: no count changes for who has no right"""
        for who, before in self.before.items():
            with self.subTest(who):
                self.assertEqual(self.counts(self.tokens[who]), before)

    def test_same_answer_as_for_nothing(self):
        """leaks: an object without right is answered as one that does not exist"""
        token = self.tokens["outsider"]

        def shape(reply, name):
            return reply.status, re.sub(r'"(request_id|processing_time_ms|search_time_ms)":[^,}]*', "",
                                        reply.body.decode().replace(name, "X"))

        for one, two, call in (
                (self.document, "doc_0123456789abcdef", lambda name: self.asked(
                    "DELETE", "/rag/document", {"document_id": name}, token)),
                ("vault", "valet", lambda name: self.asked(
                    "POST", "/rag/search", {"query": "x", "collection": name}, token)),
                ("vault", "valet", lambda name: self.asked(
                    "POST", "/rag/search", {"query": "x", "filters": {"collection": name}}, token))):
            self.assertEqual(shape(call(one), one), shape(call(two), two))
        found = self.asked("POST", "/rag/search", {"query": WORD}, self.tokens["insider"])
        self.assertIn(self.document, found.body.decode(), "it is still there")

    def test_export(self):
        """leaks: the stranger's export holds no row of the other tenant"""
        reply = self.asked("POST", "/analytics/export", {"output_path": "stranger.csv"}, self.tokens["stranger"])
        if reply.status == 200:
            for folder, _, names in os.walk(os.path.join(self.data, "exports")):
                for name in names:
                    with open(os.path.join(folder, name), encoding="utf-8") as file:
                        text = file.read()
                    self.assertNotIn(WORD, text)
                    self.assertNotIn("strongroom", text)

    def test_right_taken_back(self):
        """leaks: a right that is taken back counts at once, though its results are kept"""
        self.add("guest", "reader")
        grant = "/admin/collections/vault/grants/guest"
        self.as_owner("PUT", grant, {"writes": False})
        token = self.sign_in("guest")
        for _ in range(2):
            self.assertIn(WORD, self.asked("POST", "/rag/search", {"query": self.QUESTIONS[0]}, token).body.decode())
        self.as_owner("DELETE", grant)
        text = self.asked("POST", "/rag/search", {"query": self.QUESTIONS[0]}, token).body.decode()
        self.assertNotIn(WORD, text)
        self.assertNotIn("31 47", text)


if __name__ == "__main__":
    unittest.main()
