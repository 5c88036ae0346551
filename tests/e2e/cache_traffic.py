"""Traffic as people make it through the real cache, memory before Redis: how much is a hit, beside a cache that
never forgets; how long questions take at given hit rates; sixty-four clients at once.

    cache_traffic.py [--full]

Zipf: question number r of N is asked with a weight of 1/r^S. A cache without bound misses each question once; this is
counted from the same sequence. Memory is kept small (CACHE_MEMORY_MB=1), so that it forgets and Redis has to know.
"""
import argparse
import bisect
import http.client
import itertools
import json
import os
import random
import statistics
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault("TARS_BIN", os.environ.get("TARS", os.path.join(ROOT, "build", "release", "tars")))
sys.path[:0] = [os.path.join(ROOT, "tests", "http"), os.path.join(ROOT, "tests", "support")]
from redis_server import Redis  # noqa: E402
from server import SAMPLES, ServerTest, run  # noqa: E402

EXPONENT = 1.0
CLIENTS = 64
WORDS = ("leave hotel travel fire report manager invoice contract visitor badge laptop password backup holiday meeting "
         "training pension salary safety parking kitchen printer network archive supplier warranty refund delivery").split()


class Server(ServerTest):
    settings = {}

    @classmethod
    def post(cls, connection, path, body):
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        reply = connection.getresponse()
        text = reply.read()
        if reply.status != 200:
            raise AssertionError(f"{reply.status} {text[:200]}")
        return json.loads(text)

    @classmethod
    def connect(cls):
        return http.client.HTTPConnection("127.0.0.1", cls.port, timeout=60)


def question(number, series="z"):
    picked = random.Random(f"{series}{number}")
    return f"What about {picked.choice(WORDS)} and {picked.choice(WORDS)} in case {series}{number}?"


def zipf(population, requests, seed=7):
    weights = list(itertools.accumulate(1 / (r ** EXPONENT) for r in range(1, population + 1)))
    drawn = random.Random(seed)
    return [bisect.bisect(weights, drawn.random() * weights[-1]) for _ in range(requests)]


def ask_all(sequence, clients):
    """Hits, and the worst and the usual time, of a sequence that so many clients work off together."""
    work = iter(enumerate(sequence))
    lock = threading.Lock()
    times, hits, wrong = [], [0], []

    def client():
        connection = Server.connect()
        try:
            while True:
                with lock:
                    _, number = next(work, (None, None))
                if number is None:
                    return
                start = time.perf_counter()
                cached = Server.post(connection, "/rag/search", {"query": question(number)})["cached"]
                with lock:
                    times.append(time.perf_counter() - start)
                    hits[0] += cached
        except Exception as error:  # told below; the others go on
            wrong.append(error)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise AssertionError(wrong[0])
    return hits[0], times, time.perf_counter() - start


def traffic(population, requests):
    sequence = zipf(population, requests)
    unbounded = 1 - len(set(sequence)) / len(sequence)
    hits, times, seconds = ask_all(sequence, CLIENTS)
    rate = hits / len(sequence)
    info = Server.ask("GET", "/admin/cache").json()
    levels = {level["name"]: level["total"] for level in info["levels"]}
    print(f"zipf: exponent {EXPONENT}, population {population}, {requests} requests, {CLIENTS} clients, {seconds:.1f} s: "
          f"hit rate {100 * rate:.2f} %, without bound {100 * unbounded:.2f} %, ratio {100 * rate / unbounded:.2f} %")
    print(f"      memory: {levels['memory']['hits']} hits, {levels['memory']['evictions']} evictions; "
          f"redis: {levels['redis']['hits']} hits, {levels['redis']['errors']} errors; "
          f"{info['shared_computations']} computations shared; median {1000 * statistics.median(times):.1f} ms")
    return [("hit rate at least 80 %", rate >= 0.8), ("98 % of a cache without bound", rate >= 0.98 * unbounded),
            ("memory has forgotten", levels["memory"]["evictions"] > 0), ("Redis had to know", levels["redis"]["hits"] > 0)]


def question_times(count):
    """A question with its answer (quoted: no language model), one client, so many of it asked before."""
    connection = Server.connect()
    checks, medians = [], {}
    for percent in (0, 70, 90):
        times, cached = [], 0
        warm = [question(n, f"warm{percent}") for n in range(20)]
        for text in warm:
            Server.post(connection, "/rag/query", {"query": text, "relevance_threshold": 0})
        order = [i % 10 < percent // 10 for i in range(count)]
        random.Random(percent).shuffle(order)
        for i, is_old in enumerate(order):
            text = warm[i % len(warm)] if is_old else question(i, f"new{percent}")
            start = time.perf_counter()
            cached += Server.post(connection, "/rag/query", {"query": text, "relevance_threshold": 0})["cached"]
            times.append(1000 * (time.perf_counter() - start))
        times.sort()
        medians[percent] = statistics.mean(times)
        print(f"questions at {percent:2} % hits: {cached} of {count} cached; mean {statistics.mean(times):.2f} ms, "
              f"median {statistics.median(times):.2f}, P95 {times[int(0.95 * count)]:.2f}")
        checks.append((f"{percent} % are hits", abs(cached - sum(order)) <= count // 50))
    return checks


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true")
    full = parser.parse_args().full
    redis = Redis()
    try:
        Server.settings = {**redis.settings(REDIS_TIMEOUT_MS="20000"), "CACHE_MEMORY_MB": "1", "TARS_AUTH": "open"}
        Server.setUpClass()
        os.makedirs(os.path.join(Server.data, "root"), exist_ok=True)
        Server.token = Server.sign_in()
        try:
            Server.stop()
            run("ingest", SAMPLES, data=Server.data)
            Server.start()
            print(f"load of the machine: {os.getloadavg()[0]:.1f}")
            checks = traffic(*((5000, 100000) if full else (400, 6000)))
            checks += question_times(1000 if full else 200)
        finally:
            Server.tearDownClass()
    finally:
        redis.stop()
    for name, good in checks:
        print(f"{'ok' if good else 'FAILED'}: {name}")
    passed = sum(good for _, good in checks)
    print(f"{passed} passed, {len(checks) - passed} failed")
    return 0 if passed == len(checks) else 1


if __name__ == "__main__":
    sys.exit(main())
