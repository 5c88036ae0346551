"""tars bench: every stage is there and sound, with documents and without, and nothing is left behind. And what
bench/report makes of what bench/run measured."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as xml

from server import ROOT, SAMPLES, ServerTest, run

sys.path.insert(0, ROOT)
from bench.context import Context, Failed  # noqa: E402

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


class Rows(unittest.TestCase):
    def test_ratio_above_one_is_better(self):
        context = Context()
        for ours, peer, better, ratio in ((2, 4, "less", 2), (4, 2, "less", 0.5), (4, 2, "more", 2), (2, 4, "more", 0.5),
                                          ([9, 2, 1], [4, 4, 8], "less", 2), (2, None, "less", None)):
            row = context.row("a", "ms", ours, peer, "b", better=better, budget=3)
            self.assertEqual(row["ratio"], ratio)
            self.assertEqual(row["met"], row["ours"] >= 3 if better == "more" else row["ours"] <= 3)
        self.assertEqual(context.row("a", "ms", [9, 2, 1])["spread"], 4)

    def test_turns(self):
        order = []
        seen = Context().turns({"ours": lambda: order.append("o") or 1, "peer": lambda: order.append("p") or 2}, 3)
        self.assertEqual(("".join(order), seen), ("oppoop", {"ours": [1, 1, 1], "peer": [2, 2, 2]}))

    def test_commands(self):
        context = Context()
        self.assertEqual(context.json([sys.executable, "-c", "print('x'); print('{\"a\": 1}')"]), {"a": 1})
        with self.assertRaisesRegex(Failed, "status 3: .*why"):
            context.command([sys.executable, "-c", "import sys; sys.stderr.write('why'); sys.exit(3)"])


class Report(unittest.TestCase):
    def test_page(self):
        folder = tempfile.mkdtemp(prefix="tars-report-")
        self.addCleanup(shutil.rmtree, folder)
        context, file = Context(), os.path.join(folder, "run.json")
        plot = {"title": "a < b", "x": "x", "y": "y", "log_x": True,
                "series": {"<ours> & theirs": [[1, 2], [10, 4], [0, 3]], "none": []}}
        rows = [context.row("encoder-128", "tokens/s", 15000, 7500, "ONNX", better="more", budget=14500),
                context.row("hnsw-95", "queries/s", [3, 4, 5], 8, "hnswlib", better="more", more={"plot": plot}),
                context.row("search-10k", "ms", 2, 6, "pipeline"), context.row("search-100k", "ms", 3, 9, "pipeline"),
                {"name": "ingest", "error": "no such peer"}]
        about = {"date": "2026-01-01 00:00 UTC", "processor": {"name": "P", "cores": 2, "can": ["avx2"]}, "memory_gb": 1,
                 "versions": {"tars": "1", "kernel": "6", "python": "3", "hnswlib": "0.8"}, "quick": False,
                 "load_at_start": [0.1], "load_at_end": [0.2], "seconds": 9}
        for path, value in ((file, rows), (file + ".about.json", about)):
            with open(path, "w", encoding="utf-8") as opened:
                json.dump(value, opened)
        out = os.path.join(folder, "docs", "benchmarks.md")
        subprocess.run([sys.executable, "-B", os.path.join(ROOT, "bench", "report"), file, "--out", out], check=True)
        with open(out, encoding="utf-8") as opened:
            page = opened.read()
        self.assertIn("| `encoder-128` | tokens/s | 15,000 | 7,500 | 2.00 |", page)
        self.assertIn("`encoder-128`: 15,000 tokens/s, met", page)
        self.assertIn("`ingest` failed: no such peer", page)
        self.assertIn("| `hnsw-95` | queries/s | 4 | 8 | 0.50 | 50 % | hnswlib |", page)
        for name in ("bench-ratios", "bench-hnsw-95", "bench-sizes"):
            self.assertIn(f"(images/{name}.svg)", page)
            xml.parse(os.path.join(folder, "docs", "images", name + ".svg"))


class Served(ServerTest):
    def test_folder_in_use(self):
        wrong = run("bench", "--seconds", "1", data=self.data, code=3)
        self.assertIn("a server has this data folder", wrong.stderr)


if __name__ == "__main__":
    unittest.main()
