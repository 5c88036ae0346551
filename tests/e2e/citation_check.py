#!/usr/bin/env python3
"""How well the citation check tells supported sentences from others, on judged collections.

    citation_check.py [PROGRAM] [--full] [--data DIR] [--per-set N] [--seed N] [--show KIND]

PROGRAM is tests/e2e/citation_check.c, built: by default e2e_citation_check beside $TARS. --full takes
600 cases of a kind from each set. Cases are made from the collections below
TARS_TEST_DATA, the same ones for the same seed:

    literal   a sentence of a source                                   none may be flagged
    moved     a sentence of another document, taken at random          >= 90 % flagged
    near      a sentence of the document most like the sources, which
              is not among them                                        >= 90 % flagged
    number    a sentence of a source with one number altered           >= 80 % flagged
    name      a sentence of a source with one name altered             >= 80 % flagged
    light     a sentence of a source lightly reworded (an opening
              phrase added, a middle clause or its last words dropped)  reported only

Prints a table per set, the rates over all sets, and "N passed, M failed"; exit status 1 below a
threshold.
"""
import argparse
import gzip
import json
import os
import pathlib
import random
import re
import subprocess
import sys

SETS = ["squad", "hotpotqa", "pubmedqa", "scifact", "xquad-en", "xquad-de", "xquad-es", "xquad-ru",
        "xquad-tr", "xquad-ar", "xquad-hi", "xquad-zh", "jsquad-ja"]
CASELESS = {"xquad-ar", "xquad-hi", "xquad-zh", "jsquad-ja"}
FLOORS = {"literal": (0.0, "at most"), "moved": (0.90, "at least"), "near": (0.90, "at least"),
          "number": (0.80, "at least"), "name": (0.80, "at least")}
NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,]\d+)*(?![\w])")
NAME = re.compile(r"\b[A-ZÀ-ÞА-Я][\w’'-]*(?: [A-ZÀ-ÞА-Я][\w’'-]*)*")


def read_jsonl(folder, name):
    for path, opener in ((folder / name, open), (folder / (name + ".gz"), gzip.open)):
        if path.exists():
            with opener(path, "rt", encoding="utf-8") as lines:
                return [json.loads(line) for line in lines if line.strip()]
    return []


def sentences(text):
    parts = re.split(r"(?<=[.!?])\s+(?=[\"'(\[]?[^\W\d_a-zà-ÿа-я])|(?<=[。！？।؟])\s*", text)
    return [p.strip() for p in parts if p and 25 <= len(p.strip()) <= 500
            or p and re.search(r"[\u3040-\u9fff]", p) and 10 <= len(p.strip()) <= 300]


def words(text):
    return set(re.findall(r"\w{4,}|[\u3040-\u9fff]{2}", text.lower()))


def alter_number(sentence, doc, docs, rng):
    spots = list(NUMBER.finditer(sentence))
    if not spots:
        return None
    spot = rng.choice(spots)
    old = spot.group()
    kind = rng.random()
    if kind < 0.5:
        at = rng.choice([i for i, c in enumerate(old) if c.isdigit()])
        new = old[:at] + str((int(old[at]) + rng.randint(1, 8)) % 9 + 1) + old[at + 1:]
    elif kind < 0.75:
        new = rng.choice(NUMBER.findall(doc["text"]))
    else:
        others = NUMBER.findall(rng.choice(docs)["text"])
        new = rng.choice(others) if others else str(rng.randint(2, 3000))
    if re.sub(r"\D", "", new).lstrip("0") == re.sub(r"\D", "", old).lstrip("0"):
        return None
    return sentence[:spot.start()] + new + sentence[spot.end():]


def names_in(text):
    """Capitalised runs that are names rather than sentence beginnings."""
    found = []
    for match in NAME.finditer(text):
        begins = match.start() == 0 or re.search(r"[.!?:\"“]\s*$", text[:match.start()])
        if len(match.group()) > 2 and (not begins or " " in match.group()):
            found.append(match)
    return found


def alter_name(sentence, doc, docs, answers, rng, caseless):
    if caseless:
        here = [a for a in answers.get(doc["_id"], []) if a in sentence]
        pool = answers.get(rng.choice(list(answers)), []) if answers else []
        pool = [a for a in pool if a not in sentence and not re.search(r"\d", a)]
        here = [a for a in here if not re.search(r"\d", a) and len(a) < 40]
        if not here or not pool:
            return None
        return sentence.replace(rng.choice(here), rng.choice(pool), 1)
    spots = names_in(sentence)
    if not spots:
        return None
    spot = rng.choice(spots)
    source = doc if rng.random() < 0.25 else rng.choice(docs)
    pool = [m.group() for m in names_in(source["text"])]
    pool = [p for p in pool if p.lower() not in sentence.lower()
            and spot.group().lower() not in p.lower()]
    if not pool:
        return None
    return sentence[:spot.start()] + rng.choice(pool) + sentence[spot.end():]


