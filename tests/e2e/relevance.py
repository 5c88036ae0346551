#!/usr/bin/env python3
"""The constants of relevance.c are those that tools/fit_relevance fits, and hold what docs/quality.md promises.

Searches are not run again: what they said of the judged questions is in tests/golden/relevance.tsv.gz, a line a
question (questions, documents, half, and for each passage whether it is relevant, cosine, coverage), made by
`tools/fit_relevance --save`. Last line: "N passed, N failed".
"""
import os
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def main():
    rows = os.path.join(ROOT, "tests", "golden", "relevance.tsv.gz")
    return subprocess.run([sys.executable, "-B", os.path.join(ROOT, "tools", "fit_relevance"), "--rows", rows, "--check",
                           "--exact"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
