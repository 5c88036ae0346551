"""A stand-in for Ollama that writes what a test wants, piece by piece, and tells how it was asked."""
import http.server
import json
import threading
import time

PATIENCE = 60  # seconds; for machines that are busy


class Ollama:
    def __init__(self):
        self.pieces, self.pause, self.breaks_after = ["Hello", ",", " world"], 0.0, None
        self.asked, self.gone = [], threading.Event()
        self.may_write = None  # a semaphore: each piece takes one of it
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                self.answer(b'{"models":[]}')

            def answer(self, body):
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def line(self, **fields):
                data = json.dumps(fields).encode() + b"\n"
                self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
                self.wfile.flush()

            def do_POST(self):
                outer.asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                pieces, pause, breaks, gate = outer.pieces, outer.pause, outer.breaks_after, outer.may_write
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                try:
                    for n, piece in enumerate(pieces):
                        if gate:
                            gate.acquire(timeout=PATIENCE)
                        if n == breaks:
                            self.close_connection = True
                            self.connection.shutdown(2)
                            return
                        self.line(model="m", response=piece, done=False)
                        time.sleep(pause)
                    self.line(model="m", response="", done=True, eval_count=len(pieces))
                    self.wfile.write(b"0\r\n\r\n")
                except OSError:
                    self.close_connection = True
                    outer.gone.set()

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
