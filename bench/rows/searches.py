"""Searches as a whole, over HTTP, beside the same from Python's parts (bench/peer_pipeline.py), in turns.

The collection is made by bench/fill of the passages of five judged sets: windows of their texts, their vectors with
noise. It is kept in the cache, with the indexes of both sides; making that of a million takes an hour on two cores, so
it is done only when search-1m is asked for by name.
"""
import glob
import json
import os
import random

from bench import serving
from bench.context import Failed

SIZES = {"search-10k": 10_000, "search-100k": 100_000, "search-1m": 1_000_000}
PARTS = ("", "-p95", "-cpu", "-16", "-memory", "-start")
NAMES = tuple(size + part for size in ("search-10k", "search-100k", "search-1m") for part in PARTS)
ON_REQUEST = tuple(name for name in NAMES if name.startswith("search-1m"))
SETS = ("squad", "cranfield", "cacm", "hotpotqa", "adi")
TOP_K, STARTS = 10, 5
BUDGETS = {"search-100k-p95": 3.0, "search-100k-16": 800.0, "search-100k-start": 300.0}


def sources(context):
    """Data folders of the judged sets, taken in once."""
    for name in SETS:
        folder = context.folder("stores", name)
        if os.path.exists(os.path.join(folder, "bench-done")) or glob.glob(os.path.join(folder, "index", "*.tars")):
            yield folder
            continue
        context.command([context.tars(), "eval", context.judged(name), "--data", folder, "--limit", "1"],
                        env=serving.environment())
        with open(os.path.join(folder, "bench-done"), "w", encoding="ascii"):
            pass
        yield folder


def collection(context, size):
    """Data folder of size passages."""
    folder = os.path.join(context.cache, f"fill-{size}")
    if os.path.exists(os.path.join(folder, "bench-done")):
        return folder
    os.makedirs(folder, exist_ok=True)
    context.command([context.build("bench_fill"), folder, size, *sources(context)])
    with open(os.path.join(folder, "bench-done"), "w", encoding="ascii"):
        pass
    return folder


def is_ready(name, context):
    return os.path.exists(os.path.join(context.cache, "fill-1000000", "bench-done"))


def questions(context):
    found = []
    for name in ("squad", "cranfield", "hotpotqa", "cacm"):
        with open(os.path.join(context.judged(name), "queries.jsonl"), encoding="utf-8") as file:
            found += [json.loads(line)["text"] for line in file]
    found = sorted(set(found))
    random.Random(5).shuffle(found)
    return found


def graph(context):
    """The encoder as ONNX: int8 with all bits where the processor has VNNI, else with seven."""
    from bench.context import processor
    folder = os.path.join(context.cache, "onnx-minilm")
    name = "int8-full.onnx" if "avx512_vnni" in processor()["can"] else "int8.onnx"
    if not os.path.exists(os.path.join(folder, name)):
        context.command([context.python, "-B", "bench/encoder_onnx.py", context.model, folder])
    return os.path.join(folder, name)


def pipeline_environment(context, data=""):
    return serving.environment(PIPELINE_DATA=data, PIPELINE_MODEL=graph(context), PYTHONDONTWRITEBYTECODE="1",
                               PIPELINE_TOKENIZER=os.path.join(context.model, "tokenizer.json"), OMP_NUM_THREADS="1",
                               PYTHONPATH=context.root)


def open_pipeline(context, data, workers=1):
    port = serving.free_port()
    command = [context.python, "-m", "uvicorn", "bench.peer_pipeline:app", "--port", str(port), "--workers",
               str(workers), "--no-access-log", "--log-level", "error", "--loop", "uvloop", "--http", "httptools",
               "--timeout-worker-healthcheck", "120"]  # a busy machine's worker is not dead
    return serving.Serving("pipeline", command, port, pipeline_environment(context, data), context.root)


def starts(open_one, times):
    """(milliseconds to ready, resident megabytes then) of several starts."""
    ready, resident = [], []
    for _ in range(times):
        with open_one() as server:
            ready.append(server.start_ms)
            resident.append(server.resident_mb())
    return ready, resident


class Questions:
    """Handed out in order, none twice."""

    def __init__(self, texts):
        self.texts, self.at = texts, 0

    def take(self, count):
        if self.at + count > len(self.texts):  # asked before, but pushed out of both sides' caches by settings
            self.at = 0
        some = self.texts[self.at:self.at + count]
        self.at += count
        return some


