"""Contract 2: /ws/chat and its messages; 1.7 its companions. The client is the library websockets."""
import json
import time
import unittest

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from contract import NUMBER, UUID, Contract
from fake_ollama import MODEL, FakeOllama

QUESTION = {"type": "chat", "content": "Who is the lighthouse keeper of Oldport?", "use_rag": True,
            "rag_threshold": 0.01}


class Sockets(Contract):
    """With a writer whose words are known."""

    @classmethod
    def setUpClass(cls):
        cls.ollama = FakeOllama()
        cls.settings = {"RATE_LIMIT_PER_MINUTE": "0", "WS_MAX_CONNECTIONS": "64", **cls.more,
                        "LLM_BACKEND": "ollama", "OLLAMA_HOST": cls.ollama.url, "OLLAMA_MODEL": MODEL}
        super().setUpClass()

    more = {}

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.ollama.close()

    def open(self, token=None, client="socket-1", **more):
        if token is None:
            token = self.sign_in(client)["access_token"]
        return connect(f"ws://127.0.0.1:{self.port}/ws/chat?token={token}", compression=None, **more)

    def receive(self, socket, timeout=60):
        """The next message that is no ping; each begins with type and timestamp."""
        while True:
            text = socket.recv(timeout=timeout)
            self.assertIsInstance(text, str)
            message = json.loads(text)
            self.assertEqual(list(message)[:2], ["type", "timestamp"], text)
            self.assert_time(message["timestamp"])
            if message["type"] != "ping":
                return message

    def chat(self, socket, **fields):
        socket.send(json.dumps({"type": "chat", **fields}))
        got = []
        while not got or got[-1]["type"] not in ("complete", "rag_complete", "error"):
            got.append(self.receive(socket))
        return got

    def greeted(self, **more):
        socket = self.open(**more)
        self.receive(socket)
        return socket


