#!/usr/bin/env python3
"""Other vector indexes on given vectors, as bench/hnsw.c is measured; bench/rows/vectors.py runs it.

    bench/index_peer.py PEER VECTORS.f32 N QUERIES.f32 FLOORS.f32 FOLDER EF,EF... ROUNDS [ACCEPTED]

PEER is hnswlib (float32, M = 16, ef_construction = 200), usearch (int8, the same) or faiss (HNSW, float32, the same). The
index is built once and kept in FOLDER. All questions go in one call of one thread, so that nothing of Python is
counted; times are of the thread's own processor time, the best of the rounds. Recall counts what scores as the tenth
best does, by exact scores of what was found. ACCEPTED, for faiss, holds a byte for each vector, 0: refused. Prints one
line of JSON: seconds of building, resident bytes a vector, and a list of points.
"""
import json
import os
import sys
import time

import numpy

DIM, TOP, TIE = 384, 10, 1e-5
M, EF_CONSTRUCTION = 16, 200


def resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Hnswlib:
    def __init__(self, n, path):
        import hnswlib
        self.index, self.n, self.path = hnswlib.Index(space="ip", dim=DIM), n, path

    def build(self, vectors):
        self.index.init_index(max_elements=self.n, M=M, ef_construction=EF_CONSTRUCTION, random_seed=1)
        self.index.add_items(vectors, num_threads=1)
        self.index.save_index(self.path)

    def load(self):
        self.index.load_index(self.path)

    def search(self, queries, ef, _):
        self.index.set_ef(ef)
        return self.index.knn_query(queries, k=TOP, num_threads=1)[0]


class Usearch:
    def __init__(self, n, path):
        from usearch.index import Index
        self.index = Index(ndim=DIM, metric="ip", dtype="i8", connectivity=M, expansion_add=EF_CONSTRUCTION)
        self.n, self.path = n, path

    def build(self, vectors):
        self.index.add(numpy.arange(self.n), vectors, threads=1)
        self.index.save(self.path)

    def load(self):
        self.index.load(self.path)

    def search(self, queries, ef, _):
        self.index.expansion_search = ef
        return self.index.search(queries, TOP, threads=1).keys


class Faiss:
    def __init__(self, n, path):
        import faiss
        faiss.omp_set_num_threads(1)
        self.faiss, self.n, self.path = faiss, n, path

    def build(self, vectors):
        self.index = self.faiss.IndexHNSWFlat(DIM, M, self.faiss.METRIC_INNER_PRODUCT)
        self.index.hnsw.efConstruction = EF_CONSTRUCTION
        self.index.add(vectors)
        self.faiss.write_index(self.index, self.path)

    def load(self):
        self.index = self.faiss.read_index(self.path)

    def search(self, queries, ef, accepted):
        chosen = self.faiss.SearchParametersHNSW(efSearch=ef)
        if accepted is not None:
            chosen.sel = self.faiss.IDSelectorBitmap(numpy.packbits(accepted, bitorder="little"))
        return self.index.search(queries, TOP, params=chosen)[1]


def main():
    name, vectors, n, queries, floors, folder, efs, rounds = sys.argv[1:9]
    n = int(n)
    vectors = numpy.memmap(vectors, dtype=numpy.float32, mode="r").reshape(-1, DIM)[:n]
    queries = numpy.fromfile(queries, dtype=numpy.float32).reshape(-1, DIM)
    floors = numpy.fromfile(floors, dtype=numpy.float32)
    accepted = numpy.fromfile(sys.argv[9], dtype=numpy.uint8) if len(sys.argv) > 9 else None
    path = os.path.join(folder, f"{name}-{n}.index")
    peer = {"hnswlib": Hnswlib, "usearch": Usearch, "faiss": Faiss}[name](n, path)
    told = {"peer": name, "n": n, "points": []}
    if not os.path.exists(path):
        copy = numpy.ascontiguousarray(vectors)
        start = time.process_time()
        peer.build(copy)
        with open(path + ".json", "w", encoding="ascii") as file:
            json.dump({"build_s": time.process_time() - start}, file)
    else:
        before = resident()
        peer.load()
        told["bytes"] = (resident() - before) / n
    with open(path + ".json", encoding="ascii") as file:
        told.update(json.load(file))
    for ef in (int(word) for word in efs.split(",")):
        times, found = [], None
        for _ in range(int(rounds) + 1):
            start = time.process_time()
            found = peer.search(queries, ef, accepted)
            times.append(time.process_time() - start)
        right = 0
        for query, floor, row in zip(queries, floors, found):
            row = row[row >= 0].astype(numpy.int64)
            right += int((vectors[row] @ query >= floor - TIE).sum())
        told["points"].append({"ef": ef, "recall": right / len(queries) / TOP,
                               "mean_us": min(times[1:]) / len(queries) * 1e6})
    print(json.dumps(told))


if __name__ == "__main__":
    main()
