#!/usr/bin/env python3
"""Redis, PostgreSQL and the model server fail, alone and together, while the server is asked.

    faults.py [--full] [--only TEXT] [--soak SECONDS] [--seed N]

The real servers stand behind a proxy that slows, cuts and refuses (toxiproxy); they are killed and
stopped for real. Meanwhile searches (some asked before, some new) and questions go on. What must hold:
no search fails, each part is in use again within seconds of its return, and at the end the rows in
PostgreSQL are those of the questions that were answered, each once. The model's use shows by an answer,
and one asker at a time is let in to try: the time of two answers, at most 15 s, is allowed besides. The
P99 of searches during a fault, from one second after its beginning, is given beside that just before it.

With --full the model is served by llama-cpp-python (installed once, below ~/.cache/tars), else by
a stand-in that speaks as Ollama does. --full: every fault, for longer. --soak: random faults for so long;
availability, memory, descriptors, time of exports. Ends in "N passed, N failed".
"""
import argparse
import collections
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/support"), str(ROOT / "tests/e2e")]

import llm_servers  # noqa: E402
from postgres import Postgres  # noqa: E402
from ports import free_port  # noqa: E402
from proxy import FaultProxy  # noqa: E402
from redis_server import Redis  # noqa: E402

TARS = os.environ.get("TARS", str(ROOT / "build/release/tars"))
PASSED = FAILED = 0
BACK_S = 5  # a part that came back is in use again within so long (twice that where the run is not --full)
WORDS = "leave holiday kettle drill fire office laptop travel invoice badge parking visitor training".split()


def check(name, good, detail=""):
    global PASSED, FAILED
    PASSED += bool(good)
    FAILED += not good
    print(f"{'ok' if good else 'FAILED':7} {name}" + ("" if good else f": {detail}"), flush=True)


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * share))] if values else 0.0


