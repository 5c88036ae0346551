#!/usr/bin/env python3
"""bench/redis_peer.py BENCH [ROUNDS [--json]]: the cache in Redis beside Python's redis client, on one redis-server of its own.

BENCH is build/bench/bench_redis. The sides take turns, three times; the best of each number is printed, with the load
average. Needs redis-server and the package `redis` (tests/support/requirements.txt: $(tests/support/venv))."""
import json
import os
import statistics
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "support"))
import redis  # noqa: E402
from redis_server import Redis  # noqa: E402

DIM, RESULT, KEYS, SETS, THREADS = 384, 14000, 100, 8000, 16
VECTOR = [((i * 7919 + 13) % 2003 - 1001) / 20030.0 for i in range(DIM)]


def ours(bench, port, rounds):
    out = subprocess.run([bench, str(port), str(rounds)], check=True, capture_output=True, text=True).stdout
    return {line.split()[0]: (float(line.split()[1]), line.split()[2]) for line in out.splitlines()}


def timed(rounds, call):
    took = []
    for i in range(rounds):
        began = time.perf_counter_ns()
        call(i)
        took.append((time.perf_counter_ns() - began) / 1e3)
    took.sort()
    return {"p50": (statistics.median(took), "us"), "p95": (took[len(took) * 95 // 100], "us")}


def threaded(rounds, call):
    def run():
        for i in range(rounds):
            call(i)

    threads = [threading.Thread(target=run) for _ in range(THREADS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return THREADS * rounds / (time.perf_counter() - began), "/s"


def theirs(port, rounds):
    client = redis.Redis(host="127.0.0.1", port=port, socket_keepalive=True, max_connections=50)
    text = json.dumps(VECTOR)
    for i in range(KEYS):
        client.set(f"peer:vector:{i}", text, ex=3600)
        client.set(f"peer:result:{i}", b"r" * RESULT, ex=3600)
    found = {}
    cases = {
        "get_vector": lambda i: json.loads(client.get(f"peer:vector:{i % KEYS}")),
        "get_14kB": lambda i: client.get(f"peer:result:{i % KEYS}"),
        "get_miss": lambda i: client.get(f"peer:none:{i % KEYS}"),
    }
    for name, call in cases.items():
        for percentile, value in timed(rounds, call).items():
            found[f"{name}_{percentile}"] = value
    for name in ("get_vector", "get_14kB"):
        found[f"{name}_16"] = threaded(max(rounds // 10, 100), cases[name])
    found["set_caller"] = (timed(rounds, lambda i: client.set(f"peer:set:{i}", json.dumps(VECTOR), ex=3600))["p50"][0],
                           "us")
    began = time.perf_counter()
    for start in range(0, SETS, 256):
        pipe = client.pipeline(transaction=False)
        for i in range(start, min(start + 256, SETS)):
            pipe.set(f"peer:pipe:{i}", json.dumps(VECTOR), ex=3600)
        pipe.execute()
    found["set_vectors"] = (SETS / (time.perf_counter() - began), "/s")
    return found


def best(runs):
    names = runs[0]
    return {name: ((max if names[name][1] == "/s" else min)(run[name][0] for run in runs), names[name][1])
            for name in names}


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3000
    server = Redis()
    mine, peer = [], []
    try:
        for _ in range(3):
            server.cli("FLUSHALL")
            mine.append(ours(sys.argv[1], server.port, rounds))
            server.cli("FLUSHALL")
            peer.append(theirs(server.port, rounds))
    finally:
        server.stop()
    mine, peer = best(mine), best(peer)
    if "--json" in sys.argv:
        print(json.dumps({side: {name: value for name, (value, _) in some.items()}
                          for side, some in (("ours", mine), ("peer", peer))}))
        return
    print(f"load average {os.getloadavg()[0]:.1f}; redis {redis.__version__} for Python")
    for name, (value, unit) in mine.items():
        other = f"{peer[name][0]:12.2f}" if name in peer else " " * 12
        print(f"{name:16} {value:12.2f} {other} {unit}")


if __name__ == "__main__":
    main()
