"""The peer of bench_encoder: ONNX Runtime on a graph of bench/encoder_onnx.py, one thread; prints one JSON line.

    python3 bench/encoder_peer.py MODEL.onnx [SECONDS]

Times are of the processor, as bench_encoder's are: the best repetition counts for passages, the median for questions.
Needs onnxruntime and numpy. bench/rows/encoder.py runs both sides in turns.
"""
import json
import statistics
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
    ids = np.random.default_rng(1).integers(1000, 29000, (texts, tokens), dtype=np.int32)
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}


def took(run, feed):
    start = time.process_time()
    run.run(None, feed)
    return time.process_time() - start


def main():
    run = session(sys.argv[1])
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 2.0
    passages, query = inputs(PASSAGES, PASSAGE_TOKENS), inputs(1, QUERY_TOKENS)
    best, waits, spent = 0.0, [], 0.0
    while spent < seconds:
        once = took(run, passages)
        spent += once
        best = max(best, PASSAGES * PASSAGE_TOKENS / once)
    spent = 0.0
    while spent < seconds / 2 or len(waits) < 20:
        waits.append(took(run, query) * 1e3)
        spent += waits[-1] / 1e3
    print(json.dumps({"tokens_per_s": round(best), "query_p50_ms": round(statistics.median(waits), 3),
                      "query_best_ms": round(min(waits), 3)}))


if __name__ == "__main__":
    main()
