"""Load for a T.A.R.S. server, with Locust 2.47; the same as k6/tars.js, with the same settings and gates.

    pip install -r requirements.txt
    QUESTIONS=questions.txt TARS_URL=https://tars.example SHAPE=ramp locust -f locustfile.py --headless --only-summary \\
        --stop-timeout 60

TARS_URL, TARS_TOKEN or TARS_CLIENT_ID and TARS_CLIENT_SECRET, QUESTIONS, SHAPE (ramp, soak, spike, stress), TRAFFIC
(search, ask, stream, chat, mix), RATE, SECONDS, MIN_RATE, P95_MS, MAX_ERRORS, MIN_HITS, GENERATES, ZIPF, TOP_K, THRESHOLD and SUMMARY
are those of k6/tars.js. A user here asks PACE questions a second (10), or as fast as the answers come where that is slower;
there are so many users as RATE needs. Locust ends with 1 when a gate failed.
"""
import array
import bisect
import itertools
import json
import os
import random
import time

import websocket
from locust import FastHttpUser, LoadTestShape, constant_throughput, events, task

KINDS = ("search", "ask", "stream", "chat", "mix")


def number(name, otherwise):
    try:
        return float(os.environ.get(name) or otherwise)
    except ValueError:
        raise SystemExit(f"{name}={os.environ[name]}: it must be a number") from None


def choice(name, otherwise, of):
    value = os.environ.get(name) or otherwise
    if value not in of:
        raise SystemExit(f"{name}={value}: it must be one of {', '.join(of)}")
    return value


URL = os.environ.get("TARS_URL", "http://127.0.0.1:8000").rstrip("/")
RATE, SECONDS, PACE = number("RATE", 220), number("SECONDS", 60), number("PACE", 10)
MIN_RATE, P95_MS = number("MIN_RATE", 200), number("P95_MS", 250)
MAX_ERRORS, MIN_HITS = number("MAX_ERRORS", 0.005), number("MIN_HITS", 0.8)
THRESHOLD = number("THRESHOLD", -1)
ZIPF, TOP_K, GENERATES = number("ZIPF", 1), int(number("TOP_K", 5)), number("GENERATES", 0) != 0
TIMEOUT = 120

# name -> [(phase, seconds, share of RATE, judged), ...]
SHAPES = {
    "ramp": [("rise-1", 0.25, 0.33, True), ("rise-2", 0.25, 0.67, True), ("hold", 1, 1, True), ("fall", 0.25, 0.33, True)],
    "soak": [("rise", 0.1, 0.5, True), ("hold", 1, 1, True)],
    "spike": [("calm", 0.5, 0.25, True), ("hold", 1, 1, True), ("after", 0.5, 0.25, True)],
    "stress": [("half", 0.5, 0.5, True), ("hold", 1, 1, True), ("x1.5", 0.5, 1.5, False), ("x2", 0.5, 2, False),
               ("x3", 0.5, 3, False), ("x4", 0.5, 4, False), ("rest", 0.1, 0.05, False), ("after", 0.5, 0.25, True)],
}
SHAPE = choice("SHAPE", "ramp", SHAPES)
TRAFFIC = choice("TRAFFIC", "search", KINDS)


class Questions:
    """Number r, from 1, is asked with a weight of 1 / r^ZIPF."""

    def __init__(self, path):
        if not path:
            raise SystemExit("QUESTIONS must name a file of questions")
        try:
            with open(path, encoding="utf-8") as file:
                self.texts = [line.strip() for line in file if line.strip()]
        except OSError as fault:
            raise SystemExit(f"QUESTIONS={path}: {fault.strerror}") from None
        if not self.texts:
            raise SystemExit(f"QUESTIONS={path}: there is no question in it")
        self.weights = list(itertools.accumulate(1 / r ** ZIPF for r in range(1, len(self.texts) + 1)))

    def draw(self):
        return self.texts[bisect.bisect_left(self.weights, random.random() * self.weights[-1])]


