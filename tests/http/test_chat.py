"""The wire contract, section 2: /ws/chat, seen by a real WebSocket client of a real server."""
import json
import socket
import threading
import time
import unittest

import jsonschema_rs
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from ollama import PATIENCE, Ollama
from server import ServerTest, eventually

TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?$"
UUID = r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
LEAVE = "How many days of annual leave do employees get?"


class ChatTest(ServerTest):
    with_samples = True

    @classmethod
    def setUpClass(cls):
        cls.model = Ollama()
        cls.settings = dict(cls.settings, LLM_BACKEND="ollama", OLLAMA_HOST=cls.model.url)
        super().setUpClass()
        cls.documented = ChatTest.documented_messages(cls.ask("GET", "/openapi.json").json())

    @staticmethod
    def documented_messages(document):
        """What the document of the interface says that the server sends."""
        said = document["paths"]["/ws/chat"]["get"]["x-websocket"]["server"]
        return jsonschema_rs.validator_for({**said, "components": document["components"]})

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.model.close()

    def setUp(self):
        self.model.pieces, self.model.pause, self.model.breaks_after = ["Hello", ",", " world"], 0.0, None
        self.model.may_write = None
        self.model.asked.clear()
        self.model.gone.clear()

    def pair(self, client_id="desk-1"):
        return self.ask("POST", "/auth/token", {"client_id": client_id}).json()

    def open(self, token=None, path="/ws/chat", ack=True, **more):
        if token is None:
            token = self.sign_in("desk-1")
        path += f"?token={token}" if token else ""
        # The library's own pings would count as signs of life.
        ws = self.enterContext(connect(f"ws://127.0.0.1:{self.port}{path}", ping_interval=None, **more))
        if ack:
            self.assertEqual(self.hear(ws)["type"], "connection_ack")
        return ws

    def hear(self, ws, timeout=PATIENCE):
        text = ws.recv(timeout=timeout)
        message = json.loads(text)
        self.assertEqual(list(message)[:2], ["type", "timestamp"])
        self.assertRegex(message["timestamp"], TIME)
        self.documented.validate(message)
        self.assertEqual(json.dumps(message, separators=(",", ":"), ensure_ascii=False), text)
        return message

    def hear_until(self, ws, *last, timeout=PATIENCE):
        heard = []
        while not heard or heard[-1]["type"] not in last:
            heard.append(self.hear(ws, timeout))
        return heard

    def say(self, ws, **message):
        ws.send(json.dumps({"type": "chat", **message}))

    def await_asked(self, count):
        """Until the model has been asked so often."""
        eventually(self, lambda: len(self.model.asked) >= count)

    def closed(self, ws, timeout=PATIENCE):
        """Code and reason of the close that is to come."""
        with self.assertRaises(ConnectionClosed):
            while True:
                ws.recv(timeout=timeout)
        return ws.close_code, ws.close_reason


