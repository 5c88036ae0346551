#!/usr/bin/env python3
"""Three servers behind nginx on one PostgreSQL and one Redis, each in a network namespace of its own, under k6, while they
are killed, stopped, cut off and upgraded one after the other; and a ledger of all that was acknowledged.

    replicas.py [--full]

    hub: nginx, k6, the writers   10.77.0.1 --+-- 10.77.0.2  PostgreSQL
                                              +-- 10.77.0.3  Redis
                                              +-- 10.77.0.11, .12, .13  servers

Namespaces and links are made and removed here, which needs root; where they are not permitted, nothing is run. nginx tries a search again elsewhere, and nothing else that
was sent; a server that says it is not ready gets no new requests, as Kubernetes would do it. At most 0.1 % of k6's requests
may fail. Each document, job, turn of a conversation and question that was acknowledged must be there in the end, once;
what failed may be there once or not at all. TARS_NEXT names the program of the rolling upgrade, if it is another. Prints "N passed, M failed". --full: longer, at the contract's rate.
"""
import argparse
import collections
import concurrent.futures
import ctypes
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
os.environ.setdefault("TARS_BIN", os.environ.get("TARS", os.path.join(ROOT, "build", "release", "tars")))
sys.path[:0] = [os.path.join(ROOT, "tests", "http"), os.path.join(ROOT, "tests", "support")]
import websockets  # noqa: E402
from websockets.sync.client import connect  # noqa: E402
from postgres import USER, Postgres  # noqa: E402
from server import TARS, environment  # noqa: E402

NET = "10.77.0"
HUB, POSTGRES, REDIS = f"{NET}.1", f"{NET}.2", f"{NET}.3"
SERVERS = [f"{NET}.{11 + number}" for number in range(3)]
NGINX_PORT = 8080
NEXT = os.environ.get("TARS_NEXT", TARS)  # what the rolling upgrade upgrades to
MAX_FAILED = 0.001
CLONE_NEWNET = 0x40000000


# ---------------------------------------------------------------------------------------------- the network