def lighten(sentence, rng):
    kind = rng.randrange(3)
    if kind == 0:
        return "According to the documents, " + sentence[0].lower() + sentence[1:]
    if kind == 1:
        parts = sentence.split(", ")
        if len(parts) >= 3:
            return ", ".join(parts[:1] + parts[2:])
    tokens = sentence.split(" ")
    if len(tokens) < 8:
        return None
    return " ".join(tokens[:-max(1, len(tokens) // 5)]).rstrip(",;") + "."


def nearest(doc, sources, index, docs):
    counts = {}
    for word in words(" ".join(s["text"] for s in sources)):
        hits = index.get(word, [])
        if len(hits) <= max(20, len(docs) // 20):
            for i in hits:
                counts[i] = counts.get(i, 0) + 1
    taken = {s["_id"] for s in sources}
    ranked = sorted((i for i in counts if docs[i]["_id"] not in taken),
                    key=lambda i: (-counts[i], i))
    return docs[ranked[0]] if ranked else None


def make_cases(name, data, per_set, rng):
    docs = [d for d in read_jsonl(data / name, "corpus.jsonl") if len(d["text"]) > 200]
    answers = {}
    for qa in read_jsonl(data / name, "qa.jsonl"):
        if isinstance(qa.get("answers"), list) and qa.get("context_id"):
            answers.setdefault(qa["context_id"], []).extend(
                a for a in qa["answers"] if isinstance(a, str) and len(a) > 1)
    index = {}
    for i, doc in enumerate(docs):
        for word in words(doc["text"]):
            index.setdefault(word, []).append(i)
    cases = []
    for _ in range(per_set):
        doc = rng.choice(docs)
        sources = [doc] + rng.sample(docs, 4)
        rng.shuffle(sources)
        own = sentences(doc["text"])
        if not own:
            continue
        joined = " ".join(s["text"] for s in sources)
        made = {"literal": rng.choice(own)}
        moved = sentences(rng.choice(docs)["text"])
        if moved:
            made["moved"] = rng.choice(moved)
        near = nearest(doc, sources, index, docs)
        near = sentences(near["text"]) if near else []
        if near:
            made["near"] = rng.choice(near)
        for _ in range(4):
            made["number"] = made.get("number") or alter_number(rng.choice(own), doc, docs, rng)
            made["name"] = made.get("name") or alter_name(rng.choice(own), doc, docs, answers, rng,
                                                          name in CASELESS)
        made["light"] = None if name in CASELESS else lighten(rng.choice(own), rng)
        for kind, answer in made.items():
            if answer and (kind == "literal" or answer not in joined):
                cases.append({"kind": kind, "set": name, "answer": answer, "sources": [
                    {"text": s["text"], "title": s.get("title", "")} for s in sources]})
    return cases


def main():
    parser = argparse.ArgumentParser()
    beside = pathlib.Path(os.environ.get("TARS", "build/release/tars")).parent / "e2e_citation_check"
    parser.add_argument("program", nargs="?", default=str(beside))
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--data", default=os.environ.get("TARS_TEST_DATA", ""))
    parser.add_argument("--per-set", type=int, default=150)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", default="", help="print the cases of this kind that go wrong")
    args = parser.parse_args()
    args.per_set = 600 if args.full else args.per_set
    if not args.data:
        print("citation_check: set TARS_TEST_DATA to the judged collections; skipped")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    data = pathlib.Path(args.data)
    cases = []
    for name in SETS:
        if (data / name).exists():
            cases += make_cases(name, data, args.per_set, random.Random(f"{args.seed} {name}"))
    run = subprocess.run([args.program], input="\n".join(json.dumps(c) for c in cases) + "\n",
                         capture_output=True, text=True, check=True)
    results = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(results) == len(cases), "a line for each case"
    table = {}
    verdicts = {}
    for case, result in zip(cases, results):
        kind = case["kind"]
        flagged = result["unsupported"] > 0
        for key in ((case["set"], kind), ("all", kind)):
            hit, total = table.get(key, (0, 0))
            table[key] = (hit + flagged, total + 1)
        for verdict in result["verdicts"]:
            verdicts[(kind, verdict)] = verdicts.get((kind, verdict), 0) + 1
        if args.show == kind and flagged == (kind in ("literal", "light")):
            print(json.dumps({"set": case["set"], "answer": case["answer"],
                              "verdicts": result["verdicts"]}, ensure_ascii=False))
    kinds = ["literal", "moved", "near", "number", "name", "light"]
    print(f"{'flagged':12}" + "".join(f"{k:>16}" for k in kinds))
    for name in [s for s in SETS if any((s, k) in table for k in kinds)] + ["all"]:
        row = ""
        for kind in kinds:
            hit, total = table.get((name, kind), (0, 0))
            row += f"{hit:6d}/{total:<4d}{hit / total:5.2f}" if total else f"{'-':>16}"
        print(f"{name:12}{row}")
    passed = failed = 0
    for kind, (floor, how) in FLOORS.items():
        hit, total = table.get(("all", kind), (0, 0))
        rate = hit / total if total else 0.0
        good = total > 0 and (rate <= floor if how == "at most" else rate >= floor)
        passed += good
        failed += not good
        print(f"{'ok' if good else 'FAILED':7} {kind:8} flagged {rate:.4f} of {total} "
              f"({how} {floor:.2f})")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
