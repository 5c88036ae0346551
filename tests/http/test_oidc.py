"""TARS_AUTH=oidc with a real provider (oidc-provider): sign-in by web page, bearer tokens, roles, keys
that change, and everything that must be refused."""
import base64
import hashlib
import hmac
import http.client
import http.cookiejar
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.parse
import urllib.request

from server import ROOT, TARS, ServerTest, environment, run

sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from ports import free_port  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES = os.environ.get("OIDC_MODULES") or subprocess.run(
    [os.path.join(HERE, "..", "support", "oidc_provider")], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def node():
    beside = os.path.join(MODULES, "bin", "node")
    return beside if os.path.exists(beside) else shutil.which("node")


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Browser:
    """Cookies, redirects one at a time, and the provider's forms."""

    def __init__(self):
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(NoRedirect, urllib.request.HTTPCookieProcessor(self.jar))

    def go(self, url, data=None, method=None):
        if data is not None:
            data = urllib.parse.urlencode(data).encode()
        request = urllib.request.Request(url, data=data, method=method, headers={"Accept": "text/html,*/*"})
        try:
            reply = self.opener.open(request, timeout=30)
        except urllib.error.HTTPError as error:
            reply = error
        return reply.status if hasattr(reply, "status") else reply.code, reply.headers, reply.read().decode()

    def sign_in(self, url, name, stop):
        """From the server's page at the provider to the address that begins with stop."""
        for _ in range(12):
            status, headers, body = self.go(url)
            while status == 200:
                action = re.search(r'action="([^"]+)"', body).group(1)
                prompt = re.search(r'name="prompt" value="([^"]+)"', body).group(1)
                data = {"prompt": prompt}
                if prompt == "login":
                    data.update(login=name, password="x")
                status, headers, body = self.go(urllib.parse.urljoin(url, action), data)
            if status not in (302, 303):
                raise AssertionError(f"{url}: {status} {body[:300]}")
            url = urllib.parse.urljoin(url, headers["Location"])
            if url.startswith(stop):
                return url
        raise AssertionError("too many redirects")


class Provider(ServerTest):
    client = {"OIDC_CLIENT_ID": "tars", "OIDC_CLIENT_SECRET": "a secret of the client, for tests"}
    more = {}
    scheme = "RS256"

    @classmethod
    def setUpClass(cls):
        cls.port_here, cls.port_there = free_port(), free_port()
        cls.base = f"http://127.0.0.1:{cls.port_here}"
        cls.issuer = f"http://127.0.0.1:{cls.port_there}"
        cls.settings = dict({"TARS_AUTH": "oidc", "BACKEND_PORT": str(cls.port_here), "OIDC_ISSUER": cls.issuer,
                             "OIDC_REDIRECT_URI": cls.base + "/auth/oidc/callback", "OIDC_ROLE_CLAIM": "groups",
                             "OIDC_ADMIN_VALUES": "tars-admins", "OIDC_WRITER_VALUES": "x, tars-writers"},
                            **cls.client, **cls.more)
        cls.provider = None
        cls.start_provider("a,b")
        super().setUpClass()

    @classmethod
    def start(cls):
        cls.process = subprocess.Popen(
            [TARS, "serve", "--port", str(cls.port_here), "--json"], cwd=cls.data, stdout=subprocess.PIPE, text=True,
            env=environment(cls.data, LOG_LEVEL="WARNING", **cls.settings))
        cls.url = json.loads(cls.process.stdout.readline())["url"]
        cls.port = cls.port_here

    @classmethod
    def start_provider(cls, kids):
        cls.stop_provider()
        cls.provider = subprocess.Popen(
            [node(), os.path.join(HERE, "oidc_provider.mjs"), str(cls.port_there), cls.base + "/auth/oidc/callback", kids],
            env=dict(os.environ, OIDC_MODULES=MODULES, NODE_NO_WARNINGS="1"), stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)
        line = ""
        while line.strip() != "ready":
            line = cls.provider.stdout.readline()
            if not line:
                raise AssertionError("the provider did not start")

    @classmethod
    def stop_provider(cls):
        if cls.provider:
            cls.provider.send_signal(signal.SIGTERM)
            cls.provider.wait(timeout=30)
            cls.provider.stdout.close()

    @classmethod
    def tearDownClass(cls):
        cls.stop_provider()
        super().tearDownClass()

    def person(self, name):
        """Tokens of somebody who signed in with a browser."""
        browser = Browser()
        status, headers, _ = browser.go(self.base + "/auth/oidc/login")
        self.assertEqual(status, 302)
        callback = browser.sign_in(headers["Location"], name, self.base)
        status, headers, body = browser.go(callback)
        self.assertEqual((status, headers["Location"]), (302, "/ui#signed-in"), body)
        status, _, body = browser.go(self.base + "/auth/oidc/token", method="POST")
        self.assertEqual(status, 200, body)
        return json.loads(body)

    def me(self, token):
        reply = self.ask("GET", "/auth/me", token=token)
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json()


class Page(Provider):
    def test_health_says_so(self):
        told = self.ask("GET", "/auth/health").json()
        self.assertEqual((told["mode"], told["oidc"]), ("oidc", True))

    def test_roles(self):
        for name, role in (("root", "admin"), ("will", "writer"), ("rita", "reader")):
            with self.subTest(name=name):
                pair = self.person(name)
                me = self.me(pair["access_token"])
                self.assertEqual((me["client_id"], me["role"]), (name, role))
                self.assertEqual(pair["token_type"], "bearer")
                again = self.ask("POST", "/auth/refresh", {"refresh_token": pair["refresh_token"]})
                self.assertEqual(again.status, 200)

    def test_an_account_is_made_once(self):
        for _ in range(2):
            self.person("rita")
        listed = json.loads(run("user", "list", "--json", data=self.data, **self.settings).stdout)
        self.assertEqual([a["name"] for a in listed["users"]].count("rita"), 1)

    def test_what_goes_to_the_provider(self):
        status, headers, _ = Browser().go(self.base + "/auth/oidc/login")
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(headers["Location"]).query))
        self.assertEqual(status, 302)
        self.assertEqual((query["response_type"], query["client_id"], query["code_challenge_method"], query["scope"]),
                         ("code", self.client["OIDC_CLIENT_ID"], "S256", "openid profile email"))
        for name in ("state", "nonce", "code_challenge"):
            self.assertRegex(query[name], r"^[A-Za-z0-9_-]{43}$")
        cookie = headers["Set-Cookie"]
        self.assertRegex(cookie, r"^tars_oidc=[^;]+; Path=/auth/oidc; Max-Age=600; HttpOnly; SameSite=Lax$")
        self.assertEqual(headers["Cache-Control"], "no-store")
        self.assertNotIn(query["nonce"] + query["state"], headers["Location"])

    def finished(self, name="rita"):
        browser = Browser()
        _, headers, _ = browser.go(self.base + "/auth/oidc/login")
        return browser, browser.sign_in(headers["Location"], name, self.base)

    def test_no_token_in_an_address(self):
        browser, callback = self.finished()
        _, headers, body = browser.go(callback)
        cookies = headers.get_all("Set-Cookie")
        self.assertEqual((headers["Location"], body), ("/ui#signed-in", ""))
        self.assertTrue(cookies[0].startswith("tars_oidc=; Path=/auth/oidc; Max-Age=0;"))
        self.assertRegex(cookies[1], r"^tars_ticket=[^;]+; Path=/auth/oidc; Max-Age=60; HttpOnly; SameSite=Strict$")
        self.assertNotIn("eyJ", "".join(cookies))

    def test_a_ticket_is_good_once(self):
        browser, callback = self.finished()
        browser.go(callback)
        value = next(c.value for c in browser.jar if c.name == "tars_ticket")
        self.assertEqual(browser.go(self.base + "/auth/oidc/token", method="POST")[0], 200)
        for ticket in (value, value[:-1] + "A", "x", ""):
            reply = self.ask("POST", "/auth/oidc/token", headers={"Cookie": f"a=b; tars_ticket={ticket}"})
            self.assertEqual(reply.status, 401)
        self.assertEqual(self.ask("POST", "/auth/oidc/token").status, 401)

    def test_another_browser(self):
        """An answer that is brought to a browser that did not ask, or to one that asked something else."""
        _, callback = self.finished()
        other = Browser()
        self.assertEqual(other.go(callback)[0], 401)
        other.go(self.base + "/auth/oidc/login")
        self.assertEqual(other.go(callback)[0], 401)

    def test_a_code_is_good_once(self):
        browser, callback = self.finished()
        cookie = next(c.value for c in browser.jar if c.name == "tars_oidc")
        self.assertEqual(browser.go(callback)[0], 302)
        path = callback[len(self.base):]
        self.assertEqual(self.ask("GET", path, headers={"Cookie": "tars_oidc=" + cookie}).status, 401)

    def test_answers_that_are_none(self):
        browser, callback = self.finished()
        cookie = next(c.value for c in browser.jar if c.name == "tars_oidc")
        state = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(callback).query))["state"]
        headers = {"Cookie": "tars_oidc=" + cookie}
        for query in ("", "code=x", f"state={state}", f"state={state}&code=", f"state={state}&error=access_denied",
                      f"state={state}&code=wrong", f"state={state}&code=x&iss=https://other.example",
                      f"state={state}x&code=x", "state=%FF", "state=" + "x" * 5000):
            with self.subTest(query=query[:40]):
                reply = self.ask("GET", "/auth/oidc/callback?" + query, headers=headers)
                self.assertEqual(reply.status, 401, reply.body)
                self.assertNotIn("Set-Cookie", reply.headers)

    def test_below_the_version(self):
        status, headers, _ = Browser().go(self.base + "/api/v1/auth/oidc/login")
        self.assertEqual((status, headers["Location"].startswith(self.issuer)), (302, True))

    def test_disabled(self):
        pair = self.person("will")
        boss = self.person("root")["access_token"]
        changed = self.ask("PATCH", "/admin/users/will", {"disabled": True}, token=boss)
        self.assertEqual(changed.status, 200, changed.body)
        self.assertEqual(self.ask("GET", "/auth/me", token=pair["access_token"]).status, 401)
        browser, callback = self.finished("will")
        self.assertEqual(browser.go(callback)[0], 401)
        changed = self.ask("PATCH", "/admin/users/will", {"disabled": False}, token=boss)
        self.assertEqual(changed.status, 200, changed.body)


