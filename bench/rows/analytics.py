"""The log of questions in PostgreSQL, beside SQLAlchemy 2 and psycopg2 (bench/analytics_peer.py), on one server that is
started for it, with fsync on. A row is a row of any table: a question with five sources is six.

Ours is asked through the sink: what the writer's thread does with a batch, and what a request for statistics asks.
A request waits for none of the writing: what it pays is analytics-row-cost, of which the peer's is the CPU of the
caller's thread for a session's add and commit.
"""
import glob
import hashlib
import json
import os
import shutil
import tempfile
import time

from bench.context import median

NAMES = ("analytics-insert", "analytics-batch", "analytics-rows", "analytics-read", "analytics-1k", "analytics-1m",
         "analytics-row-cost")
SOURCES = 5
TABLES = 1 + SOURCES  # rows of a question
PEER = "SQLAlchemy + psycopg2"


def measured(cluster, call, rows):
    """Rows a second, and microseconds of CPU a row: of both ends together, and of the server's alone."""
    before = cluster.cpu_s()
    took = call()
    server = cluster.cpu_s() - before
    return {"rate": rows / took["wall_s"], "cpu_us": (server + took["cpu_s"]) / rows * 1e6,
            "server_us": server / rows * 1e6}


def many(call, count):
    """Sums of the peer's times of several transactions."""
    parts = [call() for _ in range(count)]
    return {key: sum(part[key] for part in parts) for key in ("wall_s", "cpu_s")}


def column(rounds, key):
    return [one[key] for one in rounds]


def one_by_one(cluster, ours, peer, context):
    """A question, a transaction: median of a round's, ms."""
    count = 20 if context.quick else 100

    def their_turn():
        return median([peer.add(1)["wall_s"] * 1e3 for _ in range(count)])

    seen = context.turns({"ours": lambda: ours(f"write {count} {SOURCES} 1")["p50_ms"], "peer": their_turn})
    return context.row("analytics-insert", "ms", seen["ours"], seen["peer"], PEER,
                       note="a question with 5 sources and its commit; a request does not wait for it")


def hundreds(cluster, ours, peer, context):
    count = 2 if context.quick else 10

    def their_turn():
        return median([peer.add(100)["wall_s"] * 1e3 for _ in range(count)])

    seen = context.turns({"ours": lambda: ours(f"write {100 * count} {SOURCES} 100")["p50_ms"], "peer": their_turn})
    return context.row("analytics-batch", "ms", seen["ours"], seen["peer"], PEER,
                       note="100 questions with 5 sources, 600 rows, and their commit")


