#!/usr/bin/env python3
"""A disaster, drilled: a server is backed up while clients write, dies, its folder is removed, and is restored.

Each round starts a server and several clients that upload documents (waiting for them, and not), write conversations and
ask questions. In the middle of it two backups are made, sealed; then the server is killed (-9) and its folder
removed. The backup is restored elsewhere, and a server started on it. What was acknowledged before the backup's
point must be there:

  1. every document is found by its first word and by its last, exactly once each; none is half there;
  2. every upload that was only accepted is found in the end;
  3. every turn of a conversation is there, in order, without a gap;
  4. every question has exactly one row in the log of questions, and none has two.

It prints the recovery point (from the last acknowledged write to the point), and the recovery time (from the start
of the restore to /ready and to the first right answer). Then, on copies of the folder of backups:

  5. a flipped bit is found by --verify and by the restore, with the name of the object;
  6. another key, no key and a passphrase are refused with words;
  7. a full disk, and a kill at random moments, leave the earlier backups whole;
  8. the earlier of the two backups is restored by its time, and has less.

usage: backup_drill.py [--tars PROGRAM] [--rounds N | --full] [--seed N]
One round, ten with --full, which also writes longer and kills more. Ends in "N passed, M failed".
"""
import argparse
import http.client
import json
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEADLINE_S = 120
CLIENTS = 3
FILLER = ("The lighthouse keeper wrote down the weather of each hour, and what ships had passed, and in which direction "
          "they had gone, so that whoever came after would know. ")


def word(kind, number):
    """A word that is in nothing else, not stemmed and not split."""
    return f"zq{kind}{''.join('bcdfghjklm'[int(d)] for d in f'{number:05d}')}xk"


class Failure(AssertionError):
    pass


def expect(condition, words):
    if not condition:
        raise Failure(words)


class Server:
    def __init__(self, tars, data, log):
        self.tars, self.data, self.log = tars, data, log
        self.environment = {**{k: v for k, v in os.environ.items() if not k.startswith("TARS_") or
                               k in ("TARS_MODELS", "TARS_EXTRACT")},
                            "LLM_BACKEND": "extract", "LOG_LEVEL": "ERROR", "RATE_LIMIT_PER_MINUTE": "0"}
        self.process = None

    def start(self):
        self.process = subprocess.Popen([self.tars, "serve", "--port", "0", "--json", "--data", self.data],
                                        env=self.environment, cwd=self.data, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True)
        line = self.process.stdout.readline()
        expect(line, "the server did not start")
        self.port = int(json.loads(line)["url"].rsplit(":", 1)[1])

    def stop(self, how):
        if self.process:
            self.process.send_signal(how)
            self.process.wait(DEADLINE_S)
            self.process.stdout.close()
            self.process = None

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE_S)

    def ask(self, method, path, body=None, token=None, connection=None, raw=None, kind="application/json"):
        own = connection or self.connect()
        headers = {"Content-Type": kind}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        own.request(method, path, raw if raw is not None else body and json.dumps(body), headers)
        reply = own.getresponse()
        text = reply.read()
        if not connection:
            own.close()
        return reply.status, text

    def json(self, method, path, body=None, **more):
        status, text = self.ask(method, path, body, **more)
        expect(status in (200, 201, 202), f"{method} {path}: {status} {text[:200]}")
        return json.loads(text)


