#!/usr/bin/env python3
"""What passes the threshold of relevance: questions of what the documents hold, and of something else.

    TARS=build/release/tars TARS_TEST_DATA=FOLDER tests/e2e/no_answer.py [--full] [--stores DIR]

Each row asks the questions of one judged set of the documents of one. Of its own documents: the share of the
questions with a relevant passage among the first five that keep one at 0.7. Of another set's: the share that get
no passage at 0.7. The floors are those of docs/quality.md. --full takes all rows, --stores is that of quality.py.
Last line: "N passed, N failed".
"""
import argparse
import json
import os
import shutil
import sys
import tempfile

from quality import DATA, fill, judgements, lines, part, tars

THRESHOLD, TOP = 0.7, 5
# questions, documents, floor, only with --full
ROWS = [("hotpotqa", "hotpotqa", 0.95, False), ("hotpotqa", "adi", 0.90, False), ("adi", "hotpotqa", 0.90, False),
        ("hotpotqa", "cranfield", 0.90, True), ("squad", "squad", 0.95, True), ("squad", "cranfield", 0.90, True),
        ("squad", "hotpotqa", 0.90, True), ("hotpotqa", "squad", 0.90, True), ("cranfield", "squad", 0.90, True)]


def ask(questions, data, folder):
    """The first passages of each question: [(document, relevance)]."""
    rows = [json.loads(line) for line in lines(part(questions, "queries.jsonl"))]
    path = os.path.join(folder, questions + ".queries.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)
    output = tars("search", "--queries", path, "--top-k", str(TOP), "--json", data=data)
    ids = {row["text"]: row["_id"] for row in rows}
    for row in map(json.loads, output.splitlines()):
        yield ids[row["query"]], [(hit["metadata"].get("external_id"), hit["similarity_score"])
                                  for hit in row["results"]]


def share(questions, documents, data, folder):
    right = total = 0
    qrels = judgements(questions) if questions == documents else {}
    for query, hits in ask(questions, data, folder):
        if questions == documents:
            hits = [hit for hit in hits if qrels.get(query, {}).get(hit[0], 0) > 0]
            if not hits:
                continue
        passes = any(relevance >= THRESHOLD for _, relevance in hits)
        right, total = right + (passes == (questions == documents)), total + 1
    return right / total, total


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--stores", help="folder of data folders, one a set")
    options = parser.parse_args()
    if not os.path.isdir(DATA):
        print("skipped: point TARS_TEST_DATA at the folder of the judged collections\n0 passed, 0 failed")
        return 0
    folder = tempfile.mkdtemp(prefix="tars-no-answer-")
    failed = 0
    rows = [row for row in ROWS if options.full or not row[3]]
    try:
        for questions, documents, floor, _ in rows:
            place = os.path.join(folder, documents)
            if not os.path.isdir(place):
                os.mkdir(place)
                fill(documents, place, options.stores)
            got, count = share(questions, documents, os.path.join(place, "store"), folder)
            failed += got < floor
            what = "keep a relevant passage" if questions == documents else "get none"
            print(f"{questions:10} of {documents:10} {count:5} questions, {100 * got:5.1f} % {what}, at least "
                  f"{100 * floor:.0f}{'' if got >= floor else '   BELOW'}", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{len(rows) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
