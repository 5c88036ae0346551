#!/usr/bin/env python3
"""Autobahn's WebSocket cases, run by kosoku against http_ws_echo: all must pass but compression.

    TARS=build/release/tars tests/e2e/websocket_cases.py [--full] [--keep FOLDER]

The server is http_ws_echo beside $TARS, or $WS_ECHO; its limit is 16 MiB a message. kosoku is that of
tests/support/requirements.txt. Cases 12.* and 13.* offer compression (permessage-deflate), which is not
implemented: there the tool must find the offer declined and the connection usable, so each must end as
UNIMPLEMENTED with a clean close. The default run takes one of ten of them, --full all.

A case that is neither OK nor expected counts as failed. NON-STRICT and INFORMATIONAL, Autobahn's words
for behaviour that the RFC leaves open, are listed and counted as passed.

Last line: "N passed, N failed".
"""
import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPRESSION = ("12.", "13.")
SOME_COMPRESSION = ["12.1.1", "12.2.1", "12.3.1", "12.4.1", "12.5.1", "13.1.1", "13.2.1", "13.3.1", "13.4.1",
                    "13.5.1", "13.6.1", "13.7.1"]
FINE = {"OK", "NON-STRICT", "INFORMATIONAL"}
CASES_MIN = 300  # of those without compression; fewer means that the tool did not run them
PATIENCE_S = 900


def program():
    beside = pathlib.Path(os.environ.get("TARS", "build/release/tars")).parent / "http_ws_echo"
    return os.environ.get("WS_ECHO", str(beside))


def tool():
    found = pathlib.Path(sys.executable).parent / "kosoku"
    if found.exists():
        return str(found)
    python = subprocess.run([ROOT / "tests/support/venv"], check=True, capture_output=True, text=True).stdout
    return str(pathlib.Path(python.strip()).parent / "kosoku")


def run(port, out, selection):
    """{case: report} of the cases that selection takes."""
    command = [tool(), f"127.0.0.1:{port}", "-o", str(out), *selection]
    run = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    index = out / "index.json"
    if not index.exists():
        raise RuntimeError(f"kosoku wrote no report: {run.stderr[-2000:]}")
    (reports,) = json.loads(index.read_text()).values()
    return reports


def explain(out, report):
    """What a case expected and what came, by the bytes on the wire."""
    detail = json.loads((out / report["reportfile"]).read_text())
    keys = ("description", "expectation", "result", "resultClose", "wirelog")
    return "\n".join(f"        {key}: {str(detail[key])[:2000]}" for key in keys if key in detail)


def judge(reports, out, is_right):
    bad = {case: report for case, report in reports.items() if not is_right(report)}
    for case, report in sorted(bad.items()):
        print(f"FAILED  {case}: {report['behavior']}, close {report['behaviorClose']}")
        print(explain(out, report))
    kinds = collections.Counter(report["behavior"] for report in reports.values())
    print("       ", ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()))
    for case, report in sorted(reports.items()):
        if report["behavior"] in ("NON-STRICT", "INFORMATIONAL"):
            print(f"        {case}: {report['behavior']}")
    return len(bad)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--keep", help="leave the tool's reports in this folder")
    args = parser.parse_args()
    compressed = ["-i", "12.*", "-i", "13.*"] if args.full else [x for c in SOME_COMPRESSION for x in ("-i", c)]

    with tempfile.TemporaryDirectory(prefix="tars-websocket-") as temporary:
        folder = pathlib.Path(args.keep or temporary)
        server = subprocess.Popen([program()], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        port = int(server.stdout.readline())
        plain = run(port, folder / "plain", ["-x", "12.*", "-x", "13.*", "-p", "2"])
        failed = judge(plain, folder / "plain", lambda r: r["behavior"] in FINE and r["behaviorClose"] in FINE)
        total = len(plain)
        if any(case.startswith(COMPRESSION) for case in plain) or total < CASES_MIN:
            print(f"FAILED  {total} cases were run, at least {CASES_MIN} expected")
            failed += 1
            total += 1
        declined = run(port, folder / "compressed", compressed + ["-p", "2"])
        failed += judge(declined, folder / "compressed",
                        lambda r: r["behavior"] == "UNIMPLEMENTED" and r["behaviorClose"] == "OK")
        total += len(declined)
        server.stdin.close()
        total += 1
        if server.wait(60) != 0:
            print(f"FAILED  the server ended with {server.returncode}")
            failed += 1
    print(f"{total - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
