#!/usr/bin/env python3
"""What an idle WebSocket costs: thousands are opened, used once, and left alone; the server's resident
memory says the rest.

    TARS=build/release/tars tests/e2e/idle_sockets.py [--full] [--sockets N]

The server is http_ws_echo beside $TARS, or $WS_ECHO. Each socket echoes a message of 1,000 bytes and one
in three fragments before it is left. While they are held, a message on a new connection and on each
tenth of the old ones comes back; all are closed then, and a second round may not cost more than the
first (nothing is lost). The floor is 12 KiB a socket. The default run holds 1,000, --full 10,000.

Then the same number of chats is held on `tars serve` itself: each has its token checked, gets its
connection_ack and sends one message, and /ws/health counts them.

Last line: "N passed, N failed".
"""
import argparse
import json
import os
import pathlib
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

FLOOR = 12 * 1024
PATIENCE_S = 60  # for machines that are busy
LOST_MAX = 1024  # bytes a socket that a second round may cost more than the first
HANDSHAKE = ("GET {} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
KEY = b"\x01\x02\x03\x04"
TEXT, CONTINUATION, FINAL = 1, 0, 0x80


def program():
    beside = pathlib.Path(os.environ.get("TARS", "build/release/tars")).parent / "http_ws_echo"
    return os.environ.get("WS_ECHO", str(beside))


class Server:
    def __init__(self):
        self.process = subprocess.Popen([program()], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def resident(self):
        for line in open(f"/proc/{self.process.pid}/status", encoding="ascii"):
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError("the server is gone")

    def files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def busy_seconds(self):
        fields = open(f"/proc/{self.process.pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def open(self):
        sock = connect(self.port)
        echo(sock, FIRST_USE, FIRST_ECHO)
        return sock

    def stop(self):
        self.process.stdin.close()
        return self.process.wait(30)


class Chats(Server):
    """`tars serve`, and a token for its chat."""

    def __init__(self, count, folder):
        settings = {"TARS_DATA": folder, "LLM_BACKEND": "extract", "LOG_LEVEL": "ERROR",
                    "WS_MAX_CONNECTIONS": str(count + 100), "RATE_LIMIT_PER_MINUTE": "0"}
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "XDG_CACHE_HOME") if name in os.environ}
        tars = os.path.abspath(os.environ.get("TARS", "build/release/tars"))
        self.process = subprocess.Popen([tars, "serve", "--port", "0", "--json"], cwd=folder,
                                        env={**kept, **settings}, stdout=subprocess.PIPE)
        self.url = json.loads(self.process.stdout.readline())["url"]
        self.port = int(self.url.rsplit(":", 1)[1])
        self.token = self.ask("/auth/token", {"client_id": "idle"})["access_token"]

    def ask(self, path, body=None):
        request = urllib.request.Request(self.url + path, json.dumps(body).encode() if body else None,
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as reply:
            return json.load(reply)

    def open(self):
        sock = connect(self.port, f"/ws/chat?token={self.token}")
        first, length = receive(sock, 2)
        if length == 126:
            length = struct.unpack("!H", receive(sock, 2))[0]
        said = json.loads(receive(sock, length))
        if first != FINAL | TEXT or said["type"] != "connection_ack":
            raise RuntimeError(f"{said} came first")
        sock.sendall(frame(FINAL | TEXT, b'{"type":"pong"}'))
        return sock

    def stop(self):
        self.process.terminate()
        return self.process.wait(60)


def frame(first, payload):
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack("!H", len(payload))
    masked = bytes(byte ^ KEY[i % 4] for i, byte in enumerate(payload))
    return bytes([first]) + length + KEY + masked


MESSAGE = b"m" * 1000
FIRST_USE = (frame(FINAL | TEXT, MESSAGE) + frame(TEXT, b"one") + frame(CONTINUATION, b"two") +
             frame(FINAL | CONTINUATION, b"three"))
FIRST_ECHO = b"\x81\x7e\x03\xe8" + MESSAGE + b"\x81\x0bonetwothree"
AGAIN = frame(FINAL | TEXT, b"again")
AGAIN_ECHO = b"\x81\x05again"


def receive(sock, count):
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise RuntimeError("the server closed a socket")
        data += more
    return data


def connect(port, path="/"):
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    sock.sendall(HANDSHAKE.format(path).encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += receive(sock, 1)
    if not head.startswith(b"HTTP/1.1 101 "):
        raise RuntimeError(head.decode())
    return sock


def echo(sock, sent, expected):
    sock.sendall(sent)
    if receive(sock, len(expected)) != expected:
        raise RuntimeError("something else came back")


def hold(server, count):
    """Open and use count sockets; give them and the resident bytes each."""
    before = server.resident()
    sockets = []
    for _ in range(count):
        sockets.append(server.open())
    time.sleep(1)
    return sockets, (server.resident() - before) / count


def close(server, sockets):
    """Until the server has closed them, too."""
    left = server.files() - len(sockets)
    for sock in sockets:
        sock.close()
    until = time.monotonic() + PATIENCE_S
    while server.files() > left:
        if time.monotonic() > until:
            raise RuntimeError("the server keeps sockets whose clients are gone")
        time.sleep(0.05)
    time.sleep(0.5)


def hold_chats(count, check):
    with tempfile.TemporaryDirectory(prefix="tars-idle-") as folder:
        server = Chats(count, folder)
        close(server, [server.open() for _ in range(10)])
        sockets, each = hold(server, count)
        check("chat", each <= FLOOR, f"{count} idle chats of tars serve, {each:,.0f} resident bytes each")
        open_now = server.ask("/ws/health")["metrics"]["active_connections"]
        check("chats held", open_now == count, f"the server counts {open_now}")
        close(server, sockets)
        check("chats end", server.stop() == 0, "tars serve stops cleanly")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--sockets", type=int)
    args = parser.parse_args()
    count = args.sockets or (10000 if args.full else 1000)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard < count + 100:
        sys.exit(f"{count} sockets need as many open files; the limit is {hard}")

    results = []

    def check(name, fine, said):
        results.append(fine)
        print(f"{'ok     ' if fine else 'FAILED '} {name}: {said}")

    server = Server()
    close(server, [connect(server.port) for _ in range(10)])
    start = server.resident()
    sockets, first = hold(server, count)
    check("memory", first <= FLOOR, f"{count} idle sockets, {first:,.0f} resident bytes each, at most {FLOOR:,}")
    began, busy = time.monotonic(), server.busy_seconds()
    time.sleep(3)
    share = (server.busy_seconds() - busy) / (time.monotonic() - began)
    check("rest", share <= 0.05, f"{100 * share:.1f} % of a core while all are idle, at most 5")
    times = []
    for _ in range(5):  # other work of the machine keeps one up, but hardly each
        began = time.monotonic()
        with connect(server.port) as sock:
            echo(sock, AGAIN, AGAIN_ECHO)
        times.append(time.monotonic() - began)
    check("beside", min(times) < 1, f"a new socket and its echo took {1000 * min(times):.1f} ms")
    for sock in sockets[::10]:
        echo(sock, AGAIN, AGAIN_ECHO)
    check("held", True, f"{len(sockets[::10])} of them still echo")
    close(server, sockets)
    sockets, second = hold(server, count)
    total = (server.resident() - start) / count
    check("again", total <= first + LOST_MAX,
          f"{total:,.0f} resident bytes each after a second round, {second:,.0f} of them new")
    close(server, sockets)
    check("end", server.stop() == 0, "the server stops cleanly")
    hold_chats(count, check)
    print(f"{sum(results)} passed, {len(results) - sum(results)} failed")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
