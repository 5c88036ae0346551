#!/usr/bin/env python3
"""Disasters of a store in PostgreSQL, drilled with a real server: dumps, archives, and a history that goes back.

Documents, accounts and conversations are in PostgreSQL (STORE=postgres), the index is in the data folder. Drilled is

  1. a dump (pg_dump --schema=tars) under load, restored into another server, a new data folder with the old keys:
     what was acknowledged before the dump began is there once, tokens are good, the index is built again;
  2. a lost disk: base backup and archived write-ahead log, recovered to the end of the archive;
  3. a mistake: documents are removed; recovered to just before it by time. The server is started on its old data
     folder, whose index is ahead of the database: what was removed is found, what came after is not;
  4. the same, but others wrote first, so that numbers of changes have passed the old index, with other documents
     behind them: the index of a history that is gone is not taken for one of this;
  5. an index that knows less than the database, as after a crash, is not built again but brought along;
  6. servers that share the store (STORE_SHARED) keep a copy of texts beside the index: one that was killed, and whose
     database went back and was written by another, answers with what is there now;
  7. the database goes back under a server that runs: it says so, writes nothing, and is right after a start.

It prints the recovery point (age of what is lost) and the recovery time (from the start of the restore to the first
right answer) of each. usage: pitr_drill.py [--tars PROGRAM] [--full]
--full writes for longer. Ends in "N passed, M failed".
"""
import argparse
import contextlib
import glob
import http.client
import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
from backup_drill import DEADLINE_S, FILLER, Failure, Server, expect, word  # noqa: E402
from postgres import BIN, USER, Postgres, unprivileged  # noqa: E402

DATABASE = "tars"


class Store:
    """A server of ours on a database, and what it acknowledged."""

    def __init__(self, drill, postgres, data):
        self.server = Server(drill.args.tars, data, drill.log)
        self.server.environment.update(postgres.environment(POSTGRES_ENABLED="false"), STORE="postgres",
                                       START_WAIT_SECONDS="60", JWT_SECRET_KEY="")
        del self.server.environment["JWT_SECRET_KEY"]
        self.server.environment["LOG_LEVEL"] = "INFO"
        self.token = None

    def start(self):
        self.server.start()
        if not self.token:
            self.token = self.server.json("POST", "/auth/token", {"client_id": "drill"})["access_token"]

    def stop(self, how=signal.SIGTERM):
        self.server.stop(how)

    def put(self, kind, number):
        text = f"{word(kind + 'f', number)} begins. {FILLER * 20} Here ends {word(kind + 'l', number)}.\n"
        boundary = uuid.uuid4().hex
        raw = (f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{kind}{number}.txt"\r\n'
               f"Content-Type: text/plain\r\n\r\n{text}\r\n--{boundary}--\r\n").encode()
        reply = self.server.json("POST", "/rag/upload", raw=raw, token=self.token,
                                 kind=f"multipart/form-data; boundary={boundary}")
        return reply["results"][0]["document_id"]

    def say(self, turn):
        self.server.json("POST", "/conversation/message", {"conversation_id": "drill", "message": {
            "id": f"m{turn}", "role": "user", "content": f"turn {turn}", "timestamp": "2026-01-01T00:00:00"}},
            token=self.token)

    def turns(self):
        got = self.server.json("GET", "/conversation/drill", token=self.token)["messages"]
        return [message["content"] for message in got]

    def remove(self, document):
        status, text = self.server.ask("DELETE", "/rag/document", {"document_id": document}, token=self.token)
        expect(status == 200, f"not removed: {status} {text[:200]}")

    def found(self, kind, number):
        """How often the document is found by its first word and by its last."""
        counts = []
        for end in "fl":
            marker = word(kind + end, number)
            results = self.server.json("POST", "/rag/search", {"query": marker, "top_k": 10}, token=self.token)["results"]
            hits = [r for r in results if marker in r["content"]]
            for hit in hits:
                expect(hit["metadata"]["file_name"] == f"{kind}{number}.txt",
                       f"{marker} is found in {hit['metadata']['file_name']}")
            counts.append(len(hits))
        return counts

    def expect_found(self, kind, numbers, times=1):
        for number in numbers:
            counts = self.found(kind, number)
            expect(counts == [times, times], f"document {kind}{number} is found {counts} times, not {times}")


