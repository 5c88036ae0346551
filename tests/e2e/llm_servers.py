#!/usr/bin/env python3
"""The back ends that ask another server, against real servers and against ones that misbehave.

    llm_servers.py [PROGRAM] [--full] [--real PYTHON] [--model GGUF] [--libs DIR]

PROGRAM is tests/e2e/llm_ask.c, built: by default e2e_llm_ask beside $TARS. A small server over
sockets plays the faults: an answer cut anywhere, death in mid-stream, garbage, slowness, refusals;
then $TARS itself is asked through it. With --full an OpenAI-compatible server (llama_cpp.server, pip)
and Ollama (Go) are installed once, below ~/.cache/tars, started with a small model and asked, and
chat_streams.py looks at when each piece of an answer arrives, kills them in mid-answer and starts them
again; --real names an interpreter that has the former already. Ends in "N passed, N failed".
"""
import argparse
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
from ports import free_port  # noqa: E402

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "tars"
TARS = os.environ.get("TARS", str(ROOT / "build/release/tars"))

PASSED = FAILED = SKIPPED = 0


def check(name, good, detail=""):
    global PASSED, FAILED
    PASSED += bool(good)
    FAILED += not good
    print(f"{'ok' if good else 'FAILED':7} {name}" + ("" if good else f": {detail}"), flush=True)


def skip(name, why):
    global SKIPPED
    SKIPPED += 1
    print(f"skipped {name}: {why}", flush=True)


class Double:
    """Answers each connection by script(connection number, socket, request bytes)."""

    def __init__(self, script):
        self.script = script
        self.requests = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    def serve(self, peer):
        data = b""
        try:
            while b"\r\n\r\n" not in data:
                more = peer.recv(65536)
                if not more:
                    return
                data += more
            head, body = data.split(b"\r\n\r\n", 1)
            length = 0
            for line in head.split(b"\r\n"):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            while len(body) < length:
                body += peer.recv(65536)
            self.requests.append((head.decode(), body))
            self.script(len(self.requests), peer, body)
        except OSError:
            pass
        finally:
            peer.close()

    def close(self):
        self.listener.close()


def reply(peer, body, status="200 OK", pieces=None, kind="application/x-ndjson"):
    """A whole answer in chunks; pieces: bytes a chunk."""
    peer.sendall(f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\n"
                 "transfer-encoding: chunked\r\nconnection: close\r\n\r\n".encode())
    step = pieces or len(body) or 1
    for at in range(0, len(body), step):
        part = body[at:at + step]
        peer.sendall(f"{len(part):x}\r\n".encode() + part + b"\r\n")
    peer.sendall(b"0\r\n\r\n")


def begin(peer, body, kind="application/x-ndjson"):
    """The beginning of an answer that will not end."""
    peer.sendall(f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n"
                 .encode() + f"{len(body):x}\r\n".encode() + body + b"\r\n")


OLLAMA = ('{"model":"m","response":"Staff é","done":false}\n'
          '{"model":"m","response":" 中😀","done":false}\n'
          '{"model":"m","response":"","done":true,"eval_count":9}\n').encode()
OPENAI = (': hello\n\ndata: {"choices":[{"delta":{"role":"assistant"}}]}\n\n'
          'data: {"choices":[{"delta":{"content":"Staff é"}}]}\n\n'
          'data: {"choices":[{"delta":{"content":" 中😀"}}]}\r\n\r\ndata: [DONE]\n\n').encode()


def ask(program, kind, url, prompt="Hi", deadline_ms=20000, attempts=3, model="m", times=1, pause_ms=0):
    start = time.monotonic()
    done = subprocess.run([program, kind, url, model, prompt, str(deadline_ms), str(attempts), str(times),
                           str(pause_ms)],
                          capture_output=True, timeout=180)
    return done.returncode, done.stdout.decode(), time.monotonic() - start


