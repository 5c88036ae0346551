"""The encoder beside ONNX Runtime, one core, the sides in turns: passages of 128 tokens and a question of 16.

The peer's graphs are those of bench/encoder_onnx.py, from the same weights: fused, float32 and dynamic int8. Of the two
int8 graphs the one with all 8 bits is taken, which is right on processors with VNNI and the peer's default elsewhere.
Both sides are timed by the processor's time. encoder-threads is of ours alone, by the clock: the same passages with a
thread for each of two cores, beside one thread.
"""
import os

NAMES = ("encoder-128", "query-16", "encoder-128-fp32", "encoder-threads")


def graphs(context):
    folder = context.folder("onnx-minilm")
    if not os.path.exists(os.path.join(folder, "int8-full.onnx")):
        context.command([context.python, os.path.join(context.root, "bench", "encoder_onnx.py"), context.model, folder])
    return {"int8": os.path.join(folder, "int8-full.onnx"), "fp32": os.path.join(folder, "fp32.onnx")}


def measure(context, precision, paths):
    """What the rounds of both sides gave, and the products alone of ours."""
    seconds = "0.5" if context.quick else "1.5"
    program = context.build("bench_encoder")
    products = context.build("bench_encoder_products")
    peer = os.path.join(context.root, "bench", "encoder_peer.py")
    environment = dict(os.environ, TARS_BENCH_CACHE=context.cache)
    return context.turns({
        "ours": lambda: context.json([*context.pin(), program, context.model, precision, seconds], env=environment),
        "peer": lambda: context.json([*context.pin(), context.python, peer, paths[precision], seconds]),
        "products": lambda: context.json([*context.pin(), products, precision, "384", "1536", "6", "0.3"]),
    })


def run(names, context):
    paths, rows = graphs(context), []
    if {"encoder-128", "query-16"} & set(names):
        seen = measure(context, "int8", paths)

        def of(side, key):
            return [turn[key] for turn in seen[side]]

        by = seen["ours"][0]["implementation"]
        alone = max(of("products", "tokens_per_s"))
        if "encoder-128" in names:
            share = max(of("ours", "tokens_per_s")) / alone
            rows.append(context.row(
                "encoder-128", "tokens/s", of("ours", "tokens_per_s"), of("peer", "tokens_per_s"), "onnxruntime int8",
                better="more", budget=14500,
                note=f"MiniLM-L6 int8 ({by}), one core, CPU time; products alone {alone:.0f} tokens/s, of which {share:.0%}"))
        if "query-16" in names:
            least = min(of("products", "query_ms"))
            share = least / min(of("ours", "query_p50_ms"))
            rows.append(context.row(
                "query-16", "ms", of("ours", "query_p50_ms"), of("peer", "query_p50_ms"), "onnxruntime int8",
                better="less", budget=1.2,
                note=f"MiniLM-L6 int8 ({by}), one core, CPU time; products alone {least:.2f} ms, which is {share:.0%}"))
    if "encoder-128-fp32" in names:
        seen = measure(context, "fp32", paths)
        rows.append(context.row(
            "encoder-128-fp32", "tokens/s", [t["tokens_per_s"] for t in seen["ours"]],
            [t["tokens_per_s"] for t in seen["peer"]], "onnxruntime fp32", better="more",
            note="MiniLM-L6 float32, one core, CPU time"))
    if "encoder-threads" in names:
        rows.append(threads(context))
    return rows


def threads(context):
    seconds, program = "0.5" if context.quick else "1.5", context.build("bench_encoder")
    environment = dict(os.environ, TARS_BENCH_CACHE=context.cache)

    def side(count):
        seen = context.json([program, context.model, "int8", seconds, str(count)], env=environment)
        return seen["wall_tokens_per_s"]

    seen = context.turns({"ours": lambda: side(2), "peer": lambda: side(1)})
    return context.row("encoder-threads", "tokens/s", seen["ours"], seen["peer"], "one thread", better="more",
                       note="MiniLM-L6 int8, passages of 128 tokens with two threads, by the clock: other work on the "
                            "machine counts")