class Model:
    """A model server that can be killed, stopped and started again."""

    def __init__(self, full):
        python = llm_servers.install_openai() if full else ""
        gguf = llm_servers.CACHE / "models/SmolLM2-135M-Instruct.Q4_1.gguf"
        self.port, self.process = free_port(), None
        self.kind = "llama-cpp-python" if python else "a stand-in"
        if python:
            self.look = "/v1/models"
            self.command = [python, "-m", "llama_cpp.server", "--model", gguf, "--host", "127.0.0.1", "--port",
                            str(self.port), "--n_ctx", "2048", "--n_threads", "1", "--interrupt_requests", "false"]
        else:
            self.look = "/api/tags"
            self.command = [sys.executable, ROOT / "tests/http/fake_ollama.py", str(self.port)]
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if not llm_servers.wait_for(f"http://127.0.0.1:{self.port}{self.look}", 90, self.process):
            raise RuntimeError("the model server did not start")
        if self.look == "/v1/models":  # it reads the model for its first answer
            body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}).encode()
            urllib.request.urlopen(urllib.request.Request(
                f"http://127.0.0.1:{self.port}/v1/chat/completions", body, {"Content-Type": "application/json"}),
                timeout=120).read()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def restart(self):
        if self.process.poll() is None:
            self.kill()
        self.start()

    def hang(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def environment(self, port):
        if self.look == "/v1/models":
            return {"LLM_BACKEND": "openai", "OPENAI_BASE_URL": f"http://127.0.0.1:{port}", "OPENAI_MODEL": "small"}
        return {"LLM_BACKEND": "ollama", "OLLAMA_HOST": f"http://127.0.0.1:{port}"}


class Program:
    """tars serve, and how it is asked."""

    def __init__(self, home, environment):
        self.home = home
        self.log = open(os.path.join(home, "log"), "w+b")
        self.process = subprocess.Popen(
            [TARS, "serve", "--port", "0", "--json"], cwd=home, stdout=subprocess.PIPE, stderr=self.log, text=True,
            env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "TARS_DATA": os.path.join(home, "data"),
                 "RATE_LIMIT_PER_MINUTE": "0", "LOG_LEVEL": "WARNING", "TARS_ROOTS": str(ROOT / "samples"),
                 "MODEL_MAX_TOKENS": "8", "LLM_TIMEOUT_SECONDS": "15", **environment})
        line = self.process.stdout.readline()
        if not line:
            self.log.seek(0)
            raise RuntimeError(f"tars did not start: {self.log.read()[-2000:].decode()}")
        self.port = int(json.loads(line)["url"].rsplit(":", 1)[1])
        self.token = self.once("POST", "/auth/token", {"client_id": "campaign"})[1]["access_token"]

    def once(self, method, path, body=None, timeout=120):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        headers = {"Content-Type": "application/json"}
        if hasattr(self, "token"):
            headers["Authorization"] = f"Bearer {self.token}"
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        reply = connection.getresponse()
        raw = reply.read()
        connection.close()
        return reply.status, json.loads(raw or b"null")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=120)
        self.process.stdout.close()
        self.log.close()
        return code

    def memory(self):
        """Resident bytes and open descriptors."""
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            pages = int(file.read().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Load:
    """Searches on some connections, questions on others, until it is told to stop."""

    def __init__(self, program, searchers=3, askers=1):
        self.program, self.lock, self.over = program, threading.Lock(), threading.Event()
        self.times = collections.deque()  # of searches: (when, seconds)
        self.bad, self.answered, self.refused, self.models = [], [], [], collections.Counter()
        self.searches = 0
        self.threads = [threading.Thread(target=self.search, args=(n,)) for n in range(searchers)]
        self.threads += [threading.Thread(target=self.ask, args=(n,)) for n in range(askers)]
        for thread in self.threads:
            thread.start()

    def post(self, connection, path, body):
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json",
                                                            "Authorization": f"Bearer {self.program.token}"})
        reply = connection.getresponse()
        return reply.status, reply.read()

    def search(self, number):
        chance = random.Random(number)
        connection = http.client.HTTPConnection("127.0.0.1", self.program.port, timeout=60)
        while not self.over.is_set():
            words = " ".join(chance.sample(WORDS, 2))
            if chance.random() < 0.5:
                words += f" {chance.getrandbits(40):x}"
            begin = time.monotonic()
            try:
                status, raw = self.post(connection, "/rag/search", {"query": words, "top_k": 5})
                good, why = status == 200 and b'"results":[{' in raw, f"{status} {raw[:200]!r}"
            except (OSError, http.client.HTTPException) as fault:
                good, why = False, repr(fault)
                connection.close()
            end = time.monotonic()
            with self.lock:
                self.searches += 1
                self.times.append((end, end - begin))
                if not good:
                    self.bad.append((words, why))
            self.over.wait(0.02)
        connection.close()

    def ask(self, number):
        chance = random.Random(100 + number)
        connection = http.client.HTTPConnection("127.0.0.1", self.program.port, timeout=180)
        while not self.over.is_set():
            words = f"How many days of {chance.choice(WORDS)} are there, {chance.getrandbits(60):x}?"
            try:
                status, raw = self.post(connection, "/rag/query", {"query": words, "top_k": 1,
                                                                       "relevance_threshold": 0.1})
            except (OSError, http.client.HTTPException) as fault:
                status, raw = 0, repr(fault).encode()
                connection.close()
            with self.lock:
                (self.answered if status == 200 else self.refused).append((words, status, raw[:300]))
                if status == 200:
                    self.models[json.loads(raw)["model"]] += 1
            self.over.wait(0.2)
        connection.close()

    def p99(self, since, until=None):
        until = until or time.monotonic()
        with self.lock:
            return percentile([t for when, t in self.times if since <= when <= until], 0.99)

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join()


