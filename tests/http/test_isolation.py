"""Between people, collections and tenants: what must not pass from one to the other, and what must end with them.
In mode secret, on the real program."""
import http.client
import json
import os
import sqlite3
import threading
import time
import unittest

from server import SAMPLES
from test_rights_matrix import SECRET, Rights


class Isolation(Rights):
    def change(self, method, path, body=None, status=200, token=None):
        reply = self.asked(method, path, body, token) if token else self.ask(method, path, body, headers=self.owner)
        self.assertEqual(reply.status, status, f"{method} {path}: {reply.body}")
        return reply.json()

    def pair(self, name, tenant="default", secret=SECRET):
        reply = self.ask("POST", "/auth/token", {"client_id": name, "client_secret": secret, "tenant": tenant})
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json()["access_token"], reply.json()["refresh_token"]

    def tenant(self, name, **more):
        self.change("POST", "/admin/tenants", {"name": name, **more}, 201)
        self.add(f"{name}-boss", "admin", name)
        return self.sign_in(f"{name}-boss", name)


class Tokens(Isolation):
    """A stolen token ends with the secret, and when its account was disabled."""

    def next_second(self):
        """Tokens say the second in which they were issued."""
        time.sleep(1.1 - time.time() % 1)

    def assert_ended(self, access, refresh):
        self.assertEqual(self.asked("GET", "/auth/me", token=access).status, 401)
        self.assertEqual(self.ask("POST", "/auth/refresh", {"refresh_token": refresh}).status, 401)

    def test_a_new_secret_ends_tokens(self):
        """tokens: who changes their secret is rid of who has their tokens"""
        self.add("robbed", "reader")
        stolen = self.pair("robbed")
        self.next_second()
        self.change("POST", "/auth/secret", {"old_secret": SECRET, "secret": "another long secret"},
                    token=self.pair("robbed")[0])
        self.assert_ended(*stolen)
        access, refresh = self.pair("robbed", secret="another long secret")
        self.assertEqual(self.asked("GET", "/auth/me", token=access).status, 200)
        self.assertEqual(self.ask("POST", "/auth/refresh", {"refresh_token": refresh}).status, 200)

    def test_an_admin_s_new_secret_ends_tokens(self):
        """tokens: so is who was given a new secret"""
        self.add("reset", "reader")
        stolen = self.pair("reset")
        self.next_second()
        self.change("PATCH", "/admin/users/reset", {"secret": "another long secret"})
        self.assert_ended(*stolen)
        self.assertTrue(self.pair("reset", secret="another long secret"))

    def test_disabled_is_the_end_of_tokens(self):
        """tokens: those of a disabled account are none when it is enabled again"""
        self.add("paused", "reader")
        stolen = self.pair("paused")
        self.next_second()
        self.change("PATCH", "/admin/users/paused", {"disabled": True})
        self.assert_ended(*stolen)
        self.change("PATCH", "/admin/users/paused", {"disabled": False})
        self.assert_ended(*stolen)
        self.assertTrue(self.pair("paused"))

    def test_a_role_is_no_end(self):
        """tokens: those of who gets another role go on"""
        self.add("raised", "reader")
        access, refresh = self.pair("raised")
        self.next_second()
        self.change("PATCH", "/admin/users/raised", {"role": "writer"})
        self.assertEqual(self.asked("GET", "/auth/me", token=access).json()["role"], "writer")
        self.assertEqual(self.ask("POST", "/auth/refresh", {"refresh_token": refresh}).status, 200)

    def test_revoked_is_what_was_signed(self):
        """tokens: another signature of the same claims is revoked with them"""
        self.add("revoker", "reader")
        token = self.sign_in("revoker")
        self.change("POST", "/auth/revoke", {"token": "eyJhbGciOiJFUzI1NiJ9.e30.c2lnbmF0dXJl"}, token=token)
        reply = self.asked("GET", "/auth/me", token="eyJhbGciOiJFUzI1NiJ9.e30.b3RoZXI")
        self.assertEqual((reply.status, reply.json()["detail"]), (401, "Token has been revoked"))


class Keys(Isolation):
    def test_so_many_keys(self):
        """keys: nobody fills the memory with keys of their own"""
        self.add("greedy", "reader")
        token = self.sign_in("greedy")
        ids = [self.change("POST", "/auth/keys", {"label": str(i)}, 201, token)["id"] for i in range(100)]
        self.assertIn("100 keys", self.change("POST", "/auth/keys", {"label": "more"}, 409, token)["detail"])
        self.change("DELETE", f"/auth/keys/{ids[0]}", token=token)
        self.change("POST", "/auth/keys", {"label": "more"}, 201, token)


