"""Requests made to be read in two ways: each is refused with the status it deserves, the connection is
closed, and what follows it on the same connection is never answered."""
import re
import socket
import time
import unittest

from server import ServerTest

SECOND = b"GET /ready HTTP/1.1\r\nHost: localhost\r\n\r\n"
SEARCH = b'{"query":"x"}'


def post(*headers, body=SEARCH):
    return b"POST /rag/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" + \
        b"".join(h + b"\r\n" for h in headers) + b"\r\n" + body


def get(line=b"GET /health HTTP/1.1", *headers, host=b"Host: localhost", end=b"\r\n"):
    lines = [line] + ([host] if host else []) + list(headers)
    return end.join(lines) + end + end


TE = b"Transfer-Encoding: chunked"
CHUNKS = b"d\r\n" + SEARCH + b"\r\n0\r\n\r\n"

# name: (bytes, the statuses that are right)
CASES = {
    # Two lengths.
    "CL.TE": (post(b"Content-Length: 6", TE, body=b"0\r\n\r\nG"), {400}),
    "TE.CL": (post(TE, b"Content-Length: 4", body=CHUNKS), {400}),
    "CL and TE that agree": (post(b"Content-Length: %d" % len(CHUNKS), TE, body=CHUNKS), {400}),
    "two CL that differ": (post(b"Content-Length: 13", b"Content-Length: 0"), {400}),
    "two CL that agree": (post(b"Content-Length: 13", b"Content-Length: 13"), {400}),
    "CL list": (post(b"Content-Length: 13, 13"), {400}),
    "CL list that differs": (post(b"Content-Length: 13, 0"), {400}),
    "CL with a plus": (post(b"Content-Length: +13"), {400}),
    "CL with a minus": (post(b"Content-Length: -1"), {400}),
    "CL in hexadecimal": (post(b"Content-Length: 0xd"), {400}),
    "CL with a space inside": (post(b"Content-Length: 1 3"), {400}),
    "CL with a fraction": (post(b"Content-Length: 13.0"), {400}),
    "CL in other digits": (post("Content-Length: \u0661\u0663".encode()), {400}),
    "CL empty": (post(b"Content-Length:"), {400}),
    "CL with a NUL": (post(b"Content-Length: 13\x00"), {400}),
    "CL over 64 bits": (post(b"Content-Length: 18446744073709551629"), {400, 413}),
    "CL over 63 bits": (post(b"Content-Length: 9223372036854775821"), {400, 413}),
    "CL and no body on GET, then TE": (get(b"GET /health HTTP/1.1", b"Content-Length: 5", TE), {400}),
    # Transfer codings.
    "TE with a tab before": (post(b"Transfer-Encoding:\tchunked, identity", body=CHUNKS), {400, 501}),
    "TE xchunked": (post(b"Transfer-Encoding: xchunked", body=CHUNKS), {400, 501}),
    "TE identity": (post(b"Transfer-Encoding: identity", body=CHUNKS), {400, 501}),
    "TE gzip, chunked": (post(b"Transfer-Encoding: gzip, chunked", body=CHUNKS), {400, 501}),
    "TE chunked, identity": (post(b"Transfer-Encoding: chunked, identity", body=CHUNKS), {400, 501}),
    "TE chunked twice": (post(TE, TE, body=CHUNKS), {400}),
    "TE chunked, chunked": (post(b"Transfer-Encoding: chunked, chunked", body=CHUNKS), {400, 501}),
    "TE chunked and cow": (post(TE, b"Transfer-Encoding: cow", body=CHUNKS), {400, 501}),
    "TE quoted": (post(b'Transfer-Encoding: "chunked"', body=CHUNKS), {400, 501}),
    "TE with a space before the colon": (post(b"Transfer-Encoding : chunked", body=CHUNKS), {400}),
    "TE with a leading space": (post(b" Transfer-Encoding: chunked", body=CHUNKS), {400}),
    "TE after a vertical tab": (post(b"Transfer-Encoding:\x0bchunked", body=CHUNKS), {400, 501}),
    "TE before a vertical tab": (post(b"Transfer-Encoding: chunked\x0b", body=CHUNKS), {400, 501}),
    "TE with a NUL": (post(b"Transfer-Encoding: chunked\x00", body=CHUNKS), {400, 501}),
    "TE with a parameter": (post(b"Transfer-Encoding: chunked;q=1", body=CHUNKS), {400, 501}),
    "TE empty": (post(b"Transfer-Encoding:", body=CHUNKS), {400, 501}),
    "TE folded": (post(b"Transfer-Encoding:\r\n chunked", body=CHUNKS), {400}),
    "TE in HTTP/1.0": (post(TE, body=CHUNKS).replace(b"HTTP/1.1", b"HTTP/1.0"), {400}),
    "TE with an underscore and CL": (post(b"Transfer-Encoding: chunked", b"Content_Length: 4",
                                          b"Content-Length: 4", body=CHUNKS), {400}),
    # Chunks.
    "chunk size not hexadecimal": (post(TE, body=b"z\r\n" + SEARCH + b"\r\n0\r\n\r\n"), {400}),
    "chunk size with 0x": (post(TE, body=b"0xd\r\n" + SEARCH + b"\r\n0\r\n\r\n"), {400}),
    "chunk size with a minus": (post(TE, body=b"-1\r\n" + SEARCH + b"\r\n0\r\n\r\n"), {400}),
    "chunk size with a plus": (post(TE, body=b"+d\r\n" + SEARCH + b"\r\n0\r\n\r\n"), {400}),
    "chunk size with a leading space": (post(TE, body=b" d\r\n" + SEARCH + b"\r\n0\r\n\r\n"), {400}),
    "chunk size empty": (post(TE, body=b"\r\n" + SEARCH + b"\r\n0\r\n\r\n"), {400}),
    "chunk size over 64 bits": (post(TE, body=b"1000000000000000d\r\n" + SEARCH + b"\r\n0\r\n\r\n"), {400, 413}),
    "chunk size wraps to 13": (post(TE, body=b"f" * 16 + b"\r\n" + SEARCH + b"\r\n0\r\n\r\n"), {400, 413}),
    "chunk longer than its size": (post(TE, body=b"2\r\n" + SEARCH + b"\r\n0\r\n\r\n"), {400}),
    "chunk without CRLF after": (post(TE, body=b"d\r\n" + SEARCH + b"0\r\n\r\n"), {400}),
    "chunk ended by a bare LF": (post(TE, body=b"d\n" + SEARCH + b"\r\n0\r\n\r\n"), {400}),
    "chunk data ended by a bare LF": (post(TE, body=b"d\r\n" + SEARCH + b"\n0\r\n\r\n"), {400}),
    "chunk ended by a bare CR": (post(TE, body=b"d\r" + SEARCH + b"\r\n0\r\n\r\n"), {400}),
    "chunk extension with a bare LF": (post(TE, body=b"d;a\n=b\r\n" + SEARCH + b"\r\n0\r\n\r\n"), {400}),
    "chunk extension without end": (post(TE, body=b"d;" + b"a" * 100000 + b"\r\n"), {400, 413, 431}),
    "last chunk ended by a bare LF": (post(TE, body=b"d\r\n" + SEARCH + b"\r\n0\n\n"), {400}),
    "trailer with a space before the colon": (post(TE, body=CHUNKS[:-2] + b"A : b\r\n\r\n"), {400}),
    "trailer without a colon": (post(TE, body=CHUNKS[:-2] + b"abc\r\n\r\n"), {400}),
    "trailers without end": (post(TE, body=CHUNKS[:-2] + b"A: b\r\n" * 20000), {400, 413, 431}),
    # Lines and names.
    "obs-fold with a space": (get(b"GET /health HTTP/1.1", b"X-A: b\r\n c"), {400}),
    "obs-fold with a tab": (get(b"GET /health HTTP/1.1", b"X-A: b\r\n\tc"), {400}),
    "obs-fold of the first header": (get(b"GET /health HTTP/1.1", host=b" Host: localhost"), {400}),
    "bare LF everywhere": (get(end=b"\n"), {400}),
    "bare LF in a header": (get(b"GET /health HTTP/1.1", b"X-A: b\nX-B: c"), {400}),
    "bare CR in a header": (get(b"GET /health HTTP/1.1", b"X-A: b\rX-B: c"), {400}),
    "bare CR as an end": (get(end=b"\r"), {400}),
    "NUL in a value": (get(b"GET /health HTTP/1.1", b"X-A: b\x00c"), {400}),
    "NUL in a name": (get(b"GET /health HTTP/1.1", b"X\x00A: b"), {400}),
    "NUL in the path": (get(b"GET /hea\x00lth HTTP/1.1"), {400}),
    "control character in a value": (get(b"GET /health HTTP/1.1", b"X-A: b\x01c"), {400}),
    "DEL in a value": (get(b"GET /health HTTP/1.1", b"X-A: b\x7fc"), {400}),
    "space before a colon": (get(b"GET /health HTTP/1.1", b"X-A : b"), {400}),
    "tab before a colon": (get(b"GET /health HTTP/1.1", b"X-A\t: b"), {400}),
    "no colon": (get(b"GET /health HTTP/1.1", b"X-A"), {400}),
    "no name": (get(b"GET /health HTTP/1.1", b": b"), {400}),
    "name in other letters": (get(b"GET /health HTTP/1.1", "X-\u00c4: b".encode()), {400}),
    "name in parentheses": (get(b"GET /health HTTP/1.1", b"X(A): b"), {400}),
    # The request line.
    "two spaces after the method": (get(b"GET  /health HTTP/1.1"), {400}),
    "two spaces before the version": (get(b"GET /health  HTTP/1.1"), {400}),
    "a space before the method": (get(b" GET /health HTTP/1.1"), {400}),
    "a tab after the method": (get(b"GET\t/health HTTP/1.1"), {400}),
    "a space in the path": (get(b"GET /hea lth HTTP/1.1"), {400}),
    "no version": (get(b"GET /health"), {400}),
    "HTTP/0.9": (get(b"GET /health HTTP/0.9"), {400, 505}),
    "HTTP/1.2": (get(b"GET /health HTTP/1.2"), {400, 505}),
    "HTTP/2.0": (get(b"GET /health HTTP/2.0"), {400, 505}),
    "http/1.1": (get(b"GET /health http/1.1"), {400}),
    "HTTP/1.10": (get(b"GET /health HTTP/1.10"), {400, 505}),
    "HTTP/01.1": (get(b"GET /health HTTP/01.1"), {400, 505}),
    "space after the version": (get(b"GET /health HTTP/1.1 "), {400}),
    "method with a parenthesis": (get(b"G(T /health HTTP/1.1"), {400}),
    "path without a slash": (get(b"GET health HTTP/1.1"), {400}),
    "a fragment": (get(b"GET /health#x HTTP/1.1"), {400, 404}),
    "CONNECT": (get(b"CONNECT example.org:443 HTTP/1.1"), {400, 405, 501}),
    "PRI of HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
    "a TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64 + b"\r\n\r\n", {400}),
    # Host.
    "no Host": (get(host=None), {400}),
    "two Hosts": (get(b"GET /health HTTP/1.1", b"Host: localhost"), {400}),
    "two Hosts that differ": (get(b"GET /health HTTP/1.1", b"Host: example.org"), {400}),
    "Host with a space": (get(host=b"Host: local host"), {400}),
    "Host with a path": (get(host=b"Host: localhost/x"), {400, 421}),
    "Host with an at sign": (get(host=b"Host: a@localhost"), {400, 421}),
    "absolute form": (get(b"GET http://localhost/health HTTP/1.1"), {400}),
    "absolute form of another host": (get(b"GET http://example.org/health HTTP/1.1"), {400, 421}),
    "absolute form of another scheme": (get(b"GET ftp://localhost/health HTTP/1.1"), {400}),
    "absolute form without a host": (get(b"GET http:///health HTTP/1.1"), {400}),
    # Floods.
    "10,000 headers": (get(b"GET /health HTTP/1.1", *[b"X-%d: y" % i for i in range(10000)]), {400, 431}),
    "500 headers": (get(b"GET /health HTTP/1.1", *[b"X-%d: y" % i for i in range(500)]), {400, 431}),
    "a header of 100 kB": (get(b"GET /health HTTP/1.1", b"X-A: " + b"y" * 100000), {400, 431}),
    "a name of 100 kB": (get(b"GET /health HTTP/1.1", b"X" * 100000 + b": y"), {400, 431}),
    "a path of 100 kB": (get(b"GET /" + b"y" * 100000 + b" HTTP/1.1"), {400, 414, 431}),
    "a method of 100 kB": (get(b"G" * 100000 + b" / HTTP/1.1"), {400, 414, 431, 501}),
    # Upgrades and expectations.
    "an unknown expectation": (post(b"Content-Length: 13", b"Expect: 200-maybe"), {400, 417}),
}