class Chat(Sockets):
    def test_connection_ack(self):
        """2 server message connection_ack"""
        with self.open(client="ack-1") as socket:
            message = self.receive(socket)
            self.assertEqual((message["type"], message["client_id"]), ("connection_ack", "ack-1"))
            self.assertRegex(message["session_id"], UUID)

    def test_token_and_complete(self):
        """2 server message token, in a plain chat"""
        with self.greeted() as socket:
            got = self.chat(socket, content="WORD:5", conversation_id="conv_plain")
            self.assertEqual([m["type"] for m in got], ["token"] * 5 + ["complete"])
            self.assertEqual("".join(m["token"] for m in got[:-1]), "".join(f"piece{i} " for i in range(5)))
            self.assertEqual({m["conversation_id"] for m in got}, {"conv_plain"})

    def test_complete(self):
        """2 server message complete"""
        with self.greeted() as socket:
            message = self.chat(socket, content="WORD:4")[-1]
            self.assertEqual((message["type"], message["total_tokens"]), ("complete", 4))
            self.assertIsInstance(message["latency_ms"], NUMBER)
            self.assertIsNone(message["conversation_id"])

    def test_rag_order(self):
        """2 RAG: rag_sources, rag_token..., rag_complete"""
        with self.greeted() as socket:
            kinds = [m["type"] for m in self.chat(socket, **QUESTION)]
            self.assertEqual((kinds[0], kinds[-1]), ("rag_sources", "rag_complete"))
            self.assertEqual(set(kinds[1:-1]), {"rag_token"})

    def test_rag_sources(self):
        """2 server message rag_sources"""
        with self.greeted() as socket:
            message = self.chat(socket, **QUESTION, conversation_id="conv_rag")[0]
            self.assertEqual(message["conversation_id"], "conv_rag")
            self.assertGreaterEqual(len(message["sources"]), 1)
            for source in message["sources"]:
                self.assert_source(source)
            self.assertGreater(message["retrieval_time_ms"], 0)

    def test_rag_token(self):
        """2 server message rag_token"""
        with self.greeted() as socket:
            message = self.chat(socket, **QUESTION)[1]
            self.assert_keys(message, {"token": str, "has_sources": bool})
            self.assertIn("conversation_id", message)
            self.assertTrue(message["token"] and message["has_sources"])

    def test_rag_complete(self):
        """2 server message rag_complete"""
        with self.greeted() as socket:
            got = self.chat(socket, **QUESTION)
            self.assert_keys(got[-1], {"total_tokens": int, "retrieval_time_ms": NUMBER,
                                       "generation_time_ms": NUMBER, "total_time_ms": NUMBER,
                                       "sources_count": int})
            self.assertEqual(got[-1]["sources_count"], len(got[0]["sources"]))
            self.assertGreater(got[-1]["retrieval_time_ms"], 0)

    def test_rag_without_sources(self):
        """2 rag_sources only with at least one source"""
        with self.greeted() as socket:
            got = self.chat(socket, content="How many moons does the planet Saturn have?", use_rag=True)
            self.assertNotIn("rag_sources", [m["type"] for m in got])
            self.assertEqual((got[-1]["type"], got[-1]["sources_count"]), ("rag_complete", 0))

    def test_rag_zero_means_default(self):
        """2 0 in rag_top_k and rag_threshold means the default"""
        with self.greeted() as socket:
            got = self.chat(socket, **{**QUESTION, "rag_top_k": 0, "rag_threshold": 0})
            self.assertEqual(got[-1]["type"], "rag_complete")

    def test_error_invalid_json(self):
        """2 server message error, INVALID_JSON; the socket stays open"""
        with self.greeted() as socket:
            socket.send("{not json")
            message = self.receive(socket)
            self.assertEqual((message["type"], message["code"], message["error"]),
                             ("error", "INVALID_JSON", "Invalid JSON format"))
            self.assertEqual(self.chat(socket, content="x")[-1]["type"], "complete")

    def test_error_invalid_message(self):
        """2 error INVALID_MESSAGE"""
        with self.greeted() as socket:
            for bad in ({"type": "chat"}, {"type": "chat", "content": 7},
                        {"type": "chat", "content": "x", "use_rag": "perhaps"}):
                socket.send(json.dumps(bad))
                message = self.receive(socket)
                self.assertEqual((message["type"], message["code"]), ("error", "INVALID_MESSAGE"), bad)
                self.assertTrue(message["error"].startswith("Invalid message format: "), message)

    def test_error_generation(self):
        """2 error GENERATION_ERROR"""
        with self.greeted() as socket:
            message = self.chat(socket, content="BREAK WORD:9")[-1]
            self.assertEqual((message["type"], message["code"]), ("error", "GENERATION_ERROR"))
            self.assertTrue(message["error"].startswith("Generation failed: "), message)
            self.assertEqual(self.chat(socket, content="again")[-1]["type"], "complete")

    def test_error_rag_range(self):
        """2 error RAG_GENERATION_ERROR, also when top_k or threshold are out of range"""
        with self.greeted() as socket:
            for more in ({"rag_top_k": 21}, {"rag_threshold": 1.5}, {"rag_top_k": -1}):
                message = self.chat(socket, **{**QUESTION, **more})[-1]
                self.assertEqual((message["type"], message["code"]), ("error", "RAG_GENERATION_ERROR"), more)
                self.assertTrue(message["error"].startswith("RAG generation failed: "), message)

    def test_interleave(self):
        """2 answers of several chats interleave on one socket"""
        with self.greeted() as socket:
            for name in ("a", "b"):
                socket.send(json.dumps({"type": "chat", "content": "SLOW WORD:20", "conversation_id": name}))
            order, ended = [], 0
            while ended < 2:
                message = self.receive(socket)
                order.append(message["conversation_id"])
                ended += message["type"] == "complete"
            self.assertGreater(sum(x != y for x, y in zip(order, order[1:])), 2, order)

    def test_chat_fields(self):
        """2 client message chat: model, temperature, max_tokens reach the writer"""
        with self.greeted() as socket:
            self.chat(socket, content="fields", model="other:2b", temperature=0.25, max_tokens=33)
            body = [b for path, b in self.ollama.server.seen if "fields" in b.get("prompt", "")][-1]
            self.assertEqual((body["model"], body["options"]["temperature"], body["options"]["num_predict"]),
                             ("other:2b", 0.25, 33))

    def test_pong(self):
        """2 client message pong is taken without an answer"""
        with self.greeted() as socket:
            socket.send('{"type":"pong"}')
            socket.send('{"type":"pong","timestamp":"2025-11-07T12:00:00"}')
            self.assertEqual(self.chat(socket, content="x")[0]["type"], "token")

    def test_other_types(self):
        """2 other client messages are ignored silently"""
        with self.greeted() as socket:
            socket.send('{"type":"dance","content":"x"}')
            self.assertEqual(self.chat(socket, content="x")[0]["type"], "token")

    def test_handshake_refused(self):
        """2 handshake: missing, bad, refresh or revoked token gives 403"""
        gone = self.sign_in("gone-2")["access_token"]
        self.http.post("/auth/revoke", json={"token": gone}, headers=self.bearer())
        for url in ("/ws/chat", "/ws/chat?token=", "/ws/chat?token=bad", f"/ws/chat?token={gone}",
                    f"/ws/chat?token={self.sign_in()['refresh_token']}"):
            with self.subTest(url[:24]), self.assertRaises(InvalidStatus) as caught:
                connect(f"ws://127.0.0.1:{self.port}{url}")
            self.assertEqual(caught.exception.response.status_code, 403)

    def test_subprotocol(self):
        """2 handshake: Sec-WebSocket-Protocol bearer, <jwt>; bearer is echoed"""
        token = self.sign_in("proto-1")["access_token"]
        with connect(f"ws://127.0.0.1:{self.port}/ws/chat", subprotocols=["bearer", token],
                     compression=None) as socket:
            self.assertEqual(socket.subprotocol, "bearer")
            self.assertEqual(self.receive(socket)["client_id"], "proto-1")

    def test_no_compression(self):
        """2 permessage-deflate is refused politely"""
        token = self.sign_in()["access_token"]
        with connect(f"ws://127.0.0.1:{self.port}/ws/chat?token={token}", compression="deflate") as socket:
            self.assertNotIn("Sec-WebSocket-Extensions", socket.response.headers)
            self.assertEqual(self.receive(socket)["type"], "connection_ack")

    def test_plain_get(self):
        """2 a GET that is no handshake gives 4xx"""
        self.assertIn(self.http.get("/ws/chat").status_code, (400, 403, 426))

    def test_cancel(self):
        """2 a closed socket ends its generation"""
        self.ollama.server.hung_up.clear()
        socket = self.greeted()
        socket.send(json.dumps({"type": "chat", "content": "SLOW WORD:4000"}))
        self.assertEqual(self.receive(socket)["type"], "token")
        socket.close()
        self.assertTrue(self.ollama.server.hung_up.wait(60), "the writer was not stopped")

    def test_turns_are_kept(self):
        """7.8 chat: both turns are stored by the server"""
        with self.greeted(client="historian-2") as socket:
            self.chat(socket, content="WORD:2", conversation_id="conv_ws_1")
        headers = self.bearer("historian-2")
        for _ in range(600):
            found = self.http.get("/conversation/conv_ws_1", headers=headers)
            if found.status_code == 200 and len(found.json()["messages"]) == 2:
                break
            time.sleep(0.1)
        self.assertEqual([(m["role"], m["content"]) for m in found.json()["messages"]],
                         [("user", "WORD:2"), ("assistant", "piece0 piece1 ")])

    def test_ws_health(self):
        """1.7 GET /ws/health"""
        with self.greeted():
            body = self.assert_json(self.http.get("/ws/health"))
        self.assertEqual(body["service"], "websocket")
        self.assert_keys(body, {"status": str, "ollama_status": str, "metrics": dict})
        self.assert_time(body["timestamp"])
        self.assert_keys(body["metrics"], {name: int for name in (
            "active_connections", "unique_clients", "total_connections", "total_messages", "total_tokens",
            "total_errors", "max_connections")})
        self.assertGreaterEqual(body["metrics"]["active_connections"], 1)
        self.assertEqual(body["metrics"]["max_connections"], 64)

    def test_ws_sessions(self):
        """1.7 GET /ws/sessions"""
        with self.open(client="seen-1") as socket:
            session = self.receive(socket)["session_id"]
            body = self.assert_json(self.http.get("/ws/sessions", headers=self.bearer("admin")))
        self.assertEqual(body["total_sessions"], len(body["sessions"]))
        self.assert_time(body["timestamp"])
        found = body["sessions"][session]
        self.assert_keys(found, {"ip_address": str, "message_count": int, "token_count": int, "error_count": int})
        self.assertEqual((found["client_id"], found["session_id"]), ("seen-1", session))
        self.assert_time(found["connected_at"])
        self.assert_time(found["last_activity"])

    def test_metrics_move(self):
        """3 websocket_connections_active and websocket_messages_total"""
        with self.greeted() as socket:
            self.chat(socket, content="x")
            text = self.http.get("/metrics/prometheus").text
        self.assertRegex(text, r"tars_websocket_connections_active [1-9]")
        for direction in ("sent", "received"):
            self.assertRegex(text, r'tars_websocket_messages_total\{direction="%s"\} [1-9]' % direction)


