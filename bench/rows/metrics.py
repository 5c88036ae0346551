"""Counting and telling beside Python's prometheus-client (bench/metrics_peer.py has the sides take turns)."""
NAMES = ("metrics-counter", "metrics-histogram", "metrics-export")
KEYS = {"metrics-counter": ("counter", "ns", 10), "metrics-histogram": ("histogram", "ns", 30),
        "metrics-export": ("export_text", "us", 1000)}


def run(names, context):
    seen = context.json([context.python, "-B", "bench/metrics_peer.py", context.build("bench_metrics"), "--json",
                         "--rounds", str(context.rounds)])
    made = []
    for name in names:
        key, unit, budget = KEYS[name]
        made.append(context.row(name, unit, seen["ours"][key], seen["peer"][key], "prometheus-client", budget=budget,
                                note=f"best of {context.rounds} rounds, in turns"))
    return made
