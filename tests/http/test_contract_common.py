"""Contract 1.0: rules and error shapes that hold for every operation; 8: headers and CORS."""
import unittest

import httpx

from contract import TIME, Contract, is_compact

QUERY = {"query": "Who keeps the lighthouse?", "relevance_threshold": 0.0}


class Common(Contract):
    def test_compact(self):
        """1.0 JSON replies are compact, nulls kept"""
        for path in ("/", "/health", "/ready", "/metrics", "/rag/stats", "/rag/health"):
            with self.subTest(path):
                self.assert_json(self.http.get(path))
        body = self.assert_json(self.http.post("/rag/search", json={"query": "lighthouse"}))
        self.assertIn("embedding", body["results"][0])
        self.assertIsNone(body["results"][0]["embedding"])

    def test_raw_utf8(self):
        """1.0 JSON replies are raw UTF-8"""
        reply = self.http.post("/rag/search", json={"query": "phare à Østerbro 灯台 🗼"})
        self.assertIn("phare à Østerbro 灯台 🗼".encode(), reply.content)

    def test_ndjson_spacing(self):
        """1.0 NDJSON lines have ", " and ": " and ASCII escapes"""
        reply = self.http.post("/rag/query/stream", json={"query": "Qui garde le phare à Oldport 灯台?"})
        self.assertEqual(reply.status_code, 200)
        for line in reply.text.splitlines():
            self.assertTrue(line.isascii())
            self.assertTrue(line.startswith('{"type": "'), line[:40])
            self.assertIn(", ", line)
            self.assertFalse(is_compact(line.encode()))

    def test_times(self):
        """1.0 times are ISO-8601, UTC, with microseconds, no zone"""
        for path, key in (("/health", "timestamp"), ("/ready", "timestamp"), ("/metrics", "startup_time"),
                          ("/rag/stats", "last_updated"), ("/metrics/system", "timestamp"),
                          ("/conversation/health", None)):
            with self.subTest(path):
                body = self.assert_json(self.http.get(path))
                if key:
                    self.assertRegex(body[key], TIME)

    def test_content_type_json_or_absent(self):
        """1.0 the type of a body is JSON or absent, else 422"""
        raw = b'{"query":"lighthouse"}'
        for kind in (None, "application/json", "application/json; charset=utf-8", "application/ld+json"):
            with self.subTest(kind):
                headers = {"content-type": kind} if kind else {}
                self.assertEqual(self.http.post("/rag/search", content=raw, headers=headers).status_code, 200)
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/octet-stream"):
            with self.subTest(kind):
                reply = self.http.post("/rag/search", content=raw, headers={"content-type": kind})
                self.assert_invalid(reply, "model_attributes_type", "body")

    def test_trailing_slash(self):
        """1.0 a trailing slash gives 307 to the path without it"""
        for method, path in (("GET", "/health/"), ("POST", "/rag/search/"), ("GET", "/conversation/list/")):
            with self.subTest(path):
                reply = self.http.request(method, path)
                self.assertEqual(reply.status_code, 307)
                self.assertEqual(httpx.URL(reply.headers["location"]).path, path[:-1])
        self.assertEqual(self.http.get("/health/", follow_redirects=True).status_code, 200)
        again = self.http.post("/rag/search/", json={"query": "x"}, follow_redirects=True)
        self.assertEqual(again.status_code, 200)

    def test_trailing_slash_keeps_the_query(self):
        """1.0 a trailing slash keeps the query string"""
        reply = self.http.get("/analytics/query-stats/?start_time=2025-01-01")
        self.assertEqual(reply.status_code, 307)
        self.assertTrue(reply.headers["location"].endswith("/analytics/query-stats?start_time=2025-01-01"))

    def test_head(self):
        """1.0 HEAD answers like GET without a body (design 9.17)"""
        get, head = self.http.get("/health"), self.http.head("/health")
        self.assertEqual(head.status_code, 200)
        self.assertEqual(head.content, b"")
        self.assertEqual(head.headers["content-type"], get.headers["content-type"])

    def test_unknown_fields_are_ignored(self):
        """1.0 unknown fields are ignored"""
        reply = self.http.post("/rag/search", json={"query": "lighthouse", "no_such_field": [1, {}]})
        self.assertEqual(reply.status_code, 200)

    def test_error_missing(self):
        """1.0 422 missing"""
        found = self.assert_invalid(self.http.post("/rag/search", json={}), "missing", "body", "query",
                                    msg="Field required")
        self.assertEqual(found["input"], {})
        self.assert_invalid(self.http.post("/rag/search"), "missing", "body", msg="Field required")

    def test_error_string_type(self):
        """1.0 422 string_type"""
        found = self.assert_invalid(self.http.post("/rag/search", json={"query": 7}), "string_type", "body",
                                    "query", msg="Input should be a valid string")
        self.assertEqual(found["input"], 7)

    def test_error_json_invalid(self):
        """1.0 422 json_invalid"""
        reply = self.http.post("/rag/search", content=b'{"query": ', headers={"content-type": "application/json"})
        body = self.assert_json(reply, 422)
        self.assertEqual(body["detail"][0]["type"], "json_invalid")
        self.assertEqual(body["detail"][0]["loc"][0], "body")
        self.assertEqual(body["detail"][0]["msg"], "JSON decode error")

    def test_error_value_error(self):
        """1.0 422 value_error, "Value error, ..." """
        self.assert_invalid(self.http.post("/rag/query", json={"query": "  "}), "value_error", "body", "query",
                            msg="Value error, query cannot be empty")

    def test_error_bounds(self):
        """1.0 422 greater_than_equal and less_than_equal"""
        low = self.assert_invalid(self.http.post("/rag/query", json={"query": "x", "top_k": 0}),
                                  "greater_than_equal", "body", "top_k",
                                  msg="Input should be greater than or equal to 1")
        self.assertEqual(low["ctx"], {"ge": 1})
        high = self.assert_invalid(self.http.post("/rag/query", json={"query": "x", "top_k": 21}),
                                   "less_than_equal", "body", "top_k",
                                   msg="Input should be less than or equal to 20")
        self.assertEqual(high["ctx"], {"le": 20})

    def test_error_model_attributes_type(self):
        """1.0 422 model_attributes_type"""
        for value in ([1], "text", 7):
            with self.subTest(value):
                self.assert_invalid(self.http.post("/rag/search", json=value), "model_attributes_type", "body")

    def test_error_query_parameter(self):
        """1.0 422 of a query parameter"""
        self.assert_invalid(self.http.get("/conversation/list?limit=0", headers=self.bearer()),
                            "greater_than_equal", "query", "limit")

    def test_error_not_found_route(self):
        """1.0 404 of a route"""
        self.assert_not_found(self.http.get("/no/such/route"), "/no/such/route")

    def test_error_not_found_object(self):
        """1.0 404 of an object, with detail"""
        self.assert_not_found(self.http.get("/conversation/conv_none", headers=self.bearer()),
                              "/conversation/conv_none", detail=True)

    def test_error_method(self):
        """1.0 405 Method Not Allowed, allow"""
        reply = self.http.put("/rag/query", json={})
        self.assert_detail(reply, 405, "Method Not Allowed")
        self.assertEqual(reply.headers["allow"], "POST")

    def test_error_bad_token(self):
        """1.0 401 bad token, WWW-Authenticate"""
        for path in ("/conversation/list", "/analytics/summary"):
            for token in ("abc", "a.b.c", self.sign_in()["refresh_token"], self.sign_in()["access_token"] + "x"):
                with self.subTest(path=path, token=token[:12]):
                    reply = self.http.get(path, headers={"Authorization": f"Bearer {token}"})
                    self.assert_detail(reply, 401, "Could not validate credentials")
                    self.assertEqual(reply.headers["www-authenticate"], "Bearer")

    def test_error_revoked_token(self):
        """1.0 401 Token has been revoked"""
        token = self.sign_in("gone")["access_token"]
        self.http.post("/auth/revoke", json={"token": token}, headers=self.bearer())
        reply = self.http.get("/conversation/list", headers={"Authorization": f"Bearer {token}"})
        self.assert_detail(reply, 401, "Token has been revoked")
        self.assertEqual(reply.headers["www-authenticate"], "Bearer")

    def test_error_no_header(self):
        """1.0 403 Not authenticated"""
        for method, path in (("GET", "/conversation/list"), ("POST", "/rag/index"), ("GET", "/analytics/summary"),
                             ("POST", "/auth/validate"), ("DELETE", "/rag/document")):
            with self.subTest(path):
                self.assert_detail(self.http.request(method, path, json={}), 403, "Not authenticated")

    def test_error_other_scheme(self):
        """1.0 403 Invalid authentication credentials for a header that is not Bearer"""
        for value in ("Basic YTpi", "Token abc", "abc"):
            with self.subTest(value):
                reply = self.http.post("/auth/validate", headers={"Authorization": value})
                self.assertEqual(reply.status_code, 403)
                self.assertIn(reply.json()["detail"], ("Invalid authentication credentials", "Not authenticated"))
        reply = self.http.post("/auth/validate", headers={"Authorization": "Basic YTpi"})
        self.assert_detail(reply, 403, "Invalid authentication credentials")

    def test_credentials_in_query(self):
        """1.0 credentials: header first, ?token= second"""
        token = self.sign_in()["access_token"]
        self.assertEqual(self.http.get("/conversation/list", params={"token": token}).status_code, 200)
        self.assertEqual(self.http.get("/conversation/list", params={"token": "bad"},
                                       headers=self.bearer()).status_code, 200)
        self.assertEqual(self.http.get("/conversation/list", params={"token": token},
                                       headers={"Authorization": "Bearer bad"}).status_code, 401)
        refresh = self.sign_in()["refresh_token"]
        self.assertEqual(self.http.get("/conversation/list", params={"token": refresh}).status_code, 401)

    def test_open_route_honours_token(self):
        """1.0 a token at an open route is honoured, a bad one is 401 (design 9.15)"""
        self.assertEqual(self.http.post("/rag/search", json={"query": "x"}, headers=self.bearer()).status_code, 200)
        self.assertEqual(self.http.post("/rag/search", json={"query": "x"},
                                        headers={"Authorization": "Bearer bad"}).status_code, 401)

    def test_request_id(self):
        """1.0 errors carry request_id (design 9.4)"""
        reply = self.http.get("/no/such/route")
        self.assertEqual(reply.json()["request_id"], reply.headers["x-request-id"])

    def test_api_version(self):
        """1.0 every route also under /api/v1, TARS-API-Version"""
        for path in ("/health", "/rag/stats", "/openapi.json", "/docs"):
            with self.subTest(path):
                plain, versioned = self.http.get(path), self.http.get("/api/v1" + path)
                self.assertEqual(versioned.status_code, plain.status_code)
                self.assertEqual(versioned.headers["tars-api-version"], "1")
                self.assertEqual(plain.headers["tars-api-version"], "1")