class Limits(Sockets):
    more = {"WS_MAX_CONNECTIONS": "3", "WS_HEARTBEAT_INTERVAL": "1", "WS_TIMEOUT_SECONDS": "3"}

    def setUp(self):
        """Until those of other tests are gone, as the server sees it."""
        for _ in range(1200):
            if self.http.get("/ws/health").json()["metrics"]["active_connections"] == 0:
                return
            time.sleep(0.05)
        self.fail("sockets of other tests stay open")

    def test_too_many(self):
        """2 one socket over WS_MAX_CONNECTIONS: accepted, closed 1013"""
        sockets = [self.greeted() for _ in range(3)]
        with self.open() as extra, self.assertRaises(ConnectionClosed) as caught:
            while True:
                extra.recv(timeout=60)
        self.assertEqual(caught.exception.rcvd.code, 1013)
        for socket in sockets:
            socket.close()

    def test_ping(self):
        """2 server message ping, every WS_HEARTBEAT_INTERVAL"""
        with self.greeted() as socket:
            message = json.loads(socket.recv(timeout=60))
            self.assertEqual(list(message), ["type", "timestamp"])
            self.assertEqual(message["type"], "ping")

    def test_idle(self):
        """2 server message system: idle, then close 1001"""
        with self.greeted() as socket:
            message = self.receive(socket, timeout=60)
            self.assertEqual((message["type"], message["message"], message["level"]),
                             ("system", "Connection timeout - please reconnect", "warning"))
            with self.assertRaises(ConnectionClosed) as caught:
                while True:
                    socket.recv(timeout=60)
            self.assertEqual(caught.exception.rcvd.code, 1001)

    def test_messages_are_bounded(self):
        """2 messages over 16 MiB are refused with 1009"""
        with self.greeted() as socket, self.assertRaises(ConnectionClosed) as caught:
            socket.send("x" * (16 * 1024 * 1024 + 1))
            while True:
                socket.recv(timeout=60)
        self.assertEqual(caught.exception.rcvd.code, 1009)


