#!/usr/bin/env python3
"""The load tests of deploy/load, run: k6 and Locust against a real server with real Redis, scraped by a real Prometheus.

    load.py [--full] [--only NAME...] [--seconds N] [--report FOLDER]

Three scenarios run for some seconds at a low rate: ramp, soak (searches, questions, streams, chats) and Locust's ramp.
With --full all of them run, those that a language model writes too, for a minute or more at the contract's rate, and their
thresholds are gates, and so is what depends on the clock: the dashboards' rate and P95 within 5 % of the client's.
Without it they are told: a machine that is busy with other work misses them. What always must hold: no error, every
request, error and hit counted once by both sides. Questions are those of judged sets (TARS_TEST_DATA), Zipf-distributed;
without the sets nothing is run. --report writes load.json and plots there, and docs/load.md's tables to standard output.
Prints "N passed, M failed".
"""
import argparse
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault("TARS_BIN", os.environ.get("TARS", os.path.join(ROOT, "build", "release", "tars")))
sys.path[:0] = [os.path.join(ROOT, "tests", "http"), os.path.join(ROOT, "tests", "support"), ROOT]
from bench import svg  # noqa: E402
from dashboards_queries import panel  # noqa: E402
from prometheus import Prometheus  # noqa: E402
from redis_server import Redis  # noqa: E402
from server import ServerTest, run  # noqa: E402

CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "tars")
MODEL = os.path.join(CACHE, "models", "SmolLM2-135M-Instruct.Q4_1.gguf")
LOAD = os.path.join(ROOT, "deploy", "load")
WITHIN = 0.05
ENDPOINTS = {"search": "/rag/search", "ask": "/rag/query", "stream": "/rag/query/stream"}

# name: tool, shape, traffic, (rate, seconds) in short and in full, whether a language model writes
SCENARIOS = {
    "ramp": ("k6", "ramp", "search", (40, 8), (220, 60), False),
    "quoted": ("k6", "ramp", "ask", (40, 8), (220, 60), False),
    "spike": ("k6", "spike", "search", (60, 5), (220, 30), False),
    "stress": ("k6", "stress", "search", (40, 4), (220, 30), False),
    "soak": ("k6", "soak", "mix", (20, 8), (220, 600), False),
    "stream": ("k6", "ramp", "stream", (20, 5), (220, 30), False),
    "chat": ("k6", "ramp", "chat", (10, 5), (50, 30), False),
    "locust": ("locust", "ramp", "search", (40, 8), (220, 60), False),
    "locust-quoted": ("locust", "ramp", "ask", (20, 6), (220, 60), False),
    "generation": ("k6", "crowd", "chat", (0, 8), (0, 60), True),
    "generation-stream": ("k6", "crowd", "stream", (0, 8), (0, 60), True),
}
SHORT = ["ramp", "soak", "locust"]


class Checks:
    def __init__(self):
        self.passed, self.failed = 0, 0

    def see(self, name, good, detail=""):
        self.passed += bool(good)
        self.failed += not good
        print(f"  {'ok    ' if good else 'FAILED'} {name}{': ' + detail if detail else ''}", flush=True)
        return good

    def near(self, name, seen, told, within=WITHIN):
        far = abs(seen - told) / told if told else abs(seen)
        return self.see(name, far <= within, f"dashboard {seen:.5g}, client {told:.5g}, {far * 100:.1f} % apart")


def judged(name):
    return os.path.join(os.environ["TARS_TEST_DATA"], name)


