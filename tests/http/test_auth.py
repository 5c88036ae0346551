"""Who asks: tokens, API keys, modes, rights (contract 1.0, 1.2 and 8; design 9.1, 9.2 and 9.15)."""
import base64
import json
import re
import time
import unittest

from server import SAMPLES, ServerTest, run

BAD = "Could not validate credentials"
TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?$")
# A route of each need: what it answers to who may.
ASK = ("POST", "/rag/search", {"query": "leave"}, 200)
READER = ("GET", "/rag/documents", None, 200)
WRITER = ("DELETE", "/rag/document", {"document_id": "doc_none"}, 200)
ADMIN = ("GET", "/admin/users", None, 200)
SYSTEM = ("GET", "/admin/tenants", None, 200)
PUBLIC = ("GET", "/health", None, 200)
NEEDS = {"PUBLIC": PUBLIC, "ASK": ASK, "READER": READER, "WRITER": WRITER, "ADMIN": ADMIN, "SYSTEM": SYSTEM}


def claims(token):
    head, body, _ = token.split(".")
    return [json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in (head, body)]


def forged(token, **changes):
    """The same signature over other claims."""
    head, body, signature = token.split(".")
    told = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    told.update(changes)
    return ".".join([head, base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("="), signature])


class AuthTest(ServerTest):
    def pair(self, **body):
        reply = self.ask("POST", "/auth/token", body, token="")
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json()

    def assert_refused(self, reply, status, detail):
        self.assertEqual((reply.status, reply.json()["detail"]), (status, detail))
        self.assertEqual(reply.headers["www-authenticate"], "Bearer" if status == 401 else None)
        self.assertEqual(reply.json()["request_id"], reply.headers["x-request-id"])


