#!/usr/bin/env python3
"""kill -9 at random moments of an ingestion, and what a restart makes of it.

Each round takes a folder of documents in with `tars ingest --json` and kills the program at a random
moment. A file is acknowledged when its line was printed. Then the server is started, and nothing
else is asked of it:

  1. every acknowledged file is found at once, exactly once;
  2. in every second round the server itself is killed while it finishes the rest, and started again;
  3. the rest is finished, and every file that had been accepted is found exactly once;
  4. documents, passages and jobs add up, and the store passes sqlite3's own check.

Every file carries a word of its own, so that "found" means a search, not a count.

usage: crash_campaign.py --tars PROGRAM [--docs FOLDER] [--rounds N | --full] [--seed N]
FOLDER is a tree of documents; by default the documentation tree in $TARS_TEST_DATA, and where that is
unset, the samples of this repository. Ends in "N passed, M failed".
"""
import argparse
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
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from ports import free_port  # noqa: E402

ENDINGS = {".md", ".rst", ".txt"}
LARGEST = 5000  # bytes of a file: many small ones have more moments between them than few large
FILES = 30
DEADLINE_S = 120


def marker(i):
    """A word that is in no document, not stemmed and not split."""
    digits = "".join("bcdfghjklm"[int(d)] for d in f"{i:04d}")
    return f"zq{digits}xk"


def find_docs(args, scratch):
    if args.docs:
        return pathlib.Path(args.docs)
    data = os.environ.get("TARS_TEST_DATA")
    archive = pathlib.Path(data or "/nowhere") / "docs-corpora" / "python-devguide.tar.zst"
    if not archive.exists():
        print("point TARS_TEST_DATA at the judged collections for a larger tree; docs/ is used instead")
        return ROOT / "docs"
    tree = scratch / "corpus"
    tree.mkdir()
    subprocess.run(["tar", "--zstd", "-xf", archive, "-C", tree], check=True)
    return tree


def make_tree(docs, tree):
    """Copies of some files, each with its word at the end. {path: word}"""
    chosen = [p for p in sorted(docs.rglob("*"))
              if p.is_file() and p.suffix in ENDINGS and 0 < p.stat().st_size < LARGEST
              and not any(part.startswith(".") for part in p.relative_to(docs).parts)][:FILES]
    words = {}
    for i, source in enumerate(chosen):
        target = tree / source.relative_to(docs)
        target.parent.mkdir(parents=True, exist_ok=True)
        text = source.read_text(encoding="utf-8", errors="replace")
        target.write_text(f"{text}\n\nThe word of this file is {marker(i)}.\n", encoding="utf-8")
        words[str(target.resolve())] = marker(i)
    return words


