#!/usr/bin/env python3
"""Counting and telling beside Python's prometheus-client: the same observations, one machine, one run, in turns.

    bench/metrics_peer.py BENCH_METRICS [--rounds 3] [--json]

BENCH_METRICS is bench/metrics.c, built (TARS_BENCH=ON). The peer is what the reference service counts with; it is
installed, pinned, into a virtual environment of its own under ${XDG_CACHE_HOME:-~/.cache}/tars. Its registry holds as
many series as ours when it is told. The best round of each counts; the load average is printed.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile

PEER = "prometheus-client==0.26.0"
WORK = '''
import json, sys, time
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_open

def best(work, rounds, goes=5):
    found = 1e9
    for _ in range(goes):
        start = time.perf_counter_ns()
        for _ in range(rounds):
            work()
        found = min(found, (time.perf_counter_ns() - start) / rounds)
    return found

registry = CollectorRegistry()
requests = Counter("http_requests", "h", ["method", "endpoint", "status"], registry=registry)
duration = Histogram("http_request_duration_seconds", "h", ["method", "endpoint"], registry=registry,
                     buckets=(.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10))
counter, histogram = requests.labels("GET", "/health", "200"), duration.labels("GET", "/health")
trace = {"trace_id": "0af7651916cd43dd8448eb211c80319c"}
out = {"counter": best(counter.inc, 200000), "histogram": best(lambda: histogram.observe(.3), 100000),
       "histogram_traced": best(lambda: histogram.observe(.3, trace), 50000),
       "counter_found_by_labels": best(
           lambda: requests.labels("POST", "/admin/collections/{collection}/grants", "200").inc(), 100000)}
lines = int(sys.argv[1])
while len(generate_latest(registry).splitlines()) < lines:
    for number in range(20):
        value = f"/some/route/{number + lines}-{len(duration._metrics)}"
        duration.labels("GET", value).observe(.5)
out["export_text"] = best(lambda: generate_latest(registry), 5) / 1000
out["export_openmetrics"] = best(lambda: generate_open(registry), 5) / 1000
print(json.dumps(out))
'''


def peer_python():
    folder = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "tars",
                          "venv-" + PEER.replace("==", "-"))
    python = os.path.join(folder, "bin", "python")
    if not os.path.exists(os.path.join(folder, ".complete")):
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", PEER], check=True)
        with open(os.path.join(folder, ".complete"), "w", encoding="utf-8"):
            pass
    return python


def run(command):
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def keep_best(best, found):
    for name, value in found.items():
        best[name] = min(value, best.get(name, value))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    python, ours, theirs = peer_python(), {}, {}
    with tempfile.NamedTemporaryFile("w", suffix=".py") as work:
        work.write(WORK)
        work.flush()
        for _ in range(args.rounds):
            keep_best(ours, run([args.program, "--json"]))
            keep_best(theirs, run([python, work.name, str(int(ours["lines_text"]))]))
    load = os.getloadavg()[0]
    if args.json:
        print(json.dumps({"ours": ours, "peer": theirs, "load": load}))
        return
    print(f"load average {load:.1f}; {PEER}; {ours['lines_text']:.0f} lines told")
    for name, value in ours.items():
        unit = "us" if name.startswith("export") else "ns"
        if name.startswith(("bytes", "lines")):
            print(f"{name:28} {value:12.0f}")
        elif name in theirs:
            print(f"{name:28} {value:12.1f} {unit}   peer {theirs[name]:12.1f} {unit}   {theirs[name] / value:8.1f} x")
        else:
            print(f"{name:28} {value:12.1f} {unit}")


if __name__ == "__main__":
    main()
