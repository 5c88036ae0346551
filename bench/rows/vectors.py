"""The vector index beside hnswlib (and usearch int8, faiss HNSW): queries at equal recall, building, memory, filters.

Vectors are real ones (bench/vectors.py): 36,000 windows of all shared texts, and a million made of them by noise. With
--quick 10,000 and 100,000. The questions that are reported are the odd rows; even ones are for tuning. Queries a second
at a recall are read off each side's own curve, between the two points around it. Times are processor time, one core.
"""
import math
import os
import pathlib

from bench import vectors as data

NAMES = ("hnsw-95", "hnsw-99", "hnsw-95-usearch", "hnsw-95-faiss", "hnsw-build", "hnsw-memory", "hnsw-open", "hnsw-churn",
         "hnsw-filter", "hnsw-1m", "hnsw-1m-99", "hnsw-1m-build", "hnsw-1m-memory", "hnsw-1m-filter")
TOP = 10
EFS = "10,16,24,32,48,64,96,128,192,256"
LARGE_EFS = "32,64,128,192,256,384,512,768,1024"
SHARES = (0.001, 0.01, 0.1, 0.5, 1.0)
FLOOR = 0.95  # of a filtered search's recall


class Set:
    """Vectors, questions and the scores of each question's tenth best, in files."""

    def __init__(self, context, large):
        import numpy
        self.numpy, self.context = numpy, context
        self.n = (100000 if context.quick else data.MILLION) if large else (10000 if context.quick else data.WINDOWS)
        have = context.folder("vectors")
        base, asked, million = data.make(context.build("bench_embed"), pathlib.Path(context.data or ""),
                                         pathlib.Path(context.cache), million=large)
        self.path = str(million if large else base)
        self.folder = context.folder("vectors", str(self.n))
        self.queries = os.path.join(have, "asked.f32")
        numpy.fromfile(asked, dtype=numpy.float32).reshape(-1, data.DIM)[1::2].tofile(self.queries)
        self.floors = self.truth("all", None)

    def truth(self, name, accepted):
        path = os.path.join(self.folder, f"floors-{name}.f32")
        if os.path.exists(path):
            return path
        numpy = self.numpy
        vectors = numpy.memmap(self.path, dtype=numpy.float32, mode="r").reshape(-1, data.DIM)[:self.n]
        queries = numpy.fromfile(self.queries, dtype=numpy.float32).reshape(-1, data.DIM)
        best = numpy.full((len(queries), TOP), -2, dtype=numpy.float32)
        for at in range(0, self.n, 20000):
            scores = queries @ vectors[at:at + 20000].T
            if accepted is not None:
                scores[:, accepted[at:at + 20000] == 0] = -2
            both = numpy.concatenate([best, scores], axis=1)
            best = numpy.partition(both, -TOP, axis=1)[:, -TOP:]
        best.min(axis=1).astype(numpy.float32).tofile(path)
        return path

    def index(self):
        """Our index of these vectors, built once; what building said."""
        told = os.path.join(self.folder, "built.json")
        program = self.context.build("bench_hnsw")
        if not os.path.exists(told):
            made = self.context.command(self.context.pin() + [program, "build", self.path, str(self.n), self.folder])
            pathlib.Path(told).write_text(made, encoding="ascii")
        return self.context.json(["cat", told])

    def ours(self, efs, *more, floors=None):
        return self.context.json(self.context.pin() + [self.context.build("bench_hnsw"), "search", self.folder,
                                                       self.queries, floors or self.floors, efs, "2", *more])["points"]

    def peer(self, name, efs, *more, floors=None):
        return self.context.json(self.context.pin() + [
            self.context.python, os.path.join(self.context.root, "bench", "index_peer.py"), name, self.path,
            str(self.n), self.queries, floors or self.floors, self.folder, efs, "2", *more])