class Seen:
    """What was measured, by phase: times in milliseconds, errors, hits."""

    def __init__(self):
        self.phase, self.began, self.seconds, self.starts = "", 0.0, {}, {}
        self.times, self.errors, self.hits, self.first, self.speed = {}, {}, [0, 0], {}, {}

    def enter(self, phase):
        now = time.monotonic()
        if self.phase:
            self.seconds[self.phase] = now - self.began
        self.phase, self.began = phase, now
        self.starts[phase] = time.time()

    def count(self, phase, ms, good):
        self.times.setdefault(phase, array.array("f")).append(ms)
        self.errors[phase] = self.errors.get(phase, 0) + (not good)

    def answer(self, phase, first_ms, tokens, writing_ms):
        self.first.setdefault(phase, array.array("f")).append(first_ms)
        if GENERATES and tokens > 1 and writing_ms > 0:
            self.speed.setdefault(phase, array.array("f")).append((tokens - 1) / (writing_ms / 1000))


def quantile(values, q):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * q))] if ordered else 0.0


QUESTIONS = Questions(os.environ.get("QUESTIONS"))
SEEN = Seen()


def seconds_of(stamp):
    hours, minutes, seconds = stamp.split("T")[1].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


class Asker(FastHttpUser):
    host = URL
    wait_time = constant_throughput(PACE)
    network_timeout = connection_timeout = TIMEOUT

    def on_start(self):
        self.token = os.environ.get("TARS_TOKEN", "")
        if not self.token and (os.environ.get("TARS_CLIENT_ID") or TRAFFIC in ("chat", "mix")):
            body = {"client_id": os.environ.get("TARS_CLIENT_ID", "load")}
            if os.environ.get("TARS_CLIENT_SECRET"):
                body["client_secret"] = os.environ["TARS_CLIENT_SECRET"]
            self.token = self.client.post("/auth/token", json=body).json()["access_token"]

    @task
    def question(self):
        kind = TRAFFIC
        if kind == "mix":
            kind = random.choices(KINDS[:4], (5, 3, 1, 1))[0]
        {"search": self.search, "ask": self.ask, "stream": self.stream, "chat": self.chat}[kind](QUESTIONS.draw())

    def post(self, path, question):
        """The reply's text or None, and the milliseconds until it was whole."""
        phase, began = SEEN.phase, time.perf_counter()
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        asked = {"query": question, "top_k": TOP_K, **({"relevance_threshold": THRESHOLD} if THRESHOLD >= 0 else {})}
        with self.client.post(path, json=asked, headers=headers,
                              catch_response=True) as reply:
            text = reply.text if reply.status_code == 200 else None
            ms = (time.perf_counter() - began) * 1000
        return phase, text, ms

    def search(self, question):
        self.one("/rag/search", question, '"results":[', '"results":[]')

    def ask(self, question):
        self.one("/rag/query", question, '"answer":"', '"relevance_scores":[]')

    def one(self, path, question, part, nothing):
        phase, text, ms = self.post(path, question)
        good = text is not None and part in text
        SEEN.count(phase, ms, good)
        if good and nothing not in text:
            SEEN.hits[0] += '"cached":true' in text
            SEEN.hits[1] += 1

    def stream(self, question):
        phase, text, ms = self.post("/rag/query/stream", question)
        lines = [json.loads(line) for line in (text or "").splitlines()]
        good = bool(lines) and lines[-1]["type"] == "rag_complete"
        SEEN.count(phase, ms, good)
        tokens = [line for line in lines if line["type"] == "rag_token"]
        if good and tokens:  # the whole less what came after the first token, by the server's own clock
            writing = (seconds_of(lines[-1]["timestamp"]) - seconds_of(tokens[0]["timestamp"])) % 86400 * 1000
            SEEN.answer(phase, ms - writing, len(tokens), writing)

    def chat(self, question):
        phase, began, first, tokens, good, fault = SEEN.phase, time.perf_counter(), 0.0, 0, False, None
        try:
            socket = websocket.create_connection(f"{URL.replace('http', 'ws', 1)}/ws/chat", timeout=TIMEOUT,
                                                 header=[f"Authorization: Bearer {self.token}"])
            try:
                socket.recv()  # connection_ack
                began = time.perf_counter()
                socket.send(json.dumps({"type": "chat", "content": question, "use_rag": True, "rag_top_k": TOP_K,
                                        "rag_threshold": THRESHOLD if THRESHOLD > 0 else None}))
                heard = ""
                while heard not in ("rag_complete", "error"):
                    heard = json.loads(socket.recv())["type"]
                    if heard == "rag_token":
                        first = first or time.perf_counter()
                        tokens += 1
                good = heard == "rag_complete"
            finally:
                socket.close()
        except (OSError, ValueError, websocket.WebSocketException) as error:
            fault = error
        now = time.perf_counter()
        SEEN.count(phase, (now - began) * 1000, good)
        if good and tokens:
            SEEN.answer(phase, (first - began) * 1000, tokens, (now - first) * 1000)
        events.request.fire(request_type="WS", name="/ws/chat", response_time=(now - began) * 1000, response_length=0,
                            exception=fault if good or fault else ValueError("no whole answer"))


