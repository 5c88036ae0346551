#!/usr/bin/env python3
"""Quoted words are found: the answers of question sets, asked in quotes, must bring the passage that they are from.

    TARS=build/release/tars TARS_TEST_DATA=FOLDER tests/e2e/phrases.py [--full] [--stores DIR]

An answer is a span of its paragraph, so the paragraph holds it word by word and recall is 1.0 or something is wrong:
the order of words, stop words between them, terms cut where the analyzer and the span do not agree. Answers of two
words or more that stand between word borders are asked, by words alone; all that is found must hold their words too.
--full asks those of squad (1,991 paragraphs) as well as of xquad-en. --stores is as for quality.py.
"""
import argparse
import json
import os
import re
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from quality import fill, lines, part, tars  # noqa: E402

TOP_K = 100


def paragraphs(name):
    return {row["_id"]: row.get("title", "") + "\n" + row["text"]
            for row in map(json.loads, lines(part(name, "corpus.jsonl")))}


def quotes(name, texts):
    """(answer, id of its paragraph) of each different one that can be asked in quotes."""
    found = {}
    for row in map(json.loads, lines(part(name, "qa.jsonl"))):
        answer, home = row["answers"][0], row["context_id"]
        bordered = re.search(r"(?<!\w)" + re.escape(answer) + r"(?!\w)", texts.get(home, ""))
        if len(answer.split()) > 1 and bordered and not re.search('["\u201c\u201d?]', answer):
            found[answer] = home
    return found


def measure(name, stores):
    data = tempfile.mkdtemp(prefix="tars-phrases-")
    try:
        fill(name, data, stores)
        asked = list(quotes(name, paragraphs(name)).items())
        queries = os.path.join(data, "quotes.jsonl")
        with open(queries, "w", encoding="utf-8") as file:
            file.writelines(json.dumps({"_id": str(i), "text": f'"{answer}"'}) + "\n"
                            for i, (answer, _) in enumerate(asked))
        found = {}
        for line in tars("search", "--queries", queries, "--top-k", str(TOP_K), "--format", "trec", "--mode", "words",
                         data=os.path.join(data, "store")).splitlines():
            query, _, document, _, _, _ = line.split(" ")
            found.setdefault(int(query), []).append(document)
        missed = [(answer, home) for i, (answer, home) in enumerate(asked)
                  if home not in found.get(i, ()) and len(found.get(i, ())) < TOP_K]
        return len(asked), missed, sum(map(len, found.values())) / max(len(found), 1)
    finally:
        shutil.rmtree(data, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--stores", default="")
    options = parser.parse_args()
    passed = failed = 0
    for name in ["xquad-en", "squad"] if options.full else ["xquad-en"]:
        count, missed, mean = measure(name, options.stores)
        good = count > 100 and not missed
        passed, failed = passed + good, failed + (not good)
        print(f"{'ok' if good else 'not ok'} {name}: {count} quoted answers, recall {1 - len(missed) / count:.4f}, "
              f"{mean:.1f} passages hold one")
        for answer, home in missed[:20]:
            print(f"   {home}: {answer!r}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
