"""The commands, with the data folder opened by themselves and with a server that has it."""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

from server import SAMPLES, TARS, ServerTest, environment, run

COMMANDS = ["serve", "ingest", "search", "ask", "status", "jobs", "forget", "eval", "bench", "reindex", "config",
            "backup", "restore", "doctor", "version", "help"]


def link_or_copy(source, target):
    try:
        os.link(source, target)
    except OSError:  # another file system, or somebody else's file
        shutil.copy2(source, target)


class Alone(unittest.TestCase):
    """No server runs."""

    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="tars-cli-")
        self.addCleanup(shutil.rmtree, self.data)

    def tars(self, *arguments, **more):
        return run(*arguments, data=self.data, **more)

    def test_help_and_version(self):
        text = self.tars("help").stdout
        for command in COMMANDS:
            self.assertIn(command, text)
            self.assertIn(f"usage: tars {command}", self.tars(command, "--help").stdout)
        self.assertRegex(self.tars("version").stdout, r"^tars \d+\.\d+")
        self.assertIn("version", json.loads(self.tars("version", "--json").stdout))

    def test_wrong_use(self):
        for arguments in (["nonsense"], [], ["search"], ["search", "--top-k", "0", "x"], ["ask"],
                          ["search", "--format", "xml", "x"], ["ingest", "--nope"], ["status", "--json=1"],
                          ["config", "--set", "RAG_TOP_K"], ["config", "--set", "RAG_TOPK=1"],
                          ["search", "x", "--top-k"]):
            with self.subTest(arguments=arguments):
                self.tars(*arguments, code=2)
        wrong = self.tars("status", code=2, RAG_TOP_K="many")
        self.assertIn('RAG_TOP_K is "many" (environment): expected a whole number from 1 to 20', wrong.stderr)

    def test_config(self):
        with open(os.path.join(self.data, ".env"), "w") as file:
            file.write("RAG_TOP_K=7\nHYBRID_ALFA=1\nPOSTGRES_PASSWORD=hush\n")
        done = self.tars("config", "--json", "--all", HYBRID_ALPHA="0.25")
        settings = json.loads(done.stdout)
        self.assertEqual((settings["RAG_TOP_K"]["value"], settings["RAG_TOP_K"]["origin"]), ("7", ".env"))
        self.assertEqual(settings["HYBRID_ALPHA"]["origin"], "environment")
        self.assertNotIn("hush", done.stdout)
        self.assertIn("HYBRID_ALFA (.env) is not a setting; did you mean HYBRID_ALPHA?", done.stderr)
        self.assertRegex(self.tars("config", "RAG_TOP_K").stdout, r"^RAG_TOP_K +7 +\.env\n$")
        self.tars("config", "NONE_SUCH", code=2)

    def test_ingest_search_ask_forget(self):
        lines = [json.loads(x) for x in self.tars("ingest", "--json", SAMPLES).stdout.splitlines()]
        self.assertEqual({tuple(x) for x in lines[:-1]}, {("path", "status", "reason", "document_id", "chunks", "ms")})
        self.assertEqual(lines[-1]["summary"]["indexed"], 8)
        again = json.loads(self.tars("ingest", "--json", SAMPLES).stdout.splitlines()[-1])["summary"]
        self.assertEqual((again["indexed"], again["unchanged"]), (0, 8))
        found = json.loads(self.tars("search", "--json", "annual", "leave").stdout)
        self.assertEqual(found["results"][0]["metadata"]["file_name"], "leave.md")
        text = self.tars("ask", "How many days of annual leave do employees get?").stdout
        self.assertIn("28 days", text)
        self.assertIn("leave.md", text)
        self.assertIn("28 days", json.loads(self.tars("ask", "--json", "days of annual leave?").stdout)["answer"])
        stats = json.loads(self.tars("status", "--json").stdout)["stats"]
        self.assertEqual((stats["total_documents"], stats["file_count"]), (11, 8))
        self.tars("forget", os.path.join(SAMPLES, "handbook", "leave.md"))
        self.tars("forget", os.path.join(SAMPLES, "handbook", "leave.md"), code=1)
        self.tars("forget", "doc_0000000000000000", code=1)
        self.assertIn("done", self.tars("jobs").stdout)
        self.tars("jobs", "cancel", "1", code=3)

    def test_collections(self):
        leave = os.path.join(SAMPLES, "handbook", "leave.md")
        self.tars("collection", "add", "hr")
        self.tars("ingest", "--collection", "hr", leave)
        self.assertIn("No such collection", self.tars("ingest", "--collection", "nope", leave, code=1).stderr)

        def names(*arguments):
            found = json.loads(self.tars("search", "--json", *arguments, "annual leave").stdout)["results"]
            return {(x["metadata"]["file_name"], x["metadata"]["collection"]) for x in found}

        self.assertEqual(names("--collection", "hr"), {("leave.md", "hr")})
        self.assertEqual(names(), {("leave.md", "hr")})
        self.assertEqual(names("--filters", '{"collection":"hr"}'), {("leave.md", "hr")})
        self.assertEqual(names("--collection", "default"), set())
        self.tars("search", "--collection", "nope", "annual leave", code=1)
        stats = json.loads(self.tars("status", "--json").stdout)["stats"]
        self.assertEqual([(x["collection"], x["total_documents"]) for x in stats["collections"]], [("hr", 1)])
        self.tars("collection", "remove", "hr", code=3)
        self.tars("forget", leave, code=1)
        self.tars("forget", "--collection", "hr", leave)
        self.tars("collection", "remove", "hr")

    def test_trec(self):
        with open(os.path.join(self.data, "corpus.jsonl"), "w") as file:
            for i, text in enumerate(["cats purr", "dogs bark", "a cat and a dog"]):
                file.write(json.dumps({"_id": f"d{i}", "title": "", "text": text}) + "\n")
        with open(os.path.join(self.data, "queries.jsonl"), "w") as file:
            file.write('{"_id": "q1", "text": "cat"}\n\n{"_id": 2, "text": "dog"}\n')
        self.tars("ingest", "corpus.jsonl")
        lines = [x.split() for x in self.tars("search", "--queries", "queries.jsonl", "--top-k", "2",
                                              "--format", "trec").stdout.splitlines()]
        self.assertEqual([(x[0], x[1], x[3], x[5]) for x in lines],
                         [("q1", "Q0", "1", "tars"), ("q1", "Q0", "2", "tars"),
                          ("2", "Q0", "1", "tars"), ("2", "Q0", "2", "tars")])
        self.assertTrue({x[2] for x in lines} <= {"d0", "d1", "d2"})
        self.assertGreaterEqual(float(lines[0][4]), float(lines[1][4]))

    def test_failures_are_told(self):
        with open(os.path.join(self.data, "bad.pdf"), "wb") as file:
            file.write(b"%PDF-1.4 nothing behind it")
        done = self.tars("ingest", "--json", "bad.pdf", code=1)
        line = json.loads(done.stdout.splitlines()[0])
        self.assertEqual(line["status"], "failed")
        self.assertTrue(line["reason"])
        self.tars("ingest", "nowhere", code=1)

    def test_an_index_that_does_not_fit_is_built_again(self):
        self.tars("ingest", os.path.join(SAMPLES, "it"))
        index = os.path.join(self.data, "index")
        other = tempfile.mkdtemp(prefix="tars-cli-")
        self.addCleanup(shutil.rmtree, other)
        run("ingest", SAMPLES, data=other)
        for damage in ("another store's", "garbage", "missing"):
            with self.subTest(damage=damage):
                shutil.rmtree(index)
                if damage == "another store's":
                    shutil.copytree(os.path.join(other, "index"), index)
                elif damage == "garbage":
                    os.mkdir(index)
                    with open(os.path.join(index, "index.tars"), "wb") as file:
                        file.write(b"not an index" * 1000)
                hits = json.loads(self.tars("search", "--json", "wireless network for guests").stdout)["results"]
                self.assertIn("LIBRARY-GUEST", hits[0]["content"])
                self.assertFalse([hit for hit in hits if "leave.md" in hit["metadata"]["file_name"]])

    def test_reindex_beside_a_server(self):
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        model = os.path.join(cache, "tars", "models", "all-MiniLM-L6-v2")
        if not os.path.isdir(model):
            self.skipTest(f"{model} is not there; scripts/deps fetches it")
        other = os.path.join(self.data, "other-model")
        shutil.copytree(model, other, copy_function=link_or_copy)
        os.unlink(os.path.join(other, "sentence_bert_config.json"))
        with open(os.path.join(other, "sentence_bert_config.json"), "w", encoding="utf-8") as file:
            json.dump({"max_seq_length": 128, "do_lower_case": False}, file)
        question = ("search", "--json", "--mode", "vectors", "wireless network for guests")

        def found(**more):
            return json.loads(self.tars(*question, **more).stdout)["results"][0]["content"]

        self.tars("ingest", os.path.join(SAMPLES, "it"))
        server = subprocess.Popen([TARS, "serve", "--port", "0"], env=environment(self.data), cwd=self.data,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            self.assertIn("ready", server.stdout.readline())
            self.assertIn("started again", self.tars("reindex", EMBED_MODEL=other).stdout)
            self.assertIn("LIBRARY-GUEST", found())
            self.tars("ingest", os.path.join(SAMPLES, "handbook"))  # arrives after the embedding
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=60)
        self.assertEqual(server.returncode, 0)
        self.assertIn("LIBRARY-GUEST", found(EMBED_MODEL=other))
        self.assertIn("28 days", json.loads(self.tars("search", "--json", "days of annual leave",
                                                      EMBED_MODEL=other).stdout)["results"][0]["content"])
        refused = self.tars("ingest", os.path.join(SAMPLES, "building"), code=3)  # the old model now
        self.assertIn("tars reindex", refused.stderr)

    def test_words_only_without_a_model(self):
        self.tars("ingest", SAMPLES, EMBED_MODEL="no-such-model")
        done = self.tars("search", "--json", "annual leave", EMBED_MODEL="no-such-model")
        self.assertIn("words only", done.stderr)
        self.assertEqual(json.loads(done.stdout)["results"][0]["metadata"]["file_name"], "leave.md")

    def test_doctor(self):
        checks = {c["check"]: c for c in json.loads(self.tars("doctor", "--json").stdout)["checks"]}
        self.assertEqual(checks["tars-extract"]["status"], "ok")
        self.assertEqual(checks["store"]["status"], "ok")
        broken = json.loads(self.tars("doctor", "--json", code=1, TARS_EXTRACT="/nonexistent").stdout)
        self.assertTrue(any(c["check"] == "tars-extract" and c["remedy"] for c in broken["checks"]))

    def test_open_on_a_network_is_refused(self):
        for address in ("0.0.0.0", "192.168.0.1", "::"):
            done = self.tars("serve", "--port", "0", "--bind", address, code=2, TARS_AUTH="open")
            self.assertIn("TARS_AUTH_OPEN_ANYWHERE", done.stderr)
        done = self.tars("serve", "--port", "0", "--bind", "0.0.0.0", code=2,
                         JWT_SECRET_KEY="your-secret-key-change-this-in-production")
        self.assertIn("JWT_SECRET_KEY", done.stderr)
        self.assertIn("JWT_SECRET_KEY has 5 bytes", self.tars("serve", code=2, JWT_SECRET_KEY="short").stderr)
        self.assertIn("TARS_TRUSTED_PROXIES", self.tars("serve", code=2, TARS_TRUSTED_PROXIES="proxy").stderr)

    def test_ctrl_c(self):
        folder = os.path.join(self.data, "many")
        os.mkdir(folder)
        for i in range(400):
            with open(os.path.join(folder, f"{i}.txt"), "w") as file:
                file.write(f"Document number {i}. " * 400)
        process = subprocess.Popen([TARS, "ingest", "--json", folder], env=environment(self.data),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 130)
        self.assertIn("summary", out.splitlines()[-1])
        stats = json.loads(self.tars("status", "--json").stdout)["stats"]
        self.assertEqual(stats["jobs"]["running"], 0)