def sustained(cluster, ours, peer, context):
    questions = 2048 if context.quick else 16384
    fewer = 1000 if context.quick else 3000

    def write(side, with_sources=SOURCES):
        rows = questions * (1 + with_sources)
        return lambda: measured(cluster, lambda: side(f"write {questions} {with_sources} 2048"), rows)

    from bench.analytics_peer import Ours
    in_months = Ours(cluster, ours.process.args[0], "months", partition=True)
    try:
        seen = context.turns({
            "ours": write(ours), "alone": write(ours, 0), "months": write(in_months),
            "peer": lambda: measured(cluster, lambda: many(lambda: peer.insert(1000), fewer // 1000), fewer * TABLES),
            "objects": lambda: measured(cluster, lambda: many(lambda: peer.add(1000), fewer // 1000), fewer * TABLES)})
    finally:
        in_months.close()
    more = {side: {key: round(median(column(seen[side], key)), 1) for key in ("rate", "cpu_us", "server_us")}
            for side in seen}
    more["questions_per_s"] = {"ours": round(more["ours"]["rate"] / TABLES), "alone": round(more["alone"]["rate"])}
    cpu = {side: more[side]["cpu_us"] for side in ("ours", "peer")}
    return context.row(
        "analytics-rows", "rows/s", column(seen["ours"], "rate"), column(seen["peer"], "rate"), PEER, better="more",
        budget=20000, more=more,
        note=f"rows of all tables; questions with 5 sources in batches of 2,048, the peer's inserts of many values in "
             f"1,000; CPU of client and server {cpu['ours']:.0f} us a row, the peer's {cpu['peer']:.0f} us")


def asked(ours, peer, context, line, call, count, rounds=None):
    """Medians of a round's questions, ms."""
    return context.turns({"ours": lambda: median([ours(line)["wall_s"] * 1e3 for _ in range(count)]),
                          "peer": lambda: median([call()["wall_s"] * 1e3 for _ in range(count)])}, rounds)


def of_many_days(program, questions, days, folder):
    """Make a server's data: questions of many days, once each with a source, and their sums."""
    from bench.analytics_peer import Cluster, Ours
    with Cluster() as cluster:
        ours = Ours(cluster, program, "sums")
        began = time.time()
        ours(f"write {questions} 1 2048 {days}")
        rolled = ours("rollup")
        ours.close()
        cluster.query("VACUUM ANALYZE query_logs, document_accesses", "sums")
        cluster.keep(os.path.join(folder, "data"))
    made = {"began_s": began, "spans": rolled["spans"], "rollup_s": rolled["wall_s"]}
    with open(os.path.join(folder, "made.json"), "w", encoding="ascii") as file:
        json.dump(made, file)


def kept(context, program, questions, days):
    """The folder of such data: of an earlier run where the tables and the questions are still the same."""
    digest = hashlib.sha256()
    for path in sorted(glob.glob(os.path.join(context.root, "migrations", "postgres_analytics", "*.sql"))) + [
            os.path.join(context.root, "bench", "analytics_postgres.c")]:
        with open(path, "rb") as file:
            digest.update(file.read())
    folder = context.folder(f"analytics-{questions}-{days}-{digest.hexdigest()[:12]}")
    if not os.path.exists(os.path.join(folder, "made.json")):
        shutil.rmtree(folder)
        os.mkdir(folder)
        of_many_days(program, questions, days, folder)
    return folder


def statistics(names, program, context):
    """What both sides read from the same tables."""
    from bench.analytics_peer import Cluster
    questions, days = (5000, 5) if context.quick else (1000000, 100)
    folder = kept(context, program, questions, days)
    with open(os.path.join(folder, "made.json"), encoding="ascii") as file:
        rolled = json.load(file)
    with Cluster(copy_of=os.path.join(folder, "data")) as cluster:
        recent_s = round(time.time() - rolled["began_s"] + days * 86400 * 1000 / questions)
        return read(names, cluster, program, context, recent_s,
                    f"{questions:,} questions of {days} days, from sums; {rolled['spans']} of them made in "
                    f"{rolled['rollup_s']:.0f} s")


def read(names, cluster, program, context, recent_s, what):
    from bench.analytics_peer import Ours, Peer
    ours = Ours(cluster, program, "sums", make=False)
    peer = Peer(cluster, "sums", make=False)
    made = []
    try:
        ours("rollup")  # of the hours that were not over when the data were made
        if "analytics-read" in names:
            seen = asked(ours, peer, context, "recent", peer.recent, 100)
            made.append(context.row("analytics-read", "ms", seen["ours"], seen["peer"], PEER,
                                    note="the 10 newest of " + what.split(" of ", 1)[0]))
        if "analytics-1k" in names:
            seen = asked(ours, peer, context, f"stats {recent_s}", lambda: peer.stats(recent_s), 50)
            made.append(context.row("analytics-1k", "ms", seen["ours"], seen["peer"], PEER,
                                    note="query-stats of the last 1,000 questions"))
        if "analytics-1m" in names:
            seen = asked(ours, peer, context, "stats", peer.stats, 1)
            more = {}
            for name, call in (("popular", peer.popular), ("patterns", peer.words)):
                both = asked(ours, peer, context, name, call, 1, rounds=1)
                more[name] = {side: round(median(both[side]), 1) for side in both}
            made.append(context.row("analytics-1m", "ms", seen["ours"], seen["peer"], PEER, more=more,
                                    note="query-stats of " + what))
    finally:
        peer.close()
        ours.close()
    return made


def row_cost(peer, context):
    program = context.build("bench_analytics")

    def our_turn():
        with tempfile.TemporaryDirectory(prefix="tars-bench-") as folder:
            return context.json([program, folder, "2000"])["cold_us"]

    seen = context.turns({"ours": our_turn,
                          "peer": lambda: median([peer.add(1)["cpu_s"] * 1e6 for _ in range(100)])})
    return context.row("analytics-row-cost", "us", seen["ours"], seen["peer"], PEER, budget=5,
                       note="CPU of the caller's thread for a question with 5 sources, after 5 ms of other work")


def run(names, context):
    from bench.analytics_peer import Cluster, Ours, Peer
    program = context.build("bench_analytics_postgres")
    made = []
    if {"analytics-insert", "analytics-batch", "analytics-rows", "analytics-row-cost"} & set(names):
        with Cluster() as cluster:
            ours, peer = Ours(cluster, program, "ours"), Peer(cluster, "peer")
            try:
                for name, measure in (("analytics-insert", one_by_one), ("analytics-batch", hundreds),
                                      ("analytics-rows", sustained)):
                    if name in names:
                        made.append(measure(cluster, ours, peer, context))
                if "analytics-row-cost" in names:
                    made.append(row_cost(peer, context))
            finally:
                ours.close()
                peer.close()
    if {"analytics-read", "analytics-1k", "analytics-1m"} & set(names):
        made += statistics(names, program, context)
    return made
