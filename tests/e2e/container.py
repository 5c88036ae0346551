#!/usr/bin/env python3
"""The container, without an engine: what scripts/rootfs puts together is complete, the same each time, and listed with
versions and licences; and the server runs in it as Kubernetes' restricted pods do. Prints unittest's lines.

    container.py

The root is read-only; the user is 10001 without capabilities or a way to new ones; only /data and /tmp can be written;
calls of the system are filtered as engines do it (RuntimeDefault). There a document is taken in, so tars-extract's own
filter holds within that one, and a question is answered. Needs bubblewrap and user namespaces.
"""
import hashlib
import http.client
import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARS = os.environ.get("TARS", os.path.join(ROOT, "build", "release", "tars"))
SAMPLES = os.path.join(ROOT, "samples")
USER = 10001
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
import seccomp  # noqa: E402

def assemble(folder, *options):
    done = subprocess.run([os.path.join(ROOT, "scripts", "rootfs"), folder, "--build", os.path.dirname(TARS), *options],
                          stderr=subprocess.PIPE, text=True, env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
    if done.returncode != 0:
        raise AssertionError(done.stderr)


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def instructions():
    """The Containerfile as (word, rest), continued lines joined."""
    with open(os.path.join(ROOT, "deploy", "container", "Containerfile"), encoding="utf-8") as file:
        text = re.sub(r"\\\n\s*", " ", file.read())
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line and not line.startswith("#")]