class Shape(LoadTestShape):
    def tick(self):
        at = self.get_run_time()
        for name, seconds, share, _ in SHAPES[SHAPE]:
            if at < seconds * SECONDS:
                if SEEN.phase != name:
                    SEEN.enter(name)
                users = max(1, round(RATE * share / PACE))
                return users, max(users, 10)
            at -= seconds * SECONDS
        SEEN.enter("")
        return None


def gates(told):
    judged = {phase for phase, _, _, is_judged in SHAPES[SHAPE] if is_judged}
    found = []
    for phase, row in told.items():
        if phase in judged:
            found.append((f"errors{{phase:{phase}}}", row["errors"], "<=", MAX_ERRORS))
            if not GENERATES:
                found.append((f"p95_ms{{phase:{phase}}}", row["p95_ms"], "<=", P95_MS))
    if not GENERATES:
        found.append(("per_s{phase:hold}", told.get("hold", {}).get("per_s", 0.0), ">=", MIN_RATE))
        if TRAFFIC in ("search", "ask", "mix"):
            found.append(("hits", SEEN.hits[0] / max(1, SEEN.hits[1]), ">=", MIN_HITS))
    return [{"metric": name, "expression": f"{sign}{bound:g}", "value": value,
             "ok": value <= bound if sign == "<=" else value >= bound} for name, value, sign, bound in found]


@events.quitting.add_listener
def judge(environment, **_):
    told = {}
    for phase, times in SEEN.times.items():
        if phase:
            told[phase] = {"count": len(times), "seconds": SEEN.seconds.get(phase, SECONDS), "began": SEEN.starts[phase],
                           "per_s": len(times) / SEEN.seconds.get(phase, SECONDS), "p50_ms": quantile(times, 0.5),
                           "p95_ms": quantile(times, 0.95), "p99_ms": quantile(times, 0.99),
                           "errors": SEEN.errors[phase] / len(times),
                           "first_token_ms": quantile(SEEN.first.get(phase, ()), 0.5),
                           "tokens_per_second": quantile(SEEN.speed.get(phase, ()), 0.5)}
    judged = gates(told)
    print(f"{SHAPE}, {TRAFFIC}: {len(QUESTIONS.texts)} questions")
    for phase, row in told.items():
        print(f"  {phase:<6} {row['per_s']:.1f}/s  P50 {row['p50_ms']:.1f} ms  P95 {row['p95_ms']:.1f} ms  "
              f"P99 {row['p99_ms']:.1f} ms  errors {row['errors'] * 100:.2f} %")
    for gate in judged:
        print(f"  {'met   ' if gate['ok'] else 'MISSED'} {gate['metric']} {gate['expression']} ({gate['value']:.3f})")
    if os.environ.get("SUMMARY"):
        everything = sum(len(times) for times in SEEN.times.values())
        with open(os.environ["SUMMARY"], "w", encoding="utf-8") as file:
            json.dump({"shape": SHAPE, "traffic": TRAFFIC, "rate": RATE, "questions": len(QUESTIONS.texts),
                       "phases": told, "gates": judged, "count": everything, "hits": SEEN.hits,
                       "failed": sum(SEEN.errors.values()),
                       "times_ms": [round(ms, 3) for times in SEEN.times.values() for ms in times]}, file)
    environment.process_exit_code = 0 if all(gate["ok"] for gate in judged) else 1
