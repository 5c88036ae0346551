"""A provider of identities that never answers: it is waited for by who signs in, for a bounded time, and by nobody else."""
import base64
import json
import socket
import threading
import time
import unittest

from life import PATIENCE, Life

PROVIDER_S = 5  # a request to a provider of identities
SLACK_S = 20  # for threads that end, and other work of the machine


class Silent(Life):
    def test_it_never_answers(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            issuer = f"http://127.0.0.1:{silent.getsockname()[1]}"
            self.serve(TARS_AUTH="oidc", OIDC_ISSUER=issuer, OIDC_CLIENT_ID="tars")
            silent.setblocking(False)
            with self.assertRaises(BlockingIOError, msg="the start asked it"):
                silent.accept()
            claims = {"iss": issuer, "sub": "s", "aud": "tars", "exp": int(time.time()) + 3600}
            token = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (
                b'{"alg":"RS256","kid":"k"}', json.dumps(claims).encode(), b"x" * 256))
            asking = threading.Thread(target=self.ask, args=("GET", "/rag/stats", None, token))
            asking.start()
            silent.settimeout(PATIENCE)
            self.addCleanup(silent.accept()[0].close)
            self.assertEqual(self.ask("GET", "/health").status, 200)
            self.assertEqual(self.ask("GET", "/ready").status, 200)
            asking.join(timeout=PROVIDER_S + SLACK_S)
            self.assertFalse(asking.is_alive())
            self.terminate()
            self.assertEqual(self.wait(), 0)


if __name__ == "__main__":
    unittest.main()