def measure(context, size):
    data = collection(context, SIZES[size])
    # Opening it builds the index where there is none of this version, and keeps it.
    context.command([context.tars(), "status", "--data", data], env=serving.environment(LLM_BACKEND="extract"))
    context.command([context.python, "-B", "-m", "bench.peer_pipeline", "--build"],
                    env=pipeline_environment(context, data))
    texts, count, seconds = questions(context), 60 if context.quick else 200, 6 if context.quick else 12
    mine, theirs = Questions(texts), Questions(texts)
    begun = {"tars": starts(lambda: serving.open_tars(context, data), 1 if context.quick else STARTS),
             "pipeline": starts(lambda: open_pipeline(context, data), 1)}
    with serving.open_tars(context, data, CACHE_MEMORY_MB="0") as ours, open_pipeline(context, data) as one, \
            open_pipeline(context, data, 2) as two:
        for server in (ours, one, two):
            serving.load(server, mine.take(20), 1, seconds)  # first touches of mapped pages are another matter
        alone = context.turns({"ours": lambda: serving.load(ours, mine.take(count), 1, seconds, TOP_K),
                               "peer": lambda: serving.load(one, theirs.take(count), 1, seconds, TOP_K)})
        many = context.turns({"ours": lambda: serving.load(ours, mine.take(2 * count), 16, seconds, TOP_K),
                              "peer": lambda: serving.load(two, theirs.take(2 * count), 16, seconds, TOP_K)})
        resident = {"ours": ours.resident_mb(), "peer": one.resident_mb()}
    by_cores = []
    for cores in range(1, len(os.sched_getaffinity(0)) + 1):
        with serving.open_tars(context, data, cores, CACHE_MEMORY_MB="0") as server:
            serving.load(server, mine.take(20), 1, seconds)
            by_cores.append([cores, serving.load(server, mine.take(2 * count), 16, seconds, TOP_K)["per_s"]])
    return {"alone": alone, "many": many, "begun": begun, "resident": resident, "cores": by_cores}


def column(runs, key):
    return {side: [run[key] for run in some] for side, some in runs.items()}


def rows(context, size, seen):
    peer = "ONNX Runtime int8 + hnswlib + bm25s, FastAPI"
    alone, many = seen["alone"], seen["many"]
    sizes, clients = column(alone, "bytes"), column(alone, "client_cpu_ms")
    about = (f"{SIZES[size]:,} passages, top_k {TOP_K}, each question once, no cache; replies of {sizes['ours'][0]:,} "
             f"and {sizes['peer'][0]:,} bytes; the client took {clients['ours'][0]:.2f} ms of CPU a question")
    crowd = column(many, "client_cpu_ms")

    def row(part, unit, ours, theirs, **more):
        return context.row(size + part, unit, ours, theirs, peer, budget=BUDGETS.get(size + part), **more)

    p50, p95, cpu = (column(alone, key) for key in ("p50_ms", "p95_ms", "cpu_ms"))
    rate = column(many, "per_s")
    ready, resident = seen["begun"]["tars"]
    return [
        row("", "ms", p50["ours"], p50["peer"], note="P50, one client; " + about),
        row("-p95", "ms", p95["ours"], p95["peer"], note="P95, one client; " + about),
        row("-cpu", "ms CPU", cpu["ours"], cpu["peer"], note="CPU time of the server a question, one client"),
        row("-16", "searches/s", rate["ours"], rate["peer"], better="more",
            more={"plot": {"title": f"16 clients, {SIZES[size]:,} passages", "x": "cores of the server", "y": "searches/s",
                           "series": {"ours": seen["cores"]}}},
            note=f"16 clients on the same cores, {crowd['ours'][0]:.2f} ms of CPU a question for them; the peer has two "
                 f"worker processes"),
        row("-memory", "MB", seen["resident"]["ours"], seen["resident"]["peer"],
            note=f"resident, after the searches above; at rest {resident[0]:.0f} and "
                 f"{seen['begun']['pipeline'][1][0]:.0f} MB; the peer with one worker"),
        row("-start", "ms", ready, seen["begun"]["pipeline"][0], note="from the start of the program to ready"),
    ]


def run(names, context):
    made = []
    for size in SIZES:
        if any(name == size or name.startswith(size + "-") for name in names):
            made += [row for row in rows(context, size, measure(context, size)) if row["name"] in names]
    return made
