"""A real Prometheus scrapes a real server, in both formats; promtool reads what it scrapes.

    python3 -B tests/e2e/prometheus.py [--full]

TARS (or TARS_BIN) names the program. Prometheus scrapes the main port and the second one with the
token, and without it, every second; it asks for OpenMetrics, and keeps exemplars. A relay that asks for text alone
stands for an older one. Then: each target is up, each family
that the server tells is stored under its name and type, samples scraped are samples told, a question is counted by
what rate() sees, its trace is found by its exemplar. --full: as much again under load, with no scrape lost.
"""
import argparse
import concurrent.futures
import http.client
import http.server
import json
import os
import sys
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
if "TARS" in os.environ:
    os.environ["TARS_BIN"] = os.environ["TARS"]
sys.path.insert(0, os.path.join(HERE, "..", "http"))
sys.path.insert(0, os.path.join(HERE, "..", "support"))
import exposition  # noqa: E402
from ports import free_port  # noqa: E402
from prometheus import Prometheus, lint  # noqa: E402
from server import ServerTest  # noqa: E402

PATH = "/metrics/prometheus"
TOKEN = "scrape-0123456789"
TRIES = 240
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
FULL = False

# What promtool would have otherwise, and why it is so: a name of the contract, and documents come and go.
ALLOWED = ['tars_vector_store_documents_total non-counter metrics should not have "_total" suffix']


class Relay(http.server.BaseHTTPRequestHandler):
    """Asks the server for text 0.0.4, whatever it is asked for."""
    port = 0

    def do_GET(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", self.path, headers={"Accept": "text/plain;version=0.0.4",
                                                      "Authorization": f"Bearer {TOKEN}"})
        reply = connection.getresponse()
        body = reply.read()
        connection.close()
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.headers["content-type"])
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


