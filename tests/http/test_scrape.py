"""/metrics/prometheus as a scraper sees it: formats by Accept, the guard, the second port, what strangers can make of it."""
import concurrent.futures
import http.client
import os
import socket
import subprocess
import sys
import time
import unittest

from server import ROOT, Reply, ServerTest

sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
import exposition  # noqa: E402
from ports import free_port  # noqa: E402

PATH = "/metrics/prometheus"
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN = "application/openmetrics-text; version=1.0.0; charset=utf-8"
WANTS_OPEN = {"Accept": "application/openmetrics-text;version=1.0.0"}
SECRET = "correct horse battery staple"
TOKEN = "scrape-me-0123456789"


def ask_port(port, method, path, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(method, path, headers=headers or {})
    reply = Reply(connection.getresponse())
    connection.close()
    return reply


class Formats(ServerTest):
    def scrape(self, **headers):
        return self.ask("GET", PATH, headers=headers)

    def test_accept(self):
        for accept, wanted in ((None, TEXT), ("*/*", TEXT), ("text/plain", TEXT), ("application/json", TEXT),
                               ("text/html,*/*;q=0.8", TEXT), ("application/openmetrics-text", OPEN),
                               ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5,*/*;q=0.1", OPEN),
                               ("application/openmetrics-text;q=0.4,text/plain;q=0.5", TEXT),
                               ("application/openmetrics-text;version=9.0.0", TEXT),
                               ("application/openmetrics-text;q=0", TEXT)):
            with self.subTest(accept=accept):
                reply = self.scrape(**({"Accept": accept} if accept else {}))
                self.assertEqual((reply.status, reply.headers.get_all("content-type")), (200, [wanted]))
                exposition.read(reply.body.decode(), openmetrics=wanted == OPEN)

    def test_both_tell_the_same(self):
        text = exposition.read(self.scrape().body.decode())
        opened = exposition.read(self.scrape(**WANTS_OPEN).body.decode(), openmetrics=True)
        self.assertEqual([name for name, family in text.items() if family.kind == "counter"],
                         [name + "_total" for name, family in opened.items() if family.kind == "counter"])
        self.assertEqual([name for name, family in text.items() if family.kind == "histogram"],
                         [name for name, family in opened.items() if family.kind == "histogram"])
        self.assertEqual(opened["tars_application"].kind, "info")
        self.assertEqual(text["tars_application_info"].kind, "gauge")
        self.assertEqual(opened["tars_application"].samples, text["tars_application_info"].samples)
        self.assertEqual((opened["process_cpu_seconds"].unit, opened["process_resident_memory_bytes"].unit,
                          opened["tars_errors"].unit), ("seconds", "bytes", None))

    def test_head(self):
        whole = self.scrape()
        head = self.ask("HEAD", PATH)
        self.assertEqual((head.status, head.body, head.headers["content-type"]), (200, b"", TEXT))
        self.assertGreater(int(head.headers["content-length"]), len(whole.body) // 2)

    def test_process(self):
        found = exposition.read(self.scrape().body.decode())
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            status = dict(line.split(":", 1) for line in file)
        self.assertAlmostEqual(exposition.value(found, "process_threads"), float(status["Threads"]), delta=8)
        resident = exposition.value(found, "process_resident_memory_bytes")
        self.assertTrue(0.5 < resident / (1024 * int(status["VmRSS"].split()[0])) < 2)
        self.assertGreater(exposition.value(found, "process_virtual_memory_bytes"), resident)
        files = exposition.value(found, "process_open_fds")
        self.assertTrue(10 < files < exposition.value(found, "process_max_fds"))
        with open("/proc/uptime", encoding="ascii") as uptime, \
                open(f"/proc/{self.process.pid}/stat", encoding="ascii") as stat:
            age = float(uptime.read().split()[0]) - int(stat.read().rsplit(")", 1)[1].split()[19]) / os.sysconf(
                "SC_CLK_TCK")
        self.assertAlmostEqual(exposition.value(found, "process_start_time_seconds"), time.time() - age, delta=20)
        self.assertEqual(found["process_cpu_seconds_total"].kind, "counter")
        self.assertGreater(exposition.value(found, "process_cpu_seconds_total"), 0)

    def test_requests_are_counted_and_traced(self):
        trace = "0af7651916cd43dd8448eb211c80319c"
        self.ask("GET", "/health", headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
        found = exposition.read(self.scrape(**WANTS_OPEN).body.decode(), openmetrics=True)
        labels = {"method": "GET", "endpoint": "/health"}
        self.assertGreaterEqual(exposition.value(found, "tars_http_requests_total", status="200", **labels), 1)
        exemplars = [e for e in found["tars_http_request_duration_seconds"].exemplars
                     if {**e[1], "le": ""} == {**labels, "le": ""}]
        self.assertEqual([e[2] for e in exemplars], [trace])
        self.assertAlmostEqual(exemplars[0][4], time.time(), delta=60)

    def test_many_at_once(self):
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            def one(number):
                begun = time.monotonic()
                reply = self.scrape(**(WANTS_OPEN if number % 2 == 1 else {}))
                return reply, time.monotonic() - begun

            replies = list(pool.map(one, range(64)))
        for number, (reply, took) in enumerate(replies):
            self.assertEqual(reply.status, 200)
            self.assertLess(took, 20)
            exposition.read(reply.body.decode(), openmetrics=number % 2 == 1)


class Strangers(ServerTest):
    """Whatever they send, the exposition and the memory behind it stay small."""
    requests = int(os.environ.get("TARS_STRANGERS", "3000"))
    settings = {"RATE_LIMIT_PER_MINUTE": "0"}

    def resident(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))

    def throw(self, connection, number):
        method = ("GET", "POST", "DELETE", "PUT", "BREW", f"M{number}", "PATCH")[number % 7]
        path = (f"/no-such-{number}", f"/conversation/{number}", f"/rag/jobs/{number}?token=x{number}",
                f"/admin/users/u%{number % 256:02x}{number}", f"/health/{number}")[number % 5]
        connection.request(method, path, headers={"User-Agent": f"agent-{number}", "X-Request-ID": f"r{number}",
                                                  "Authorization": f"Bearer t{number}"})
        connection.getresponse().read()

    def throw_all(self, first, count):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        for number in range(first, first + count):
            try:
                self.throw(connection, number)
            except http.client.HTTPException:
                connection.close()
        connection.close()

    def ask_for_more(self, count):
        for number in range(count):  # models and tenants that nobody has
            self.ask("POST", "/rag/query", {"query": "hello", "model": f"model-{number}"})
            self.ask("POST", "/auth/token", {"client_id": f"c{number}", "tenant": f"tenant-{number}"})

    def test_bounded(self):
        self.ask_for_more(60)
        self.throw_all(0, self.requests // 3)
        self.ask("GET", PATH)
        before, size = self.resident(), len(self.ask("GET", PATH).body)
        self.throw_all(self.requests // 3, self.requests - self.requests // 3)
        grown = self.resident() - before
        self.ask_for_more(50)
        text = self.ask("GET", PATH).body.decode()
        found = exposition.read(text)
        self.assertLess(grown, 8 * 1024, "KiB")
        self.assertLess(len(text), size + 64 * 1024)
        for family in found.values():
            names = {tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
                     for name, labels, _ in family.samples}
            self.assertLessEqual(len(names), 257 if family.name != "tars_http_requests_total" else 2049, family)
        for name in ("no-such", "model-", "tenant-", "agent-", "BREW", "M41"):
            self.assertFalse(name in text, name)


class Guarded(ServerTest):
    settings = {"METRICS_TOKEN": TOKEN, "METRICS_SAMPLE_SECONDS": "1", "TARS_AUTH": "secret", "JWT_SECRET_KEY": "k" * 40}

    @classmethod
    def setUpClass(cls):
        cls.settings = {**cls.settings, "PROMETHEUS_PORT": str(free_port())}
        super().setUpClass()

    def signed_in(self, name, role, tenant="default"):
        with open(os.path.join(self.data, "server.json"), encoding="utf-8") as file:
            owner = {"X-Tars-Owner": exposition.re.search(r'"token":\s*"([^"]+)"', file.read()).group(1)}
        if tenant != "default":
            self.ask("POST", "/admin/tenants", {"name": tenant}, headers=owner)
        reply = self.ask("POST", f"/admin/users?tenant={tenant}", {"name": name, "role": role, "secret": SECRET},
                         headers=owner)
        self.assertEqual(reply.status, 201, reply.body)
        return owner, self.ask("POST", "/auth/token", {"client_id": name, "client_secret": SECRET,
                                                       "tenant": tenant}).json()["access_token"]

    def test_guard(self):
        owner, admin = self.signed_in("head", "admin")
        _, reader = self.signed_in("desk", "reader")
        _, other = self.signed_in("chief", "admin", tenant="acme")
        port = int(self.settings["PROMETHEUS_PORT"])
        self.ask("POST", "/rag/query", {"query": "hello"}, token=reader)
        for name, headers, status in (
                ("nothing", {}, 401), ("a wrong one", {"Authorization": "Bearer wrong"}, 401),
                ("its beginning", {"Authorization": f"Bearer {TOKEN[:-1]}"}, 401),
                ("more than it", {"Authorization": f"Bearer {TOKEN}x"}, 401),
                ("another scheme", {"Authorization": f"Basic {TOKEN}"}, 401),
                ("a reader's", {"Authorization": f"Bearer {reader}"}, 401),
                ("an admin's of another tenant", {"Authorization": f"Bearer {other}"}, 401),
                ("the token", {"Authorization": f"Bearer {TOKEN}"}, 200),
                ("an admin's", {"Authorization": f"Bearer {admin}"}, 200), ("the owner's", owner, 200)):
            for where in (self.port, port):
                with self.subTest(name=name, port="main" if where == self.port else "second"):
                    reply = ask_port(where, "GET", PATH, headers)
                    self.assertEqual(reply.status, status)
                    self.assertEqual(reply.headers["www-authenticate"], "Bearer" if status == 401 else None)
                    if status == 200:
                        found = exposition.read(reply.body.decode())
                        self.assertGreaterEqual(
                            exposition.value(found, "tars_tenant_questions_total", tenant="default"), 1)
                    else:
                        self.assertEqual(reply.json()["detail"], "Could not validate credentials")
                    self.assertEqual(ask_port(where, "HEAD", PATH, headers).status, status)

    def test_readers_see_their_own(self):
        owner, one = self.signed_in("one", "reader")
        _, two = self.signed_in("two", "reader", tenant="beta")
        def processed(**who):
            return self.ask("GET", "/metrics/system", **who).json()["queries_processed"]
        before = processed(token=one), processed(token=two), processed(headers=owner)
        self.ask("POST", "/rag/query", {"query": "hello"}, token=two)
        after = processed(token=one), processed(token=two), processed(headers=owner)
        self.assertEqual([b - a for a, b in zip(before, after)], [0, 1, 1])
        path = "/metrics/historical?start_time=2001-01-01&end_time=2999-01-01"
        for sample in self.ask("GET", path, token=two).json()["metrics"]:
            self.assertEqual([name for name in sample if sample[name] is not None and not name.startswith("gpu")],
                             ["timestamp", "cpu_percent", "memory_percent"])

    def test_second_port(self):
        port = int(self.settings["PROMETHEUS_PORT"])
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        reply = ask_port(port, "GET", PATH, {**bearer, **WANTS_OPEN})
        exposition.read(reply.body.decode(), openmetrics=True)
        self.assertEqual(ask_port(port, "GET", "/health").json()["status"], "healthy")
        self.assertIn("uptime_seconds", ask_port(port, "GET", "/metrics").json())
        for method, path in (("GET", "/"), ("GET", "/ready"), ("GET", "/docs"), ("GET", "/ui"), ("POST", "/rag/query"),
                             ("GET", "/metrics/system"), ("POST", "/auth/token"), ("GET", "/admin/users"),
                             ("POST", PATH), ("GET", PATH + "/"), ("GET", "/ws/chat"), ("GET", "/openapi.json")):
            with self.subTest(method=method, path=path):
                reply = ask_port(port, method, path, bearer)
                self.assertEqual((reply.status, reply.json()["error"]), (404, "Not Found"))


class Taken(unittest.TestCase):
    def test_a_taken_port_stops_the_start(self):
        """PROMETHEUS_PORT that somebody has: the start fails with its number"""
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen(1)
            port = other.getsockname()[1]
            with self.assertRaisesRegex(AssertionError, str(port)):
                from server import run
                import tempfile
                with tempfile.TemporaryDirectory() as data:
                    run("serve", "--port", "0", data=data, PROMETHEUS_PORT=str(port))


if __name__ == "__main__":
    unittest.main()
