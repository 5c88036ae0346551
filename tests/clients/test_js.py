"""The tests of clients/js, in Node, against a running server; the last line counts them.

The Node is that of playwright's driver, unless NODE names another one.
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "http"))

import playwright  # noqa: E402
from server import SAMPLES, ServerTest, run  # noqa: E402

NODE = os.environ.get("NODE", os.path.join(os.path.dirname(playwright.__file__), "driver", "node"))


class Server(ServerTest):
    """Started and stopped by hand: the tests are not in Python."""

    settings = {"TARS_AUTH": "open"}


def main():
    Server.setUpClass()
    try:
        run("ingest", SAMPLES, data=Server.data)
        done = subprocess.run([NODE, "--test", "--test-reporter=tap", "--test-force-exit", os.path.join(ROOT, "clients", "js", "test", "tars.test.mjs")],
                              env={**os.environ, "TARS_URL": Server.url, "TARS_SAMPLES": SAMPLES}, timeout=120,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    finally:
        Server.tearDownClass()
    passed = int((re.search(r"^# pass (\d+)", done.stdout, re.M) or [0, 0])[1])
    failed = int((re.search(r"^# fail (\d+)", done.stdout, re.M) or [0, 1])[1])
    if failed or done.returncode or not passed:
        failed = max(failed, 1)
        print(done.stdout)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
