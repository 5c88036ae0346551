"""The examples of docs/api.md and of the clients' own pages, each run against a running server; JSON is read."""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "http"))

import playwright  # noqa: E402
from server import SAMPLES, ServerTest  # noqa: E402

NODE = os.environ.get("NODE", os.path.join(os.path.dirname(playwright.__file__), "driver", "node"))
PAGES = ["docs/api.md", "clients/js/README.md", "clients/python/README.md"]
RUNNERS = {"sh": ["bash", "-euo", "pipefail"], "js": [NODE], "python": [sys.executable, "-B"]}


def examples(page):
    with open(os.path.join(ROOT, page), encoding="utf-8") as file:
        return re.findall(r"^```(\w+)\n(.*?)^```$", file.read(), re.M | re.S)


class Examples(ServerTest):
    settings = {"TARS_AUTH": "open"}
    with_samples = True

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.folder = tempfile.mkdtemp(prefix="tars-docs-")
        shutil.copy(os.path.join(ROOT, "clients", "js", "tars.js"), cls.folder)
        shutil.copy(os.path.join(SAMPLES, "building", "energy-report-2024.pdf"), os.path.join(cls.folder, "handbook.pdf"))

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)
        super().tearDownClass()

    def check(self, page, kind, text):
        name = os.path.join(self.folder, "example." + {"js": "mjs"}.get(kind, kind))
        with open(name, "w", encoding="utf-8") as file:
            file.write(text.replace("http://127.0.0.1:8000", self.url))
        done = subprocess.run([*RUNNERS[kind], name], cwd=self.folder, timeout=120, text=True, check=False,
                              env={**os.environ, "PYTHONPATH": os.path.join(ROOT, "clients", "python")},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(done.returncode, 0, f"{page}:\n{text}\n{done.stdout}")
        self.assertTrue(done.stdout.strip(), f"{page} says nothing:\n{text}")


def add(page, number, kind, text):
    name = re.sub(r"\W+", "_", page)
    if kind == "json":
        setattr(Examples, f"test_{name}_{number}_{kind}", lambda self: self.assertTrue(json.loads(text), text))
    else:
        setattr(Examples, f"test_{name}_{number}_{kind}", lambda self: self.check(page, kind, text))


for page_ in PAGES:
    for number_, (kind_, text_) in enumerate(examples(page_), 1):
        add(page_, number_, kind_, text_)

if __name__ == "__main__":
    unittest.main()
