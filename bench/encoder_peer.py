"""Measures bench_encoder beside ONNX Runtime, in one run on one core, and prints one JSON line.

    python3 bench/encoder_peer.py BENCH_ENCODER MODEL_FOLDER ONNX_FP32 [ONNX_INT8] [ROUNDS]

Needs onnxruntime and numpy. The graphs are exports of the same folder, with inputs input_ids,
attention_mask and token_type_ids (torch.onnx.export with dynamo=False, onnxruntime.transformers
.optimizer, onnxruntime.quantization.quantize_dynamic). The sides take turns, so that a neighbour's
load hits both; the best of the rounds counts for speed, the median of medians for waiting.
"""
import json
import os
import statistics
import subprocess
import sys
import time

import numpy as np
import onnxruntime as ort

PASSAGES, PASSAGE_TOKENS, QUERY_TOKENS = 32, 128, 16


def session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def inputs(texts, tokens):
    ids = np.random.default_rng(1).integers(1000, 29000, (texts, tokens), dtype=np.int64)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}


def peer(run, seconds=2.0):
    passages, query = inputs(PASSAGES, PASSAGE_TOKENS), inputs(1, QUERY_TOKENS)
    best, waits = 0.0, []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or not best:
        start = time.perf_counter()
        run.run(None, passages)
        best = max(best, PASSAGES * PASSAGE_TOKENS / (time.perf_counter() - start))
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(waits) < 20:
        start = time.perf_counter()
        run.run(None, query)
        waits.append((time.perf_counter() - start) * 1e3)
    return {"tokens_per_s": best, "query_p50_ms": statistics.median(waits)}


def ours(program, folder, precision):
    line = subprocess.run([program, folder, precision, "2"], capture_output=True, check=True, text=True).stdout
    return json.loads(line)


def main():
    program, folder, fp32 = sys.argv[1:4]
    int8 = sys.argv[4] if len(sys.argv) > 4 and sys.argv[4] else None
    rounds = int(sys.argv[5]) if len(sys.argv) > 5 else 3
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sessions = {"onnxruntime_fp32": session(fp32)}
    if int8:
        sessions["onnxruntime_int8"] = session(int8)
    seen = {}
    for _ in range(rounds):
        for name, run in sessions.items():
            seen.setdefault(name, []).append(peer(run))
        for precision in ("int8", "fp32"):
            seen.setdefault(f"tars_{precision}", []).append(ours(program, folder, precision))
    result = {
        name: {
            "tokens_per_s": round(max(r["tokens_per_s"] for r in runs)),
            "query_p50_ms": round(statistics.median(r["query_p50_ms"] for r in runs), 3),
        }
        for name, runs in seen.items()
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
