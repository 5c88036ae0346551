#!/usr/bin/env python3
"""Answers as they are written, over WebSocket and NDJSON, by a real language model.

    "$(tests/support/venv)" chat_streams.py [llama|openai|ollama] [--python PYTHON] [--libs DIR]
                            [--ollama BINARY] [--model GGUF]

Starts the model server (openai: llama_cpp.server of PYTHON; ollama: BINARY; llama: none, the model
runs in $TARS), then `tars serve` with it, and looks at when each piece of an answer arrives; two
answers on one socket; the model server killed in mid-answer and started again; a socket closed in
mid-answer. llm_servers.py --full runs it. Ends in "N passed, N failed".
"""
import argparse
import http.client
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

from websockets.sync.client import connect

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from ports import free_port  # noqa: E402

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "tars"
TARS = os.environ.get("TARS", str(ROOT / "build/release/tars"))
STORY = "Tell me a long story about a lighthouse keeper."
LEAVE = "How many days of annual leave do employees get?"

PASSED = FAILED = 0


def check(name, good, detail=""):
    global PASSED, FAILED
    PASSED += bool(good)
    FAILED += not good
    print(f"{'ok' if good else 'FAILED':7} {name}" + ("" if good else f": {detail}"), flush=True)


# ---------------------------------------------------------------------- model servers

