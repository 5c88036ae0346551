"""tars import-chroma with real ChromaDB servers, 1.x and 0.5.x, filled by ChromaDB's own client as the reference fills
them (wire contract, section 7.2): vectors of sentence-transformers, squared distances, a document's chunks in one go."""
import contextlib
import json
import os
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import uuid

from server import ROOT, TARS, environment, run

sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from chroma import NEW, OLD, Chroma  # noqa: E402

with open(os.path.join(ROOT, "tests", "golden", "encoder_minilm.json"), encoding="utf-8") as golden:
    GOLDEN = [t for t in json.load(golden)["texts"] if t["text"].strip()]

FILL = """
given = json.load(open(sys.argv[1]))
collection = client.get_or_create_collection(given["name"], metadata={"description": "documents"})
for at in range(0, len(given["ids"]), 100):
    collection.add(**{key: given[key][at:at + 100] for key in ("ids", "embeddings", "documents", "metadatas")})
"""
FOLDER = None


def chunk(document, index, text, vector, **more):
    """A row as the reference writes it."""
    return {"id": f"{document}_chunk_{index}", "text": text, "vector": vector, "metadata": {
        "document_id": document, "chunk_index": index, "file_name": "a.pdf", "file_path": "/docs/a.pdf",
        "file_type": "pdf", "file_size": 1234, "indexed_at": "2025-11-07T12:00:00.000001",
        "token_count": int(len(text.split()) * 1.3), "page_count": 3, **more}}


def fill(chroma, name, rows):
    with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
        json.dump({"name": name, "ids": [r["id"] for r in rows], "embeddings": [r["vector"] for r in rows],
                   "documents": [r["text"] for r in rows], "metadatas": [r["metadata"] for r in rows]}, file)
    try:
        chroma.python(FILL, file.name)
    finally:
        os.unlink(file.name)


def two_documents():
    """Of /docs/a.pdf and /docs/b.md, scattered, with an older version of b.md."""
    a = "doc_0123456789abcdef"
    b = {"file_name": "b.md", "file_path": "/docs/b.md", "file_type": "md", "page_count": 0}
    half = len(GOLDEN) // 2
    rows = [chunk(a, i, t["text"], t["vector"]) for i, t in enumerate(GOLDEN[:half])]
    rows += [chunk("doc_fedcba9876543210", i, t["text"], t["vector"], **b) for i, t in enumerate(GOLDEN[half:])]
    rows += [chunk("doc_00000000000000b0", 0, "An older text.", GOLDEN[0]["vector"], **b,
                   indexed_at="2024-01-01T00:00:00")]
    return rows[::2] + rows[1::2]


def turned(rows):
    """The same with vectors of some other model of the same length."""
    return [{**row, "vector": row["vector"][1:] + row["vector"][:1]} for row in rows]


