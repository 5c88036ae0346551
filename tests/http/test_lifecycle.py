"""The stop of the real program, seen by clients and signals."""
import http.client
import json
import os
import signal
import threading
import time
import unittest

from websockets.sync.client import connect

from life import PATIENCE, Life
from server import Reply

QUESTION = {"query": "How long is the warranty?", "relevance_threshold": 0}


class Stop(Life):
    def test_no_request_is_lost(self):
        """Each is answered whole, or refused when it wants to connect."""
        self.serve()
        self.index()
        asking, lost, lock = threading.Event(), [], threading.Lock()
        answered = {}
        asking.set()

        def client(keeps, path, body):
            connection = self.connection()
            while asking.is_set():
                try:
                    if not keeps:
                        connection.close()
                    if connection.sock is None:
                        connection.connect()
                except ConnectionRefusedError:
                    break
                try:
                    self.send(connection, "POST" if body else "GET", path, body)
                    reply = Reply(connection.getresponse())
                    assert reply.status == 200, reply.status
                    reply.json()
                    with lock:
                        answered[keeps, path] = answered.get((keeps, path), 0) + 1
                except (OSError, http.client.HTTPException, ValueError, AssertionError) as fault:
                    with lock:
                        lost.append((path, keeps, repr(fault)))
                    break

        clients = [threading.Thread(target=client, args=args)
                   for keeps in (True, False) for args in
                   ((keeps, "/health", None), (keeps, "/rag/search", {"query": "warranty", "top_k": 3}),
                    (keeps, "/rag/stats", None)) for _ in range(2)]
        for thread in clients:
            thread.start()
        deadline = time.monotonic() + PATIENCE
        while (len(answered) < 6 or min(answered.values()) < 10) and not lost and time.monotonic() < deadline:
            time.sleep(0.05)
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.wait(), 0)
        asking.clear()
        for thread in clients:
            thread.join(timeout=PATIENCE)
        self.assertEqual(lost, [])
        self.assertGreaterEqual(min(answered.values()), 10)
        self.assertEqual(len(answered), 6)

    def test_answers_end(self):
        """A stream, an answer and a chat that are under way go on to their end; their rows are kept."""
        self.serve(DRAIN_SECONDS=str(PATIENCE))
        self.index()
        self.model.pieces, self.model.may_write = [f"p{n} " for n in range(20)], threading.Semaphore(0)
        stream, query = self.connection(), self.connection()
        ws = self.enterContext(connect(f"ws://127.0.0.1:{self.port}/ws/chat?token={self.token()}"))
        idle = self.enterContext(connect(f"ws://127.0.0.1:{self.port}/ws/chat?token={self.token()}"))
        self.send(stream, "POST", "/rag/query/stream", QUESTION)
        self.send(query, "POST", "/rag/query", QUESTION)
        ws.send(json.dumps({"type": "chat", "content": QUESTION["query"], "use_rag": True, "conversation_id": "c"}))
        self.await_asked(3)
        self.terminate()
        heard = self.hear_out(idle)
        self.assertEqual([m["type"] for m in heard], ["connection_ack", "system"])
        self.assertIn("stopping", heard[1]["message"])
        self.assertEqual((idle.close_code, idle.close_reason), (1001, "the server stops"))
        ws.send(json.dumps({"type": "chat", "content": "One more?", "conversation_id": "late"}))
        heard = self.hear_until(ws, "error")
        self.model.may_write.release(3 * 20)
        heard += self.hear_out(ws)
        kinds = [m["type"] for m in heard]
        self.assertIn("system", kinds)
        self.assertEqual(kinds.count("rag_token"), 20)
        self.assertEqual(kinds[-1], "rag_complete")
        refused = [m for m in heard if m["type"] == "error"]
        self.assertEqual([(m["conversation_id"], "stopping" in m["error"]) for m in refused], [("late", True)])
        self.assertEqual(ws.close_code, 1001)
        lines = Reply(stream.getresponse()).lines()
        self.assertEqual([x["type"] for x in lines].count("rag_token"), 20)
        self.assertEqual(lines[-1]["type"], "rag_complete")
        reply = query.getresponse()
        self.assertEqual((reply.status, reply.getheader("connection")), (200, "close"))
        self.assertIn("p19", json.loads(reply.read())["answer"])
        self.assertEqual(self.wait(), 0)
        self.assertEqual(self.rows(), 3)

    def test_what_lasts_too_long_is_cut(self):
        """And says so, in the shape of its kind."""
        self.serve(DRAIN_SECONDS="1")
        self.index()
        self.model.pieces, self.model.pause = ["word "] * 10000, 0.1
        stream, query, other = self.connection(), self.connection(), self.connection()
        ws = self.enterContext(connect(f"ws://127.0.0.1:{self.port}/ws/chat?token={self.token()}"))
        self.send(stream, "POST", "/rag/query/stream", QUESTION)
        self.send(query, "POST", "/rag/query", QUESTION)
        ws.send(json.dumps({"type": "chat", "content": QUESTION["query"], "use_rag": True}))
        self.await_asked(3)
        began = time.monotonic()
        self.terminate()
        lines = Reply(stream.getresponse()).lines()
        self.assertIn("stopping", lines[-1].pop("error"))
        self.assertEqual(lines[-1]["type"], "error")
        reply = Reply(query.getresponse())
        self.assertEqual(reply.status, 503)
        self.assertIn("stopping", reply.json()["detail"])
        heard = self.hear_out(ws)
        self.assertEqual(heard[-1]["type"], "error")
        self.assertIn("stopping", heard[-1]["error"])
        self.assertEqual(ws.close_code, 1001)
        self.assertEqual(self.wait(), 0)
        self.assertGreater(time.monotonic() - began, 1)
        self.assertIn("some requests did not end in 1 s and were cut", self.log())
        self.assertEqual(self.rows(), 3)
        with self.assertRaises(ConnectionRefusedError):
            other.connect()

    def test_a_balancer_is_told(self):
        """On a connection that it has; each answer ends its connection."""
        self.serve(DRAIN_SECONDS=str(PATIENCE))
        self.model.may_write = threading.Semaphore(0)
        ready, alive = self.connection(), self.connection()
        for connection in (ready, alive):
            self.send(connection, "GET", "/ready")
            reply = Reply(connection.getresponse())
            self.assertEqual((reply.status, reply.json()["status"]), (200, "ready"))
        ws = self.enterContext(connect(f"ws://127.0.0.1:{self.port}/ws/chat?token={self.token()}"))
        ws.send(json.dumps({"type": "chat", "content": "Hello"}))
        self.await_asked(1)
        self.terminate()
        self.send(ready, "GET", "/ready")
        reply = Reply(ready.getresponse())
        self.assertEqual((reply.status, reply.json()["status"]), (503, "degraded"))
        self.assertIn("draining", reply.json()["degraded"])
        self.assertEqual(reply.headers["connection"], "close")
        self.send(alive, "GET", "/health")
        reply = Reply(alive.getresponse())
        self.assertEqual((reply.status, reply.json()["status"]), (200, "healthy"))
        self.model.may_write.release(3)
        self.assertEqual(self.hear_out(ws)[-1]["type"], "complete")
        self.assertEqual(self.wait(), 0)

    def test_a_second_signal_stops_at_once(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number=number):
                self.serve(DRAIN_SECONDS="3600")
                self.model.pieces, self.model.pause = ["word "] * 10000, 0.1
                ws = self.enterContext(connect(f"ws://127.0.0.1:{self.port}/ws/chat?token={self.token()}"))
                ws.send(json.dumps({"type": "chat", "content": "Hello"}))
                self.await_asked(1)
                self.terminate()
                self.process.send_signal(number)
                self.assertEqual(self.wait(), 128 + number)
                self.model.asked.clear()
                self.end()

    def test_files_are_taken_in_at_the_next_start(self):
        """What was accepted is done, if not before the stop, then after it."""
        self.serve()
        page = "Part {0} wears out sooner than others do. " * 10
        parts = [f'--X\r\nContent-Disposition: form-data; name="file"; filename="{n}.md"\r\n\r\n'
                 f"# Page {n}\n\n{page.format(n)}\r\n" for n in range(8)]
        connection = self.connection()
        connection.request("POST", "/rag/upload?wait=false", "".join(parts).encode() + b"--X--\r\n", {
            "Content-Type": "multipart/form-data; boundary=X", "Authorization": f"Bearer {self.token()}"})
        reply = Reply(connection.getresponse())
        self.assertEqual(reply.status, 202, reply.body)
        self.terminate()
        self.assertEqual(self.wait(), 0)
        self.end()
        self.serve()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and self.ask("GET", "/rag/stats").json()["total_documents"] < 8:
            time.sleep(0.1)
        self.assertEqual(self.ask("GET", "/rag/stats").json()["total_documents"], 8)
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.wait(), 0)


if __name__ == "__main__":
    unittest.main()