class People(Isolation):
    def test_a_name_used_again(self):
        """people: who gets the name of somebody who left does not get their conversations"""
        self.add("sam", "reader")
        token = self.sign_in("sam")
        message = {"id": "m1", "role": "user", "content": "the wage of sam is qwv17", "timestamp": "2026-01-01T00:00:00"}
        self.change("POST", "/conversation/message", {"conversation_id": "sams", "message": message}, token=token)
        self.change("DELETE", "/admin/users/sam")
        self.add("sam", "reader")
        time.sleep(1.1)
        token = self.sign_in("sam")
        self.assertEqual(self.asked("GET", "/conversation/list", token=token).json()["conversations"], [])
        self.assertEqual(self.asked("GET", "/conversation/sams", token=token).status, 404)

    def test_ids_of_another_tenant_s_conversations(self):
        """people: an id that another tenant uses is free here"""
        one, two = self.tenant("ids-one"), self.tenant("ids-two")
        message = {"id": "m1", "role": "user", "content": "x", "timestamp": "2026-01-01T00:00:00"}
        self.change("POST", "/conversation/message", {"conversation_id": "same", "message": message}, token=one)
        for method in ("GET", "DELETE"):
            self.assertEqual(self.asked(method, "/conversation/same", token=two).status, 404)
        self.change("POST", "/conversation/message", {"conversation_id": "same", "message": message}, token=two)