def reached(curves):
    """The recall that every one of these curves gets to."""
    return min(max(point["recall"] for point in points) for points in curves)


def rate(points, recall):
    """Queries a second at a recall, which the curve reaches: between the points around it."""
    points = sorted(points, key=lambda point: point["recall"])
    for low, high in zip([None, *points], points):
        if high["recall"] < recall:
            continue
        if low is None or high["recall"] == low["recall"]:
            return 1e6 / high["mean_us"]
        part = (recall - low["recall"]) / (high["recall"] - low["recall"])
        return 1e6 / math.exp((1 - part) * math.log(low["mean_us"]) + part * math.log(high["mean_us"]))
    return 1e6 / points[-1]["mean_us"]


def speed(context, vectors, names, efs):
    """names: {row: (peer, recall)}; each peer's curve and ours in turns, read off at each recall, or at the greatest
    that both reach."""
    rows = []
    for peer in dict.fromkeys(peer for peer, _ in names.values()):
        vectors.index()
        seen = context.turns({"ours": lambda: vectors.ours(efs),
                              "peer": lambda peer=peer: vectors.peer(peer, efs)["points"]})
        for name, (of, recall) in names.items():
            if of != peer:
                continue
            at = min(recall, reached(seen["ours"]), reached(seen["peer"]))
            short = "" if at == recall else f", the most that both reach: {peer} {reached(seen['peer']):.4f}"
            rows.append(context.row(name, "queries/s", [rate(points, at) for points in seen["ours"]],
                                    [rate(points, at) for points in seen["peer"]], peer, better="more",
                                    note=f"{vectors.n} vectors, recall@10 {at:.4g}{short}",
                                    more={side: curves[0] for side, curves in seen.items()}))
    return rows


def build(context, vectors, name):
    ours = vectors.index()
    return context.row(name, "s", ours["build_s"], vectors.peer("hnswlib", "16")["build_s"], "hnswlib",
                       note=f"{vectors.n} vectors linked, processor time; ours besides saved in {ours['save_s']} s")


def memory(context, vectors, name):
    vectors.index()
    opened = opened_once(context, vectors)
    vectors.peer("hnswlib", "16")
    return context.row(name, "bytes a vector", opened["graph_bytes"], vectors.peer("hnswlib", "16").get("bytes"), "hnswlib",
                       budget=700, note="codes, links, ids and passages; exact vectors are in a mapped file apart, of which "
                       f"{opened['mapped_bytes'] / vectors.n:.0f} bytes a vector were in memory after 1,000 questions",
                       more=opened)


def opened_once(context, vectors):
    return context.json([context.build("bench_hnsw"), "open", vectors.folder, vectors.queries])


def start(context, vectors):
    """Opening and the first searches, from the disk and from the page cache."""
    vectors.index()
    path = os.path.join(vectors.folder, "index.tars")
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    cold = opened_once(context, vectors)
    warm = opened_once(context, vectors)
    return context.row("hnsw-open", "ms", warm["open_ms"], note=f"first search {warm['first_ms']:.2f} ms; from the disk: "
                       f"opened in {cold['open_ms']:.2f} ms, first search {cold['first_ms']:.2f} ms",
                       more={"cold": cold, "warm": warm})


def churn(context, vectors):
    changes = 2 * vectors.n if context.quick else 1000000
    found = context.json(context.pin() + [context.build("bench_hnsw"), "churn", vectors.path, str(vectors.n),
                                          context.folder("vectors", "churn"), str(changes), vectors.queries,
                                          vectors.floors])
    return context.row("hnsw-churn", "recall@10 after", found["recall_after"], better="more",
                       budget=found["recall_before"] - 0.005, more=found,
                       note=f"{changes} random replacements among {vectors.n}; {found['recall_before']:.4f} before, "
                       f"{found['change_us']} us a change")