class Headers(Contract):
    documents = False

    def test_security_headers(self):
        """8 security headers of API replies"""
        expected = {
            "x-frame-options": "DENY", "x-content-type-options": "nosniff", "x-xss-protection": "1; mode=block",
            "referrer-policy": "strict-origin-when-cross-origin",
            "permissions-policy": "geolocation=(), microphone=(), camera=()",
            "content-security-policy":
                "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' "
                "'unsafe-inline'; img-src 'self' data: https:; font-src 'self' data:; connect-src 'self' ws: "
                "wss: https:; frame-ancestors 'none'; base-uri 'self'; form-action 'self'"}
        for path, status in (("/health", 200), ("/no/such", 404), ("/conversation/list", 403)):
            with self.subTest(path):
                reply = self.http.get(path)
                self.assertEqual(reply.status_code, status)
                for name, value in expected.items():
                    self.assertEqual(reply.headers[name], value)
                self.assertNotIn("strict-transport-security", reply.headers)

    def test_own_page_policy(self):
        """8 our own pages have a stricter policy (design 9.17)"""
        for path in ("/ui", "/docs"):
            with self.subTest(path):
                policy = self.http.get(path).headers["content-security-policy"]
                self.assertNotIn("unsafe", policy)
                self.assertIn("frame-ancestors 'none'", policy)

    def test_cors_listed(self):
        """8 CORS: a listed origin, with credentials"""
        reply = self.http.get("/health", headers={"Origin": "http://localhost:3000"})
        self.assertEqual(reply.headers["access-control-allow-origin"], "http://localhost:3000")
        self.assertEqual(reply.headers["access-control-allow-credentials"], "true")
        self.assertIn("origin", reply.headers["vary"].lower())

    def test_cors_unlisted(self):
        """8 CORS: another origin gets no headers"""
        reply = self.http.get("/health", headers={"Origin": "http://evil.example"})
        self.assertEqual(reply.status_code, 200)
        self.assertNotIn("access-control-allow-origin", reply.headers)

    def test_preflight(self):
        """8 CORS: preflight"""
        reply = self.http.options("/rag/query", headers={
            "Origin": "http://llm.local:3000", "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type"})
        self.assertEqual((reply.status_code, reply.text), (200, "OK"))
        self.assertEqual(reply.headers["access-control-allow-methods"],
                         "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT")
        self.assertEqual(reply.headers["access-control-max-age"], "600")
        self.assertEqual(reply.headers["access-control-allow-headers"], "authorization,content-type")
        self.assertEqual(reply.headers["access-control-allow-origin"], "http://llm.local:3000")
        self.assertIn("Origin", reply.headers["vary"])

    def test_preflight_unlisted(self):
        """8 CORS: preflight of another origin, 400"""
        reply = self.http.options("/rag/query", headers={"Origin": "http://evil.example",
                                                         "Access-Control-Request-Method": "POST"})
        self.assertEqual((reply.status_code, reply.text), (400, "Disallowed CORS origin"))
        self.assertNotIn("access-control-allow-origin", reply.headers)

    def test_cors_on_errors(self):
        """8 CORS: errors carry the headers too"""
        reply = self.http.get("/conversation/list", headers={"Origin": "http://localhost:3000"})
        self.assertEqual(reply.status_code, 403)
        self.assertEqual(reply.headers["access-control-allow-origin"], "http://localhost:3000")