class World:
    """All that takes part."""

    def __init__(self, full):
        self.home = tempfile.mkdtemp(prefix="tars-faults-")
        self.proxy = None
        try:
            self.proxy = FaultProxy()
        except subprocess.CalledProcessError as fault:  # it is built from sources that have to be fetched
            if full:
                raise
            print(f"        skipped what needs a proxy: {fault}", flush=True)
        self.redis, self.postgres, self.model = Redis(), Postgres(), Model(full)
        self.real = {"redis": self.redis, "postgres": self.postgres, "model": self.model}
        self.ports = {name: self.proxy.add(name, server.port) if self.proxy else server.port
                      for name, server in self.real.items()}
        run = subprocess.run([TARS, "ingest", str(ROOT / "samples")], cwd=self.home, stdout=subprocess.DEVNULL,
                             env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "LLM_BACKEND": "extract",
                                  "TARS_DATA": os.path.join(self.home, "data"), "ANALYTICS_ENABLED": "false"},
                             check=False)
        if run.returncode:
            raise RuntimeError("the samples were not taken in")
        self.program = Program(self.home, {
            "REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(self.ports["redis"]),
            **self.postgres.environment(POSTGRES_PORT=str(self.ports["postgres"])),
            **self.model.environment(self.ports["model"])})
        self.load = Load(self.program)

    def close(self):
        self.load.stop()
        code = self.program.stop()
        self.model.kill()
        self.postgres.close()
        self.redis.stop()
        if self.proxy:
            self.proxy.close()
        shutil.rmtree(self.home, ignore_errors=True)
        return code

    # What can go wrong with a part, and the way back.

    def begin(self, part, fault):
        server = self.real[part]
        hang = getattr(server, "hang", None) or server.pause
        {"killed": server.kill, "hung": hang, "slow": lambda: self.proxy.slow(part, 5000),
         "cut": lambda: self.proxy.swallow(part), "reset": lambda: self.proxy.reset(part),
         "refused": lambda: self.proxy.refuse(part)}[fault]()

    def end(self, part, fault):
        server = self.real[part]
        {"killed": server.restart, "hung": server.resume}.get(fault, lambda: self.proxy.heal(part))()

    def works(self, part):
        """Is it in use, as the program itself sees it?"""
        if part == "model":
            query = f"How many days of annual leave are there, {random.random()}?"
            status, answer = self.program.once("POST", "/rag/query", {"query": query, "top_k": 1,
                                                                      "relevance_threshold": 0.1})
            with self.load.lock:  # it leaves a row like any other
                kept = self.load.answered if status == 200 else self.load.refused
                kept.append((query, status, repr(answer).encode()))
            return status == 200 and answer["model"] != "extract"
        checks = self.program.once("GET", "/ready")[1]["checks"]
        return checks["redis_cache" if part == "redis" else "postgres"] == "connected"

    def wait_back(self, parts, seconds):
        """Seconds until all of them are in use again, or None."""
        begin = time.monotonic()
        while time.monotonic() - begin < seconds:
            if all(self.works(part) for part in parts):
                return time.monotonic() - begin
            time.sleep(0.1)
        return None


def one_fault(world, parts, fault, seconds, back, ratios):
    name = f"{' and '.join(parts)} {fault}"
    before = time.monotonic()
    time.sleep(min(seconds, 5))
    normal = world.load.p99(before)
    failures = len(world.load.bad)
    asked = time.monotonic()
    if "model" in parts:  # its use shows by an answer, which waits for the one that was let in to try
        world.works("model")
        back += min(2 * (time.monotonic() - asked), 15)
    for part in parts:
        world.begin(part, fault)
    started = time.monotonic()
    time.sleep(seconds + 1)
    during = world.load.p99(started + 1)
    for part in parts:
        world.end(part, fault)
    took = world.wait_back(parts, 60)
    bad = world.load.bad[failures:]
    ratios.append(during / normal if normal else 0)
    check(f"{name}: no search failed", not bad, bad[:3])
    check(f"{name}: in use again within {back:.1f} s of its return", took is not None and took <= back, took)
    print(f"        P99 of searches {normal * 1000:.1f} ms before, {during * 1000:.1f} ms meanwhile "
          f"({ratios[-1]:.2f} x); back after {took or 60:.1f} s", flush=True)


def compare_rows(world):
    """The log in PostgreSQL against what was answered."""
    world.load.stop()
    rows = collections.Counter()
    texts = collections.Counter(text for text, _, _ in world.load.answered)
    for _ in range(300):
        rows = collections.Counter(row[0] for row in world.postgres.query("SELECT query_text FROM query_logs"))
        if not texts - rows:
            break
        time.sleep(0.1)
    missing, doubled = texts - rows, [text for text, count in rows.items() if count > 1]
    check(f"rows in PostgreSQL are the {len(texts)} questions that were answered, each once",
          not missing and not doubled, f"missing {list(missing)[:3]}, doubled {doubled[:3]}")
    known = set(texts) | {text for text, _, _ in world.load.refused}
    check("and no others", not set(rows) - known, list(set(rows) - known)[:3])
    model = f"127.0.0.1:{world.ports['model']}".encode()
    others = [refusal for refusal in world.load.refused if model not in refusal[2]]
    check("no question failed but those whose answer the model server broke off", not others, others[:3])


