"""People, rights and upkeep: /admin and the commands that ask it (tars user, token, collection, tenant, audit)."""
import concurrent.futures
import json
import os
import pty
import re
import subprocess
import tempfile
import shutil
import time
import unittest

from server import SAMPLES, TARS, ServerTest, environment, run

ADMIN = "Admin privileges required for this operation"


class AdminTest(ServerTest):
    settings = {"TARS_AUTH": "secret"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with open(f"{cls.data}/server.json", encoding="utf-8") as file:
            cls.owner = {"X-Tars-Owner": json.load(file)["token"]}
        cls.root = cls.add("root", "admin")

    @classmethod
    def add(cls, name, role, tenant=""):
        """A new account's token."""
        query = f"?tenant={tenant}" if tenant else ""
        made = cls.ask("POST", f"/admin/users{query}", {"name": name, "role": role, "make_secret": True}, headers=cls.owner)
        if made.status != 201:
            raise AssertionError(made.body)
        return cls.sign_in(name, client_secret=made.json()["secret"], **({"tenant": tenant} if tenant else {}))

    def do(self, method, path, body=None, status=200, token=None, headers=None):
        reply = self.ask(method, path, body, token=self.root if token is None and not headers else token, headers=headers)
        self.assertEqual(reply.status, status, reply.body)
        return reply.json()


class Rights(AdminTest):
    def test_users(self):
        made = self.do("POST", "/admin/users", {"name": "ada", "role": "writer", "secret": "long enough for it"}, 201)
        self.assertEqual(made, {"name": "ada", "tenant": "default", "kind": "user", "role": "writer", "secret": None})
        self.assertEqual(self.do("POST", "/admin/users", {"name": "ada"}, 409)["detail"], 'there is an account "ada" already')
        for body, status in (({}, 422), ({"name": ""}, 400), ({"name": "x" * 256}, 400), ({"name": "b", "role": "king"}, 422),
                             ({"name": "b", "kind": "robot"}, 422), ({"name": "b", "secret": "short"}, 400),
                             ({"name": "b", "secret": "x" * 2000}, 400), ({"name": "a\nb"}, 400)):
            self.do("POST", "/admin/users", body, status)
        users = {u["name"]: u for u in self.do("GET", "/admin/users")["users"]}
        self.assertEqual((users["ada"]["role"], users["ada"]["has_secret"], users["ada"]["disabled"]), ("writer", True, False))
        self.assertNotIn("argon2", json.dumps(users))
        changed = self.do("PATCH", "/admin/users/ada", {"role": "reader", "make_secret": True})
        self.assertTrue(self.sign_in("ada", client_secret=changed["secret"]))
        self.do("PATCH", "/admin/users/ghost", {"role": "reader"}, 404)
        self.do("DELETE", "/admin/users/ada")
        self.do("DELETE", "/admin/users/ada", status=404)
        odd = "günter/rieß & co"
        self.do("POST", "/admin/users", {"name": odd, "kind": "client"}, 201)
        self.do("DELETE", "/admin/users/g%C3%BCnter%2Frie%C3%9F%20%26%20co")

    def test_the_last_admin_stays(self):
        for change in ({"role": "reader"}, {"disabled": True}):
            self.do("PATCH", "/admin/users/root", change, 409)
        self.do("DELETE", "/admin/users/root", status=409)

    def test_keys(self):
        self.do("POST", "/admin/users", {"name": "robot", "kind": "client", "role": "writer"}, 201)
        made = self.do("POST", "/admin/users/robot/keys", {"label": "ci", "role": "reader", "expires_in_days": 1}, 201)
        listed = self.do("GET", "/admin/users/robot/keys")["keys"]
        self.assertEqual([(k["id"], k["label"], k["role"]) for k in listed], [(made["id"], "ci", "reader")])
        self.assertTrue(made["key"].startswith(listed[0]["prefix"]))
        self.assertIn(made["id"], [k["id"] for k in self.do("GET", "/admin/keys")["keys"]])
        self.assertEqual(self.ask("GET", "/rag/documents", token=made["key"]).status, 200)
        self.do("DELETE", f"/admin/keys/{made['id']}")
        self.assertEqual(self.ask("GET", "/rag/documents", token=made["key"]).status, 401)
        for body in ({"expires_in_days": 0}, {"expires_in_days": 40000}, {"role": "king"}, {"label": 7}):
            self.do("POST", "/admin/users/robot/keys", body, 422)
        self.do("POST", "/admin/users/ghost/keys", {}, 404)

    def test_tokens_are_issued_by_the_system_alone(self):
        self.do("POST", "/admin/users", {"name": "issued", "role": "reader"}, 201)
        issued = self.do("POST", "/admin/users/issued/tokens", status=201)
        self.assertEqual(self.do("GET", "/auth/me", token=issued["access_token"])["client_id"], "issued")
        self.do("POST", "/admin/users/ghost/tokens", status=404)

    def test_collections_and_grants(self):
        reader, writer = self.add("anna", "reader"), self.add("bela", "writer")
        self.do("POST", "/admin/collections", {"name": "hr", "restricted": True, "description": "Staff"}, 201)
        self.do("POST", "/admin/collections", {"name": "hr"}, 409)
        for name in ("", "HR", "a/b", "x" * 64):
            self.do("POST", "/admin/collections", {"name": name}, 400)
        self.assertEqual({c["name"] for c in self.do("GET", "/admin/collections")["collections"]}, {"default", "hr"})

        def seen(token):
            return {c["name"]: c["writes"] for c in self.do("GET", "/auth/me", token=token)["collections"]}

        self.assertEqual(seen(reader), {"default": False})
        self.do("PUT", "/admin/collections/hr/grants/anna", {"writes": True})
        self.do("PUT", "/admin/collections/hr/grants/bela", {"writes": False})
        self.assertEqual(seen(reader), {"default": False, "hr": False})
        self.assertEqual(seen(writer), {"default": True, "hr": False})
        self.do("PUT", "/admin/collections/hr/grants/bela", {"writes": True})
        self.assertEqual(seen(writer), {"default": True, "hr": True})
        self.assertEqual(sorted((g["account"], g["writes"]) for g in self.do("GET", "/admin/collections/hr/grants")["grants"]),
                         [("anna", True), ("bela", True)])
        self.do("DELETE", "/admin/collections/hr/grants/bela")
        self.do("DELETE", "/admin/collections/hr/grants/bela", status=404)
        self.assertEqual(seen(writer), {"default": True})
        self.do("PATCH", "/admin/collections/hr", {"restricted": False})
        self.assertEqual(seen(writer), {"default": True, "hr": True})
        self.do("PUT", "/admin/collections/none/grants/anna", {}, 404)
        self.do("PUT", "/admin/collections/hr/grants/ghost", {}, 404)
        self.do("DELETE", "/admin/collections/default", status=409)
        self.do("DELETE", "/admin/collections/hr")
        self.do("PATCH", "/admin/collections/hr", {"restricted": True}, 404)

    def test_tenants(self):
        self.do("POST", "/admin/tenants", {"name": "acme", "title": "Acme", "max_documents": 3, "settings": {"theme": "dark"}}, 201)
        self.do("POST", "/admin/tenants", {"name": "acme"}, 409)
        boss = self.add("boss", "admin", "acme")
        self.do("POST", "/admin/users", {"name": "worker", "role": "writer"}, 201, token=boss)
        # Its admin rules it, and nothing else.
        self.assertEqual({u["name"] for u in self.do("GET", "/admin/users", token=boss)["users"]}, {"boss", "worker"})
        self.assertEqual({u["name"] for u in self.do("GET", "/admin/users?tenant=acme")["users"]}, {"boss", "worker"})
        self.do("GET", "/admin/users?tenant=default", status=404, token=boss)
        for odd in ("", "%FF", "../acme", "none"):
            self.do("DELETE", f"/admin/users/boss?tenant={odd}", status=404)
        self.do("PATCH", "/admin/users/root?tenant=default", {"role": "reader"}, 404, token=boss)
        self.do("DELETE", "/admin/users/root", status=404, token=boss)
        for method, path, body in (("GET", "/admin/tenants", None), ("POST", "/admin/tenants", {"name": "x"}),
                                   ("PATCH", "/admin/tenants/acme", {"max_documents": 0}), ("DELETE", "/admin/clear-cache", None),
                                   ("POST", "/admin/users/worker/tokens", None)):
            self.assertEqual(self.do(method, path, body, 403, token=boss)["detail"], ADMIN)
        self.do("PATCH", "/admin/tenants/acme", {"max_documents": 5, "max_questions_day": 7})
        acme = {t["name"]: t for t in self.do("GET", "/admin/tenants")["tenants"]}["acme"]
        self.assertEqual((acme["title"], acme["max_documents"], acme["max_questions_day"], acme["settings"]),
                         ("Acme", 5, 7, {"theme": "dark"}))
        self.do("PATCH", "/admin/tenants/acme", {"disabled": True})
        self.do("GET", "/auth/me", status=401, token=boss)
        self.do("PATCH", "/admin/tenants/acme", {"disabled": False})
        self.do("GET", "/auth/me", token=boss)
        self.do("DELETE", "/admin/tenants/acme")
        self.do("GET", "/auth/me", status=401, token=boss)
        self.do("DELETE", "/admin/tenants/default", status=409)
        self.do("DELETE", "/admin/tenants/none", status=404)

    def test_uploads_that_wait_count(self):
        """Many at once are let in up to the limit, however few of them have been read by then."""
        self.do("POST", "/admin/tenants", {"name": "wait", "max_documents": 3, "max_bytes": 2000}, 201)
        boss = self.add("will", "admin", "wait")
        five = [(f"f{i}.txt", b"word " * 10) for i in range(5)]
        refused = self.upload(five, token=boss, path="/rag/upload?wait=false")
        self.assertEqual(refused.status, 403, refused.body)
        self.assertIn("documents", refused.json()["detail"])

        def one(i):
            return self.upload([(f"g{i}.txt", b"%d word " % i * 10)], token=boss, path="/rag/upload?wait=false").status

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            self.assertEqual(sorted(pool.map(one, range(8))), [202] * 3 + [403] * 5)
        self.assertEqual(self.upload([("g9.txt", b"x" * 3000)], token=boss, path="/rag/upload?wait=false").status, 403)

    def test_a_tenant_s_usage_export_and_end(self):
        self.do("POST", "/admin/tenants", {"name": "zeta", "max_questions_day": 2, "max_documents": 1}, 201)
        boss = self.add("zoe", "admin", "zeta")
        self.assertEqual(self.upload([("a.txt", b"The zeta lamp burns qrstl oil.")], token=boss).status, 201)
        more = self.upload([("b.txt", b"One too many.")], token=boss)
        self.assertIn("failed", more.body.decode() + str(more.status == 403 and "failed"))
        before_midnight = 86400 - time.time() % 86400
        if before_midnight < 30:  # the day must not end between the questions of it
            time.sleep(before_midnight + 1)
        asked = [self.ask("POST", "/rag/query", {"query": "zeta lamp"}, token=boss) for _ in range(3)]
        self.assertEqual([r.status for r in asked], [200, 200, 429])
        self.assertGreater(int(asked[2].headers["retry-after"]), 0)
        self.assertEqual(self.ask("POST", "/rag/query", {"query": "zeta lamp"}, token=self.root).status, 200)
        usage = self.do("GET", "/admin/tenants/zeta/usage")
        self.assertEqual((usage["documents"], usage["max_documents"], usage["questions_today"], usage["max_questions_day"]),
                         (1, 1, 2, 2))
        self.do("GET", "/admin/tenants/none/usage", status=404)
        done = self.do("POST", "/admin/tenants/zeta/export", status=201)
        self.assertEqual((done["documents"], os.path.dirname(done["path"])), (1, os.path.join(self.data, "exports")))
        self.assertEqual(os.stat(done["path"]).st_mode & 0o777, 0o600)
        with open(done["path"], encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        self.assertEqual(len(lines), done["lines"])
        self.assertIn("qrstl", json.dumps(lines))
        self.assertNotIn("argon2", json.dumps(lines))
        for name in ("none", "..%2F..%2Fetc", "ZETA"):
            self.do("POST", f"/admin/tenants/{name}/export", status=404)
        gone = self.do("DELETE", "/admin/tenants/zeta")
        self.assertEqual((gone["status"], gone["documents"]), ("success", 1))
        self.do("GET", "/auth/me", status=401, token=boss)
        actions = [e["action"] for e in self.do("GET", "/admin/audit")["entries"]]
        for action in ("tenant-exported", "tenant-emptied", "tenant-removed"):
            self.assertIn(action, actions)

    def test_deletions_are_in_the_audit_log(self):
        made = self.upload([("gone.txt", b"A document that is going to be deleted.")], token=self.root).json()
        self.do("DELETE", "/rag/document", {"document_id": made["document_id"]})
        self.do("DELETE", "/rag/document", {"path": "/nowhere/at/all"})
        self.do("POST", "/conversation/message", {"conversation_id": "conv_1", "message": {
            "id": "m", "role": "user", "content": "x", "timestamp": "2026-01-01T00:00:00"}})
        self.do("DELETE", "/conversation/conv_1")
        self.do("POST", "/analytics/export", {"output_path": "a.csv"})
        self.do("DELETE", "/analytics/clear")
        entries = [(e["action"], e["object"], e["actor"]) for e in self.do("GET", "/admin/audit?limit=20")["entries"]]
        for action, what in (("document-deleted", made["document_id"]), ("conversation-deleted", "conv_1"),
                             ("analytics-exported", "a.csv"), ("analytics-cleared", "")):
            self.assertIn((action, what, "root"), entries)
        self.assertNotIn("/nowhere/at/all", [e[1] for e in entries])

    def test_audit(self):
        self.do("POST", "/admin/users", {"name": "watched", "role": "reader"}, 201)
        self.ask("POST", "/auth/token", {"client_id": "watched", "password": "wrong"})
        page = self.do("GET", "/admin/audit?action=account-added&limit=1")
        self.assertEqual((page["total"], page["entries"][0]["object"], page["entries"][0]["actor"]), (1, "watched", "root"))
        entry = page["entries"][0]
        self.assertEqual((entry["success"], entry["address"], entry["tenant"]), (True, "127.0.0.1", "default"))
        self.assertRegex(entry["request_id"], r"^[0-9a-f]{32}$")
        older = self.do("GET", f"/admin/audit?action=account-added&limit=1&before={page['next_before']}")["entries"]
        self.assertLess(older[0]["id"], entry["id"])
        failed = self.do("GET", "/admin/audit?action=sign-in-failed")["entries"]
        self.assertIn(("watched", False), [(e["object"], e["success"]) for e in failed])
        self.assertEqual(self.do("GET", "/admin/audit?actor=nobody-at-all")["total"], 0)
        for query in ("limit=0", "limit=1001", "limit=x", "before=-1"):
            self.do("GET", f"/admin/audit?{query}", status=422)

    def test_initialize_and_cache(self):
        self.assertEqual(self.do("DELETE", "/admin/clear-cache")["status"], "cache cleared")
        done = self.ask("POST", "/rag/initialize", token=self.root)
        if done.status == 200:
            self.assertEqual((done.json()["status"], list(done.json())), ("success", ["status", "message"]))
        else:  # without an embedding model
            self.assertEqual(done.status, 503)
            self.assertIn("embedding_model", done.json()["detail"])


class DeleteAll(AdminTest):
    def test_delete_all(self):
        run("ingest", os.path.join(SAMPLES, "it"), data=self.data)
        for body in ({}, {"confirm": "yes"}, {"confirm": None}, []):
            self.do("DELETE", "/admin/delete-all", body, 422)
        self.assertEqual(self.ask("DELETE", "/admin/delete-all", token=self.root).status, 422)
        writer = self.add("wim", "writer")
        self.assertEqual(self.do("DELETE", "/admin/delete-all", {"confirm": "delete-all"}, 403, token=writer)["detail"], ADMIN)
        before = self.do("GET", "/rag/stats")["total_documents"]
        self.assertGreater(before, 0)
        gone = self.do("DELETE", "/admin/delete-all", {"confirm": "delete-all"})
        self.assertEqual((gone["status"], gone["documents_deleted"]), ("deleted", before))
        self.assertGreater(gone["chunks_deleted"], 0)
        self.assertEqual(self.do("GET", "/rag/stats")["total_documents"], 0)
        self.assertEqual(self.do("DELETE", "/admin/delete-all", {"confirm": "delete-all"})["documents_deleted"], 0)
        entry = self.do("GET", "/admin/audit?action=documents-deleted&limit=1&before=0")["entries"][0]
        self.assertEqual(entry["detail"]["documents"], 0)


class Commands(unittest.TestCase):
    """The commands, on a folder that no server has."""

    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="tars-admin-")

    def tearDown(self):
        shutil.rmtree(self.data)

    def tars(self, *arguments, code=0, given=""):
        done = subprocess.run([TARS, *arguments], env=environment(self.data), cwd=self.data, timeout=60, input=given,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def rows(self, command, name, *more):
        return json.loads(self.tars(command, "list", "--json", *more))[name]

    def test_users_and_keys(self):
        secret = self.tars("user", "add", "office", "--role", "admin", "--make-secret").strip()
        self.assertGreaterEqual(len(secret), 16)
        self.assertEqual(self.tars("user", "add", "desk-2", given="a secret for desk-2\n"), "added desk-2\n")
        self.tars("user", "add", "short", given="short\n", code=2)
        self.tars("user", "add", "none", given="", code=3)
        self.tars("user", "add", "bot", "--client", "--no-secret")
        self.tars("user", "role", "desk-2", "writer")
        self.tars("user", "disable", "bot")
        users = {u["name"]: u for u in self.rows("user", "users")}
        self.assertEqual({n: (u["role"], u["kind"], u["disabled"], u["has_secret"]) for n, u in users.items()},
                         {"office": ("admin", "user", False, True), "desk-2": ("writer", "user", False, True),
                          "bot": ("reader", "client", True, False)})
        self.tars("user", "enable", "bot")
        self.tars("user", "secret", "desk-2", given="another secret for desk-2\n")
        key = self.tars("token", "create", "bot", "--label", "ci", "--days", "2").strip()
        self.assertTrue(key.startswith("tars_sk_"))
        listed = self.rows("token", "keys")
        self.assertEqual([(k["account"], k["label"]) for k in listed], [("bot", "ci")])
        self.tars("token", "revoke", str(listed[0]["id"]))
        self.tars("token", "revoke", "99", code=1)
        for_ever = self.tars("token", "create", "bot").strip()  # as the manual has it
        self.assertTrue(for_ever.startswith("tars_sk_"))
        self.assertEqual([k["expires_at"] for k in self.rows("token", "keys") if not k["revoked"]], [None])
        self.assertEqual(self.tars("token", "issue", "office").count("."), 2)
        self.tars("user", "remove", "desk-2")
        self.tars("user", "remove", "desk-2", code=1)
        for wrong in (("user", "frob"), ("user", "add"), ("user", "role", "x"), ("user", "role", "office", "king"),
                      ("token", "create", "office", "--days", "0"), ("token", "issue")):
            self.tars(*wrong, code=2)
        with open(os.path.join(self.data, "tars.db"), "rb") as file:
            kept = file.read()
        for told in (secret, key, for_ever, "a secret for desk-2"):
            self.assertNotIn(told.encode(), kept)

    def test_a_secret_is_typed_unseen(self):
        main, inner = pty.openpty()
        process = subprocess.Popen([TARS, "user", "add", "ida"], env=environment(self.data), cwd=self.data,
                                   stdin=inner, stdout=inner, stderr=inner, close_fds=True)
        os.close(inner)
        seen = b""
        for i in range(2):
            while seen.count(b": ") <= i:
                seen += os.read(main, 1024)
            os.write(main, b"wrong\x15typed unseen hereX\x7f\n")
        while b"added ida" not in seen:
            seen += os.read(main, 1024)
        self.assertEqual(process.wait(timeout=30), 0)
        os.close(main)
        self.assertNotIn(b"unseen", seen)
        self.assertTrue(self.rows("user", "users")[0]["has_secret"])

    def test_collections_tenants_audit(self):
        self.tars("collection", "add", "hr", "--restricted", "--description", "Staff")
        self.tars("user", "add", "desk-2", "--no-secret")
        self.tars("collection", "grant", "hr", "desk-2", "--write")
        self.assertIn("reads and writes", self.tars("collection", "grants", "hr"))
        self.tars("collection", "revoke", "hr", "desk-2")
        self.tars("collection", "open", "hr")
        self.assertEqual({c["name"]: c["restricted"] for c in self.rows("collection", "collections")}, {"default": False, "hr": False})
        self.tars("collection", "restrict", "hr")
        self.tars("collection", "remove", "hr")
        self.tars("collection", "remove", "hr", code=1)
        self.tars("tenant", "add", "acme", "--title", "Acme", "--max-documents", "5")
        self.tars("tenant", "set", "acme", "--max-bytes", "1000", "--max-questions", "9")
        self.tars("tenant", "disable", "acme")
        acme = self.rows("tenant", "tenants")[0]
        self.assertEqual((acme["max_documents"], acme["max_bytes"], acme["max_questions_day"], acme["disabled"]), (5, 1000, 9, True))
        self.tars("tenant", "enable", "acme")
        self.tars("user", "add", "bob", "--tenant", "acme", "--no-secret")
        self.assertEqual([u["name"] for u in self.rows("user", "users", "--tenant", "acme")], ["bob"])
        self.tars("tenant", "remove", "acme")
        self.assertEqual([e["action"] for e in json.loads(self.tars("audit", "--json", "--limit", "2"))["entries"]][0], "tenant-removed")
        entries = json.loads(self.tars("audit", "--json", "--action", "grant-added", "--actor", "owner"))["entries"]
        self.assertEqual(len(entries), 1)
        self.assertRegex(self.tars("audit", "--limit", "1"), r"tenant-removed")

    def test_help(self):
        for command in ("user", "token", "collection", "tenant", "audit"):
            self.assertIn(command, self.tars(command, "--help"))


class Beside(AdminTest):
    """The same over a running server."""

    def test_commands_talk_to_the_server(self):
        secret = run("user", "add", "eva", "--role", "reader", "--make-secret", data=self.data).stdout.strip()
        token = self.sign_in("eva", client_secret=secret)
        self.assertEqual(self.ask("GET", "/rag/documents", token=token).status, 200)
        run("user", "disable", "eva", data=self.data)
        self.assertEqual(self.ask("GET", "/rag/documents", token=token).status, 401)
        self.assertIn("eva", run("user", "list", data=self.data).stdout)


if __name__ == "__main__":
    unittest.main()
