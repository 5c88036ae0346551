"""Contract 1.2: sign-in; 8: JWT."""
import base64
import json
import time
import unittest

from contract import Contract


def claims(token):
    part = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def jose_header(token):
    part = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


class Auth(Contract):
    documents = False

    def test_token(self):
        """1.2 POST /auth/token"""
        body = self.assert_json(self.http.post("/auth/token", json={
            "client_id": "desk-1", "device_name": "Laptop", "device_type": "linux"}))
        self.assert_keys(body, {"access_token": str, "refresh_token": str})
        self.assertEqual((body["token_type"], body["expires_in"]), ("bearer", 86400))

    def test_token_empty_client(self):
        """1.2 POST /auth/token: an empty client_id passes"""
        self.assertEqual(self.http.post("/auth/token", json={"client_id": ""}).status_code, 200)

    def test_token_missing(self):
        """1.2 POST /auth/token: 422"""
        self.assert_invalid(self.http.post("/auth/token", json={}), "missing", "body", "client_id")
        self.assert_invalid(self.http.post("/auth/token", json={"client_id": 7}), "string_type", "body", "client_id")

    def test_authenticate(self):
        """1.2 POST /auth/authenticate: alias of /auth/token"""
        body = self.assert_json(self.http.post("/auth/authenticate", json={"client_id": "k6"}))
        self.assertEqual(claims(body["access_token"])["sub"], "k6")

    def test_refresh(self):
        """1.2 POST /auth/refresh"""
        first = self.sign_in("desk-2")
        body = self.assert_json(self.http.post("/auth/refresh", json={"refresh_token": first["refresh_token"]}))
        self.assertEqual((body["token_type"], body["expires_in"]), ("bearer", 86400))
        self.assertNotEqual(body["refresh_token"], first["refresh_token"])
        self.assertNotEqual(body["access_token"], first["access_token"])
        self.assertEqual(claims(body["access_token"])["sub"], "desk-2")

    def test_refresh_once(self):
        """1.2 POST /auth/refresh: the old one is revoked"""
        first = self.sign_in()
        self.http.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})
        reply = self.http.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})
        self.assert_detail(reply, 401, "Token has been revoked")

    def test_refresh_within_the_second(self):
        """1.2 POST /auth/refresh: within the second of issue gives another token (9.2 fault 9)"""
        body = self.sign_in()
        for _ in range(3):
            body = self.assert_json(self.http.post("/auth/refresh", json={"refresh_token": body["refresh_token"]}))

    def test_refresh_type(self):
        """1.2 POST /auth/refresh: 401 Invalid token type"""
        reply = self.http.post("/auth/refresh", json={"refresh_token": self.sign_in()["access_token"]})
        self.assert_detail(reply, 401, "Invalid token type")

    def test_refresh_bad(self):
        """1.2 POST /auth/refresh: 401 of a bad token, 422 without"""
        self.assert_detail(self.http.post("/auth/refresh", json={"refresh_token": "bad"}), 401,
                           "Could not validate credentials")
        self.assert_invalid(self.http.post("/auth/refresh", json={}), "missing", "body", "refresh_token")

    def test_validate(self):
        """1.2 POST /auth/validate"""
        body = self.assert_json(self.http.post("/auth/validate", headers=self.bearer("desk-3")))
        self.assertEqual((body["valid"], body["client_id"]), (True, "desk-3"))
        self.assert_time(body["expires_at"])

    def test_validate_bad(self):
        """1.2 POST /auth/validate: a bad token gives 200, valid false, nulls"""
        for token in ("bad", self.sign_in()["access_token"][:-2]):
            body = self.assert_json(self.http.post("/auth/validate", headers={"Authorization": f"Bearer {token}"}))
            self.assertEqual((body["valid"], body["client_id"], body["expires_at"]), (False, None, None))

    def test_validate_none(self):
        """1.2 POST /auth/validate: 403 without a header"""
        self.assert_detail(self.http.post("/auth/validate"), 403, "Not authenticated")

    def test_revoke(self):
        """1.2 POST /auth/revoke"""
        token = self.sign_in("desk-4")["access_token"]
        body = self.assert_json(self.http.post("/auth/revoke", json={"token": token}, headers=self.bearer()))
        self.assertEqual(body["message"], "Token revoked successfully")
        again = self.http.post("/auth/validate", headers={"Authorization": f"Bearer {token}"}).json()
        self.assertFalse(again["valid"])

    def test_revoke_any_string(self):
        """1.2 POST /auth/revoke: any string is taken"""
        reply = self.http.post("/auth/revoke", json={"token": "no token at all"}, headers=self.bearer())
        self.assertEqual(self.assert_json(reply)["message"], "Token revoked successfully")

    def test_revoke_errors(self):
        """1.2 POST /auth/revoke: 401, 403, 422"""
        self.assert_detail(self.http.post("/auth/revoke", json={"token": "x"}), 403, "Not authenticated")
        self.assert_detail(self.http.post("/auth/revoke", json={"token": "x"},
                                          headers={"Authorization": "Bearer bad"}), 401,
                           "Could not validate credentials")
        self.assert_invalid(self.http.post("/auth/revoke", json={}, headers=self.bearer()), "missing", "body",
                            "token")

    def test_health(self):
        """1.2 GET /auth/health"""
        body = self.assert_json(self.http.get("/auth/health"))
        self.assertEqual(body["service"], "authentication")
        self.assertIsInstance(body["status"], str)
        self.assert_time(body["timestamp"])

    def test_jwt_access(self):
        """8 JWT: header and claims of an access token"""
        token = self.sign_in("desk-5", device_name="Laptop")["access_token"]
        self.assertEqual(jose_header(token), {"alg": "HS256", "typ": "JWT"})
        body = claims(token)
        self.assertEqual((body["sub"], body["type"], body["device_name"], body["device_type"]),
                         ("desk-5", "access", "Laptop", None))
        self.assert_time(body["issued_at"])
        self.assertIsInstance(body["iat"], int)
        self.assertEqual(body["exp"] - body["iat"], 86400)
        self.assertTrue(abs(body["iat"] - time.time()) < 60)
        self.assertTrue(body["jti"])

    def test_jwt_refresh(self):
        """8 JWT: claims of a refresh token"""
        body = claims(self.sign_in("desk-6")["refresh_token"])
        self.assertEqual((body["sub"], body["type"]), ("desk-6", "refresh"))
        self.assertEqual(body["exp"] - body["iat"], 7 * 86400)

    def test_jwt_algorithm(self):
        """8 JWT: another algorithm is refused"""
        token = self.sign_in()["access_token"]
        none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
        for bad in (f"{none}.{token.split('.')[1]}.", f"{none}.{token.split('.')[1]}.{token.split('.')[2]}"):
            reply = self.http.get("/conversation/list", headers={"Authorization": f"Bearer {bad}"})
            self.assert_detail(reply, 401, "Could not validate credentials")

    def test_refresh_leaves_access(self):
        """8 JWT: refresh leaves the access token valid"""
        first = self.sign_in()
        self.http.post("/auth/refresh", json={"refresh_token": first["refresh_token"]})
        reply = self.http.get("/conversation/list", headers={"Authorization": f"Bearer {first['access_token']}"})
        self.assertEqual(reply.status_code, 200)


if __name__ == "__main__":
    unittest.main()
