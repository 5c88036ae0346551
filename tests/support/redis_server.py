"""A Redis of its own for a test: a real redis-server on a free port of this machine, its files in a folder that goes
with it. Stopped by its pid.

    redis = Redis()                # or Redis("--requirepass", "secret", password="secret")
    redis.settings()               # what `tars` must be told to use it
    redis.kill(); redis.restart()  # the same port
    redis.hang(); redis.resume()   # SIGSTOP, SIGCONT
    redis.cli("KEYS", "*")
    redis.stop()
"""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from ports import free_port


class Redis:
    def __init__(self, *arguments, password="", persistent=False):
        self.folder = tempfile.mkdtemp(prefix="tars-redis-")
        self.password = password
        self.arguments = [*arguments, *([] if persistent else ["--save", ""])]
        self.process = None
        for _ in range(20):  # another may take the port between the look and the bind
            self.port = free_port()
            if self._start():
                return
        self.stop()
        raise AssertionError("redis-server did not start")

    def _start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder, "--appendonly",
             "no", *self.arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if self.process.poll() is not None:
                return False
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=5):
                    return self.cli("PING").strip() == "PONG"
            except OSError:
                time.sleep(0.01)
        self.kill()
        return False

    def settings(self, **more):
        found = {"REDIS_HOST": "127.0.0.1", "REDIS_PORT": str(self.port)}
        if self.password:
            found["REDIS_PASSWORD"] = self.password
        return {**found, **more}

    def cli(self, *command):
        """What redis-cli prints for one command."""
        environment = {**os.environ, **({"REDISCLI_AUTH": self.password} if self.password else {})}
        return subprocess.run(["redis-cli", "-h", "127.0.0.1", "-p", str(self.port), "--raw", *command], check=True,
                              env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              errors="replace", timeout=60).stdout

    def keys(self, pattern="tars:*"):
        return sorted(line for line in self.cli("--scan", "--pattern", pattern).splitlines() if line)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def restart(self):
        if self.process.poll() is None:
            self.kill()
        for _ in range(20):
            if self._start():
                return
            time.sleep(0.1)
        raise AssertionError("redis-server did not start again")

    def hang(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)
