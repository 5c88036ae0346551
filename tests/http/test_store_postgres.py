"""Documents, accounts and conversations in PostgreSQL: a real server, the real program.

It takes in, searches, talks, forgets and starts again as with a file; only one server has the store; a database that is
away costs no start that waits for it."""
import concurrent.futures
import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from ports import free_port
from postgres import USER, Postgres, unprivileged
from server import SAMPLES, ServerTest, run

QUESTION = {"query": "How many days of vacation are there?", "relevance_threshold": 0}


class StoreTest(ServerTest):
    """A database of its own for each class."""
    pooled = "false"
    more = {}

    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres()
        cls.settings = {**cls.postgres.environment(POSTGRES_ENABLED="false"), "STORE": "postgres",
                        "STORE_POOLER": cls.pooled, **cls.more}
        try:
            super().setUpClass()
            cls.token = cls.sign_in()
        except BaseException:
            cls.postgres.close()
            raise

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            cls.postgres.close()

    def rows(self, sql):
        return self.postgres.query(sql)

    def found(self):
        reply = self.ask("POST", "/rag/search", {"query": "vacation days", "top_k": 3, "relevance_threshold": 0})
        self.assertEqual(reply.status, 200, reply.body)
        return [source["chunk_id"] for source in reply.json()["results"]]


class Session(StoreTest):
    def test_1_documents_come_in_and_are_found(self):
        reply = self.upload([("leave.md", b"# Leave\n\nThere are 28 vacation days a year.\n"),
                             ("pay.md", b"# Pay\n\nWages are paid on the last day of a month.\n")])
        self.assertIn(reply.status, (200, 201), reply.body)
        self.assertTrue(self.found())
        self.assertEqual(self.rows("SELECT count(*) FROM tars.documents"), [["2"]])
        self.assertEqual(self.rows("SELECT seq FROM tars.counters"),
                         self.rows("SELECT max(seq) FROM tars.changes"))
        self.assertFalse(os.path.exists(os.path.join(self.data, "tars.db")))

    def test_2_what_is_said_is_kept(self):
        reply = self.ask("POST", "/rag/query", QUESTION)
        self.assertEqual(reply.status, 200, reply.body)
        self.assertIn("28", reply.json()["answer"])
        said = {"id": "m1", "role": "user", "content": "Good morning", "timestamp": "2025-11-07T12:00:00"}
        reply = self.ask("POST", "/conversation/message", {"conversation_id": "c1", "message": said})
        self.assertEqual(reply.status, 200, reply.body)
        self.assertEqual(self.rows("SELECT m.content FROM tars.messages m"), [["Good morning"]])
        self.assertEqual(self.ask("GET", "/ready").json()["status"], "ready")

    def test_3_all_is_there_after_a_crash(self):
        before = self.found()
        self.process.kill()
        self.process.wait(timeout=60)
        self.process.stdout.close()
        self.start()  # at once: the folder has its name
        self.assertEqual(self.found(), before)

    def test_4_one_server_has_the_store(self):
        other = os.path.join(self.data, "other")
        os.mkdir(other)
        done = run("search", "vacation", data=other, code=None, **self.settings)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("in use by process", done.stderr)

    def test_5_commands_use_it_too(self):
        self.stop()
        try:
            run("ingest", os.path.join(SAMPLES, "handbook"), data=self.data, **self.settings)
            done = run("doctor", data=self.data, code=None, **self.settings)
            self.assertIn("documents", done.stdout)
            done = run("backup", os.path.join(self.data, "copy"), data=self.data, code=None, **self.settings)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("docs/backup.md", done.stderr)
        finally:
            self.start()
        self.assertGreater(int(self.rows("SELECT count(*) FROM tars.documents")[0][0]), 2)

    def test_6_forgetting_reaches_the_database(self):
        document, before = self.rows("SELECT document_id, (SELECT count(*) FROM tars.documents) FROM tars.documents "
                                     "WHERE file_name = 'leave.md'")[0]
        reply = self.ask("DELETE", "/rag/document", {"document_id": document})
        self.assertEqual(reply.status, 200, reply.body)
        self.assertEqual(self.rows("SELECT count(*) FROM tars.documents"), [[str(int(before) - 1)]])

    def test_7_away_it_is_said_so_and_back_it_is_used(self):
        self.postgres.stop()
        reply = self.upload([("new.md", b"# New\n\nSomething else.\n")])
        self.assertGreaterEqual(reply.status, 500, reply.body)
        self.postgres.start()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if self.upload([("new.md", b"# New\n\nSomething else.\n")]).status in (200, 201):
                break
            time.sleep(0.2)
        self.assertEqual(self.rows("SELECT count(*) FROM tars.files WHERE path LIKE '%new.md'"), [["1"]])


