"""tars backup and tars restore, as an operator meets them: what is refused, what is kept, what doctor says."""
import json
import os
import pathlib
import shutil
import sqlite3
import struct
import subprocess
import tempfile
import unittest

from server import SAMPLES, ServerTest, run

RENAMES = pathlib.Path(__file__).resolve().parents[1] / "support" / "renames.c"


class Backup(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.mkdtemp(prefix="tars-backup-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        cls.made = os.path.join(cls.scratch, "made")
        os.mkdir(cls.made)
        run("ingest", "--quiet", SAMPLES, data=cls.made)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.scratch)

    def setUp(self):
        self.folder = tempfile.mkdtemp(dir=self.scratch)
        self.data = os.path.join(self.folder, "data")
        self.dest = os.path.join(self.folder, "backups")
        self.to = os.path.join(self.folder, "to")
        shutil.copytree(self.made, self.data)

    def tearDown(self):
        shutil.rmtree(self.folder)

    def backup(self, *arguments, code=0):
        return run("backup", self.dest, *arguments, data=self.data, code=code)

    def restore(self, *arguments, code=0):
        return run("restore", self.dest, "--to", self.to, *arguments, data=self.data, code=code)

    def documents(self, data):
        with sqlite3.connect(os.path.join(data, "tars.db")) as db:
            return db.execute("SELECT count(*) FROM documents").fetchone()[0]

    def test_there_and_back(self):
        made = json.loads(self.backup("--json").stdout)["backup"]
        again = json.loads(self.backup("--json").stdout)["backup"]
        self.assertGreater(made["rows"]["documents"], 0)
        self.assertLess(again["new_bytes"], made["new_bytes"] / 10)
        listed = json.loads(self.backup("--list", "--json").stdout)
        self.assertEqual([b["id"] for b in listed["backups"]], [made["id"], again["id"]])
        self.assertFalse(listed["sealed"])
        told = json.loads(self.restore("--json").stdout)
        self.assertEqual((told["id"], told["documents"]), (again["id"], made["rows"]["documents"]))
        with sqlite3.connect(os.path.join(self.to, "tars.db")) as db:
            self.assertEqual(db.execute("PRAGMA integrity_check").fetchone()[0], "ok")
        found = json.loads(run("search", "--json", "battery", data=self.to).stdout)["results"]
        self.assertEqual([r["chunk_id"] for r in found],
                         [r["chunk_id"] for r in json.loads(run("search", "--json", "battery", data=self.data).stdout)
                          ["results"]])

    def test_only_the_owner_may_read_it(self):
        self.backup()
        self.restore()
        for top in (self.dest, self.to):
            for folder, _, files in os.walk(top):
                self.assertEqual(os.stat(folder).st_mode & 0o077, 0, folder)
                for name in files:
                    self.assertEqual(os.stat(os.path.join(folder, name)).st_mode & 0o077, 0, name)

    def test_without_the_index(self):
        self.backup("--no-index")
        self.restore()
        self.assertFalse(os.path.exists(os.path.join(self.to, "index", "index.tars")))
        self.assertTrue(json.loads(run("search", "--json", "battery", data=self.to).stdout)["results"])

    def test_settings_are_in_it(self):
        with open(os.path.join(self.data, ".env"), "w", encoding="utf-8") as file:  # the folder it is run in
            file.write("TOP_K=7\n")
        self.backup()
        self.assertIn("settings.env", self.restore().stdout)
        with open(os.path.join(self.to, "settings.env"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "TOP_K=7\n")

    def test_used_wrongly(self):
        other = os.path.join(self.folder, "other")
        os.mkdir(other)
        with open(os.path.join(other, "letter.txt"), "w", encoding="utf-8") as file:
            file.write("x")
        for arguments, code, words in (
                (["backup"], 2, "usage"),
                (["backup", self.dest, "more"], 2, "usage"),
                (["backup", self.dest, "--list", "--verify"], 2, "usage"),
                (["backup", self.dest, "--prune", "keep=0"], 2, "keep=N"),
                (["backup", self.dest, "--prune", "all"], 2, "keep=N"),
                (["backup", self.dest, "--keep", "0"], 2, "from 1"),
                (["backup", self.dest, "--keep", "1", "--list"], 2, "usage"),
                (["backup", self.dest, "--list"], 3, "No such file"),
                (["backup", other], 2, "other things"),
                (["backup", other, "--list"], 3, "no backups"),
                (["backup", self.dest, "--key-file", os.path.join(other, "letter.txt")], 3, "everybody may read"),
                (["backup", self.dest, "--set", "STORE=postgres"], 2, "is backed up there"),
                (["restore"], 2, "usage"),
                (["restore", self.dest, "--to", self.to], 3, "no backups")):
            with self.subTest(arguments=arguments[1:]):
                done = run(*arguments, data=self.data, code=code)
                self.assertIn(words, done.stderr)
        empty = os.path.join(self.folder, "empty")
        os.mkdir(empty)
        self.assertIn("nothing to back up", run("backup", self.dest, data=empty, code=3).stderr)

    def test_what_is_not_there(self):
        self.backup()
        for at, code, words in (("2001-01-01", 3, "no backup is of that time"), ("yesterday", 2, "expected a time"),
                                ("20010101T000000.000000Z-00000000", 3, "there is no backup")):
            with self.subTest(at=at):
                self.assertIn(words, self.restore("--at", at, code=code).stderr)
                self.assertFalse(os.path.exists(os.path.join(self.to, "tars.db")))

    def test_a_folder_that_is_not_empty(self):
        self.backup()
        os.mkdir(self.to)
        with open(os.path.join(self.to, "tars.db"), "w", encoding="utf-8") as file:
            file.write("precious")
        self.assertIn("not empty", self.restore(code=3).stderr)
        told = json.loads(self.restore("--replace", "--json").stdout)
        with open(os.path.join(told["replaced"], "tars.db"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "precious")
        self.assertEqual(self.documents(self.to), told["documents"])

    def test_an_interrupted_restore_is_begun_anew(self):
        self.backup()
        stage = os.path.join(self.to, ".restoring", "index")
        os.makedirs(stage)
        with open(os.path.join(stage, "half"), "w", encoding="utf-8") as file:
            file.write("half")
        self.restore()
        self.assertFalse(os.path.exists(os.path.join(self.to, ".restoring")))
        self.assertFalse(os.path.exists(os.path.join(self.to, "index", "half")))

    def test_a_damaged_log_of_questions_costs_itself(self):
        with open(os.path.join(self.data, "analytics.db"), "wb") as file:
            file.write(b"x" * 8192)
        for ending in ("-wal", "-shm"):
            if os.path.exists(os.path.join(self.data, "analytics.db" + ending)):
                os.unlink(os.path.join(self.data, "analytics.db" + ending))
        self.assertIn("analytics.db is left out", self.backup(code=1).stderr)
        self.assertGreater(json.loads(self.restore("--json").stdout)["documents"], 0)

    def test_a_damaged_mark_costs_the_waiting_rows(self):
        with open(os.path.join(self.data, "analytics.queue"), "rb") as file:
            journal = struct.unpack_from("<Q", file.read(64), 16)[0]
        with sqlite3.connect(os.path.join(self.data, "analytics.db")) as db:
            db.execute("INSERT INTO journal_marks (journal, position) VALUES (?1, ?2) "
                       "ON CONFLICT (journal) DO UPDATE SET position = ?2", (journal, (1 << 40) + 3))
        db.close()
        self.assertIn("analytics.queue is left out", self.backup(code=1).stderr)
        self.restore()
        self.assertFalse(os.path.exists(os.path.join(self.to, "analytics.queue")))

    def test_a_damaged_store_is_no_backup(self):
        path = os.path.join(self.data, "tars.db")
        with open(path, "r+b") as file:
            file.write(b"x" * 100)
        self.assertIn("not", self.backup(code=3).stderr)
        self.assertEqual(json.loads(self.backup("--list", "--json").stdout)["backups"], [])

    def test_damage_is_mended_by_the_next_backup(self):
        key = os.path.join(self.folder, "key")
        with open(os.open(key, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
            file.write("ab" * 32)
        for sealed in ([], ["--key-file", key]):
            with self.subTest(sealed=bool(sealed)):
                self.dest = os.path.join(self.folder, "dest" + str(len(sealed)))
                self.backup(*sealed)
                chosen = sorted(pathlib.Path(self.dest).glob("objects/*/*"))[0]
                bits = bytearray(chosen.read_bytes())
                bits[-1] ^= 1
                chosen.write_bytes(bits)
                told = self.backup("--verify", *sealed, code=1)
                self.assertIn(chosen.name, told.stderr)
                self.assertIn("set aside", told.stderr)
                self.backup(*sealed)
                self.assertIn("all whole", self.backup("--verify", *sealed).stdout)
                self.assertEqual(self.backup("--prune", "keep=2", *sealed).returncode, 0)
                self.assertEqual(list(pathlib.Path(self.dest).glob("objects/*/*.bad")), [])

    def test_where_one_is_damaged_another_is_named(self):
        ids = [json.loads(self.backup("--json").stdout)["backup"]["id"] for _ in range(2)]
        newest = pathlib.Path(self.dest, "backups", f"{ids[1]}.manifest")
        whole = newest.read_bytes()
        newest.write_bytes(whole[:-1])
        self.assertIn("another backup may be whole", self.restore(code=3).stderr)
        self.assertNotIn("may be whole", self.restore("--at", "1999-01-01T00:00:00Z", code=3).stderr)
        self.assertIn("1 of them cannot be restored", self.backup("--verify", code=1).stdout)
        newest.write_bytes(whole)
        chosen = sorted(pathlib.Path(self.dest).glob("objects/*/*"))[0]
        kept = chosen.read_bytes()
        chosen.unlink()
        self.assertIn("another backup may be whole", self.restore(code=3).stderr)
        chosen.write_bytes(kept)
        newest.write_bytes(whole[:-1])
        self.restore("--at", ids[0])

    def test_within_the_data_folder(self):
        for dest in (self.data, os.path.join(self.data, "kept", "here")):
            with self.subTest(dest=dest):
                done = run("backup", dest, data=self.data, code=2)
                self.assertIn("within the data folder", done.stderr)
        self.backup()
        inside = os.path.join(self.to, "kept")
        shutil.copytree(self.dest, inside)
        done = run("restore", inside, "--to", self.to, "--replace", data=self.data, code=2)
        self.assertIn("is within", done.stderr)
        self.assertEqual(os.listdir(self.to), ["kept"])

    def test_a_clock_that_went_back(self):
        made = json.loads(self.backup("--json").stdout)["backup"]
        backups = pathlib.Path(self.dest) / "backups"
        later = "2099" + made["id"][4:]
        shutil.copy(backups / f"{made['id']}.manifest", backups / f"{later}.manifest")
        self.assertIn(f"{later} is newer by its time", self.backup(code=1).stderr)
        # One that is newer than what is asked for is not looked at: this one is damaged.
        told = json.loads(self.restore("--json", "--at", "2098-01-01").stdout)
        self.assertGreater(told["id"], made["id"])

    def test_a_second_counts_to_its_end(self):
        """As --list shows it, without the fraction."""
        made = json.loads(self.backup("--json").stdout)["backup"]["id"]
        second = f"{made[:4]}-{made[4:6]}-{made[6:8]}T{made[9:11]}:{made[11:13]}:{made[13:15]}"
        self.assertIn("no backup is of that time", self.restore("--at", f"{second}.000000Z", code=3).stderr)
        self.assertEqual(json.loads(self.restore("--json", "--at", f"{second}Z").stdout)["id"], made)

    def test_of_two_data_folders(self):
        self.backup()
        other = os.path.join(self.folder, "other")
        shutil.copytree(self.made, other)
        run("backup", self.dest, data=other)
        self.assertIn(f"there are others, of {self.data}", self.restore().stderr)

    def back_up_little(self):
        for name in ("analytics.queue", "weights.packed", "weights.digest"):
            if os.path.exists(os.path.join(self.data, name)):
                os.unlink(os.path.join(self.data, name))
        return json.loads(self.backup("--json", "--no-index").stdout)["backup"]

    def precious(self):
        """A folder in the way, whose store has something in its log only."""
        shutil.rmtree(self.to, ignore_errors=True)
        writer = sqlite3.connect(os.path.join(self.data, "tars.db"))
        writer.execute("PRAGMA wal_autocheckpoint=0")
        writer.execute("CREATE TABLE IF NOT EXISTS precious (a)")
        writer.execute("INSERT INTO precious VALUES (1)")
        writer.commit()
        shutil.copytree(self.data, self.to)
        writer.close()
        self.assertGreater(os.path.getsize(os.path.join(self.to, "tars.db-wal")), 0)

    def names(self):
        """Without what comes and goes as somebody looks into the store."""
        return sorted(set(os.listdir(self.to)) - {"tars.db-wal", "tars.db-shm", "lock"})

    def is_precious(self, folder):
        try:
            with sqlite3.connect(f"file:{folder}/tars.db?mode=ro", uri=True) as db:
                return db.execute("SELECT count(*) FROM precious").fetchone()[0] > 0
        except sqlite3.OperationalError:
            return False

    def with_renames(self, **counts):
        library = os.path.join(self.folder, "renames.so")
        if not os.path.exists(library):
            subprocess.run([os.environ.get("CC", "cc"), "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", library, RENAMES, "-ldl"],
                           check=True)
        return run("restore", self.dest, "--to", self.to, "--replace", "--json", data=self.data, code=None,
                   LD_PRELOAD=library, ASAN_OPTIONS="verify_asan_link_order=0", **counts)

    def test_a_replacement_that_fails_is_undone(self):
        self.back_up_little()
        self.precious()
        before = self.names()
        for count in range(1, 100):
            done = self.with_renames(RENAMES_FAIL_AT=str(count))
            if done.returncode == 0:
                break
            self.assertEqual(done.returncode, 3)
            self.assertIn("nothing is restored: cannot move", done.stderr)
            self.assertEqual(self.names(), before)
            self.assertTrue(self.is_precious(self.to))
        self.assertGreater(count, len(before))
        self.assertTrue(self.is_precious(json.loads(done.stdout)["replaced"]))
        self.assertFalse(self.is_precious(self.to))

    def test_a_replacement_that_is_killed_loses_nothing(self):
        documents = self.back_up_little()["rows"]["documents"]
        for count in range(1, 100):
            self.precious()
            done = self.with_renames(RENAMES_KILL_AT=str(count))
            if done.returncode == 0:
                break
            self.assertEqual(done.returncode, -9)
            for command in (["jobs"], ["backup", self.dest]) if count == 1 else ():
                self.assertIn("a restore was interrupted", run(*command, data=self.to, code=3).stderr)
            self.assertTrue(os.path.exists(os.path.join(self.to, ".restoring")))
            self.restore("--replace")
            self.assertEqual(self.documents(self.to), documents)
            kept = [f for f in pathlib.Path(self.to).glob("replaced-*") if self.is_precious(f)]
            self.assertEqual(len(kept), 1, f"killed at rename {count}")
        self.assertGreater(count, 8)

    def test_a_log_that_cannot_be_taken_in(self):
        self.backup()
        self.precious()
        before = self.names()
        reader = sqlite3.connect(os.path.join(self.to, "tars.db"))
        self.addCleanup(reader.close)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM precious").fetchone()
        done = self.restore("--replace", code=3)
        self.assertIn("in use by another process", done.stderr)
        self.assertEqual(self.names(), before)
        self.assertTrue(self.is_precious(self.to))

    def test_prune(self):
        ids = [json.loads(self.backup("--json").stdout)["backup"]["id"] for _ in range(3)]
        told = json.loads(self.backup("--prune", "keep=1", "--json").stdout)
        self.assertEqual((told["kept"], told["removed"]), (1, 2))
        self.assertEqual([b["id"] for b in json.loads(self.backup("--list", "--json").stdout)["backups"]], ids[2:])
        self.assertIn("all whole", self.backup("--verify").stdout)
        self.restore()

    def test_keep(self):
        """Also where something was left out."""
        self.backup("--keep", "2")
        with open(os.path.join(self.data, "analytics.db"), "wb") as file:
            file.write(b"x" * 8192)
        for ending in ("-wal", "-shm"):
            if os.path.exists(os.path.join(self.data, "analytics.db" + ending)):
                os.unlink(os.path.join(self.data, "analytics.db" + ending))
        for code in (1, 1):
            told = self.backup("--keep", "2", "--json", code=code).stdout.splitlines()
        self.assertEqual(len(told), 2)
        self.assertEqual((json.loads(told[1])["kept"], json.loads(told[1])["removed"]), (2, 1))

    def test_doctor_tells(self):
        def told():
            checks = json.loads(run("doctor", "--json", data=self.data, code=None).stdout)["checks"]
            return next(c["finding"] for c in checks if c["check"] == "backup")

        self.assertIn("none was made yet", told())
        self.backup()
        self.assertRegex(told(), f"0 h [0-4] min old, in {self.dest}")


class Beside(ServerTest):
    """A server has the folder."""
    with_samples = True

    def test_backup_and_restore(self):
        dest = self.data + "-backups"
        self.addCleanup(shutil.rmtree, dest)
        made = json.loads(run("backup", "--json", dest, data=self.data).stdout)["backup"]
        self.assertEqual(made["rows"]["documents"], self.ask("GET", "/rag/stats").json()["total_documents"])
        done = run("restore", dest, "--replace", data=self.data, code=3)
        self.assertIn("in use by process", done.stderr)
        self.assertEqual(self.ask("GET", "/ready").status, 200)


if __name__ == "__main__":
    unittest.main()
