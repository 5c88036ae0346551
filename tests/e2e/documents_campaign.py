#!/usr/bin/env python3
"""documents_campaign.py [--program BUILD/tars-extract] [--full] [--memory-mb 1024] [--list STATE]

Every file of $TARS_TEST_DATA/documents through tars-extract, as the server starts it: each ends
within 30 s in a stated result, no crash, memory under the limit; of the normal files of the formats
that are read at least 98 % give text; encrypted ones say so. Without --full a sample of about sixty.
"""
import argparse
import collections
import json
import os
import resource
import struct
import subprocess
import sys

# Normal files without a character of text in them, by two other readers (pypdf and pdfminer.six for
# PDF; the XML itself for DOCX): scans, drawings, blank documents. Saying so is right.
BLANK = {
    "pdf/docling--ocr_test_rotated_270.pdf",
    "pdf/markitdown--MEDRPT-2024-PAT-3847_medical_report_scan.pdf",
    "pdf/tika--testPDF_twoAuthors.pdf",
    "pdf/verapdf-corpus--veraPDF_test_suite_6-6-1-t02-pass-a.pdf",
    "pdf/verapdf-corpus--veraPDF_test_suite_6-6-2-3-1-t02-pass-x.pdf",
    "text/unstructured--empty.txt",
    "word/python-docx--doc-coreprops.docx",
    "word/python-docx--doc-default.docx",
    "word/python-docx--doc-no-coreprops.docx",
    "word/python-docx--tbl-on-off-props.docx",
    "word/tika--testWORD_charts.docx",
}
STATES = {0: "text", 5: "too big", 7: "damaged", 8: "unsupported", 9: "too slow",
          15: "password", 16: "no text", 6: "io"}
READ = {"txt", "md", "rst", "tex", "html", "csv", "tsv", "pdf", "docx"}
SECONDS = 30
FILE_FD = 3


def frames(data):
    """Type and payload of each frame; raises ValueError on anything that is no frame."""
    if data[:8] != b"TARSX01\n":
        raise ValueError("no magic")
    at = 8
    while at < len(data):
        if at + 5 > len(data):
            raise ValueError("cut frame")
        length, kind = struct.unpack_from("<IB", data, at)
        if at + 5 + length > len(data):
            raise ValueError("cut frame")
        yield chr(kind), data[at + 5: at + 5 + length]
        at += 5 + length


def string_at(payload, at):
    (length,) = struct.unpack_from("<I", payload, at)
    return payload[at + 4: at + 4 + length].decode("utf-8"), at + 4 + length


def used():
    """Seconds of a processor that children which have ended took: not what other work of the machine cost them."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run(program, path, memory):
    with open(path, "rb") as file:
        if file.fileno() != FILE_FD:
            os.dup2(file.fileno(), FILE_FD, inheritable=True)
        before = used()
        child = subprocess.Popen(
            [program, "--memory", str(memory), "--cpu", str(SECONDS), "--name", os.path.basename(path)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, pass_fds=(FILE_FD,))
        try:
            out, _ = child.communicate(timeout=4 * SECONDS)  # of the clock, where others use the processor
        except subprocess.TimeoutExpired:
            child.kill()
            out, _ = child.communicate()
            return {"state": "hang", "words": "", "seconds": 4 * SECONDS, "chars": 0}
    result = {"state": "crash", "words": f"exit {child.returncode}", "chars": 0,
              "seconds": used() - before}
    try:
        for kind, payload in frames(out):
            if kind == "B":
                result["chars"] += len(payload[6:].decode("utf-8"))
            elif kind == "E":
                (status,) = struct.unpack_from("<I", payload, 0)
                result["state"] = STATES.get(status, f"status {status}")
                result["words"] = string_at(payload, 12)[0]
    except (ValueError, UnicodeDecodeError, struct.error) as error:
        result["state"], result["words"] = "crash", f"bad stream: {error}"
    if result["state"] == "text" and result["chars"] == 0:
        result["state"] = "empty success"
    return result


def sample(files):
    seen, picked = collections.Counter(), []
    for file in files:
        key = (file["kind"], file["ext"])
        if seen[key] < 2:
            seen[key] += 1
            picked.append(file)
    return picked


def main():
    parser = argparse.ArgumentParser()
    beside = os.path.join(os.path.dirname(os.environ.get("TARS", "build/release/tars")), "tars-extract")
    parser.add_argument("--program", default=beside)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--memory-mb", type=int, default=1024)
    parser.add_argument("--list", default="", help="show the files that end in this state")
    options = parser.parse_args()
    data = os.environ.get("TARS_TEST_DATA")
    if not data:
        print("skipped: set TARS_TEST_DATA to the folder of the judged sets")
        return 0
    folder = os.path.join(data, "documents")
    with open(os.path.join(folder, "manifest.jsonl"), encoding="utf-8") as lines:
        files = [json.loads(line) for line in lines]
    files = files if options.full else sample(files)
    # Keep the child's number for the file taken, so that nothing else of ours gets it.
    os.dup2(os.open(os.devnull, os.O_RDONLY), FILE_FD, inheritable=True)
    counts, passed, failures = collections.Counter(), 0, []
    normal, with_text, slowest = 0, 0, 0.0
    missed = []
    for file in files:
        result = run(options.program, os.path.join(folder, file["file"]), options.memory_mb << 20)
        state = result["state"]
        counts[file["kind"], file["ext"], state] += 1
        slowest = max(slowest, result["seconds"])
        good = state in STATES.values() and (state == "text" or result["words"])
        if file["kind"] == "encrypted" and file["ext"] in READ:
            # Some are open to the empty password, some only ask not to be edited.
            good = good and state in ("password", "text", "no text")
        if file["kind"] == "normal" and file["file"] in BLANK:
            good = good and state == "no text"
        elif file["kind"] == "normal" and file["ext"] in READ:
            normal += 1
            with_text += state == "text"
            if state != "text":
                missed.append((file["file"], state, result["words"]))
        passed += bool(good)
        if not good:
            failures.append((file["file"], state, result["words"]))
        if options.list and state == options.list:
            print(f"{state}: {file['file']}: {result['words']} ({result['seconds']:.1f} s)")
    print(f"{'kind':10} {'extension':10} results")
    for kind, ext in sorted({key[:2] for key in counts}):
        cells = ", ".join(f"{n} {key[2]}" for key, n in sorted(counts.items()) if key[:2] == (kind, ext))
        print(f"{kind:10} {ext:10} {cells}")
    for name, state, words in missed:
        print(f"without text: {name}: {state}: {words}")
    for name, state, words in failures:
        print(f"FAILED {name}: {state}: {words}")
    share = with_text / normal if normal else 1.0
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    checks = [(f"normal files of the formats read, but for {len(BLANK)} blank ones, that give text: "
               f"{with_text} of {normal} ({share:.1%})",
               share >= 0.98),
              (f"largest resident set of a child: {peak:.0f} MiB", peak < options.memory_mb),
              (f"slowest file: {slowest:.1f} s", slowest < SECONDS)]
    for words, good in checks:
        print(f"{'ok' if good else 'FAILED'} {words}")
        passed += bool(good)
        failures += [] if good else [(words, "", "")]
    print(f"{passed} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
