"""What keeps a server on a network safe: headers, HTTPS, names, proxies, limits, secrets (contract 8, design 9)."""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from server import TARS, ServerTest, environment, run

# Contract section 8, word for word.
POLICY = ("default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
          "img-src 'self' data: https:; font-src 'self' data:; connect-src 'self' ws: wss: https:; "
          "frame-ancestors 'none'; base-uri 'self'; form-action 'self'")
HEADERS = {"content-security-policy": POLICY, "x-frame-options": "DENY", "x-content-type-options": "nosniff",
           "x-xss-protection": "1; mode=block", "referrer-policy": "strict-origin-when-cross-origin",
           "permissions-policy": "geolocation=(), microphone=(), camera=()", "tars-api-version": "1"}
HSTS = "max-age=31536000; includeSubDomains"


class Headers(ServerTest):
    def test_every_reply_has_them(self):
        token = self.sign_in()
        for method, path, body, status in (
                ("GET", "/health", None, 200), ("POST", "/rag/search", {"query": "x"}, 200),
                ("POST", "/rag/query/stream", {"query": "x"}, 200), ("POST", "/rag/search", {}, 422),
                ("GET", "/nope", None, 404), ("GET", "/rag/query", None, 405), ("GET", "/rag/stats/", None, 307),
                ("GET", "/rag/documents?token=bad", None, 401), ("GET", "/admin/users", None, 403)):
            reply = self.ask(method, path, body, token=token if path == "/rag/query/stream" else "")
            self.assertEqual(reply.status, status, path)
            for name, value in HEADERS.items():
                self.assertEqual(reply.headers[name], value, path)
            self.assertRegex(reply.headers["x-request-id"], r"^[0-9a-f]{32}$")
            self.assertIsNone(reply.headers["strict-transport-security"])
            self.assertIsNone(reply.headers["server"])

    def test_pages_are_stricter(self):
        for path in ("/ui", "/docs"):
            policy = self.ask("GET", path).headers["content-security-policy"]
            self.assertNotIn("unsafe", policy)
            self.assertIn("default-src 'none'", policy)

    def test_names(self):
        port = self.port
        for host, status in ((f"localhost:{port}", 200), (f"127.0.0.1:{port}", 200), ("[::1]", 200), ("a.localhost", 200),
                             ("rebound.example", 421), ("127.0.0.1.example", 421)):
            self.assertEqual(self.ask("GET", "/health", headers={"Host": host}).status, status, host)

    def test_sizes(self):
        deep = "[" * 40 + "]" * 40
        cases = [(b'{"query":"x","filters":' + deep.encode() + b"}", 422), (b'{"query":"' + b"x" * 10001 + b'"}', 422),
                 (b'{"query":"' + b"x" * (3 << 20) + b'"}', 422), (b"{" * 100000, 422)]
        token = self.sign_in()
        for raw, status in cases:
            reply = self.ask("POST", "/rag/search", raw=raw, headers={"Content-Type": "application/json"}, token=token)
            self.assertEqual(reply.status, status, raw[:40])
        self.assertEqual(self.ask("GET", "/health", headers={"X-Long": "x" * 20000}).status, 431)
        self.assertIn(self.ask("GET", "/health?" + "x" * 20000).status, (414, 431))

    def test_nobody_sends_what_is_refused_anyway(self):
        token = self.sign_in()
        big, small = b"x" * (5 << 20), b"x" * 100_000
        self.assertEqual(self.upload([("big.txt", big)], token=token).status, 201)
        self.assertEqual(self.upload([("small.txt", small)], token="").status, 403)

        def begin(path, headers, size=5 << 20):
            """The answer to a head that promises so much; not a byte of the body is sent."""
            with socket.create_connection(("127.0.0.1", self.port), timeout=20) as link:
                link.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n{headers}\r\n".encode())
                return int(link.recv(4096).split()[1])

        form = "Content-Type: multipart/form-data; boundary=b\r\n"
        for path, headers in (("/rag/search", ""), ("/auth/token", ""), ("/nope", ""), ("/rag/upload", form),
                              ("/rag/upload", form + "Authorization: Bearer bad\r\n"),
                              ("/rag/index", f"Authorization: Bearer {token}\r\n")):
            self.assertEqual(begin(path, headers), 413, path)
        self.assertEqual(begin("/rag/upload", form + f"Authorization: Bearer {token}\r\nExpect: 100-continue\r\n"), 100)
        # All bodies share one room; who is not known cannot fill it.
        waits = "Expect: 100-continue\r\n"
        bad = waits + "Authorization: Bearer bad\r\n"
        for path, headers, size, status in (
                ("/rag/search", waits, 128 << 10, 100), ("/rag/search", waits, (128 << 10) + 1, 413),
                ("/rag/search", bad, 200_000, 413), ("/auth/token", waits, 200_000, 413), ("/nope", waits, 200_000, 413),
                ("/rag/upload", waits + form, 200_000, 413),
                ("/rag/search", waits + f"Authorization: Bearer {token}\r\n", 4 << 20, 100)):
            self.assertEqual(begin(path, headers, size), status, (path, headers, size))
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as link:
            link.sendall(b"POST /rag/search HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                         + b"11170\r\n" + b"x" * 70_000 + b"\r\n11170\r\n" + b"x" * 70_000)
            self.assertEqual(int(link.recv(4096).split()[1]), 413)

    def test_forwarded_headers_of_strangers_mean_nothing(self):
        reply = self.ask("POST", "/auth/token", {"client_id": "x"}, headers={"X-Forwarded-For": "203.0.113.9",
                                                                             "X-Forwarded-Proto": "https"})
        self.assertIsNone(reply.headers["strict-transport-security"])
        with open(f"{self.data}/server.json", encoding="utf-8") as file:
            owner = {"X-Tars-Owner": json.load(file)["token"]}
        addresses = {e["address"] for e in self.ask("GET", "/admin/audit", headers=owner).json()["entries"]}
        self.assertNotIn("203.0.113.9", addresses)


class Names(ServerTest):
    settings = {"TARS_HOSTS": "tars.example, files.example"}

    def test_configured_names(self):
        for host, status in (("tars.example:8000", 200), ("FILES.example", 200), ("other.example", 421)):
            self.assertEqual(self.ask("GET", "/health", headers={"Host": host}).status, status)


class NamesWithSecrets(ServerTest):
    """A page under a name of its own has no token of ours, so names are not looked at."""
    settings = {"TARS_AUTH": "secret"}

    def test_any_name(self):
        self.assertEqual(self.ask("GET", "/health", headers={"Host": "other.example"}).status, 200)
        self.assertEqual(self.ask("POST", "/rag/search", {"query": "x"}, headers={"Host": "other.example"}).status, 403)


class Network(ServerTest):
    """Elsewhere than on loopback everybody signs in, without a setting."""
    settings = {"TARS_BIND": "0.0.0.0"}

    def test_sign_in_is_asked_for(self):
        self.assertTrue(self.url.startswith("http://0.0.0.0:"))
        self.assertEqual(self.ask("GET", "/auth/health").json()["mode"], "secret")
        for method, path, body in (("POST", "/rag/search", {"query": "x"}), ("GET", "/rag/stats", None),
                                   ("POST", "/rag/query", {"query": "x"}), ("GET", "/rag/documents", None)):
            self.assertEqual(self.ask(method, path, body).status, 403)
        self.assertEqual(self.ask("POST", "/auth/token", {"client_id": "anybody"}).status, 401)
        self.assertEqual(self.ask("GET", "/health").status, 200)

    def test_commands_find_it(self):
        with open(f"{self.data}/server.json", encoding="utf-8") as file:
            self.assertEqual(json.load(file)["url"], f"http://127.0.0.1:{self.port}")
        secret = run("user", "add", "office", "--role", "admin", "--make-secret", data=self.data).stdout.strip()
        token = self.sign_in("office", password=secret)
        self.assertEqual(self.ask("GET", "/admin/users", token=token).json()["total"], 1)
        self.assertEqual(os.stat(os.path.join(self.data, "jwt.key")).st_mode & 0o777, 0o600)


class Https(ServerTest):
    settings = {"ENABLE_HTTPS": "true", "TARS_TRUSTED_PROXIES": "127.0.0.0/8,::1", "TARS_HOSTS": "tars.example"}
    name = {"Host": "tars.example"}

    def test_plain_http_is_sent_on(self):
        for method in ("GET", "HEAD"):
            reply = self.ask(method, "/rag/stats?a=b", headers=self.name)
            self.assertEqual((reply.status, reply.headers["location"]), (301, "https://tars.example/rag/stats?a=b"))
        reply = self.ask("POST", "/rag/search", {"query": "x"}, headers=self.name)
        self.assertEqual(reply.status, 403)
        self.assertEqual(reply.json()["error"], "HTTPS Required")
        self.assertTrue(reply.json()["message"])
        self.assertIsNone(reply.headers["strict-transport-security"])

    def test_what_came_over_tls(self):
        for proto, status in (("https", 200), ("http", 301), ("https, http", 301), ("http, https", 200), ("x", 301)):
            reply = self.ask("GET", "/health", headers={**self.name, "X-Forwarded-Proto": proto})
            self.assertEqual(reply.status, status, proto)
            self.assertEqual(reply.headers["strict-transport-security"], HSTS if status == 200 else None)

    def test_this_machine(self):
        self.assertEqual(self.ask("GET", "/health").status, 200)
        self.assertEqual(self.ask("GET", "/health", headers={"Host": "localhost"}).status, 200)

    def test_a_name_that_is_none(self):
        self.assertEqual(self.ask("GET", "/health", headers={"Host": "a/b"}).status in (400, 403, 421), True)


class Proxies(ServerTest):
    settings = {"TARS_TRUSTED_PROXIES": "127.0.0.1", "RATE_LIMIT_PER_MINUTE": "5"}

    def test_each_client_has_a_limit(self):
        def ask(address):
            return self.ask("POST", "/rag/search", {"query": "x"}, headers={"X-Forwarded-For": f"192.0.2.1, {address}"}).status

        self.assertEqual([ask("203.0.113.1") for _ in range(6)], [200] * 5 + [429])
        self.assertEqual(ask("203.0.113.2"), 200)
        # A household has a whole network of IPv6.
        self.assertEqual([ask(f"2001:db8::{i}") for i in range(1, 7)], [200] * 5 + [429])
        self.assertEqual(ask("2001:db8:0:1::1"), 200)


class RateLimit(ServerTest):
    settings = {"RATE_LIMIT_PER_MINUTE": "8", "TARS_AUTH": "open"}

    def test_limits(self):
        token = self.sign_in()
        for i in range(8):
            reply = self.ask("GET", "/rag/documents", token=token)
            self.assertEqual((reply.status, reply.headers["x-ratelimit-limit"], reply.headers["x-ratelimit-remaining"]),
                             (200, "8", str(7 - i)))
        reply = self.ask("GET", "/rag/documents", token=token)
        body = reply.json()
        self.assertEqual((reply.status, body["error"]), (429, "Rate limit exceeded"))
        self.assertTrue(body["message"])
        self.assertEqual(int(reply.headers["retry-after"]), body["retry_after"])
        self.assertTrue(1 <= body["retry_after"] <= 61)
        self.assertEqual((reply.headers["x-ratelimit-limit"], reply.headers["x-ratelimit-remaining"]), ("8", "0"))
        # Who has no token, or a bad one, shares the limit of the address: one is used for the token above.
        statuses = [self.ask("GET", "/rag/stats", token="" if i % 2 else f"bad{i}").status for i in range(9)]
        self.assertEqual(statuses[:7], [401, 200, 401, 200, 401, 200, 401])
        self.assertEqual(statuses[7:], [429, 429])
        self.assertEqual(self.ask("GET", "/nope").status, 429)
        for path in ("/health", "/ready", "/docs", "/redoc", "/openapi.json", "/metrics/prometheus", "/api/v1/health"):
            reply = self.ask("GET", path)
            self.assertNotEqual(reply.status, 429, path)
            self.assertIsNone(reply.headers["x-ratelimit-limit"])
        with open(f"{self.data}/server.json", encoding="utf-8") as file:
            owner = {"X-Tars-Owner": json.load(file)["token"]}
        self.assertEqual({self.ask("GET", "/rag/stats", headers=owner).status for _ in range(12)}, {200})


class ManyUploads(ServerTest):
    def test_they_keep_nobody_from_signing_in(self):
        token = self.sign_in()
        with contextlib.ExitStack() as links:
            for n in range(24):
                text = b" ".join(b"word%d%d" % (n, i * i) for i in range(30_000))
                body = (b'--b\r\nContent-Disposition: form-data; name="file"; filename="%d.txt"\r\n\r\n' % n + text
                        + b"\r\n--b--\r\n")
                link = links.enter_context(socket.create_connection(("127.0.0.1", self.port), timeout=20))
                link.sendall(b"POST /rag/upload HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n"
                             b"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n"
                             % (token.encode(), len(body)) + body)
            begun = time.monotonic()
            self.sign_in("somebody")
            self.assertEqual(self.ask("GET", "/metrics/prometheus").status, 200)
            self.assertLess(time.monotonic() - begun, 30)  # taking in what was sent lasts much longer


class Exports(ServerTest):
    def test_paths(self):
        token = self.sign_in()
        folder = os.path.join(self.data, "exports")
        self.assertEqual(self.ask("POST", "/analytics/export", {"output_path": "fine.csv"}, token=token).status, 200)
        os.symlink("/tmp", os.path.join(folder, "out"))
        for path in ("../x.csv", "/tmp/x.csv", "a/../../x.csv", "out/x.csv", "x.txt", "x", "", ".csv/..", "x.csv\0", "..", "x.xlsx"):
            reply = self.ask("POST", "/analytics/export", {"output_path": path}, token=token)
            self.assertIn(reply.status, (400, 403, 422), path)
        self.assertFalse(os.path.exists("/tmp/x.csv"))


class Secrets(unittest.TestCase):
    """Everything that is done with secrets, at the chattiest log level: none of them is in the log."""

    def test_secrets_are_never_logged(self):
        data = tempfile.mkdtemp(prefix="tars-secrets-")
        self.addCleanup(shutil.rmtree, data)
        key = "signing-key-4711-signing-key-4711"
        out = open(os.path.join(data, "log"), "w+b")
        process = subprocess.Popen([TARS, "serve", "--port", "0", "--json"], cwd=data, stdout=out, stderr=out,
                                   env=environment(data, LOG_LEVEL="DEBUG", TARS_AUTH="secret", JWT_SECRET_KEY=key,
                                                   REDIS_PASSWORD="redis-secret-4712", OPENAI_API_KEY="openai-secret-4713"))
        told = [key, "redis-secret-4712", "openai-secret-4713"]
        try:
            told += self.use(data, process)
        finally:
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(timeout=60), 0)
        out.seek(0)
        log = out.read().decode()
        out.close()
        self.assertIn('"level": "DEBUG"', log)
        self.assertIn("/auth/token", log)
        for secret in told:
            self.assertNotIn(secret, log)
        self.assertIsNone(re.search(r"eyJ[A-Za-z0-9_-]{8,}|tars_sk_[A-Za-z0-9_-]{20,}|\$argon2", log))
        for name in ("tars.db", "tars.db-wal", "analytics.db", "analytics.db-wal"):
            path = os.path.join(data, name)
            if os.path.exists(path):
                with open(path, "rb") as file:
                    kept = file.read()
                for secret in told:
                    self.assertNotIn(secret.encode(), kept, name)

    def use(self, data, process):
        note = os.path.join(data, "server.json")
        while not os.path.exists(note):
            self.assertIsNone(process.poll())
            time.sleep(0.01)
        with open(note, encoding="utf-8") as file:
            server = json.load(file)
        client = type("Client", (ServerTest,), {"port": int(server["url"].rsplit(":", 1)[1])})
        owner = {"X-Tars-Owner": server["token"]}
        secret, wrong, second = "the-secret-of-office-4714", "a-wrong-guess-4715", "another-secret-4716"
        client.ask("POST", "/admin/users", {"name": "office", "role": "admin", "secret": secret}, headers=owner)
        pair = client.ask("POST", "/auth/token", {"client_id": "office", "password": secret}).json()
        token, refresh = pair["access_token"], pair["refresh_token"]
        client.ask("POST", "/auth/token", {"client_id": "office", "client_secret": wrong})
        client.ask("POST", "/auth/token", raw=b'{"client_id":"office","password":"' + wrong.encode() + b'"',
                   headers={"Content-Type": "application/json"})
        client.ask("GET", f"/rag/documents?token={token}")
        client.ask("GET", f"/nope?token={token}")
        client.ask("POST", "/auth/secret", {"old_secret": secret, "secret": second}, token=token)
        old = [token, refresh]  # they ended with the secret
        pair = client.ask("POST", "/auth/token", {"client_id": "office", "password": second}).json()
        token, refresh = pair["access_token"], pair["refresh_token"]
        key = client.ask("POST", "/auth/keys", {"label": "k"}, token=token).json()["key"]
        client.ask("GET", "/rag/documents", token=key)
        made = client.ask("POST", "/admin/users", {"name": "bot", "make_secret": True}, token=token).json()["secret"]
        fresh = client.ask("POST", "/auth/refresh", {"refresh_token": refresh}).json()
        client.ask("POST", "/auth/refresh", {"refresh_token": refresh})
        client.ask("POST", "/auth/validate", token=fresh["access_token"] + "x")
        client.ask("POST", "/auth/revoke", {"token": fresh["access_token"]}, token=token)
        client.ask("POST", "/auth/revoke", {"token": key}, token=token)
        run("user", "secret", "bot", "--make-secret", data=data)
        return old + [server["token"], secret, wrong, second, token, refresh, key, made, fresh["access_token"], fresh["refresh_token"]]


if __name__ == "__main__":
    unittest.main()