class Handshake(ChatTest):
    def refused(self, **more):
        with self.assertRaises(InvalidStatus) as caught:
            self.open(ack=False, **more)
        response = caught.exception.response
        return response.status_code, json.loads(response.body)["detail"]

    def test_acknowledged(self):
        ws = self.open(ack=False)
        ack = self.hear(ws)
        self.assertEqual(list(ack), ["type", "timestamp", "client_id", "session_id"])
        self.assertEqual((ack["type"], ack["client_id"]), ("connection_ack", "desk-1"))
        self.assertRegex(ack["session_id"], UUID)

    def test_credentials(self):
        token = self.sign_in("ada")
        for more in ({"token": token}, {"token": "", "additional_headers": {"Authorization": f"Bearer {token}"}},
                     {"token": "", "subprotocols": ["bearer", token]},
                     {"token": token, "path": "/api/v1/ws/chat"}):
            ws = self.open(ack=False, **more)
            self.assertEqual(self.hear(ws)["client_id"], "ada")
            self.assertEqual(ws.subprotocol, "bearer" if "subprotocols" in more else None)

    def test_refused(self):
        pair = self.pair("eve")
        revoked = self.sign_in("eve")
        self.ask("POST", "/auth/revoke", {"token": revoked}, token=revoked)
        self.assertEqual(self.refused(token=""), (403, "Not authenticated"))
        self.assertEqual(self.refused(token="nonsense"), (403, "Could not validate credentials"))
        self.assertEqual(self.refused(token=pair["refresh_token"]), (403, "Could not validate credentials"))
        self.assertEqual(self.refused(token=revoked), (403, "Token has been revoked"))
        self.assertEqual(self.refused(token="", subprotocols=["bearer", "nonsense"])[0], 403)
        self.assertEqual(self.refused(token="", subprotocols=["bearer"])[0], 403)

    def test_no_websocket(self):
        reply = self.ask("GET", "/ws/chat")
        self.assertEqual((reply.status, reply.json()["detail"]), (426, "Upgrade Required"))
        self.assertEqual((reply.headers["upgrade"], reply.headers["sec-websocket-version"]), ("websocket", "13"))
        head = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
        self.assertEqual(self.ask("GET", "/ws/chat", headers=dict(head, **{"Sec-WebSocket-Version": "8"})).status, 426)
        self.assertEqual(self.ask("GET", "/ws/chat", headers=dict(head, **{"Sec-WebSocket-Version": "13",
                                                                          "Sec-WebSocket-Key": "x"})).status, 400)
        self.assertEqual(self.ask("POST", "/ws/chat", {}).status, 405)

    def test_binary_and_large(self):
        ws = self.open()
        ws.send(b"\x00")
        self.assertEqual(self.closed(ws)[0], 1003)
        ws = self.open(max_size=None)
        ws.send("x" * (1 << 20) + "x")
        self.assertEqual(self.closed(ws)[0], 1009)