class Network:
    """A bridge in a namespace called hub, and a namespace behind each address. All go with close()."""

    def __init__(self):
        self.prefix = f"tars{os.getpid()}"
        self.sweep()
        self.spaces = {}
        try:
            self.add("hub", None)
            self.ip("-n", self.spaces["hub"], "link", "add", "bridge", "type", "bridge")
            self.ip("-n", self.spaces["hub"], "addr", "add", f"{HUB}/24", "dev", "bridge")
            self.ip("-n", self.spaces["hub"], "link", "set", "bridge", "up")
            for name, address in [("postgres", POSTGRES), ("redis", REDIS), *((f"server{i}", at) for i, at in enumerate(SERVERS))]:
                self.add(name, address)
        except BaseException:
            self.close()
            raise

    @staticmethod
    def ip(*words):
        done = subprocess.run(["ip", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            raise OSError(f"ip {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def sweep(self):
        """Namespaces of a run that was killed."""
        for name in os.listdir("/run/netns") if os.path.isdir("/run/netns") else ():
            of = re.fullmatch(r"tars(\d+)-\w+", name)
            if of and not os.path.exists(f"/proc/{of.group(1)}"):
                subprocess.run(["ip", "netns", "del", name], check=False)

    def add(self, name, address):
        space = f"{self.prefix}-{name}"
        self.ip("netns", "add", space)
        self.spaces[name] = space
        self.ip("-n", space, "link", "set", "lo", "up")
        if address:
            self.ip("-n", self.spaces["hub"], "link", "add", f"to-{name}", "type", "veth", "peer", "name", "eth0", "netns", space)
            self.ip("-n", self.spaces["hub"], "link", "set", f"to-{name}", "master", "bridge", "up")
            self.ip("-n", space, "addr", "add", f"{address}/24", "dev", "eth0")
            self.ip("-n", space, "link", "set", "eth0", "up")

    def inside(self, name):
        """What goes before a command that is to run there."""
        return ["ip", "netns", "exec", self.spaces[name]]

    def enter(self, name):
        """The calling thread, and those that it starts, are there from now on."""
        with open(f"/run/netns/{self.spaces[name]}", "rb") as file:
            if ctypes.CDLL(None, use_errno=True).setns(file.fileno(), CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")

    def cut(self, name, address, mend=False):
        """Packets between the two are lost, those of connections that stand too; or no more."""
        other = {POSTGRES: "postgres", REDIS: "redis"}[address]
        mine = SERVERS[int(name[-1])]
        for space, far in ((self.spaces[name], address), (self.spaces[other], mine)):
            self.ip("-n", space, "route", "del" if mend else "add", "blackhole", f"{far}/32")

    def close(self):
        for space in self.spaces.values():
            subprocess.run(["ip", "netns", "del", space], check=False)


class Database(Postgres):
    """PostgreSQL in its namespace; this program talks to it over a local socket."""

    def __init__(self, network):
        super().__init__(hba=[f"host all all {NET}.0/24 trust"], settings={"listen_addresses": "*", "max_connections": "200"},
                         start=False)
        self.wrapper = [*network.inside("postgres"), *self.wrapper]
        self.start()
        self.query(f"CREATE ROLE {USER} LOGIN PASSWORD 'changeme'", "postgres", "postgres")
        self.create_database(self.database)


class Process:
    """A program in a namespace, with its log; stopped by its pid."""

    def __init__(self, network, space, command, folder, env=None):
        self.command = ["setpriv", "--pdeathsig", "KILL", *network.inside(space), *command]
        self.folder, self.env, self.process = folder, env, None
        self.log = os.path.join(folder, f"{space}.log")
        self.start()

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self.command, cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)

    def tell(self, number):
        self.process.send_signal(number)

    def end(self, number=signal.SIGTERM, seconds=60):
        """Its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def tail(self):
        with open(self.log, encoding="utf-8", errors="replace") as file:
            return file.read()[-3000:]


class Server(Process):
    def __init__(self, network, number, settings, folder):
        self.number, self.address = number, SERVERS[number]
        data = os.path.join(folder, f"data{number}")
        os.mkdir(data)
        super().__init__(network, f"server{number}", [TARS, "serve", "--bind", self.address, "--port", "8000"], folder,
                         environment(data, **settings))

    def ask(self, method, path, body=None, timeout=5):
        return self.send(method, path, None if body is None else json.dumps(body), "application/json", timeout)

    def send(self, method, path, raw, kind, timeout, token=""):
        connection = http.client.HTTPConnection(self.address, 8000, timeout=timeout)
        try:
            connection.request(method, path, raw, {"Content-Type": kind, **({"Authorization": f"Bearer {token}"} if token else {})})
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def is_ready(self):
        try:
            return self.ask("GET", "/ready", timeout=2)[0] == 200
        except (OSError, http.client.HTTPException):
            return False


# ---------------------------------------------------------------------------------------------- the proxy

NGINX = """
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx-errors.log warn;
events {{ worker_connections 2048; }}
http {{
    log_format short '$msec $request_method $uri $status "$upstream_addr" "$upstream_status" $request_time';
    access_log {folder}/nginx-access.log short;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    upstream tars {{ {servers} keepalive 64; }}
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    server {{
        listen {hub}:{port};
        client_max_body_size 60m;
        keepalive_timeout 0;  # a worker that a new list replaces closes idle connections, some with a request on its way
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        proxy_connect_timeout {connect_s}s;
        proxy_read_timeout 60s;
        proxy_buffering off;
        # Nothing that was sent goes to another server ...
        proxy_next_upstream error timeout;
        location / {{ proxy_pass http://tars; }}
        # ... but a search, which changes nothing.
        location = /rag/search {{
            proxy_pass http://tars;
            proxy_read_timeout {read_s}s;
            proxy_next_upstream error timeout invalid_header http_502 http_503 http_504 non_idempotent;
        }}
    }}
}}
"""


class Proxy(Process):
    """nginx; and what Kubernetes does with readiness: a server that is not ready gets no new requests."""

    def __init__(self, network, folder, servers, full):
        self.servers, self.ready, self.held, self.full = servers, set(), set(), full
        self.read_s = 5 if full else 15  # a search that takes longer goes to another server
        self.missed = collections.Counter()  # looks in a row, by number; two are needed, as in the chart
        self.over, self.lock = threading.Event(), threading.Lock()
        self.path = os.path.join(folder, "nginx.conf")
        self.write({server.number for server in servers})
        super().__init__(network, "hub", ["nginx", "-c", self.path, "-p", folder, "-e", os.path.join(folder, "nginx-errors.log")], folder)
        self.watcher = threading.Thread(target=self.watch, daemon=True)
        self.watcher.start()

    def write(self, numbers):
        self.ready = set(numbers)
        chosen = " ".join(f"server {SERVERS[number]}:8000 max_fails=1 fail_timeout=1s;" for number in sorted(numbers))
        with open(self.path, "w", encoding="ascii") as file:
            file.write(NGINX.format(folder=os.path.dirname(self.path), servers=chosen, hub=HUB, port=NGINX_PORT,
                                    connect_s=1 if self.full else 5, read_s=self.read_s))

    def watch(self):
        with concurrent.futures.ThreadPoolExecutor(len(self.servers)) as pool:
            while not self.over.wait(0.3):
                for server, good in zip(self.servers, pool.map(Server.is_ready, self.servers)):
                    self.missed[server.number] = 0 if good else self.missed[server.number] + 1
                self.look({server.number for server in self.servers if self.missed[server.number] < 2})

    def look(self, ready):
        with self.lock:
            wanted = (ready - self.held) or self.ready  # none: better any than none
            if wanted != self.ready:
                self.write(wanted)
                self.tell(signal.SIGHUP)

    def hold(self, number, held=True):
        """Before it is stopped in an orderly way, a server leaves the list, and those who use it are done."""
        with self.lock:
            (self.held.add if held else self.held.discard)(number)
        self.look({server.number for server in self.servers if self.missed[server.number] < 2})
        time.sleep(1)

    def close(self):
        self.over.set()
        self.watcher.join(10)
        self.end(signal.SIGQUIT, 10)


# ---------------------------------------------------------------------------------------------- who writes

class Writer(threading.Thread):
    """Does one thing again and again, through the proxy. sure: what was acknowledged; unsure: what failed on the way;
    refused: what was refused in words, and is not there."""

    uncertain = (500, 502, 504)

    def __init__(self, token, pause):
        super().__init__(daemon=True)
        self.token, self.pause, self.over = token, pause, threading.Event()
        self.sure, self.unsure, self.refused, self.fault = [], [], [], None

    def run(self):
        number = 0
        try:
            while not self.over.wait(self.pause):
                self.once(number)
                number += 1
        except Exception as error:  # told in the end
            self.fault = error

    def send(self, method, path, raw, kind="application/json"):
        """(status, body), or None: it broke on the way."""
        connection = http.client.HTTPConnection(HUB, NGINX_PORT, timeout=60)
        try:
            connection.request(method, path, raw, {"Content-Type": kind, "Authorization": f"Bearer {self.token}"})
            reply = connection.getresponse()
            return reply.status, reply.read()
        except (OSError, http.client.HTTPException):
            return None
        finally:
            connection.close()

    def note(self, entry, reply, accepted):
        """502 and 504 are the proxy's: whether the server did it, it does not know."""
        if reply is not None and reply[0] in accepted:
            self.sure.append((entry, reply[1]))
        elif reply is None or reply[0] in self.uncertain:
            self.unsure.append(entry)
        else:
            self.refused.append((entry, reply[0]))


def multipart(name, content):
    boundary = uuid.uuid4().hex
    return (f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: text/markdown'
            f"\r\n\r\n{content}\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}")


def document(name):
    return f"# Lamp {name}\n\nThe battery of lamp {name} is made of lithium and lasts {sum(name.encode()) % 90 + 10} hours.\n"


class Documents(Writer):
    """Uploads that wait until the document can be found."""
    path, accepted = "/rag/upload", (200, 201)
    uncertain = (500, 502, 503, 504)  # a server that stops says 503 to who waits for a job, which is done all the same

    def once(self, number):
        name = f"{type(self).__name__.lower()}{number}.md"
        self.note(name, self.send("POST", self.path, *multipart(name, document(name))), self.accepted)


class Jobs(Documents):
    """Uploads that are acknowledged as a job, to be done whatever happens."""
    path, accepted = "/rag/upload?wait=false", (202,)


class Turns(Writer):
    """Messages that a client keeps in a conversation."""

    def once(self, number):
        message = {"id": f"msg-{number}", "role": "user", "content": f"turn {number}", "timestamp": "2026-01-01T00:00:00"}
        body = {"conversation_id": f"conv-{number // 20}", "message": message}
        self.note((body["conversation_id"], message["id"]), self.send("POST", "/conversation/message", json.dumps(body)), (200,))


class Questions(Writer):
    """Questions: each answer's row in the log of questions."""

    def once(self, number):
        query = f"How long does the battery of lamp q{number} last?"
        self.note(query, self.send("POST", "/rag/query", json.dumps({"query": query})), (200,))


class Chats(Writer):
    """Questions over a WebSocket, wherever it leads, each in a conversation of its own: both turns are kept."""

    def once(self, number):
        conversation, heard = f"chat-{number}", {"type": ""}
        try:
            with connect(f"ws://{HUB}:{NGINX_PORT}/ws/chat?token={self.token}", open_timeout=30, close_timeout=2) as socket:
                socket.recv(timeout=30)
                socket.send(json.dumps({"type": "chat", "content": f"How long does the battery of lamp c{number} last?",
                                        "conversation_id": conversation, "use_rag": True}))
                while heard["type"] not in ("rag_complete", "error"):
                    heard = json.loads(socket.recv(timeout=60))
        except (OSError, TimeoutError, websockets.exceptions.WebSocketException):
            heard = {"type": ""}
        # An answer may come although it cannot be kept; then it says so.
        is_kept = heard["type"] == "rag_complete" and not heard["degraded"]
        self.note(conversation, (200, b"") if is_kept else None, (200,))


# ---------------------------------------------------------------------------------------------- the test

class Checks:
    def __init__(self):
        self.passed, self.failed = 0, 0

    def see(self, name, good, detail=""):
        self.passed += bool(good)
        self.failed += not good
        print(f"  {'ok    ' if good else 'FAILED'} {name}{': ' + str(detail) if detail != '' else ''}", flush=True)
        return good


class Cluster:
    def __init__(self, network, k6, folder, full):
        self.network, self.k6, self.folder, self.full = network, k6, folder, full
        self.checks, self.servers, self.redis, self.proxy, self.load = Checks(), [], None, None, None
        self.database, self.writers, self.token, self.began = None, [], "", time.monotonic()
        self.marks = []  # (wall clock, what was done)

    def say(self, words):
        self.marks.append((time.time(), words))
        print(f"{time.monotonic() - self.began:6.1f} s  {words}", flush=True)

    def until(self, what, holds, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if holds():
                    return True
            except (OSError, http.client.HTTPException, RuntimeError):
                pass
            time.sleep(0.1)
        return self.checks.see(what, False, f"not within {seconds} s")

    def open(self):
        self.database = Database(self.network)
        self.redis = Process(self.network, "redis", ["redis-server", "--bind", REDIS, "--port", "6379", "--save", "", "--protected-mode",
                                                     "no", "--dir", self.folder], self.folder)
        settings = {"STORE": "postgres", "STORE_SHARED": "true", "POSTGRES_ENABLED": "true", "POSTGRES_HOST": POSTGRES,
                    "POSTGRES_PORT": str(self.database.port), "POSTGRES_DB": self.database.database, "POSTGRES_USER": USER,
                    "POSTGRES_PASSWORD": "changeme", "REDIS_HOST": REDIS, "REDIS_PORT": "6379", "TARS_AUTH": "open",
                    "TARS_AUTH_OPEN_ANYWHERE": "true", "LOG_LEVEL": "WARNING", "TARS_TRUSTED_PROXIES": f"{NET}.0/24"}
        for number in range(3):
            self.servers.append(Server(self.network, number, settings, self.folder))
            if not self.until("a server starts", self.servers[number].is_ready, 120):
                raise AssertionError(self.servers[number].tail())
        self.proxy = Proxy(self.network, self.folder, self.servers, self.full)
        self.until("nginx starts", lambda: self.through("GET", "/health")[0] == 200)
        self.token = json.loads(self.through("POST", "/auth/token", {"client_id": "ledger"})[1])["access_token"]

    def through(self, method, path, body=None):
        connection = http.client.HTTPConnection(HUB, NGINX_PORT, timeout=30)
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               {"Content-Type": "application/json", **({"Authorization": f"Bearer {self.token}"} if self.token else {})})
            reply = connection.getresponse()
            return reply.status, reply.read()
        finally:
            connection.close()

    def close(self):
        for writer in self.writers:
            writer.over.set()
        for process in (self.load, self.proxy):
            if process:
                (process.close if isinstance(process, Proxy) else process.end)()
        for server in self.servers:
            server.end(signal.SIGKILL)
        if self.redis:
            self.redis.end(signal.SIGKILL)
        if self.database:
            self.database.close()

    # -- traffic

    def start_traffic(self):
        for name in ("a", "b", "c", "d", "e", "f"):
            for number in range(5):
                raw, kind = multipart(f"first-{name}{number}.md", document(f"{name}{number}"))
                status, body = Documents(self.token, 0).send("POST", "/rag/upload", raw, kind)
                if status not in (200, 201):
                    raise AssertionError(f"{status} {body}")
        asked = os.path.join(self.folder, "questions.txt")
        with open(asked, "w", encoding="ascii") as file:
            file.writelines(f"How long does the battery of lamp {name}{number} last?\n" for name in "abcdef" for number in range(5))
        settings = {"TARS_URL": f"http://{HUB}:{NGINX_PORT}", "QUESTIONS": asked, "SHAPE": "soak", "TRAFFIC": "search",
                    "RATE": "200" if self.full else "25", "SECONDS": "3600", "SUMMARY": os.path.join(self.folder, "k6.json"),
                    "MAX_ERRORS": "0.001", "THRESHOLD": "0"}
        self.load = Process(self.network, "hub", [self.k6, "run", "--no-usage-report", "--quiet", *(
            part for name, value in settings.items() for part in ("-e", f"{name}={value}")),
            os.path.join(ROOT, "deploy/load/k6/tars.js")], self.folder, {**os.environ, "HOME": self.folder})
        pause = 0.05 if self.full else 0.3
        self.writers = [kind(self.token, pause) for kind in (Documents, Jobs, Turns, Questions, Chats)]
        for writer in self.writers:
            writer.start()

    def pause(self, seconds):
        time.sleep(seconds * (5 if self.full else 1))

    def end_traffic(self):
        for writer in self.writers:
            writer.over.set()
        for writer in self.writers:
            writer.join(90)
            self.checks.see(f"{type(writer).__name__.lower()}: the writer ended", not writer.is_alive() and writer.fault is None,
                            writer.fault or f"{len(writer.sure)} acknowledged, {len(writer.unsure)} broken off, {len(writer.refused)} refused")
        self.load.end(signal.SIGINT)

    # -- faults

    def kill_one(self):
        self.say("kill -9 of server 0")
        self.servers[0].end(signal.SIGKILL)
        self.pause(4)
        self.servers[0].start()
        self.until("the killed server is ready again", self.servers[0].is_ready)
        self.pause(2)

    def stop_one(self):
        self.say("SIGTERM to server 1")
        self.checks.see("a stopped server ends with 0", self.servers[1].end() == 0)
        self.pause(3)
        self.servers[1].start()
        self.until("the stopped server is ready again", self.servers[1].is_ready)
        self.pause(2)

    def cut_off_one(self):
        self.say("server 2 is cut off from PostgreSQL")
        cut = self.servers[2]
        self.network.cut("server2", POSTGRES)
        try:
            self.checks.see("cut off, it is not ready", self.until("cut off, it says so", lambda: not cut.is_ready(), 30))
            query = {"query": "How long does the battery of lamp a1 last?", "relevance_threshold": 0}
            status, body = cut.ask("POST", "/rag/search", query, timeout=30)
            self.checks.see("cut off, it answers searches", status == 200 and json.loads(body)["results"], f"{status} {body[:60]}")
            for what, raw, kind, path in (("a document", *multipart("cut.md", document("cut")), "/rag/upload"), ("a turn", json.dumps({
                    "conversation_id": "cut", "message": {"id": "cut", "role": "user", "content": "cut", "timestamp": "2026-01-01T00:00:00"}}
                    ), "application/json", "/conversation/message")):
                status, body = cut.send("POST", path, raw, kind, timeout=60, token=self.token)
                self.checks.see(f"cut off, it refuses {what} with 503", status == 503, f"{status} {body[:120]}")
            self.pause(3)
        finally:
            self.network.cut("server2", POSTGRES, mend=True)
        self.until("the server that was cut off is ready again", cut.is_ready)
        self.pause(2)

    def restart_postgres(self):
        self.say("PostgreSQL is restarted")
        self.database.stop()
        self.pause(2)
        self.database.start()
        self.until("all are ready again", lambda: all(server.is_ready() for server in self.servers))
        self.pause(2)

    def restart_redis(self):
        self.say("Redis is killed and started")
        self.redis.end(signal.SIGKILL)
        self.pause(2)
        self.redis.start()
        self.pause(2)

    def upgrade(self):
        self.say("rolling upgrade")
        for server in self.servers:
            self.proxy.hold(server.number)
            self.checks.see(f"server {server.number} makes room", server.end() == 0)
            server.command = [NEXT if part == TARS else part for part in server.command]
            server.start()
            self.until(f"server {server.number} is ready again", server.is_ready)
            self.proxy.hold(server.number, held=False)
        self.pause(2)

    # -- the ledger

    def rows(self, sql):
        return self.database.query("SET search_path TO tars, public; " + sql)

    def compare(self, writer, there, what):
        """there: how often each entry is there."""
        name = type(writer).__name__.lower()
        sure, unsure, refused = [one for one, _ in writer.sure], set(writer.unsure), {one for one, _ in writer.refused}
        lost = [one for one in sure if there[one] == 0]
        doubled = [one for one in there if there[one] > 1]
        ghosts = [one for one in refused if there[one] and one not in unsure]
        self.checks.see(f"{name}: no {what} is lost", len(sure) > 0 and not lost, f"{len(sure)} acknowledged, lost {lost[:5]}")
        self.checks.see(f"{name}: no {what} is doubled", not doubled, doubled[:5] or f"{len(there)} there")
        self.checks.see(f"{name}: none that was refused is there", not ghosts, ghosts[:5] or f"{len(refused)} refused")

    def settle(self):
        """All jobs are done, all rows written, all indexes as far as the store."""
        self.until("all jobs are done", lambda: self.rows("SELECT count(*) FROM tars.jobs WHERE state IN (1, 2)") == [["0"]], 120)
        questions = len(self.writers[3].sure)
        self.until("all rows of the log are written", lambda: int(self.rows(
            "SELECT count(*) FROM query_logs WHERE query_text LIKE 'How long does the battery of lamp q%'")[0][0]) >= questions, 60)

    def audit(self):
        self.settle()
        documents, jobs, turns, questions, chats = self.writers
        there = collections.Counter(name for name, in self.rows("SELECT file_name FROM tars.documents"))
        for writer, prefix in ((documents, "documents"), (jobs, "jobs")):
            self.compare(writer, collections.Counter({name: n for name, n in there.items() if name.startswith(prefix)}), "document")
        ids = [json.loads(body)["job_ids"][0] for _, body in jobs.sure]
        states = dict(self.rows("SELECT id, state FROM tars.jobs"))
        wrong = [(one, states.get(str(one).removeprefix("job_"))) for one in ids if states.get(str(one).removeprefix("job_")) != "3"]
        self.checks.see("jobs: each that was acknowledged is done", not wrong, wrong[:5] or len(ids))
        self.compare(turns, self.turns_there(), "turn")
        self.see_chats(chats)
        rows = self.rows("SELECT query_text, success FROM query_logs WHERE query_text LIKE 'How long does the battery of lamp q%'")
        doubled = [text for text, n in collections.Counter(text for text, _ in rows).items() if n > 1]
        self.checks.see("questions: one row of the log each", not doubled, doubled[:5] or f"{len(rows)} rows")
        self.compare(questions, collections.Counter(text for text, success in rows if success == "t"), "row of the log")
        self.same_everywhere([one for one, _ in documents.sure])

    def see_chats(self, chats):
        def turns(conversation):
            status, body = self.through("GET", f"/conversation/{conversation}")
            return [message["role"] for message in json.loads(body)["messages"]] if status == 200 else []
        both = ["user", "assistant"]
        lost = [one for one, _ in chats.sure if turns(one) != both]
        self.checks.see("chats: both turns of each are there, once", len(chats.sure) > 0 and not lost, lost[:5] or len(chats.sure))
        odd = [one for one in chats.unsure if turns(one) not in ([], both)]
        self.checks.see("chats: of one that broke off, both or none", not odd, odd[:5] or len(chats.unsure))

    def turns_there(self):
        found = collections.Counter()
        for conversation in {entry[0] for entry, _ in self.writers[2].sure} | {entry[0] for entry in self.writers[2].unsure}:
            status, body = self.through("GET", f"/conversation/{conversation}")
            if status == 200:
                found.update((conversation, message["id"]) for message in json.loads(body)["messages"])
        return found

    def same_everywhere(self, names):
        """A sample of the documents is found on each server."""
        for server in self.servers:
            missing = [name for name in names[:: max(1, len(names) // 20)] if not self.until(
                f"server {server.number} finds {name}", lambda at=name: at in str(server.ask(
                    "POST", "/rag/search", {"query": f"battery of lamp {at}", "top_k": 20, "relevance_threshold": 0}, timeout=30)[1]), 20)]
            self.checks.see(f"server {server.number} finds what was put in", not missing, missing[:3] or "")

    def judge_load(self):
        with open(os.path.join(self.folder, "k6.json"), encoding="utf-8") as file:
            metrics = json.load(file)["metrics"]
        count, failed = metrics["queries"]["count"], metrics["query_errors"]["passes"]
        self.checks.see("k6: at most 0.1 % of requests failed", count > 0 and failed <= max(1, MAX_FAILED * count),
                        f"{failed} of {count}; P95 {metrics['query_duration']['p(95)']:.1f} ms, longest {metrics['query_duration']['max']:.0f} ms")
        longest = metrics["query_duration"]["max"]
        self.checks.see("no search waited until the proxy gave it up", longest < self.proxy.read_s * 1000, f"{longest:.0f} ms")
        for (began, words), (ended, _) in zip(self.marks, [*self.marks[1:], (time.time(), "")]):
            seen = self.searches(began, ended)
            if seen:
                again = sum("," in upstream for _, _, upstream in seen)
                failed = collections.Counter(f"{status} ({upstream})" for _, status, upstream in seen if status != "200")
                print(f"    {words}: {len(seen)} searches, {again} tried again, failed: {dict(failed)}")

    def searches(self, began, ended):
        """(when, status, the statuses of the servers that were tried), as nginx saw them."""
        found = []
        with open(os.path.join(self.folder, "nginx-access.log"), encoding="utf-8", errors="replace") as file:
            for line in file:
                when, method, path, status = line.split()[:4]
                if path == "/rag/search" and method == "POST" and began <= float(when) < ended:
                    found.append((float(when), status, line.split('"')[3]))
        return found

    def run(self):
        self.open()
        self.say("three servers are ready")
        self.start_traffic()
        self.pause(3)
        for fault in (self.kill_one, self.stop_one, self.cut_off_one, self.restart_postgres, self.restart_redis, self.upgrade):
            fault()
        self.end_traffic()
        self.say("the ledger")
        self.judge_load()
        self.audit()


def skipped(why, full):
    """What is wanted in full must be run."""
    print(f"skipped: {why}\n0 passed, {int(full)} failed")
    return int(full)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    made = subprocess.run([os.path.join(ROOT, "tests/support/k6")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False)  # before this program has no network any more
    if made.returncode != 0:
        return skipped(f"k6 cannot be made here: {(made.stderr.strip().splitlines() or ['no word'])[-1]}", given.full)
    network = None
    try:
        network = Network()
        network.enter("hub")
    except OSError as error:
        if network:
            network.close()
        return skipped(f"network namespaces are not permitted here: {error}", given.full)
    folder = tempfile.mkdtemp(prefix="tars-replicas-")
    os.chmod(folder, 0o755)
    cluster = Cluster(network, made.stdout.strip(), folder, given.full)
    try:
        try:
            cluster.run()
        except Exception as error:
            cluster.checks.see("the test ran to its end", False, f"{type(error).__name__}: {error}")
        if cluster.checks.failed:
            for server in cluster.servers:
                print(f"--- server {server.number}\n{server.tail()}")
    finally:
        cluster.close()
        network.close()
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{cluster.checks.passed} passed, {cluster.checks.failed} failed")
    return cluster.checks.failed > 0


if __name__ == "__main__":
    sys.exit(main())