class RateLimit(Contract):
    """Rate limits of their own server."""
    settings = {"RATE_LIMIT_PER_MINUTE": "8"}
    documents = False

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.headers = cls.bearer("hasty")  # while this address may still ask

    def test_rate_limit(self):
        """8 rate limit: 429, Retry-After, X-RateLimit-*"""
        replies = [self.http.get("/conversation/health", headers=self.headers) for _ in range(12)]
        allowed = [reply for reply in replies if reply.status_code == 200]
        refused = [reply for reply in replies if reply.status_code == 429]
        self.assertTrue(0 < len(allowed) <= 8, [reply.status_code for reply in replies])
        self.assertEqual(len(allowed) + len(refused), 12)
        self.assertEqual(allowed[0].headers["x-ratelimit-limit"], "8")
        remaining = [int(reply.headers["x-ratelimit-remaining"]) for reply in allowed]
        self.assertEqual(remaining, sorted(remaining, reverse=True))
        body = self.assert_json(refused[0], 429)
        self.assertEqual(body["error"], "Rate limit exceeded")
        self.assertIsInstance(body["message"], str)
        self.assertTrue(1 <= body["retry_after"] <= 61)
        self.assertEqual(refused[0].headers["retry-after"], str(body["retry_after"]))

    def test_exempt(self):
        """8 rate limit: health, ready, docs, openapi and the scrape path are exempt"""
        for path in ("/health", "/ready", "/docs", "/redoc", "/openapi.json", "/metrics/prometheus"):
            for _ in range(12):
                reply = self.http.get(path)
            self.assertEqual(reply.status_code, 200, path)

    def test_forwarded_is_not_believed(self):
        """8 rate limit: X-Forwarded-For of a stranger is not believed"""
        codes = [self.http.get("/rag/stats", headers={"X-Forwarded-For": f"10.0.0.{i}"}).status_code
                 for i in range(30)]
        self.assertIn(429, codes)