def accepted(vectors, share):
    """Passages in blocks of 50 (documents), a share of them accepted; and for -share, those that are farthest from the
    questions' middle, which is what a collection of another subject looks like."""
    numpy = vectors.numpy
    if share < 0:
        found = numpy.memmap(vectors.path, dtype=numpy.float32, mode="r").reshape(-1, data.DIM)[:vectors.n]
        near = found @ numpy.fromfile(vectors.queries, dtype=numpy.float32).reshape(-1, data.DIM).mean(axis=0)
        kept = near <= numpy.quantile(near, -share)
    else:
        block = numpy.random.default_rng(3).random(vectors.n // 50 + 1)
        chosen = numpy.argsort(block)[:max(1, round(len(block) * share))]
        kept = numpy.isin(numpy.arange(vectors.n) // 50, chosen)
    path = os.path.join(vectors.folder, f"accepted-{share}.bytes")
    kept.astype(numpy.uint8).tofile(path)
    return path, kept


def filters(context, vectors, name):
    """Each share at our default setting; faiss with the least ef that reaches the same recall, up to 512. Then a row of
    the worst of them, which has the name that was asked for."""
    rows, recalls = [], {"ours": [], "peer": []}
    vectors.index()
    for share in (*SHARES, -0.1):
        path, kept = accepted(vectors, share)
        if kept.sum() < TOP:
            continue
        floors = vectors.truth(f"accepted-{share}", kept)
        ours = vectors.ours("0", path, floors=floors)[0]
        peers = vectors.peer("faiss", "16,32,64,128,256,512", path, floors=floors)["points"]
        enough = [point for point in peers if point["recall"] >= min(ours["recall"], 0.99)]
        label = f"{name}-{share * 100:g}%" if share > 0 else f"{name}-{-share * 100:g}%-far"
        rows.append(context.row(label, "us", ours["mean_us"], enough[0]["mean_us"] if enough else None,
                                "faiss" if enough else "", note=f"recall {ours['recall']:.4f}; faiss reaches "
                                f"{max(point['recall'] for point in peers):.4f}; {vectors.n} vectors",
                                more={"ours": ours, "peer": peers, "floor": FLOOR}))
        recalls["ours"].append(ours["recall"])
        recalls["peer"].append(max(point["recall"] for point in peers))
    slowest = max(rows, key=lambda row: row["ours"])
    return rows + [context.row(name, "recall@10 worst", min(recalls["ours"]), min(recalls["peer"]), "faiss",
                               better="more", budget=FLOOR, note=f"of {len(rows)} filters; the slowest, "
                               f"{slowest['name']}, took {slowest['ours']:.0f} us; {vectors.n} vectors")]


def run(names, context):
    rows, made = [], {}

    def of(large):
        if large not in made:
            made[large] = Set(context, large)
        return made[large]

    curves = {"hnsw-95": ("hnswlib", 0.95), "hnsw-99": ("hnswlib", 0.99), "hnsw-95-usearch": ("usearch", 0.95),
              "hnsw-95-faiss": ("faiss", 0.95)}
    large_curves = {"hnsw-1m": ("hnswlib", 0.95), "hnsw-1m-99": ("hnswlib", 0.99)}
    for wanted, large, efs in ((curves, False, EFS), (large_curves, True, LARGE_EFS)):
        wanted = {name: curve for name, curve in wanted.items() if name in names}
        if wanted:
            rows += speed(context, of(large), wanted, efs)
    for name, large, measure in (
            ("hnsw-build", False, build), ("hnsw-1m-build", True, build), ("hnsw-memory", False, memory),
            ("hnsw-1m-memory", True, memory), ("hnsw-filter", False, filters), ("hnsw-1m-filter", True, filters)):
        if name in names:
            found = measure(context, of(large), name)
            rows += found if isinstance(found, list) else [found]
    if "hnsw-open" in names:
        rows.append(start(context, of(False)))
    if "hnsw-churn" in names:
        rows.append(churn(context, of(False)))
    return rows
