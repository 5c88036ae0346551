"""A real Prometheus for a test: Debian's, on a free port of the loopback, its data in a folder that goes with it.
Stopped by its pid.

    prometheus = Prometheus({"tars": {"port": 8000, "token": "..."}}, rules=["deploy/prometheus/alerts.yml"])
    prometheus.wait_until_up("tars")
    prometheus.query("up")                         # -> [({"job": "tars", ...}, 1.0), ...]
    prometheus.exemplars("tars_x_bucket")          # -> [({labels}, trace_id, value), ...]
    prometheus.get("/api/v1/rules")["groups"]
    prometheus.stop()

    lint(text)                                     # what `promtool check metrics` complains of, a line each
"""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request

from ports import free_port

PROMETHEUS = os.environ.get("PROMETHEUS_BIN", "prometheus")
PROMTOOL = os.environ.get("PROMTOOL_BIN", "promtool")
INTERVAL = "1s"


def lint(text):
    """promtool reads text 0.0.4 alone. What it finds wrong, sorted; an exposition that it cannot read is an error."""
    done = subprocess.run([PROMTOOL, "check", "metrics"], input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, timeout=60)
    if done.returncode not in (0, 3):
        raise AssertionError(f"promtool: {done.stdout}{done.stderr}")
    return sorted(line for line in done.stderr.splitlines() + done.stdout.splitlines() if line.strip())


class Prometheus:
    def __init__(self, jobs, rules=(), interval=INTERVAL, exemplars=True):
        """jobs: name -> {"port", and perhaps "path", "token", "headers_format"}; rules: files."""
        self.folder = tempfile.mkdtemp(prefix="tars-prometheus-")
        self.process = None
        with open(os.path.join(self.folder, "prometheus.yml"), "w", encoding="utf-8") as file:
            json.dump(self._config(jobs, rules, interval), file)  # JSON is YAML
        for _ in range(20):  # another may take the port between the look and the bind
            self.port = free_port()
            if self._start(exemplars):
                return
        log = self.log()
        self.stop()
        raise AssertionError(f"prometheus did not start: {log[-2000:]}")

    def _config(self, jobs, rules, interval):
        scrapes = []
        for name, job in jobs.items():
            scrape = {"job_name": name, "metrics_path": job.get("path", "/metrics/prometheus"),
                      "static_configs": [{"targets": [f"127.0.0.1:{job['port']}"]}]}
            if job.get("token"):
                scrape["authorization"] = {"credentials": job["token"]}
            scrapes.append(scrape)
        return {"global": {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval},
                "rule_files": [os.path.abspath(rule) for rule in rules], "scrape_configs": scrapes}

    def _start(self, exemplars):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [PROMETHEUS, f"--config.file={self.folder}/prometheus.yml", f"--storage.tsdb.path={self.folder}/data",
                 f"--web.listen-address=127.0.0.1:{self.port}",
                 *(["--enable-feature=exemplar-storage"] if exemplars else [])],
                stdout=subprocess.DEVNULL, stderr=log, cwd=self.folder)
        until = time.monotonic() + 120
        while time.monotonic() < until:
            if self.process.poll() is not None:
                return False
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5):
                    return True
            except OSError:
                time.sleep(0.05)
        self.process.kill()
        self.process.wait()
        return False

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def get(self, path, **parameters):
        """"data" of a reply of its API."""
        url = f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=30) as reply:
                return json.load(reply)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} {parameters}: {error.read().decode()}") from error

    def query(self, expression):
        """[(labels, value), ...] as of now."""
        found = self.get("/api/v1/query", query=expression)
        if found["resultType"] == "scalar":
            return [({}, float(found["result"][1]))]
        return [(row["metric"], float(row["value"][1])) for row in found["result"]]

    def wait_for(self, expression, wanted=lambda rows: bool(rows), seconds=120):
        """What an expression gives once wanted(rows) is true."""
        until = time.monotonic() + seconds
        while True:
            rows = self.query(expression)
            if wanted(rows):
                return rows
            if time.monotonic() > until:
                break
            time.sleep(0.1)
        raise AssertionError(f"{expression} gave {rows} after {seconds} s")

    def wait_until_up(self, job, seconds=120):
        """Until the target was scraped well; what went wrong with it otherwise."""
        try:
            self.wait_for(f'up{{job="{job}"}} == 1', seconds=seconds)
        except AssertionError:
            targets = self.get("/api/v1/targets")["activeTargets"]
            raise AssertionError([(t["labels"]["job"], t["lastError"]) for t in targets]) from None

    def exemplars(self, selector, seconds=3600):
        """[(labels of the series, trace id, value), ...] that are stored."""
        now = time.time()
        rows = self.get("/api/v1/query_exemplars", query=selector, start=now - seconds, end=now + 60)
        return [(row["seriesLabels"], one["labels"]["trace_id"], float(one["value"]))
                for row in rows for one in row["exemplars"]]

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
