"""testssl.sh against the TLS listener: TLS 1.2 and 1.3 only, no weak suite, rated A or better.

    TARS=build/release/tars python3 tests/e2e/tls_rating.py [--full]

The certificate is of a CA of this test's own, which testssl is told to trust (--add-ca), so that the chain is
whole. Everything testssl finds that is graded MEDIUM or worse is a failure, but for what WAIVED names and why.
The testssl of Debian 12 (3.0) gives no letter; it is computed here from what it found, as the SSL Server Rating
Guide has it: 0.3 protocols + 0.3 key exchange + 0.4 ciphers, A from 80, A- without TLS 1.3.
"""
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import unittest
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARS = os.path.abspath(os.environ.get("TARS", os.path.join(ROOT, "build", "release", "tars")))
FULL = "--full" in sys.argv
PARTS = [] if FULL else ["-p", "-s", "-f", "-S", "-P", "-U"]  # protocols, suites, secrecy, defaults, preference, holes
# What a certificate of a test cannot have, and what is no matter of TLS.
WAIVED = {
    "cert_revocation": "a CA of a test has neither CRL nor OCSP",
    "OCSP_stapling": "the same",
    "DNS_CAArecord": "localhost has no DNS",
    "certificate_transparency": "a CA of a test logs nothing",
    "cert_validityPeriod": "the test's certificate is of today",
    "cert_extlifeSpan": "the same",
    "engine_problem": "of the scanner's own OpenSSL",
    "sessionresumption": "a WARN when the scanner's own client could not connect in time",
    "BREACH": "replies are never compressed",
    "HSTS": "tested by itself",
}


PROTOCOLS = {"SSLv2": 0, "SSLv3": 80, "TLS1": 90, "TLS1_1": 95, "TLS1_2": 100, "TLS1_3": 100}
# Security in bits of what a key exchange may use.
CURVES = {"prime256v1": 128, "secp384r1": 192, "secp521r1": 256, "X25519": 128, "X448": 224}