class Round:
    def __init__(self, args, folder, tree, words):
        self.args, self.tree, self.words = args, tree, words
        self.data = folder / "data"
        self.server = None
        self.env = {**{k: v for k, v in os.environ.items() if not k.startswith("TARS_")},
                    "LLM_BACKEND": "extract", "LOG_LEVEL": "ERROR", "RATE_LIMIT_PER_MINUTE": "0"}
        if "TARS_MODELS" in os.environ:
            self.env["TARS_MODELS"] = os.environ["TARS_MODELS"]
        self.log = open(folder / "log", "ab")

    def ingest(self, kill_after):
        """The acknowledged paths; kill_after None: to the end."""
        command = [self.args.tars, "ingest", "--data", self.data, "--json", self.tree]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, env=self.env)
        if kill_after is not None:
            try:
                child.wait(kill_after)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
        lines = child.stdout.read().decode().split("\n")
        child.wait()
        acknowledged = set()
        for line in lines[:-1]:  # the last has no line feed: it was not told in full
            told = json.loads(line)
            if told.get("status") in ("indexed", "unchanged"):
                acknowledged.add(told["path"])
        return acknowledged

    def serve(self):
        self.port = free_port()
        command = [self.args.tars, "serve", "--data", self.data, "--port", str(self.port)]
        self.server = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=self.env)
        until = time.monotonic() + DEADLINE_S
        while True:
            if self.server.poll() is not None:
                raise AssertionError(f"the server ended with {self.server.returncode}")
            try:
                self.get("/health")
                return
            except OSError:
                if time.monotonic() > until:
                    raise AssertionError("the server does not answer") from None
                time.sleep(0.02)

    def stop(self, how):
        if self.server:
            self.server.send_signal(how)
            self.server.wait(DEADLINE_S)
            self.server = None

    def get(self, path, body=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data,
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as reply:
            return json.load(reply)

    def times_found(self, path):
        word = self.words[path]
        results = self.get("/rag/search", {"query": word, "top_k": 10})["results"]
        hits = [r for r in results if word in r["content"]]
        wrong = [r for r in hits if r["metadata"]["file_path"] != path]
        if wrong:
            raise AssertionError(f"{word} of {path} is found in {wrong[0]['metadata']['file_path']}")
        return len(hits)

    def expect_found(self, paths, when):
        for path in sorted(paths):
            times = self.times_found(path)
            if times != 1:
                raise AssertionError(f"{path} is found {times} times {when}")

    def jobs_left(self):
        with sqlite3.connect(f"file:{self.data}/tars.db?mode=ro", uri=True) as db:
            return db.execute("select count(*) from jobs where state in (1, 2)").fetchone()[0]

    def wait_for_rest(self):
        until = time.monotonic() + DEADLINE_S
        while self.jobs_left():
            if time.monotonic() > until:
                raise AssertionError("the rest is not finished")
            time.sleep(0.05)

    def check_store(self):
        with sqlite3.connect(self.data / "tars.db") as db:
            verdict = db.execute("pragma integrity_check").fetchone()[0]
            if verdict != "ok":
                raise AssertionError(f"sqlite3: {verdict}")
            documents, chunks = db.execute(
                "select count(*), coalesce(sum(chunk_count), 0) from documents").fetchone()
            passages = db.execute("select count(*) from passages").fetchone()[0]
            accepted = db.execute("select count(*) from jobs").fetchone()[0]
            failed = db.execute("select count(*) from jobs where state <> 3").fetchone()[0]
        if passages != chunks:
            raise AssertionError(f"{passages} passages, {chunks} counted by their documents")
        if failed:
            raise AssertionError(f"{failed} jobs did not end well")
        if documents != accepted:
            raise AssertionError(f"{accepted} files accepted, {documents} there")
        return accepted

    def run(self, kill_after, kill_server_after):
        acknowledged = self.ingest(kill_after)
        self.serve()
        self.expect_found(acknowledged, "after the restart")
        if kill_server_after is not None:
            time.sleep(kill_server_after)
            self.stop(signal.SIGKILL)
            self.serve()
            self.expect_found(acknowledged, "after the second restart")
        self.wait_for_rest()
        stats = self.get("/rag/stats")
        accepted = list(self.words) if stats["total_documents"] else []
        self.expect_found(accepted, "at the end")
        self.stop(signal.SIGTERM)
        if self.check_store() not in (0, len(self.words)):
            raise AssertionError("a part of the folder was accepted")
        return f"{len(acknowledged)} acknowledged, {len(accepted)} at the end"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tars", default=ROOT / "build/release/tars", type=pathlib.Path)
    parser.add_argument("--docs")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--full", action="store_true", help="200 rounds")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.tars = args.tars.resolve()
    dice = random.Random(args.seed)
    rounds = 200 if args.full else args.rounds
    passed = failed = 0

    with tempfile.TemporaryDirectory(prefix="tars-crash-") as name:
        scratch = pathlib.Path(name)
        tree = scratch / "tree"
        words = make_tree(find_docs(args, scratch), tree)
        first = Round(args, scratch, tree, words)
        started = time.monotonic()
        whole = first.ingest(None)
        lasts = time.monotonic() - started
        if len(whole) != len(words):
            print(f"only {len(whole)} of {len(words)} files are taken in without a crash")
            print("0 passed, 1 failed")
            return 1
        shutil.rmtree(first.data)
        print(f"{len(words)} files, {lasts:.1f} s without a crash; seed {args.seed}")
        for i in range(rounds):
            kill_after = dice.uniform(0, lasts)
            again = dice.uniform(0, lasts / 4) if i % 2 else None
            folder = scratch / f"round{i}"
            folder.mkdir()
            one = Round(args, folder, tree, words)
            try:
                told = one.run(kill_after, again)
                passed += 1
                print(f"ok   {i + 1}: killed after {kill_after:.2f} s: {told}", flush=True)
            except (AssertionError, OSError, subprocess.SubprocessError, sqlite3.Error) as error:
                failed += 1
                print(f"FAIL {i + 1}: killed after {kill_after:.2f} s: {error}", flush=True)
                print((folder / "log").read_text(errors="replace")[-2000:])
            finally:
                one.stop(signal.SIGKILL)
                one.log.close()
                shutil.rmtree(folder)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