class Folders(Isolation):
    """Files of the server, and what is told of them."""

    def folder(self, name, count, text):
        path = os.path.join(self.data, "root", name)
        os.makedirs(path, exist_ok=True)
        for i in range(count):
            with open(os.path.join(path, f"{name}-{i}.txt"), "w", encoding="utf-8") as file:
                file.write(f"{text} number {i}\n" * 40)
        return path

    def lines(self, token, path, collection=None):
        body = {"path": path, "force_reindex": True}
        if collection:
            body["collection"] = collection
        return self.asked("POST", "/rag/ingest", body, token).lines()

    def test_other_tenants_have_folders_of_their_own(self):
        """folders: a tenant reads those folders alone that it was given"""
        boss = self.tenant("landless")
        for path in (os.path.join(SAMPLES, "README.md"), SAMPLES, "/etc/hostname"):
            self.assertEqual(self.asked("POST", "/rag/index", {"file_path": path}, boss).status, 403, path)
        reply = self.asked("POST", "/rag/index/batch", {"file_paths": [os.path.join(SAMPLES, "x.txt")]}, boss).json()
        self.assertEqual(reply["failed"], 1)
        self.assertIn("lies outside", reply["results"][0]["message"])
        self.assertEqual(self.asked("POST", "/rag/ingest", {"path": SAMPLES}, boss).status, 403)

    def test_a_tenant_s_folders(self):
        """folders: those it was given, and only below TARS_ROOTS"""
        mine = self.folder("given", 1, "a page of what was given")
        other = self.folder("kept", 1, "a page of what was kept")
        boss = self.tenant("landed", settings={"roots": [mine, "/etc"]})
        reply = self.asked("POST", "/rag/index", {"file_path": os.path.join(mine, "given-0.txt")}, boss)
        self.assertEqual((reply.status, reply.json()["status"]), (201, "success"), reply.body)
        for path in (os.path.join(other, "kept-0.txt"), os.path.join(mine, "..", "kept", "kept-0.txt"), "/etc/hostname"):
            self.assertEqual(self.asked("POST", "/rag/index", {"file_path": path}, boss).status, 403, path)
        self.change("PATCH", "/admin/tenants/landed", {"settings": {"roots": [other]}})
        path = os.path.join(mine, "given-0.txt")
        self.assertEqual(self.asked("POST", "/rag/index", {"file_path": path}, boss).status, 403)
        for wrong in ("x", [1], ["relative"], {"a": "b"}):
            self.change("PATCH", "/admin/tenants/landed", {"settings": {"roots": wrong}}, 400)

    def test_the_progress_of_others(self):
        """folders: who has a folder taken in hears of their own files, and stops only these"""
        path = self.folder("shared", 25, "a page that two collections hold")
        self.change("POST", "/admin/collections", {"name": "sealed", "restricted": True}, 201)
        self.add("keeper", "writer")
        self.add("passer", "writer")
        self.change("PUT", "/admin/collections/sealed/grants/keeper", {"writes": True})
        keeper, passer = self.sign_in("keeper"), self.sign_in("passer")
        heard = {}

        def take(who, token, collection):
            heard[who] = self.lines(token, path, collection)

        threads = [threading.Thread(target=take, args=("keeper", keeper, "sealed")),
                   threading.Thread(target=take, args=("passer", passer, None))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # Who goes away while it is taken in stops what is their own.
        thread = threading.Thread(target=take, args=("keeper", keeper, "sealed"))
        thread.start()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request("POST", "/rag/ingest", json.dumps({"path": path, "force_reindex": True}),
                           {"Authorization": f"Bearer {passer}", "Content-Type": "application/json"})
        connection.getresponse().readline()
        connection.close()
        thread.join()
        heard["passer"] = self.lines(passer, path)
        for who, collection, token in (("keeper", "sealed", keeper), ("passer", "default", passer)):
            told = [line for line in heard[who] if "document_id" in line]
            documents = self.asked("GET", "/rag/documents?limit=1000", token=token).json()["documents"]
            own = {d["document_id"] for d in documents if d["collection"] == collection and "/shared/" in d["file_path"]}
            self.assertEqual(len(told), 25, who)
            self.assertEqual({line["document_id"] for line in told}, own, who)
            self.assertEqual(heard[who][-1]["summary"]["indexed"], 25)


class Numbers(Isolation):
    """Counts of what a caller may not see are not told to it."""

    def test_names_of_tenants(self):
        """numbers: which tenants there are is told to who manages them"""
        boss = self.tenant("counted")
        self.change("POST", "/rag/query", {"query": "how many questions"}, token=boss)
        self.add("root", "admin")
        for token in (None, boss):
            text = self.asked("GET", "/metrics/prometheus", token=token).body.decode()
            self.assertNotIn("counted", text)
            self.assertIn("# TYPE tars_tenant_questions_total counter", text)
            self.assertIn("tars_rag_queries_total", text)
        for token in (self.sign_in("root"), None):
            more = {} if token else self.owner
            text = self.ask("GET", "/metrics/prometheus", token=token or "", headers=more).body.decode()
            self.assertIn('tars_tenant_questions_total{tenant="counted"} 1', text)


class Words(Isolation):
    """Scores say nothing of what others have."""

    def scores(self, token, query):
        found = self.change("POST", "/rag/search", {"query": query, "mode": "words"}, token=token)["results"]
        return [(r["document_id"], r["similarity_score"], r["metadata"]["coverage"]) for r in found]

    def test_who_else_uses_a_word(self):
        """words: scores do not tell whether another tenant, or a restricted collection, has a word"""
        one, two = self.tenant("words-one"), self.tenant("words-two")
        self.change("POST", "/admin/collections", {"name": "silent", "restricted": True}, 201)
        self.add("reader-of-words", "reader")
        reader = self.sign_in("reader-of-words")
        for token in (one, two, None):
            self.put_text("mine.txt", "The quagmire and the zugzwang are here, among others. " * 5, token)
        queries = ("quagmire", "quagmire thunderous", "zugzwang quagmire thunderous")
        self.put_text("noise.txt", "Nothing that anybody asks for. " * 5, two)
        before = [[self.scores(token, q) for q in queries] for token in (one, reader)]
        ratio = self.ratio(one), self.ratio(reader)
        for i in range(6):
            self.put_text(f"other-{i}.txt", "A thunderous quagmire. " * 5, two)
            self.put_text(f"sealed-{i}.txt", "A thunderous quagmire. " * 5, None, collection="silent")
        self.assertEqual([[self.scores(token, q) for q in queries] for token in (one, reader)], before)
        for old, new in zip(ratio, (self.ratio(one), self.ratio(reader))):
            self.assertAlmostEqual(old, new, 3)

    def ratio(self, token):
        """What one rare word counts beside another: the size of the index, which all know, cancels out."""
        def score(word):
            found = self.change("POST", "/rag/search", {"query": word, "mode": "words"}, token=token)["results"]
            return found[0]["metadata"]["bm25_score"]

        return score("quagmire") / score("zugzwang")

    def put_text(self, name, text, token, **fields):
        boundary = "b0undary"
        parts = [f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n{text}\r\n']
        parts += [f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
                  for key, value in fields.items()]
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        headers.update({"Authorization": f"Bearer {token}"} if token else self.owner)
        reply = self.ask("POST", "/rag/upload", raw=("".join(parts) + f"--{boundary}--\r\n").encode(), headers=headers)
        self.assertEqual((reply.status, reply.json()["status"]), (201, "success"), reply.body)


class Away(Isolation):
    settings = dict(Rights.settings, LLM_BACKEND="ollama", OLLAMA_HOST="http://127.0.0.1:9")

    def test_words_of_what_is_away(self):
        """numbers: which machines this one needs is told to who manages it"""
        boss = self.tenant("asker")
        self.add("root", "admin")
        self.add("plain", "reader")

        def details(token):
            services = self.asked("GET", "/ops/summary", token=token).json()["services"]
            return {s["name"]: s["detail"] for s in services if s["status"] != "healthy"}

        self.assertIn("language_model", details(self.sign_in("root")))
        self.assertTrue(details(self.sign_in("root"))["language_model"])
        for token in (boss, self.sign_in("plain")):
            self.assertIsNone(details(token)["language_model"])


class Watched(Isolation):
    settings = dict(Rights.settings, NAS_WATCH_ENABLED="true", NAS_MOUNT_POINT=SAMPLES, NAS_SCAN_INTERVAL="60")

    def test_the_watched_folder(self):
        """numbers: the watched folder is the default tenant's"""
        boss = self.tenant("blind")
        self.add("chief", "admin")
        chief = self.sign_in("chief")
        until = time.time() + 60
        while time.time() < until and not self.asked("GET", "/ops/summary", token=chief).json()["nas_document_count"]:
            time.sleep(0.2)
        self.assertGreater(self.asked("GET", "/ops/summary", token=chief).json()["nas_document_count"], 0)
        self.assertGreater(self.asked("GET", "/rag/stats", token=chief).json()["nas"]["files_detected"], 0)
        self.assertEqual(self.asked("GET", "/ops/summary", token=boss).json()["nas_document_count"], 0)
        nas = self.asked("GET", "/rag/stats", token=boss).json()["nas"]
        self.assertEqual({v for k, v in nas.items() if k not in ("enabled", "watch_path")} - {0, None}, set(), nas)
        self.assertIsNone(nas["watch_path"])


class Ends(Isolation):
    def test_nothing_stays_of_a_tenant(self):
        """ends: what a tenant has exported goes with it"""
        boss = self.tenant("passing")
        self.change("POST", "/rag/query", {"query": "the passing secret zzkq"}, token=boss)
        self.change("POST", "/analytics/export", {"output_path": "deep/er/passing.csv"}, token=boss)
        self.assertTrue(os.path.exists(os.path.join(self.data, "exports", "passing", "deep", "er", "passing.csv")))
        self.change("DELETE", "/admin/tenants/passing")
        self.assertFalse(os.path.exists(os.path.join(self.data, "exports", "passing")))

    def test_a_tenant_s_name_used_again(self):
        """ends: a row that came after its tenant was removed is not told to the next one of that name"""
        with sqlite3.connect(os.path.join(self.data, "analytics.db"), timeout=30) as db:
            db.execute("INSERT INTO query_logs (query_text, query_hash, client_id, retrieval_time_ms, generation_time_ms,"
                       " total_time_ms, sources_count, model_used, tenant) "
                       "VALUES ('leftover', '', 'x', 0, 0, 0, 0, '', 'again')")
        boss = self.tenant("again")
        self.assertEqual(self.asked("GET", "/analytics/query-stats", token=boss).json()["total_queries"], 0)
        self.assertEqual(self.asked("GET", "/analytics/query-patterns", token=boss).json()["top_words"], {})

    def test_nobody_comes_in_while_a_tenant_is_removed(self):
        """ends: who is of a tenant is shut out before what it has is taken away"""
        boss = self.tenant("closing")
        for i in range(12):
            self.upload([(f"{i}-{k}.txt", b"a page of many words " * 200) for k in range(10)],
                        path="/rag/upload?wait=false", token=boss)
        statuses = []

        def come():
            while not statuses or statuses[-1] != "over":
                reply = self.upload([("late.txt", b"too late")], path="/rag/upload?wait=false", token=boss)
                statuses.append(reply.status)
                if reply.status == 401:
                    statuses.append("over")

        thread = threading.Thread(target=come)
        thread.start()
        self.change("DELETE", "/admin/tenants/closing")
        thread.join()
        # 403: it was let in before its tenant was closed, and had not queued its file yet
        self.assertEqual(set(statuses) - {202, 401, 403, "over"}, set(), "in, or shut out: nothing between")


if __name__ == "__main__":
    unittest.main()