class Client(threading.Thread):
    """Writes until the server is gone; remembers what was acknowledged, and when."""

    def __init__(self, server, number):
        super().__init__(daemon=True)
        self.server, self.number = server, number
        self.documents, self.accepted, self.turns, self.questions = [], [], [], []  # (number, seconds since 1970)
        self.token = server.json("POST", "/auth/token", {"client_id": f"drill-{number}"})["access_token"]
        self.unexpected = None

    def upload(self, connection, kind, number, wait):
        text = f"{word(kind + 'f', number)} begins. {FILLER * 40} Here ends {word(kind + 'l', number)}.\n"
        boundary = uuid.uuid4().hex
        raw = (f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{kind}{number}.txt"\r\n'
               f"Content-Type: text/plain\r\n\r\n{text}\r\n--{boundary}--\r\n").encode()
        return self.server.json("POST", "/rag/upload" + ("" if wait else "?wait=false"), raw=raw, connection=connection,
                                kind=f"multipart/form-data; boundary={boundary}", token=self.token)

    def run(self):
        connection = self.server.connect()
        step = 0
        try:
            while True:
                number = self.number * 1000 + step
                self.upload(connection, "d", number, True)
                self.documents.append((number, time.time()))
                self.upload(connection, "a", number, False)
                self.accepted.append((number, time.time()))
                for _ in range(3):
                    turn = len(self.turns)
                    self.server.json("POST", "/conversation/message", {
                        "conversation_id": f"drill-{self.number}",
                        "message": {"id": f"m{turn}", "role": "user", "content": f"turn {turn}",
                                    "timestamp": "2026-01-01T00:00:00"}}, connection=connection, token=self.token)
                    self.turns.append((turn, time.time()))
                question = f"What says the keeper about {word('q', number)}?"
                self.server.json("POST", "/rag/query", {"query": question}, connection=connection, token=self.token)
                self.questions.append((question, time.time()))
                step += 1
        except (OSError, http.client.HTTPException, ValueError):
            pass  # the server was killed
        except Failure as failure:
            self.unexpected = str(failure)