def faults(program):
    for kind, whole in (("ollama", OLLAMA), ("openai", OPENAI)):
        for step in (1, 2, 3, 7, 1000):
            double = Double(lambda n, peer, body, s=step: reply(peer, whole, pieces=s))
            code, out, _ = ask(program, kind, double.url)
            check(f"{kind}: an answer in pieces of {step} bytes",
                  code == 0 and out.startswith("Staff é 中😀\n[started"), out)
            double.close()

        double = Double(lambda n, peer, body: begin(peer, whole[:whole.rindex(b"Staff") + 40]))
        code, out, _ = ask(program, kind, double.url)
        check(f"{kind}: death in mid-answer is an error after the text, without a second try",
              code == 14 and "[started" in out and len(double.requests) == 1, out)
        double.close()

        double = Double(lambda n, peer, body: None)
        code, out, _ = ask(program, kind, double.url)
        check(f"{kind}: death before the first token is tried three times",
              code == 14 and "[not started" in out and len(double.requests) == 3, out)
        double.close()

        for _ in range(3):  # a while that other work of the machine may make shorter than the call after it, once
            double = Double(lambda n, peer, body: None)
            code, out, _ = ask(program, kind, double.url, times=4)
            asked = len(double.requests)
            double.close()
            if asked == 3:
                break
        check(f"{kind}: a server that failed three times is left alone for a while",
              code == 14 and out.count("[not started") == 4 and asked == 3, f"{asked} requests: {out}")

        double = Double(lambda n, peer, body: None if n < 3 else reply(peer, whole))
        code, out, _ = ask(program, kind, double.url, times=2, pause_ms=600)
        check(f"{kind}: and asked again when it is back", code == 0 and "Staff" in out, out)
        double.close()

        double = Double(lambda n, peer, body: reply(
            peer, b'{"error":"loading"}', "503 Service Unavailable") if n < 3
            else reply(peer, whole))
        code, out, _ = ask(program, kind, double.url)
        check(f"{kind}: a server that is loading is asked again",
              code == 0 and out.startswith("Staff") and len(double.requests) == 3, out)
        double.close()

        double = Double(lambda n, peer, body: reply(
            peer, b'{"error":"model \'m\' not found"}', "404 Not Found"))
        code, out, _ = ask(program, kind, double.url)
        check(f"{kind}: a refusal is told in the server's words, and not tried again",
              code == 14 and "model 'm' not found" in out and len(double.requests) == 1, out)
        double.close()

        garbage = b"data: <html>\n" if kind == "openai" else b"<html>\n"
        double = Double(lambda n, peer, body, g=garbage: reply(peer, g * 100))
        code, out, _ = ask(program, kind, double.url)
        check(f"{kind}: garbage is an error", code == 7 and "[not started" in out, out)
        double.close()

        double = Double(lambda n, peer, body: reply(peer, b"data: x" + b"y" * 3_000_000))
        code, out, _ = ask(program, kind, double.url)
        check(f"{kind}: an endless line is an error", code == 5, out[-200:])
        double.close()

        def dawdle(n, peer, body):
            begin(peer, whole[:whole.rindex(b"Staff") + 40])
            time.sleep(20)
        double = Double(dawdle)
        code, out, took = ask(program, kind, double.url, deadline_ms=700)
        check(f"{kind}: a slow server does not hold a call past its deadline",
              code == 9 and took < 10, f"{code} {took:.1f} s {out}")
        double.close()

        code, out, took = ask(program, kind, "http://127.0.0.1:9", attempts=1)
        check(f"{kind}: nobody there", code == 14 and "[not started" in out and took < 15, out)
        code, out, _ = ask(program, kind, "127.0.0.1:9")
        check(f"{kind}: an address that is none", code == 1, out)

    double = Double(lambda n, peer, body: reply(peer, OLLAMA))
    ask(program, "ollama", double.url + "/", 'say "hi"')
    head, body = double.requests[0]
    sent = json.loads(body)
    check("ollama: the request is that of the contract",
          head.startswith("POST /api/generate ") and sent["prompt"] == 'say "hi"'
          and sent["stream"] is True and sent["model"] == "m"
          and set(sent["options"]) >= {"temperature", "num_predict", "top_p", "top_k"}, head)
    double.close()
    for base in ("", "/v1", "/v1/"):
        double = Double(lambda n, peer, body: reply(peer, OPENAI, kind="text/event-stream"))
        ask(program, "openai", double.url + base, "hi")
        head, body = double.requests[0]
        check(f"openai: the request, base address ending in \"{base}\"",
              head.startswith("POST /v1/chat/completions ")
              and "authorization: bearer test-key" in head.lower()
              and json.loads(body)["messages"] == [{"role": "user", "content": "hi"}], head)
        double.close()
    double = Double(lambda n, peer, body: reply(peer, b'{"models":[]}'))
    code, _, _ = ask(program, "ollama", double.url, "-")
    check("ollama: health", code == 0 and double.requests[0][0].startswith("GET /api/tags "))
    double.close()


