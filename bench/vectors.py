#!/usr/bin/env python3
"""Real vectors for the measurements of the index: windows of all texts of TARS_TEST_DATA, embedded by our encoder.

    bench/vectors.py BENCH_EMBED [--data FOLDER] [--cache FOLDER] [--count N] [--million]

BENCH_EMBED is bench/embed.c, built (TARS_BENCH=ON). Every judged collection and documentation tree is cut into
windows of 40 words, each beginning 24 words after the one before (64 and 40 characters where a language writes
without spaces); 36,000 of them, taken and ordered by the hash of their text, are embedded, at most 64 tokens of
each. Questions are those of the judged collections, 2,000 by hash, which are in no window. Left in FOLDER
(~/.cache/tars/bench):

    vectors-36k.f32      float32 (36000, 384), of unit length
    vectors-queries.f32  float32 (2000, 384): even rows to tune with, odd ones to report
    vectors-1m.f32       with --million: float32 (1000000, 384), see perturbed()

What is there already is not made again; embedding takes ten minutes of a core, and goes on where it was stopped.
"""
import argparse
import gzip
import hashlib
import json
import os
import pathlib
import subprocess
import sys
import tarfile

DIM, WINDOWS, QUERIES, MILLION = 384, 36000, 2000, 1000000
WORDS, STEP, CHARACTERS, CHARACTERS_STEP, TOKENS = 40, 24, 64, 40, 64
CHUNK = 2000  # texts embedded by one run of the program
NOISE = 0.5   # length of what perturbed() adds, before it is made a unit again
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "tars"


def rows(folder, name):
    path = folder / name
    opener = open
    if not path.exists():
        path, opener = folder / (name + ".gz"), gzip.open
    with opener(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def judged(data):
    return sorted(folder for folder in data.iterdir() if list(folder.glob("qrels.tsv*")))


def trees(data):
    """The texts of the documentation trees."""
    for path in sorted((data / "docs-corpora").glob("*.tar.zst")):
        unpacked = subprocess.run(["zstd", "-dc", str(path)], capture_output=True, check=True).stdout
        with tarfile.open(fileobj=__import__("io").BytesIO(unpacked)) as tree:
            for member in sorted(tree.getmembers(), key=lambda member: member.name):
                if member.isfile() and member.name.endswith((".md", ".rst", ".txt")):
                    yield tree.extractfile(member).read().decode("utf-8", "replace")


def cut(text):
    """Overlapping windows; a last one that would only repeat the one before is left out."""
    pieces, size, step, glue = text.split(), WORDS, STEP, " "
    if pieces and len(text) / len(pieces) > 20:
        pieces, size, step, glue = list("".join(pieces)), CHARACTERS, CHARACTERS_STEP, ""
    for at in range(0, max(len(pieces) - (size - step), 1), step):
        yield glue.join(pieces[at:at + size])


def digest(text):
    return hashlib.sha256(text.encode()).digest()


def windows(data, count):
    found = set()
    for folder in judged(data):
        for row in rows(folder, "corpus.jsonl"):
            found.update(cut(row.get("title", "") + " " + row.get("text", "")))
    for text in trees(data):
        found.update(cut(text))
    return sorted((text for text in found if text), key=digest)[:count]


def questions(data):
    found = {" ".join(row["text"].split()) for folder in judged(data) for row in rows(folder, "queries.jsonl")}
    return sorted(found, key=digest)[:QUERIES]


def embed(program, kind, texts, path):
    """Embed texts into path, a chunk at a time; what an earlier run left in path's .part is kept."""
    model = pathlib.Path(os.environ.get("TARS_MODELS") or CACHE / "models") / "all-MiniLM-L6-v2"
    part, lines = path.with_suffix(".part"), path.with_suffix(".txt")
    done = part.stat().st_size // (DIM * 4) // CHUNK * CHUNK if part.exists() else 0
    with open(part, "ab") as out:
        out.truncate(done * DIM * 4)
        for at in range(done, len(texts), CHUNK):
            lines.write_text("".join(text + "\n" for text in texts[at:at + CHUNK]), encoding="utf-8")
            made = subprocess.run([str(program), str(model), kind, str(lines), str(TOKENS)],
                                  stdout=subprocess.PIPE, check=True).stdout
            out.write(made)
            out.flush()
    lines.unlink(missing_ok=True)
    part.rename(path)


def perturbed(vectors, count, path):
    """The vectors, and copies of them each with Gaussian noise of length NOISE added in a direction of its own,
    made a unit again: the cosine of a copy to its original is about 0.89, and of two copies about 0.8, which is
    what two neighbouring windows of one document have."""
    import numpy
    random = numpy.random.default_rng(1)
    with open(path.with_suffix(".part"), "wb") as out:
        vectors.tofile(out)
        for at in range(len(vectors), count, len(vectors)):
            made = vectors[:count - at] + random.standard_normal((min(len(vectors), count - at), DIM),
                                                                 dtype=numpy.float32) * (NOISE / DIM ** 0.5)
            (made / numpy.linalg.norm(made, axis=1, keepdims=True)).astype(numpy.float32).tofile(out)
    path.with_suffix(".part").rename(path)


def make(program, data, cache, count=WINDOWS, million=False):
    """Make what is missing; the paths of the vectors, the questions and, if asked for, the million."""
    cache.mkdir(parents=True, exist_ok=True)
    base = cache / ("vectors-36k.f32" if count == WINDOWS else f"vectors-{count}.f32")
    asked, large = cache / "vectors-queries.f32", cache / "vectors-1m.f32"
    if not asked.exists():
        embed(program, "query", questions(data), asked)
    if not base.exists():
        embed(program, "passage", windows(data, count), base)
    if million and not large.exists():
        import numpy
        perturbed(numpy.fromfile(base, dtype=numpy.float32).reshape(-1, DIM), MILLION, large)
    return base, asked, large


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("--data", default=os.environ.get("TARS_TEST_DATA", ""))
    parser.add_argument("--cache", default=str(CACHE / "bench"))
    parser.add_argument("--count", type=int, default=WINDOWS)
    parser.add_argument("--million", action="store_true")
    args = parser.parse_args()
    if not args.data:
        print("TARS_TEST_DATA is unset: there are no texts to embed", file=sys.stderr)
        return 1
    for path in make(args.program, pathlib.Path(args.data), pathlib.Path(args.cache), args.count, args.million):
        if path.exists():
            print(path, path.stat().st_size // (DIM * 4))
    return 0


if __name__ == "__main__":
    sys.exit(main())
