"""tars eval: figures against the same sums made here from the rankings that tars search gives, answers, two settings."""
import gzip
import json
import math
import os
import shutil
import tempfile
import unittest

from server import run

CORPUS = {
    "tide": "Tide tables are made from years of measured water levels. The harbour office measures the level of the water "
            "every six minutes.",
    "moon": "The pull of the moon raises the sea twice a day. Spring tides come with the full moon.",
    "bread": "Bread rises because yeast makes gas. The dough rests for twelve hours in the cold.",
    "rail": "The railway to the coast was opened in 1889. It carried fish to the markets of the capital.",
    "bees": "A hive of bees keeps its brood at thirty-five degrees. Workers fan their wings to cool it.",
    "glass": "Glass is made of sand, soda and lime, melted at 1500 degrees.",
}
QUERIES = {
    "q1": ("How often does the harbour office measure the level of the water?", {"tide": 2, "moon": 1}, ["every six minutes"]),
    "q2": ("When was the railway to the coast opened?", {"rail": 1}, ["1889"]),
    "q3": ("Why does bread rise?", {"bread": 1, "glass": 0}, ["yeast makes gas"]),
}
NONE = {"n1": "Who won the chess championship of Iceland?", "n2": "What is the boiling point of tungsten?"}


def lines(path, rows, pack=False):
    with (gzip.open if pack else open)(path, "wt", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row) + "\n")


def measures(ranked, grades):
    """What the figures should be, from their definitions."""
    gains = [grades.get(document, 0) for document in ranked]
    ideal = sorted((grade for grade in grades.values() if grade > 0), reverse=True)
    dcg = [sum(g / math.log2(i + 2) for i, g in enumerate(list_[:10])) for list_ in (gains, ideal)]
    hits = [i for i, g in enumerate(gains) if g > 0]
    return {"nDCG@10": dcg[0] / dcg[1], "MRR@10": 1 / (hits[0] + 1) if hits and hits[0] < 10 else 0,
            "recall@10": sum(i < 10 for i in hits) / len(ideal), "recall@100": len(hits) / len(ideal),
            "MAP": sum((n + 1) / (i + 1) for n, i in enumerate(hits)) / len(ideal)}