class NoWriter(Contract):
    """Without a language model."""

    def test_plain_chat(self):
        """2 plain chat without a language model: GENERATION_ERROR (design 9.16)"""
        token = self.sign_in()["access_token"]
        with connect(f"ws://127.0.0.1:{self.port}/ws/chat?token={token}", compression=None) as socket:
            socket.recv(timeout=60)
            socket.send(json.dumps({"type": "chat", "content": "hello"}))
            message = json.loads(socket.recv(timeout=60))
            self.assertEqual((message["type"], message["code"]), ("error", "GENERATION_ERROR"))

    def test_rag_chat(self):
        """2 RAG chat without a language model is quoted (design 9.16)"""
        token = self.sign_in()["access_token"]
        with connect(f"ws://127.0.0.1:{self.port}/ws/chat?token={token}", compression=None) as socket:
            socket.recv(timeout=60)
            socket.send(json.dumps(QUESTION))
            kinds, text = [], ""
            while not kinds or kinds[-1] not in ("rag_complete", "error"):
                message = json.loads(socket.recv(timeout=60))
                kinds.append(message["type"])
                text += message.get("token") or ""
            self.assertEqual(kinds[-1], "rag_complete")
            self.assertIn("Miriam Vale", text)


if __name__ == "__main__":
    unittest.main()
