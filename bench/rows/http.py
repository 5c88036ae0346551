"""Requests a second of /health and of a search from the cache, beside nginx and FastAPI (bench/http_peers.py)."""
NAMES = ("http-health", "http-health-nginx", "search-cached")


def run(names, context):
    seen = context.json([context.python, "-B", "bench/http_peers.py", context.tars(), "--json", "--rounds",
                         str(context.rounds), "--seconds", "1" if context.quick else "3"])
    rates = {(row["side"], row["path"]): row for row in seen["rows"]}
    sides = {"http-health": ("/health", "fastapi", "FastAPI on uvicorn", None),
             "http-health-nginx": ("/health", "nginx", "nginx, return 200", None),
             "search-cached": ("/rag/search", "fastapi", "FastAPI on uvicorn, from a dict", 20_000)}
    made = []
    for name in names:
        path, peer, peer_name, budget = sides[name]
        ours, theirs = rates["tars", path], rates[peer, path]
        made.append(context.row(name, "requests/s", ours["per_second"], theirs["per_second"], peer_name, better="more",
                                budget=budget, note=f"32 connections, two workers each, the client on the same cores; "
                                f"CPU {ours['cpu_us']} and {theirs['cpu_us']} us a request; best of {context.rounds}"))
    return made
