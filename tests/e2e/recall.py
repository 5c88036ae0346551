#!/usr/bin/env python3
"""What the vector graph finds of what comparing all vectors would find, on judged collections.

    TARS=build/release/tars TARS_TEST_DATA=FOLDER tests/e2e/recall.py [--full] [--set NAME]... [--keep FOLDER]

Passages and questions of a set are embedded with the real encoder (int8); the index is searched at its
default setting, made to use the graph whatever the size. The floor is recall@10 >= 0.98, without a
filter and with filters that keep one passage in 2, 8, 32, 128 and 512. The default run takes 2,000
passages of one set, cut to 128 tokens; --full takes all sets whole. --keep leaves the vectors of each
set in FOLDER/NAME.f32, for bench/index.

The program is e2e_index_recall beside $TARS, or $E2E_INDEX_RECALL; the model is $TARS_MODELS, else the
one that scripts/deps has put into the cache. Last line: "N passed, N failed".
"""
import argparse
import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile

FLOOR = 0.98
SETS = ["scifact", "squad", "cacm", "cranfield", "hotpotqa", "pubmedqa", "xquad-en"]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
MODELS = pathlib.Path(os.environ.get("TARS_MODELS") or CACHE / "tars" / "models")


def program():
    beside = pathlib.Path(os.environ.get("TARS", "build/release/tars")).parent / "e2e_index_recall"
    return os.environ.get("E2E_INDEX_RECALL", str(beside))


def rows(folder, name):
    path = folder / name
    opener = open
    if not path.exists():
        path, opener = folder / (name + ".gz"), gzip.open
    with opener(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def write_texts(path, found):
    texts = (" ".join((row.get("title", "") + " " + row.get("text", "")).split()) for row in found)
    path.write_text("".join(text + "\n" for text in texts if text), encoding="utf-8")


def measure(data, name, passages, queries, max_tokens, keep):
    with tempfile.TemporaryDirectory(prefix="tars-recall-") as temporary:
        folder = pathlib.Path(temporary)
        write_texts(folder / "passages", rows(data / name, "corpus.jsonl")[:passages])
        write_texts(folder / "queries", rows(data / name, "queries.jsonl")[:queries])
        command = [program(), str(MODELS / "all-MiniLM-L6-v2"), str(folder / "passages"),
                   str(folder / "queries"), str(max_tokens)]
        if keep:
            command.append(str(pathlib.Path(keep) / (name + ".f32")))
        run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        raise RuntimeError(run.stderr.strip() or f"exit status {run.returncode}")
    return json.loads(run.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--full", action="store_true", help="all sets, whole")
    parser.add_argument("--set", action="append", help="this set only")
    parser.add_argument("--keep", help="folder for the vectors")
    args = parser.parse_args()
    data = os.environ.get("TARS_TEST_DATA", "")
    if not data:
        print("TARS_TEST_DATA is unset: point it at the judged collections to measure recall")
        print("0 passed, 0 failed")
        return 0
    sets = args.set or (SETS if args.full else ["squad"])
    limits = (None, None, 0) if args.full or args.set else (2000, 200, 128)
    passed = failed = 0
    for name in sets:
        try:
            found = measure(pathlib.Path(data), name, *limits, args.keep)
        except (OSError, RuntimeError, ValueError) as error:
            print(f"FAILED {name}: {error}")
            failed += 1
            continue
        good = found["recall"] >= FLOOR and found["filtered_recall"] >= FLOOR
        passed += good
        failed += not good
        print(f"{'ok    ' if good else 'FAILED'} {name}: {found['passages']} passages, "
              f"{found['queries']} questions: recall@10 {found['recall']:.4f} at {found['graph_us']:.0f} us, "
              f"filtered {found['filtered_recall']:.4f}, comparing all {found['scan_recall']:.4f} at "
              f"{found['scan_us']:.0f} us (embedded in {found['embed_s']} s, built in {found['build_s']} s)",
              flush=True)
    print(f"{passed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
