"""Reranking beside ONNX Runtime, one core, the sides in turns: a question and 10 passages of 200 tokens.

No cross-encoder's weights are at hand, so the network is that of all-MiniLM-L6-v2, which has the shape of
ms-marco-MiniLM-L-6-v2, with a classifier of drawn numbers on top: speed does not depend on them. The peer's graphs are
those of bench/encoder_onnx.py from the same weights, given the same ten rows at once, without padding since all are of
one length; its pooler and classifier, ten rows of one product, are left out in its favour. Both sides are timed by the
processor's time.
"""
import json
import os
import random
import shutil
import struct
import sys
import time
from array import array

NAMES = ("rerank-10", "rerank-10-fp32")
PAIRS, TOKENS = 10, 216  # [CLS], 13 of the question, [SEP], 200 of the passage, [SEP]


def write_folder(source, folder):
    """The encoder's folder, and a classifier on top."""
    with open(os.path.join(source, "model.safetensors"), "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header, data = json.loads(file.read(size)), file.read()
    with open(os.path.join(source, "config.json"), encoding="utf-8") as file:
        hidden = json.load(file)["hidden_size"]
    draw = random.Random(7)
    for name, shape in (("classifier.weight", [1, hidden]), ("classifier.bias", [1])):
        count = shape[0] * shape[-1]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + 4 * count]}
        data += array("f", (draw.uniform(-0.1, 0.1) for _ in range(count))).tobytes()
    text = json.dumps(header).encode()
    for name in ("config.json", "vocab.txt", "tokenizer_config.json"):
        if os.path.exists(os.path.join(source, name)):
            shutil.copy(os.path.join(source, name), folder)
    path = os.path.join(folder, "model.safetensors")
    with open(path + ".new", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
    os.rename(path + ".new", path)


def graphs(context):
    folder = context.folder("onnx-minilm")
    if not os.path.exists(os.path.join(folder, "int8-full.onnx")):
        context.command([context.python, os.path.join(context.root, "bench", "encoder_onnx.py"), context.model, folder])
    return {"int8": os.path.join(folder, "int8-full.onnx"), "fp32": os.path.join(folder, "fp32.onnx")}


def run(names, context):
    folder, paths, rows = context.folder("cross-minilm"), graphs(context), []
    if not os.path.exists(os.path.join(folder, "model.safetensors")):
        write_folder(context.model, folder)
    program = context.build("bench_rerank")
    seconds = "0.5" if context.quick else "3"
    for name, precision in (("rerank-10", "int8"), ("rerank-10-fp32", "fp32")):
        if name not in names:
            continue
        seen = context.turns({
            "ours": lambda precision=precision: context.json([*context.pin(), program, folder, precision, seconds]),
            "peer": lambda precision=precision: context.json(
                [*context.pin(), context.python, os.path.abspath(__file__), paths[precision], seconds]),
        })
        rows.append(context.row(
            name, "ms", [turn["ms"] for turn in seen["ours"]], [turn["ms"] for turn in seen["peer"]],
            f"onnxruntime {precision}", better="less", budget=180 if precision == "int8" else None,
            note=f"{PAIRS} pairs of {TOKENS} tokens, MiniLM-L6 {precision} ({seen['ours'][0]['implementation']}), one "
                 "core, CPU time"))
    return rows


def peer(path, seconds):
    """The peer's side, a program of its own."""
    import numpy as np
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    kind = np.int32 if "int32" in session.get_inputs()[0].type else np.int64
    ids = np.random.default_rng(1).integers(1000, 29000, (PAIRS, TOKENS)).astype(kind)
    types = np.zeros_like(ids)
    types[:, 15:] = 1
    given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": types}
    for _ in range(2):
        session.run(None, given)
    took, end = [], time.process_time() + seconds
    while len(took) < 3 or time.process_time() < end:
        start = time.process_time()
        session.run(None, given)
        took.append((time.process_time() - start) * 1e3)
    took.sort()
    print(json.dumps({"ms": took[len(took) // 2], "best_ms": took[0], "rounds": len(took)}))


if __name__ == "__main__":
    peer(sys.argv[1], float(sys.argv[2]))