class Full(StoreTest):
    """One connection, and somebody has it."""
    more = {"POSTGRES_POOL_SIZE": "1", "POSTGRES_MAX_OVERFLOW": "0", "POSTGRES_TIMEOUT_MS": "1500"}

    @contextlib.contextmanager
    def locked(self, table):
        holder = subprocess.Popen([os.path.join(self.postgres.bin, "psql"), "-X", "-q", "-h", self.postgres.dir, "-p",
                                   str(self.postgres.port), "-U", "postgres", "-d", self.postgres.database, "-f", "-"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            holder.stdin.write(f"BEGIN;\nLOCK TABLE {table} IN ACCESS EXCLUSIVE MODE;\n\\echo locked\n")
            holder.stdin.flush()
            self.assertEqual(holder.stdout.readline(), "locked\n")
            yield
        finally:
            holder.stdin.close()  # its transaction ends
            holder.wait(timeout=60)
            holder.stdout.close()

    def await_row(self, sql):
        deadline = time.monotonic() + 60
        while not self.rows(sql):
            self.assertLess(time.monotonic(), deadline, sql)
            time.sleep(0.02)

    def test_an_administrator_is_told_to_come_again(self):
        """As everybody is: it is no conflict with what is there."""
        with open(os.path.join(self.data, "server.json"), encoding="utf-8") as file:
            owner = {"X-Tars-Owner": json.load(file)["token"]}
        account = {"name": "ada", "role": "writer", "secret": "long enough for it"}
        said = {"conversation_id": "c1", "message": {"id": "m1", "role": "user", "content": "Good morning",
                                                     "timestamp": "2025-11-07T12:00:00"}}
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            with self.locked("tars.conversations"):
                waits = pool.submit(self.ask, "POST", "/conversation/message", said)
                self.await_row("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
                reply = self.ask("POST", "/admin/users", account, headers=owner, token="")
            self.assertEqual(reply.status, 503, reply.body)
            self.assertIn("Retry-After", reply.headers)
            self.assertIn("try again", reply.json()["detail"])
            waits.result()
        self.assertEqual(self.ask("POST", "/admin/users", account, headers=owner, token="").status, 201)
        self.assertEqual(self.ask("POST", "/admin/users", account, headers=owner, token="").status, 409)


class Pooler:
    """pgbouncer before a database, which lends two connections by transaction."""

    def __init__(self, postgres):
        self.dir = tempfile.mkdtemp(prefix="tars-pgbouncer-")
        self.port = free_port()
        wrapper = []
        if os.geteuid() == 0:
            user = unprivileged()
            os.chown(self.dir, user.pw_uid, user.pw_gid)
            wrapper = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        path = os.path.join(self.dir, "pgbouncer.ini")
        with open(path, "w", encoding="ascii") as file:
            file.write(f"[databases]\n* = host=127.0.0.1 port={postgres.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
                       f"listen_port = {self.port}\nunix_socket_dir =\nauth_type = trust\n"
                       f"auth_file = {self.dir}/users\npool_mode = transaction\ndefault_pool_size = 2\n")
        with open(os.path.join(self.dir, "users"), "w", encoding="ascii") as file:
            file.write(f'"{USER}" ""\n')
        self.process = subprocess.Popen([*wrapper, shutil.which("pgbouncer") or "/usr/sbin/pgbouncer", "-q", path],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise RuntimeError("pgbouncer did not start")

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=60)
        shutil.rmtree(self.dir)


class Pooled(StoreTest):
    pooled = "true"

    @classmethod
    def start(cls):
        cls.pooler = Pooler(cls.postgres)
        cls.settings["POSTGRES_PORT"] = str(cls.pooler.port)
        super().start()

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            cls.pooler.close()

    def test_a_session(self):
        def upload(i):
            return self.upload([(f"{i}.md", f"# Leave {i}\n\nThere are {i} vacation days a year.\n".encode())]).status

        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            self.assertEqual(set(pool.map(upload, range(12))), {201})
        self.assertTrue(self.found())
        self.assertEqual(self.rows("SELECT seq FROM tars.counters"), [["12"]])
        self.assertLessEqual(int(self.rows("SELECT count(*) FROM pg_stat_activity WHERE usename = 'tars'")[0][0]), 2)


class Moved(unittest.TestCase):
    """A data folder goes into PostgreSQL and back, and answers as before."""

    def test_there_and_back(self):
        with Postgres() as postgres:
            data = tempfile.mkdtemp(prefix="tars-moved-")
            back = tempfile.mkdtemp(prefix="tars-moved-")
            settings = postgres.environment(POSTGRES_ENABLED="false")
            try:
                run("ingest", SAMPLES, data=data)
                before = self.search(data)
                there = self.move("sqlite", "postgres", data, settings)
                self.assertGreater(there["documents"], 2)
                self.assertEqual(self.move("sqlite", "postgres", data, settings), there)  # nothing is left to do
                self.assertEqual(self.search(data, STORE="postgres", **settings), before)
                self.assertEqual(self.move("postgres", "sqlite", back, settings), there)
                self.assertEqual(self.search(back), before)
                self.assertEqual(self.search(data), before)
                run("migrate", "--from", "sqlite", data=data, code=2, **settings)
                run("migrate", "--from", "sqlite", "--to", "sqlite", data=data, code=2, **settings)
            finally:
                shutil.rmtree(data)
                shutil.rmtree(back)

    def test_a_role_that_may_make_nothing_is_told_what_to_look_at(self):
        with Postgres() as postgres:
            data = tempfile.mkdtemp(prefix="tars-moved-")
            settings = postgres.environment(POSTGRES_ENABLED="false", STORE="postgres", POSTGRES_USER="weak")
            postgres.query("CREATE ROLE weak LOGIN")
            try:
                done = run("serve", data=data, code=3, **settings)
                self.assertIn("permission denied for database", done.stderr)
                done = run("doctor", data=data, code=1, **settings)
                told, remedy = done.stdout.split("] store", 1)[1].splitlines()[:2]
                self.assertIn("permission denied for database", told)
                self.assertIn("docs/postgresql.md", remedy)
            finally:
                shutil.rmtree(data)

    def move(self, source, target, data, settings):
        return json.loads(run("migrate", "--from", source, "--to", target, "--json", data=data, **settings).stdout)

    def search(self, data, **more):
        found = json.loads(run("search", "vacation days", "--json", data=data, **more).stdout)
        return [(result["chunk_id"], round(result["similarity_score"], 3)) for result in found["results"]]


class Start(unittest.TestCase):
    def test_it_waits_for_a_database_that_comes_later(self):
        class Late(StoreTest):
            @classmethod
            def start(cls):
                cls.settings["START_WAIT_SECONDS"] = "120"
                cls.postgres.stop()
                starting = threading.Thread(target=super().start)
                starting.start()
                time.sleep(1)
                cls.postgres.start()  # here: it goes with the thread that started it
                starting.join()

        Late.setUpClass()
        try:
            self.assertEqual(Late("found").found(), [])
        finally:
            Late.tearDownClass()


if __name__ == "__main__":
    unittest.main()
