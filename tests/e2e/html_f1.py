#!/usr/bin/env python3
"""html_f1.py [--program BUILD/tars-extract] [--floor 0.90] [--worst N]

Word F1 of the text that is extracted from web pages against the expected article bodies of
$TARS_TEST_DATA/documents/html-expected.jsonl. Words are compared as multisets."""
import argparse
import collections
import html.parser
import json
import os
import re
import subprocess
import sys

BLOCKS = {"p", "div", "li", "td", "th", "br", "h1", "h2", "h3", "h4", "h5", "section", "tr", "pre"}
WORD = re.compile(r"\w+")
BLOCK = re.compile(r"^\[(paragraph|heading|list|table|code)(?:, page \d+)?\] (?:#+ )?", re.M)


def extracted(program, path):
    done = subprocess.run([program, "--text", path], capture_output=True, timeout=60)
    out = done.stdout.decode("utf-8")
    out = "\n".join(l for l in out.split("\n") if not l.startswith(("[document, ", "[end] ")))
    return BLOCK.sub("", out)


class Text(html.parser.HTMLParser):
    """Some of the expected bodies are HTML: their text is what counts."""

    def __init__(self):
        super().__init__()
        self.parts = []

    def handle_data(self, data):
        self.parts.append(data)

    def handle_starttag(self, tag, attrs):
        self.parts.append(" " if tag in BLOCKS else "")


def plain(text):
    if not text.lstrip().startswith("<div"):
        return text
    parser = Text()
    parser.feed(text)
    return "".join(parser.parts)


def f1(found, expected):
    a = collections.Counter(w.lower() for w in WORD.findall(found))
    b = collections.Counter(w.lower() for w in WORD.findall(expected))
    common = sum((a & b).values())
    if not common:
        return 0.0, 0.0, 0.0
    precision, recall = common / sum(a.values()), common / sum(b.values())
    return 2 * precision * recall / (precision + recall), precision, recall


def main():
    parser = argparse.ArgumentParser()
    beside = os.path.join(os.path.dirname(os.environ.get("TARS", "build/release/tars")), "tars-extract")
    parser.add_argument("--program", default=beside)
    parser.add_argument("--full", action="store_true", help="the same: it is short")
    parser.add_argument("--floor", type=float, default=0.90)
    parser.add_argument("--worst", type=int, default=0)
    options = parser.parse_args()
    data = os.environ.get("TARS_TEST_DATA")
    if not data:
        print("skipped: set TARS_TEST_DATA to the folder of the judged sets")
        return 0
    rows = []
    with open(os.path.join(data, "documents", "html-expected.jsonl"), encoding="utf-8") as lines:
        for line in lines:
            page = json.loads(line)
            text = extracted(options.program, os.path.join(data, "documents", page["file"]))
            rows.append((*f1(text, plain(page["text"])), page["file"]))
    rows.sort()
    for score, precision, recall, name in rows[: options.worst]:
        print(f"{score:.3f}  precision {precision:.3f}  recall {recall:.3f}  {name[-60:]}")
    mean = sum(row[0] for row in rows) / len(rows)
    good = mean >= options.floor
    print(f"mean word F1 of {len(rows)} pages: {mean:.3f} (floor {options.floor})")
    print(f"{int(good)} passed, {int(not good)} failed")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