class Drill:
    def __init__(self, args, folder):
        self.args, self.folder = args, folder
        self.log_path = folder / "log"
        self.log = open(self.log_path, "ab")
        self.archive = folder / "archive"
        self.archive.mkdir()
        self.base = folder / "base"
        self.servers, self.stores = [], []
        if os.geteuid() == 0:
            user = unprivileged()
            for path in (folder, self.archive):
                os.chown(path, user.pw_uid, user.pw_gid)
        self.postgres = self.serve_postgres(fsync=True, settings={
            "wal_level": "replica", "archive_mode": "on", "archive_timeout": "5s",
            "archive_command": f"test ! -f {self.archive}/%f && cp %p {self.archive}/.%f && mv {self.archive}/.%f {self.archive}/%f"})
        self.written, self.documents = [], {}  # (number, when acknowledged), number -> id

    def serve_postgres(self, **more):
        made = Postgres(database=DATABASE, **more)
        self.servers.append(made)
        return made

    def store(self, postgres, name):
        data = self.folder / name
        data.mkdir(exist_ok=True)
        made = Store(self, postgres, data)
        self.stores.append(made)
        return made

    def close(self):
        for store in self.stores:
            store.stop(signal.SIGKILL)
        for server in self.servers:
            server.close()
        self.log.close()

    def log_since(self, at):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            file.seek(at)
            return file.read()

    def run(self, *command):
        """As the user that PostgreSQL runs as."""
        done = subprocess.run([*self.postgres.wrapper, *map(str, command)], cwd=self.folder, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=DEADLINE_S, check=False)
        expect(done.returncode == 0, f"{pathlib.Path(command[0]).name} failed: {done.stdout[-500:]}")
        return done.stdout

    def tool(self, name, postgres, *arguments, user="postgres"):
        return self.run(os.path.join(BIN, name), "-h", "127.0.0.1", "-p", postgres.port, "-U", user, *arguments)

    def write(self, store, count):
        for _ in range(count):
            number = len(self.written)
            self.documents[number] = store.put("d", number)
            store.say(number)
            self.written.append((number, time.time()))

    def ready(self, store, begun):
        """The server started; how long after begun it gave the first right answer."""
        store.start()
        self.wait_until_ready(store)
        store.expect_found("d", [0])
        return time.monotonic() - begun

    def wait_until_ready(self, store):
        begun = time.monotonic()
        while (answer := store.server.ask("GET", "/ready"))[0] != 200 or json.loads(answer[1])["status"] != "ready":
            expect(time.monotonic() - begun < DEADLINE_S, f"the server does not become ready: {answer}")
            time.sleep(0.02)

    # ------------------------------------------------------------- 1: a dump

    def dump(self):
        self.first = self.store(self.postgres, "first")
        self.first.start()
        self.write(self.first, self.args.count)
        before = len(self.written)
        point = self.written[-1][1]
        writer = subprocess.Popen([*self.postgres.wrapper, os.path.join(BIN, "pg_dump"), "-h", "127.0.0.1", "-p",
                                   str(self.postgres.port), "-U", USER, "-d", DATABASE, "--schema=tars",
                                   "--exclude-table-data=tars.instances", "-Fc", "-f", str(self.folder / "dump")],
                                  cwd=self.folder)
        dumped = time.time()
        while writer.poll() is None:
            self.write(self.first, 1)
        expect(writer.returncode == 0, "pg_dump failed")
        self.first.stop(signal.SIGKILL)

        begun = time.monotonic()
        other = self.serve_postgres()
        self.tool("pg_restore", other, "--no-owner", f"--role={USER}", "--exit-on-error", "-d", DATABASE,
                  self.folder / "dump")
        restored = time.monotonic() - begun
        elsewhere = self.store(other, "elsewhere")
        shutil.copy(self.folder / "first" / "jwt.key", self.folder / "elsewhere" / "jwt.key")
        elsewhere.token = self.first.token
        right = self.ready(elsewhere, begun)
        elsewhere.expect_found("d", range(before))
        for number in range(before, len(self.written)):
            expect(elsewhere.found("d", number) in ([0, 0], [1, 1]), f"document {number} is half there")
        turns = elsewhere.turns()
        expect(turns == [f"turn {n}" for n in range(len(turns))] and len(turns) >= before, "turns are missing")
        elsewhere.stop()
        print(f"     RPO {dumped - point:.2f} s: last acknowledged write to the dump's begin; RTO {right:.2f} s: restored "
              f"after {restored:.2f} s (a server made for it included), first right answer after {right:.2f} s", flush=True)
        return f"{before} documents and turns of before the dump; {len(self.written) - before} of meanwhile are whole or not there"

    # -------------------------------------------------------- 2: a lost disk

    def recover(self, target=None, port=None):
        """Another server, from base backup and archive, to then or to the archive's end; where one has been, or elsewhere."""
        made = Postgres(database=DATABASE, copy_of=self.base, start=False)
        made.port = port or made.port
        self.servers.append(made)
        with open(os.path.join(made.data, "postgresql.auto.conf"), "a", encoding="utf-8") as file:
            file.write(f"archive_mode = 'off'\nrestore_command = 'cp {self.archive}/%f %p'\n")
            if target:
                file.write(f"recovery_target_time = '{target}'\nrecovery_target_action = 'promote'\n")
        pathlib.Path(made.data, "recovery.signal").touch()
        if os.geteuid() == 0:
            user = unprivileged()
            for name in ("postgresql.auto.conf", "recovery.signal"):
                os.chown(os.path.join(made.data, name), user.pw_uid, user.pw_gid)
        made.start()
        deadline = time.monotonic() + DEADLINE_S
        while made.query("SELECT pg_is_in_recovery()", "postgres") != [["f"]]:
            expect(time.monotonic() < deadline, "the recovery does not end")
            time.sleep(0.05)
        return made

    def lost_disk(self):
        self.first.start()
        self.tool("pg_basebackup", self.postgres, "-D", self.base, "--checkpoint=fast", "--no-sync")
        self.write(self.first, self.args.count)
        archived = self.archive_now()
        self.write(self.first, 3)
        lost = time.time()
        self.postgres.kill()
        self.first.stop(signal.SIGKILL)
        shutil.copytree(self.folder / "first", self.folder / "lost")
        begun = time.monotonic()
        recovered = self.recover()
        back = time.monotonic() - begun
        other = self.store(recovered, "lost")
        other.token = self.first.token
        right = self.ready(other, begun)
        other.expect_found("d", range(archived))
        there = len(other.turns())
        for number in range(archived, len(self.written)):
            expect(other.found("d", number) in ([0, 0], [1, 1]), f"document {number} is half there")
        other.stop()
        self.postgres.start()
        self.first.start()
        self.wait_until_ready(self.first)
        last = self.written[there - 1][1]
        print(f"     RPO {lost - last:.2f} s: the last turn that came back to the loss; archive_timeout is 5 s; RTO "
              f"{right:.2f} s: recovered after {back:.2f} s, first right answer after {right:.2f} s", flush=True)
        return f"{archived} documents that were archived, {there} of {len(self.written)} turns"

    def archive_now(self):
        """How many documents are in what is archived."""
        count = len(self.written)
        name = self.postgres.query("SELECT pg_walfile_name(pg_switch_wal())", "postgres")[0][0]
        deadline = time.monotonic() + DEADLINE_S
        while not (self.archive / name).exists():
            expect(time.monotonic() < deadline, "nothing is archived")
            time.sleep(0.05)
        return count

    # --------------------------------------------------------- 3: a mistake

    def mistake(self):
        self.kept = len(self.written)
        self.target = self.postgres.query("SELECT clock_timestamp()", "postgres")[0][0]
        self.point = time.time()
        time.sleep(0.1)
        for number in range(0, self.kept, 2):
            self.first.remove(self.documents[number])
        self.write(self.first, 3)
        self.first.expect_found("d", [0], 0)
        self.archive_now()
        self.first.stop()  # saves its index
        shutil.copytree(self.folder / "first", self.folder / "old")
        begun = time.monotonic()
        self.recovered = self.recover(self.target)
        back = time.monotonic() - begun
        at = self.log_path.stat().st_size
        again = self.store(self.recovered, "first")
        again.token = self.first.token
        right = self.ready(again, begun)
        expect("the index is built again" in self.log_since(at), "it is not said that the index is built again")
        again.expect_found("d", range(self.kept))
        again.expect_found("d", range(self.kept, len(self.written)), 0)
        expect(len(again.turns()) == self.kept, "a turn of after the point is there")
        self.again = again
        print(f"     RPO {self.point - self.written[self.kept - 1][1]:.2f} s: last acknowledged write to the time that was "
              f"asked for, and nothing of before it is lost; RTO {right:.2f} s: recovered after {back:.2f} s, first right "
              f"answer after {right:.2f} s", flush=True)
        return f"{self.kept} documents, of which {(self.kept + 1) // 2} had been removed"

    # --------------------------------------- 4: others wrote before it is back

    def others_wrote(self):
        self.again.put("x", 0)
        self.again.stop()
        other = self.store(self.recovered, "other")
        other.start()
        passed = int(self.postgres.query("SELECT seq FROM tars.counters")[0][0])
        number = 1
        while int(self.recovered.query("SELECT seq FROM tars.counters")[0][0]) <= passed:
            other.put("x", number)
            number += 1
        other.stop()
        at = self.log_path.stat().st_size
        old = self.store(self.recovered, "old")
        old.token = self.first.token
        old.start()
        old.expect_found("d", range(self.kept))
        old.expect_found("x", range(number))
        old.expect_found("d", range(self.kept, len(self.written)), 0)
        expect("the index is built again" in self.log_since(at), "it is not said that the index is built again")
        old.stop()
        self.old = old
        return f"{self.kept} documents of before, {number} of others"

    # ------------------------------------------------ 5: what is merely behind

    def merely_behind(self):
        self.old.start()
        self.old.put("y", 1)
        self.old.stop()
        self.old.start()
        self.old.put("y", 2)
        self.old.stop(signal.SIGKILL)
        at = self.log_path.stat().st_size
        self.old.start()
        self.old.expect_found("y", [1, 2])
        expect("the index is built again" not in self.log_since(at), "it was built again without need")
        self.old.stop()
        return "after a stop and after a crash"


    # ------------------------------------------------- 6: servers that share

    def shared(self, name):
        made = self.store(self.recovered, name)
        made.server.environment.update(STORE_SHARED="true", JWT_SECRET_KEY="0123456789abcdef" * 4)
        return made

    def wait_for_texts(self, store, count):
        """Until its copy of texts, filled behind the answers, has those documents."""
        deadline, seen = time.monotonic() + DEADLINE_S, 0
        while seen < count:
            expect(time.monotonic() < deadline, f"the copy of texts has {seen} of {count}")
            time.sleep(0.1)
            for path in glob.glob(f"{store.server.data}/index-*/texts.db"):
                try:
                    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as file:
                        seen = file.execute("SELECT count(*) FROM documents").fetchone()[0]
                except sqlite3.Error:  # just being made
                    pass

    def start_late(self, store):
        """Who had the store at the time that came back counts as alive there until its lease is over."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                store.start()
                return
            except Failure:
                if time.monotonic() > deadline:
                    raise
                time.sleep(1)

    def they_share(self):
        one = self.shared("one")
        one.start()
        for number in range(5):
            one.put("u", number)
        one.expect_found("u", range(5))
        self.wait_for_texts(one, 5)
        one.stop(signal.SIGKILL)
        self.recovered.stop()
        self.recovered = self.recover(self.target)
        two = self.shared("two")
        self.start_late(two)
        for number in range(8):
            two.put("w", number)
        two.stop()
        again = self.shared("one")
        again.start()
        again.expect_found("d", range(self.kept))
        again.expect_found("w", range(8))
        again.expect_found("u", range(5), 0)
        again.stop()
        return "the copy of texts is of what is there"

    # --------------------------------------------------- 7: while it runs

    def while_it_runs(self):
        self.old = self.store(self.recovered, "old")
        self.old.token = self.first.token
        self.old.start()
        self.recovered.stop()
        self.recovered = self.recover(self.target, self.recovered.port)
        deadline = time.monotonic() + DEADLINE_S
        while True:
            summary = self.old.server.ask("GET", "/ops/summary", token=self.old.token)[1]
            if b"start it again" in summary:
                break
            expect(time.monotonic() < deadline, f"it is not noticed: {summary[:600]}")
            time.sleep(0.2)
        try:
            self.old.put("z", 1)
        except Failure:
            pass
        else:
            raise Failure("a document was taken in by a server that the database does not know")
        self.old.stop()
        self.old.start()
        self.wait_until_ready(self.old)
        self.old.expect_found("d", range(self.kept))
        self.old.expect_found("w", [1, 2], 0)
        self.old.stop()
        return "told, nothing written; right after a start"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tars", default=os.environ.get("TARS", ROOT / "build/release/tars"), type=pathlib.Path)
    parser.add_argument("--full", action="store_true", help="ten times as much")
    args = parser.parse_args()
    args.tars = args.tars.resolve()
    args.count = 200 if args.full else 10
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="tars-pitr-") as name:
        drill = Drill(args, pathlib.Path(name))
        try:
            for step in (drill.dump, drill.lost_disk, drill.mistake, drill.others_wrote, drill.merely_behind,
                         drill.they_share, drill.while_it_runs):
                began = time.monotonic()
                try:
                    told = step()
                except (Failure, RuntimeError, OSError, AssertionError, subprocess.SubprocessError, http.client.HTTPException,
                        json.JSONDecodeError) as fault:
                    failed += 1
                    print(f"FAILED {step.__name__}: {fault}\n{drill.log_since(0)[-2000:]}", flush=True)
                    break
                passed += 1
                print(f"ok   {step.__name__} ({time.monotonic() - began:.1f} s): {told}", flush=True)
        finally:
            drill.close()
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
