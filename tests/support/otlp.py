"""What exports traces, seen from the other end: a receiver of OTLP over HTTP in JSON that parses strictly, with
OpenTelemetry's own protobuf definitions, and spans that are easy to ask.

The receiver can be made to fail in every way that a collector fails: see Receiver.plan.
"""
import base64
import http.server
import json
import re
import threading
import time

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.semconv import attributes as stable
from opentelemetry.semconv._incubating import attributes as incubating


def known_names():
    """Every attribute that the semantic conventions name."""
    import importlib
    import pkgutil
    names = set()
    for package in (stable, incubating):
        for module in pkgutil.iter_modules(package.__path__):
            for key, value in vars(importlib.import_module(f"{package.__name__}.{module.name}")).items():
                if key.isupper() and isinstance(value, str):
                    names.add(value)
    return names


def value_of(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(item) for item in value.array_value.values]
    return getattr(value, kind)


def attributes_of(attributes):
    keys = [attribute.key for attribute in attributes]
    if len(set(keys)) != len(keys):
        raise AssertionError(f"an attribute twice: {keys}")
    return {attribute.key: value_of(attribute.value) for attribute in attributes}


class Span:
    def __init__(self, span, resource, scope):
        self.name, self.kind, self.flags, self.state = span.name, span.kind, span.flags, span.trace_state
        self.trace, self.id, self.parent = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
        self.start, self.end = span.start_time_unix_nano, span.end_time_unix_nano
        self.attributes, self.resource, self.scope = attributes_of(span.attributes), resource, scope
        self.events = [(event.name, event.time_unix_nano, attributes_of(event.attributes)) for event in span.events]
        self.code, self.message = span.status.code, span.status.message

    def __repr__(self):
        return f"{self.name} {self.id}<{self.parent} {self.attributes}"


def parse(text):
    """The spans of a request's body. OTLP's JSON has ids in hex where protobuf's has base64; all else is protobuf's,
    and what it does not know is an error."""
    def to_base64(match):
        return f'"{match[1]}":"{base64.b64encode(bytes.fromhex(match[2])).decode()}"'

    # Ids stand before anything that people wrote, and quotes in that are escaped.
    text = re.sub(r'"(traceId|spanId|parentSpanId)":"([0-9a-f]*)"', to_base64, text)
    request = json_format.Parse(text, ExportTraceServiceRequest(), ignore_unknown_fields=False)
    spans = []
    for resource in request.resource_spans:
        for scope in resource.scope_spans:
            spans += [Span(span, attributes_of(resource.resource.attributes), scope.scope) for span in scope.spans]
    return spans


def check_spans(test, spans):
    """What is true of any spans: ids, times that nest, parents that are there, names that the conventions know."""
    names = known_names()
    by_id = {span.id: span for span in spans}
    test.assertEqual(len(by_id), len(spans), "a span's id twice")
    for span in spans:
        test.assertRegex(span.trace, "^[0-9a-f]{32}$")
        test.assertNotEqual(span.trace, "0" * 32)
        test.assertRegex(span.id, "^[0-9a-f]{16}$")
        test.assertLessEqual(span.start, span.end)
        test.assertAlmostEqual(span.end / 1e9, time.time(), delta=600)
        test.assertTrue(span.name)
        for key in span.attributes:
            test.assertTrue(key in names or key.startswith("tars."), f"{key} is no name of the conventions")
        for key in span.resource:
            test.assertIn(key, names)
        for name, at, attributes in span.events:
            test.assertEqual(name, "exception")
            test.assertTrue(span.start <= at <= span.end)
            test.assertLessEqual(set(attributes), names)
        remote = bool(span.flags & 0x200)
        if span.parent and not remote:
            parent = by_id[span.parent]
            test.assertEqual(parent.trace, span.trace)
            test.assertTrue(parent.start <= span.start and span.end <= parent.end, f"{span} is not within {parent}")


class Receiver:
    """plan: what the next requests get, first to last, then 200 for ever: (status, headers, body), or "hang" (no
    answer until the receiver is closed), or "cut" (the connection is closed)."""

    def __init__(self):
        self.spans, self.requests, self.plan = [], [], []
        self.lock, self.closing = threading.Lock(), threading.Event()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                outer.take(self)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def take(self, handler):
        body = handler.rfile.read(int(handler.headers["Content-Length"])).decode()
        with self.lock:
            planned = self.plan.pop(0) if self.plan else (200, {}, "{}")
            self.requests.append((time.monotonic(), handler.path, dict(handler.headers), body))
        if planned == "hang":
            self.closing.wait()
        if planned in ("hang", "cut"):
            handler.close_connection = True
            return
        status, headers, answer = planned
        if status == 200:
            spans = parse(body)
            with self.lock:
                self.spans += spans
        handler.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(answer)))
        handler.end_headers()
        handler.wfile.write(answer.encode())

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def wait(self, good, seconds=60):
        """Wait until good(spans) is true, and give the spans."""
        until = time.monotonic() + seconds
        while True:
            with self.lock:
                spans = list(self.spans)
            if good(spans):
                return spans
            if time.monotonic() > until:
                raise AssertionError(f"these spans did not come to what was waited for: {spans}")
            time.sleep(0.02)

    def text(self):
        """All that was ever sent here."""
        with self.lock:
            return "\n".join(body for *_, body in self.requests)


def read_lines(path):
    """The spans of a collector's file: a line a batch."""
    with open(path, encoding="utf-8") as file:
        return [span for line in file for span in parse(json.dumps(json.loads(line), separators=(",", ":")))]
