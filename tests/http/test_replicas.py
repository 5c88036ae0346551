#!/usr/bin/env python3
"""Several servers on one PostgreSQL are equal: what one does counts on all of them."""
import glob
import os
import shutil
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from redis_server import Redis  # noqa: E402
from replicas import ReplicasTest, Server  # noqa: E402
from server import run  # noqa: E402


AWAY = "The store is not reachable; try again in a moment"


class Two(ReplicasTest):
    def test_1_a_document_put_on_one_is_found_on_the_other(self):
        a, b = self.servers
        document = self.put(a, "leave.md", "# Leave\n\nThere are 28 vacation days a year.\n")
        self.assertIn(document, a.found("vacation days"))
        self.soon(lambda: document in b.found("vacation days"))
        self.assertEqual(a.found("vacation days"), b.found("vacation days"))
        self.soon(lambda: b.metric("tars_replica_lag_changes") == 0)
        self.soon(lambda: b.metric("tars_replicas") == 2)

    def test_2_and_is_gone_when_it_is_removed_there(self):
        a, b = self.servers
        document = self.put(b, "pay.md", "# Pay\n\nWages come on the last day of a month.\n")
        self.soon(lambda: document in a.found("wages"))
        self.assertEqual(a.ask("DELETE", "/rag/document", {"document_id": document}).status, 200)
        self.assertNotIn(document, a.found("wages"))
        self.soon(lambda: document not in b.found("wages"))

    def test_3_one_leads(self):
        self.soon(lambda: sum(server.leads() for server in self.servers) == 1)

    def test_4_a_token_of_one_counts_on_the_other_until_it_is_revoked(self):
        a, b = self.servers
        token = a.sign_in("somebody")
        self.assertEqual(b.ask("GET", "/auth/me", token=token).status, 200)
        self.assertEqual(a.ask("POST", "/auth/revoke", {"token": token}, token=token).status, 200)
        self.soon(lambda: b.ask("GET", "/auth/me", token=token).status == 401)

    def test_4_a_refresh_token_that_is_sent_again_elsewhere_ends_nothing(self):
        """Its reply was lost, say, and the balancer sent it on to another server."""
        a, b = self.servers
        first = a.ask("POST", "/auth/token", {"client_id": "anyone"}).json()
        reply = a.ask("POST", "/auth/refresh", {"refresh_token": first["refresh_token"]})
        self.assertEqual(reply.status, 200, reply.body)
        access = reply.json()["access_token"]
        later = a.sign_in("a later one")
        self.assertEqual(a.ask("POST", "/auth/revoke", {"token": later}, token=later).status, 200)
        self.soon(lambda: b.ask("GET", "/auth/me", token=later).status == 401)  # B has heard of that, and so of what was before
        self.assertEqual(b.ask("POST", "/auth/refresh", {"refresh_token": first["refresh_token"]}).status, 401)
        self.assertEqual(a.ask("GET", "/auth/me", token=access).status, 200)
        self.assertEqual(b.ask("GET", "/auth/me", token=access).status, 200)

    def test_5_who_does_not_share_is_refused(self):
        other = os.path.join(self.servers[0].data, "other")
        os.mkdir(other)
        done = run("search", "vacation", data=other, code=None, **{**self.shared, "STORE_SHARED": "false"})
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("in use by process", done.stderr)
        done = run("search", "vacation", data=other, code=None, STORE_SHARED="true")
        self.assertIn("STORE_SHARED is true and STORE is sqlite", done.stderr)

    def test_5_who_has_no_model_is_refused(self):
        """It would take documents in that have no vectors."""
        self.put(self.servers[0], "model.md", "# Model\n\nThis one has a vector.\n")
        with self.assertRaises(AssertionError) as refused:
            Server({**self.shared, "EMBED_MODEL": "nowhere"}).close()
        self.assertIn("the servers that share the store embed with", str(refused.exception))
        self.assertIn("no embedding model nowhere", str(refused.exception))

    def test_5_who_cuts_otherwise_says_so(self):
        """And comes in all the same, so that a setting can be changed on one after the other."""
        otherwise = {**self.shared, "SEMANTIC_CHUNK_MAX": "600", "EMBED_PRECISION": "fp32"}
        third = Server(otherwise)
        try:
            self.soon(lambda: third.ask("GET", "/ready").status == 200)
            self.assertEqual(third.stop(), 0)  # so the others no longer hear of it
        finally:
            third.close()
        told = [line for line in third.lines if "documents come out differently" in line]
        self.assertEqual(len(told), 1, third.lines)
        self.assertIn("SEMANTIC_CHUNK_MAX is 800 on ", told[0])
        self.assertIn(" and 600 here", told[0])
        self.assertIn("EMBED_PRECISION is int8 on ", told[0])
        for server in self.servers:
            self.assertFalse([line for line in server.lines if "documents come out differently" in line])
        told = self.doctor(otherwise)
        self.assertIn("settings of all", told)
        self.assertIn("SEMANTIC_CHUNK_MAX is 800 on ", told)

    def test_6_doctor_says_who_shares_it(self):
        self.soon(lambda: "2 other servers use it" in self.doctor(self.shared))
        told = self.doctor(self.shared)
        self.assertNotIn("settings of all", told)

    def doctor(self, settings):
        with tempfile.TemporaryDirectory() as data:
            return run("doctor", data=data, code=None, **settings).stdout

    def test_7_an_upgrade_goes_one_after_the_other(self):
        """The next version, as it leaves the tables: a column more, and that this program may go on."""
        a, b = self.servers
        self.postgres.query("ALTER TABLE tars.documents ADD COLUMN mood text NOT NULL DEFAULT 'good'")
        self.postgres.query("INSERT INTO tars.migrations (version, name) VALUES (9999, 'next')")
        first = self.put(a, "during.md", "# During\n\nThe tables have just grown.\n")
        self.assertEqual(b.stop(), 0)
        b.start()
        self.assertIn(first, b.found("tables have grown"))
        second = self.put(b, "after.md", "# After\n\nBoth are at work again.\n")
        self.soon(lambda: second in a.found("both at work again"))
        # And the version after it, which has removed what this one needs.
        self.postgres.query("UPDATE tars.meta SET value = '9999' WHERE key = 'schema.reader'")
        self.assertEqual(b.stop(), 0)
        self.assertRaises(AssertionError, b.start)
        b.end()
        self.assertTrue(any("use the newer program" in line for line in b.lines), b.lines)


