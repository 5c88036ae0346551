"""A stand-in for Ollama that writes what it is told to: for tests that need a writer whose words are known.

The answer to a prompt that holds WORD:<n> is n pieces "piece0 " ...; any other gets three. A prompt with
BREAK in it is broken off after two pieces, one with REFUSE gets status 500, one with DENY 400, SLOW waits between
pieces.
Run as a program (fake_ollama.py PORT) it can be killed and stopped like a real one.
"""
import http.server
import json
import re
import sys
import threading
import time

MODEL = "fake:1b"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def reply(self, body, status=200):
        raw = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_GET(self):
        self.reply({"models": [{"name": MODEL, "model": MODEL}]})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])) or b"{}")
        self.server.seen.append((self.path, body))
        self.server.heads.append(self.headers)
        if self.path != "/api/generate":
            self.reply({})
            return
        prompt = body.get("prompt", "")
        if "REFUSE" in prompt:
            self.reply({"error": "refused"}, 500)
            return
        if "DENY" in prompt:
            self.reply({"error": "denied"}, 400)
            return
        count = re.search(r"WORD:(\d+)", prompt)
        self.pieces(prompt, int(count.group(1)) if count else 3)

    def pieces(self, prompt, count):
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for number in range(count):
                if "BREAK" in prompt and number == 2:
                    self.close_connection = True
                    self.connection.close()
                    return
                self.line({"model": MODEL, "response": f"piece{number} ", "done": False})
                if "SLOW" in prompt:
                    time.sleep(0.05)
            self.line({"model": MODEL, "response": "", "done": True, "eval_count": count, "prompt_eval_count": 7})
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.server.hung_up.set()

    def line(self, value):
        raw = json.dumps(value).encode() + b"\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))
        self.wfile.flush()


class FakeOllama:
    def __init__(self, port=0):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        self.server.seen, self.server.heads, self.server.hung_up = [], [], threading.Event()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


if __name__ == "__main__":
    FakeOllama(int(sys.argv[1])).thread.join()
