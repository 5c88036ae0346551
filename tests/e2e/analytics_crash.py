#!/usr/bin/env python3
"""kill -9 of the server at random moments under questions, and what the log of questions has afterwards.

Clients ask, each question under a request id of its own. A question is acknowledged when its answer was read to
the end. The server is killed, started again, killed, ... and at the end its log is compared:

  1. every acknowledged question has exactly one row;
  2. no other question has more than one;
  3. every row's accesses are there, once each.

usage: analytics_crash.py [--tars PROGRAM] [--kills N | --full] [--back-end sqlite|postgres|both] [--seed N]
5 kills a back end, 100 with --full. Ends in "N passed, M failed".
"""
import argparse
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from postgres import Postgres  # noqa: E402

CLIENTS = 4
ENOUGH = 20  # acknowledged questions
LONGEST_S = 1.5  # a server lives so long at most
PER_TABLE = "SELECT {id}, count(*) FROM query_logs GROUP BY 1"
ACCESSES = ("SELECT count(*) FROM query_logs q WHERE q.sources_count <> "
            "(SELECT count(DISTINCT a.rank) FROM document_accesses a WHERE a.query_id = q.id) OR q.sources_count <> "
            "(SELECT count(*) FROM document_accesses a WHERE a.query_id = q.id)")


class Campaign:
    def __init__(self, tars, seed, server):
        self.tars, self.server, self.random = tars, server, random.Random(seed)
        self.data = tempfile.mkdtemp(prefix="tars-crash-")
        self.acknowledged, self.asked, self.port = set(), 0, 0
        self.lock, self.is_over = threading.Lock(), False
        kept = {name: value for name, value in os.environ.items() if name not in ("TARS", "TARS_BIN")}
        self.environment = dict(kept, TARS_DATA=self.data, LLM_BACKEND="extract", RATE_LIMIT_PER_MINUTE="0",
                                LOG_LEVEL="ERROR", **(server.environment() if server else {}))
        subprocess.run([tars, "ingest", "--quiet", str(ROOT / "samples")], env=self.environment, check=True)

    def start(self):
        self.process = subprocess.Popen([self.tars, "serve", "--port", "0", "--json"], env=self.environment,
                                        stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError("the server did not start")
        self.port = int(json.loads(line)["url"].rsplit(":", 1)[1])

    def end(self, how):
        self.process.send_signal(how)
        self.process.wait(timeout=60)
        self.process.stdout.close()

    def ask(self):
        while not self.is_over:
            with self.lock:
                self.asked += 1
                name, port = f"crash-{self.asked:07d}", self.port
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                connection.request("POST", "/rag/query", json.dumps({"query": f"How many days of leave? {name}"}),
                                   {"Content-Type": "application/json", "X-Request-ID": name})
                reply = connection.getresponse()
                body = json.loads(reply.read())
                if reply.status == 200 and body["answer"]:
                    with self.lock:
                        self.acknowledged.add(name)
            except (OSError, http.client.HTTPException, ValueError):
                time.sleep(0.02)
            finally:
                connection.close()

    def flush(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("GET", "/analytics/health")
        health = json.loads(connection.getresponse().read())
        connection.close()
        return health

    def rows(self, sql):
        if self.server:
            return self.server.query(sql)
        connection = sqlite3.connect(f"file:{self.data}/analytics.db?mode=ro", uri=True)
        rows = connection.execute(sql).fetchall()
        connection.close()
        return rows

    def run(self, kills):
        self.start()
        threads = [threading.Thread(target=self.ask) for _ in range(CLIENTS)]
        for thread in threads:
            thread.start()
        for _ in range(kills):
            time.sleep(self.random.uniform(0.05, LONGEST_S))
            self.end(signal.SIGKILL)
            self.start()
        patience = time.monotonic() + 120  # on a busy machine hardly any may have been answered yet
        while len(self.acknowledged) < ENOUGH and time.monotonic() < patience:
            time.sleep(0.1)
        self.is_over = True
        for thread in threads:
            thread.join()
        health = self.flush()
        kept = {row[0]: int(row[1]) for row in self.rows(PER_TABLE.format(
            id="metadata->>'request_id'" if self.server else "json_extract(metadata, '$.request_id')"))}
        torn = int(self.rows(ACCESSES)[0][0])
        self.end(signal.SIGTERM)
        return kept, torn, health

    def close(self):
        if self.process.poll() is None:
            self.end(signal.SIGKILL)
        shutil.rmtree(self.data)


def one(args, back_end):
    server = Postgres() if back_end == "postgres" else None
    try:
        campaign = Campaign(args.tars, args.seed, server)
        try:
            kept, torn, health = campaign.run(100 if args.full else args.kills)
        finally:
            campaign.is_over = True
            campaign.close()
    finally:
        if server:
            server.close()
    missing = sorted(campaign.acknowledged - set(kept))
    doubled = sorted(name for name, count in kept.items() if count != 1)
    checks = [("every acknowledged question has a row", not missing, missing[:3]),
              ("none has two", not doubled, doubled[:3]),
              ("sources are there, once each", torn == 0, torn),
              ("some were acknowledged, and no row was lost",
               len(campaign.acknowledged) >= ENOUGH and not health["lost_rows"], health)]
    print(f"{back_end}: {campaign.asked} asked, {len(campaign.acknowledged)} acknowledged, {len(kept)} rows")
    for name, good, what in checks:
        print(f"{'passed' if good else 'FAILED'}  {back_end}: {name}{'' if good else f': {what}'}")
    return [good for _, good, _ in checks]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tars", default=os.environ.get("TARS", str(ROOT / "build" / "release" / "tars")))
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--back-end", choices=("sqlite", "postgres", "both"), default="both")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    results = []
    for back_end in ("sqlite", "postgres") if args.back_end == "both" else (args.back_end,):
        results += one(args, back_end)
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