class Open(AuthTest):
    """The default on loopback: a token for any client_id, and all of them are admins."""

    # ------------------------------------------------------------------ 1.2

    def test_token(self):
        for path in ("/auth/token", "/auth/authenticate", "/api/v1/auth/token"):
            reply = self.ask("POST", path, {"client_id": "desk-1", "device_name": "Laptop", "device_type": "linux"})
            self.assertEqual(reply.status, 200)
            self.assertEqual(reply.headers["cache-control"], "no-store")
            body = reply.json()
            self.assertEqual(list(body), ["access_token", "refresh_token", "token_type", "expires_in"])
            self.assertEqual((body["token_type"], body["expires_in"]), ("bearer", 86400))
        head, access = claims(body["access_token"])
        self.assertEqual(head, {"alg": "HS256", "typ": "JWT"})
        self.assertEqual((access["sub"], access["device_name"], access["device_type"], access["type"]),
                         ("desk-1", "Laptop", "linux", "access"))
        self.assertRegex(access["issued_at"], TIME)
        self.assertEqual(access["exp"] - access["iat"], 86400)
        _, refresh = claims(body["refresh_token"])
        self.assertEqual((refresh["sub"], refresh["type"], refresh["exp"] - refresh["iat"]),
                         ("desk-1", "refresh", 7 * 86400))
        self.assertNotEqual(access["jti"], refresh["jti"])

    def test_any_client_id(self):
        for name in ("", "x" * 255, "ünï", "a b"):
            self.assertTrue(self.pair(client_id=name)["access_token"])
        for body, kind in (({}, "missing"), ({"client_id": 7}, "string_type"), ({"client_id": "x" * 256}, "value_error")):
            reply = self.ask("POST", "/auth/token", body)
            self.assertEqual(reply.status, 422)
            self.assertEqual((reply.json()["detail"][0]["type"], reply.json()["detail"][0]["loc"]),
                             (kind, ["body", "client_id"]))

    def test_refresh(self):
        first = self.pair(client_id="desk-1")
        second = self.ask("POST", "/auth/refresh", {"refresh_token": first["refresh_token"]})
        self.assertEqual(second.status, 200)
        self.assertEqual(list(second.json()), list(first))
        self.assert_refused(self.ask("POST", "/auth/refresh", {"refresh_token": first["refresh_token"]}),
                            401, "Token has been revoked")
        self.assert_refused(self.ask("POST", "/auth/refresh", {"refresh_token": first["access_token"]}),
                            401, "Invalid token type")
        self.assert_refused(self.ask("POST", "/auth/refresh", {"refresh_token": "x"}), 401, BAD)
        self.assertEqual(self.ask("POST", "/auth/refresh", {}).status, 422)
        # The access token goes on, as the contract has it.
        self.assertEqual(self.ask(*READER[:3], token=first["access_token"]).status, 200)

    def test_validate(self):
        pair = self.pair(client_id="desk-1")
        good = self.ask("POST", "/auth/validate", token=pair["access_token"]).json()
        self.assertEqual((list(good), good["valid"], good["client_id"]), (["valid", "client_id", "expires_at"], True, "desk-1"))
        self.assertRegex(good["expires_at"], TIME)
        for bad in (pair["refresh_token"], pair["access_token"] + "x", "nonsense", forged(pair["access_token"], sub="root")):
            reply = self.ask("POST", "/auth/validate", token=bad)
            self.assertEqual((reply.status, reply.json()), (200, {"valid": False, "client_id": None, "expires_at": None}))
        self.assert_refused(self.ask("POST", "/auth/validate"), 403, "Not authenticated")
        self.assert_refused(self.ask("POST", "/auth/validate", headers={"Authorization": "Basic eDp5"}),
                            403, "Invalid authentication credentials")

    def test_revoke(self):
        pair = self.pair(client_id="desk-1")
        other = self.pair(client_id="desk-2")
        for token in (pair["access_token"], pair["refresh_token"], "any string"):
            reply = self.ask("POST", "/auth/revoke", {"token": token}, token=other["access_token"])
            self.assertEqual((reply.status, reply.json()), (200, {"message": "Token revoked successfully"}))
        self.assert_refused(self.ask(*READER[:3], token=pair["access_token"]), 401, "Token has been revoked")
        self.assert_refused(self.ask("POST", "/auth/refresh", {"refresh_token": pair["refresh_token"]}),
                            401, "Token has been revoked")
        self.assertFalse(self.ask("POST", "/auth/validate", token=pair["access_token"]).json()["valid"])
        self.assert_refused(self.ask("POST", "/auth/revoke", {"token": "x"}), 403, "Not authenticated")
        self.assert_refused(self.ask("POST", "/auth/revoke", {"token": "x"}, token="bad"), 401, BAD)

    def test_revocations_survive_a_restart(self):
        pair = self.pair(client_id="desk-1")
        self.ask("POST", "/auth/revoke", {"token": pair["access_token"]}, token=self.sign_in())
        kept = self.sign_in("kept")
        self.stop()
        type(self).start()
        self.assert_refused(self.ask(*READER[:3], token=pair["access_token"]), 401, "Token has been revoked")
        self.assertEqual(self.ask(*READER[:3], token=kept).status, 200)

    def test_health_and_me(self):
        health = self.ask("GET", "/auth/health").json()
        self.assertEqual((health["status"], health["service"], health["mode"]), ("healthy", "authentication", "open"))
        me = self.ask("GET", "/auth/me", token=self.sign_in("desk-1")).json()
        self.assertEqual((me["client_id"], me["tenant"], me["role"], me["credential"]), ("desk-1", "default", "admin", "token"))
        self.assertEqual([c["name"] for c in me["collections"]], ["default"])
        self.assert_refused(self.ask("GET", "/auth/me"), 403, "Not authenticated")

    # ------------------------------------------------------------------ 1.0

    def test_credentials(self):
        pair = self.pair(client_id="desk-1")
        token = pair["access_token"]
        good = [({"Authorization": f"Bearer {token}"}, ""), ({"Authorization": f"bearer  {token}"}, ""),
                ({}, f"?token={token}"), ({"Authorization": "Basic eDp5"}, f"?token={token}"),
                ({"Authorization": f"Bearer {token}"}, "?token=bad")]
        for headers, query in good:
            with self.subTest(headers=headers, query=query):
                self.assertEqual(self.ask("GET", "/rag/documents" + query, headers=headers).status, 200)
        bad = [({"Authorization": "Bearer x"}, "", 401, BAD), ({}, "?token=x", 401, BAD),
               ({"Authorization": "Bearer x"}, f"?token={token}", 401, BAD),
               ({"Authorization": f"Bearer {pair['refresh_token']}"}, "", 401, BAD),
               ({}, f"?token={pair['refresh_token']}", 401, BAD),
               ({"Authorization": f"Basic {token}"}, "", 403, "Invalid authentication credentials"),
               ({"Authorization": "Bearer"}, "", 403, "Not authenticated"),
               ({"Authorization": token}, "", 403, "Not authenticated"), ({}, "?token=", 403, "Not authenticated"),
               ({"Authorization": f"Bearer {forged(token, sub='root')}"}, "", 401, BAD),
               ({"Authorization": "Bearer " + "x" * 9000}, "", 401, BAD),
               ({"Authorization": "Bearer tars_sk_" + "0" * 43}, "", 401, BAD)]
        for headers, query, status, detail in bad:
            with self.subTest(headers=str(headers)[:60], query=query[:20]):
                self.assert_refused(self.ask("GET", "/rag/documents" + query, headers=headers), status, detail)

    def test_no_algorithm_but_ours(self):
        head, body, _ = self.sign_in().split(".")
        for other in ('{"alg":"none","typ":"JWT"}', '{"alg":"HS512","typ":"JWT"}', '{"alg":"RS256"}'):
            made = base64.urlsafe_b64encode(other.encode()).decode().rstrip("=")
            for signature in ("", "AAAA"):
                self.assert_refused(self.ask(*READER[:3], token=f"{made}.{body}.{signature}"), 401, BAD)

    def test_needs(self):
        token = self.sign_in()
        for need, (method, path, body, status) in NEEDS.items():
            with self.subTest(need=need):
                self.assertEqual(self.ask(method, path, body, token=token).status, status)
                nobody = self.ask(method, path, body)
                if need in ("PUBLIC", "ASK"):
                    self.assertEqual(nobody.status, status)
                else:
                    self.assert_refused(nobody, 403, "Not authenticated")
                bad = self.ask(method, path, body, token="bad")
                if need == "PUBLIC":
                    self.assertEqual(bad.status, status)
                else:
                    self.assert_refused(bad, 401, BAD)

    def test_what_is_not_there_asks_for_nothing(self):
        self.assertEqual(self.ask("GET", "/nope", token="bad").status, 404)
        self.assertEqual(self.ask("GET", "/rag/query").status, 405)
        self.assertEqual(self.ask("GET", "/rag/documents/").status, 307)

    def test_the_owner(self):
        with open(f"{self.data}/server.json", encoding="utf-8") as file:
            secret = json.load(file)["token"]
        owner = {"X-Tars-Owner": secret}
        for method, path, body, status in NEEDS.values():
            self.assertEqual(self.ask(method, path, body, headers=owner).status, status)
        self.assertEqual(self.ask("GET", "/auth/me", headers=owner).json()["credential"], "owner")
        for wrong in (secret[:-1], secret + "0", "", "0" * len(secret)):
            self.assert_refused(self.ask(*ADMIN[:3], headers={"X-Tars-Owner": wrong}), 403, "Not authenticated")


