#!/usr/bin/env python3
"""The vector graph beside hnswlib: the same vectors, the same machine, one thread, one run.

    bench/index_peer.py BENCH_INDEX VECTORS.f32 [--passages N] [--rounds N]

BENCH_INDEX is bench/index.c, built (TARS_BENCH=ON). VECTORS.f32 holds float32 (n, 384) of unit length,
such as `tests/e2e/recall.py --keep FOLDER` leaves; all but the last 200 rows are passages, or N of them.
hnswlib has M = 16 and ef_construction = 200, as the index does, and float32 vectors; its recall is
counted as ours is, by the score of the tenth best. Needs the Python packages hnswlib and numpy.
"""
import argparse
import re
import subprocess
import tempfile
import time

import hnswlib
import numpy

DIM, QUERIES, TOP = 384, 200, 10
EFS = [16, 24, 32, 48, 64, 96, 160]


def ours(program, vectors):
    with tempfile.NamedTemporaryFile(suffix=".f32") as file:
        vectors.tofile(file)
        file.flush()
        run = subprocess.run([program, str(len(vectors) - QUERIES), file.name, "vectors"], text=True,
                             capture_output=True, check=True)
    print(re.sub(r"^", "  ", run.stdout.rstrip(), flags=re.M))


def peer(passages, queries):
    index = hnswlib.Index(space="ip", dim=DIM)
    index.init_index(max_elements=len(passages), M=16, ef_construction=200, random_seed=1)
    start = time.perf_counter()
    index.add_items(passages, num_threads=1)
    print(f"  graph: {len(passages)} in {time.perf_counter() - start:.2f} s")
    floors = numpy.sort(queries @ passages.T, axis=1)[:, -TOP]
    for ef in EFS:
        index.set_ef(ef)
        right, times = 0, []
        for query, floor in zip(queries, floors):
            start = time.perf_counter()
            labels, _ = index.knn_query(query, k=TOP, num_threads=1)
            times.append(time.perf_counter() - start)
            right += int((passages[labels[0]] @ query >= floor - 1e-5).sum())
        times.sort()
        print(f"  ef {ef}: P50 {times[len(times) // 2] * 1e6:.0f} us, "
              f"P95 {times[len(times) * 95 // 100] * 1e6:.0f} us, recall@10 {right / QUERIES / TOP:.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program")
    parser.add_argument("vectors")
    parser.add_argument("--passages", type=int)
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args()
    vectors = numpy.fromfile(args.vectors, dtype=numpy.float32).reshape(-1, DIM)
    passages, queries = vectors[:-QUERIES][: args.passages], vectors[-QUERIES:]
    for _ in range(args.rounds):
        print("ours")
        ours(args.program, numpy.concatenate([passages, queries]))
        print("hnswlib")
        peer(passages, queries)


if __name__ == "__main__":
    main()
