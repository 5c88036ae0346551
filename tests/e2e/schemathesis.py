"""Every operation of /openapi.json under schemathesis, all its checks: no failure, no 500.

Three servers are asked, each with a data folder of its own and the samples in it: mode open without and with a
token, and mode secret without one. The document that goes to schemathesis is the served one, made strict: a
reply may not hold a field that is not described. Left out is the handshake of the WebSocket, /ws/chat: a plain
request is no valid one there, and tests/http/test_chat.py speaks to it.

  tests/e2e/schemathesis.py [--full] [--keep DIR]     --full: many more examples; --keep: reports stay there
"""
import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARS = os.environ.get("TARS", os.path.join(ROOT, "build", "release", "tars"))
SAMPLES = os.path.join(ROOT, "samples")

# name, settings, with a token, examples an operation (and with --full), phases
RUNS = [
    ("open", {"TARS_AUTH": "open"}, False, (5, 100)),
    ("open with a token", {"TARS_AUTH": "open"}, True, (10, 300)),
    ("secret", {"TARS_AUTH": "secret"}, False, (3, 30)),
]


class Server:
    def __init__(self, settings):
        self.data = tempfile.mkdtemp(prefix="tars-schemathesis-")
        os.makedirs(os.path.join(self.data, "root"))
        shutil.copytree(SAMPLES, os.path.join(self.data, "root", "samples"))
        self.environment = {k: os.environ[k] for k in ("PATH", "HOME", "XDG_CACHE_HOME", "TARS_EXTRACT", "LANG",
                                                       "ASAN_OPTIONS", "LLVM_PROFILE_FILE") if k in os.environ}
        self.environment.update(TARS_DATA=self.data, TARS_ROOTS=os.path.join(self.data, "root"),
                                LLM_BACKEND="extract", LOG_LEVEL="ERROR", RATE_LIMIT_PER_MINUTE="0", **settings)
        subprocess.run([TARS, "ingest", SAMPLES], env=self.environment, cwd=self.data, check=True, timeout=300,
                       stdout=subprocess.DEVNULL)
        self.process = subprocess.Popen([TARS, "serve", "--port", "0", "--json"], cwd=self.data,
                                        env=self.environment, stdout=subprocess.PIPE, text=True)
        self.url = json.loads(self.process.stdout.readline())["url"]

    def get(self, path):
        with urllib.request.urlopen(self.url + path, timeout=30) as reply:
            return json.load(reply)

    def token(self):
        request = urllib.request.Request(self.url + "/auth/token", data=b'{"client_id":"tester"}',
                                         headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)["access_token"]

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=60)
        self.process.stdout.close()
        shutil.rmtree(self.data)
        return code


def names_below(value, document, seen):
    """Schemas that value names, and what they name."""
    if isinstance(value, list):
        for item in value:
            names_below(item, document, seen)
    elif isinstance(value, dict):
        reference = value.get("$ref", "")
        name = reference.rsplit("/", 1)[-1]
        if reference.startswith("#/components/schemas/") and name not in seen:
            seen.add(name)
            names_below(document["components"]["schemas"][name], document, seen)
        for item in value.values():
            names_below(item, document, seen)


def close_objects(value):
    if isinstance(value, list):
        for item in value:
            close_objects(item)
    elif isinstance(value, dict):
        if "properties" in value and "additionalProperties" not in value:
            value["additionalProperties"] = False
        for item in value.values():
            close_objects(item)


def strict(document):
    """Replies hold what is described and nothing else. Bodies of requests stay as they are."""
    asked = set()
    for item in document["paths"].values():
        for operation in item.values():
            names_below(operation.get("requestBody", {}), document, asked)
    for name, schema in document["components"]["schemas"].items():
        if name not in asked:
            close_objects(schema)
    return document


def run(name, settings, with_token, examples, keep):
    server = Server(settings)
    folder = os.path.join(keep or server.data, re.sub(r"\W+", "-", name))
    os.makedirs(folder, exist_ok=True)
    try:
        path = os.path.join(folder, "openapi.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(strict(server.get("/openapi.json")), file)
        # U+0000 is refused everywhere, as the document says in its description.
        command = [sys.executable, "-m", "schemathesis.cli", "run", path, "--url", server.url, "--checks", "all",
                   "--exclude-path", "/ws/chat",
                   "--max-examples", str(examples), "--generation-allow-x00", "false", "--seed", "1",
                   "--continue-on-failure", "--no-color", "--request-timeout", "60", "--warnings", "off",
                   "--report", "junit", "--report-dir", folder]
        if with_token:
            command += ["--header", f"Authorization: Bearer {server.token()}"]
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=7200, check=False)
        with open(os.path.join(folder, "log"), "w", encoding="utf-8") as file:
            file.write(done.stdout)
    finally:
        code = server.stop()
    return done, code


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--keep")
    parser.add_argument("--only", help="one run, by its name")
    options = parser.parse_args()
    passed = failed = 0
    for name, settings, with_token, examples in RUNS:
        if options.only not in (None, name):
            continue
        done, code = run(name, settings, with_token, examples[options.full], options.keep)
        tested = int((re.search(r"Tested: (\d+)", done.stdout) or [0, 0])[1])
        cases = int((re.search(r"(\d+) generated", done.stdout) or [0, 0])[1])
        failures = sum(int(n) for n in re.findall(r"^  ❌ ST.*: (\d+)$", done.stdout, re.M))
        good = done.returncode == 0 and tested > 0 and code == 0
        if not good:
            failures = max(failures, 1)
            print(done.stdout[-20000:])
        print(f"{name}: {tested} operations, {cases} cases, {failures} failures; the server ended with {code}")
        passed += tested - min(tested, failures)
        failed += failures
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