class ModelServer:
    """A model server on a port of its own, which may die and come back."""

    def __init__(self, args, home):
        self.kind, self.process, self.log = args.kind, None, tempfile.TemporaryFile()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env, self.ready = dict(os.environ), "/v1/models"
        if args.kind == "openai":
            if args.libs:
                self.env.update(LLAMA_CPP_LIB_PATH=args.libs, LD_LIBRARY_PATH=args.libs)
            self.command = [args.python, "-m", "llama_cpp.server", "--model", args.model,
                            "--host", "127.0.0.1", "--port", str(self.port), "--n_ctx", "2048",
                            "--n_threads", "2", "--interrupt_requests", "false"]
        else:
            self.env.update(HOME=home, OLLAMA_HOST=f"127.0.0.1:{self.port}",
                            OLLAMA_MODELS=f"{home}/models", OLLAMA_NUM_PARALLEL="2")
            self.command, self.ready = [args.ollama, "serve"], "/api/tags"
        self.start()
        if args.kind == "ollama":
            recipe = pathlib.Path(home) / "Modelfile"
            recipe.write_text(f"FROM {args.model}\n", encoding="utf-8")
            subprocess.run([args.ollama, "create", "small", "-f", str(recipe)], env=self.env,
                           check=True, capture_output=True, timeout=300)

    def settings(self):
        if self.kind == "openai":
            return {"LLM_BACKEND": "openai", "OPENAI_BASE_URL": self.url, "OPENAI_MODEL": "small"}
        return {"LLM_BACKEND": "ollama", "OLLAMA_HOST": self.url, "OLLAMA_MODEL": "small"}

    def start(self):
        self.process = subprocess.Popen(self.command, env=self.env, stdout=self.log,
                                        stderr=self.log, start_new_session=True)
        for _ in range(600):
            try:
                urllib.request.urlopen(self.url + self.ready, timeout=2).read()
                return
            except OSError:
                time.sleep(0.2)
        raise SystemExit("the model server did not start")

    def kill(self):
        """All of it: Ollama runs the model in a child."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


# ----------------------------------------------------------------------------- clients

class Tars:
    def __init__(self, home, settings):
        env = dict(os.environ, TARS_DATA=home, RATE_LIMIT_PER_MINUTE="0", LOG_LEVEL="WARNING",
                   MODEL_MAX_TOKENS="1500", **settings)
        subprocess.run([TARS, "ingest", str(ROOT / "samples/handbook")], env=env, check=True,
                       capture_output=True, timeout=120)
        self.process = subprocess.Popen([TARS, "serve", "--port", "0", "--json"], env=env, text=True,
                                        stdout=subprocess.PIPE)
        self.port = int(json.loads(self.process.stdout.readline())["url"].rsplit(":", 1)[1])
        body = json.dumps({"client_id": "campaign"}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/auth/token", body,
                                         {"Content-Type": "application/json"})
        self.token = json.load(urllib.request.urlopen(request))["access_token"]

    def chat(self):
        ws = connect(f"ws://127.0.0.1:{self.port}/ws/chat?token={self.token}").__enter__()
        assert json.loads(ws.recv())["type"] == "connection_ack"
        return ws

    def stream(self, question):
        """Lines of /rag/query/stream, each with the time when it came."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("POST", "/rag/query/stream", json.dumps({"query": question}),
                           {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"})
        response = connection.getresponse()
        lines = []
        while line := response.readline():
            lines.append((time.monotonic(), json.loads(line)))
        return lines

    def stop(self):
        self.process.terminate()
        return self.process.wait(60)


def say(ws, content, **more):
    ws.send(json.dumps({"type": "chat", "content": content, **more}))


def hear(ws, *last, timeout=120, most=10000):
    """Messages with the times when they came, up to one of type last or so many of them."""
    heard = []
    while len(heard) < most:
        message = json.loads(ws.recv(timeout=timeout))
        if message["type"] == "ping":
            continue
        heard.append((time.monotonic(), message))
        if message["type"] in last:
            break
    return heard


def spread(name, start, heard, kind):
    """Pieces that came one by one, as a model writes them, and not together."""
    times = [at for at, message in heard if message["type"] == kind]
    if len(times) < 5:
        check(name, False, f"{len(times)} pieces")
        return
    whole, gaps = times[-1] - start, [b - a for a, b in zip(times, times[1:])]
    apart = sum(gap > 0.001 for gap in gaps)
    good = times[-1] - times[0] > 0.005 * len(gaps) and apart > len(gaps) / 2
    check(f"{name}: {len(times)} pieces, the first after {times[0] - start:.2f} s, "
          f"the last after {whole:.2f} s, longest wait between {max(gaps):.2f} s", good)


# ----------------------------------------------------------------------------- campaign

def streams(tars, kind):
    ws = tars.chat()
    start = time.monotonic()
    say(ws, STORY, max_tokens=60)
    spread(f"{kind}: plain chat over WebSocket, token by token", start, hear(ws, "complete", "error"), "token")
    start = time.monotonic()
    say(ws, LEAVE, use_rag=True, conversation_id="c")
    heard = hear(ws, "rag_complete", "error")
    spread(f"{kind}: an answer from documents over WebSocket, token by token", start, heard, "rag_token")
    check(f"{kind}: sources first, then words, then the end",
          heard[0][1]["type"] == "rag_sources" and heard[-1][1]["type"] == "rag_complete", heard[-1])
    start = time.monotonic()
    spread(f"{kind}: an answer over NDJSON, token by token", start, tars.stream(LEAVE), "rag_token")
    ws.close()


def interleaved(tars, kind):
    ws = tars.chat()
    say(ws, STORY, max_tokens=60, conversation_id="one")
    say(ws, "Tell me a long story about a baker.", max_tokens=60, conversation_id="two")
    heard = hear(ws, "complete", "error") + hear(ws, "complete", "error")
    order = [m["conversation_id"] for _, m in heard if m["type"] == "token"]
    turns = sum(a != b for a, b in zip(order, order[1:]))
    check(f"{kind}: two answers on one socket, both whole ({order.count('one')} and {order.count('two')} "
          f"pieces, {turns} changes between them)",
          min(order.count("one"), order.count("two")) >= 20
          and [m["type"] for _, m in heard].count("complete") == 2, [m for _, m in heard][-1])
    if kind == "ollama":
        check("ollama: the two answers interleave", turns > 5, turns)
    ws.close()


def killed(tars, server, kind):
    ws = tars.chat()
    for use_rag, code in ((False, "GENERATION_ERROR"), (True, "RAG_GENERATION_ERROR")):
        say(ws, LEAVE if use_rag else STORY, use_rag=use_rag, max_tokens=1000, conversation_id=f"k{use_rag}")
        first = "rag_token" if use_rag else "token"
        hear(ws, first, "error")
        start = time.monotonic()
        server.kill()
        last = hear(ws, "error", "complete", "rag_complete")[-1][1]
        took = time.monotonic() - start
        check(f"{kind}: killed in mid-answer is {code} after {took:.2f} s",
              last["type"] == "error" and last.get("code") == code and took < 20
              and last["error"].lower().replace("rag ", "").startswith("generation failed: "), last)
        server.start()
        say(ws, "Say hello.", max_tokens=20)
        last = hear(ws, "error", "complete")[-1][1]
        check(f"{kind}: the next question on the same socket works once it is back",
              last["type"] == "complete", last)
    ws.close()


def closed(tars, kind):
    ws = tars.chat()
    start = time.monotonic()
    say(ws, "Say hello.", max_tokens=10)
    hear(ws, "complete", "error")
    usual = time.monotonic() - start
    say(ws, STORY, max_tokens=1400)
    hear(ws, "token")
    ws.close()
    ws = tars.chat()
    start = time.monotonic()
    say(ws, "Say hello.", max_tokens=10)
    last = hear(ws, "complete", "error")[-1][1]
    took = time.monotonic() - start
    check(f"{kind}: a socket that closes in mid-answer frees the model: the next answer took {took:.1f} s",
          last["type"] == "complete" and took < 10 + 5 * usual, last)
    say(ws, STORY, max_tokens=1400, conversation_id="x")
    hear(ws, "token")
    ws.send('{"type":"cancel","conversation_id":"x"}')
    start = time.monotonic()
    last = hear(ws, "complete", "error")[-1][1]
    check(f"{kind}: cancel ends an answer after {time.monotonic() - start:.2f} s",
          last.get("code") == "CANCELLED" and time.monotonic() - start < 20, last)
    ws.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=("llama", "openai", "ollama"), nargs="?", default="llama")
    parser.add_argument("--full", action="store_true", help="changes nothing; llm_servers.py --full asks the others")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--libs", default="")
    parser.add_argument("--ollama", default="ollama")
    parser.add_argument("--model", default=str(CACHE / "models/SmolLM2-135M-Instruct.Q4_1.gguf"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryDirectory() as models:
        server = None if args.kind == "llama" else ModelServer(args, models)
        settings = server.settings() if server else {"LLM_BACKEND": "llama", "LLM_MODEL_PATH": args.model}
        tars = Tars(home, settings)
        try:
            streams(tars, args.kind)
            interleaved(tars, args.kind)
            if server:
                killed(tars, server, args.kind)
            closed(tars, args.kind)
            check(f"{args.kind}: the server ends well", tars.stop() == 0)
        finally:
            if tars.process.poll() is None:
                tars.stop()
            if server:
                server.kill()
    print(f"{PASSED} passed, {FAILED} failed")
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