class OpenWithAdmins(AuthTest):
    """A list of administrators: all others are writers."""
    settings = {"ADMIN_CLIENT_IDS": "admin_001, admin_002"}

    def test_roles(self):
        for name, role in (("admin_001", "admin"), ("admin_002", "admin"), ("admin_003", "writer"), ("", "writer")):
            token = self.sign_in(name)
            self.assertEqual(self.ask("GET", "/auth/me", token=token).json()["role"], role)
            for need in ("ADMIN", "SYSTEM"):
                reply = self.ask(*NEEDS[need][:3], token=token)
                if role == "admin":
                    self.assertEqual(reply.status, 200)
                else:
                    self.assert_refused(reply, 403, "Admin privileges required for this operation")
            self.assertEqual(self.ask(*WRITER[:3], token=token).status, 200)


class Secret(AuthTest):
    """A secret or a password, accounts, roles, keys."""
    settings = {"TARS_AUTH": "secret", "JWT_SECRET_KEY": "0123456789abcdef0123456789abcdef"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        with open(f"{cls.data}/server.json", encoding="utf-8") as file:
            cls.owner = {"X-Tars-Owner": json.load(file)["token"]}
        cls.secrets, cls.tokens = {}, {}
        for role in ("reader", "writer", "admin"):
            made = cls.ask("POST", "/admin/users", {"name": role, "role": role, "make_secret": True}, headers=cls.owner)
            cls.secrets[role] = made.json()["secret"]
            cls.tokens[role] = cls.sign_in(role, client_secret=cls.secrets[role])
        run("ingest", SAMPLES, data=cls.data)

    def test_sign_in(self):
        for field in ("client_secret", "password"):
            self.assertTrue(self.pair(client_id="reader", **{field: self.secrets["reader"]})["access_token"])
        for body in ({"client_id": "reader"}, {"client_id": "reader", "password": "wrong"},
                     {"client_id": "nobody", "password": self.secrets["reader"]}, {"client_id": "", "password": ""},
                     {"client_id": "reader", "password": self.secrets["reader"], "tenant": "none"},
                     {"client_id": "reader", "password": self.secrets["writer"]}):
            with self.subTest(body=list(body)):
                self.assert_refused(self.ask("POST", "/auth/token", body), 401, BAD)

    def test_needs(self):
        order = ["PUBLIC", "ASK", "READER", "WRITER", "ADMIN", "SYSTEM"]
        highest = {None: 0, "reader": 2, "writer": 3, "admin": 5}
        for role, most in highest.items():
            for i, need in enumerate(order):
                method, path, body, status = NEEDS[need]
                with self.subTest(role=role, need=need):
                    reply = self.ask(method, path, body, token=self.tokens.get(role, ""))
                    if i <= most:
                        self.assertEqual(reply.status, status)
                    elif role is None:
                        self.assert_refused(reply, 403, "Not authenticated")
                    elif need == "WRITER":
                        self.assert_refused(reply, 403, f"This operation needs the role writer; yours is {role}")
                    else:
                        self.assert_refused(reply, 403, "Admin privileges required for this operation")

    def test_rights_count_at_once(self):
        made = self.ask("POST", "/admin/users", {"name": "mover", "role": "writer", "make_secret": True},
                        headers=self.owner).json()
        token = self.sign_in("mover", client_secret=made["secret"])
        self.assertEqual(self.ask(*WRITER[:3], token=token).status, 200)
        self.ask("PATCH", "/admin/users/mover", {"role": "reader"}, headers=self.owner)
        self.assertEqual(self.ask(*WRITER[:3], token=token).status, 403)
        self.ask("PATCH", "/admin/users/mover", {"disabled": True}, headers=self.owner)
        self.assert_refused(self.ask(*READER[:3], token=token), 401, BAD)
        self.assert_refused(self.ask("POST", "/auth/token", {"client_id": "mover", "client_secret": made["secret"]}), 401, BAD)
        self.ask("PATCH", "/admin/users/mover", {"disabled": False}, headers=self.owner)
        # The old token is of before; it is let in only where both were in the same second.
        token = self.sign_in("mover", client_secret=made["secret"])
        self.assertEqual(self.ask(*READER[:3], token=token).status, 200)
        self.ask("DELETE", "/admin/users/mover", headers=self.owner)
        self.assert_refused(self.ask(*READER[:3], token=token), 401, BAD)

    def test_keys(self):
        made = self.ask("POST", "/auth/keys", {"label": "nightly", "role": "reader"}, token=self.tokens["writer"])
        self.assertEqual(made.status, 201)
        self.assertEqual(made.headers["cache-control"], "no-store")
        key = made.json()
        self.assertTrue(key["key"].startswith("tars_sk_"))
        for ask in (lambda p: self.ask("GET", p, token=key["key"]), lambda p: self.ask("GET", f"{p}?token={key['key']}")):
            self.assertEqual(ask("/rag/documents").status, 200)
        me = self.ask("GET", "/auth/me", token=key["key"]).json()
        self.assertEqual((me["client_id"], me["role"], me["credential"]), ("writer", "reader", "key"))
        self.assertEqual(self.ask(*WRITER[:3], token=key["key"]).status, 403)
        listed = self.ask("GET", "/auth/keys", token=self.tokens["writer"]).json()["keys"]
        self.assertEqual([(k["id"], k["label"], k["account"], k["revoked"]) for k in listed],
                         [(key["id"], "nightly", "writer", False)])
        self.assertNotIn(key["key"], json.dumps(listed))
        self.assertEqual(self.ask("DELETE", f"/auth/keys/{key['id']}", token=self.tokens["reader"]).status, 404)
        self.assertEqual(self.ask("DELETE", f"/auth/keys/{key['id']}", token=self.tokens["writer"]).status, 200)
        self.assertEqual(self.ask(*READER[:3], token=key["key"]).status, 401)
        for bad in ("0", "x", "999999", "1%00"):
            self.assertEqual(self.ask("DELETE", f"/auth/keys/{bad}", token=self.tokens["writer"]).status, 404)

    def test_own_secret(self):
        made = self.ask("POST", "/admin/users", {"name": "changer", "secret": "a secret of mine"}, headers=self.owner)
        self.assertEqual((made.status, made.json()["secret"]), (201, None))
        token = self.sign_in("changer", password="a secret of mine")
        for old, new, status in (("wrong", "another long one", 403), ("a secret of mine", "short", 400),
                                 ("a secret of mine", "another long one", 200)):
            reply = self.ask("POST", "/auth/secret", {"old_secret": old, "secret": new}, token=token)
            self.assertEqual(reply.status, status, reply.body)
        self.assertTrue(self.sign_in("changer", password="another long one"))
        self.assert_refused(self.ask("POST", "/auth/token", {"client_id": "changer", "password": "a secret of mine"}), 401, BAD)

    def test_guessing_is_slowed_down(self):
        self.ask("POST", "/admin/users", {"name": "guessed", "secret": "correct horse battery"}, headers=self.owner)
        replies = [self.ask("POST", "/auth/token", {"client_id": "guessed", "password": f"guess {i}"}) for i in range(40)]
        self.assertEqual(replies[0].status, 401)
        self.assertEqual(replies[-1].status, 429)
        self.assertGreater(int(replies[-1].headers["retry-after"]), 0)
        self.assertEqual(replies[-1].json()["error"], "Rate limit exceeded")

    def test_tokens_end(self):
        # Signed with the key of this server, by hand: what is over, and what lacks something.
        import hashlib
        import hmac
        now = int(time.time())

        def signed(key=self.settings["JWT_SECRET_KEY"], **told):
            text = ".".join(base64.urlsafe_b64encode(json.dumps(part, separators=(",", ":")).encode()).decode().rstrip("=")
                            for part in ({"alg": "HS256", "typ": "JWT"}, told))
            mac = hmac.new(key.encode(), text.encode(), hashlib.sha256).digest()
            return text + "." + base64.urlsafe_b64encode(mac).decode().rstrip("=")

        good = {"sub": "reader", "exp": now + 60, "iat": now, "type": "access", "jti": "0" * 32}
        self.assertEqual(self.ask(*READER[:3], token=signed(**good)).status, 200)
        for name, change in (("over", {"exp": now - 1}), ("no end", {"exp": None}), ("nobody", {"sub": None}),
                             ("refresh", {"type": "refresh"}), ("unknown", {"sub": "nobody"}),
                             ("other tenant", {"tenant": "none"})):
            with self.subTest(name=name):
                told = {k: v for k, v in {**good, **change}.items() if v is not None}
                self.assert_refused(self.ask(*READER[:3], token=signed(**told)), 401, BAD)
        self.assert_refused(self.ask(*READER[:3], token=signed("another key of thirty-two bytes!", **good)), 401, BAD)


if __name__ == "__main__":
    unittest.main()