class Https(Contract):
    """ENABLE_HTTPS, behind a proxy that is trusted."""
    settings = {"RATE_LIMIT_PER_MINUTE": "0", "ENABLE_HTTPS": "true", "TARS_TRUSTED_PROXIES": "127.0.0.0/8",
                "TARS_HOSTS": "tars.example.org"}
    documents = False

    def test_redirect(self):
        """8 ENABLE_HTTPS: GET gives 301 to https"""
        reply = self.http.get("/health?x=1", headers={"Host": "tars.example.org"})
        self.assertEqual(reply.status_code, 301)
        self.assertEqual(reply.headers["location"], "https://tars.example.org/health?x=1")

    def test_refused(self):
        """8 ENABLE_HTTPS: other methods give 403"""
        reply = self.http.post("/rag/search", json={"query": "x"}, headers={"Host": "tars.example.org"})
        body = self.assert_json(reply, 403)
        self.assertEqual(body["error"], "HTTPS Required")
        self.assertIsInstance(body["message"], str)

    def test_forwarded_proto(self):
        """8 ENABLE_HTTPS: X-Forwarded-Proto of a trusted proxy, with HSTS"""
        reply = self.http.get("/health", headers={"Host": "tars.example.org", "X-Forwarded-Proto": "https"})
        self.assertEqual(reply.status_code, 200)
        self.assertEqual(reply.headers["strict-transport-security"], "max-age=31536000; includeSubDomains")

    def test_localhost(self):
        """8 ENABLE_HTTPS: localhost is secure enough"""
        self.assertEqual(self.http.get("/health").status_code, 200)


if __name__ == "__main__":
    unittest.main()
