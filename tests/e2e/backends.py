#!/usr/bin/env python3
"""The same documents and questions with vectors in the index of the program, in PostgreSQL with pgvector and in
ChromaDB, and with the store in SQLite and in PostgreSQL: what is found must be as good, and what it costs is told.

    TARS=build/release/tars TARS_EXTRACT=build/release/tars-extract TARS_TEST_DATA=FOLDER
        tests/e2e/backends.py [--full] [--set NAME]... [--questions N] [--stores DIR] [--json FILE]

Servers are real, and started here (tests/support). nDCG@10 of each is compared with that of the default, and may differ
by 0.005 (without --full by 0.01: graphs of vectors are built at random, and one question of few counts for much). Then a
server of each is asked: one question at a time (median and P95), and by eight clients at once (questions a second),
nothing being kept from earlier. Without --full a part of scifact is used: 60 questions (--questions N), with the documents
judged for them and as many others as make 250, each question asked once; with it scifact and squad, whole, 200 questions.
--stores takes the data folder of a set from DIR/SET, with all documents, instead of embedding its corpus again. Last line:
"N passed, N failed".
"""
import argparse
import http.client
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "support")]
from chroma import Chroma  # noqa: E402
from postgres import Postgres  # noqa: E402
from quality import DATA, TARS, each, judgements, lines, part  # noqa: E402

SETS, PART_SETS = ["squad", "scifact"], ["scifact"]
APART, PART_APART = 0.005, 0.01
CLIENTS, QUESTIONS_ASKED = 8, 200
PART_QUESTIONS, PART_DOCUMENTS = 60, 250
QUIET = {"LLM_BACKEND": "extract", "CACHE_MEMORY_MB": "0", "RATE_LIMIT_PER_MINUTE": "0", "LOG_LEVEL": "ERROR",
         "VECTOR_TIMEOUT_MS": "30000"}


