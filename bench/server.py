"""Measures the program as a whole: start, ingestion, memory, searches over HTTP. Prints a table.

    python3 bench/server.py [TARS] [--corpus FILE.jsonl[.gz]]... [--queries FILE.jsonl]... [--json]

TARS is build/release/tars. Without --corpus and --queries, squad and scifact are taken from the
folder that TARS_TEST_DATA names. Data folder and server are made for the run and removed. Questions
are distinct, so no cache of embeddings helps; clients are processes of their own, and on a small
machine they take their part of the processor: CPU time of the server is printed for that reason.
Searches end after SEARCHES questions or SECONDS, whichever is first.
"""
import argparse
import gzip
import http.client
import json
import multiprocessing
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TICKS = os.sysconf("SC_CLK_TCK")
STARTS, SEARCHES, SECONDS, READY_SECONDS, INGEST_SECONDS = 5, 1000, 60, 60, 1800


def environment(data):
    kept = {k: os.environ[k] for k in ("PATH", "HOME", "XDG_CACHE_HOME", "LANG") if k in os.environ}
    return dict(kept, TARS_DATA=data, LLM_BACKEND="extract", LOG_LEVEL="WARNING", RATE_LIMIT_PER_MINUTE="0")


def get(port, path):
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_SECONDS)
    try:
        link.request("GET", path)
        return link.getresponse().status
    except OSError:
        return 0
    finally:
        link.close()


class Server:
    """A running `tars serve`; start_ms is from spawn to the first 200 of /ready."""

    def __init__(self, tars, data):
        began = time.perf_counter()
        self.process = subprocess.Popen([tars, "serve", "--port", "0", "--json"], cwd=data,
                                        env=environment(data), stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"bench: {tars} serve did not start (status {self.process.wait()})")
        self.port = int(json.loads(line)["url"].rsplit(":", 1)[1].strip("/"))
        while get(self.port, "/ready") != 200:
            if time.perf_counter() - began > READY_SECONDS:
                raise SystemExit(f"bench: not ready after {READY_SECONDS} s")
            time.sleep(0.001)
        self.start_ms = (time.perf_counter() - began) * 1e3

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.process.stdout.close()

    def resident_mb(self):
        return memory_mb(self.process.pid, "VmRSS")

    def cpu_seconds(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


def memory_mb(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1]) / 1024
    return 0.0


