"""tars bench: every stage is there and sound, with documents and without, and nothing is left behind."""
import json
import os
import shutil
import tempfile
import unittest
import xml.etree.ElementTree as xml

from server import SAMPLES, ServerTest, run

STAGES = {"tokenizer", "passages, 4 x 128", "question, 16 tokens", "ingestion", "vectors", "words", "fusion", "fetch",
          "search", "kept"}


class Bench(unittest.TestCase):
    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="tars-benched-")
        self.addCleanup(shutil.rmtree, self.data)
        self.tmp = os.path.join(self.data, "tmp")
        os.mkdir(self.tmp)

    def bench(self, *arguments, **more):
        return run("bench", "--seconds", "1", *arguments, data=self.data, TMPDIR=self.tmp, **more)

    def check(self, result):
        self.assertEqual({stage["name"] for stage in result["stages"]}, STAGES)
        for stage in result["stages"]:
            self.assertGreaterEqual(stage["p95_ms"], stage["p50_ms"], stage)
            self.assertGreaterEqual(stage["p50_ms"], 0, stage)
            self.assertTrue(stage["name"] == "fusion" or stage["per_second"] > 0, stage)
        self.assertEqual(os.listdir(self.tmp), [])

    def test_made_up(self):
        result = json.loads(self.bench("--json").stdout)
        self.assertEqual((result["passages"], result["made_up"]), (0, True))
        self.check(result)
        self.assertIn("text is made up", self.bench().stdout)

    def test_documents(self):
        run("ingest", SAMPLES, data=self.data)
        out, svg = os.path.join(self.data, "out.json"), os.path.join(self.data, "out.svg")
        text = self.bench("--output", out, "--svg", svg).stdout
        with open(out, encoding="utf-8") as file:
            result = json.load(file)
        self.assertFalse(result["made_up"])
        self.assertGreater(result["passages"], 8)
        self.check(result)
        drawing = xml.parse(svg).getroot()
        self.assertEqual(drawing.tag, "{http://www.w3.org/2000/svg}svg")
        names = [node.text for node in drawing.iter("{http://www.w3.org/2000/svg}text")]
        self.assertIn("search", names)
        for name in STAGES:
            self.assertIn(name, text)
        status = json.loads(run("status", "--json", data=self.data).stdout)
        self.assertEqual(json.loads(self.bench("--json").stdout)["passages"], result["passages"], status)

    def test_wrong_use(self):
        run("bench", "--seconds", "0", data=self.data, code=2)


class Served(ServerTest):
    def test_folder_in_use(self):
        wrong = run("bench", "--seconds", "1", data=self.data, code=3)
        self.assertIn("a server has this data folder", wrong.stderr)


if __name__ == "__main__":
    unittest.main()