def environment(data, more):
    """Of the caller's environment only what says where things are: settings of ours would change the figures."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "XDG_CACHE_HOME", "TARS_EXTRACT", "LANG") if name in os.environ}
    return {**kept, "TARS_DATA": data, **QUIET, **more}


def tars(*arguments, data, **more):
    done = subprocess.run([TARS, *arguments], env=environment(data, more), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"tars {arguments[0]}: exit {done.returncode}\n{done.stderr[-2000:]}")
    return done.stdout


class Collection:
    """Questions, what is judged for them, and a data folder with the documents."""

    def __init__(self, name, folder, options):
        self.qrels = judgements(name)
        self.data = os.path.join(folder, "store")
        made = os.path.join(options.stores, name) if options.stores else ""
        queries = [json.loads(line) for line in lines(part(name, "queries.jsonl"))]
        if not options.full:
            queries = [query for query in queries if str(query["_id"]) in self.qrels][:options.questions]
            self.qrels = {str(query["_id"]): self.qrels[str(query["_id"])] for query in queries}
        self.texts = [query["text"] for query in queries]
        self.queries = os.path.join(folder, "queries.jsonl")
        with open(self.queries, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(query) + "\n" for query in queries)
        if made and os.path.isdir(made):
            shutil.copytree(made, self.data)
            for name in os.listdir(self.data):
                if name.startswith("analytics"):
                    os.unlink(os.path.join(self.data, name))
            return
        corpus = os.path.join(folder, "corpus.jsonl")
        with open(corpus, "w", encoding="utf-8") as file:
            file.writelines(self.documents(name, options.full))
        tars("ingest", corpus, data=self.data)

    def documents(self, name, full):
        wanted = {document for judged in self.qrels.values() for document in judged}
        others = PART_DOCUMENTS - len(wanted)
        for line in lines(part(name, "corpus.jsonl")):
            if full or str(json.loads(line)["_id"]) in wanted:
                yield line
            elif others > 0:
                others -= 1
                yield line

    def ndcg(self, data, more):
        found = {}
        for line in tars("search", "--queries", self.queries, "--top-k", "100", "--format", "trec", data=data,
                         **more).splitlines():
            query, _, document, _, score, _ = line.split(" ")
            found.setdefault(query, {})[document] = float(score)
        scores = each(self.qrels, found)
        return sum(scores.values()) / len(scores)


class Server:
    """`tars serve` with these settings, for the time of a with."""

    def __init__(self, data, more):
        self.process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", TARS, "serve", "--port", "0", "--json"],
                                        env=environment(data, more), stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            self.__exit__()
            raise RuntimeError("the server did not start")
        self.port = int(json.loads(line)["url"].rsplit(":", 1)[1])
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        self.token = self._ask(connection, "/auth/token", {"client_id": "backends"}, {})["access_token"]

    def _ask(self, connection, path, body, headers):
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **headers})
        reply = connection.getresponse()
        text = reply.read()
        if reply.status != 200:
            raise RuntimeError(f"{path}: {reply.status} {text[:500]}")
        return json.loads(text)

    def search(self, connection, text):
        body = self._ask(connection, "/rag/search", {"query": text, "top_k": 10},
                         {"Authorization": f"Bearer {self.token}"})
        if "degraded" in body:
            raise RuntimeError(f"degraded: {body['degraded']}")

    def latencies(self, texts):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        found = []
        for text in texts[:20]:
            self.search(connection, text)
        for text in texts:
            started = time.perf_counter()
            self.search(connection, text)
            found.append((time.perf_counter() - started) * 1000)
        connection.close()
        return found

    def throughput(self, texts):
        """Questions a second of CLIENTS clients, each with its share."""
        faults = []

        def run(share):
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
                for text in share:
                    self.search(connection, text)
                connection.close()
            except (OSError, RuntimeError) as fault:
                faults.append(fault)

        clients = [threading.Thread(target=run, args=(texts[i::CLIENTS],)) for i in range(CLIENTS)]
        started = time.perf_counter()
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        if faults:
            raise RuntimeError(str(faults[0]))
        return len(texts) / (time.perf_counter() - started)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=60)
        self.process.stdout.close()


def measure(collection, data, more, full):
    """One row: filling (a copy of the store is there, vectors are written where they are not), quality, speed."""
    started = time.perf_counter()
    tars("search", "anything", data=data, **more)
    row = {"fill_s": time.perf_counter() - started, "ndcg": collection.ndcg(data, more)}
    texts = (collection.texts * QUESTIONS_ASKED)[:QUESTIONS_ASKED] if full else collection.texts
    with Server(data, more) as server:
        times = sorted(server.latencies(texts))
        row["median_ms"] = statistics.median(times)
        row["p95_ms"] = times[int(len(times) * 0.95)]
        row["per_s"] = server.throughput(texts)
    row["load"] = os.getloadavg()[0]
    return row


def rows_of(collection, folder, full):
    """(name, row) of each back end."""

    def copy(name):
        return shutil.copytree(collection.data, os.path.join(folder, name))

    yield "embedded, SQLite", measure(collection, copy("embedded"), {}, full)
    with Postgres(vectors=True, settings={"shared_buffers": "256MB"}) as postgres:
        server = postgres.environment(POSTGRES_ENABLED="false")
        yield "pgvector, SQLite", measure(collection, copy("pgvector"), {**server, "VECTOR_BACKEND": "pgvector"}, full)
        postgres.create_database("tars_store")
        store = {**server, "STORE_DB": "tars_store"}
        data = copy("postgres")
        tars("migrate", "--from", "sqlite", "--to", "postgres", data=data, **store)
        store["STORE"] = "postgres"
        yield "embedded, PostgreSQL", measure(collection, data, store, full)
        yield "pgvector, PostgreSQL", measure(collection, data, {**store, "VECTOR_BACKEND": "pgvector"}, full)
    chroma = Chroma()
    try:
        yield "chroma, SQLite", measure(collection, copy("chroma"),
                                        {"VECTOR_BACKEND": "chroma", "CHROMA_HOST": chroma.url}, full)
    finally:
        chroma.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--set", action="append")
    parser.add_argument("--questions", type=int, default=PART_QUESTIONS)
    parser.add_argument("--stores", help="folder of data folders, one a set")
    parser.add_argument("--json", help="file for the figures")
    options = parser.parse_args()
    if not os.path.isdir(DATA):
        print("skipped: point TARS_TEST_DATA at the folder of the judged collections\n0 passed, 0 failed")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    apart = APART if options.full else PART_APART
    figures, passed, failed = {}, 0, 0
    print("| set | vectors, store | nDCG@10 | median ms | P95 ms | questions/s | filled in s | load |")
    print("|---|---|---|---|---|---|---|---|")
    for name in options.set or (SETS if options.full else PART_SETS):
        with tempfile.TemporaryDirectory(prefix="tars-backends-") as folder:
            collection, first = Collection(name, folder, options), None
            for label, row in rows_of(collection, folder, options.full):
                good = row["ndcg"] > 0.5 if first is None else abs(row["ndcg"] - first) <= apart
                first = row["ndcg"] if first is None else first
                passed, failed = passed + good, failed + (not good)
                figures[f"{name}: {label}"] = row
                print(f"| {name} | {label} | {row['ndcg']:.4f} | {row['median_ms']:.1f} | {row['p95_ms']:.1f} | "
                      f"{row['per_s']:.0f} | {row['fill_s']:.1f} | {row['load']:.1f} |{'' if good else ' APART'}",
                      flush=True)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(figures, file, indent=1)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