class Many(ReplicasTest):
    """A third that comes later, dies, and what it was at."""
    count = 2

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tars-shared-")
        cls.settings = {"SNAPSHOT_DIR": cls.folder, "NAS_MOUNT_POINT": cls.folder + "/nas", "NAS_WATCH_ENABLED": "true",
                        "NAS_SCAN_INTERVAL": "3600", "SEMANTIC_CHUNK_MIN": "16", "SEMANTIC_CHUNK_MAX": "32"}
        os.mkdir(cls.folder + "/nas")
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        shutil.rmtree(cls.folder)

    def leader(self):
        self.soon(lambda: sum(server.leads() for server in self.servers) == 1, 60, "one leader")
        return next(server for server in self.servers if server.leads())

    def files(self):
        return int(self.rows("SELECT count(*) FROM tars.files WHERE path LIKE '%/nas/%' AND indexed_us > 0")[0][0])

    def test_1_the_leader_alone_sees_to_the_folder(self):
        self.leader()
        for i in range(5):
            with open(f"{self.folder}/nas/note-{i}.md", "w", encoding="utf-8") as file:
                file.write(f"# Note {i}\n\nNumber {i} is about gardens.\n")
        self.soon(lambda: self.files() == 5, 60, "the folder")
        self.assertEqual(self.rows("SELECT count(*) FROM tars.jobs WHERE path LIKE '%/nas/%'"), [["5"]])
        for server in self.servers:
            self.soon(lambda s=server: s.found("gardens"))

    def test_2_jobs_are_everybodys(self):
        a, b = self.servers
        reply = a.upload([("later.md", b"# Later\n\nThis one is slow.\n")])
        job = reply.json().get("job_id") or self.rows("SELECT max(id) FROM tars.jobs")[0][0]
        for server in (a, b):
            reply = server.ask("GET", f"/rag/jobs/{job}")
            self.assertEqual(reply.status, 200, reply.body)
            self.assertIn(str(job), [str(j["id"]) for j in server.ask("GET", "/rag/jobs").json()["jobs"]])

    def test_3_a_job_is_cancelled_through_any(self):
        a, b = self.servers
        self.postgres.query("INSERT INTO tars.jobs (kind, collection, path, not_before_us) SELECT 'ingest', collection, "
                            "'/nowhere/x.md', 9000000000000000 FROM tars.jobs LIMIT 1")
        job = self.rows("SELECT max(id) FROM tars.jobs")[0][0]
        self.assertEqual(b.ask("DELETE", f"/rag/jobs/{job}").status, 200)
        self.assertEqual(self.rows(f"SELECT state FROM tars.jobs WHERE id = {job}"), [["5"]])
        self.assertEqual(a.ask("GET", f"/rag/jobs/{job}").json()["state"], "cancelled")

    def test_4_who_comes_new_begins_with_the_leaders_snapshot(self):
        leader = self.leader()
        for i in range(40):  # more than a save is worth
            with open(f"{self.folder}/nas/many-{i}.md", "w", encoding="utf-8") as file:
                for k in range(8):
                    file.write(f"# Part {k} of {i}\n\nParagraph {k} of {i} is about the weather and the tides, "
                               "and about how the two of them are measured by day.\n\n")
        self.soon(lambda: self.files() == 45, 120, "the folder")
        self.soon(lambda: glob.glob(self.folder + "/index-*/index.tars"), 60, "a shared snapshot")
        new = Server(self.shared)
        new.token = self.token
        self.servers.append(new)
        self.said(new, "begins with the shared snapshot")
        self.assertEqual(new.found("weather and tides"), leader.found("weather and tides"))
        self.soon(lambda: new.texts() == leader.texts())

    @staticmethod
    def damage(path):
        """A byte in the midst is another; which file that was."""
        with open(path, "r+b") as file:
            size = os.path.getsize(path)
            file.seek(size // 2)
            byte = file.read(1)
            file.seek(size // 2)
            file.write(bytes([byte[0] ^ 0xff]))
            return os.fstat(file.fileno()).st_ino

    def test_5_a_damaged_snapshot_is_refused(self):
        path, = glob.glob(self.folder + "/index-*/index.tars")
        for server in self.servers:
            self.assertEqual([line for line in server.lines if "is not used" in line], [])
        for _ in range(5):
            damaged = self.damage(path)
            new = Server(self.shared)
            new.token = self.token
            try:
                if os.stat(path).st_ino != damaged:
                    continue  # the leader has put a whole one there meanwhile
                self.said(new, "the shared snapshot is not used")
                self.assertEqual(new.found("weather and tides"), self.servers[0].found("weather and tides"))
                return
            finally:
                new.stop()
                new.close()
        self.fail("the leader writes its snapshot again and again")

    def test_6_a_job_of_one_that_died_is_taken_over(self):
        dead = self.servers[-1]
        name = next(row[0] for row in self.rows("SELECT name FROM tars.instances")
                    if self.rows(f"SELECT pid FROM tars.instances WHERE name = '{row[0]}'") == [[str(dead.process.pid)]])
        dead.kill()
        with open(f"{self.folder}/orphan.md", "w", encoding="utf-8") as file:
            file.write("# Orphan\n\nIt was left by one that died.\n")
        # As it left it: claimed, and not ended.
        self.postgres.query("INSERT INTO tars.jobs (kind, collection, path, state, owner, attempts) SELECT 'ingest', "
                            f"collection, '{self.folder}/orphan.md', 2, '{name}', 1 FROM tars.jobs LIMIT 1")
        self.servers.remove(dead)
        dead.close()
        self.soon(lambda: self.rows("SELECT count(*) FROM tars.files WHERE path LIKE '%orphan.md' AND indexed_us > 0")
                  == [["1"]], 60, "the job of the dead")
        self.soon(lambda: self.servers[0].found("left by one that died"))

    def test_7_leadership_passes(self):
        leader = self.leader()
        leader.kill()
        left, = (server for server in self.servers if server is not leader)
        self.soon(left.leads, 60)
        with open(f"{self.folder}/nas/last.md", "w", encoding="utf-8") as file:
            file.write("# Last\n\nFound by who leads now.\n")
        self.soon(lambda: left.found("found by who leads now"), 60)
        leader.start()


class Limits(ReplicasTest):
    """Requests and failed sign-ins are counted by all servers together, in Redis."""
    limit = 20

    @classmethod
    def setUpClass(cls):
        cls.redis = Redis()
        cls.addClassCleanup(cls.redis.stop)
        cls.settings = {**cls.redis.settings(), "RATE_LIMIT_PER_MINUTE": str(cls.limit), "TARS_AUTH": "open"}
        super().setUpClass()

    def counted_together(self, expected):
        for server in self.servers:
            self.soon(lambda s=server: s.metric("tars_replica_limits_shared") == expected, 60)

    def told(self, words):
        """How often each has logged them."""
        return [len([line for line in server.lines if words in line]) for server in self.servers]

    def asks(self, server, token):
        return server.ask("GET", "/auth/me", token=token)

    def spend(self, servers, token):
        """One after the other until all refuse; how many passed."""
        passed = 0
        for turn in range(3 * self.limit):
            reply = self.asks(servers[turn % len(servers)], token)
            self.assertIn(reply.status, (200, 429), reply.body)
            self.assertEqual(reply.headers["X-RateLimit-Limit"], str(self.limit))
            passed += reply.status == 200
        refused = [self.asks(server, token) for server in servers]
        for reply in refused:
            self.assertEqual(reply.status, 429)
            self.assertEqual(reply.headers["X-RateLimit-Remaining"], "0")
            self.assertGreater(int(reply.headers["Retry-After"]), 0)
        return passed

    def test_1_a_limit_is_of_all_servers(self):
        a, b = self.servers
        self.counted_together(1)
        token = a.sign_in("one")
        for _ in range(self.limit):
            self.assertEqual(self.asks(a, token).status, 200)
        self.assertEqual(self.asks(a, token).status, 429)
        # Nobody has asked there yet for this caller, and it is heard all the same. What asks counts, until it is refused.
        took = self.soon(lambda: self.asks(b, token).status == 429)
        self.assertLess(took, 30)  # well within the minute that is counted
        self.assertEqual(self.asks(b, b.sign_in("another")).status, 200)
        for key in self.redis.keys("tars:limit:*"):
            self.assertGreater(int(self.redis.cli("PTTL", key)), 0)
            self.assertNotIn("one", self.redis.cli("HGETALL", key).split())

    def test_2_and_without_redis_of_each(self):
        a, b = self.servers
        self.counted_together(1)
        token = a.sign_in("two")
        before = self.told("counts its rate limits alone")
        self.redis.kill()
        try:
            self.counted_together(0)
            self.assertGreaterEqual(self.spend((a, b), token), 2 * self.limit)
            self.soon(lambda: self.told("counts its rate limits alone") == [count + 1 for count in before])
        finally:
            self.redis.restart()
        self.counted_together(1)
        token = b.sign_in("three")
        for _ in range(self.limit):
            self.assertEqual(self.asks(b, token).status, 200)
        self.soon(lambda: self.asks(a, token).status == 429)
        self.soon(lambda: self.told("counted by all servers again")[0] > 0)


class SignIns(ReplicasTest):
    @classmethod
    def setUpClass(cls):
        cls.redis = Redis()
        cls.addClassCleanup(cls.redis.stop)
        cls.settings = cls.redis.settings()
        super().setUpClass()

    def test_failures_are_counted_by_all_servers(self):
        a, b = self.servers
        for server in (a, b):
            self.soon(lambda s=server: s.metric("tars_replica_limits_shared") == 1, 60)
        made = a.ask("POST", "/admin/users", {"name": "carol", "secret": "correct horse battery"})
        self.assertEqual(made.status, 201, made.body)
        right = {"client_id": "carol", "client_secret": "correct horse battery"}
        self.soon(lambda: b.ask("POST", "/auth/token", {"client_id": "carol"}, token="").status == 401)
        self.assertEqual(b.ask("POST", "/auth/token", right, token="").status, 200)
        said = [server.ask("POST", "/auth/token", {**right, "client_secret": "hers?"}, token="").status
                for _ in range(12) for server in (a, b)]
        # Ten pass, the one or more above among them: each is settled with the other server before it is looked at, as far as
        # Redis answers in its time. Counted by each alone, nineteen would.
        self.assertLess(said.count(401), 19)
        self.assertGreater(said.count(401), 4)
        self.assertEqual(set(said[-4:]), {429})


class Vectors(ReplicasTest):
    """Vectors in a server: who leads writes them, all search them."""
    vectors = True
    settings = {"VECTOR_BACKEND": "pgvector", "VECTOR_TIMEOUT_MS": "20000", "CACHE_MEMORY_MB": "0"}

    def written(self, server):
        return server.metric('rag_vectors_written_total{backend="pgvector"}')

    def nearest(self, server, words):
        reply = server.ask("POST", "/rag/search", {"query": words, "top_k": 1, "relevance_threshold": 0})
        self.assertEqual(reply.status, 200, reply.body)
        self.assertNotIn("degraded", reply.json())
        best = reply.json()["results"][0]
        return best["document_id"], best["metadata"]["vector_score"] > 0.1

    def in_step(self, server):
        return server.metric('rag_vectors_behind_changes{backend="pgvector"}') == 0

    def test_who_leads_writes_them(self):
        self.soon(lambda: sum(server.leads() for server in self.servers) == 1)
        leader, other = sorted(self.servers, key=Server.leads, reverse=True)
        fruit = self.put(leader, "orchard.txt", "Apples ripen late in the northern orchard, pears before them.")
        ships = self.put(other, "harbour.txt", "The harbour master counts the ships that come in at dawn.")
        for server in self.servers:
            self.soon(lambda s=server: self.nearest(s, "vessels that arrive at the port at sunrise") == (ships, True))
            self.soon(lambda s=server: self.nearest(s, "fruit that is picked in autumn") == (fruit, True))
            self.soon(lambda s=server: self.in_step(s))
        self.soon(lambda: self.written(leader) >= 2)
        self.assertEqual(self.written(other), 0)
        self.assertEqual(self.rows("SELECT count(*) FROM tars_vectors.windows"), self.rows(
            "SELECT expected FROM tars_vectors.state"))
        leader.kill()
        self.soon(other.leads, 60)
        bread = self.put(other, "bakery.txt", "The bakery opens at six and sells rye bread until noon.")
        self.soon(lambda: self.nearest(other, "where can one buy a loaf in the morning") == (bread, True))
        self.soon(lambda: self.written(other) > 0)
        # Who comes back finds all of it there, writes nothing and does not fill it again.
        leader.start()
        self.soon(lambda: self.nearest(leader, "where can one buy a loaf in the morning") == (bread, True))
        self.assertEqual(self.nearest(leader, "fruit that is picked in autumn"), (fruit, True))
        self.assertEqual(self.written(leader), 0)
        for server in self.servers:
            self.assertEqual(server.metric('rag_vectors_rebuilds_total{backend="pgvector"}'), 0)


class Roles(ReplicasTest):
    count = 1
    settings = {"TARS_ROLE": "serve"}

    def test_workers_take_in_what_servers_are_sent(self):
        server, = self.servers
        worker = Server({**self.shared, "TARS_ROLE": "ingest"})
        worker.token = self.token
        self.servers.append(worker)
        document = self.put(server, "leave.md", "# Leave\n\nThere are 28 vacation days a year.\n")
        self.assertIn(document, server.found("vacation days"))
        refused = worker.ask("POST", "/rag/search", {"query": "vacation days"})
        self.assertEqual(refused.status, 503, refused.body)
        self.soon(lambda: worker.ask("GET", "/ready").status == 200)
        self.assertEqual(worker.metric("tars_replica_lag_changes"), 0)
        self.soon(server.leads)
        self.assertFalse(worker.leads())
        other = os.path.join(server.data, "other")
        os.mkdir(other)
        done = run("serve", "--port", "0", data=other, code=None, TARS_ROLE="ingest")
        self.assertIn("TARS_ROLE is ingest and STORE_SHARED is false", done.stderr)


class Outage(ReplicasTest):
    """PostgreSQL goes, and comes back."""

    def setUp(self):
        for server in self.servers:
            self.soon(lambda s=server: s.ask("GET", "/ready").status == 200, 60)

    def test_searches_are_answered_while_postgresql_is_away(self):
        a, b = self.servers
        document = self.put(a, "leave.md", "# Leave\n\nThere are 28 vacation days a year.\n")
        self.soon(lambda: document in b.found("vacation days"))
        before = b.ask("POST", "/rag/search", {"query": "vacation days", "relevance_threshold": 0}).json()["results"]
        self.soon(lambda: a.texts() == b.texts() == int(self.rows("SELECT count(*) FROM tars.documents")[0][0]))
        self.postgres.stop()
        try:
            for server in self.servers:
                self.soon(lambda s=server: s.ask("GET", "/ready").status == 503)
                reply = server.ask("GET", "/ready").json()
                self.assertIn("store", reply["degraded"])
                self.assertTrue(reply["reason"])
                self.assertNotIn(str(self.postgres.port), reply["reason"])
                self.assertEqual(server.ask("GET", "/health").status, 200)
                self.assertIn(document, server.found("vacation days"))
                self.assertIn(document, server.found("vacation", filters={"file_type": "md"}))
            after = b.ask("POST", "/rag/search", {"query": "vacation days", "relevance_threshold": 0}).json()["results"]
            self.assertEqual(before, after)
            refused = a.upload([("new.md", b"# New\n\nSomething else.\n")])
            self.assertEqual(refused.status, 503, refused.body)
            self.assertTrue(refused.headers["Retry-After"])
            self.assertEqual(refused.json()["detail"], AWAY)
            self.said(a, str(self.postgres.port))
            refused = a.ask("DELETE", "/rag/document", {"document_id": document})
            self.assertEqual(refused.status, 503, refused.body)
            self.assertTrue(refused.headers["Retry-After"])
            message = {"id": "m", "role": "user", "content": "Hello", "timestamp": "2026-01-01T00:00:00"}
            refused = a.ask("POST", "/conversation/message", {"conversation_id": "c", "message": message})
            self.assertEqual(refused.status, 503, refused.body)
            self.assertTrue(refused.headers["Retry-After"])
            self.assertIn("Failed to save message", refused.json()["detail"])
            answered = a.ask("POST", "/rag/query", {"query": "vacation days", "conversation_id": "c"}).json()
            self.assertEqual(answered["degraded"], "not yet kept in the conversation")
            self.soon(lambda: sum(server.leads() for server in self.servers) == 0)
            # What a cut-off server knows may not be so any more: it lets nobody new in.
            refused = a.ask("POST", "/auth/token", {"client_id": "somebody"})
            self.assertEqual(refused.status, 503, refused.body)
            self.assertTrue(refused.headers["Retry-After"])
        finally:
            self.postgres.start()
        for server in self.servers:
            self.soon(lambda s=server: s.ask("GET", "/ready").status == 200, 60)
        said = lambda: [m["content"] for m in b.ask("GET", "/conversation/c").json().get("messages", [])]
        self.soon(lambda: len(said()) == 2, what="the turn that had waited")
        self.assertEqual(said()[0], "vacation days")
        later = None
        def put():
            nonlocal later
            later = self.put(a, "pay.md", "# Pay\n\nWages come on the last day of a month.\n")
            return True
        self.soon(put, 60)
        self.soon(lambda: later in b.found("wages"))
        self.soon(lambda: sum(server.leads() for server in self.servers) == 1)

    def test_a_turn_outlives_the_server_that_keeps_it(self):
        """But not where its conversation was deleted through another one meanwhile."""
        a, b = self.servers
        asked = {"query": "moon air", "conversation_id": "moon", "relevance_threshold": 0}
        gone = {**asked, "conversation_id": "gone"}
        document = self.put(a, "moon.md", "# Moon\n\nThe moon has no air and no water.\n")
        self.soon(lambda: document in a.found("moon air"))
        self.soon(lambda: a.texts() == int(self.rows("SELECT count(*) FROM tars.documents")[0][0]))
        self.assertIsNone(a.ask("POST", "/rag/query", gone).json()["degraded"])
        self.postgres.stop()
        try:
            self.soon(lambda: a.ask("GET", "/ready").status == 503)
            for question in (gone, asked):
                reply = a.ask("POST", "/rag/query", question)
                self.assertEqual(reply.status, 200, reply.body)
                self.assertEqual(reply.json()["degraded"], "not yet kept in the conversation")
            a.kill()
        finally:
            self.postgres.start()
        self.soon(lambda: b.ask("DELETE", "/conversation/gone").status == 200)
        a.start()
        said = lambda: [m["content"] for m in b.ask("GET", "/conversation/moon").json().get("messages", [])]
        self.soon(lambda: said() == ["moon air", reply.json()["answer"]], 60, "the turn that had waited")
        self.soon(lambda: not glob.glob(os.path.join(a.data, "turns*", "*")))
        self.assertEqual(b.ask("GET", "/conversation/gone").status, 404)

    def test_and_while_it_hangs(self):
        a, b = self.servers
        document = self.put(a, "tides.md", "# Tides\n\nThe tide turns twice a day.\n")
        self.soon(lambda: document in b.found("tide turns"))
        self.postgres.pause()
        try:
            for server in self.servers:
                self.soon(lambda s=server: s.ask("GET", "/ready").status == 503)
                self.assertIn(document, server.found("tide turns twice"))
            self.soon(lambda: a.upload([("new.md", b"# New\n\nSomething else.\n")]).status == 503)
        finally:
            self.postgres.resume()
        for server in self.servers:
            self.soon(lambda s=server: s.ask("GET", "/ready").status == 200, 60)


class Past(ReplicasTest):
    """What a server knew is no longer so."""
    count = 1
    settings = {"STORE_OFFLINE_SECONDS": "3"}

    def search(self):
        return self.servers[0].ask("POST", "/rag/search", {"query": "vacation days", "relevance_threshold": 0})

    def test_1_what_is_known_is_relied_on_for_a_while(self):
        server, = self.servers
        document = self.put(server, "leave.md", "# Leave\n\nThere are 28 vacation days a year.\n")
        self.postgres.stop()
        try:
            self.soon(lambda: self.search().status == 503)
            refused = self.search()
            self.assertIn("no longer relies on what it knew", refused.body.decode())
            self.assertTrue(refused.headers["Retry-After"])
            self.assertEqual(server.ask("GET", "/health").status, 200)
            self.assertEqual(server.ask("GET", "/ready").status, 503)
            self.assertEqual(server.ask("GET", "/auth/me").status, 503)
        finally:
            self.postgres.start()
        self.soon(lambda: document in server.found("vacation days"), 60)
        self.soon(lambda: server.ask("GET", "/ready").status == 200, 60)  # searches come back first, writes later

    def test_2_a_database_that_goes_back_is_noticed(self):
        server, = self.servers
        kept = self.put(server, "kept.md", "# Kept\n\nThis one stays.\n")
        self.put(server, "lost.md", "# Lost\n\nThis one is given up.\n")
        # Longer than a look, so that it has seen that.
        self.soon(lambda: server.metric("tars_replica_lag_changes") == 0)
        seq = self.rows("SELECT seq FROM tars.counters")[0][0]
        self.soon(lambda: self.postgres.query("SELECT 1") and server.found("given up"))
        time.sleep(2)
        first, = self.rows("SELECT passage_first FROM tars.documents WHERE file_name = 'lost.md'")[0]
        self.postgres.query(f"DELETE FROM tars.passages WHERE id >= {first}; "
                            "DELETE FROM tars.documents WHERE file_name = 'lost.md'; "
                            "DELETE FROM tars.files WHERE path LIKE '%lost.md'; "
                            f"DELETE FROM tars.changes WHERE seq = {seq}; "
                            f"UPDATE tars.counters SET seq = {seq} - 1, passage = {first} - 1")
        self.soon(lambda: self.search().status == 503)
        self.assertIn("must be started again", self.search().body.decode())
        self.assertEqual(server.ask("GET", "/health").status, 503)
        self.assertIn("went back", server.ask("GET", "/ready").json()["reason"])
        self.said(server, "the database went back")
        server.stop()
        self.assertEqual(glob.glob(os.path.join(server.data, "index-*", "index.tars")), [])  # it was not saved
        server.start()
        self.assertIn(kept, server.found("this one stays"))
        self.assertEqual(server.ask("GET", "/health").status, 200)


if __name__ == "__main__":
    unittest.main()