class Eval(unittest.TestCase):
    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="tars-eval-")
        self.addCleanup(shutil.rmtree, self.data)
        self.folder = os.path.join(self.data, "judged")
        os.makedirs(os.path.join(self.folder, "qrels"))
        lines(os.path.join(self.folder, "corpus.jsonl.gz"),
              [{"_id": i, "title": i, "text": text} for i, text in CORPUS.items()], pack=True)
        lines(os.path.join(self.folder, "queries.jsonl"), [{"_id": i, "text": q[0]} for i, q in QUERIES.items()]
              + [{"_id": "unjudged", "text": "of another split"}])
        with open(os.path.join(self.folder, "qrels", "test.tsv"), "w", encoding="utf-8") as file:
            file.write("query-id\tcorpus-id\tscore\n")
            file.writelines(f"{i}\t{document}\t{grade}\n" for i, q in QUERIES.items() for document, grade in q[1].items())
        lines(os.path.join(self.folder, "qa.jsonl"),
              [{"id": i, "question": q[0], "answers": q[2], "context_id": max(q[1], key=q[1].get)}
               for i, q in QUERIES.items()])
        self.other = os.path.join(self.data, "other")
        os.makedirs(self.other)
        lines(os.path.join(self.other, "queries.jsonl"), [{"_id": i, "text": text} for i, text in NONE.items()])
        cache = os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))
        self.settings = {"XDG_CACHE_HOME": os.path.join(self.data, "cache"),
                         "TARS_MODELS": os.environ.get("TARS_MODELS", os.path.join(cache, "tars", "models"))}

    def eval(self, *arguments, code=0):
        return run("eval", self.folder, *arguments, data=self.data, code=code, **self.settings)

    def test_figures_are_those_of_the_rankings(self):
        file = os.path.join(self.data, "lines.jsonl")
        seen = json.loads(self.eval("--json", "--lines", file).stdout)
        self.assertEqual((seen["questions"], seen["ranked"], seen["passages_taken_in"]), (3, 3, 6.0))
        wanted = {}
        for i, (text, grades, _) in QUERIES.items():
            found = run("search", "--data", seen["data"], "--json", "--distinct", "--top-k", "100", text, data=self.data,
                        **self.settings).stdout
            ranked = [hit["metadata"]["external_id"] for hit in json.loads(found)["results"]]
            wanted[i] = measures(ranked, grades)
        with open(file, encoding="utf-8") as opened:
            told = {line["id"]: line for line in map(json.loads, opened)}
        self.assertEqual(set(told), set(QUERIES))
        for i, figures in wanted.items():
            for name, value in figures.items():
                self.assertAlmostEqual(told[i][name], value, 12, f"{i} {name}")
        for name in wanted["q1"]:
            self.assertAlmostEqual(seen["measures"][name], sum(w[name] for w in wanted.values()) / 3, 12)
        again = json.loads(self.eval("--json").stdout)
        self.assertEqual(again["passages_taken_in"], 0.0)  # kept from before
        self.assertEqual(again["measures"], seen["measures"])

    def test_answers_and_none(self):
        out = os.path.join(self.data, "out.json")
        text = self.eval("--unanswered", self.other, "--output", out).stdout
        with open(out, encoding="utf-8") as file:
            answers = json.load(file)["answers"]
        self.assertEqual((answers["answerable"], answers["unanswerable"]), (3, 2))
        for name in ("answered", "right", "no_answer_recall", "no_answer_precision", "citation_precision", "support"):
            self.assertTrue(answers[name] is None or 0 <= answers[name] <= 1, name)
            self.assertIn(name.replace("_", " ").replace("no answer", "no-answer"), text)
        self.assertEqual(answers["no_answer_recall"], 1.0)  # nothing here is near those questions
        self.assertGreater(answers["right"], 0.5)           # quoted from the passages
        self.assertEqual(answers["support"], 1.0)           # a quotation is supported
        searched = json.loads(self.eval("--json", "--no-answers").stdout)
        self.assertEqual(searched["answers"]["answerable"], 0)
        self.assertIsNone(searched["answers"]["answered"])

    def test_two_settings(self):
        seen = json.loads(self.eval("--json", "--no-answers", "--against", "HYBRID_ALPHA=0.5").stdout)
        self.assertEqual(seen["against"]["settings"], {"HYBRID_ALPHA": "0.5"})
        for line in seen["against"]["comparison"]:  # the default again: no difference at all
            self.assertEqual((line["difference"], line["better"], line["p_randomisation"], line["p_t"]), (0, 0, 1, 1))
        other = json.loads(self.eval("--json", "--no-answers", "--mode", "words", "--against",
                                     "HYBRID_FUSION=rrf,HYBRID_ALPHA=1").stdout)
        self.assertEqual(other["against"]["settings"], {"HYBRID_FUSION": "rrf", "HYBRID_ALPHA": "1"})
        self.assertIn("p random", self.eval("--no-answers", "--against", "HYBRID_ALPHA=0").stdout)

    def test_wrong_use(self):
        for arguments in (["--mode", "magic"], ["--limit", "0"], ["more"], ["--against", "HYBRID_ALPHA"],
                          ["--against", "HYBRID_ALPHA=much"]):
            with self.subTest(arguments=arguments):
                self.eval(*arguments, code=2)
        run("eval", data=self.data, code=2)
        wrong = run("eval", self.data, data=self.data, code=1, **self.settings)
        self.assertIn("has neither queries.jsonl nor qa.jsonl", wrong.stderr)


if __name__ == "__main__":
    unittest.main()
