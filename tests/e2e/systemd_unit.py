#!/usr/bin/env python3
"""The unit of systemd: it is well formed, its exposure is low, every name in its files is a setting, and the program
runs under its filter of system calls, reads a document in tars-extract's own filter, answers, is told when to reload
and stops. Prints unittest's lines.

    systemd_unit.py

No service manager runs where tests run: what it would set is set here (filter, families, no new privileges, user,
limits, NOTIFY_SOCKET); what it would mount is tested by tests/e2e/container.py.
"""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARS = os.environ.get("TARS", os.path.join(ROOT, "build", "release", "tars"))
UNIT = os.path.join(ROOT, "deploy", "systemd", "tars.service")
CONF = os.path.join(ROOT, "deploy", "systemd", "tars.conf")
MAX_EXPOSURE = 2.0
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
import seccomp  # noqa: E402


def unit_lines():
    with open(UNIT, encoding="utf-8") as file:
        return [line.strip() for line in file if "=" in line and not line.startswith("#")]


def known_settings():
    done = subprocess.run([TARS, "config", "--all", "--json"], check=True, stdout=subprocess.PIPE, text=True)
    return set(json.loads(done.stdout))


class Unit(unittest.TestCase):
    def test_is_well_formed(self):
        folder = tempfile.mkdtemp(prefix="tars-unit-")
        self.addCleanup(shutil.rmtree, folder)
        path = os.path.join(folder, "tars.service")
        with open(UNIT, encoding="utf-8") as file, open(path, "w", encoding="utf-8") as copy:
            copy.write(file.read().replace("/usr/bin/tars serve", f"{TARS} serve"))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", path], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60)
        self.assertEqual([line for line in done.stdout.splitlines() if "tars.service" in line], [])

    def test_exposure_is_low(self):
        done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", UNIT],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
        found = re.search(r"Overall exposure level for tars.service: ([0-9.]+)", done.stdout)
        self.assertTrue(found, done.stderr)
        self.assertLessEqual(float(found.group(1)), MAX_EXPOSURE)

    def test_names_are_settings(self):
        known = known_settings()
        with open(CONF, encoding="utf-8") as file:
            names = re.findall(r"^#?([A-Z][A-Z0-9_]+)=", file.read(), re.MULTILINE)
        for line in unit_lines():
            if line.startswith("Environment="):
                names += re.findall(r"([A-Z][A-Z0-9_]+)=", line.partition("=")[2])
        self.assertGreater(len(names), 10)
        self.assertEqual(sorted(set(names) - known), [])

    def test_stop_has_time_to_drain(self):
        stop = next(line for line in unit_lines() if line.startswith("TimeoutStopSec="))
        self.assertGreater(int(stop.partition("=")[2]), 10 + 2)


    def test_start_has_time_to_build_the_index(self):
        """However many passages there are: one that is killed in it would begin it again, and again."""
        self.assertIn("TimeoutStartSec=infinity", unit_lines())


class UnderTheFilter(unittest.TestCase):
    """The server as User=tars with the unit's filter."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tars-unit-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.data = os.path.join(self.folder, "data")
        os.mkdir(self.data)
        self.model = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "tars", "models")
        self.notes = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.notes.close)
        self.notes.bind(os.path.join(self.folder, "notify"))
        self.notes.settimeout(60)

    def start(self, settings=(), **more):
        allowed, families = seccomp.of_unit(UNIT)
        env = {"PATH": "/usr/bin:/bin", "TARS_DATA": self.data, "TARS_MODELS": self.model, "LLM_BACKEND": "extract",
               "BACKEND_PORT": "0", "NOTIFY_SOCKET": os.path.join(self.folder, "notify"), **dict(settings)}
        self.process = subprocess.Popen(
            seccomp.confined([TARS, "serve", "--json"], allowed, families, **more), env=env, cwd=self.data,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(self.end)

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def heard(self):
        return self.notes.recv(4096).decode()

    def command(self, *arguments):
        done = subprocess.run([TARS, *arguments, "--json", "--data", self.data], stdout=subprocess.PIPE, text=True,
                              timeout=60, env={"PATH": "/usr/bin:/bin", "TARS_MODELS": self.model})
        self.assertEqual(done.returncode, 0, done.stdout)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_serves_reads_answers_reloads_and_stops(self):
        self.start()
        self.assertIn("READY=1", self.heard())
        url = json.loads(self.process.stdout.readline())["url"]
        with urllib.request.urlopen(f"{url}/ready", timeout=10) as reply:
            self.assertIn(json.load(reply)["status"], ("ready", "degraded"))
        summary = self.command("ingest", os.path.join(ROOT, "samples"))[-1]["summary"]
        self.assertEqual(summary["failed"], 0)
        self.assertGreater(summary["indexed"], 0)
        answer = self.command("ask", "How many days of annual leave do employees get?")[0]
        self.assertGreater(len(answer["sources"]), 0)
        self.process.send_signal(signal.SIGHUP)
        self.assertIn("RELOADING=1", self.heard())
        self.assertIn("READY=1", self.heard())
        self.process.send_signal(signal.SIGTERM)
        self.assertIn("STOPPING=1", self.heard())
        self.assertEqual(self.process.wait(timeout=30), 0)

    def test_code_is_made_at_run_time(self):
        """Why the unit cannot say MemoryDenyWriteExecute: the encoder's products of matrices are compiled at run time,
        for some processors and precisions, and a search would go by words alone."""
        question = ["search", "annual leave", "--data", self.data, "--set", "EMBED_PRECISION=fp32"]
        self.command("ingest", os.path.join(ROOT, "samples", "handbook"))
        allowed, families = seccomp.of_unit(UNIT)
        for deny_code in (False, True):
            with self.subTest(deny_code=deny_code):
                done = subprocess.run(seccomp.confined([TARS, *question], allowed, families, deny_code),
                                      env={"PATH": "/usr/bin:/bin", "TARS_MODELS": self.model}, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, text=True, timeout=60)
                self.assertEqual("by words only" in done.stdout, deny_code, done.stdout)


if __name__ == "__main__":
    unittest.main()