class PublicClient(Provider):
    """No secret, ES256, and no claim for roles."""
    client = {"OIDC_CLIENT_ID": "tars-public", "OIDC_ROLE_CLAIM": "", "OIDC_DEFAULT_ROLE": "writer"}

    def test_sign_in(self):
        self.assertEqual(self.me(self.person("rita")["access_token"])["role"], "writer")


class Tenants(Provider):
    more = {"OIDC_TENANT_CLAIM": "org"}

    def test_the_claim_names_the_tenant(self):
        run("tenant", "add", "acme", data=self.data, **self.settings)
        me = self.me(self.person("acme")["access_token"])
        self.assertEqual((me["tenant"], me["client_id"], me["role"]), ("acme", "acme", "reader"))

    def test_without_it_nobody_gets_in(self):
        browser = Browser()
        _, headers, _ = browser.go(self.base + "/auth/oidc/login")
        callback = browser.sign_in(headers["Location"], "rita", self.base)
        self.assertEqual(browser.go(callback)[0], 401)


class Bearer(Provider):
    more = {"OIDC_AUDIENCE": "https://tars.example/ec"}

    def provider_token(self, resource="https://tars.example/ec"):
        basic = base64.b64encode(b"robot:" + urllib.parse.quote("a secret of the robot, for tests").encode()).decode()
        request = urllib.request.Request(
            self.issuer + "/token", headers={"Authorization": "Basic " + basic},
            data=urllib.parse.urlencode({"grant_type": "client_credentials", "resource": resource}).encode())
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.loads(reply.read())["access_token"]

    def status(self, token):
        return self.ask("GET", "/auth/me", token=token).status

    def test_a_good_one(self):
        me = self.me(self.provider_token())
        self.assertEqual((me["client_id"], me["role"]), ("robot", "reader"))

    def test_meant_for_another(self):
        self.assertEqual(self.status(self.provider_token("https://other.example/")), 401)

    def test_changed_tokens(self):
        token = self.provider_token()
        head, body, mac = token.split(".")

        def b64(value):
            return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

        header = json.loads(base64.urlsafe_b64decode(head + "==="))
        claims = json.loads(base64.urlsafe_b64decode(body + "==="))
        with urllib.request.urlopen(self.issuer + "/jwks", timeout=30) as reply:
            keys = reply.read()
        confused = b64({"alg": "HS256", "typ": "JWT", "kid": header["kid"]}) + "." + body
        mac_hs = base64.urlsafe_b64encode(hmac.new(keys, confused.encode(), hashlib.sha256).digest()).rstrip(b"=").decode()
        self.assertEqual(self.status(token), 200)
        for name, changed in (
                ("alg none", b64({"alg": "none"}) + "." + body + "."),
                ("alg none, signed", b64({"alg": "none", "kid": header["kid"]}) + "." + body + "." + mac),
                ("alg HS256 under the public keys", confused + "." + mac_hs),
                ("alg of another key", b64({**header, "alg": "RS256"}) + "." + body + "." + mac),
                ("crit", b64({**header, "crit": ["exp"]}) + "." + body + "." + mac),
                ("typ", b64({**header, "typ": "logout+jwt"}) + "." + body + "." + mac),
                ("jwk in the header", b64({**header, "jwk": {"kty": "oct", "k": "AA"}}) + "." + body + "." + mac),
                ("claims", head + "." + b64({**claims, "sub": "root"}) + "." + mac),
                ("cut", token[:-4]), ("more", token + "A"), ("four parts", token + ".x"), ("two parts", head + "." + body)):
            with self.subTest(name=name):
                self.assertEqual(self.status(changed), 401)

    def test_revoked(self):
        token = self.provider_token()
        self.assertEqual(self.status(token), 200)
        self.assertEqual(self.ask("POST", "/auth/revoke", {"token": token}, token=token).status, 200)
        reply = self.ask("GET", "/auth/me", token=token)
        self.assertEqual((reply.status, reply.json()["detail"]), (401, "Token has been revoked"))

    def test_zz_keys_change_and_the_provider_goes_away(self):
        old = self.provider_token()
        self.assertEqual(self.status(old), 200)
        self.start_provider("c,d")
        new = self.provider_token()
        began = time.monotonic()
        while self.status(new) != 200:
            self.assertLess(time.monotonic() - began, 120)
            time.sleep(1)
        self.assertEqual(self.status(old), 401)
        self.stop_provider()
        self.assertEqual(self.status(new), 200)
        type(self).provider = None