def stream_of(program, question, home, **settings):
    """What `tars ask` prints, and how long after its start each part of it came."""
    env = dict(os.environ, **settings)
    env.pop("LLM_MODEL_PATH", None)
    start = time.monotonic()
    run = subprocess.Popen([program, "ask", question, "--data", home], env=env,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    parts = []
    while True:
        part = os.read(run.stdout.fileno(), 65536)
        if not part:
            break
        parts.append((time.monotonic() - start, part))
    return run.wait(60), parts


def whole_program(program):
    """`tars ask` writes while the server does, and quotes where there is none."""
    question = "How many days of annual leave do employees get?"
    said = b"Employees get 28 days of paid annual leave in a calendar year."
    with tempfile.TemporaryDirectory() as home:
        done = subprocess.run([program, "ingest", str(ROOT / "samples/handbook"), "--data", home],
                              capture_output=True, timeout=120)
        check("tars: takes in the handbook", done.returncode == 0, done.stderr.decode())

        def slowly(n, peer, body):
            if not body:
                reply(peer, b'{"models":[]}')
                return
            first, rest = said[:9], said[9:]
            begin(peer, json.dumps({"response": first.decode(), "done": False}).encode() + b"\n")
            time.sleep(3)
            line = (json.dumps({"response": rest.decode(), "done": True}) + "\n").encode()
            peer.sendall(f"{len(line):x}\r\n".encode() + line + b"\r\n0\r\n\r\n")
        double = Double(slowly)
        code, parts = stream_of(program, question, home, LLM_BACKEND="ollama",
                                OLLAMA_HOST=double.url)
        out = b"".join(part for _, part in parts)
        check("tars: answers with the server's words, cited",
              code == 0 and out.startswith(said) and b"supported   [1] Employees get 28" in out,
              out)
        first = parts[0][0] if parts else 0
        last = parts[-1][0] if parts else 0
        check("tars: shows the first words while the rest is written", last - first > 2,
              f"first after {first:.1f} s, last after {last:.1f} s")
        sent = json.loads(double.requests[-1][1])
        check("tars: the prompt has the contract's shape",
              sent["prompt"].startswith("Context:\n[Source 1: leave.md]\n")
              and sent["prompt"].endswith(f"\n\nQuestion: {question}\n\nAnswer:")
              and "T.A.R.S." in sent["system"], sent)
        double.close()
        code, parts = stream_of(program, question, home, LLM_BACKEND="auto",
                                OLLAMA_HOST="http://127.0.0.1:9")
        out = b"".join(part for _, part in parts)
        check("tars: quotes where no server is", code == 0 and b"28 days" in out
              and b"(extract," in out, out)


def install_openai():
    """An interpreter that has llama_cpp.server; "" where it cannot be had."""
    place = CACHE / "llama-server-0.3.36"
    python = place / "bin/python"
    if not (place / "ready").exists():
        print("installing llama-cpp-python[server] (some minutes, once) ...", flush=True)
        shutil.rmtree(place, ignore_errors=True)
        env = dict(os.environ, CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON "
                                          "-DGGML_F16C=ON -DLLAVA_BUILD=OFF")
        try:
            subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
            subprocess.run([str(python), "-m", "pip", "install", "-q", "--no-cache-dir",
                            "llama-cpp-python[server]==0.3.36"], check=True, env=env)
        except subprocess.CalledProcessError as error:
            check("real OpenAI-compatible server: installs", False, error)
            return ""
        (place / "ready").touch()
    return str(python)


def install_ollama():
    """The path of Ollama, built by Go below the cache; "" where it cannot be had."""
    place = CACHE / "ollama-0.17.4"
    binary = place / "ollama"
    if binary.exists():
        return str(binary)
    if not shutil.which("go"):
        skip("Ollama", "neither ollama nor go on the PATH")
        return ""
    print("building Ollama (some minutes, once) ...", flush=True)
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        # Its C++ part wants headers that its Go module leaves out.
        package = "llama_cpp_python-0.3.36"
        done = subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps",
                               "--no-binary", "llama-cpp-python", "-d", work,
                               "llama-cpp-python==0.3.36"], capture_output=True)
        source = pathlib.Path(work) / f"{package}.tar.gz"
        if source.exists():
            subprocess.run(["tar", "-xzf", source, "-C", work,
                            f"{package}/vendor/llama.cpp/vendor"], check=True)
            done = subprocess.run(
                ["go", "install", "github.com/ollama/ollama@v0.17.4"], capture_output=True,
                env=dict(os.environ, GOBIN=str(place),
                         CPATH=f"{work}/{package}/vendor/llama.cpp/vendor"))
    if not binary.exists():
        skip("Ollama", "it does not build here: " + done.stderr.decode()[-300:])
        return ""
    return str(binary)


def wait_for(url, seconds, process):
    for _ in range(seconds * 5):
        if process.poll() is not None:
            return False
        try:
            urllib.request.urlopen(url, timeout=2).read()
            return True
        except OSError:
            time.sleep(0.2)
    return False


