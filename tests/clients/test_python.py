"""The tests of clients/python against a running server, and its types under mypy --strict."""
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
from datetime import datetime, timedelta, timezone

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PACKAGE = os.path.join(ROOT, "clients", "python")
sys.path[:0] = [os.path.join(ROOT, "tests", "http"), PACKAGE]

import httpx  # noqa: E402
from server import SAMPLES, ServerTest  # noqa: E402

import tars_client  # noqa: E402
from tars_client import AsyncClient, Client, calls  # noqa: E402

QUESTION = "How many days of annual leave do employees get?"
LEAVE = os.path.join(SAMPLES, "handbook", "leave.md")


class Types(unittest.TestCase):
    def test_mypy_strict(self):
        with tempfile.TemporaryDirectory() as cache:
            done = subprocess.run([sys.executable, "-m", "mypy", "--strict", "--cache-dir", cache, "tars_client"],
                                  cwd=PACKAGE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_both_clients_have_the_same_methods(self):
        sync = {name for name in vars(Client) if not name.startswith("__")} - {"close"}
        self.assertEqual(sync, {name for name in vars(AsyncClient) if not name.startswith("__")} - {"close"})

    def test_all_of_the_contract_is_there(self):
        for name in ("authenticate check_health check_ready rag_health rag_stats index_document index_batch "
                     "delete_document rag_query search_documents list_conversations get_conversation "
                     "delete_conversation save_message get_system_metrics get_historical_metrics refresh upload "
                     "stream_query sign_out").split():
            self.assertTrue(callable(getattr(Client, name)), name)


class Against(ServerTest):
    settings = {"TARS_AUTH": "open"}
    with_samples = True

    def signed_in(self, name="py-tests", **more):
        client = Client(self.url, **more)
        self.addCleanup(client.close)
        client.authenticate(name, device_name="tests")
        return client

    def name(self):
        return self.id().rsplit(".", 1)[1] + str(time.monotonic_ns())

    # ------------------------------------------------------------------- tokens

    def test_authenticate_validate_refresh_sign_out(self):
        client = self.signed_in("desk-1")
        told = client.validate()
        self.assertEqual((told["valid"], told["client_id"]), (True, "desk-1"))
        first, old = client.token, client.refresh_token
        client.refresh()
        self.assertNotEqual(client.token, first)
        with Client(self.url, token=first, refresh_token=old) as late:
            with self.assertRaises(tars_client.AuthenticationError):
                late.refresh()
            self.assertIsNone(late.token)
        token = client.token
        client.sign_out()
        self.assertIsNone(client.token)
        with Client(self.url, token=token) as late, self.assertRaises(tars_client.AuthenticationError):
            late.list_documents()

    def test_a_refused_token_is_refreshed_by_itself(self):
        client = self.signed_in()
        with Client(self.url, token="damaged", refresh_token=client.refresh_token) as other:
            self.assertGreater(other.list_documents(limit=1)["total"], 0)
            self.assertNotEqual(other.token, "damaged")

    def test_auth_health(self):
        with Client(self.url) as client:
            self.assertEqual(client.auth_health()["mode"], "open")

    # ------------------------------------------------------------------- health

    def test_health(self):
        client = self.signed_in()
        self.assertEqual(client.check_health()["status"], "healthy")
        self.assertIsInstance(client.check_ready()["uptime_seconds"], int)
        self.assertEqual(client.rag_health()["status"], "healthy")
        self.assertGreater(client.rag_stats()["document_count"], 0)

    # ---------------------------------------------------------------- documents

    def test_index(self):
        client = self.signed_in()
        self.assertIn(client.index_document(LEAVE)["status"], ("success", "already_indexed"))
        batch = client.index_batch([LEAVE, "/nowhere"], max_concurrent=2)
        self.assertEqual((batch["total_files"], batch["failed"]), (2, 1))

    def test_upload_search_delete(self):
        client = self.signed_in()
        path = os.path.join(self.data, "boiler.txt")
        with open(path, "w", encoding="utf-8") as file:
            file.write("The boiler is serviced every March by the janitor.")
        reply = client.upload([path, ("ladder.txt", b"The ladder stands behind the boiler room.")])
        self.assertEqual([r["status"] for r in reply["results"]], ["success", "success"])
        found = client.search_documents("when is the boiler serviced", top_k=1, mode="words")
        self.assertEqual(found["results"][0]["document_id"], reply["results"][0]["document_id"])
        for result in reply["results"]:
            self.assertEqual(client.delete_document(result["document_id"])["status"], "success")
        self.assertEqual(client.delete_document("doc_0")["status"], "not_found")
        self.assertEqual(len(client.upload(("later.txt", b"later"), wait=False)["job_ids"]), 1)

    # ---------------------------------------------------------------- questions

    def test_rag_query(self):
        answer = self.signed_in().rag_query(QUESTION, top_k=2, filters={"file_type": "md"})
        self.assertIn("28", answer["answer"])
        self.assertEqual(answer["sources"][0]["file_name"], "leave.md")

    def test_stream_query(self):
        client = self.signed_in()
        events = list(client.stream_query(QUESTION))
        self.assertEqual((events[0]["type"], events[-1]["type"]), ("rag_sources", "rag_complete"))
        self.assertIn("28", "".join(event.get("token", "") for event in events))
        stream = client.stream_query(QUESTION)
        self.assertEqual(next(stream)["type"], "rag_sources")
        stream.close()
        self.assertEqual(client.check_health()["status"], "healthy")

    # ------------------------------------------------------------ conversations

    def test_conversations(self):
        client = self.signed_in(self.name())
        message = {"id": "msg_1", "role": "user", "content": "What is RAG?", "timestamp": "2026-01-31T12:00:00"}
        identity = self.name()
        self.assertEqual(client.save_message(identity, message)["message_id"], "msg_1")
        listed = client.list_conversations(limit=10)
        self.assertEqual((listed["total"], listed["conversations"][0]["id"]), (1, identity))
        self.assertEqual(client.get_conversation(identity)["title"], "What is RAG?")
        client.rag_query(QUESTION, conversation_id=identity)
        self.assertEqual(len(client.get_conversation(identity)["messages"]), 3)
        self.assertTrue(client.delete_conversation(identity)["success"])
        with self.assertRaises(tars_client.NotFound):
            client.get_conversation(identity)

    # --------------------------------------------------------------------- chat

    def test_chat(self):
        client = self.signed_in()
        with client.chat() as chat:
            self.assertEqual(chat.receive(timeout=60)["client_id"], "py-tests")
            messages = list(chat.ask(QUESTION, conversation_id="conv_p", rag_top_k=2))
            self.assertEqual((messages[0]["type"], messages[-1]["type"]), ("rag_sources", "rag_complete"))
            self.assertIn("28", "".join(m.get("token", "") for m in messages))
            with self.assertRaises(tars_client.StreamFailed) as caught:
                list(chat.ask("Hello", use_rag=False))
            self.assertEqual(caught.exception.detail, "GENERATION_ERROR")
        with Client(self.url, token="damaged") as other, self.assertRaises(tars_client.PermissionDenied):
            with other.chat():
                pass

    def test_chat_async(self):
        async def talk():
            async with AsyncClient(self.url) as client:
                await client.authenticate("py-tests")
                async with client.chat() as chat:
                    self.assertEqual((await chat.receive())["type"], "connection_ack")
                    types = [message["type"] async for message in chat.ask(QUESTION)]
                    self.assertEqual((types[0], types[-1]), ("rag_sources", "rag_complete"))

        asyncio.run(talk())

    # ----------------------------------------------------------------- failures

    def test_failures(self):
        client = self.signed_in()
        with self.assertRaises(tars_client.InvalidRequest) as caught:
            client.rag_query(" ")
        self.assertEqual(caught.exception.status, 422)
        self.assertEqual(caught.exception.detail[0]["loc"], ["body", "query"])
        self.assertRegex(caught.exception.request_id, "^[0-9a-f]{32}$")
        with Client(self.url) as nobody, self.assertRaises(tars_client.PermissionDenied):
            nobody.list_documents()
        with Client("http://127.0.0.1:1") as away, self.assertRaises(tars_client.ConnectionFailed):
            away.check_health()

    # ------------------------------------------------------------- asynchronous

    def test_async(self):
        async def talk():
            async with AsyncClient(self.url) as client:
                await client.authenticate(self.name())
                health, stats, answer = await asyncio.gather(
                    client.check_health(), client.rag_stats(), client.rag_query(QUESTION))
                self.assertEqual(health["status"], "healthy")
                self.assertGreater(stats["document_count"], 0)
                self.assertIn("28", answer["answer"])
                events = [event async for event in client.stream_query(QUESTION)]
                self.assertEqual((events[0]["type"], events[-1]["type"]), ("rag_sources", "rag_complete"))
                with self.assertRaises(tars_client.InvalidRequest):
                    await client.search_documents("x", top_k=0)
                await client.refresh()
                await client.sign_out()
                with self.assertRaises(tars_client.PermissionDenied):
                    await client.list_documents()

        asyncio.run(talk())


class Alone(unittest.TestCase):
    """What a real server cannot be made to do."""

    def client(self, *replies):
        self.asked = []
        rest = list(replies)

        def answer(request):
            self.asked.append(request)
            status, headers, body = rest.pop(0)
            return httpx.Response(status, headers=headers, json=body)

        return Client(http=httpx.Client(transport=httpx.MockTransport(answer), base_url="http://tars"), retries=2)

    def test_tries_again_after_the_time_named(self):
        client = self.client((429, {"retry-after": "0.01"}, {}), (503, {"retry-after": "0"}, {}),
                             (200, {}, {"status": "healthy"}))
        self.assertEqual(client.check_health()["status"], "healthy")
        self.assertEqual(len(self.asked), 3)

    def test_gives_up(self):
        client = self.client(*[(429, {"retry-after": "0"}, {"retry_after": 0})] * 3)
        with self.assertRaises(tars_client.RateLimited):
            client.check_health()
        long = self.client((503, {"retry-after": "3600"}, {"detail": "away"}))
        with self.assertRaises(tars_client.Unavailable) as caught:
            long.check_health()
        self.assertEqual(caught.exception.retry_after, 3600)

    def test_measurements(self):
        client = self.client((200, {}, {"cpu_percent": 1.0}), (200, {}, {"metrics": []}))
        self.assertEqual(client.get_system_metrics()["cpu_percent"], 1.0)
        zone = timezone(timedelta(hours=1))
        client.get_historical_metrics(datetime(2026, 1, 1, 1, tzinfo=zone), "2026-01-02T00:00:00", 60)
        self.assertEqual(dict(self.asked[1].url.params), {"start_time": "2026-01-01T00:00:00",
                                                          "end_time": "2026-01-02T00:00:00", "interval": "60"})

    def test_a_stream_that_fails_on_its_way(self):
        lines = [{"type": "rag_token", "token": "x"}, {"type": "error", "error": "the model is gone"}]

        def answer(_):
            return httpx.Response(200, text="\n".join(json.dumps(line) for line in lines))

        client = Client(http=httpx.Client(transport=httpx.MockTransport(answer), base_url="http://tars"))
        stream = client.stream_query("q")
        self.assertEqual(next(stream)["token"], "x")
        with self.assertRaises(tars_client.StreamFailed):
            next(stream)

    def test_ids_are_encoded(self):
        self.assertEqual(calls.conversation("GET", "a/b c").path, "/conversation/a%2Fb%20c")


if __name__ == "__main__":
    unittest.main()
