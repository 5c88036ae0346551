"""Passages a second from a file to searchable, beside ONNX Runtime, hnswlib and bm25s in Python, in turns."""
import gzip
import json
import os
import shutil
import tempfile
import time

from bench import serving
from bench.rows import searches

NAMES = ("ingest", "ingest-cpu")
WORDS = 112  # about 150 word pieces


def passages(context, count):
    """Texts of the judged sets, cut to the same length."""
    path = os.path.join(context.judged("squad"), "corpus.jsonl.gz")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        words = [word for line in file for word in json.loads(line)["text"].split()]
    return [" ".join(words[at:at + WORDS]) for at in range(0, count * WORDS, WORDS)]


def ours(context, path, count):
    data = tempfile.mkdtemp(prefix="tars-bench-")
    try:
        before, start = os.times(), time.perf_counter()
        context.command([context.tars(), "ingest", path, "--data", data, "--json"],
                        env=serving.environment(LLM_BACKEND="extract"), cwd=data)
        seconds, after = time.perf_counter() - start, os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        return {"per_s": count / seconds, "cpu_ms": cpu / count * 1e3}
    finally:
        shutil.rmtree(data, ignore_errors=True)


def peer(context, path, count):
    seen = context.json([context.python, "-B", "-m", "bench.peer_pipeline", "--ingest", path],
                        env=searches.pipeline_environment(context))
    return {"per_s": count / seen["seconds"], "cpu_ms": seen["cpu_s"] / count * 1e3}


def run(names, context):
    count = 60 if context.quick else 300
    with tempfile.TemporaryDirectory(prefix="tars-bench-") as folder:
        path = os.path.join(folder, "corpus.jsonl")
        with open(path, "w", encoding="utf-8") as file:
            for number, text in enumerate(passages(context, count)):
                file.write(json.dumps({"_id": str(number), "text": text}) + "\n")
        seen = context.turns({"ours": lambda: ours(context, path, count), "peer": lambda: peer(context, path, count)})
    name = "ONNX Runtime int8 + hnswlib + bm25s"
    note = f"{count} passages of {WORDS} words (about 150 word pieces), all cores"
    made = [context.row("ingest", "passages/s", [one["per_s"] for one in seen["ours"]],
                        [one["per_s"] for one in seen["peer"]], name, better="more", budget=150,
                        note=note + "; ours on disk and acknowledged, start of the program included; the peer's in "
                        "memory, its imports left out"),
            context.row("ingest-cpu", "ms CPU", [one["cpu_ms"] for one in seen["ours"]],
                        [one["cpu_ms"] for one in seen["peer"]], name, note="CPU time a passage; " + note)]
    return [row for row in made if row["name"] in names]