def ask(port, texts, out):
    """One client: a connection, question after question; sends back what each took, in ms."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    end, times, failures = time.perf_counter() + SECONDS, [], 0
    for text in texts:
        body = json.dumps({"query": text, "top_k": 10})
        began = time.perf_counter()
        link.request("POST", "/rag/search", body, {"content-type": "application/json"})
        reply = link.getresponse()
        reply.read()
        now = time.perf_counter()
        times.append((now - began) * 1e3)
        failures += reply.status != 200
        if now > end:
            break
    link.close()
    out.put((times, failures))


def search(server, texts, clients):
    out, cpu, began = multiprocessing.Queue(), server.cpu_seconds(), time.perf_counter()
    workers = [multiprocessing.Process(target=ask, args=(server.port, texts[i::clients], out))
               for i in range(clients)]
    for worker in workers:
        worker.start()
    times, failures = [], 0
    for _ in workers:
        some, failed = out.get(timeout=SECONDS + 60)
        times += some
        failures += failed
    wall = time.perf_counter() - began
    for worker in workers:
        worker.join()
    times.sort()
    return {"clients": clients, "searches": len(times), "failed": failures,
            "p50_ms": times[len(times) // 2], "p95_ms": times[int(len(times) * 0.95)],
            "searches_s": len(times) / wall,
            "server_cpu_ms": (server.cpu_seconds() - cpu) / len(times) * 1e3,
            "load": os.getloadavg()[0]}


def unpacked(path, folder, number):
    if not path.endswith(".gz"):
        return path
    plain = os.path.join(folder, f"{number}.jsonl")
    with gzip.open(path) as packed, open(plain, "wb") as file:
        shutil.copyfileobj(packed, file)
    return plain


def ingest(tars, data, corpora):
    folder = os.path.join(data, "corpora")
    os.mkdir(folder)
    corpora = [unpacked(path, folder, i) for i, path in enumerate(corpora)]
    began = os.times()
    done = subprocess.run([tars, "ingest", *corpora, "--json"], cwd=data, env=environment(data),
                          stdout=subprocess.PIPE, text=True, check=True, timeout=INGEST_SECONDS)
    ended = os.times()
    wall = ended.elapsed - began.elapsed
    cpu = ended.children_user + ended.children_system - began.children_user - began.children_system
    summary = json.loads(done.stdout.splitlines()[-1])["summary"]
    if summary["indexed"] != len(corpora):
        sys.exit(f"bench: not all corpora were taken in: {summary}")
    return {"summary": summary, "passages": summary["chunks"], "wall_s": wall, "cpu_s": cpu,
            "passages_s": summary["chunks"] / wall, "load": os.getloadavg()[0]}


def judged(names):
    folder = os.environ.get("TARS_TEST_DATA")
    if not folder:
        sys.exit("bench: name files with --corpus and --queries, or set TARS_TEST_DATA")
    return [os.path.join(folder, name) for name in names]


def questions(files):
    texts = []
    for path in files:
        with open(path, encoding="utf-8") as file:
            texts += [json.loads(line)["text"] for line in file]
    return list(dict.fromkeys(texts))


def measure(tars, corpora, texts):
    if len(texts) < 2 * SEARCHES:
        sys.exit(f"bench: {2 * SEARCHES} distinct questions are needed, {len(texts)} are there")
    data = tempfile.mkdtemp(prefix="tars-bench-")
    result = {"load_at_start": os.getloadavg()[0], "processors": os.cpu_count()}
    try:
        result["ingest"] = ingest(tars, data, corpora)
        starts = []
        for _ in range(STARTS):
            with Server(tars, data) as server:
                starts.append(server.start_ms)
        result["start_ms"] = statistics.median(starts)
        with Server(tars, data) as server:
            result["resident_start_mb"] = server.resident_mb()
            result["search"] = [search(server, texts[:SEARCHES], 1)]
            result["resident_searched_mb"] = server.resident_mb()
            result["search"].append(search(server, texts[SEARCHES:2 * SEARCHES], 16))
            result["resident_16_mb"] = server.resident_mb()
    finally:
        shutil.rmtree(data, ignore_errors=True)
    return result


def show(result):
    rows = [("start to ready, median of 5", f"{result['start_ms']:.0f} ms", ""),
            ("resident set after start", f"{result['resident_start_mb']:.1f} MB", ""),
            ("... after 1,000 searches", f"{result['resident_searched_mb']:.1f} MB", ""),
            ("... after 16 clients", f"{result['resident_16_mb']:.1f} MB", "")]
    took = result["ingest"]
    rows.append(("ingestion, file to searchable",
                 f"{took['passages_s']:.0f} passages/s", f"{took['passages']} passages, "
                 f"{took['wall_s']:.1f} s, CPU {took['cpu_s']:.1f} s; load {took['load']:.1f}"))
    for run in result["search"]:
        rows.append((f"/rag/search, clients: {run['clients']}",
                     f"P50 {run['p50_ms']:.1f} ms, P95 {run['p95_ms']:.1f} ms",
                     f"{run['searches_s']:.0f} searches/s, CPU {run['server_cpu_ms']:.1f} ms each, "
                     f"{run['failed']} failed; load {run['load']:.1f}"))
    print(f"{result['processors']} processors, load average {result['load_at_start']:.1f} at start")
    for name, value, more in rows:
        print(f"  {name:<32} {value:<28} {more}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tars", nargs="?", default=os.path.join(ROOT, "build", "release", "tars"))
    parser.add_argument("--corpus", action="append")
    parser.add_argument("--queries", action="append")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    corpora = given.corpus or judged(["squad/corpus.jsonl.gz", "scifact/corpus.jsonl.gz"])
    texts = questions(given.queries or judged(["squad/queries.jsonl", "scifact/queries.jsonl"]))
    result = measure(os.path.abspath(given.tars), [os.path.abspath(path) for path in corpora], texts)
    if given.json:
        print(json.dumps(result))
    else:
        show(result)


if __name__ == "__main__":
    main()