class Rows:

    def setUp(self):
        self.data = tempfile.mkdtemp(dir=FOLDER)
        self.name = f"tars_{self.id().rsplit('.', 1)[1]}"[:60]

    def tell(self, *arguments, code=0, **more):
        done = run("import-chroma", "--json", "--collection", self.name, *arguments, data=self.data, code=code,
                   **self.chroma.settings(), **more)
        return json.loads(done.stdout)

    def database(self, sql, *values):
        with contextlib.closing(sqlite3.connect(f"file:{self.data}/tars.db?mode=ro", uri=True)) as db:
            return db.execute(sql, values).fetchall()

    def test_the_same_model_is_taken_over(self):
        rows = two_documents()
        fill(self.chroma, self.name, rows)
        dry = self.tell("--dry-run")
        self.assertEqual((dry["dry_run"], dry["imported"], dry["passages"], dry["sha256"]), (True, 2, len(GOLDEN), ""))
        self.assertEqual(self.database("SELECT count(*) FROM documents"), [(0,)])
        told = self.tell()
        self.assertEqual(told["api"], "v1" if self.chroma.version == OLD else "v2")
        self.assertEqual((told["rows"], told["documents"], told["imported"], told["passages"], told["superseded"]),
                         (len(rows), 2, 2, len(GOLDEN), 1))
        self.assertTrue(told["same_model"])
        self.assertGreaterEqual(told["cosine"], 0.999)
        self.assertEqual((told["vectors_taken"], told["vectors_made"], told["refused"]), (len(GOLDEN), 0, 0))
        self.assertRegex(told["sha256"], "^[0-9a-f]{64}$")
        self.check_store(told)
        again = self.tell()
        self.assertEqual((again["imported"], again["unchanged"], again["sha256"]), (0, 2, ""))

    def check_store(self, told):
        """Texts, vectors and places as they were, and they are found."""
        found = self.database("SELECT f.path, d.file_name, d.file_type, d.file_size, d.page_count FROM documents d "
                              "JOIN files f ON f.id = d.file_id ORDER BY f.path")
        self.assertEqual(found, [("/docs/a.pdf", "a.pdf", "pdf", 1234, 3), ("/docs/b.md", "b.md", "md", 1234, 0)])
        vectors = [row[0] for row in self.database("SELECT vectors FROM passage_vectors")]
        for text in GOLDEN:
            self.assertTrue(any(self.same(v, text["vector"]) for v in vectors))
        hits = json.loads(run("search", "--json", GOLDEN[0]["text"], data=self.data).stdout)["results"]
        self.assertEqual(hits[0]["content"], GOLDEN[0]["text"])
        self.assertEqual(hits[0]["metadata"]["file_path"], "/docs/a.pdf")
        self.assertEqual(hits[0]["chunk_index"], 0)
        self.assertEqual(len({h["chunk_id"] for h in hits}), len(hits))

    @staticmethod
    def same(blob, vector):
        return len(blob) == 4 * len(vector) and max(
            abs(a - b) for a, b in zip(struct.unpack(f"{len(vector)}f", blob), vector)) < 1e-5

    def test_another_model_is_embedded_anew(self):
        rows = turned(two_documents())
        fill(self.chroma, self.name, rows)
        told = self.tell()
        self.assertFalse(told["same_model"])
        self.assertLess(told["cosine"], 0.9)
        self.assertEqual((told["vectors_taken"], told["passages"]), (0, len(GOLDEN)))
        self.assertGreaterEqual(told["vectors_made"], len(GOLDEN))
        hits = json.loads(run("search", "--json", GOLDEN[0]["text"], data=self.data).stdout)["results"]
        self.assertEqual(hits[0]["content"], GOLDEN[0]["text"])

    def test_a_chunk_without_a_word_ends_nothing(self):
        """No window is made of it, so it has no vector, and can still be imported."""
        rows = [{"id": "a_chunk_0", "text": "\f", "vector": GOLDEN[0]["vector"], "metadata": {"a": 1}},
                {"id": "b_chunk_0", "text": "Keys are with the porter.", "vector": GOLDEN[1]["vector"], "metadata": {"a": 1}},
                {"id": "b_chunk_1", "text": "\u200b", "vector": GOLDEN[2]["vector"], "metadata": {"a": 1}}]
        fill(self.chroma, self.name, rows)
        told = self.tell("--embed")
        self.assertEqual((told["imported"], told["passages"], told["vectors_made"]), (2, 3, 1))

    def test_what_is_no_chunk_of_the_reference(self):
        """Rows of somebody else's: without metadata of ours, without a text."""
        rows = [{"id": "note-1", "text": "The pump room is behind the mill.", "vector": GOLDEN[0]["vector"],
                 "metadata": {"source": "notes/mill.txt", "lines": 4}},
                {"id": "note-2", "text": "Keys are with the porter.", "vector": GOLDEN[1]["vector"],
                 "metadata": {"topic": "keys"}},
                {"id": "x_chunk_1", "text": "second\x00half", "vector": GOLDEN[2]["vector"], "metadata": {"a": 1}},
                {"id": "x_chunk_0", "text": "first half", "vector": GOLDEN[3]["vector"], "metadata": {"a": 1}},
                {"id": "blank", "text": " \n", "vector": GOLDEN[4]["vector"], "metadata": {"a": 1}}]
        if self.chroma.version == OLD:  # it takes no such text
            rows[2]["text"] = "second half"
        fill(self.chroma, self.name, rows)
        done = run("import-chroma", "--json", "--collection", self.name, data=self.data, code=1,
                   **self.chroma.settings())
        told = json.loads(done.stdout)
        self.assertEqual((told["documents"], told["imported"], told["passages"], told["refused"]), (4, 3, 4, 1))
        self.assertIn("blank: a row without a text", done.stderr)
        self.assertEqual(self.database("SELECT path FROM files ORDER BY path"),
                         [(f"chroma/{self.name}/note-2",), (f"chroma/{self.name}/x",), ("notes/mill.txt",)])
        self.assertEqual(self.database("SELECT p.text FROM passages p JOIN documents d ON p.document = d.id JOIN "
                                       "files f ON f.id = d.file_id WHERE f.path LIKE '%/x' ORDER BY p.id"), [("first half",), ("second half",)])


