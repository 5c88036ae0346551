#!/usr/bin/env python3
"""nDCG@10 of plain BM25 (k1 1.2, b 0.75, title and text in one field) over the terms that the
analyzer gives, for every judged set, beside the figure of the sets' README.

    cmake --build build/debug --target analyzer_dump
    TARS_TEST_DATA=DATA tests/golden/analyzer_bm25.py build/debug/analyzer_dump [SET...]

Documents are analysed in their detected language, questions in all languages that were found.
"""
import collections
import glob
import gzip
import json
import math
import os
import re
import subprocess
import sys


def rows(path):
    for name in (path, path + ".gz"):
        if os.path.exists(name):
            opened = gzip.open if name.endswith(".gz") else open
            with opened(name, "rt", encoding="utf-8") as lines:
                return [json.loads(line) for line in lines]
    raise SystemExit("no " + path)


def dump(program, args, texts):
    raws = [t.encode("utf-8", "replace") for t in texts]
    given = b"".join(b"%d\n" % len(r) + r for r in raws)
    out = subprocess.run([program] + args, input=given, stdout=subprocess.PIPE, check=True).stdout
    lines = [line.split("\t") for line in out.decode().split("\n")[:-1]]
    assert len(lines) == len(texts)
    return [(line[0], line[1:]) for line in lines]


def ndcg(ranked, relevant):
    gain = sum(relevant.get(d, 0) / math.log2(i + 2) for i, d in enumerate(ranked[:10]))
    best = sorted(relevant.values(), reverse=True)[:10]
    return gain / sum(g / math.log2(i + 2) for i, g in enumerate(best))


class Bm25:
    def __init__(self, documents):
        self.postings = collections.defaultdict(list)
        self.lengths = [len(d) for d in documents]
        self.mean = sum(self.lengths) / len(self.lengths)
        for i, terms in enumerate(documents):
            for term, tf in collections.Counter(terms).items():
                self.postings[term].append((i, tf))

    def search(self, terms):
        scores = collections.defaultdict(float)
        n = len(self.lengths)
        for term in terms:
            found = self.postings.get(term, ())
            idf = math.log(1 + (n - len(found) + 0.5) / (len(found) + 0.5))
            for i, tf in found:
                norm = 1.2 * (1 - 0.75 + 0.75 * self.lengths[i] / self.mean)
                scores[i] += idf * tf * 2.2 / (tf + norm)
        return sorted(scores, key=lambda i: -scores[i])[:100]


def measure(program, folder):
    corpus = rows(os.path.join(folder, "corpus.jsonl"))
    queries = rows(os.path.join(folder, "queries.jsonl"))
    qrels = collections.defaultdict(dict)
    with open(os.path.join(folder, "qrels.tsv"), encoding="utf-8") as lines:
        for line in list(lines)[1:]:
            query, document, score = line.rstrip("\n").split("\t")
            if float(score) > 0:
                qrels[query][document] = float(score)
    documents = dump(program, ["auto"],
                     [(d.get("title") or "") + "\n" + d["text"] for d in corpus])
    langs = collections.Counter(lang for lang, _ in documents)
    index = Bm25([terms for _, terms in documents])
    asked = dump(program, ["und", ",".join(langs)], [q["text"] for q in queries])
    scores = [ndcg([corpus[i]["_id"] for i in index.search(terms)], qrels[q["_id"]])
              for q, (_, terms) in zip(queries, asked) if qrels.get(q["_id"])]
    return sum(scores) / len(scores), langs


def main():
    data = os.environ.get("TARS_TEST_DATA")
    if not data or len(sys.argv) < 2:
        sys.exit(__doc__)
    readme = open(os.path.join(data, "README.md"), encoding="utf-8").read()
    names = sys.argv[2:] or sorted(
        os.path.basename(os.path.dirname(p)) for p in glob.glob(os.path.join(data, "*", "qrels.tsv")))
    low = 0
    for name in names:
        baseline = re.search(r"^\| %s \|(?:[^|]*\|){4} ([0-9.]+) \|" % name, readme, re.M)
        want = float(baseline.group(1)) if baseline else 0.0
        got, langs = measure(sys.argv[1], os.path.join(data, name))
        low += got < want - 0.01
        print("%-10s %.3f  baseline %.3f  %+.3f  %s"
              % (name, got, want, got - want, dict(langs.most_common(6))), flush=True)
    sys.exit(1 if low else 0)


if __name__ == "__main__":
    main()