def tool(name):
    """The path of k6 or Locust, made first if it is missing; None where it cannot be, which is said."""
    done = subprocess.run([os.path.join(ROOT, "tests/support", name)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False)
    if done.returncode == 0:
        return done.stdout.strip()
    print(f"skipped: what {name} runs; it cannot be made here: {(done.stderr.strip().splitlines() or ['no word'])[-1]}", flush=True)
    return None


def collection(name, to):
    """A copy of the data folder of a judged set, which is taken in once and kept in the cache."""
    kept = os.path.join(CACHE, "load", name)
    if not os.path.exists(os.path.join(kept, "complete")):
        shutil.rmtree(kept, ignore_errors=True)
        os.makedirs(os.path.join(kept, "data"))
        corpus = judged(os.path.join(name, "corpus.jsonl"))
        plain = os.path.join(kept, "corpus.jsonl")
        with open(plain, "wb") as out:
            if os.path.exists(corpus):
                shutil.copyfileobj(open(corpus, "rb"), out)
            else:
                subprocess.run(["gzip", "-dc", corpus + ".gz"], stdout=out, check=True)
        subprocess.run([os.environ["TARS_BIN"], "ingest", plain], check=True, stdout=subprocess.DEVNULL,
                       env={**os.environ, "TARS_DATA": os.path.join(kept, "data"), "LLM_BACKEND": "extract"})
        with open(os.path.join(kept, "complete"), "w", encoding="ascii"):
            pass
    shutil.copytree(os.path.join(kept, "data"), to, ignore=shutil.ignore_patterns("lock"), dirs_exist_ok=True)


class Server(ServerTest):
    """One for each group of scenarios; its caches are empty at the start."""

    @classmethod
    def open(cls, name, redis, generates):
        cls.data = tempfile.mkdtemp(prefix="tars-load-")
        collection(name, cls.data)
        cls.settings = {**redis.settings(), "WS_MAX_CONNECTIONS": "500", "LOG_LEVEL": "ERROR"}
        if generates:
            cls.settings.update(LLM_BACKEND="llama", LLM_MODEL_PATH=MODEL, MODEL_MAX_TOKENS="60")
        cls.start()

    @classmethod
    def close(cls):
        code = cls.stop()
        shutil.rmtree(cls.data)
        return code


def prepare_questions(folder, name, limit):
    path = os.path.join(folder, "questions.txt")
    with open(path, "w", encoding="utf-8") as out:
        subprocess.run([os.path.join(LOAD, "questions"), judged(name), "--seed", "1", "--limit", str(limit)], check=True,
                       stdout=out)
    return path


class Run:
    """One scenario, by one tool; what it measured, in the same words whichever it was."""

    def __init__(self, name, tools, folder, port, questions, full, seconds=None):
        self.name, self.tools = name, tools
        self.tool, self.shape, self.traffic, short, long, self.generates = SCENARIOS[name]
        self.rate, self.seconds = long if full else short
        self.seconds, self.full = seconds or self.seconds, full
        self.summary_file = os.path.join(folder, f"{name}.json")
        self.settings = {"TARS_URL": f"http://127.0.0.1:{port}", "QUESTIONS": questions, "SHAPE": self.shape,
                         "TRAFFIC": self.traffic, "RATE": str(self.rate or 1), "SECONDS": str(self.seconds),
                         "MIN_RATE": str(200 if full and self.rate >= 200 else self.rate * 0.9), "SUMMARY": self.summary_file,
                         "GENERATES": str(int(self.generates)), "ASKERS": "4" if self.generates else "200", "PACE": "5",
                         **({} if full else {"THRESHOLD": "0.2"})}  # few of the short run's questions have a good passage
        self.summary, self.code, self.words = {}, None, ""

    def command(self):
        path = self.tools[self.tool]
        if self.tool == "locust":
            return [path, "-f", os.path.join(LOAD, "locustfile.py"), "--headless", "--only-summary", "--loglevel", "WARNING",
                    "--stop-timeout", "60"]
        given = [part for name, value in self.settings.items() for part in ("-e", f"{name}={value}")]
        return [path, "run", "--no-usage-report", "--quiet", *given, os.path.join(LOAD, "k6", "tars.js")]

    def go(self):
        command = self.command()
        done = subprocess.run(command, env={**os.environ, **self.settings}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=self.seconds * 10 + 600, check=False)
        self.code, self.words = done.returncode, done.stdout
        if not os.path.exists(self.summary_file):
            raise AssertionError(f"{self.tool} ended with {done.returncode} and no summary: {done.stdout[-2000:]} {done.stderr[-2000:]}")
        with open(self.summary_file, encoding="utf-8") as file:
            self.summary = json.load(file)

    def count(self):
        return int(self.summary["metrics"]["queries"]["count"] if self.tool == "k6" else self.summary["count"])

    def failed(self):
        if self.tool == "k6":
            return self.summary["metrics"]["query_errors"]["passes"]
        return self.summary["failed"]

    def hits(self):
        """(found in the cache, found), or None where the replies do not tell."""
        if self.tool == "locust":
            return tuple(self.summary["hits"]) if self.summary["hits"][1] else None
        row = self.summary["metrics"].get("query_hits")
        return (row["passes"], row["passes"] + row["fails"]) if row and row["passes"] + row["fails"] else None

    def questions(self):
        with open(self.settings["QUESTIONS"], encoding="utf-8") as file:
            return sum(1 for line in file if line.strip())

    def p95_ms(self):
        if self.tool == "k6":
            return self.summary["metrics"]["query_duration"]["p(95)"]
        times = sorted(self.summary["times_ms"])
        return times[int(len(times) * 0.95)]

    def hold(self):
        """(wall-clock second at which the held rate began, seconds, requests a second), or None."""
        if self.tool == "locust":
            row = self.summary["phases"]["hold"]
            return row["began"], row["seconds"], row["per_s"]
        phase = next((one for one in self.summary["phases"] if one["name"] == "hold"), None)
        if not phase:
            return None
        count = self.summary["metrics"]["queries{phase:hold}"]["count"]
        return self.summary["began_ms"] / 1000 + phase["begin"], phase["seconds"], count / phase["seconds"]

    def gates(self):
        return self.summary["gates"]

    def phases(self):
        """[(name, seconds, {"count", "per_s", "p50_ms", "p95_ms", "p99_ms", "errors", "first_token_ms", "tokens_s"}), ...]"""
        found = []
        if self.tool == "locust":
            for name, row in self.summary["phases"].items():
                found.append((name, row["seconds"], {**row, "tokens_s": row["tokens_per_second"]}))
            return found
        metrics = self.summary["metrics"]
        for phase in self.summary["phases"]:
            def of(metric, at=phase["name"]):
                return metrics.get(f"{metric}{{phase:{at}}}", {})
            time_, first = of("query_duration"), of("first_token")
            found.append((phase["name"], phase["seconds"], {
                "offered_s": phase["to"], "count": time_.get("count", 0), "per_s": time_.get("count", 0) / phase["seconds"],
                "p50_ms": time_.get("med", 0), "p95_ms": time_.get("p(95)", 0), "p99_ms": time_.get("p(99)", 0),
                "errors": of("query_errors").get("rate", 0), "first_token_ms": first.get("med", 0),
                "first_token_p95_ms": first.get("p(95)", 0), "tokens_s": of("tokens_per_second").get("med", 0),
                "tokens": of("tokens").get("count", 0)}))
        return found


def hits_by_chance(asked, questions, exponent=1.0):
    """The share of so many questions, drawn by Zipf's law, that were asked before: what an endless cache would hold."""
    weights = [1 / rank ** exponent for rank in range(1, questions + 1)]
    whole = sum(weights)
    different = sum(1 - (1 - weight / whole) ** asked for weight in weights)
    return 1 - different / asked


class Watch:
    """What the dashboards show of one run, asked of Prometheus: from a scrape before it to one after it."""

    def __init__(self, prometheus):
        self.prometheus = prometheus
        self.since = self.at = self.scraped_after(time.time())

    def end(self):
        self.at = self.scraped_after(time.time())
        self.window = math.ceil(self.at - self.since + 0.5)

    def scraped_after(self, when):
        """The time of a scrape that began after then."""
        until = time.monotonic() + 120
        while time.monotonic() < until:
            rows = self.prometheus.get("/api/v1/query", query='timestamp(up{job="tars"})')["result"]
            if rows and float(rows[0]["value"][1]) > when + 0.5:
                return float(rows[0]["value"][1]) + 0.01
            time.sleep(0.2)
        raise AssertionError("Prometheus reads the server's metrics no more")

    def ask(self, expression, at=None, window=None):
        """The expression's single number, with a window from before the run until after it, or another; NaN without data."""
        expression = expression.replace("$__rate_interval", f"{window or self.window}s").replace("$instance", ".*")
        rows = self.prometheus.get("/api/v1/query", query=expression, time=at or self.at)["result"]
        return float(rows[0]["value"][1]) if rows else math.nan

    def increase(self, selector):
        """Exactly: the counter after less the counter before."""
        def at(when):
            rows = self.prometheus.get("/api/v1/query", query=f"sum({selector})", time=when)["result"]
            return float(rows[0]["value"][1]) if rows else 0.0
        return at(self.at) - at(self.since)


def agree(checks, run_, watch):
    """Both sides counted the same requests; what a reader of the dashboards sees is what k6 saw."""
    count, endpoint = run_.count(), ENDPOINTS.get(run_.traffic)
    if not endpoint:
        asked = watch.increase('tars_http_requests_total{job="tars",endpoint=~"/rag/search|/rag/query|/rag/query/stream"}')
        chats = watch.increase('tars_http_requests_total{job="tars",endpoint="/ws/chat"}')
        checks.see("each request counted once by both", asked + chats == count, f"server {asked + chats:.0f}, client {count}")
        return
    here = f'{{job="tars",endpoint="{endpoint}"}}'
    counted = watch.increase(f"tars_http_requests_total{here}")
    checks.see("each request counted once by both", counted == count, f"server {counted:.0f}, client {count}")
    good = count - run_.failed()
    checks.see("each answer timed once", watch.increase(f"rag_reply_duration_seconds_count{here}") == good, f"{good:.0f}")
    if run_.hold():
        began, seconds, told = run_.hold()
        requests = panel("Requests", "overview").replace("{job=", f'{{endpoint="{endpoint}",job=')
        seen = watch.ask(requests, began + seconds - 0.5, math.floor(seconds) - 1)
        if run_.full:
            checks.near("rate, while it is held", seen, told)
        else:  # one late scrape is a tenth of the window
            print(f"    rate, while it is held: dashboard {seen:.5g}, client {told:.5g}")
    errors = watch.increase(f'tars_http_requests_total{{job="tars",endpoint="{endpoint}",status!="200"}}')
    checks.see("errors", abs(errors - run_.failed()) <= WITHIN * max(1, run_.failed()), f"server {errors:.0f}, client {run_.failed():.0f}")
    if run_.hits():
        kept, found = run_.hits()
        checks.near("hit rate", watch.ask(panel("Searches and questions", "answers", 1)), kept / found)
        exact = watch.increase('rag_found_total{job="tars",cached="true"}')
        checks.see("hits counted by both", exact == kept, f"server {exact:.0f}, client {kept:.0f}")
        by_chance = hits_by_chance(count, run_.questions())
        told = f"{kept / found * 100:.1f} %, an endless cache would have had {by_chance * 100:.1f} %"
        if run_.full:  # of a short run's few questions chance decides
            checks.see("no hit is lost", kept / found >= by_chance - 0.02, told)
        else:
            print(f"    hits: {told}")


def compare_p95(run_, watch):
    """P95 of the dashboard and of the client, in milliseconds: what lies between them is the client and the machine's queue
    for its processors, which the server cannot see."""
    title = {"search": "Searches", "ask": "Questions"}.get(run_.traffic)
    if not title or run_.shape not in ("ramp", "soak"):  # beyond what it bears, requests wait where the server does not see them
        return None
    return watch.ask(panel(title, "answers", 1)) * 1000, run_.p95_ms()


def scenario(checks, name, context):
    run_ = Run(name, context["tools"], context["folder"], Server.port, context["questions"], context["full"], context["seconds"])
    print(f"{name}: {run_.tool}, {run_.shape}, {run_.traffic}; load average {os.getloadavg()[0]:.1f}", flush=True)
    prometheus = context["prometheus"]
    cleared = Server.ask("DELETE", "/admin/clear-cache", token=Server.sign_in("load"))
    if cleared.status != 200:
        raise AssertionError(f"the cache was not cleared: {cleared.status} {cleared.body}")
    watch = Watch(prometheus)
    before = cpu_of(Server.process.pid)
    run_.go()
    used = cpu_of(Server.process.pid) - before
    print("".join(f"    {line}\n" for line in run_.words.splitlines()), end="")
    watch.end()
    checks.see("something was asked", run_.count() > 0, str(run_.count()))
    if run_.shape != "stress":
        bad = run_.failed() / max(1, run_.count())
        checks.see("errors at most 0.5 %", bad <= 0.005, f"{bad * 100:.3f} %")
    agree(checks, run_, watch)
    p95 = compare_p95(run_, watch)
    if p95:
        print(f"    P95: dashboard {p95[0]:.2f} ms, client {p95[1]:.2f} ms")
        if context["full"] and run_.tool == "k6":  # half a millisecond is what k6 itself takes; Locust takes several
            checks.see("P95 within 5 %", abs(p95[0] - p95[1]) <= WITHIN * p95[1] + 0.5)
        else:  # the client waits for its own turn too; the dashboard shows no more than the end of a bucket, a fifth wide
            checks.see("P95 of the dashboard is not above the client's", p95[0] <= p95[1] * 1.2 + 1)
    for gate in run_.gates():
        if context["full"]:
            checks.see(f"{gate['metric']} {gate['expression']}", gate["ok"], f"{gate['value']:.4g}")
    return {"name": name, "tool": run_.tool, "shape": run_.shape, "traffic": run_.traffic, "rate": run_.rate,
            "phases": [(phase, seconds, row) for phase, seconds, row in run_.phases()], "gates": run_.gates(),
            "count": run_.count(), "failed": run_.failed(), "hits": run_.hits(), "p95_ms": p95, "generates": run_.generates,
            "cpu_ms": used / max(1, run_.count()) * 1000, "load": os.getloadavg()[0], "seconds": run_.seconds,
            "queueing_ms": run_.summary.get("queueing_ms")}


def cpu_of(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def table(rows):
    yield "| scenario | phase | asked a second | P50 ms | P95 ms | P99 ms | errors | hits | gates |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for row in rows:
        missed = [f"{gate['metric']} {gate['expression']}" for gate in row["gates"] if not gate["ok"]]
        hits = f"{100 * row['hits'][0] / row['hits'][1]:.1f} %" if row["hits"] else ""
        for at, (phase, _, seen) in enumerate(row["phases"]):
            verdict = "" if at else "; ".join(f"**missed** `{one}`" for one in missed) or "met"
            yield (f"| {'`' + row['name'] + '`' if at == 0 else ''} | {phase} | {seen['per_s']:.0f} | {seen['p50_ms']:.1f} | "
                   f"{seen['p95_ms']:.1f} | {seen['p99_ms']:.1f} | {100 * seen['errors']:.2f} % | {hits if at == 0 else ''} | {verdict} |")


def generation(rows):
    yield "| scenario | askers | first token, median ms | P95 ms | tokens/s of an answer | tokens/s together | queueing ms |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        for phase, seconds, seen in row["phases"]:
            yield (f"| `{row['name']}` | {1 if phase == 'alone' else 4} | {seen['first_token_ms']:.0f} | "
                   f"{seen['first_token_p95_ms']:.0f} | {seen['tokens_s']:.1f} | {seen['tokens'] / seconds:.1f} | "
                   f"{'' if phase == 'alone' or row['queueing_ms'] is None else round(row['queueing_ms'])} |")


def report(folder, results):
    os.makedirs(os.path.join(folder, "images"), exist_ok=True)
    with open(os.path.join(folder, "load.json"), "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
    for row in results["runs"]:
        points = [(seen["offered_s"], seen) for name, _, seen in row["phases"] if name not in ("rest", "after") and seen["count"]
                  and "offered_s" in seen]
        if row["name"] == "stress" and len(points) > 1:
            plot = {"title": "Searches beyond what must be borne", "x": "asked a second", "y": "milliseconds", "log_y": True,
                    "series": {label: sorted([x, seen[key]] for x, seen in points)
                               for label, key in (("P50", "p50_ms"), ("P95", "p95_ms"), ("P99", "p99_ms"))}}
            with open(os.path.join(folder, "images", "load-stress.svg"), "w", encoding="utf-8") as file:
                file.write(svg.lines(plot))
    held = [(row["name"], seen) for row in results["runs"] for phase, _, seen in row["phases"] if phase == "hold" and row["tool"] == "k6"]
    if held:
        plot = {"title": "While the rate is held", "x": "scenario, in the order of the table", "y": "milliseconds", "log_y": True,
                "series": {label: [[at + 1, seen[key]] for at, (_, seen) in enumerate(held)]
                           for label, key in (("P50", "p50_ms"), ("P95", "p95_ms"), ("P99", "p99_ms"))}}
        with open(os.path.join(folder, "images", "load-hold.svg"), "w", encoding="utf-8") as file:
            file.write(svg.lines(plot))
    print("\n".join(table([row for row in results["runs"] if not row["generates"]])))
    written = [row for row in results["runs"] if row["generates"]]
    if written:
        print("\n".join(generation(written)))


def wrong_settings(checks, tools, folder):
    """What cannot be is told in a line, before anything is asked."""
    empty = os.path.join(folder, "empty.txt")
    open(empty, "w", encoding="utf-8").close()
    commands = {"k6": lambda path: [path, "run", "--no-usage-report", os.path.join(LOAD, "k6", "tars.js")],
                "locust": lambda path: [path, "-f", os.path.join(LOAD, "locustfile.py"), "--headless"]}
    for name, path in tools.items():
        for wrong, words in (({"QUESTIONS": empty}, "there is no question in it"),
                             ({"QUESTIONS": __file__, "RATE": "fast"}, "RATE=fast: it must be a number")):
            done = subprocess.run(commands[name](path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                                  env={**os.environ, **wrong}) if path else None
            if done:
                checks.see(f"{name} says: {words}", done.returncode != 0 and words in done.stdout, done.stdout[-200:].strip())
    for wrong, words in ((("--hits", "1.5"), "from 0 to 1"), (("--think", "0"), "0.001 or more"),
                         (("--model", empty), "is no model of --measure")):
        done = subprocess.run([os.path.join(ROOT, "tools", "capacity"), *wrong], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, check=False)
        checks.see(f"capacity says: {words}", done.returncode == 2 and words in done.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", nargs="+", choices=list(SCENARIOS))
    parser.add_argument("--report", metavar="FOLDER")
    parser.add_argument("--seconds", type=int, help="another length of the main phase")
    given = parser.parse_args()
    if not os.path.isdir(os.environ.get("TARS_TEST_DATA", "")):
        print("skipped: point TARS_TEST_DATA at the folder of the judged collections\n0 passed, 0 failed")
        return 0
    chosen = given.only or (list(SCENARIOS) if given.full else SHORT)
    tools = {name: tool(name) for name in sorted({SCENARIOS[one][0] for one in chosen})}
    chosen = [one for one in chosen if tools[SCENARIOS[one][0]]]
    checks, folder = Checks(), tempfile.mkdtemp(prefix="tars-load-files-")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    name = "squad" if given.full else "hotpotqa"
    context = {"folder": folder, "full": given.full, "seconds": given.seconds, "tools": tools,
               "questions": prepare_questions(folder, name, 2000 if given.full else 60)}
    results = {"full": given.full, "collection": name, "load_at_start": os.getloadavg()[0], "processors": os.cpu_count(),
               "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), "runs": []}
    try:
        wrong_settings(checks, tools, folder)
        for generates in (False, True):
            wanted = [one for one in chosen if SCENARIOS[one][5] == generates]
            if not wanted:
                continue
            redis = Redis("--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru")
            try:
                Server.open(name, redis, generates)
                try:
                    context["prometheus"] = Prometheus({"tars": {"port": Server.port}})
                    try:
                        context["prometheus"].wait_until_up("tars")
                        for one in wanted:
                            results["runs"].append(scenario(checks, one, context))
                    finally:
                        context["prometheus"].stop()
                finally:
                    checks.see("the server ended well", Server.close() == 0)
            finally:
                redis.stop()
        if given.report:
            report(given.report, results)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return checks.failed > 0


if __name__ == "__main__":
    sys.exit(main())