def campaign(world, full, only):
    seconds = 10 if full else 3
    rows = [([part], fault) for part in ("redis", "postgres", "model")
            for fault in ("killed", "hung", "slow", "refused", "reset", "cut")]
    rows += [(["redis", "postgres", "model"], fault) for fault in ("killed", "hung", "slow", "refused")]
    if not full:
        rows = [row for row in rows if row[1] in ("killed", "hung") or world.proxy and row == (["redis"], "slow")]
    ratios = []
    for parts, fault in rows:
        if only in f"{' and '.join(parts)} {fault}":
            one_fault(world, parts, fault, seconds, BACK_S if full else 2 * BACK_S, ratios)
    compare_rows(world)
    ratios.sort()
    print(f"        {world.load.searches} searches, {len(world.load.answered)} questions, "
          f"{len(world.load.refused)} broken off; P99 meanwhile over P99 before: "
          f"median {ratios[len(ratios) // 2]:.2f}, worst {ratios[-1]:.2f}; load {os.getloadavg()[0]:.1f}; "
          f"answered by {dict(world.load.models)}")
    if full and not only:
        check("P99 meanwhile is within 1.5 times of that before, in the median fault",
              ratios[len(ratios) // 2] <= 1.5, ratios)


def soak(world, seconds, seed):
    chance = random.Random(seed)
    until = time.monotonic() + seconds
    memory, worst, exports, faults = [], 0.0, 0, 0
    next_export = 0.0
    while time.monotonic() < until:
        parts = chance.choice([["redis"], ["postgres"], ["model"], ["redis", "postgres", "model"]])
        fault = chance.choice(["killed", "hung", "slow", "refused", "reset", "cut"])
        for part in parts:
            world.begin(part, fault)
        time.sleep(chance.uniform(2, 12))
        for part in parts:
            world.end(part, fault)
        faults += 1
        world.wait_back(parts, 60)
        time.sleep(chance.uniform(1, 8))
        if time.monotonic() > next_export:
            begin = time.monotonic()
            status, body = world.program.once("POST", "/analytics/export", {"output_path": f"soak{exports}.csv"})
            worst = max(worst, time.monotonic() - begin)
            exports += 1
            next_export = time.monotonic() + 30
            if status != 200:
                check("an export is answered", False, (status, body))
        memory.append(world.program.memory())
        size, files = memory[-1]
        print(f"        {seconds - (until - time.monotonic()):6.0f} s  {' and '.join(parts)} {fault}: "
              f"{size >> 20} MiB, {files} descriptors, {len(world.load.bad)} of {world.load.searches} failed",
              flush=True)
        with world.load.lock:
            while len(world.load.times) > 100000:
                world.load.times.popleft()
    half = memory[len(memory) // 2:]
    available = 1 - len(world.load.bad) / max(1, world.load.searches)
    check(f"availability of search {available:.5f} over {world.load.searches} searches and {faults} faults",
          available >= 0.999, world.load.bad[:3])
    check(f"memory is flat: {half[0][0] >> 20} MiB at half time, {half[-1][0] >> 20} MiB at the end",
          half[-1][0] < half[0][0] * 1.1 + (16 << 20))
    check(f"descriptors are flat: {half[0][1]}, {half[-1][1]}", half[-1][1] <= half[0][1] + 40)
    check(f"{exports} exports, the worst took {worst:.2f} s", worst <= 5)
    compare_rows(world)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--full", action="store_true")
    options.add_argument("--only", default="", help="faults whose name has this text")
    options.add_argument("--soak", type=float, default=0, help="seconds of random faults instead")
    options.add_argument("--seed", type=int, default=1)
    options = options.parse_args()
    world = World(options.full)
    print(f"        the model server is {world.model.kind}", flush=True)
    try:
        if options.soak:
            soak(world, options.soak, options.seed)
        else:
            campaign(world, options.full, options.only)
    finally:
        code = world.close()
    check("the server ended well", code == 0, code)
    print(f"{PASSED} passed, {FAILED} failed")
    return FAILED > 0


if __name__ == "__main__":
    sys.exit(main())
