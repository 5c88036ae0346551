#!/usr/bin/env python3
"""Search quality on judged collections, by the command line alone.

    TARS=build/release/tars TARS_TEST_DATA=FOLDER tests/e2e/quality.py [--full] [--set NAME]... [--modes] [--stores DIR]
                                                                       [--save DIR] [--beside DIR]

Each set is read from its corpus.jsonl into a data folder of its own, its queries are run by
`tars search --queries --format trec`, and nDCG@10 is computed here (and by pytrec_eval too where that
package is installed; the two must agree). The floors are what a plain script reaches with the same
ingredients (Snowball BM25 and MiniLM fp32, min-max sum, half and half), less 0.01, or what was reached, or the BM25 column
of the collections' own README for languages that the encoder does not know.

--full runs all sets, --modes also words alone and vectors alone. --stores takes the data folder of a set from
DIR/SET, where an earlier ingest left it, instead of embedding its corpus again; a copy of it is used. --save writes
what each question has to DIR/SET.json, --beside compares with what --save left there, question by question: how many
differ, and how often differences as great in the mean come about when each has its sign by the toss of a coin (EMBED_PRECISION=fp32
... --save A, then EMBED_PRECISION=int8 ... --beside A). Last line: "N passed, N failed".
"""
import argparse
import gzip
import json
import math
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

TARS = os.environ.get("TARS", "build/release/tars")
DATA = os.environ.get("TARS_TEST_DATA", "")

HYBRID = {"adi": 0.546, "cacm": 0.552, "cranfield": 0.435, "hotpotqa": 0.838, "scifact": 0.732, "squad": 0.953}
WORDS = {"xquad-ar": 0.879, "xquad-de": 0.915, "xquad-es": 0.942, "xquad-hi": 0.831, "xquad-ru": 0.875,
         "xquad-tr": 0.891, "xquad-zh": 0.954, "jsquad-ja": 0.941}
REPORTED = ["xquad-en", "pubmedqa"]
DEFAULT = ["adi", "cranfield", "hotpotqa", "xquad-de", "xquad-zh"]
# What int8 reaches, less about 0.006 (docs/quality.md).
REACHED = {"adi": 0.565, "cacm": 0.567, "cranfield": 0.449, "hotpotqa": 0.839, "scifact": 0.733, "squad": 0.949}
SLACK, MEAN_GAIN = 0.01, 0.01
TOSSES = 10000


def part(name, stem):
    """The path of a file of a set, unpacked if it is gzipped."""
    path = os.path.join(DATA, name, stem)
    return path if os.path.exists(path) else path + ".gz"


def lines(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as file:
        yield from file


def judgements(name):
    found = {}
    rows = lines(part(name, "qrels.tsv"))
    next(rows)
    for row in rows:
        query, document, score = row.rstrip("\n").split("\t")
        found.setdefault(query, {})[document] = int(score)
    return found


def each(qrels, run, k=10):
    """query -> nDCG@k (Jarvelin and Kekalainen 2002, as in trec_eval), of the judged queries."""
    found = {}
    for query, judged in qrels.items():
        ranked = sorted(run.get(query, {}).items(), key=lambda item: -item[1])[:k]
        gain = sum(judged.get(document, 0) / math.log2(rank + 2) for rank, (document, _) in enumerate(ranked))
        ideal = sorted((score for score in judged.values() if score > 0), reverse=True)[:k]
        best = sum(score / math.log2(rank + 2) for rank, score in enumerate(ideal))
        found[query] = gain / best if best else 0.0
    return found


def recall(qrels, run):
    """The share of the relevant documents among the hundred found, mean over the queries that have one."""
    shares = []
    for query, judged in qrels.items():
        relevant = {document for document, score in judged.items() if score > 0}
        if relevant:
            shares.append(len(relevant & set(run.get(query, {}))) / len(relevant))
    return sum(shares) / len(shares)


def differ(old, new):
    """One line: how the questions differ, and whether by more than chance (a paired randomisation test)."""
    gaps = [new[query] - old[query] for query in old if abs(new[query] - old[query]) > 1e-9]
    total, coin = sum(gaps), random.Random(1)
    tosses = (sum(gap if coin.random() < 0.5 else -gap for gap in gaps) for _ in range(TOSSES))
    chance = sum(abs(toss) >= abs(total) - 1e-9 for toss in tosses) / TOSSES
    return (f"{total / len(old):+.4f}, {len(gaps)} of {len(old)} questions differ, {sum(gap > 0 for gap in gaps)} up and "
            f"{sum(gap < 0 for gap in gaps)} down, the most by {max(map(abs, gaps), default=0):.3f}; p = {chance:.2f}")


def independent(qrels, run):
    """The same figure by pytrec_eval, or None where it is not installed."""
    try:
        import pytrec_eval
    except ImportError:
        return None
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, {"ndcg_cut.10"})
    scores = evaluator.evaluate(run)
    return sum(scores.get(query, {}).get("ndcg_cut_10", 0.0) for query in qrels) / len(qrels)


