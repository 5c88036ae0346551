"""Requests/s and CPU time a request of /health and of a cached /rag/search, beside peers.

    "$(tests/support/venv)" bench/http_peers.py [TARS] [--seconds 3] [--rounds 3] [--json] [--only tars]

Peers: nginx that answers `return 200` with the same body, and FastAPI on uvicorn (uvloop, httptools) with
one small handler for each of the two. Each has two workers, the access log is off everywhere, the client is
wrk with one thread and 32 kept connections. The sides take turns in every round; the best round of each
counts. CPU time is that of the server's processes, user and system: on a small machine, where the client
takes its part of the processor and others are at work, it says more than requests/s.
"""
import argparse
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from ports import free_port  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
WORKERS, CONNECTIONS, QUESTION = 2, 32, "How are tide tables made?"

NGINX = """worker_processes {workers}; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; default_type application/json;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  server {{ listen 127.0.0.1:{port} reuseport; location / {{ return 200 '{body}'; }} }}
}}
"""

FASTAPI = '''from datetime import datetime
from typing import Optional
import json
from fastapi import FastAPI
from pydantic import BaseModel
app = FastAPI()
KEPT = {{{question!r}: json.loads({results!r})}}

class Search(BaseModel):
    query: str
    top_k: int = 10
    filters: Optional[dict] = None

@app.get("/health")
async def health():
    return {{"status": "healthy", "service": "T.A.R.S. Backend", "version": "v0.3.0-alpha",
            "timestamp": datetime.utcnow().isoformat()}}

@app.post("/rag/search")
async def search(request: Search):
    results = KEPT[request.query]
    return {{"query": request.query, "results": results, "total_results": len(results), "search_time_ms": 0.1}}
'''

