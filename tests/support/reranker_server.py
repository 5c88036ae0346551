"""A reranker behind HTTP that speaks both interfaces that T.A.R.S. knows, as their documents describe them:

    POST /rerank     text-embeddings-inference: {"query", "texts"} -> [{"index", "score"}], best first; a body
                     without texts is 422
    POST /v1/rerank  Cohere and Jina: {"model", "query", "documents", "top_n"} -> {"results": [{"index",
                     "relevance_score"}]}, best first; a body without documents is 422

It really reads: the score is by the share of a passage's words that are among those of the query, and by whether
"gold" stands in it: so a test says by that word what is to come first. mode makes it fail: "hang",
"garbage", "refuse" (500), "deny" (401), "slow" (0.2 s). seen holds the bodies, heads the headers.
"""
import http.server
import json
import threading
import time


def score(query, text):
    words = set(query.lower().split())
    held = text.lower().split()
    share = sum(word.strip(".,?") in words for word in held) / max(len(held), 1)
    return min(0.05 + 0.3 * share + 0.6 * ("gold" in text.lower()), 1.0)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def reply(self, body, status=200):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with server.lock:
            server.seen.append((self.path, body))
            server.heads.append(self.headers)
        mode = server.mode
        if mode == "hang":
            server.over.wait(30)
            self.close_connection = True
        elif mode == "garbage":
            self.reply(b"<html>[1, 2")
        elif mode == "refuse":
            self.reply({"error": "overloaded", "error_type": "overloaded"}, 500)
        elif mode == "deny":
            self.reply({"message": "invalid api token"}, 401)
        else:
            if mode == "slow":
                time.sleep(0.2)
            self.rank(body)

    def rank(self, body):
        cohere = self.path == "/v1/rerank"
        texts = body.get("documents" if cohere else "texts")
        if not isinstance(texts, list) or not isinstance(body.get("query"), str):
            self.reply({"error": "Failed to deserialize the JSON body into the target type"}, 422)
            return
        scores = sorted(((score(body["query"], text), index) for index, text in enumerate(texts)), reverse=True)
        name = "relevance_score" if cohere else "score"
        results = [{"index": index, name: value} for value, index in scores]
        if not cohere:
            self.reply(results)
            return
        self.reply({"id": "1", "model": body.get("model"), "results": results[:body.get("top_n", len(results))]})


class Reranker:
    def __init__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.seen, self.server.heads, self.server.mode = [], [], ""
        self.server.lock, self.server.over = threading.Lock(), threading.Event()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def seen(self):
        return self.server.seen

    @property
    def heads(self):
        return self.server.heads

    def set_mode(self, mode):
        self.server.mode = mode

    def stop(self):
        self.server.over.set()
        self.server.shutdown()
        self.server.server_close()