class NoProvider(Provider):
    @classmethod
    def start_provider(cls, kids):
        """It is away from the beginning."""

    def test_the_rest_goes_on(self):
        self.assertEqual(self.ask("GET", "/auth/oidc/login").status, 502)
        self.assertEqual(self.ask("GET", "/auth/oidc/login").status, 502)
        self.assertEqual(self.ask("GET", "/auth/me", token="eyJhbGciOiJSUzI1NiJ9.e30.AAAA").status, 401)
        self.assertEqual(self.ask("GET", "/health").status, 200)


class NotOidc(ServerTest):
    def test_there_is_no_such_way(self):
        for method, path in (("GET", "/auth/oidc/login"), ("GET", "/auth/oidc/callback?code=x&state=y"),
                             ("POST", "/auth/oidc/token")):
            self.assertEqual(self.ask(method, path).status, 404, path)
        self.assertFalse(self.ask("GET", "/auth/health").json()["oidc"])


class Settings(unittest.TestCase):
    def test_what_is_wrong_is_said(self):
        with tempfile.TemporaryDirectory() as data:
            for more, words in (({}, "OIDC_ISSUER"), ({"OIDC_ISSUER": "http://idp.example"}, "OIDC_CLIENT_ID"),
                                ({"OIDC_ISSUER": "http://idp.example", "OIDC_CLIENT_ID": "t"}, "expected an https")):
                done = run("serve", "--port", "0", data=data, code=2, TARS_AUTH="oidc", **more)
                self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main()