def tars(*arguments, data):
    process = subprocess.run([TARS, *arguments, "--data", data], capture_output=True, text=True, check=False)
    if process.returncode != 0:
        raise RuntimeError(f"tars {arguments[0]}: exit {process.returncode}\n{process.stderr[-2000:]}")
    return process.stdout


def run_of(name, data, mode):
    queries = part(name, "queries.jsonl")
    if queries.endswith(".gz"):
        unpacked = os.path.join(data, "queries.jsonl")
        with open(unpacked, "w", encoding="utf-8") as file:
            file.writelines(lines(queries))
        queries = unpacked
    found = {}
    for line in tars("search", "--queries", queries, "--top-k", "100", "--format", "trec", "--mode", mode,
                     data=data).splitlines():
        query, _, document, _, score, _ = line.split(" ")
        found.setdefault(query, {})[document] = float(score)
    return found


def fill(name, data, stores):
    """The set's documents, in data/store."""
    made = os.path.join(stores, name) if stores else ""
    if made and os.path.isdir(made):
        shutil.copytree(made, os.path.join(data, "store"))
        return
    corpus = os.path.join(data, "corpus.jsonl")
    with open(corpus, "w", encoding="utf-8") as file:
        file.writelines(lines(part(name, "corpus.jsonl")))
    tars("ingest", corpus, data=os.path.join(data, "store"))


def measure(name, modes, stores):
    data = tempfile.mkdtemp(prefix="tars-quality-")
    try:
        started = time.time()
        fill(name, data, stores)
        seconds = time.time() - started
        qrels, row = judgements(name), {"ingest_s": seconds}
        for mode in modes:
            started = time.time()
            run = run_of(name, os.path.join(data, "store"), mode)
            row[mode + "_each"] = each(qrels, run)
            row[mode] = sum(row[mode + "_each"].values()) / len(qrels)
            row[mode + "_recall"] = recall(qrels, run)
            row[mode + "_s"] = time.time() - started
            other = independent(qrels, run)
            if other is not None and abs(other - row[mode]) > 0.002:
                print(f"{name} {mode}: pytrec_eval says {other:.4f}, we say {row[mode]:.4f}")
        return row
    finally:
        shutil.rmtree(data, ignore_errors=True)


def keep(options, name, found):
    """What --save and --beside ask for."""
    if options.save:
        os.makedirs(options.save, exist_ok=True)
        with open(os.path.join(options.save, name + ".json"), "w", encoding="utf-8") as file:
            json.dump(found, file)
    if options.beside:
        with open(os.path.join(options.beside, name + ".json"), encoding="utf-8") as file:
            print(" " * 10, differ(json.load(file), found), flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--set", action="append")
    parser.add_argument("--modes", action="store_true")
    parser.add_argument("--stores", help="folder of data folders, one a set")
    parser.add_argument("--save", help="folder for what each question has")
    parser.add_argument("--beside", help="such a folder, to compare with")
    options = parser.parse_args()
    if not os.path.isdir(DATA):
        print("skipped: point TARS_TEST_DATA at the folder of the judged collections\n0 passed, 0 failed")
        return 0
    names = options.set or (list(HYBRID) + list(WORDS) + REPORTED if options.full else DEFAULT)
    modes = ["hybrid", "words", "vectors"] if options.modes or options.full else ["hybrid"]
    passed = failed = 0
    means = []
    print(f"{'set':10} {'floor':>6} " + " ".join(f"{mode:>8}" for mode in modes) + "   recall@100   ingest  queries")
    for name in names:
        row = measure(name, modes, options.stores)
        floor = REACHED.get(name, HYBRID.get(name, WORDS.get(name, 0)) - SLACK if name not in REPORTED else 0)
        good = row["hybrid"] >= floor
        if name in HYBRID:
            means.append(row["hybrid"] - HYBRID[name])
        if name not in REPORTED:
            passed, failed = passed + good, failed + (not good)
        print(f"{name:10} {floor:6.3f} " + " ".join(f"{row[mode]:8.4f}" for mode in modes) +
              f"  {row['hybrid_recall']:11.4f}  {row['ingest_s']:6.1f}s {row['hybrid_s']:6.1f}s"
              f"{'' if good else '   BELOW'}", flush=True)
        keep(options, name, row["hybrid_each"])
    if len(means) == len(HYBRID):
        mean = sum(means) / len(means)
        good = mean >= MEAN_GAIN
        passed, failed = passed + good, failed + (not good)
        print(f"mean difference to half and half: {mean:+.4f}{'' if good else '   BELOW'}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
