"""The wire contract, section 1.4: conversations, seen by clients of a real server."""
import unittest

from server import ServerTest

TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?$"


def message(n, role="user", **more):
    return dict({"id": f"msg_{n}", "role": role, "content": f"What is RAG? {n}",
                 "timestamp": "2025-11-07T12:00:00"}, **more)


class Conversations(ServerTest):
    with_samples = True

    def sign_in(self, client_id):
        reply = self.ask("POST", "/auth/token", {"client_id": client_id})
        self.assertEqual(reply.status, 200)
        return {"Authorization": "Bearer " + reply.json()["access_token"]}

    def setUp(self):
        self.ada, self.bob = self.sign_in("ada"), self.sign_in("bob")

    def post(self, conversation_id, body, who=None):
        return self.ask("POST", "/conversation/message",
                        {"conversation_id": conversation_id, "message": body}, headers=who or self.ada)

    def get(self, path, who=None):
        return self.ask("GET", "/conversation/" + path, headers=who or self.ada)

    def test_health(self):
        reply = self.ask("GET", "/conversation/health")
        self.assertEqual((reply.status, reply.json()),
                         (200, {"status": "healthy", "connected": True, "collection": "tars_conversations"}))

    def test_a_message_makes_a_conversation(self):
        reply = self.post("conv_1", message(1, sources=[{"chunk_id": "c"}], metadata={"a": 1}))
        self.assertEqual((reply.status, reply.json()),
                         (200, {"success": True, "message_id": "msg_1", "conversation_id": "conv_1"}))
        self.assertEqual(self.post("conv_1", message(2, role="assistant")).status, 200)
        one = self.get("conv_1").json()
        self.assertEqual(list(one), ["id", "client_id", "messages", "created_at", "updated_at", "title",
                                     "metadata"])
        self.assertEqual((one["id"], one["client_id"], one["title"], one["metadata"]),
                         ("conv_1", "ada", "What is RAG? 1", None))
        self.assertRegex(one["created_at"], TIME)
        self.assertEqual(one["messages"][0], message(1, sources=[{"chunk_id": "c"}], metadata={"a": 1}))
        self.assertEqual(one["messages"][1],
                         message(2, role="assistant", sources=None, metadata=None))

    def test_large_messages(self):
        """What was taken can be had again: a message is bounded, and a list gives what fits."""
        self.assertEqual(self.post("vast", message(1, content="x" * 200_000)).status, 422)
        self.assertEqual(self.post("vast", message(1, content="x", sources=[{"a": "x" * 200_000}])).status, 422)
        cy = self.sign_in("cy")
        for n in range(4):
            for m in range(50):
                self.assertEqual(self.post(f"vast_{n}", message(m, content="x" * 130_000), cy).status, 200)
        listed = self.get("list", cy).json()
        self.assertEqual(listed["total"], len(listed["conversations"]))
        self.assertIn(listed["total"], (1, 2))
        self.assertEqual(listed["conversations"][0]["id"], "vast_3")
        self.assertEqual(len(self.get("vast_0", cy).json()["messages"]), 50)
        reply = self.ask("POST", "/rag/query", {"query": "And this one?", "conversation_id": "vast_0"}, headers=cy)
        self.assertEqual(reply.status, 200, reply.body[:200])

    def test_questions_that_are_long_together(self):
        for _ in range(2):
            reply = self.ask("POST", "/rag/query", {"query": "0" * 10000, "conversation_id": "long"}, headers=self.ada)
            self.assertEqual(reply.status, 200, reply.body[:200])

    def test_title_is_cut(self):
        self.post("title", dict(message(1), content="é" * 51))
        self.assertEqual(self.get("title").json()["title"], "é" * 50 + "...")

    def test_ids_are_the_clients_own(self):
        for name, path in (("a b", "a%20b"), ("é中", "%C3%A9%E4%B8%AD"), ("x" * 255, "x" * 255),
                           ("中" * 255, "%E4%B8%AD" * 255), ("a/b", "a%2Fb")):
            with self.subTest(name=name[:9]):
                self.assertEqual(self.post(name, message(1)).status, 200)
                self.assertEqual(self.get(path).json()["id"], name)

    def test_literal_paths_win_over_the_id(self):
        self.assertEqual(self.post("list", message(1)).status, 200)
        self.assertIn("conversations", self.get("list").json())
        self.assertEqual(self.get("message").status, 405)

    def test_the_newest_hundred_are_kept(self):
        for n in range(103):
            self.post("long", message(n))
        messages = self.get("long").json()["messages"]
        self.assertEqual((len(messages), messages[0]["id"], messages[-1]["id"]),
                         (100, "msg_3", "msg_102"))

    def test_list(self):
        who = self.sign_in("lister")
        for n in range(3):
            self.post(f"list_{n}", message(n), who)
        self.post("list_0", message(9), who)
        reply = self.get("list", who).json()
        self.assertEqual([c["id"] for c in reply["conversations"]], ["list_0", "list_2", "list_1"])
        self.assertEqual((reply["total"], reply["limit"]), (3, 50))
        self.assertEqual(len(reply["conversations"][0]["messages"]), 2)
        reply = self.get("list?limit=2", who).json()
        self.assertEqual((len(reply["conversations"]), reply["total"], reply["limit"]), (2, 2, 2))

    def test_limits_are_checked(self):
        for limit, kind in (("0", "greater_than_equal"), ("101", "less_than_equal"), ("x", "int_parsing")):
            reply = self.get("list?limit=" + limit)
            self.assertEqual(reply.status, 422)
            problem = reply.json()["detail"][0]
            self.assertEqual((problem["type"], problem["loc"], problem["input"]),
                             (kind, ["query", "limit"], limit))

    def test_a_strangers_conversation(self):
        self.post("hers", message(1))
        for reply in (self.get("hers", self.bob), self.post("hers", message(2), self.bob),
                      self.ask("DELETE", "/conversation/hers", headers=self.bob)):
            self.assertEqual((reply.status, reply.json()["detail"]), (403, "Access denied"))
        self.assertEqual(len(self.get("hers").json()["messages"]), 1)
        self.assertNotIn("hers", [c["id"] for c in self.get("list", self.bob).json()["conversations"]])

    def test_what_is_not_there(self):
        for method in ("GET", "DELETE"):
            reply = self.ask(method, "/conversation/nowhere", headers=self.ada)
            self.assertEqual(reply.status, 404)
            body = reply.json()
            self.assertEqual((body["error"], body["detail"]), ("Not Found", "Conversation not found"))
            self.assertEqual(body["message"],
                             "The requested endpoint /conversation/nowhere was not found")

    def test_delete(self):
        self.post("gone", message(1))
        reply = self.ask("DELETE", "/conversation/gone", headers=self.ada)
        self.assertEqual((reply.status, reply.json()),
                         (200, {"success": True, "conversation_id": "gone"}))
        self.assertEqual(self.get("gone").status, 404)

    def test_stats(self):
        before = self.ask("GET", "/conversation/stats").json()
        self.post("stats", message(1))
        self.post("stats", message(2))
        after = self.ask("GET", "/conversation/stats").json()
        self.assertEqual(after["total_conversations"], before["total_conversations"] + 1)
        self.assertEqual(after["total_messages"], before["total_messages"] + 2)
        self.assertAlmostEqual(after["average_messages_per_conversation"],
                               after["total_messages"] / after["total_conversations"])
        self.assertRegex(after["oldest_conversation"], TIME)
        self.assertLessEqual(after["oldest_conversation"], after["newest_conversation"])

    def test_validation(self):
        cases = [
            ({}, [("missing", ["body", "conversation_id"]), ("missing", ["body", "message"])]),
            ({"conversation_id": "c", "message": {}},
             [("missing", ["body", "message", name]) for name in ("id", "role", "content", "timestamp")]),
            ({"conversation_id": 1, "message": []},
             [("string_type", ["body", "conversation_id"]),
              ("model_attributes_type", ["body", "message"])]),
            ({"conversation_id": "c", "message": message(1, sources={}, metadata=[])},
             [("list_type", ["body", "message", "sources"]), ("dict_type", ["body", "message", "metadata"])]),
            ({"conversation_id": "", "message": message(1)}, [("value_error", ["body", "conversation_id"])]),
            ({"conversation_id": "x" * 256, "message": message(1)},
             [("value_error", ["body", "conversation_id"])]),
        ]
        for body, expected in cases:
            with self.subTest(body=str(body)[:60]):
                reply = self.ask("POST", "/conversation/message", body, headers=self.ada)
                self.assertEqual(reply.status, 422)
                self.assertEqual([(d["type"], d["loc"]) for d in reply.json()["detail"]], expected)

    def test_without_a_credential(self):
        for method, path, body in (("GET", "list", None), ("GET", "x", None), ("DELETE", "x", None),
                                   ("POST", "message", {"conversation_id": "c", "message": message(1)})):
            reply = self.ask(method, "/conversation/" + path, body, token="")
            self.assertEqual((reply.status, reply.json()["detail"]), (403, "Not authenticated"))
            reply = self.ask(method, "/conversation/" + path, body,
                             headers={"Authorization": "Bearer nonsense"})
            self.assertEqual((reply.status, reply.json()["detail"]), (401, "Could not validate credentials"))

    # ------------------------------------------------ questions within a conversation

    def test_a_question_is_kept_with_its_answer(self):
        question = "How many days of annual leave do employees get?"
        answer = self.ask("POST", "/rag/query", {"query": question, "conversation_id": "asked"},
                          headers=self.ada).json()
        self.assertEqual(answer["conversation_id"], "asked")
        one = self.get("asked").json()
        self.assertEqual(one["title"], question)
        user, assistant = one["messages"]
        self.assertEqual((user["role"], user["content"], user["sources"], user["metadata"]),
                         ("user", question, None, None))
        self.assertEqual((assistant["role"], assistant["content"]), ("assistant", answer["answer"]))
        self.assertNotEqual(user["id"], assistant["id"])
        self.assertRegex(user["timestamp"], TIME)
        self.assertLessEqual(user["timestamp"], assistant["timestamp"])
        for kept, sent in zip(assistant["sources"], answer["sources"], strict=True):
            self.assertEqual(kept, {k: v for k, v in sent.items() if k != "content"})
        for name in ("retrieval_time_ms", "generation_time_ms", "total_time_ms"):
            self.assertEqual(assistant["metadata"][name], answer[name])

    def test_a_question_goes_on_from_the_one_before(self):
        asked = {"query": "How many days of annual leave do employees get?", "conversation_id": "on"}
        self.ask("POST", "/rag/query", asked, headers=self.ada)
        more = {"query": "And who approves it?"}
        alone = self.ask("POST", "/rag/query", more, headers=self.ada).json()
        within = self.ask("POST", "/rag/query", dict(more, conversation_id="on"), headers=self.ada).json()
        self.assertNotIn("leave.md", [s["file_name"] for s in alone["sources"]])
        self.assertEqual(within["sources"][0]["file_name"], "leave.md")
        text = self.ask("GET", "/metrics/prometheus").body.decode()
        self.assertRegex(text, r"(?m)^tars_rag_conversation_memory_usage_total [1-9]")

    def test_a_stream_is_kept_too(self):
        asked = {"query": "When is the fire drill?", "conversation_id": "streamed"}
        lines = self.ask("POST", "/rag/query/stream", asked, headers=self.ada).lines()
        self.assertEqual({line["conversation_id"] for line in lines}, {"streamed"})
        answer = "".join(line["token"] for line in lines if line["type"] == "rag_token")
        self.assertEqual(self.get("streamed").json()["messages"][1]["content"], answer)

    def test_nothing_is_kept_of_who_has_not_said_who_they_are(self):
        asked = {"query": "When is the fire drill?", "conversation_id": "nobody"}
        reply = self.ask("POST", "/rag/query", asked, token="")
        self.assertEqual((reply.status, reply.json()["conversation_id"]), (200, "nobody"))
        self.assertEqual(self.get("nobody").status, 404)

    def test_a_strangers_conversation_is_not_asked_in(self):
        asked = {"query": "When is the fire drill?", "conversation_id": "private"}
        self.ask("POST", "/rag/query", asked, headers=self.ada)
        for path in ("/rag/query", "/rag/query/stream"):
            reply = self.ask("POST", path, asked, headers=self.bob)
            self.assertEqual((reply.status, reply.json()["detail"]), (403, "Access denied"))
        self.assertEqual(len(self.get("private").json()["messages"]), 2)

    def test_a_made_up_id_is_no_conversation(self):
        answer = self.ask("POST", "/rag/query", {"query": "fire drill"}, headers=self.ada).json()
        self.assertRegex(answer["conversation_id"], "^[0-9a-f-]{36}$")
        self.assertEqual(self.get(answer["conversation_id"]).status, 404)

    def test_they_outlive_the_server(self):
        self.post("kept", message(1))
        self.stop()
        self.start()
        self.assertEqual(len(self.get("kept").json()["messages"]), 1)

    def test_memory_can_be_switched_off(self):
        type(self).settings = {"CONVERSATION_MEMORY": "false"}
        self.stop()
        self.start()
        asked = {"query": "When is the fire drill?", "conversation_id": "off"}
        self.assertEqual(self.ask("POST", "/rag/query", asked, headers=self.ada).status, 200)
        self.assertEqual(self.get("off").status, 404)
        self.assertEqual(self.post("off", message(1)).status, 200)
        type(self).settings = {}
        self.stop()
        self.start()


if __name__ == "__main__":
    unittest.main()
