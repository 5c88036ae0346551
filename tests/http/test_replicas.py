#!/usr/bin/env python3
"""Several servers on one PostgreSQL are equal: what one does counts on all of them."""
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from replicas import ReplicasTest, Server  # noqa: E402
from server import run  # noqa: E402


class Two(ReplicasTest):
    def test_1_a_document_put_on_one_is_found_on_the_other(self):
        a, b = self.servers
        document = self.put(a, "leave.md", "# Leave\n\nThere are 28 vacation days a year.\n")
        self.assertIn(document, a.found("vacation days"))
        took = self.soon(lambda: document in b.found("vacation days"))
        self.assertLess(took, 10)
        self.assertEqual(a.found("vacation days"), b.found("vacation days"))
        self.soon(lambda: b.metric("tars_replica_lag_changes") == 0)
        self.assertEqual(b.metric("tars_replicas"), 2)

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

    def test_5_who_does_not_share_is_refused(self):
        other = os.path.join(self.servers[0].data, "other")
        os.mkdir(other)
        done = run("search", "vacation", data=other, code=None, **{**self.shared, "STORE_SHARED": "false"})
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("in use by process", done.stderr)
        done = run("search", "vacation", data=other, code=None, STORE_SHARED="true")
        self.assertIn("STORE_SHARED is true and STORE is sqlite", done.stderr)


class Outage(ReplicasTest):
    """PostgreSQL goes, and comes back."""

    def test_searches_are_answered_while_postgresql_is_away(self):
        a, b = self.servers
        document = self.put(a, "leave.md", "# Leave\n\nThere are 28 vacation days a year.\n")
        self.soon(lambda: document in b.found("vacation days"))
        before = b.ask("POST", "/rag/search", {"query": "vacation days", "relevance_threshold": 0}).json()["results"]
        self.soon(lambda: b.texts() == 1)
        self.postgres.stop()
        try:
            for server in self.servers:
                self.soon(lambda s=server: s.ask("GET", "/ready").status == 503)
                reply = server.ask("GET", "/ready").json()
                self.assertIn("store", reply["degraded"])
                self.assertTrue(reply["reason"])
                self.assertEqual(server.ask("GET", "/health").status, 200)
                self.assertIn(document, server.found("vacation days"))
                self.assertIn(document, server.found("vacation", filters={"file_type": "md"}))
            after = b.ask("POST", "/rag/search", {"query": "vacation days", "relevance_threshold": 0}).json()["results"]
            self.assertEqual(before, after)
            refused = a.upload([("new.md", b"# New\n\nSomething else.\n")])
            self.assertEqual(refused.status, 503, refused.body)
            self.assertTrue(refused.headers["Retry-After"])
            refused = a.ask("DELETE", "/rag/document", {"document_id": document})
            self.assertEqual(refused.status, 503, refused.body)
            self.assertTrue(refused.headers["Retry-After"])
            message = {"id": "m", "role": "user", "content": "Hello", "timestamp": "2026-01-01T00:00:00"}
            refused = a.ask("POST", "/conversation/message", {"conversation_id": "c", "message": message})
            self.assertEqual(refused.status, 503, refused.body)
            self.assertTrue(refused.headers["Retry-After"])
            self.assertIn("Failed to save message", refused.json()["detail"])
            answered = a.ask("POST", "/rag/query", {"query": "vacation days", "conversation_id": "c"}).json()
            self.assertEqual(answered["degraded"], "not kept in the conversation")
            self.assertEqual(sum(server.leads() for server in self.servers), 0)
        finally:
            self.postgres.start()
        for server in self.servers:
            self.soon(lambda s=server: s.ask("GET", "/ready").status == 200, 60)
        later = None
        def put():
            nonlocal later
            later = self.put(a, "pay.md", "# Pay\n\nWages come on the last day of a month.\n")
            return True
        self.soon(put, 60)
        self.soon(lambda: later in b.found("wages"))
        self.soon(lambda: sum(server.leads() for server in self.servers) == 1)


if __name__ == "__main__":
    unittest.main()