class Messages(ChatTest):
    def test_plain(self):
        ws = self.open()
        self.say(ws, content="Say hello", conversation_id="c 1")
        heard = self.hear_until(ws, "complete")
        self.assertEqual([m["type"] for m in heard], ["token"] * 3 + ["complete"])
        self.assertEqual([m["token"] for m in heard[:-1]], ["Hello", ",", " world"])
        self.assertEqual(list(heard[0]), ["type", "timestamp", "token", "conversation_id"])
        self.assertEqual({m["conversation_id"] for m in heard}, {"c 1"})
        self.assertEqual(list(heard[-1]), ["type", "timestamp", "conversation_id", "total_tokens", "latency_ms"])
        self.assertEqual(heard[-1]["total_tokens"], 3)
        self.assertIsInstance(heard[-1]["latency_ms"], float)
        asked = self.model.asked[-1]
        self.assertEqual(asked["prompt"], "Say hello")
        self.assertNotIn("system", asked)

    def test_plain_options(self):
        ws = self.open()
        self.say(ws, content="Hi", model="other:1b", temperature=0.25, max_tokens=7, conversation_id=None,
                 rag_top_k=None, rag_threshold=None, timestamp=None)
        self.assertIsNone(self.hear_until(ws, "complete")[-1]["conversation_id"])
        asked = self.model.asked[-1]
        self.assertEqual((asked["model"], asked["options"]["temperature"], asked["options"]["num_predict"]),
                         ("other:1b", 0.25, 7))

    def test_rag(self):
        self.model.pieces = ["Employees get", " 28 days", " of paid annual leave [1]."]
        ws = self.open()
        self.say(ws, content=LEAVE, use_rag=True, rag_top_k=3, conversation_id="r")
        heard = self.hear_until(ws, "rag_complete")
        self.assertEqual([m["type"] for m in heard], ["rag_sources"] + ["rag_token"] * 3 + ["rag_complete"])
        sources = heard[0]
        self.assertEqual(list(sources), ["type", "timestamp", "conversation_id", "sources", "retrieval_time_ms"])
        self.assertTrue(1 <= len(sources["sources"]) <= 3)
        self.assertEqual(sources["sources"][0]["file_name"], "leave.md")
        self.assertGreater(sources["retrieval_time_ms"], 0)
        self.assertEqual(list(heard[1]), ["type", "timestamp", "token", "conversation_id", "has_sources"])
        self.assertTrue(heard[1]["has_sources"])
        complete = heard[-1]
        for name in ("retrieval_time_ms", "generation_time_ms", "total_time_ms"):
            self.assertIsInstance(complete[name], float)
        self.assertEqual((complete["total_tokens"], complete["sources_count"]), (3, len(sources["sources"])))
        self.assertEqual(complete["unsupported_count"], 0)
        self.assertTrue(self.model.asked[-1]["prompt"].startswith("Context:\n[Source 1: leave.md]\n"))

    def test_rag_without_sources(self):
        ws = self.open()
        self.say(ws, content="What is the capital of Mongolia?", use_rag=True)
        heard = self.hear_until(ws, "rag_complete")
        self.assertEqual([m["type"] for m in heard], ["rag_token", "rag_complete"])
        self.assertEqual((heard[0]["has_sources"], heard[0]["conversation_id"], heard[-1]["sources_count"]),
                         (False, None, 0))
        self.assertIn('No passage holds "capital" or "Mongolia".', heard[0]["token"])
        self.assertEqual(heard[-1]["absence"]["missing_words"], ["capital", "Mongolia"])

    def test_zero_is_the_default(self):
        ws = self.open()
        self.say(ws, content=LEAVE, use_rag=True, rag_top_k=0, rag_threshold=0)
        self.assertEqual(self.hear(ws)["type"], "rag_sources")
        self.hear_until(ws, "rag_complete")

    def test_rag_out_of_range(self):
        ws = self.open()
        for more in ({"rag_top_k": 21}, {"rag_top_k": -1}, {"rag_threshold": 1.5}, {"rag_threshold": -0.1},
                     {"content": "x" * 10001}, {"content": " "}):
            self.say(ws, **{"content": LEAVE, "use_rag": True, **more})
            error = self.hear(ws)
            self.assertEqual((error["type"], error["code"]), ("error", "RAG_GENERATION_ERROR"))
            self.assertTrue(error["error"].startswith("RAG generation failed: "), error)

    def test_errors(self):
        ws = self.open()
        for text, code, words in (
                ("{", "INVALID_JSON", "Invalid JSON format"), ("", "INVALID_JSON", "Invalid JSON format"),
                ("[" * 100, "INVALID_JSON", "Invalid JSON format"),
                ("[]", "INVALID_MESSAGE", "Invalid message format: "),
                ('{"type":"chat"}', "INVALID_MESSAGE", "Invalid message format: content: Field required"),
                ('{"type":"chat","content":5}', "INVALID_MESSAGE", "Invalid message format: content: "),
                ('{"type":"chat","content":"x","use_rag":"maybe"}', "INVALID_MESSAGE", "Invalid message format: use_rag"),
                ('{"type":"chat","content":"x","temperature":9}', "INVALID_MESSAGE", "Invalid message format: temp")):
            ws.send(text)
            error = self.hear(ws)
            self.assertEqual((error["type"], error["code"]), ("error", code), text)
            self.assertTrue(error["error"].startswith(words), error)
            self.assertEqual(list(error)[:4], ["type", "timestamp", "error", "code"])
        self.say(ws, content="still here?")
        self.assertEqual(self.hear_until(ws, "complete")[-1]["total_tokens"], 3)

    def test_what_is_unknown_is_ignored(self):
        ws = self.open()
        for text in ('{"type":"pong"}', '{"type":"nonsense"}', '{"type":5}', "{}", '{"type":null}'):
            ws.send(text)
        self.say(ws, content="x")
        self.assertEqual(self.hear(ws)["type"], "token")

    def test_a_model_that_breaks_off(self):
        self.model.pieces, self.model.breaks_after = ["one", "two", "three"], 2
        ws = self.open()
        self.say(ws, content="x", conversation_id="broken")
        heard = self.hear_until(ws, "error", "complete")
        self.assertEqual([m["type"] for m in heard], ["token", "token", "error"])
        self.assertEqual((heard[-1]["code"], heard[-1]["conversation_id"]), ("GENERATION_ERROR", "broken"))
        self.assertTrue(heard[-1]["error"].startswith("Generation failed: "))
        self.say(ws, content=LEAVE, use_rag=True)
        heard = self.hear_until(ws, "error", "rag_complete")
        self.assertEqual((heard[-1]["type"], heard[-1]["code"]), ("error", "RAG_GENERATION_ERROR"))
        self.model.breaks_after = None
        self.say(ws, content="x")
        self.assertEqual(self.hear_until(ws, "complete")[-1]["total_tokens"], 3)

    # ------------------------------------------------------------------ as it is written

    def test_words_come_as_they_are_written(self):
        """Each is here before the model writes the next."""
        self.model.pieces, self.model.may_write = ["a", "b", "c", "d"], threading.Semaphore(0)
        ws = self.open()
        self.say(ws, content="x")
        for piece in self.model.pieces:
            self.model.may_write.release()
            self.assertEqual(self.hear(ws)["token"], piece)
        self.assertEqual(self.hear(ws)["type"], "complete")

    def test_answers_interleave(self):
        self.model.pieces, self.model.pause = ["a", "b", "c", "d"], 0.2
        self.model.may_write = threading.Semaphore(0)
        ws = self.open()
        self.say(ws, content="x", conversation_id="one")
        self.say(ws, content=LEAVE, use_rag=True, conversation_id="two")
        self.await_asked(2)
        self.model.may_write.release(8)
        heard = self.hear_until(ws, "complete", "rag_complete")
        heard += self.hear_until(ws, "rag_complete" if heard[-1]["type"] == "complete" else "complete")
        order = [m["conversation_id"] for m in heard if m["type"].endswith("token")]
        self.assertEqual((order.count("one"), order.count("two")), (4, 4))
        self.assertGreater(sum(a != b for a, b in zip(order, order[1:])), 2)

    def test_so_many_at_once(self):
        self.model.may_write = threading.Semaphore(0)
        ws = self.open()
        for n in range(9):
            self.say(ws, content="x", conversation_id=f"c{n}")
        error = self.hear_until(ws, "error")[-1]
        self.model.may_write.release(8 * 3)
        self.assertEqual((error["code"], error["conversation_id"]), ("GENERATION_ERROR", "c8"))
        self.assertIn("too many questions at once", error["error"])

    def test_cancel(self):
        self.model.pieces, self.model.pause = ["x"] * 1000, 0.1
        ws = self.open()
        self.say(ws, content="x", conversation_id="stop")
        self.say(ws, content="x", conversation_id="go")
        self.hear(ws)
        ws.send('{"type":"cancel","conversation_id":"stop"}')
        heard = self.hear_until(ws, "error")
        self.assertEqual((heard[-1]["code"], heard[-1]["error"], heard[-1]["conversation_id"]),
                         ("CANCELLED", "Generation cancelled", "stop"))
        self.assertTrue(self.model.gone.wait(PATIENCE))
        self.assertEqual({self.hear(ws)["conversation_id"] for _ in range(5)}, {"go"})
        ws.send('{"type":"cancel"}')
        self.assertEqual(self.hear_until(ws, "error")[-1]["conversation_id"], "go")

    def test_large_messages(self):
        """They are understood as small ones are, though elsewhere."""
        ws = self.open(max_size=None)
        long = "word " * 20_000
        self.say(ws, content=long, conversation_id="long")
        self.assertEqual(self.hear_until(ws, "complete")[-1]["conversation_id"], "long")
        self.assertEqual(self.model.asked[-1]["prompt"], long)
        ws.send('{"type":"chat","content":"' + long)
        self.assertEqual(self.hear(ws)["code"], "INVALID_JSON")
        self.say(ws, content=7, more=long)
        self.assertEqual(self.hear(ws)["code"], "INVALID_MESSAGE")
        ws.send(json.dumps({"type": "something", "more": long}))
        self.model.pause = 0.2
        self.model.pieces = ["word "] * 1000
        self.say(ws, content="Say more", conversation_id="more")
        self.assertEqual(self.hear(ws)["type"], "token")
        ws.send(json.dumps({"type": "cancel", "conversation_id": "more", "more": long}))
        self.assertEqual(self.hear_until(ws, "error", "complete")[-1]["code"], "CANCELLED")

    def test_a_socket_that_closes_frees_the_model(self):
        self.model.pieces, self.model.pause = ["x"] * 1000, 0.1
        ws = self.open()
        self.say(ws, content="x")
        self.hear(ws)
        ws.close()
        self.assertTrue(self.model.gone.wait(PATIENCE))

    # -------------------------------------------------------------------- conversations

    def test_both_turns_are_kept(self):
        token = self.sign_in("keeper")
        ws = self.open(token)
        self.say(ws, content="Say hello", conversation_id="plain")
        self.hear_until(ws, "complete")
        one = self.ask("GET", "/conversation/plain", token=token).json()
        self.assertEqual([(m["role"], m["content"]) for m in one["messages"]],
                         [("user", "Say hello"), ("assistant", "Hello, world")])
        self.say(ws, content=LEAVE, use_rag=True, conversation_id="rag")
        heard = self.hear_until(ws, "rag_complete")
        one = self.ask("GET", "/conversation/rag", token=token).json()
        self.assertEqual(len(one["messages"][1]["sources"]), heard[-1]["sources_count"])
        self.assertEqual(one["messages"][1]["metadata"]["total_time_ms"], heard[-1]["total_time_ms"])
        self.say(ws, content="no one will know")
        self.hear_until(ws, "complete")
        self.assertEqual(self.ask("GET", "/conversation/list", token=token).json()["total"], 2)

    def test_what_was_said_before_is_in_the_prompt(self):
        ws = self.open()
        self.say(ws, content="My name is Ada", conversation_id="memory")
        self.hear_until(ws, "complete")
        self.say(ws, content="What is my name?", conversation_id="memory")
        self.hear_until(ws, "complete")
        self.assertEqual(self.model.asked[-1]["prompt"],
                         "User: My name is Ada\n\nAssistant: Hello, world\n\nWhat is my name?")
        self.say(ws, content="What is my name?")
        self.hear_until(ws, "complete")
        self.assertEqual(self.model.asked[-1]["prompt"], "What is my name?")

    def test_a_follow_up_is_searched_with_its_question(self):
        ws = self.open()
        self.say(ws, content=LEAVE, use_rag=True, conversation_id="follow")
        self.hear_until(ws, "rag_complete")
        self.say(ws, content="And who approves it?", use_rag=True, conversation_id="follow")
        sources = self.hear(ws)
        self.assertEqual(sources["sources"][0]["file_name"], "leave.md")
        self.hear_until(ws, "rag_complete")
        prompt = self.model.asked[-1]["prompt"]
        self.assertTrue(prompt.startswith(f"User: {LEAVE}\n\nAssistant: Hello, world\n\nContext:\n"))
        self.assertTrue(prompt.endswith("Question: And who approves it?\n\nAnswer:"))

    def test_another_clients_conversation(self):
        ada, bob = (self.open(self.sign_in(name)) for name in ("ada", "bob"))
        self.say(ada, content="secret", conversation_id="hers")
        self.hear_until(ada, "complete")
        for use_rag in (False, True):
            self.say(bob, content=LEAVE, conversation_id="hers", use_rag=use_rag)
            error = self.hear(bob)
            self.assertEqual(error["type"], "error")
            self.assertTrue(error["error"].endswith("generation failed: Access denied")
                            or error["error"] == "Generation failed: Access denied", error)
        self.assertEqual(len(self.model.asked), 1)

    # ------------------------------------------------------------------------ companions

    def test_health_and_sessions(self):
        before = self.ask("GET", "/ws/health").json()
        self.assertEqual(list(before), ["status", "service", "timestamp", "ollama_status", "metrics"])
        self.assertEqual((before["status"], before["service"], before["ollama_status"]),
                         ("healthy", "websocket", "healthy"))
        self.assertEqual(list(before["metrics"]),
                         ["active_connections", "unique_clients", "total_connections", "total_messages",
                          "total_tokens", "total_errors", "max_connections"])
        token = self.sign_in("counted")
        first, second = self.open(token, ack=False), self.open(token)
        session_id = self.hear(first)["session_id"]
        self.say(first, content="x")
        self.hear_until(first, "complete")
        first.send("{")
        self.hear(first)
        after = self.ask("GET", "/ws/health").json()["metrics"]
        for name, more in (("total_connections", 2), ("total_messages", 2), ("total_tokens", 3),
                           ("total_errors", 1), ("max_connections", 0)):
            self.assertEqual(after[name] - before["metrics"][name], more, name)
        self.assertLess(after["unique_clients"], after["active_connections"])
        sessions = self.ask("GET", "/ws/sessions", token=token).json()
        self.assertEqual(list(sessions), ["total_sessions", "sessions", "timestamp"])
        self.assertEqual(len(sessions["sessions"]), sessions["total_sessions"])
        one = sessions["sessions"][session_id]
        self.assertEqual(list(one), ["client_id", "session_id", "ip_address", "connected_at", "last_activity",
                                     "message_count", "token_count", "error_count"])
        self.assertEqual((one["client_id"], one["session_id"], one["ip_address"], one["message_count"],
                          one["token_count"], one["error_count"]), ("counted", session_id, "127.0.0.1", 2, 3, 1))
        nobody = self.ask("GET", "/ws/sessions", token="").json()
        self.assertIsNone(nobody["sessions"][session_id]["ip_address"])
        second.close()

    def test_metrics(self):
        ws = self.open()
        self.say(ws, content="x")
        self.hear_until(ws, "complete")
        text = self.ask("GET", "/metrics/prometheus").body.decode()
        self.assertRegex(text, r"(?m)^tars_websocket_connections_active [1-9]")
        self.assertRegex(text, r'(?m)^tars_websocket_messages_total\{direction="sent"\} [1-9]')
        self.assertRegex(text, r'(?m)^tars_websocket_messages_total\{direction="received"\} [1-9]')


