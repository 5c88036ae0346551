"""Settings and certificates read again by a running server, and what its supervisor hears of it."""
import http.client
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
import unittest

from life import PATIENCE, Life
from server import TARS, Reply, environment


def make_certificate(folder, name):
    """A key and a certificate of its own, as PEM files."""
    files = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-days", "2", "-subj", f"/CN={name}", "-out", files[0], "-keyout", files[1]], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return files


class Reload(Life):
    def write(self, text):
        with open(os.path.join(self.data, ".env"), "w", encoding="utf-8") as file:
            file.write(text)

    def reload(self, *words):
        """SIGHUP; until one more line has the words."""
        words = words or ("settings were read again",)
        before = self.count(*words)
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + PATIENCE
        while self.count(*words) == before:
            self.assertLess(time.monotonic(), deadline, self.log())
            time.sleep(0.01)

    def count(self, *words):
        return sum(all(word in line for word in words) for line in self.log().splitlines())

    def test_values(self):
        self.write("RATE_LIMIT_PER_MINUTE=0\nMETRICS_TOKEN=hush-hush-1\nRAG_TOP_K=5\n")
        self.serve(RATE_LIMIT_PER_MINUTE=None)
        self.assertEqual(self.ask("GET", "/metrics/prometheus").status, 401)
        self.assertEqual(self.ask("GET", "/metrics/prometheus", token="hush-hush-1").status, 200)
        self.assertNotIn("x-ratelimit-limit", self.ask("GET", "/rag/stats").headers)
        self.write("RATE_LIMIT_PER_MINUTE=7\nMETRICS_TOKEN=hush-hush-2\nCORS_ORIGINS=https://new.example\n"
                   "WS_MAX_CONNECTIONS=3\nLOG_LEVEL=DEBUG\nRAG_TOP_K=6\nDRAIN_SECONDS=9\nTARS_MAX_CONNECTIONS=99\n")
        self.reload()
        self.assertEqual(self.ask("GET", "/metrics/prometheus", token="hush-hush-1").status, 401)
        self.assertEqual(self.ask("GET", "/metrics/prometheus", token="hush-hush-2").status, 200)
        connection = self.connection()
        connection.request("GET", "/rag/stats", headers={"Origin": "https://new.example"})
        reply = Reply(connection.getresponse())
        self.assertEqual(reply.headers["access-control-allow-origin"], "https://new.example")
        self.assertEqual(reply.headers["x-ratelimit-limit"], "7")
        self.assertEqual(self.ask("GET", "/ws/health").json()["metrics"]["max_connections"], 3)
        log = self.log()
        for name in ("RATE_LIMIT_PER_MINUTE", "CORS_ORIGINS", "WS_MAX_CONNECTIONS", "LOG_LEVEL", "DRAIN_SECONDS",
                     "TARS_MAX_CONNECTIONS", "METRICS_TOKEN has changed", "7 changed",
                     "RAG_TOP_K has changed, and needs a restart"):
            self.assertIn(name, log)
        self.assertNotIn("hush-hush", log)
        self.reload("settings were read again: 0 changed")
        self.terminate()
        self.await_log("gets 9 s to end")
        self.assertEqual(self.wait(), 0)

    def upload(self, size, token):
        boundary = "b" * 30
        body = (f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="f{size}.txt"\r\n\r\n').encode()
        body += b"Not much." + b"\n" * (size - 9) + f"\r\n--{boundary}--\r\n".encode()
        connection = self.connection()
        connection.request("POST", "/rag/upload?wait=false", body, {
            "Authorization": f"Bearer {token}", "Content-Type": f"multipart/form-data; boundary={boundary}"})
        return Reply(connection.getresponse())

    def test_limits(self):
        """Sizes of files and questions at once: up and down, for uploads and for files of the server."""
        root = os.path.join(self.data, "root")
        os.mkdir(root)
        with open(os.path.join(root, "large.txt"), "w", encoding="ascii") as file:
            file.write("A little." + "\n" * 1500000)
        self.write("MAX_FILE_SIZE_MB=1\n")
        self.serve()
        token = self.token()

        def index():
            return self.ask("POST", "/rag/index", {"file_path": os.path.join(root, "large.txt")}, token).json()

        self.assertIn("too large", index()["message"])
        self.assertEqual(self.upload(1500000, token).status, 413)
        self.write("MAX_FILE_SIZE_MB=8\n")
        self.reload("settings were read again: 1 changed")
        self.assertEqual(self.upload(7000000, token).status, 202)
        self.assertEqual(index()["status"], "success")
        self.write("MAX_FILE_SIZE_MB=1\n")
        self.reload("settings were read again: 1 changed")
        self.assertEqual(self.upload(1500001, token).status, 413)

    def test_questions_at_once(self):
        self.write("QUESTIONS_AT_ONCE=1\n")
        self.serve()
        self.index()
        self.model.pieces, self.model.pause = ["word "] * 2000, 0.02
        asking = {"query": "How long is the warranty?", "relevance_threshold": 0}
        token, other = (self.ask("POST", "/auth/token", {"client_id": name}).json()["access_token"] for name in "ab")
        first = self.connection()
        self.send(first, "POST", "/rag/query/stream", asking, token)
        self.await_asked(1)
        second = self.ask("POST", "/rag/query", asking, token)
        self.assertEqual((second.status, second.headers["retry-after"]), (429, "1"))
        self.assertIn("1 questions at once", second.json()["message"])
        third = self.connection()
        self.send(third, "POST", "/rag/query/stream", asking, other)
        self.await_asked(2)
        self.write("QUESTIONS_AT_ONCE=2\n")
        self.reload("settings were read again: 1 changed")
        fourth = self.connection()
        self.send(fourth, "POST", "/rag/query/stream", asking, token)
        self.await_asked(3)
        self.assertEqual(self.ask("POST", "/rag/query", asking, token).status, 429)
        text = self.ask("GET", "/metrics/prometheus").body.decode()
        self.assertIn('rag_requests_rejected_total{reason="at_once"} 2', text)
        for connection in (first, third, fourth):
            connection.close()
        self.model.pause = 0.0
        deadline = time.monotonic() + PATIENCE
        while self.ask("POST", "/rag/query", {**asking, "quotes_only": True}, token).status == 429:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)

    def test_a_wrong_value_changes_nothing(self):
        self.write("RATE_LIMIT_PER_MINUTE=5\n")
        self.serve(RATE_LIMIT_PER_MINUTE=None)
        for text, words in (("RATE_LIMIT_PER_MINUTE=6\nDRAIN_SECONDS=soon\n", "DRAIN_SECONDS is"), ("nonsense\n", "line 1")):
            with self.subTest(text=text):
                self.write(text)
                self.reload("stay in force", words)
                self.assertEqual(self.ask("GET", "/rag/stats").headers["x-ratelimit-limit"], "5")
        self.write("RATE_LIMIT_PER_MINUTE=6\n")
        self.reload()
        self.assertEqual(self.ask("GET", "/rag/stats").headers["x-ratelimit-limit"], "6")

    def test_a_named_file_has_to_be_there(self):
        path = os.path.join(self.data, "tars.env")
        with open(path, "w", encoding="utf-8") as file:
            file.write("RATE_LIMIT_PER_MINUTE=5\n")
        self.serve("--env-file", path, RATE_LIMIT_PER_MINUTE=None)
        os.remove(path)
        self.reload("stay in force", "cannot be read")
        self.assertEqual(self.ask("GET", "/rag/stats").headers["x-ratelimit-limit"], "5")

    def shown(self):
        """The name in the certificate that a new connection is shown, as another program sees it."""
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", "-servername", "x"],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              timeout=PATIENCE, check=False)
        return next(line for line in done.stdout.splitlines() if line.startswith("subject=")).split("CN = ")[1]

    def test_certificates(self):
        cert, key = make_certificate(self.data, "first.example")
        self.serve("--tls-cert", cert, "--tls-key", key)
        self.assertEqual(self.shown(), "first.example")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        old = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=PATIENCE, context=context)
        self.addCleanup(old.close)
        old.request("GET", "/health")
        self.assertEqual(Reply(old.getresponse()).status, 200)
        make_certificate(self.data, "second.example")
        self.reload("the certificate was read again")
        self.assertEqual(self.shown(), "second.example")
        old.request("GET", "/health")
        self.assertEqual(Reply(old.getresponse()).status, 200)
        with open(key, "w", encoding="utf-8") as file:
            file.write("-----BEGIN PRIVATE KEY-----\nhalf a\n")
        self.reload("the certificate of before is shown still", "key.pem")
        self.assertEqual(self.shown(), "second.example")
        make_certificate(os.path.join(self.data), "third.example")
        with open(cert, encoding="utf-8") as file:
            third = file.read()
        make_certificate(os.path.join(self.data), "fourth.example")
        with open(cert, "w", encoding="utf-8") as file:
            file.write(third)
        self.reload("the certificate of before is shown still", "key values mismatch")
        self.assertEqual(self.shown(), "second.example")
        self.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.wait(), 0)

    def test_under_load(self):
        """Nobody notices."""
        self.write("RATE_LIMIT_PER_MINUTE=100000\n")
        self.serve(RATE_LIMIT_PER_MINUTE=None)
        going, faults = threading.Event(), []
        going.set()

        def client():
            connection = self.connection()
            while going.is_set():
                connection.request("GET", "/rag/stats", headers={"Origin": "https://a.example"})
                reply = Reply(connection.getresponse())
                if reply.status != 200:
                    faults.append(reply.status)

        clients = [threading.Thread(target=client) for _ in range(4)]
        for thread in clients:
            thread.start()
        for n in range(20):
            self.write(f"RATE_LIMIT_PER_MINUTE={200000 + n}\nCORS_ORIGINS=https://a.example,https://b{n}.example\n")
            self.reload()
        going.clear()
        for thread in clients:
            thread.join(timeout=PATIENCE)
        self.assertEqual(faults, [])

    def test_other_commands_stop(self):
        """What is no server is ended by SIGHUP, as by SIGTERM; but not with nohup."""
        for ignored, number in ((False, signal.SIGHUP), (True, signal.SIGTERM)):
            with self.subTest(ignored=ignored):
                folder = os.path.join(self.data, f"watched-{ignored}")
                os.makedirs(folder)
                process = subprocess.Popen(
                    [TARS, "ingest", "--watch", folder], cwd=self.data, env=environment(os.path.join(self.data, folder + "-data")),
                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                    preexec_fn=(lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)) if ignored else None)
                self.addCleanup(process.stderr.close)
                line = process.stderr.readline()
                self.assertTrue(line)
                process.send_signal(signal.SIGHUP)
                if ignored:
                    with self.assertRaises(subprocess.TimeoutExpired):
                        process.wait(timeout=0.5)
                    process.send_signal(number)
                self.assertEqual(process.wait(timeout=PATIENCE), 0)


