"""A proxy that shows faults of a network between two programs of a test (toxiproxy, tests/support/toxiproxy).

    with FaultProxy() as proxy:
        port = proxy.add("redis", redis.port)      # connect there instead
        proxy.slow("redis", 5000)                  # each answer comes 5 s late
        proxy.swallow("redis")                     # bytes vanish, the connection stays
        proxy.reset("redis")                       # RST in the middle
        proxy.refuse("redis")                      # nobody listens, open connections are cut
        proxy.heal("redis")                        # as if nothing had been
"""
import json
import os
import subprocess
import time
import urllib.error
import urllib.request

from ports import free_port


class FaultProxy:
    def __init__(self):
        tool = os.path.join(os.path.dirname(os.path.abspath(__file__)), "toxiproxy")
        binary = subprocess.run([tool], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        self.port = free_port()
        self.process = subprocess.Popen([binary, "-host", "127.0.0.1", "-port", str(self.port)],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(1200):
            try:
                self.ask("GET", "/version")
                return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("toxiproxy did not start")

    def ask(self, method, path, body=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method,
                                         data=None if body is None else json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=60) as reply:
            return reply.read()

    def add(self, name, upstream):
        port = free_port()
        self.ask("POST", "/proxies", {"name": name, "listen": f"127.0.0.1:{port}",
                                      "upstream": f"127.0.0.1:{upstream}", "enabled": True})
        return port

    def toxic(self, name, kind, **attributes):
        self.ask("POST", f"/proxies/{name}/toxics", {"name": kind, "type": kind, "stream": "downstream",
                                                     "attributes": attributes})

    def slow(self, name, milliseconds):
        self.toxic(name, "latency", latency=milliseconds, jitter=0)

    def swallow(self, name):
        self.toxic(name, "timeout", timeout=0)

    def reset(self, name):
        self.toxic(name, "reset_peer", timeout=0)

    def refuse(self, name):
        self.ask("POST", f"/proxies/{name}", {"enabled": False})

    def heal(self, name):
        for kind in ("latency", "timeout", "reset_peer"):
            try:
                self.ask("DELETE", f"/proxies/{name}/toxics/{kind}")
            except urllib.error.HTTPError:
                continue
        self.ask("POST", f"/proxies/{name}", {"enabled": True})

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=20)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
