"""Contract 1.4: conversations."""
import unittest

from contract import NUMBER, Contract


def message(number=1, **more):
    return {"id": f"msg_{number}", "role": "user", "content": "What is RAG?", "timestamp": "2025-11-07T12:00:00",
            **more}


class Conversation(Contract):
    documents = False

    def say(self, name, headers, **more):
        reply = self.http.post("/conversation/message", json={"conversation_id": name, "message": message(**more)},
                               headers=headers)
        self.assertEqual(reply.status_code, 200, reply.text)
        return reply.json()

    def test_health(self):
        """1.4 GET /conversation/health"""
        body = self.assert_json(self.http.get("/conversation/health"))
        self.assert_keys(body, {"status": str, "connected": bool})
        self.assertTrue(body["connected"])
        self.assertIn("collection", body)

    def test_stats(self):
        """1.4 GET /conversation/stats"""
        headers = self.bearer("stats-1")
        self.say(self.fresh(), headers)
        body = self.assert_json(self.http.get("/conversation/stats", headers=headers))
        self.assert_keys(body, {"total_conversations": int, "total_messages": int,
                                "average_messages_per_conversation": NUMBER})
        self.assertGreaterEqual(body["total_conversations"], 1)
        self.assertAlmostEqual(body["average_messages_per_conversation"],
                               body["total_messages"] / body["total_conversations"])
        self.assert_time(body["oldest_conversation"])
        self.assert_time(body["newest_conversation"])

    def test_list(self):
        """1.4 GET /conversation/list"""
        headers = self.bearer("list-1")
        names = [self.fresh() for _ in range(3)]
        for name in names:
            self.say(name, headers)
        self.say(names[0], headers, number=2)
        body = self.assert_json(self.http.get("/conversation/list", headers=headers))
        self.assertEqual((body["total"], body["limit"]), (3, 50))
        self.assertEqual([c["id"] for c in body["conversations"]], [names[0], names[2], names[1]])

    def test_list_limit(self):
        """1.4 GET /conversation/list: limit 1..100, after sorting (9.2 fault 10)"""
        headers = self.bearer("list-2")
        names = [self.fresh() for _ in range(3)]
        for name in names:
            self.say(name, headers)
        body = self.http.get("/conversation/list?limit=1", headers=headers).json()
        self.assertEqual((body["total"], body["limit"]), (1, 1))
        self.assertEqual(body["conversations"][0]["id"], names[2])
        for value, kind in (("0", "greater_than_equal"), ("101", "less_than_equal"), ("x", "int_parsing")):
            self.assert_invalid(self.http.get(f"/conversation/list?limit={value}", headers=headers), kind, "query",
                                "limit")

    def test_get(self):
        """1.4 GET /conversation/{conversation_id}"""
        headers, name = self.bearer("get-1"), self.fresh()
        self.say(name, headers)
        body = self.assert_json(self.http.get(f"/conversation/{name}", headers=headers))
        self.assertEqual((body["id"], body["client_id"], body["title"], body["metadata"]),
                         (name, "get-1", "What is RAG?", None))
        self.assert_time(body["created_at"])
        self.assert_time(body["updated_at"])
        self.assertEqual(body["messages"], [message(sources=None, metadata=None)])

    def test_get_not_found(self):
        """1.4 GET /conversation/{conversation_id}: 404"""
        name = self.fresh()
        self.assert_not_found(self.http.get(f"/conversation/{name}", headers=self.bearer()),
                              f"/conversation/{name}", detail=True)

    def test_get_of_another(self):
        """1.4 GET /conversation/{conversation_id}: 403 Access denied"""
        name = self.fresh()
        self.say(name, self.bearer("owner-1"))
        self.assert_detail(self.http.get(f"/conversation/{name}", headers=self.bearer("other-1")), 403,
                           "Access denied")

    def test_delete(self):
        """1.4 DELETE /conversation/{conversation_id}"""
        headers, name = self.bearer("delete-1"), self.fresh()
        self.say(name, headers)
        body = self.assert_json(self.http.delete(f"/conversation/{name}", headers=headers))
        self.assertEqual((body["success"], body["conversation_id"]), (True, name))
        self.assertEqual(self.http.get(f"/conversation/{name}", headers=headers).status_code, 404)

    def test_delete_errors(self):
        """1.4 DELETE /conversation/{conversation_id}: 404, 403"""
        name = self.fresh()
        self.assert_not_found(self.http.delete(f"/conversation/{name}", headers=self.bearer()),
                              f"/conversation/{name}", detail=True)
        self.say(name, self.bearer("owner-2"))
        self.assert_detail(self.http.delete(f"/conversation/{name}", headers=self.bearer("other-2")), 403,
                           "Access denied")
        self.assertEqual(self.http.get(f"/conversation/{name}", headers=self.bearer("owner-2")).status_code, 200)

    def test_message(self):
        """1.4 POST /conversation/message"""
        name = self.fresh()
        reply = self.http.post("/conversation/message", json={"conversation_id": name, "message": message()},
                               headers=self.bearer())
        body = self.assert_json(reply)
        self.assertEqual((body["success"], body["message_id"], body["conversation_id"]), (True, "msg_1", name))

    def test_message_with_sources(self):
        """1.4 POST /conversation/message: sources and metadata come back"""
        headers, name = self.bearer(), self.fresh()
        self.say(name, headers, sources=[{"file_name": "a.pdf"}], metadata={"total_time_ms": 3.5}, role="assistant")
        found = self.http.get(f"/conversation/{name}", headers=headers).json()["messages"][0]
        self.assertEqual((found["sources"], found["metadata"], found["role"]),
                         ([{"file_name": "a.pdf"}], {"total_time_ms": 3.5}, "assistant"))

    def test_message_errors(self):
        """1.4 POST /conversation/message: 422"""
        headers = self.bearer()
        for body, loc in (({"message": message()}, ("body", "conversation_id")),
                          ({"conversation_id": "c"}, ("body", "message")),
                          ({"conversation_id": "c", "message": {"id": "m", "role": "user", "content": "x"}},
                           ("body", "message", "timestamp"))):
            with self.subTest(loc):
                self.assert_invalid(self.http.post("/conversation/message", json=body, headers=headers), "missing",
                                    *loc)

    def test_message_into_another(self):
        """1.4 POST /conversation/message: not into another's conversation (9.2 fault 10)"""
        name = self.fresh()
        self.say(name, self.bearer("owner-3"))
        reply = self.http.post("/conversation/message", json={"conversation_id": name, "message": message(2)},
                               headers=self.bearer("other-3"))
        self.assert_detail(reply, 403, "Access denied")

    def test_title(self):
        """1.4 title: first 50 characters and "..." if cut"""
        headers = self.bearer("title-1")
        for content, title in (("x" * 50, "x" * 50), ("y" * 51, "y" * 50 + "..."), ("ü" * 60, "ü" * 50 + "...")):
            name = self.fresh()
            self.say(name, headers, content=content)
            self.assertEqual(self.http.get(f"/conversation/{name}", headers=headers).json()["title"], title)

    def test_last_hundred(self):
        """1.4 the last 100 messages are kept"""
        headers, name = self.bearer("many-1"), self.fresh()
        for number in range(103):
            self.say(name, headers, number=number)
        ids = [m["id"] for m in self.http.get(f"/conversation/{name}", headers=headers).json()["messages"]]
        self.assertEqual(ids, [f"msg_{number}" for number in range(3, 103)])

    def test_literal_paths_win(self):
        """1.4 literal paths win over the id"""
        headers = self.bearer("literal-1")
        for name in ("health", "stats", "list"):
            self.say(name, headers)
            body = self.http.get(f"/conversation/{name}", headers=headers).json()
            self.assertNotIn("messages", body)


if __name__ == "__main__":
    unittest.main()