class Scraped(ServerTest):
    settings = {"METRICS_TOKEN": TOKEN}
    with_samples = True

    @classmethod
    def setUpClass(cls):
        cls.second = free_port()
        cls.settings = {**cls.settings, "PROMETHEUS_PORT": str(cls.second)}
        super().setUpClass()
        Relay.port = cls.port
        cls.relay = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Relay)
        threading.Thread(target=cls.relay.serve_forever, daemon=True).start()
        try:
            cls.prometheus = Prometheus({"main": {"port": cls.port, "token": TOKEN},
                                         "second": {"port": cls.second, "token": TOKEN},
                                         "text": {"port": cls.relay.server_address[1]},
                                         "closed": {"port": cls.second}})
        except BaseException:
            cls.relay.shutdown()
            super().tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls):
        cls.prometheus.stop()
        cls.relay.shutdown()
        cls.relay.server_close()
        super().tearDownClass()

    def ask_question(self, trace=TRACE):
        reply = self.ask("POST", "/rag/query", {"query": "How many days of annual leave?"},
                         headers={"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
        self.assertEqual(reply.status, 200, reply.body)

    def told(self, opened):
        accept = "application/openmetrics-text;version=1.0.0" if opened else "text/plain"
        reply = self.ask("GET", PATH, headers={"Accept": accept, "Authorization": f"Bearer {TOKEN}"})
        return reply.body.decode()

    def test_1_up(self):
        """both ports are up with the token, and down without it"""
        self.ask_question()
        for job in ("main", "second", "text"):
            self.prometheus.wait_until_up(job)
        self.assertEqual(self.prometheus.wait_for('up{job="closed"}')[0][1], 0)
        for _ in range(TRIES):  # a scrape that has to end within a second may fail now and then
            errors = {t["labels"]["job"]: t["lastError"] for t in self.prometheus.get("/api/v1/targets")["activeTargets"]}
            if (errors["main"], errors["second"], errors["text"]) == ("", "", "") and "401" in errors["closed"]:
                break
            time.sleep(0.5)
        self.assertIn("401", errors["closed"])
        self.assertEqual((errors["main"], errors["second"], errors["text"]), ("", "", ""))

    def test_2_all_samples(self):
        """what was scraped is what is told: each sample, each family with its type"""
        families = exposition.read(self.told(opened=True), openmetrics=True)
        samples = sum(len(family.samples) for family in families.values())
        scraped = self.prometheus.wait_for('scrape_samples_scraped{job="main"}',
                                           lambda rows: rows and rows[0][1] >= samples * 0.9)
        self.assertLess(abs(scraped[0][1] - samples), 60)
        for _ in range(TRIES):
            names, as_text = ({labels["__name__"] for labels, _ in self.prometheus.query(f'{{job="{job}"}}')}
                              for job in ("main", "text"))
            if {name for name in names if not name.endswith("_created")} == as_text:
                break
            time.sleep(0.5)
        self.assertEqual({name for name in names if name.endswith("_created")} & as_text, set())
        self.assertEqual({name for name in names if not name.endswith("_created")}, as_text)
        missing = [name for family in families.values() for name, _, _ in family.samples if name not in names]
        self.assertEqual(sorted(set(missing)), [])
        kept = self.prometheus.get("/api/v1/metadata")
        for name, family in families.items():
            if family.samples:
                self.assertEqual({row["type"] for row in kept[name]}, {family.kind}, name)

    def test_3_questions(self):
        """a question is counted where it happens, and found by its exemplar"""
        before = exposition.value(exposition.read(self.told(opened=False)), "tars_rag_queries_total", status="success")
        self.ask_question()
        self.prometheus.wait_for('tars_rag_queries_total{job="main",status="success"}',
                                 lambda rows: rows and rows[0][1] == before + 1)
        self.prometheus.wait_for('histogram_quantile(0.5, rate(tars_http_request_duration_seconds_bucket'
                                 '{job="main",endpoint="/rag/query"}[30s])) > 0')
        for _ in range(100):
            found = self.prometheus.exemplars('tars_http_request_duration_seconds_bucket{endpoint="/rag/query"}')
            if found:
                break
            time.sleep(0.1)
        self.assertIn(TRACE, {trace for _, trace, _ in found})

    def test_4_lint(self):
        """promtool has nothing to say but what is allowed, of either format"""
        opened = self.told(opened=True)
        for name, text in (("text", self.told(opened=False)), ("OpenMetrics", as_text(opened))):
            with self.subTest(format=name):
                self.assertEqual(lint(text), ALLOWED)

    def test_5_load(self):
        """no scrape is lost while others ask, and each is quick"""
        seconds = 60 if FULL else 3

        def ask(number, until):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            while time.monotonic() < until:
                body = json.dumps({"query": f"annual leave {number} {time.monotonic()}"})
                connection.request("POST", "/rag/search", body, {"Content-Type": "application/json"})
                connection.getresponse().read()
            connection.close()

        for _ in range(3):  # other work of the machine may cost a scrape, which has a second, but hardly each time
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                list(pool.map(ask, range(8), [time.monotonic() + seconds] * 8))
            up = [value for _, value in self.prometheus.query(f'min_over_time(up{{job="main"}}[{seconds}s])')]
            if up == [1]:
                break
        self.assertEqual(up, [1])
        worst = self.prometheus.query(f'max_over_time(scrape_duration_seconds{{job="main"}}[{seconds}s])')[0][1]
        print(f"slowest scrape under load: {1000 * worst:.0f} ms", file=sys.stderr)
        self.assertLess(worst, 5)


def as_text(opened):
    """What promtool can read of OpenMetrics: without exemplars, times of creation and units, counters by their
    whole names."""
    lines = []
    for family in exposition.read(opened, openmetrics=True).values():
        name = family.name + {"counter": "_total", "info": "_info"}.get(family.kind, "")
        told = family.help.replace('\\"', '"')
        lines.append(f"# HELP {name} {told}")
        lines.append(f"# TYPE {name} {'gauge' if family.kind == 'info' else family.kind}")
        for sample, labels, value in family.samples:
            if sample != family.name + "_created":
                told = ",".join(f'{k}="{v}"' for k, v in labels.items())
                lines.append(f"{sample}{{{told}}} {value}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--full", action="store_true")
    arguments, rest = parser.parse_known_args()
    FULL = arguments.full
    unittest.main(argv=[sys.argv[0], "-v", *rest])
