"""Traces as clients and readers of the log see them."""
import json
import os
import subprocess
import unittest

from server import ServerTest, TARS, environment

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"


class LogTest(ServerTest):
    """Every request has a trace's id, recorded or not; its lines carry it."""

    @classmethod
    def start(cls):
        cls.log = open(os.path.join(cls.data, "log"), "wb")
        cls.process = subprocess.Popen([TARS, "serve", "--port", "0", "--json"], cwd=cls.data, stderr=cls.log,
                                       env=environment(cls.data, LOG_LEVEL="DEBUG"), stdout=subprocess.PIPE, text=True)
        cls.url = json.loads(cls.process.stdout.readline())["url"]
        cls.port = int(cls.url.rsplit(":", 1)[1])

    @classmethod
    def stop(cls):
        code = super().stop()
        cls.log.close()
        return code

    def line_of(self, headers, path="/health"):
        """What the log says of a request."""
        request_id = self.ask("GET", path, headers=headers).headers["x-request-id"]
        with open(self.log.name, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file if line.startswith("{")]
        line, = [line for line in lines if line.get("request_id") == request_id]
        return line

    def test_own_trace(self):
        line = self.line_of({})
        self.assertEqual(line["trace_id"], line["request_id"])
        line = self.line_of({"X-Request-ID": "mine-1"})
        self.assertEqual(line["request_id"], "mine-1")
        self.assertRegex(line["trace_id"], "^[0-9a-f]{32}$")

    def test_callers_trace(self):
        line = self.line_of({"traceparent": f"00-{TRACE}-{SPAN}-01", "tracestate": "a=b"})
        self.assertEqual(line["trace_id"], TRACE)
        self.assertNotEqual(line["request_id"], TRACE)
        self.assertEqual(self.line_of({"Traceparent": f"cc-{TRACE}-{SPAN}-00-more"}, "/nope")["trace_id"], TRACE)

    def test_bad_trace_of_caller(self):
        for bad in (f"00-{TRACE}-{SPAN}", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", "", "x" * 5000):
            line = self.line_of({"traceparent": bad})
            self.assertEqual(line["trace_id"], line["request_id"], bad)


if __name__ == "__main__":
    unittest.main()