def streams(kind, *arguments):
    """tests/e2e/chat_streams.py: the same model server, asked through a chat socket."""
    global PASSED, FAILED
    python = subprocess.run([ROOT / "tests/support/venv"], check=True, stdout=subprocess.PIPE,
                            text=True).stdout.strip()
    done = subprocess.run([python, "-B", str(ROOT / "tests/e2e/chat_streams.py"), kind, *arguments],
                          env=dict(os.environ, TARS=TARS), stdout=subprocess.PIPE, text=True,
                          timeout=1200)
    lines = done.stdout.splitlines()
    for line in lines[:-1]:
        print(line, flush=True)
    counts = re.fullmatch(r"(\d+) passed, (\d+) failed", lines[-1] if lines else "")
    if counts:
        PASSED, FAILED = PASSED + int(counts[1]), FAILED + int(counts[2])
    else:
        check(f"{kind}: chat streams run to their end", False, done.stdout[-400:])


def real_openai(program, python, model, libs):
    port = free_port()
    env = dict(os.environ)
    if libs:
        env.update(LLAMA_CPP_LIB_PATH=libs, LD_LIBRARY_PATH=libs)
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            [python, "-m", "llama_cpp.server", "--model", model, "--host", "127.0.0.1",
             "--port", str(port), "--n_ctx", "1024", "--n_threads", "2"],
            env=env, stdout=log, stderr=log)
        url = f"http://127.0.0.1:{port}"
        try:
            up = wait_for(url + "/v1/models", 90, server)
            log.seek(0)
            check("real OpenAI-compatible server: starts", up, log.read()[-800:].decode(errors="replace")
                  if not up else "")
            if not up:
                return
            code, out, _ = ask(program, "openai", url, "-")
            check("real OpenAI-compatible server: health", code == 0, out)
            code, out, took = ask(program, "openai", url + "/v1",
                                  "What is the capital of France?", 60000)
            check(f"real OpenAI-compatible server: answers ({took:.1f} s)",
                  code == 0 and "Paris" in out, out)
            code, out, took = ask(program, "openai", url, "Tell me a long story.", 400, 1)
            check("real OpenAI-compatible server: a deadline holds", code in (9, 0) and took < 4,
                  f"{code} {took:.1f}")
        finally:
            server.terminate()
            server.wait(20)


def real_ollama(program, model):
    binary = shutil.which("ollama") or install_ollama()
    if not binary:
        return
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile() as log:
        port = free_port()
        env = dict(os.environ, HOME=home, OLLAMA_HOST=f"127.0.0.1:{port}",
                   OLLAMA_MODELS=f"{home}/models")
        server = subprocess.Popen([binary, "serve"], env=env, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            check("Ollama: starts", wait_for(url + "/api/tags", 60, server))
            recipe = pathlib.Path(home) / "Modelfile"
            recipe.write_text(f"FROM {model}\n", encoding="utf-8")
            subprocess.run([binary, "create", "small", "-f", str(recipe)], env=env, check=True,
                           capture_output=True, timeout=300)
            code, out, took = ask(program, "ollama", url, "What is the capital of France?", 110000,
                                  model="small")
            check(f"Ollama: answers ({took:.1f} s)", code == 0 and "Paris" in out, out)
            code, out, _ = ask(program, "ollama", url, "Hi", model="absent")
            check("Ollama: a model that is not there", code == 14 and "not found" in out, out)
        finally:
            server.terminate()
            server.wait(20)
    streams("ollama", "--model", model, "--ollama", binary)


def main():
    parser = argparse.ArgumentParser()
    beside = pathlib.Path(TARS).parent / "e2e_llm_ask"
    parser.add_argument("program", nargs="?", default=str(beside))
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--real", default="", help="python with llama_cpp.server")
    parser.add_argument("--libs", default="", help="shared llama.cpp libraries for it")
    parser.add_argument("--model", default=str(CACHE / "models/SmolLM2-135M-Instruct.Q4_1.gguf"))
    args = parser.parse_args()
    if not os.path.exists(args.program):
        subprocess.run([ROOT / "scripts/build", "release", "e2e_llm_ask"], check=True)
    faults(args.program)
    whole_program(TARS)
    if not os.path.exists(args.model):
        skip("real servers", f"{args.model} is missing")
    else:
        python = args.real or (install_openai() if args.full else "")
        if python or args.full:
            streams("llama", "--model", args.model)
        if python:
            real_openai(args.program, python, args.model, args.libs)
            streams("openai", "--model", args.model, "--python", python, "--libs", args.libs)
        else:
            skip("real OpenAI-compatible server", "neither --full nor --real PYTHON")
        if args.full:
            real_ollama(args.program, args.model)
    print(f"({SKIPPED} skipped)")
    print(f"{PASSED} passed, {FAILED} failed")
    return 1 if FAILED else 0


if __name__ == "__main__":
    sys.exit(main())