class RootFileSystem(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tars-container-")
        cls.root = os.path.join(cls.folder, "rootfs")
        assemble(cls.root, "--tar", os.path.join(cls.folder, "one.tar"))
        with open(os.path.join(cls.root, "usr/share/sbom/tars.spdx.json"), encoding="utf-8") as file:
            cls.sbom = json.load(file)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def entries(self):
        for base, folders, files in os.walk(self.root):
            for name in folders + files:
                path = os.path.join(base, name)
                yield os.path.relpath(path, self.root), os.lstat(path)

    def test_is_the_same_each_time(self):
        """Into another folder, at another time."""
        again, tar = os.path.join(self.folder, "again"), os.path.join(self.folder, "again.tar")
        assemble(again, "--tar", tar)
        self.assertEqual(digest(tar), digest(os.path.join(self.folder, "one.tar")))
        shutil.rmtree(again)
        os.remove(tar)

    def test_modes(self):
        for name, about in self.entries():
            if stat.S_ISLNK(about.st_mode):
                continue
            self.assertFalse(about.st_mode & (stat.S_ISUID | stat.S_ISGID), name)
            if name != "tmp":
                self.assertFalse(about.st_mode & (stat.S_IWGRP | stat.S_IWOTH), name)
            self.assertEqual(about.st_mtime, 1700000000, name)

    def test_holds_no_shell_and_no_secret(self):
        programs = os.listdir(os.path.join(self.root, "usr", "bin"))
        self.assertEqual(sorted(programs), ["tars", "tars-extract"])
        names = {name for name, _ in self.entries()}
        self.assertEqual({n for n in names if re.search(r"\.key$|\.pem$|shadow|id_rsa|/apt/|dpkg/", n)}, {"usr/lib/ssl/cert.pem"})
        self.assertLessEqual({n.split("/")[0] for n in names}, {"bin", "data", "dev", "etc", "lib", "lib64", "proc", "run", "sys",
                                                                 "tmp", "usr", "var"})

    def test_links_lead_somewhere_inside(self):
        for name, about in self.entries():
            if stat.S_ISLNK(about.st_mode):
                to = os.readlink(os.path.join(self.root, name))
                path = to if to.startswith("/") else os.path.join("/", os.path.dirname(name), to)
                self.assertTrue(os.path.lexists(self.root + os.path.normpath(path)), f"{name} -> {to}")

    def test_every_file_is_listed_with_its_digest(self):
        listed = {entry["fileName"][2:]: entry["checksums"][0]["checksumValue"] for entry in self.sbom["files"]}
        files = {name for name, about in self.entries() if stat.S_ISREG(about.st_mode)}
        self.assertEqual(files - set(listed), {"usr/share/sbom/tars.spdx.json"})
        self.assertEqual(set(listed) - files, set())
        for name in ("usr/bin/tars", "usr/bin/tars-extract", "etc/passwd"):
            self.assertEqual(listed[name], digest(os.path.join(self.root, name)))
        held = [r["relatedSpdxElement"] for r in self.sbom["relationships"] if r["relationshipType"] == "CONTAINS"]
        self.assertEqual(sorted(held), sorted(entry["SPDXID"] for entry in self.sbom["files"]))

    def test_packages_have_versions_and_licences(self):
        names = {package["name"]: package for package in self.sbom["packages"]}
        self.assertLessEqual({"tars", "tars-extract", "libc6", "libsqlite3-0", "libpoppler126", "poppler-data",
                              "ca-certificates", "all-MiniLM-L6-v2", "llama.cpp"}, set(names))
        self.assertEqual(names["tars-extract"]["licenseDeclared"], "GPL-3.0-only")
        self.assertEqual(names["libuv1"]["licenseDeclared"].count("MIT"), 1)
        done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "libsqlite3-0"], stdout=subprocess.PIPE, text=True)
        self.assertEqual(names["libsqlite3-0"]["versionInfo"], done.stdout)
        told = {info["licenseId"] for info in self.sbom["hasExtractedLicensingInfos"]}
        for package in self.sbom["packages"]:
            self.assertTrue(package["versionInfo"] and package["licenseDeclared"], package["name"])
            for word in package["licenseDeclared"].split(" AND "):
                self.assertRegex(word, r"^[A-Za-z0-9.+-]+$")
                self.assertTrue(not word.startswith("LicenseRef-") or word in told, word)
        for field in ("spdxVersion", "dataLicense", "documentNamespace", "creationInfo"):
            self.assertTrue(self.sbom[field])
        self.assertEqual(self.sbom["creationInfo"]["created"], "2023-11-14T22:13:20Z")

    def test_authorities_are_the_packages(self):
        """Not those that this machine trusts besides."""
        with open(os.path.join(self.root, "etc/ssl/certs/ca-certificates.crt"), encoding="ascii") as file:
            count = file.read().count("BEGIN CERTIFICATE")
        self.assertEqual(count, len(os.listdir("/usr/share/ca-certificates/mozilla")))

    # ------------------------------------------------------------------------------------------------- it runs

    def inside(self, *command, env=()):
        """The command line that runs in the root file system as the container would."""
        base = ["bwrap", "--ro-bind", self.root, "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--bind", self.data,
                "/data", "--chdir", "/data", "--die-with-parent", "--new-session", "--unshare-ipc", "--unshare-uts", "--clearenv"]
        for name, value in {"TARS_DATA": "/data", "PATH": "/usr/bin", "HOME": "/data", **dict(env)}.items():
            base += ["--setenv", name, value]
        if os.geteuid() == 0:
            base = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", *base]
        else:
            base += ["--unshare-user", "--uid", str(USER), "--gid", str(USER)]
        return [*base, "--seccomp", str(self.filter.fileno()), *command]

    def tars(self, *arguments, code=0):
        self.filter.seek(0)
        done = subprocess.run(self.inside("/usr/bin/tars", *arguments), pass_fds=[self.filter.fileno()], timeout=120,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def start(self):
        self.data = tempfile.mkdtemp(prefix="tars-container-data-")
        self.addCleanup(shutil.rmtree, self.data)
        if os.geteuid() == 0:
            os.chown(self.data, USER, USER)
            os.chmod(self.folder, 0o755)  # made by mkdtemp: for its maker alone
        tools = subprocess.run([os.path.join(ROOT, "tests", "support", "kubernetes")], check=True, stdout=subprocess.PIPE, text=True)
        self.filter = seccomp.program_of_profile(os.path.join(tools.stdout.strip(), "seccomp.json"))
        self.addCleanup(self.filter.close)
        env = {"BACKEND_PORT": "0", "TARS_AUTH": "secret", "LLM_BACKEND": "extract", "RATE_LIMIT_PER_MINUTE": "0"}
        self.process = subprocess.Popen(self.inside("/usr/bin/tars", "serve", "--json", env=env), stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, pass_fds=[self.filter.fileno()])
        self.addCleanup(self.end)
        line = self.process.stdout.readline()
        self.assertTrue(line, line or self.process.stderr.read())
        started = json.loads(line)
        self.port = int(started["url"].rsplit(":", 1)[1])
        self.pid = started["pid"]

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def ask(self, method, path, body=None, token=""):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        return reply.status, json.loads(text)

    def upload(self, path, token):
        with open(path, "rb") as file:
            content = file.read()
        raw = (f'--x\r\nContent-Disposition: form-data; name="file"; filename="{os.path.basename(path)}"\r\n'
               "Content-Type: application/octet-stream\r\n\r\n").encode() + content + b"\r\n--x--\r\n"
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("POST", "/rag/upload", raw, {"Authorization": f"Bearer {token}",
                                                        "Content-Type": "multipart/form-data; boundary=x"})
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        return reply.status, text

    def confined(self):
        """What the kernel says of the server."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as file:
            status = {line.partition(":")[0]: line.partition(":")[2].strip() for line in file}
        self.assertEqual(status["CapEff"].strip("0"), "")
        self.assertEqual(status["CapPrm"].strip("0"), "")
        self.assertEqual((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
        if os.geteuid() == 0:
            self.assertEqual(set(status["Uid"].split()), {str(USER)})
        with open(f"/proc/{self.pid}/mounts", encoding="ascii") as file:
            mounts = {line.split()[1]: line.split()[3].split(",") for line in file}
        self.assertIn("ro", mounts["/"])
        self.assertIn("rw", mounts["/data"])

    def test_serves_confined_and_read_only(self):
        self.start()
        self.confined()
        status, ready = self.ask("GET", "/ready")
        self.assertEqual(status, 200)
        self.assertIn(ready["status"], ("ready", "degraded"))
        made = json.loads(self.tars("user", "add", "office", "--role", "admin", "--make-secret", "--json"))
        status, granted = self.ask("POST", "/auth/token", {"client_id": "office", "client_secret": made["secret"]})
        self.assertEqual(status, 200, granted)
        token = granted["access_token"]
        for name in ("building/energy-report-2024.pdf", "building/visitors.html", "handbook/leave.md"):
            status, text = self.upload(os.path.join(SAMPLES, name), token)
            self.assertEqual(status, 201, text)
        status, answer = self.ask("POST", "/rag/query", {"query": "How many days of annual leave do employees get?"}, token)
        self.assertEqual(status, 200, answer)
        self.assertIn("28", answer["answer"])
        self.assertIn("leave.md", json.dumps(answer["sources"][0]))
        status, found = self.ask("POST", "/rag/search", {"query": "energy used in 2024", "top_k": 3}, token)
        self.assertEqual(status, 200, found)
        self.assertIn("energy-report-2024.pdf", json.dumps(found))

        health = next(rest for word, rest in instructions() if word == "HEALTHCHECK")
        command = json.loads(health[health.index("["):])
        self.assertEqual(command[0], "/usr/bin/tars")
        self.assertIn("documents", self.tars(*command[1:]))

        os.kill(self.pid, signal.SIGTERM)
        self.assertEqual(self.process.wait(timeout=60), 0, self.process.stderr.read())
        self.assertTrue(os.path.exists(os.path.join(self.data, "tars.db")))


class Recipe(unittest.TestCase):
    def test_ships_what_is_tested(self):
        words = instructions()
        last = words[max(i for i, (word, _) in enumerate(words) if word == "FROM"):]
        self.assertEqual(last[0], ("FROM", "scratch"))
        self.assertIn(("COPY", "--from=build /rootfs/ /"), last)
        self.assertIn(("USER", f"{USER}:{USER}"), last)
        self.assertIn(("ENTRYPOINT", '["/usr/bin/tars"]'), last)
        self.assertEqual([rest for word, rest in last if word in ("RUN", "ADD")], [])
        self.assertTrue(any(word == "RUN" and "scripts/rootfs /rootfs" in rest for word, rest in words))

    def test_names_are_settings(self):
        done = subprocess.run([TARS, "config", "--all", "--json"], check=True, stdout=subprocess.PIPE, text=True)
        known = set(json.loads(done.stdout)) | {"PATH", "HOME"}
        env = [rest for word, rest in instructions() if word == "ENV"][-1]
        self.assertEqual({pair.split("=")[0] for pair in env.split()} - known, set())


if __name__ == "__main__":
    unittest.main()