# Odd, but with one meaning: answered, and so is what follows.
FINE = {
    "an empty line before": b"\r\n" + get(),
    "TE in other case": post(b"tRANSFER-eNCODING: CHUNKED", body=CHUNKS),
    "chunk size with zeros": post(TE, body=b"000d\r\n" + SEARCH + b"\r\n0\r\n\r\n"),
    "chunk extension": post(TE, body=b"d;name=value\r\n" + SEARCH + b"\r\n0\r\n\r\n"),
    "a trailer": post(TE, body=CHUNKS[:-2] + b"X-Sum: 1\r\n\r\n"),
    "a trailer that names a length": post(TE, body=CHUNKS[:-2] + b"Content-Length: 500\r\n\r\n"),
    "space around a value": get(b"GET /health HTTP/1.1", b"X-A: \t b \t"),
    "a body on GET": get(b"GET /health HTTP/1.1", b"Content-Length: 5") + b"abcde",
    "CL of zeros": post(b"Content-Length: 00013"),
}


class Smuggling(ServerTest):
    settings = {"RATE_LIMIT_PER_MINUTE": "0"}

    def talk(self, raw):
        """All that comes back, and whether the server closed."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as link:
            link.settimeout(30)
            try:
                link.sendall(raw)
            except OSError:
                pass  # refused while it was still being sent
            got = b""
            while True:
                try:
                    piece = link.recv(65536)
                except TimeoutError:
                    return got, False
                except ConnectionResetError:
                    return got, True
                if not piece:
                    return got, True
                got += piece

    def statuses(self, got):
        return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", got)]


def refused(name, raw, right):
    def test(self):
        got, closed = self.talk(raw + SECOND)
        seen = self.statuses(got)
        self.assertEqual(len(seen), 1, f"one answer, not {seen}: {got[:300]!r}")
        self.assertIn(seen[0], right)
        self.assertTrue(closed, "the connection stays open")
        self.assertIn(b"connection: close", got.lower())
        self.assertNotIn(b"checks", got, "the second request was answered")

    test.__doc__ = name
    return test


def answered(name, raw):
    def test(self):
        got, _ = self.talk(raw + SECOND.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        self.assertEqual(self.statuses(got), [200, 200], got[:300])

    test.__doc__ = name
    return test


for number, (name, (raw, right)) in enumerate(CASES.items()):
    setattr(Smuggling, f"test_refused_{number:03d}", refused(name, raw, right))
for number, (name, raw) in enumerate(FINE.items()):
    setattr(Smuggling, f"test_answered_{number:03d}", answered(name, raw))


class Pieces(ServerTest):
    """The same bytes, one at a time: what is decided does not depend on how they arrive."""

    def test_byte_by_byte(self):
        for name in ("CL.TE", "TE.CL", "two CL that differ", "chunk size with 0x", "obs-fold with a space"):
            with self.subTest(name), socket.create_connection(("127.0.0.1", self.port), timeout=60) as link:
                link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                got = b""
                try:
                    for byte in CASES[name][0] + SECOND:
                        link.send(bytes([byte]))
                        time.sleep(0.0002)
                except OSError:
                    pass
                try:
                    while piece := link.recv(65536):
                        got += piece
                except ConnectionResetError:
                    pass
                self.assertEqual(got.count(b"HTTP/1.1 "), 1)
                self.assertIn(int(got.split()[1]), CASES[name][1])


if __name__ == "__main__":
    unittest.main()