class Bounds(ChatTest):
    settings = {"WS_HEARTBEAT_INTERVAL": "1", "WS_TIMEOUT_SECONDS": "3", "WS_MAX_CONNECTIONS": "2",
                "WS_MESSAGE_QUEUE_SIZE": "4"}

    def await_sockets(self, count):
        """Until no more than so many are open, as the server sees it."""
        eventually(self, lambda: self.ask("GET", "/ws/health").json()["metrics"]["active_connections"] <= count)

    def setUp(self):
        super().setUp()
        self.await_sockets(0)  # those of other tests

    def test_ping(self):
        ws = self.open()
        ping = self.hear(ws)
        self.assertEqual(list(ping), ["type", "timestamp"])
        self.assertEqual(ping["type"], "ping")

    def test_silence_ends_a_socket(self):
        start = time.monotonic()
        ws = self.open()
        heard = self.hear_until(ws, "system")
        self.assertEqual({m["type"] for m in heard[:-1]}, {"ping"})
        self.assertEqual((heard[-1]["message"], heard[-1]["level"]),
                         ("Connection timeout - please reconnect", "warning"))
        self.assertEqual(self.closed(ws)[0], 1001)
        self.assertTrue(2.5 < time.monotonic() - start < PATIENCE)

    def test_a_pong_is_a_sign_of_life(self):
        ws = self.open()
        until = time.monotonic() + 5
        while time.monotonic() < until:
            self.assertEqual(self.hear(ws)["type"], "ping")
            ws.send('{"type":"pong","timestamp":null}')

    def test_an_answer_under_way_is_no_silence(self):
        self.model.pieces, self.model.pause = ["x"] * 45, 0.1
        ws = self.open()
        self.say(ws, content="x")
        heard = self.hear_until(ws, "complete", "system")
        self.assertEqual(heard[-1]["type"], "complete")

    def test_one_too_many(self):
        kept = [self.open(), self.open()]
        ws = self.open(ack=False)
        self.assertEqual(self.closed(ws)[0], 1013)
        kept[0].close()
        self.await_sockets(1)
        self.open()

    def test_a_revoked_token_ends_the_socket(self):
        token = self.sign_in("late")
        ws = self.open(token)
        self.ask("POST", "/auth/revoke", {"token": token}, token=token)
        self.assertEqual(self.closed(ws), (1008, "Token has been revoked"))

    def test_who_does_not_read_is_dropped(self):
        self.model.pieces, self.model.pause = ["x" * 30000] * 400, 0.0
        token = self.sign_in("deaf")
        raw = socket.create_connection(("127.0.0.1", self.port))
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.addCleanup(raw.close)
        raw.sendall(f"GET /ws/chat?token={token} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
                    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode())
        body = b'{"type":"chat","content":"x"}'
        raw.sendall(bytes([0x81, 0x80 | len(body)]) + b"\0\0\0\0" + body)
        before = self.resident()
        self.assertTrue(self.model.gone.wait(2 * PATIENCE))
        # What waits is bounded at 4 MiB; the address sanitizer keeps what was freed.
        self.assertLess(self.resident() - before, (12 << 20) + self.quarantine())
        self.await_sockets(0)

    def quarantine(self):
        with open(f"/proc/{self.process.pid}/maps", encoding="ascii", errors="replace") as file:
            return (512 << 20) * ("libasan" in file.read())

    def resident(self):
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * 4096


