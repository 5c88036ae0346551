#!/usr/bin/env python3
"""What a server uses while searches come at one rate, then suddenly at another, then at the first again: recorded for
the simulation of the autoscaler (tests/e2e/deploy.py reads tests/golden/hpa/step.json).

    record_load.py FILE [--low N] [--high N]      searches a second; four minutes

A sample each 5 seconds, from /metrics/prometheus: {"at": seconds, "searches": a second, "cpu": cores}."""
import argparse
import http.client
import json
import os
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault("TARS_BIN", os.path.join(ROOT, "build", "release", "tars"))
sys.path[:0] = [os.path.join(ROOT, "tests", "http"), os.path.join(ROOT, "tests", "support")]
import server  # noqa: E402

STEP = 5
SENDERS = 16
WORDS = "leave travel security visitor energy report room fire password holiday budget meeting contract manager train".split()


class Recorded(server.ServerTest):
    settings = {"CACHE_MEMORY_MB": "0", "TARS_THREADS": "1"}
    with_samples = True


def read():
    text = Recorded.ask("GET", "/metrics/prometheus").body.decode()
    values = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if not line.startswith("#")}
    return (time.monotonic(), values.get('rag_stage_duration_seconds_count{stage="search"}', 0), values["process_cpu_seconds_total"])


def send(rate, over, number):
    connection = http.client.HTTPConnection("127.0.0.1", Recorded.port, timeout=30)
    count, due = 0, time.monotonic() + number / SENDERS
    while not over.is_set():
        time.sleep(max(0, due - time.monotonic()))
        query = f"{WORDS[count % len(WORDS)]} {WORDS[(count // len(WORDS) + number) % len(WORDS)]} {number} {count}"
        connection.request("POST", "/rag/search", json.dumps({"query": query}), {"Content-Type": "application/json"})
        connection.getresponse().read()
        count += 1
        due = max(due + SENDERS / rate(), time.monotonic() - 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--low", type=int, default=4)
    parser.add_argument("--high", type=int, default=40)
    options = parser.parse_args()
    phases = [(60, options.low), (120, options.high), (60, options.low)]
    Recorded.setUpClass()
    now, over = [options.low], threading.Event()
    senders = [threading.Thread(target=send, args=(lambda: now[0], over, i), daemon=True) for i in range(SENDERS)]
    samples, last, start = [], read(), time.monotonic()
    try:
        for sender in senders:
            sender.start()
        for seconds, rate in phases:
            now[0] = rate
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                time.sleep(STEP)
                this = read()
                took = this[0] - last[0]
                samples.append({"at": round(this[0] - start), "searches": round((this[1] - last[1]) / took, 2),
                                "cpu": round((this[2] - last[2]) / took, 4)})
                last = this
    finally:
        over.set()
        for sender in senders:
            sender.join(timeout=30)
        Recorded.tearDownClass()
    with open(options.file, "w", encoding="utf-8") as file:
        json.dump({"step_seconds": STEP, "low": options.low, "high": options.high, "samples": samples}, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
