#!/usr/bin/env python3
"""The Debian package: what is in it, that it is made the same twice, that lintian finds no error, and that it installs,
serves, is removed and purged as Debian's packages are. Prints unittest's lines.

    package.py

As root it is installed into a copy of this machine's file system that is thrown away (a mount namespace, overlayfs);
where that may not be had it is unpacked, and its programs run from there.
"""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARS = os.environ.get("TARS", os.path.join(ROOT, "build", "release", "tars"))
MODELS = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "tars", "models")

# What an administrator would see; each line is checked on its own. $1 is the package.
LIFE = r"""
set -e
mount -t tmpfs -o size=512m tmpfs "$2" || exit 99
mkdir "$2/up" "$2/work" "$2/tree"
mount -t overlay overlay -o lowerdir=/,upperdir="$2/up",workdir="$2/work" "$2/tree" || exit 99
mount -t proc proc "$2/tree/proc" || exit 99
mount --bind /dev "$2/tree/dev"
mkdir -p "$2/tree/mnt/package" && cp "$1" "$2/tree/mnt/package/tars.deb"
rm -rf "$2/tree/run/systemd"
exec chroot "$2/tree" /bin/bash -c '
    export DEBIAN_FRONTEND=noninteractive
    dpkg --install /mnt/package/tars.deb 2>&1 >/dev/null
    echo "installed=$(dpkg-query -W -f "\${db:Status-Status}" tars)"
    echo "user=$(getent passwd tars | cut -d: -f6,7)"
    echo "conf=$(stat -c %U:%G:%a /etc/tars/tars.conf)"
    echo "version=$(tars version)"
    echo "enabled=$(ls /etc/systemd/system/multi-user.target.wants/tars.service 2>/dev/null)"
    install -d -o tars -g tars -m 0700 /var/lib/tars
    echo "served=$(cd /var/lib/tars && setpriv --reuid=tars --regid=tars --init-groups env TARS_DATA=/var/lib/tars \
        BACKEND_PORT=0 LLM_BACKEND=extract timeout --preserve-status -s TERM 20 tars serve --env-file /etc/tars/tars.conf --json |
        head -n 1)"
    echo "# mine" >>/etc/tars/tars.conf
    dpkg --install /mnt/package/tars.deb 2>&1 >/dev/null
    echo "kept=$(tail -n 1 /etc/tars/tars.conf)"
    dpkg --remove tars >/dev/null 2>&1
    echo "removed=$(ls /usr/bin/tars 2>/dev/null) $(ls /etc/tars/tars.conf)"
    dpkg --purge tars 2>/dev/null | grep -o "remove that folder" | sed "s/^/told=/"
    echo "purged=$(ls -d /etc/tars /etc/systemd/system/multi-user.target.wants/tars.service 2>/dev/null)"
    echo "data=$(ls /var/lib/tars/tars.db)"
'
"""


