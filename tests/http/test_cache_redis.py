"""What is kept in Redis: shared by servers, found again after a restart, never stale, never another's, and never
in the way: whatever becomes of Redis, searches go on."""
import json
import os
import sys
import threading
import time
import unittest

from server import ROOT, ServerTest, eventually, run
from test_rights_matrix import Rights

sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from redis_server import Redis  # noqa: E402

OPEN = {"RATE_LIMIT_PER_MINUTE": "0", "TARS_AUTH": "open"}


class Asking:
    """What these tests ask of a server."""

    @classmethod
    def put(cls, name, text):
        reply = cls.upload([(name, text.encode())])
        if reply.status != 201:
            raise AssertionError(reply.body)
        return reply.json()["document_id"]

    @classmethod
    def search(cls, query, **more):
        reply = cls.ask("POST", "/rag/search", {"query": query, **more})
        if reply.status != 200:
            raise AssertionError(f"{reply.status} {reply.body}")
        return reply.json()

    @classmethod
    def info(cls):
        return cls.ask("GET", "/admin/cache").json()

    @classmethod
    def redis_state(cls):
        return cls.ask("GET", "/ready").json()["checks"]["redis_cache"]

    @classmethod
    def samples(cls):
        text = cls.ask("GET", "/metrics/prometheus").body.decode()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in text.splitlines() if line and not line.startswith("#")}


class RedisTest(Asking, ServerTest):
    more_settings = {}

    @classmethod
    def setUpClass(cls):
        cls.redis = Redis()
        # What counts hits and failures is not about a Redis that a busy machine keeps from answering in time.
        cls.settings = {**OPEN, **cls.redis.settings(), "REDIS_TIMEOUT_MS": "20000", **cls.more_settings}
        try:
            super().setUpClass()
        except BaseException:
            cls.redis.stop()
            raise

    @classmethod
    def start(cls):
        super().start()
        os.makedirs(os.path.join(cls.data, "root"), exist_ok=True)
        cls.token = cls.sign_in()

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            cls.redis.stop()

    def connected(self):
        eventually(self, lambda: self.redis_state() == "connected")

    def kept(self, kind, at_least=1):
        """Sets go to Redis in the background."""
        eventually(self, lambda: len(self.redis.keys(f"tars:{kind}:*")) >= at_least)