class Drill:
    def __init__(self, args, folder, seed):
        self.args, self.folder = args, folder
        self.random = random.Random(seed)
        self.log = open(folder / "log", "ab")
        self.data, self.dest = folder / "data", folder / "backups"
        self.data.mkdir()
        self.key = folder / "key"
        self.key.write_bytes(self.random.randbytes(32))
        self.key.chmod(0o600)
        self.server = None

    def run(self, *arguments, code=0, key=None, **more):
        key = self.key if key is None else key
        command = [self.args.tars, *arguments, *(["--key-file", key] if key else [])]
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.folder,
                              timeout=DEADLINE_S, **more)
        expect(code is None or done.returncode == code,
               f"tars {' '.join(map(str, arguments))} ended with {done.returncode}, not {code}: "
               f"{done.stdout[-300:]} {done.stderr[-300:]}")
        return done

    def backup(self):
        return json.loads(self.run("backup", "--json", "--data", self.data, self.dest).stdout)["backup"]

    # ------------------------------------------------------------ disaster

    def disaster(self):
        """Load, two backups in the middle of it, the end of the server and of its folder."""
        self.server = Server(self.args.tars, self.data, self.log)
        self.server.start()
        self.clients = [Client(self.server, n) for n in range(1, CLIENTS + 1)]
        for client in self.clients:
            client.start()
        self.until(lambda: all(c.questions for c in self.clients), "no client gets along")
        self.first = self.backup()
        seen = [len(c.questions) for c in self.clients]
        self.until(lambda: all(len(c.questions) > n for c, n in zip(self.clients, seen)), "no client gets along")
        time.sleep(self.args.seconds)
        self.last = self.backup()
        seen = [len(c.turns) for c in self.clients]
        self.until(lambda: any(len(c.turns) > n for c, n in zip(self.clients, seen)), "no client gets along")
        self.server.stop(signal.SIGKILL)
        for client in self.clients:
            client.join(DEADLINE_S)
            expect(not client.unexpected, client.unexpected)
        shutil.rmtree(self.data)

    def until(self, condition, words):
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            expect(time.monotonic() < deadline, words)
            expect(self.server.process.poll() is None, "the server ended by itself")
            time.sleep(0.02)

    # ------------------------------------------------------------- restore

    def restore(self):
        point = self.last["time_us"] / 1e6
        writes = [t for c in self.clients for list_ in (c.documents, c.accepted, c.turns, c.questions)
                  for _, t in list_]
        begun = time.monotonic()
        self.restored = self.folder / "elsewhere" / "data"
        told = json.loads(self.run("restore", "--json", self.dest, "--to", self.restored).stdout)
        done = time.monotonic() - begun
        self.server = Server(self.args.tars, self.restored, self.log)
        self.server.start()
        while self.server.ask("GET", "/ready")[0] != 200:
            expect(time.monotonic() - begun < DEADLINE_S, "the restored server does not become ready")
            time.sleep(0.01)
        ready = time.monotonic() - begun
        number = min(n for c in self.clients for n, t in c.documents if t < point)
        expect(self.found(word("df", number), f"d{number}.txt") == 1, "the first document is not found")
        right = time.monotonic() - begun
        expect(told["sequence"] == self.last["sequence"], "another point is restored")
        print(f"     RPO {max(writes) - point:.2f} s: last acknowledged write to the backup's point "
              f"(backup took {self.last['took_ms'] / 1000:.2f} s, {self.last['new_bytes']} of "
              f"{self.last['bytes']} bytes new)")
        print(f"     RTO {right:.2f} s: restored and checked after {done:.2f} s, ready after {ready:.2f} s, first right "
              f"answer after {right:.2f} s; {told['documents']} documents, {told['bytes']} bytes", flush=True)
        self.point = point

    def found(self, marker, name):
        results = self.server.json("POST", "/rag/search", {"query": marker, "top_k": 10, "use_hybrid": True})["results"]
        hits = [r for r in results if marker in r["content"]]
        for hit in hits:
            expect(hit["metadata"]["file_name"] == name, f"{marker} of {name} is found in {hit['metadata']['file_name']}")
        return len(hits)

    def documents_are_there(self):
        before = [n for c in self.clients for n, t in c.documents if t < self.point]
        after = [n for c in self.clients for n, t in c.documents if t >= self.point]
        expect(before, "nothing was acknowledged before the point")
        for n in before:
            for kind in ("df", "dl"):
                expect(self.found(word(kind, n), f"d{n}.txt") == 1, f"document {n} is not found once by {kind}")
        for n in after:
            ends = [self.found(word(kind, n), f"d{n}.txt") for kind in ("df", "dl")]
            expect(ends in ([0, 0], [1, 1]), f"document {n} is half there: {ends}")
        return f"{len(before)} documents of before the point, {len(after)} of after it"

    def uploads_are_there(self):
        before = [n for c in self.clients for n, t in c.accepted if t < self.point]
        deadline = time.monotonic() + DEADLINE_S
        for n in before:
            while self.found(word("af", n), f"a{n}.txt") != 1 or self.found(word("al", n), f"a{n}.txt") != 1:
                expect(time.monotonic() < deadline, f"upload {n}, which was accepted, is not found")
                time.sleep(0.05)
        return f"{len(before)} uploads that were accepted before the point"

    def turns_are_there(self):
        total = 0
        for client in self.clients:
            before = [n for n, t in client.turns if t < self.point]
            got = self.server.json("GET", f"/conversation/drill-{client.number}", token=client.token)["messages"]
            expect([m["content"] for m in got] == [f"turn {n}" for n in range(len(got))], "a turn is missing or doubled")
            expect(len(got) >= len(before), f"{len(before)} turns were acknowledged, {len(got)} are there")
            total += len(before)
        return f"{total} turns of before the point; tokens of before are good"

    def questions_are_there(self):
        self.server.stop(signal.SIGTERM)
        with sqlite3.connect(self.restored / "analytics.db") as db:
            rows = dict(db.execute("SELECT query_text, count(*) FROM query_logs GROUP BY 1"))
        before = [q for c in self.clients for q, t in c.questions if t < self.point]
        for question in before:
            expect(rows.get(question, 0) == 1, f"{rows.get(question, 0)} rows of {question!r}")
        expect(all(n == 1 for n in rows.values()), "a question has two rows")
        return f"{len(before)} questions of before the point have one row each"

    def earlier_is_restored(self):
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self.first["time_us"] / 1e6)) + \
            f".{self.first['time_us'] % 1000000:06d}Z"
        to = self.folder / "earlier"
        told = json.loads(self.run("restore", "--json", self.dest, "--to", to, "--at", at).stdout)
        expect(told["id"] == self.first["id"], "another backup was chosen by its time")
        expect(told["documents"] == self.first["rows"]["documents"] < self.last["rows"]["documents"], "it has not less")
        self.run("restore", self.dest, "--to", to, code=3)  # not empty
        told = json.loads(self.run("restore", "--json", self.dest, "--to", to, "--at", self.last["id"],
                                   "--replace").stdout)
        expect(told["id"] == self.last["id"] and pathlib.Path(told["replaced"]).is_dir(), "--replace kept nothing")
        return "by its time and by its id"

    # ------------------------------------------------------------ bad days

    def copy(self, name):
        shutil.rmtree(self.folder / name, ignore_errors=True)
        return pathlib.Path(shutil.copytree(self.dest, self.folder / name))

    def damage_is_found(self):
        dest = self.copy("damaged")
        objects = sorted(p for p in dest.glob("objects/*/*"))
        chosen = self.random.choice(objects)
        bits = bytearray(chosen.read_bytes())
        bits[self.random.randrange(len(bits))] ^= 1 << self.random.randrange(8)
        chosen.write_bytes(bits)
        done = self.run("backup", dest, "--verify", code=1)
        expect(chosen.name in done.stderr, f"--verify does not name {chosen.name}: {done.stderr}")
        broken = {line.split()[2].rstrip(":") for line in done.stderr.splitlines() if line.startswith("tars: backup ")}
        for backup in (self.first, self.last):
            to = self.folder / "from-damaged"
            done = self.run("restore", dest, "--to", to, "--at", backup["id"], code=None)
            if done.returncode == 0:
                expect(backup["id"] not in broken, "a damaged backup was restored")
            else:
                expect(chosen.name in done.stderr, f"the restore does not name {chosen.name}: {done.stderr}")
                expect(not (to / "tars.db").exists(), "a store of a damaged backup was left")
            shutil.rmtree(to, ignore_errors=True)
        return f"a bit of {chosen.name[:12]}..."

    def wrong_keys_are_refused(self):
        other, phrase = self.folder / "other", self.folder / "phrase"
        other.write_text("ab" * 32 + "\n")
        phrase.write_text("correct horse battery\n")
        for path in (other, phrase):
            path.chmod(0o600)
        for arguments, key, words in ((["--list"], other, "not the key"), (["--verify"], "", "--key-file"),
                                      (["--list", "--passphrase-file", phrase], "", "--key-file")):
            done = self.run("backup", self.dest, *arguments, code=3, key=key)
            expect(words in done.stderr, f"{arguments}: {done.stderr}")
        done = self.run("restore", self.dest, "--to", self.folder / "never", code=3, key=other)
        expect("not the key" in done.stderr and not (self.folder / "never").exists(), done.stderr)
        other.chmod(0o644)
        expect("everybody" in self.run("backup", self.dest, "--list", code=3, key=other).stderr, "a key for all is taken")
        return "another, none, a passphrase, one for all to read"

    def whole(self, dest, ids):
        told = json.loads(self.run("backup", "--json", dest, "--list").stdout)["backups"]
        expect([b["id"] for b in told][:len(ids)] == ids, f"backups are lost: {told}")
        told = json.loads(self.run("backup", "--json", dest, "--verify").stdout)
        expect(told["bad_backups"] == 0 and told["bad_objects"] == 0, f"damage: {told}")

    def full_disk(self):
        """A small file system of its own where that may be had; else files may not grow."""
        ids = [self.first["id"], self.last["id"]]
        small = self.folder / "small"
        small.mkdir()
        size = sum(p.stat().st_blocks * 512 for p in self.dest.rglob("*") if p.is_file()) + (1 << 20)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", small],
                                 stderr=subprocess.DEVNULL).returncode == 0
        try:
            dest = pathlib.Path(shutil.copytree(self.dest, small / "backups"))
            source = pathlib.Path(shutil.copytree(self.restored, self.folder / "grown"))
            (source / "jwt.key").write_bytes(self.random.randbytes(16 << 20))  # new, and will not compress
            limit = [] if mounted else ["prlimit", f"--fsize={1 << 15}"]
            done = subprocess.run([*limit, self.args.tars, "backup", "--data", source, dest, "--key-file", self.key],
                                  stderr=subprocess.PIPE, text=True, cwd=self.folder)
            expect(done.returncode not in (0, 1, 2), f"a full disk is no failure: {done.returncode} {done.stderr}")
            if mounted:
                expect("earlier backups are untouched" in done.stderr, done.stderr)
                expect(not list(dest.glob("tmp/*")), "what was written in vain fills the disk")
            self.whole(dest, ids)
        finally:
            if mounted:
                subprocess.run(["umount", small], check=True)
        return "a small tmpfs" if mounted else "a limit on files"

    def kills(self):
        """kill -9 of a backup at random moments; the next one goes on as if nothing had been."""
        dest = self.copy("killed")
        ids = [self.first["id"], self.last["id"]]
        source = pathlib.Path(shutil.copytree(self.restored, self.folder / "killed-data"))
        command = [self.args.tars, "backup", "--data", source, dest, "--key-file", self.key]
        begun = time.monotonic()
        (source / "jwt.key").write_bytes(self.random.randbytes(1 << 20))
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder)
        lasts = time.monotonic() - begun
        killed = 0
        for how in [signal.SIGKILL] * self.args.kills + [signal.SIGINT]:
            (source / "jwt.key").write_bytes(self.random.randbytes(1 << 20))
            child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder)
            try:
                child.wait(self.random.uniform(0, lasts))
            except subprocess.TimeoutExpired:
                child.send_signal(how)
                killed += 1
            child.wait(DEADLINE_S)
            expect(child.returncode in (0, -9, 130, -2), f"a backup ended with {child.returncode}")
        self.whole(dest, ids)
        before = len(list(dest.glob("objects/*/*")))
        self.run("backup", dest, "--prune", "keep=2")
        expect(not list(dest.glob("tmp/*")), "what a killed backup left is still there")
        self.whole(dest, [])
        left = [p for p in source.iterdir() if p.name.startswith("copy-")]
        expect(len(left) <= killed, f"copies are left in the data folder: {left}")
        return f"{killed} of {self.args.kills + 1} in the middle; {before} objects, {len(list(dest.glob('objects/*/*')))} " \
               "after pruning"


