"""A ChromaDB of its own for a test: a real `chroma run` on a free port of the loopback, its data in a temporary folder,
stopped by its pid. It dies with the process that started it.

    chroma = Chroma()                     # or Chroma("0.5.23"), which speaks the v1 API
    chroma.url                            # http://127.0.0.1:PORT
    chroma.settings()                     # what `tars` must be told to use it
    chroma.python("print(client.count_collections())")   # with its own client in `client`
    chroma.kill(); chroma.restart()       # the same port, the same data
    chroma.hang(); chroma.resume()        # SIGSTOP, SIGCONT
    chroma.keep(folder); chroma.go_back(folder)          # its data copied, and an old copy put back
    chroma.close()

With token="secret" a 0.5.23 lets nobody in without it.

Run as a program (VERSION [TOKEN]) it serves one, prints "PORT", and obeys lines of its standard input: kill, restart,
hang, resume, keep, back, each answered by "ok" or "error ..."; it ends with its input. tests/support/chroma_server.c
talks to it so.
"""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

from ports import free_port

HERE = os.path.dirname(os.path.abspath(__file__))
NEW, OLD = "1.5.9", "0.5.23"


def interpreter(version):
    """The Python that has this ChromaDB; made first if it is missing."""
    return subprocess.run([os.path.join(HERE, "chroma_server"), version], check=True, stdout=subprocess.PIPE,
                          text=True).stdout.strip()


class Chroma:
    def __init__(self, version=NEW, token=""):
        self.version = version
        self.token = token
        self.interpreter = interpreter(version)
        self.folder = tempfile.mkdtemp(prefix="tars-chroma-")
        self.data = os.path.join(self.folder, "data")
        self.process = None
        for _ in range(5):  # another may take the port between the look and the bind
            self.port = free_port()
            if self._start():
                return
        self.close()
        raise AssertionError(f"ChromaDB {version} did not start")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def settings(self, **more):
        return {"CHROMA_HOST": self.url, **({"CHROMA_AUTH_TOKEN": self.token} if self.token else {}), **more}

    def _start(self):
        environment = {**os.environ, "ANONYMIZED_TELEMETRY": "False", "HOME": self.folder}
        if self.token:
            environment |= {"CHROMA_SERVER_AUTHN_PROVIDER":
                            "chromadb.auth.token_authn.TokenAuthenticationServerProvider",
                            "CHROMA_SERVER_AUTHN_CREDENTIALS": self.token}
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", self.interpreter,
             os.path.join(os.path.dirname(self.interpreter), "chroma"), "run", "--path", self.data, "--host",
             "127.0.0.1", "--port", str(self.port)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env=environment, cwd=self.folder)
        until = time.monotonic() + 120
        while time.monotonic() < until:
            if self.process.poll() is not None:
                return False
            if self.answers():
                return True
            time.sleep(0.05)
        return False

    def answers(self):
        try:
            with urllib.request.urlopen(f"{self.url}/api/v2/heartbeat", timeout=5) as reply:
                return reply.status == 200
        except (OSError, urllib.error.HTTPError):
            return False

    def python(self, program, *arguments):
        """Run a program with ChromaDB's own client of this server in `client`, and json, sys; what it prints."""
        settings = ""
        if self.token:
            settings = (", settings=Settings(chroma_client_auth_provider="
                        "'chromadb.auth.token_authn.TokenAuthClientProvider', "
                        f"chroma_client_auth_credentials={self.token!r}, anonymized_telemetry=False)")
        head = ("import json, sys\nimport chromadb\nfrom chromadb.config import Settings\n"
                f"client = chromadb.HttpClient(host='127.0.0.1', port={self.port}{settings})\n")
        run = subprocess.run([self.interpreter, "-", *arguments], input=head + program, text=True,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.folder,
                             env={**os.environ, "ANONYMIZED_TELEMETRY": "False", "HOME": self.folder})
        if run.returncode:
            raise AssertionError(run.stderr)
        return run.stdout

    def rows(self, collection, *include):
        """All rows of a collection: ids and what was asked for ("metadatas", "documents", "embeddings")."""
        return json.loads(self.python(
            "found = client.get_collection(sys.argv[1]).get(include=sys.argv[2:])\n"
            "if found.get('embeddings') is not None:\n"
            "    found['embeddings'] = [[float(x) for x in row] for row in found['embeddings']]\n"
            "print(json.dumps({name: found[name] for name in ('ids', *sys.argv[2:])}))\n", collection, *include))

    def kill(self):
        self.process.kill()
        self.process.wait()

    def restart(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        for _ in range(5):
            if self._start():
                return
        raise AssertionError("ChromaDB did not start again")

    def hang(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def keep(self, folder):
        """A copy of its data, with the server stopped meanwhile."""
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.data, folder)
        self.restart()

    def go_back(self, folder):
        """To what keep() has copied."""
        self.kill()
        shutil.rmtree(self.data)
        shutil.copytree(folder, self.data)
        self.restart()

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def serve(version, token=""):
    chroma = Chroma(version, token)
    old = os.path.join(chroma.folder, "old")
    verbs = {"kill": chroma.kill, "restart": chroma.restart, "hang": chroma.hang, "resume": chroma.resume,
             "keep": lambda: chroma.keep(old), "back": lambda: chroma.go_back(old)}
    print(chroma.port, flush=True)
    try:
        for line in sys.stdin:
            try:
                verbs[line.strip()]()
                print("ok", flush=True)
            except (AssertionError, KeyError, OSError) as error:
                print("error", error, flush=True)
    finally:
        chroma.close()


if __name__ == "__main__":
    serve(*sys.argv[1:])