class NoModel(ChatTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stop()
        cls.settings = {"LLM_BACKEND": "extract"}
        cls.start()

    def test_plain_chat_needs_a_model(self):
        ws = self.open()
        self.say(ws, content="Hello?", conversation_id="c")
        error = self.hear(ws)
        self.assertEqual((error["type"], error["code"], error["error"]),
                         ("error", "GENERATION_ERROR", "Generation failed: no language model is available"))
        self.say(ws, content=LEAVE, use_rag=True)
        self.assertEqual(self.hear_until(ws, "rag_complete")[-1]["model"], "extract")


class RateLimited(ChatTest):
    settings = {"RATE_LIMIT_PER_MINUTE": "5"}

    def test_messages_count(self):
        ws = self.open()
        errors = []
        for _ in range(6):
            self.say(ws, content="x")
            errors += [m for m in self.hear_until(ws, "complete", "error") if m["type"] == "error"]
        self.assertGreaterEqual(len(errors), 1)
        self.assertEqual(errors[-1]["code"], "GENERATION_ERROR")
        self.assertIn("Rate limit exceeded, try again in", errors[-1]["error"])

    def test_large_messages_count(self):
        """Whatever they say: they cost what a request costs."""
        ws = self.open(token=self.sign_in("desk-2"), max_size=None)
        for _ in range(6):
            ws.send('{"type":"something","more":[' + ",".join("0" * 20_000) + "]}")
        self.assertIn("Rate limit exceeded", self.hear(ws)["error"])


if __name__ == "__main__":
    unittest.main()