class Supervised(Life):
    """As systemd does it: Type=notify, Type=notify-reload."""

    def hear(self, supervisor):
        return supervisor.recv(4096).decode()

    def test_supervisor(self):
        for name in (os.path.join(self.data, "notify"), f"@tars-test-{os.getpid()}"):
            with self.subTest(name=name), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as supervisor:
                supervisor.bind("\0" + name[1:] if name[0] == "@" else name)
                supervisor.settimeout(PATIENCE)
                self.serve(NOTIFY_SOCKET=name)
                self.assertEqual(self.hear(supervisor), "READY=1\n")
                self.process.send_signal(signal.SIGHUP)
                self.assertRegex(self.hear(supervisor), r"^RELOADING=1\nMONOTONIC_USEC=\d+\n$")
                self.assertEqual(self.hear(supervisor), "READY=1\n")
                self.process.send_signal(signal.SIGTERM)
                self.assertEqual(self.hear(supervisor), "STOPPING=1\n")
                self.assertEqual(self.wait(), 0)
                self.end()

    def test_nobody_listens(self):
        self.serve(NOTIFY_SOCKET=os.path.join(self.data, "nobody"))
        self.await_log("NOTIFY_SOCKET", "nobody listens")
        self.assertEqual(self.ask("GET", "/health").status, 200)


if __name__ == "__main__":
    unittest.main()