class TwoServers(RedisTest):
    """Two servers with documents of their own, on one Redis. Their stores have the same numbers of changes."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.other = type("Other", (Asking, ServerTest), {"settings": cls.settings})
        cls.other.setUpClass()
        os.makedirs(os.path.join(cls.other.data, "root"), exist_ok=True)
        cls.other.token = cls.other.sign_in()
        cls.mine = cls.put("mine.txt", "The lighthouse keeper of the north pier is called Aurelia.")
        cls.theirs = cls.other.put("theirs.txt", "The lighthouse keeper of the south pier is called Boniface.")

    @classmethod
    def tearDownClass(cls):
        try:
            cls.other.tearDownClass()
        finally:
            super().tearDownClass()

    def test_a_vector_of_one_is_a_hit_at_the_other(self):
        self.connected()
        before = self.other.samples()
        self.search("who keeps the lighthouse")
        if not self.ask("GET", "/ready").json()["checks"]["embedding_model"] == "healthy":
            return  # words only: there are no vectors to share
        self.kept("embedding")
        self.other.search("who keeps the lighthouse")
        after = self.other.samples()

        def more(name):
            return after.get(name, 0) - before.get(name, 0)

        self.assertEqual(more("tars_embedding_cache_hits_total"), 1)
        self.assertEqual(more("tars_embedding_cache_misses_total"), 0)
        self.assertEqual(more('rag_cache_lookups_total{level="redis",kind="embedding",result="hit"}'), 1)
        self.assertGreaterEqual(more("tars_redis_cache_hits_total"), 1)

    def test_documents_of_one_are_never_shown_by_the_other(self):
        self.connected()
        query = "name of the lighthouse keeper"
        mine = self.search(query)
        self.kept("result")
        theirs = self.other.search(query)
        self.assertFalse(theirs["cached"])
        self.assertEqual({hit["document_id"] for hit in mine["results"]}, {self.mine})
        self.assertEqual({hit["document_id"] for hit in theirs["results"]}, {self.theirs})
        for server, document in ((self, self.mine), (self.other, self.theirs)):
            again = server.search(query)
            self.assertTrue(again["cached"])
            self.assertEqual({hit["document_id"] for hit in again["results"]}, {document})
            answer = server.ask("POST", "/rag/query", {"query": query, "relevance_threshold": 0}).json()
            self.assertEqual({source["document_id"] for source in answer["sources"]}, {document})

    def test_redis_holds_no_text(self):
        self.connected()
        self.search("does the word lighthouse lie in Redis")
        self.kept("result")
        everything = []
        for key in self.redis.keys("*"):
            self.assertRegex(key, r"^tars:(embedding|result):[0-9a-f]{64}$")
            everything.append(self.redis.cli("GET", key))
        for word in ("ighthouse", "Aurelia", "Boniface", "pier", ".txt"):
            self.assertNotIn(word, "".join(everything))


class Restart(RedisTest):
    def test_hits_are_there_after_a_restart(self):
        self.connected()
        document = self.put("vane.txt", "The weather vane is repaired by Aldous Finch, the smith.")
        query = "who repairs the weather vane"
        first = self.search(query)
        self.assertFalse(first["cached"])
        self.kept("result")
        self.assertEqual(self.stop(), 0)
        self.start()
        self.connected()
        again = self.search(query)
        self.assertTrue(again["cached"])
        self.assertEqual(first["results"], again["results"])
        # Another change, another restart: what was kept of the state before is not given for the new one.
        self.ask("DELETE", "/rag/document", {"document_id": document})
        for _ in range(2):
            self.assertNotIn("Aldous", json.dumps(self.search(query)))
            self.assertEqual(self.stop(), 0)
            self.start()
            self.connected()
            self.assertNotIn("Aldous", json.dumps(self.search(query)))

    def test_a_server_that_was_killed_gives_nothing_old(self):
        self.connected()
        self.put("bell.txt", "The bell of the observatory rings at noon.")
        query = "bell of the observatory"
        found = self.search(query)["results"]
        self.kept("result")
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.start()
        self.connected()
        again = self.search(query)
        self.assertEqual([hit["chunk_id"] for hit in again["results"]], [hit["chunk_id"] for hit in found])

    def test_doctor(self):
        def finding(check="redis", **settings):
            checks = json.loads(run("doctor", "--json", data=self.data, **settings).stdout)["checks"]
            return [(c["status"], c["finding"]) for c in checks if c["check"] == check]

        self.assertEqual(finding(), [])
        status, said = finding(**self.redis.settings())[0]
        self.assertEqual(status, "ok")
        self.assertRegex(said, rf"^127\.0\.0\.1:{self.redis.port} answers: Redis [0-9]+\.")
        for limit, policy, told, words in (("0", "noeviction", "warning", "no maxmemory"),
                                           ("100mb", "noeviction", "warning", "noeviction"),
                                           ("100mb", "allkeys-lru", "ok", "of 100 MiB, allkeys-lru")):
            self.redis.cli("CONFIG", "SET", "maxmemory", limit)
            self.redis.cli("CONFIG", "SET", "maxmemory-policy", policy)
            status, said = finding("redis memory", **self.redis.settings())[0]
            self.assertEqual(status, told)
            self.assertIn(words, said)
        self.assertEqual(finding(REDIS_HOST="127.0.0.1", REDIS_PORT="1")[0][0], "warning")

    def test_the_question_of_a_command(self):
        """What commands open by themselves uses Redis as the server does."""
        self.connected()
        self.assertEqual(self.stop(), 0)
        try:
            shown = run("search", "bell", "--json", data=self.data, **self.redis.settings()).stdout
            self.assertIn("results", json.loads(shown))
        finally:
            self.start()


class Faults(RedisTest):
    """Redis is killed, hung and brought back while people ask."""
    more_settings = {"REDIS_TIMEOUT_MS": "50"}

    def asking(self, fault):
        """Run fault while four clients ask; every question must be answered well."""
        wrong = []
        done = threading.Event()

        def client(n):
            i = 0
            while not done.is_set():
                i += 1
                try:
                    reply = self.ask("POST", "/rag/search", {"query": f"question {i} of client {n} {fault.__name__}"})
                    if reply.status != 200:
                        wrong.append(reply.body)
                except OSError as error:
                    wrong.append(error)

        clients = [threading.Thread(target=client, args=(n,)) for n in range(4)]
        for thread in clients:
            thread.start()
        try:
            fault()
        finally:
            done.set()
            for thread in clients:
                thread.join()
        self.assertEqual(wrong, [])

    def test_killed(self):
        def killed():
            time.sleep(0.2)
            self.redis.kill()
            eventually(self, lambda: self.redis_state() == "disconnected")
            self.assertIn("redis", self.ask("GET", "/ready").json()["degraded"])
            away = self.info()
            self.assertEqual((away["connected"], bool(away["error"])), (False, True))
            self.assertEqual(self.samples()['rag_backend_up{backend="redis"}'], 0)
            time.sleep(0.3)
            self.redis.restart()
            self.connected()
            time.sleep(0.2)

        self.connected()
        self.asking(killed)
        self.assertEqual(self.samples()['rag_backend_up{backend="redis"}'], 1)
        self.redis.cli("FLUSHALL")
        self.search("after it came back")
        self.kept("result")

    def test_hung(self):
        def hung():
            time.sleep(0.2)
            self.redis.hang()
            try:
                eventually(self, lambda: self.samples().get('rag_backend_breaker_state{backend="redis"}') == 2)
                failures = self.samples()['rag_backend_failures_total{backend="redis"}']
                self.assertGreater(failures, 0)
                time.sleep(0.3)
            finally:
                self.redis.resume()
            self.connected()

        self.connected()
        self.asking(hung)
        eventually(self, lambda: self.samples()['rag_backend_breaker_state{backend="redis"}'] == 0)

    def test_is_not_there_at_the_start(self):
        self.connected()
        self.assertEqual(self.stop(), 0)
        self.redis.kill()
        type(self).settings = {**self.settings, "START_WAIT_SECONDS": "0"}
        self.start()
        self.assertEqual(self.redis_state(), "disconnected")
        self.assertEqual(self.ask("GET", "/ready").json()["status"],
                         "ready" if self.ask("GET", "/ready").json()["checks"]["embedding_model"] == "healthy"
                         else "degraded")
        self.search("nobody is there")
        self.redis.restart()
        self.connected()


class Operations(RedisTest):
    def test_info(self):
        self.connected()
        self.search("the info object of the contract")
        self.search("the info object of the contract")
        self.kept("result")
        info = {}

        def counted():  # the keeper looks now and then
            info.update(self.info())
            return info["total_keys"] > 0

        eventually(self, counted)
        self.assertEqual((info["connected"], info["host"], info["port"], info["db"]),
                         (True, "127.0.0.1", self.redis.port, 0))
        self.assertRegex(info["redis_version"], r"^\d+\.\d+\.\d+$")
        self.assertRegex(info["used_memory_human"], r"^[\d.]+[BKMG]$")
        self.assertGreaterEqual(info["connected_clients"], 1)
        self.assertEqual(info["tars_keys"], len(self.redis.keys()))
        self.assertEqual(info["ttl_config"], {"embedding_ttl_seconds": 3600, "reranker_ttl_seconds": 3600,
                                              "default_ttl_seconds": 3600})
        stats = info["cache_stats"]
        self.assertGreaterEqual(stats["hits"], 1)
        self.assertEqual(stats["total_reads"], stats["hits"] + stats["misses"])
        self.assertAlmostEqual(stats["hit_rate_percent"], 100 * stats["hits"] / stats["total_reads"], delta=0.01)
        self.assertEqual([level["name"] for level in info["levels"]], ["memory", "redis"])
        self.assertEqual(stats["hits"], sum(kind["hits"] for kind in info["kinds"].values()))
        self.assertEqual(info["redis"]["breaker"], "closed")
        summary = self.ask("GET", "/metrics/summary").json()["cache"]
        self.assertTrue(summary["enabled"])
        self.assertGreaterEqual(summary["total_hits"], stats["hits"])

    def test_metrics(self):
        self.connected()
        before = self.samples()
        self.search("what the families of the cache say")
        self.search("what the families of the cache say")
        self.kept("result")
        after = self.samples()

        def more(name):
            return after.get(name, 0) - before.get(name, 0)

        # The first looks for passages and perhaps a vector, in both levels; the second finds what was shown.
        vectors = more('rag_cache_lookups_total{level="memory",kind="embedding",result="miss"}')
        self.assertIn(vectors, (0, 1))
        self.assertEqual(more("tars_cache_hits_total"), 1)
        self.assertEqual(more("tars_cache_misses_total"), 1 + vectors)
        self.assertEqual(more("tars_redis_cache_misses_total"), 1 + vectors)
        self.assertEqual(more('rag_cache_lookups_total{level="memory",kind="result",result="hit"}'), 1)
        self.assertEqual(more('rag_cache_lookups_total{level="memory",kind="result",result="miss"}'), 1)
        self.assertEqual(more('rag_cache_lookups_total{level="redis",kind="result",result="miss"}'), 1)
        self.assertEqual(after['rag_backend_up{backend="redis"}'], 1)
        self.assertEqual(after['rag_backend_breaker_state{backend="redis"}'], 0)
        self.assertEqual(after['rag_backend_failures_total{backend="redis"}'], 0)
        eventually(self, lambda: self.samples()["tars_redis_memory_usage_bytes"] > 100000)
        self.assertGreater(after['rag_cache_bytes{level="memory"}'], 0)
        self.assertGreater(after['rag_cache_entries{level="memory"}'], 0)

    def test_clear(self):
        self.connected()
        self.redis.cli("SET", "others:key", "stays")
        for what, gone, stays in (("?pattern=tars:result:*", "result", "embedding"), ("?kind=embedding", "embedding", "result"),
                                  ("", "result", "nothing")):
            with self.subTest(what):
                query = f"what is there before clearing {what}"
                self.search(query)
                self.kept("result")
                self.assertTrue(self.search(query)["cached"])
                there = len(self.redis.keys(f"tars:{stays}:*"))
                cleared = self.ask("DELETE", f"/admin/clear-cache{what}").json()
                self.assertEqual(cleared["status"], "cache cleared")
                self.assertEqual(self.redis.keys(f"tars:{gone}:*"), [])
                self.assertEqual(len(self.redis.keys(f"tars:{stays}:*")), there)
                if gone == "result":
                    self.assertGreater(cleared["removed"], 0)
                    self.assertFalse(self.search(query)["cached"])
        self.assertEqual(self.redis.cli("GET", "others:key").strip(), "stays")
        for bad in ("kind=none", f"pattern={'x' * 300}"):
            refused = self.ask("DELETE", f"/admin/clear-cache?{bad}")
            self.assertEqual(refused.status, 422, bad)
            self.assertEqual([problem["loc"] for problem in refused.json()["detail"]], [["query", bad.split("=")[0]]])

    def test_a_value_that_somebody_else_wrote_is_no_result(self):
        self.connected()
        query = "a value that is damaged"
        found = self.search(query)
        self.kept("result")
        for key in self.redis.keys():
            self.redis.cli("SET", key, "[1, 2, 3]")
        self.assertEqual(self.stop(), 0)
        self.start()
        self.connected()
        again = self.search(query)
        self.assertFalse(again["cached"])
        self.assertEqual(found["results"], again["results"])

    def test_a_deleted_document_is_not_shown(self):
        self.connected()
        document = self.put("clock.txt", "The clock of the town hall strikes zyxglop at noon.")
        self.search("clock of the town hall")
        self.kept("result")
        self.ask("POST", "/rag/query", {"query": "clock of the town hall"})
        self.assertEqual(self.ask("DELETE", "/rag/document", {"document_id": document}).status, 200)
        self.assertNotIn("zyxglop", json.dumps(self.search("clock of the town hall")))
        answer = self.ask("POST", "/rag/query", {"query": "clock of the town hall", "relevance_threshold": 0})
        self.assertNotIn(b"zyxglop", answer.body)


class Times(RedisTest):
    more_settings = {"REDIS_EMBEDDING_TTL": "1", "REDIS_DEFAULT_TTL": "1", "REDIS_RERANKER_TTL": "1"}

    def ended(self):
        """How many keys Redis has given up because their time was over."""
        told = self.redis.cli("INFO", "stats")
        return int(next(line for line in told.splitlines() if line.startswith("expired_keys:")).split(":")[1])

    def test_what_is_kept_ends(self):
        self.connected()
        query = "how long is this kept"
        before = self.samples()
        self.search(query)
        eventually(self, lambda: self.redis.keys("tars:result:*") or self.ended())
        for key in self.redis.keys():
            self.assertIn(int(self.redis.cli("TTL", key)), (0, 1, -2))  # -2: it has ended meanwhile
        eventually(self, lambda: self.redis.keys() == [])
        self.assertGreaterEqual(self.ended(), 1)
        # Memory took it no later than Redis did, so it has ended there as well.
        self.assertFalse(self.search(query)["cached"])
        after = self.samples()
        self.assertEqual(after["tars_cache_hits_total"], before.get("tars_cache_hits_total", 0))
        self.assertEqual(self.info()["ttl_config"]["embedding_ttl_seconds"], 1)


class RedisAlone(RedisTest):
    more_settings = {"CACHE_MEMORY_MB": "0"}

    def test_a_hit_is_a_hit(self):
        self.connected()
        query = "there is no memory but that of Redis"
        self.assertFalse(self.search(query)["cached"])
        self.kept("result")
        self.assertTrue(self.search(query)["cached"])
        self.assertEqual([level["name"] for level in self.info()["levels"]], ["redis"])


class NotAsked(Asking, ServerTest):
    settings = {**OPEN, "REDIS_PORT": "1"}

    def test_what_nobody_names_is_not_used(self):
        type(self).token = self.sign_in()
        self.assertEqual(self.redis_state(), "disabled")
        info = self.info()
        self.assertEqual((info["connected"], info["error"]), (False, "Redis is not used"))
        self.assertEqual([level["name"] for level in info["levels"]], ["memory"])
        self.assertNotIn('rag_backend_up{backend="redis"}', self.samples())


class SwitchedOff(Asking, ServerTest):
    settings = {**OPEN, "REDIS_HOST": "127.0.0.1", "REDIS_PORT": "1", "REDIS_ENABLED": "false"}

    def test_off_is_off(self):
        self.assertEqual(self.redis_state(), "disabled")


class Strangers(Rights):
    """In mode secret: what was found for one is nothing to who may read less, through Redis too."""
    WORD = "zqxvault"

    @classmethod
    def setUpClass(cls):
        cls.redis = Redis()
        cls.settings = {**Rights.settings, **cls.redis.settings(), "REDIS_TIMEOUT_MS": "20000"}
        try:
            super().setUpClass()
        except BaseException:
            cls.redis.stop()
            raise

    @classmethod
    def tearDownClass(cls):
        try:
            super().tearDownClass()
        finally:
            cls.redis.stop()

    def ready(self):
        return self.ask("GET", "/ready").json()["checks"]["redis_cache"]

    def test_rights_hold_in_redis(self):
        eventually(self, lambda: self.ready() == "connected")
        self.as_owner("POST", "/admin/collections", {"name": "vault", "restricted": True})
        for name in ("insider", "outsider"):
            self.add(name, "reader")
        self.as_owner("PUT", "/admin/collections/vault/grants/insider", {"may_write": False})
        writer = self.upload([("vault.txt", f"The combination of the vault is {self.WORD}.".encode())],
                             fields=(("collection", "vault"),), token=self.boss())
        self.assertEqual(writer.status, 201, writer.body)
        body = {"query": "combination of the vault"}
        inside = self.asked("POST", "/rag/search", body, self.sign_in("insider"))
        self.assertIn(self.WORD.encode(), inside.body)
        eventually(self, lambda: self.redis.keys("tars:result:*"))
        self.assertEqual(self.stop(), 0)  # so that nothing but Redis knows it
        self.start()
        with open(os.path.join(self.data, "server.json"), encoding="utf-8") as file:
            type(self).owner = {"X-Tars-Owner": json.load(file)["token"]}
        eventually(self, lambda: self.ready() == "connected")
        outside = self.asked("POST", "/rag/search", body, self.sign_in("outsider"))
        self.assertEqual((outside.json()["results"], outside.json()["cached"]), ([], False))
        again = self.asked("POST", "/rag/search", body, self.sign_in("insider"))
        self.assertTrue(again.json()["cached"])
        self.assertIn(self.WORD.encode(), again.body)
        # The right is taken away: what was kept for it is not given any more.
        self.as_owner("DELETE", "/admin/collections/vault/grants/insider")
        self.assertEqual(self.asked("POST", "/rag/search", body, self.sign_in("insider")).json()["results"], [])

    def boss(self):
        self.add("boss", "admin")
        return self.sign_in("boss")


if __name__ == "__main__":
    unittest.main()