def strength(bits):
    """Points for a cipher of so many bits."""
    return 100 if bits >= 256 else 80 if bits >= 128 else 20 if bits else 0


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def make_certificate(folder):
    """ca.pem, and chain.pem with key.pem for localhost and 127.0.0.1."""
    with open(os.path.join(folder, "ext"), "w", encoding="ascii") as file:
        file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\n"
                   "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n")
    openssl(folder, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ca.key")
    openssl(folder, "req", "-x509", "-new", "-key", "ca.key", "-sha256", "-days", "120", "-subj",
            "/CN=CA of a test", "-out", "ca.pem")
    openssl(folder, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key.pem")
    openssl(folder, "req", "-new", "-key", "key.pem", "-sha256", "-subj", "/CN=localhost", "-out", "csr")
    openssl(folder, "x509", "-req", "-in", "csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-sha256",
            "-days", "120", "-extfile", "ext", "-out", "leaf.pem")
    with open(os.path.join(folder, "chain.pem"), "wb") as chain:
        for name in ("leaf.pem", "ca.pem"):
            with open(os.path.join(folder, name), "rb") as file:
                chain.write(file.read())


class Rating(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="tars-tls-")
        make_certificate(cls.folder)
        kept = {k: os.environ[k] for k in ("PATH", "HOME", "XDG_CACHE_HOME", "LANG") if k in os.environ}
        env = dict(kept, TARS_DATA=os.path.join(cls.folder, "data"), LLM_BACKEND="extract", LOG_LEVEL="ERROR",
                   RATE_LIMIT_PER_MINUTE="0", TLS_CERT_PATH=os.path.join(cls.folder, "chain.pem"),
                   TLS_KEY_PATH=os.path.join(cls.folder, "key.pem"))
        cls.process = subprocess.Popen([TARS, "serve", "--port", "0", "--json"], cwd=cls.folder, env=env,
                                       stdout=subprocess.PIPE, text=True)
        cls.port = int(json.loads(cls.process.stdout.readline())["url"].rsplit(":", 1)[1])
        cls.found = cls.scan(kept)

    @classmethod
    def scan(cls, env):
        out = os.path.join(cls.folder, "found.json")
        command = ["testssl", "--quiet", "--color", "0", "--warnings", "off", "--ip", "127.0.0.1", "--nodns", "none",
                   "--add-ca", os.path.join(cls.folder, "ca.pem"), "--jsonfile", out, *PARTS,
                   f"https://localhost:{cls.port}"]
        done = subprocess.run(command, cwd=cls.folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=1500)
        with open(out, encoding="utf-8") as file:
            found = json.load(file)
        if not found:
            raise AssertionError(done.stdout)
        return {item["id"]: item for item in found}

    @classmethod
    def tearDownClass(cls):
        cls.process.send_signal(signal.SIGTERM)
        code = cls.process.wait(timeout=60)
        cls.process.stdout.close()
        shutil.rmtree(cls.folder)
        if code:
            raise AssertionError(f"the server ended with {code}")

    def test_protocols(self):
        """TLS 1.2 and 1.3, and nothing older"""
        for name in ("SSLv2", "SSLv3", "TLS1", "TLS1_1"):
            self.assertIn("not offered", self.found[name]["finding"], name)
        for name in ("TLS1_2", "TLS1_3"):
            self.assertIn("offered", self.found[name]["finding"], name)
            self.assertNotIn("not offered", self.found[name]["finding"], name)

    def test_suites(self):
        """no weak suite, forward secrecy with all of them"""
        for name, item in self.found.items():
            if name.startswith("cipherlist_") and not name.startswith("cipherlist_STRONG"):
                self.assertIn("not offered", item["finding"], name)
        self.assertIn("offered", (self.found.get("FS") or self.found["PFS"])["finding"])
        weak = [item["finding"] for name, item in self.found.items()
                if re.match(r"cipher-tls1_2_", name) and not re.search(r"ECDHE|DHE", item["finding"])]
        self.assertEqual(weak, [])

    def test_chain(self):
        """the chain is trusted, the name fits"""
        self.assertIn("passed", self.found["cert_chain_of_trust"]["finding"])
        self.assertEqual(self.found["cert_trust"]["severity"], "OK")

    def test_no_hole(self):
        """nothing that testssl grades MEDIUM or worse"""
        bad = {name: (item["severity"], item["finding"]) for name, item in self.found.items()
               if item["severity"] in ("MEDIUM", "HIGH", "CRITICAL", "FATAL", "WARN")
               and not any(name.startswith(waived) for waived in WAIVED) and not name.startswith("scan")}
        self.assertEqual(bad, {})

    def test_rating(self):
        """rated A or better, by the SSL Server Rating Guide (2009q)"""
        offered = [name for name in PROTOCOLS if "not offered" not in self.found[name]["finding"]]
        protocols = (max(PROTOCOLS[name] for name in offered) + min(PROTOCOLS[name] for name in offered)) / 2
        suites = " ".join(item["finding"] for name, item in self.found.items() if name.startswith("cipherorder_"))
        bits = [256 if "CHACHA20" in name else int(re.search(r"AES_?(\d+)", name).group(1)) for name in suites.split()]
        ciphers = (strength(max(bits)) + strength(min(bits))) / 2
        key = re.search(r"(EC|RSA) (\d+)", self.found["cert_keySize"]["finding"])
        curves = [CURVES[name] for name in self.exchange().split()]
        exchange = 90 if min(curves) >= 128 and (key.group(1), int(key.group(2))) in (
            ("EC", 256), ("EC", 384), ("RSA", 2048), ("RSA", 3072)) else 0
        score = 0.3 * protocols + 0.3 * exchange + 0.4 * ciphers
        grade = "A" if score >= 80 else "B" if score >= 65 else "C"
        if "TLS1_3" not in offered:
            grade += "-"
        print(f"\nrating: {grade}, score {score:.0f} (protocols {protocols:.0f}, exchange {exchange}, "
              f"ciphers {ciphers:.0f}); {len(bits)} suites", flush=True)
        self.assertEqual(grade, "A")

    def exchange(self):
        found = self.found.get("FS_ECDHE_curves") or self.found["PFS_ECDHE_curves"]
        return found["finding"]

    def test_hsts(self):
        """replies over TLS carry HSTS, a year long: what lifts an A to A+"""
        context = ssl.create_default_context(cafile=os.path.join(self.folder, "ca.pem"))
        with urllib.request.urlopen(f"https://localhost:{self.port}/health", context=context, timeout=20) as reply:
            age = re.search(r"max-age=(\d+)", reply.headers["strict-transport-security"])
        self.assertGreaterEqual(int(age.group(1)), 180 * 86400)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0]])
