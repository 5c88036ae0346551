"""The cache in Redis beside Python's client, on one redis-server (bench/redis_peer.py has the sides take turns)."""
NAMES = ("redis-vector", "redis-result", "redis-vector-16", "redis-set")
KEYS = {"redis-vector": ("get_vector_p50", "us"), "redis-result": ("get_14kB_p50", "us"),
        "redis-vector-16": ("get_vector_16", "/s"), "redis-set": ("set_vectors", "/s")}


def run(names, context):
    seen = context.json([context.python, "-B", "bench/redis_peer.py", context.build("bench_redis"),
                         "500" if context.quick else "3000", "--json"])
    made = []
    for name in names:
        key, unit = KEYS[name]
        made.append(context.row(name, unit, seen["ours"][key], seen["peer"][key], "redis for Python",
                                better="more" if unit == "/s" else "less", note="best of three rounds, in turns"))
    return made