def build(folder, *options):
    done = subprocess.run([os.path.join(ROOT, "scripts", "package"), "deb", "--build", os.path.dirname(TARS), "--out", folder,
                           *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"})
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return done.stdout.split()


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tars-package-test-")
        cls.deb = build(cls.folder, "--no-model")[0]

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def field(self, name):
        return subprocess.run(["dpkg-deb", "--field", self.deb, name], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()

    def contents(self):
        """path -> (mode, owner)"""
        text = subprocess.run(["dpkg-deb", "--contents", self.deb], check=True, stdout=subprocess.PIPE, text=True).stdout
        return {parts[5]: (parts[0], parts[1]) for parts in (line.split(None, 5) for line in text.splitlines())}

    def test_control(self):
        with open(os.path.join(ROOT, "VERSION"), encoding="utf-8") as file:
            self.assertEqual(self.field("Version"), file.read().strip())
        depends = self.field("Depends")
        for name in ("libc6 (>=", "libsqlite3-0 (>=", "libpoppler-glib8 (>=", "libseccomp2 (>=", "poppler-data", "adduser"):
            self.assertIn(name, depends)
        self.assertEqual(self.field("Recommends"), "tars-model-minilm")

    def test_contents(self):
        found = self.contents()
        for path, mode in (("./usr/bin/tars", "-rwxr-xr-x"), ("./usr/bin/tars-extract", "-rwxr-xr-x"),
                           ("./lib/systemd/system/tars.service", "-rw-r--r--"), ("./etc/tars/tars.conf", "-rw-r-----"),
                           ("./usr/share/man/man1/tars.1.gz", "-rw-r--r--"), ("./usr/share/doc/tars/copyright", "-rw-r--r--")):
            self.assertEqual(found[path], (mode, "root/root"), path)
        self.assertEqual({owner for _, owner in found.values()}, {"root/root"})
        folder = tempfile.mkdtemp(prefix="tars-package-test-")
        self.addCleanup(shutil.rmtree, folder)
        subprocess.run(["dpkg-deb", "--raw-extract", self.deb, os.path.join(folder, "raw")], check=True)
        with open(os.path.join(folder, "raw", "DEBIAN", "conffiles"), encoding="utf-8") as file:
            self.assertEqual(file.read(), "/etc/tars/tars.conf\n")
        with open(os.path.join(folder, "raw", "DEBIAN", "md5sums"), encoding="utf-8") as file:
            for line in file:
                digest, name = line.split(None, 1)
                with open(os.path.join(folder, "raw", name.strip()), "rb") as packed:
                    self.assertEqual(hashlib.file_digest(packed, "md5").hexdigest(), digest, name)

    def test_the_same_twice(self):
        again = os.path.join(self.folder, "again")
        os.mkdir(again)
        with open(self.deb, "rb") as one, open(build(again, "--no-model")[0], "rb") as two:
            self.assertEqual(hashlib.file_digest(one, "sha256").digest(), hashlib.file_digest(two, "sha256").digest())

    def test_lintian_finds_no_error(self):
        command = ["lintian", "--fail-on", "error", "--tag-display-limit", "0", self.deb]
        if os.geteuid() == 0:
            command.insert(1, "--allow-root")
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_installs_serves_and_goes(self):
        if os.geteuid() != 0:
            self.runs_unpacked()
            return
        place = tempfile.mkdtemp(prefix="tars-package-test-")
        self.addCleanup(os.rmdir, place)
        done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-c", LIFE, "life", self.deb, place],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)
        if done.returncode in (1, 99) and not done.stdout:  # no namespace, no mount
            print(f"unpacked, not installed: {done.stderr.strip()}", file=sys.stderr)
            self.runs_unpacked()
            return
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        said = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        version = self.field("Version")
        self.assertEqual(json.loads(said.pop("served"))["url"].split(":")[1], "//127.0.0.1")
        self.assertEqual(said, {
            "installed": "installed", "user": "/var/lib/tars:/usr/sbin/nologin", "conf": "root:tars:640",
            "version": f"tars {version}", "enabled": "/etc/systemd/system/multi-user.target.wants/tars.service",
            "kept": "# mine", "removed": " /etc/tars/tars.conf", "told": "remove that folder", "purged": "",
            "data": "/var/lib/tars/tars.db"}, done.stderr)
        self.assertFalse(os.path.exists("/usr/bin/tars"), "it was installed for real")

    def runs_unpacked(self):
        where = os.path.join(self.folder, "unpacked")
        subprocess.run(["dpkg-deb", "--extract", self.deb, where], check=True)
        data = os.path.join(self.folder, "data")
        os.mkdir(data)
        env = {"PATH": f"{where}/usr/bin:/usr/bin:/bin", "TARS_MODELS": MODELS, "LLM_BACKEND": "extract"}
        process = subprocess.Popen([f"{where}/usr/bin/tars", "serve", "--json", "--port", "0", "--data", data], env=env,
                                   stdout=subprocess.PIPE, text=True)
        try:
            self.assertIn("url", json.loads(process.stdout.readline()))
        finally:
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(timeout=60), 0)
            process.stdout.close()


if __name__ == "__main__":
    unittest.main()