class Further:
    """What does not depend on how ChromaDB is asked; with one version of it."""

    def test_another_length_is_embedded_anew(self):
        fill(self.chroma, self.name, [{**row, "vector": row["vector"][:7]} for row in two_documents()])
        told = self.tell()
        self.assertEqual((told["same_model"], told["cosine"], told["imported"], told["vectors_taken"]),
                         (False, None, 2, 0))

    def test_anew_where_it_is_wanted(self):
        fill(self.chroma, self.name, two_documents())
        told = self.tell("--embed")
        self.assertEqual((told["same_model"], told["vectors_taken"], told["imported"]), (True, 0, 2))

    def test_rows_with_ids_of_their_own(self):
        """As frameworks write them: a UUID a row, the file in metadata. All rows of a file are its one document."""
        def row(at, text, **metadata):
            return {"id": str(uuid.UUID(int=(37 - at) * 0x123456789abcdef)), "text": text, "vector": GOLDEN[at]["vector"],
                    "metadata": metadata}
        rows = [row(0, "one", source="/m/a.txt"), row(1, "two", source="/m/a.txt"), row(2, "three", source="/m/a.txt"),
                row(3, "page two", source="/m/b.pdf", page_number=2), row(4, "page one", source="/m/b.pdf", page_number=1)]
        same = GOLDEN[0]["vector"]
        rows += [chunk("doc_a", 0, "read me of a", same, file_path="", file_name="readme.md"),
                 chunk("doc_b", 0, "read me of b", same, file_path="", file_name="readme.md")]
        fill(self.chroma, self.name, rows)
        told = self.tell(NAS_MOUNT_POINT="/m/", NAS_WATCH_ENABLED="true")
        self.assertEqual((told["documents"], told["imported"], told["passages"], told["superseded"], told["absent"]),
                         (4, 4, 7, 0, 2))
        self.assertEqual(self.texts(), [
            ("/m/a.txt", "one"), ("/m/a.txt", "two"), ("/m/a.txt", "three"), ("/m/b.pdf", "page one"),
            ("/m/b.pdf", "page two"), (f"chroma/{self.name}/doc_a/readme.md", "read me of a"),
            (f"chroma/{self.name}/doc_b/readme.md", "read me of b")])
        self.assertEqual(self.tell()["unchanged"], 4)
        told = self.tell("--embed", "--replace")
        self.assertEqual((told["imported"], told["unchanged"], told["vectors_taken"], told["absent"]), (4, 0, 0, 0))

    def texts(self):
        return self.database("SELECT f.path, p.text FROM passages p JOIN documents d ON p.document = d.id JOIN files f "
                             "ON f.id = d.file_id ORDER BY f.path, p.id")

    def test_conversations(self):
        def said(number, text, **more):
            return {"id": f"msg_{number}", "role": ("user", "assistant")[number % 2], "content": text,
                    "timestamp": f"2025-11-07T12:00:0{number}", "sources": None, "metadata": None, **more}

        def row(name, messages, **more):
            document = {"id": name, "client_id": "desk-1", "messages": messages, "created_at": "2025-11-07T12:00:00",
                        "updated_at": "2025-11-08T09:00:00.500000", "title": "What is it?", "metadata": None, **more}
            return {"id": name, "text": json.dumps(document, separators=(",", ":"), ensure_ascii=False),
                    "vector": [1.0, 0.0], "metadata": {"client_id": "desk-1", "message_count": len(messages)}}

        def take(*arguments, code=0):
            return self.tell("--conversations", self.name, *arguments, code=code)

        first = [said(0, "Was ist das? \u00e4"), said(1, "This.", sources=[{"file_name": "a.pdf", "page": 3}],
                                                  metadata={"total_time_ms": 1.5})]
        rows = [row("conv_1", first), row("conv_2", [said(2, "Alone.")], client_id="desk-2")]
        bad = [{**row("conv_3", first), "text": "no JSON"}, row("conv_4", []),
               row("conv_5", [{"role": "user", "content": 7}])]
        fill(self.chroma, self.name, rows + bad)
        told = take("--dry-run", code=1)
        self.assertEqual((told["rows"], told["imported"], told["messages"], told["refused"]), (5, 2, 3, 3))
        for known in (0, 2):
            told = take(code=1)
            self.assertEqual((told["imported"], told["unchanged"], told["refused"]), (2 - known, known, 3))
        self.assertEqual(self.database("SELECT count(*) FROM conversations"), [(2,)])
        # It goes on there: only what is new is written. What is here otherwise stays, if not told so.
        self.chroma.python("client.delete_collection(sys.argv[1])", self.name)
        fill(self.chroma, self.name, [row("conv_1", first + [said(2, "And?")]),
                                      row("conv_2", [said(2, "Otherwise.")], client_id="desk-2")])
        told = take(code=1)
        self.assertEqual((told["imported"], told["messages"], told["kept"], told["refused"]), (1, 1, 1, 0))
        told = take("--replace")
        self.assertEqual((told["imported"], told["unchanged"], told["kept"]), (1, 1, 0))

    def test_versions_of_the_same_time(self):
        """Nothing says which is newer: one is taken, and it is no success."""
        fill(self.chroma, self.name, [chunk("doc_1", 0, "one", GOLDEN[0]["vector"]),
                                      chunk("doc_1", 1, "more", GOLDEN[1]["vector"]),
                                      chunk("doc_2", 0, "other", GOLDEN[2]["vector"])])
        told = self.tell(code=1)
        self.assertEqual((told["imported"], told["passages"], told["superseded"], told["unclear"]), (1, 2, 1, 1))

    def test_a_dry_run_writes_nothing(self):
        """Not even what a server remembers of its cache."""
        fill(self.chroma, self.name, [chunk("doc_1", 0, "one", GOLDEN[0]["vector"])])
        self.tell("--dry-run")
        with sqlite3.connect(os.path.join(self.data, "tars.db")) as db:
            db.execute("INSERT INTO meta (key, value) VALUES ('cache.epoch', '1')")
        self.tell("--dry-run")
        self.assertEqual(self.database("SELECT count(*) FROM meta WHERE key = 'cache.epoch'"), [(1,)])
        self.tell()
        self.assertEqual(self.database("SELECT count(*) FROM meta WHERE key = 'cache.epoch'"), [(0,)])

    def test_what_is_here_stays(self):
        path = os.path.join(self.data, "root")
        os.mkdir(path)
        file = os.path.join(path, "a.txt")
        with open(file, "w", encoding="utf-8") as out:
            out.write("The file itself, newer than what was in ChromaDB.")
        run("ingest", "--quiet", file, data=self.data)
        fill(self.chroma, self.name, [chunk("doc_0123456789abcdef", 0, "Old words.", GOLDEN[0]["vector"],
                                            file_path=file, file_name="a.txt", file_type="txt")])
        told = self.tell(code=1)
        self.assertEqual((told["imported"], told["kept"]), (0, 1))
        told = self.tell("--replace")
        self.assertEqual((told["imported"], told["kept"]), (1, 0))
        run("ingest", "--quiet", file, data=self.data)  # the file itself is read again: it is another version
        hits = json.loads(run("search", "--json", "newer", data=self.data).stdout)["results"]
        self.assertEqual(hits[0]["content"], "The file itself, newer than what was in ChromaDB.")

    def test_stopped_and_begun_again(self):
        count = 300
        rows = [chunk(f"doc_{i:016x}", 0, f"Report {i}: {GOLDEN[i % 5]['text']}", GOLDEN[i % 5]["vector"],
                      file_path=f"/docs/{i}.md", file_name=f"{i}.md", file_type="md") for i in range(count)]
        fill(self.chroma, self.name, rows)
        before = self.begin_and_kill()
        for _ in range(4):  # where this program did not come to run in time, the import was done before
            if before == count:
                self.data = tempfile.mkdtemp(dir=FOLDER)
                before = self.begin_and_kill()
        self.assertGreater(before, 0)
        self.assertLess(before, count, "it was done before it could be stopped")
        told = self.tell()
        self.assertEqual((told["unchanged"], told["imported"]), (before, count - before))
        self.assertEqual(self.database("SELECT count(*) FROM documents"), [(count,)])

    def begin_and_kill(self):
        process = subprocess.Popen([TARS, "import-chroma", "--collection", self.name, "--quiet"], cwd=self.data,
                                   env=environment(self.data, **self.chroma.settings()), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        until = time.monotonic() + 120
        while process.poll() is None and time.monotonic() < until and not self.some():
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        return self.database("SELECT count(*) FROM documents")[0][0]

    def some(self):
        try:
            return self.database("SELECT count(*) FROM documents")[0][0] > 3
        except sqlite3.Error:
            return False


class OfNew(Rows, Further, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.chroma = Chroma(NEW)

    @classmethod
    def tearDownClass(cls):
        cls.chroma.close()

    def test_refusals(self):
        said = run("import-chroma", "--collection", "nothing_there", data=self.data, code=1,
                   **self.chroma.settings()).stderr
        self.assertIn('has no collection "nothing_there"', said)
        self.chroma.python("client.create_collection(sys.argv[1], metadata={'tars_format': 1})", self.name)
        said = run("import-chroma", "--collection", self.name, data=self.data, code=2, **self.chroma.settings()).stderr
        self.assertIn("keeps its own vectors", said)
        said = run("import-chroma", "--host", "http://127.0.0.1:1", data=self.data, code=3).stderr
        self.assertIn("127.0.0.1", said)
        run("import-chroma", "file", data=self.data, code=2)
        self.chroma.python("client.create_collection(sys.argv[1])", self.name + "_empty")
        done = run("import-chroma", "--json", "--collection", self.name + "_empty", data=self.data,
                   **self.chroma.settings())
        self.assertEqual(json.loads(done.stdout)["rows"], 0)


    def checks(self, code=0, **settings):
        told = json.loads(run("doctor", "--json", data=self.data, code=code, VECTOR_BACKEND="chroma",
                              CHROMA_COLLECTION_NAME=self.name, **settings).stdout)["checks"]
        return {c["check"]: (c["status"], c["finding"]) for c in told if c["check"].startswith("chroma")}

    def test_doctor(self):
        found = self.checks(**self.chroma.settings())
        self.assertEqual(found["chroma"], ("ok", f"{self.chroma.url} answers: ChromaDB, API v2 (1.0.0)"))
        self.assertEqual(found["chroma collection"], ("warning", f'there is no "{self.name}" yet'))
        fill(self.chroma, self.name, two_documents())
        found = self.checks(code=1, **self.chroma.settings())
        self.assertEqual(found["chroma collection"][0], "error")
        self.assertIn("rows of another program", found["chroma collection"][1])
        found = self.checks(CHROMA_HOST="http://127.0.0.1:1")
        self.assertEqual((found["chroma"][0], len(found)), ("warning", 1))

    def test_no_server_writes_to_it(self):
        """The collection of another program, named as the place of our vectors."""
        fill(self.chroma, self.name, two_documents())
        settings = {**self.chroma.settings(), "VECTOR_BACKEND": "chroma", "CHROMA_COLLECTION_NAME": self.name}
        for command in (["search", "anything"], ["ingest", "--quiet", os.path.join(ROOT, "samples")]):
            said = run(*command, data=self.data, code=3, **settings).stderr
            self.assertIn("rows of another program", said)
            self.assertIn("tars import-chroma", said)
        self.assertEqual(len(self.chroma.rows(self.name)["ids"]), len(two_documents()))


class OfOld(Rows, unittest.TestCase):
    """With a token, which 0.5.x can want."""
    @classmethod
    def setUpClass(cls):
        cls.chroma = Chroma(OLD, token="s3cret")

    @classmethod
    def tearDownClass(cls):
        cls.chroma.close()

    def test_without_the_token(self):
        said = run("import-chroma", "--host", self.chroma.url, data=self.data, code=3).stderr
        self.assertIn("answered 40", said)


def setUpModule():
    global FOLDER
    FOLDER = tempfile.mkdtemp(prefix="tars-import-chroma-")


def tearDownModule():
    shutil.rmtree(FOLDER)


if __name__ == "__main__":
    unittest.main()
