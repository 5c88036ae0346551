#!/usr/bin/env python3
"""How long a server takes to join others that have many passages: a copy of the leader's snapshot, and the replay of what
is newer (docs/replicas.md, "Joining").

    TARS_BIN=build/release/tars TARS_EXTRACT=build/release/tars-extract bench/join.py [--folder DIR] [--turns N] [--behind N] [--replay] [--json FILE]

DIR is what bench/fill makes (tars.db, index/index.tars). Its rows go into a PostgreSQL of our own as they are, by COPY, and
its index is the leader's. Each turn a server with an empty folder joins: seconds until it answers /ready with 200, until
the texts are beside it, its processor time by then, and the load of the machine. --behind has so many documents put before,
that are not in the snapshot. --replay has each turn followed by one without the snapshot: all is read from the store.
"""
import argparse
import contextlib
import glob
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

TESTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests")
sys.path[:0] = [os.path.join(TESTS, "support"), os.path.join(TESTS, "http")]
from postgres import Postgres  # noqa: E402
from replicas import Server  # noqa: E402

TABLES = (("documents", "id"), ("passages", "id"), ("passage_vectors", "passage_id"), ("changes", "seq"))
ROWS_AT_ONCE = 500
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
WAIT_S = 600
READY_MOST_S = 30  # at a million, warm


def escaped(value):
    if isinstance(value, bytes):
        return "\\\\x" + value.hex()
    return value.translate(ESCAPES) if isinstance(value, str) else str(value)


def load(postgres, path):
    """The rows of the file at path into the tables, which are empty."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
        (documents,), = file.execute("SELECT count(*) FROM documents")
        (passages,), = file.execute("SELECT count(*) FROM passages")
        meta = file.execute("SELECT key, value FROM meta WHERE key LIKE 'embed.%'").fetchall()
        ((collection, name),) = file.execute("SELECT collection, path FROM files")
        postgres.query(f"INSERT INTO tars.files (id, collection, path, sha256, size, indexed_us) VALUES (1, '{collection}', "
                       f"'{name}', 'made', 1, 1)")
        for table, key in TABLES:
            copy = subprocess.Popen([os.path.join(postgres.bin, "psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-h",
                                     postgres.dir, "-p", str(postgres.port), "-U", "postgres", postgres.database,
                                     "-c", "SET session_replication_role = replica", "-c", f"COPY tars.{table} FROM STDIN"],
                                    stdin=subprocess.PIPE, text=True, bufsize=1 << 20)
            rows = file.execute(f"SELECT * FROM {table} ORDER BY {key}")
            while some := rows.fetchmany(ROWS_AT_ONCE):
                copy.stdin.write("".join("\t".join(map(escaped, row)) + "\n" for row in some))
            copy.stdin.close()
            if copy.wait() != 0:
                raise RuntimeError(f"cannot fill {table}")
        (seq,), = file.execute("SELECT max(seq) FROM changes")
        (last,), = file.execute("SELECT max(id) FROM passages")
    for key, value in meta:
        postgres.query(f"INSERT INTO tars.meta (key, value) VALUES ('{key}', '{value}') ON CONFLICT (key) DO UPDATE "
                       "SET value = EXCLUDED.value")
    postgres.query(f"UPDATE tars.counters SET seq = {seq}, passage = {last};"
                   "SELECT setval(pg_get_serial_sequence('tars.documents', 'id'), max(id)) FROM tars.documents;"
                   "SELECT setval(pg_get_serial_sequence('tars.files', 'id'), 1);"
                   "INSERT INTO tars.collection_sizes (key, files, documents, passages, bytes, last_indexed_us) VALUES "
                   f"('{collection}', 1, {documents}, {passages}, 1, 1) ON CONFLICT (key) DO UPDATE SET files = 1, "
                   f"documents = {documents}, passages = {passages}; ANALYZE")
    return documents, passages


def wait_for(what, is_there):
    began = time.monotonic()
    while not is_there():
        if time.monotonic() - began > WAIT_S:
            raise RuntimeError(f"waited in vain for {what}")
        time.sleep(0.1)
    return time.monotonic() - began


def processor_s(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def join(shared, documents):
    """One server that joins, and goes."""
    began = time.monotonic()
    new = Server(shared)
    try:
        wait_for("/ready", lambda: new.ask("GET", "/ready").status == 200)
        turn = {"ready_s": round(time.monotonic() - began, 2), "processor_s": processor_s(new.process.pid)}
        turn["copied"] = any("begins with the shared snapshot" in line for line in new.lines)
        wait_for("the texts", lambda: new.texts() >= documents)
        turn["texts_s"] = round(time.monotonic() - began, 2)
        mark, = glob.glob(os.path.join(new.data, "index-*"))
        wait_for("the disk", lambda: not os.path.exists(os.path.join(mark, "unsynced")))
        turn["disk_s"] = round(time.monotonic() - began, 2)
        turn["load"] = round(os.getloadavg()[0], 1)
        new.stop()
    finally:
        new.close()
    return turn


def put_more(leader, postgres, count):
    """Documents behind the snapshot."""
    lines = "".join(json.dumps({"id": str(i), "text": f"Note {i}: the tides of month {i} are higher."}) + "\n"
                    for i in range(count))
    leader.upload([("behind.jsonl", lines.encode())])
    wait_for("more documents", lambda: postgres.query("SELECT count(*) FROM tars.files WHERE path LIKE '%behind.jsonl' "
                                                      "AND indexed_us > 0") == [["1"]])


def measure(options, postgres, folder):
    shared = {**postgres.environment(), "STORE": "postgres", "STORE_SHARED": "true", "SNAPSHOT_DIR": folder,
              "JWT_SECRET_KEY": "of-a-measurement-and-of-nothing-else"}
    leader = Server(shared)  # it makes the tables
    try:
        leader.stop()
        documents, passages = load(postgres, os.path.join(options.folder, "tars.db"))
        place, = glob.glob(os.path.join(leader.data, "index-*"))
        shutil.copyfile(os.path.join(options.folder, "index", "index.tars"), os.path.join(place, "index.tars"))
        leader.start()
        wait_for("a shared snapshot", lambda: glob.glob(folder + "/index-*/index.tars"))
        path, = glob.glob(folder + "/index-*/index.tars")
        result = {"passages": passages, "snapshot_bytes": os.path.getsize(path), "behind": options.behind, "turns": [],
                  "replays": []}
        if options.behind:
            leader.token = leader.sign_in("somebody")
            put_more(leader, postgres, options.behind)
        alone = {**shared, "SNAPSHOT_DIR": ""}
        for _ in range(options.turns):
            result["turns"].append(join(shared, documents + options.behind))
            print(json.dumps(result["turns"][-1]), flush=True)
            if options.replay:
                result["replays"].append(join(alone, documents + options.behind))
                print(json.dumps(result["replays"][-1]), flush=True)
        leader.stop()
    finally:
        leader.close()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default=os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")),
                                                         "tars", "bench", "fill-100000"))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--behind", type=int, default=0)
    parser.add_argument("--replay", action="store_true")
    parser.add_argument("--json")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="tars-join-")
    try:
        with Postgres(settings={"shared_buffers": "512MB", "max_wal_size": "2GB"}) as postgres:
            result = measure(options, postgres, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
    worst = max(turn["ready_s"] for turn in result["turns"])
    print(f"{result['passages']} passages, {result['snapshot_bytes']} bytes, {result['behind']} documents behind: "
          f"ready in at most {worst} s")
    return 0 if worst <= READY_MOST_S and all(turn["copied"] for turn in result["turns"]) else 1


if __name__ == "__main__":
    sys.exit(main())