class Beside(ServerTest):
    """A server has the data folder; the commands talk to it."""

    def test_commands_talk_to_the_server(self):
        run("ingest", SAMPLES, data=self.data)
        self.assertIn("28 days", run("ask", "days of annual leave?", data=self.data).stdout)
        self.assertIn(self.url, run("status", data=self.data).stdout)
        note = os.path.join(self.data, "server.json")
        self.assertEqual(os.stat(note).st_mode & 0o777, 0o600)
        self.assertIn("started again", run("reindex", data=self.data).stdout)
        self.assertEqual(json.loads(run("doctor", "--json", data=self.data).stdout)["errors"], 0)
        run("forget", os.path.join(SAMPLES, "it"), data=self.data)
        self.assertEqual(self.ask("GET", "/rag/stats").json()["file_count"], 6)

    def test_second_server_is_refused(self):
        done = run("serve", "--port", "0", data=self.data, code=3)
        self.assertTrue(done.stderr)

    def test_what_was_taken_in_survives_a_restart(self):
        self.upload([("kept.txt", b"The password of the cellar is mentioned nowhere.")], token=self.sign_in())
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.start()
        found = self.ask("POST", "/rag/search", {"query": "password of the cellar", "top_k": 1}).json()
        self.assertEqual(found["results"][0]["metadata"]["file_name"], "kept.txt")

    def test_stop_waits_for_nothing_that_hangs(self):
        started = time.monotonic()
        self.assertEqual(self.stop(), 0)
        self.assertLess(time.monotonic() - started, 30)
        self.assertFalse(os.path.exists(os.path.join(self.data, "server.json")))
        type(self).start()


if __name__ == "__main__":
    unittest.main()