POST = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{body}'
"""


def ask(port, method, path, body=None):
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        link.request(method, path, body=body, headers={"Content-Type": "application/json"} if body else {})
        reply = link.getresponse()
        return reply.status, reply.read()
    finally:
        link.close()


def family(pid):
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        try:
            for thread in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                    todo += [int(child) for child in file.read().split()]
        except OSError:
            pass
    return found


def cpu_seconds(pid):
    total = 0
    for member in family(pid):
        try:
            with open(f"/proc/{member}/stat", encoding="ascii", errors="replace") as file:
                fields = file.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


class Side:
    def __init__(self, name, command, port, folder, env=None, log=subprocess.DEVNULL):
        self.name, self.port = name, port
        self.process = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=log)
        for _ in range(400):
            if self.process.poll() is not None:
                raise SystemExit(f"bench: {name} ended with {self.process.returncode}")
            try:
                if ask(port, "GET", "/health")[0] == 200:
                    return
            except OSError:
                time.sleep(0.05)
        raise SystemExit(f"bench: {name} does not answer")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()


def load(side, path, seconds, script=None):
    """(requests/s, CPU microseconds a request)"""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", f"http://127.0.0.1:{side.port}{path}"]
    if script:
        command[1:1] = ["-s", script]
    before = cpu_seconds(side.process.pid)
    out = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    spent = cpu_seconds(side.process.pid) - before
    if "Non-2xx" in out or "Socket errors" in out:
        raise SystemExit(f"bench: {side.name} {path} failed:\n{out}")
    requests = int(re.search(r"(\d+) requests in", out).group(1))
    return float(re.search(r"Requests/sec:\s*([\d.]+)", out).group(1)), 1e6 * spent / requests


def open_tars(program, folder):
    data = os.path.join(folder, "data")
    os.mkdir(data)
    kept = {k: os.environ[k] for k in ("PATH", "HOME", "XDG_CACHE_HOME", "LANG") if k in os.environ}
    env = dict(kept, TARS_DATA=data, LLM_BACKEND="extract", LOG_LEVEL="WARNING", RATE_LIMIT_PER_MINUTE="0")
    subprocess.run([program, "ingest", os.path.join(ROOT, "samples")], env=env, check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    port = free_port()
    return Side("tars", [program, "serve", "--port", str(port)], port, data, env)


def open_peers(folder, health, results):
    port = free_port()
    with open(os.path.join(folder, "nginx.conf"), "w", encoding="utf-8") as file:
        file.write(NGINX.format(workers=WORKERS, folder=folder, port=port, body=health))
    yield Side("nginx", [shutil.which("nginx") or "/usr/sbin/nginx", "-c", f"{folder}/nginx.conf", "-e",
                         f"{folder}/error.log"], port, folder)
    with open(os.path.join(folder, "peer.py"), "w", encoding="utf-8") as file:
        file.write(FASTAPI.format(question=QUESTION, results=json.dumps(results)))
    port = free_port()
    yield Side("fastapi", [sys.executable, "-m", "uvicorn", "peer:app", "--port", str(port), "--workers",
                           str(WORKERS), "--no-access-log", "--log-level", "error", "--loop", "uvloop", "--http",
                           "httptools"], port, folder)


def measure(sides, body, folder, options):
    script = os.path.join(folder, "post.lua")
    with open(script, "w", encoding="utf-8") as file:
        file.write(POST.format(body=body))
    rows = {}
    for _ in range(options.rounds):
        for side in sides:
            for path, lua in (("/health", None), ("/rag/search", script)):
                if side.name == "nginx" and lua:
                    continue
                rate, cpu = load(side, path, options.seconds, lua)
                best = rows.get((side.name, path), (0, 1e9))
                rows[side.name, path] = (max(rate, best[0]), min(cpu, best[1]))
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("tars", nargs="?", default=os.path.join(ROOT, "build", "release", "tars"))
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="measure this side alone")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.tars = os.path.abspath(options.tars)
    folder = tempfile.mkdtemp(prefix="tars-bench-")
    os.chmod(folder, 0o755)
    sides = []
    try:
        sides.append(open_tars(options.tars, folder))
        body = json.dumps({"query": QUESTION})
        for _ in range(2):
            status, reply = ask(sides[0].port, "POST", "/rag/search", body)
        found = json.loads(reply)
        if status != 200 or not found["cached"]:
            raise SystemExit(f"bench: the search is not cached: {status}")
        if options.only != "tars":
            health = ask(sides[0].port, "GET", "/health")[1].decode()
            sides += open_peers(folder, health, found["results"])
        rows = measure(sides, body, folder, options)
    finally:
        for side in sides:
            side.stop()
        shutil.rmtree(folder, ignore_errors=True)
    result = [{"side": side, "path": path, "per_second": round(rate), "cpu_us": round(cpu, 1)}
              for (side, path), (rate, cpu) in rows.items()]
    if options.json:
        print(json.dumps({"load": os.getloadavg()[0], "reply_bytes": len(reply), "rows": result}))
        return
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors, {WORKERS} workers, "
          f"{CONNECTIONS} connections; the search's reply has {len(reply)} bytes")
    print(f"{'':10}{'':14}{'requests/s':>12}{'CPU us':>9}")
    for row in result:
        print(f"{row['side']:10}{row['path']:14}{row['per_second']:12}{row['cpu_us']:9}")
    if ("nginx", "/health") in rows:
        ours, nginx, peer = (rows[side, "/health"] for side in ("tars", "nginx", "fastapi"))
        search, slow = rows["tars", "/rag/search"], rows["fastapi", "/rag/search"]
        print(f"/health: {ours[0] / nginx[0]:.2f} of nginx ({nginx[1] / ours[1]:.2f} by CPU), "
              f"{ours[0] / peer[0]:.1f} x FastAPI ({peer[1] / ours[1]:.1f} by CPU)")
        print(f"/rag/search, cached: {search[0] / slow[0]:.1f} x FastAPI ({slow[1] / search[1]:.1f} by CPU)")


if __name__ == "__main__":
    main()