def run_round(args, folder, seed):
    passed = failed = 0
    drill = Drill(args, folder, seed)
    steps = ["disaster", "restore", "documents_are_there", "uploads_are_there", "turns_are_there",
             "questions_are_there", "earlier_is_restored", "damage_is_found", "wrong_keys_are_refused", "full_disk",
             "kills"]
    try:
        for step in steps:
            try:
                told = getattr(drill, step)()
                passed += 1
                print(f"ok   {step.replace('_', ' ')}{': ' + told if told else ''}", flush=True)
            except (AssertionError, OSError, subprocess.SubprocessError, sqlite3.Error, ValueError) as error:
                failed += 1
                print(f"FAIL {step.replace('_', ' ')}: {error}", flush=True)
                print((folder / "log").read_text(errors="replace")[-2000:])
                if step in ("disaster", "restore"):
                    break  # the rest looks at what it made
    finally:
        if drill.server:
            drill.server.stop(signal.SIGKILL)
        drill.log.close()
    return passed, failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tars", default=os.environ.get("TARS", ROOT / "build/release/tars"), type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--full", action="store_true", help="ten rounds, longer ones")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    args.tars = args.tars.resolve()
    args.seconds, args.kills = (5, 20) if args.full else (1, 4)
    rounds = 10 if args.full else args.rounds
    passed = failed = 0
    for i in range(rounds):
        with tempfile.TemporaryDirectory(prefix="tars-drill-") as name:
            good, bad = run_round(args, pathlib.Path(name), args.seed + i)
        passed, failed = passed + good, failed + bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
