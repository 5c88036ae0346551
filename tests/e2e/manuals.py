#!/usr/bin/env python3
"""Every command of the manuals is run: README.md and docs/*.md. Ends in "N passed, M failed".

    manuals.py [--full] [--page NAME]... [--show]

What a manual shows to be typed stands in a ```sh block, or ```sql; a block of another kind says its kind. The blocks of a page are run
from top to bottom by one shell, in a copy of this machine's file system that is thrown away (a mount, process and network
namespace, overlayfs), so that /etc, /var/lib, port 8000 and the home folder are the page's own. Beside it stands what the
page speaks of: documents, Redis, PostgreSQL, a collector. The program is the one that TARS names. Three things stand for
others: `tars serve` goes on in the background (as in a second terminal), a secret is typed where one is asked for, and
`systemctl` starts and stops the same unit's program without systemd.

    <!-- not run: REASON -->        the next block cannot be run here (a cluster, a container engine)
    <!-- run with --full: REASON --> it takes minutes

Those are still looked at: the shell's syntax, every command and option of ours, every file of the repository, every setting;
helm's charts are rendered, and files for kubectl are checked against the schemas of Kubernetes. So are `tars ...` in the text,
the files that are linked, and the settings in blocks of kind ini. A block that is indented, or that has a command in it and
is not of kind sh, is an error. Namespaces and overlayfs need root and a machine that permits them; elsewhere the pages are
looked at alone, which is said.
"""
import argparse
import glob
import itertools
import json
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
TARS = pathlib.Path(os.environ.get("TARS", ROOT / "build/release/tars")).resolve()
POSTGRES = (sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[-2])) or [""])[-1]
LIMIT_S = 240  # of a page
DIRECTIVE = re.compile(r"<!-- (not run|run with --full): (.+?) -->\s*\Z")
OURS = ("tars", "build/release/tars")
MADE = ("deploy/compose/.env", "deploy/compose/tars.env")  # by who follows the page
CALLERS = ("podman", "docker", "kubectl", "setpriv", "env", "runuser")  # the last "tars" of such a line is the program
TYPED = re.compile(r"^\s*(?:sudo |[A-Z_]+=\S+ )*(?:tars|curl|kubectl|helm|podman|docker|systemctl|journalctl|apt|pg_dump|psql|"
                   r"redis-cli|openssl|scripts/\w+|build/release/tars|promtool) [a-z-]", re.M)

# What stands beside a page: see SERVICES. "server": documents are taken in and `tars serve` runs from the start.
PAGES = {
    "README.md": ["checkout", "judged", "certificates", "redis", "postgres", "database", "collector"],
    "docs/quickstart.md": ["checkout"],
    "docs/capacity.md": ["checkout"],
    "docs/guide.md": ["documents"],
    "docs/api.md": ["server", "client"],
    "docs/backup.md": ["documents", "filled"],
    "docs/install.md": ["checkout"],
    "docs/kubernetes.md": ["checkout"],
    "docs/load.md": ["checkout"],
    "docs/monitoring.md": ["server", "checkout"],
    "docs/operations.md": ["installed"],
    "docs/performance.md": ["documents", "checkout"],
    "docs/postgresql.md": ["documents", "postgres"],
    "docs/redis.md": ["documents", "redis"],
    "docs/replicas.md": ["documents", "redis", "postgres", "database"],
    "docs/runbooks.md": ["server"],
    "docs/security.md": ["documents", "certificates"],
    "docs/tracing.md": ["documents", "collector"],
    "docs/vectors.md": ["documents", "chroma"],
    "docs/configuration.md": [],
}

SERVICES = {
    "checkout": 'cd "$CHECKOUT"',
    "documents": "",
    "filled": "tars ingest -q ~/Documents; mkdir -p /etc/tars",
    "server": "tars ingest -q ~/Documents\ntars serve",
    "client": 'cp "$CHECKOUT/clients/js/tars.js" . && cp ~/Documents/building/energy-report-2024.pdf handbook.pdf',
    "certificates": "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext "
                    "subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout key.pem -out chain.pem 2>/dev/null",
    "judged": """mkdir ~/judged
        printf '%s\\n' '{"_id":"d1","text":"Books may be kept for four weeks."}' >~/judged/corpus.jsonl
        printf '%s\\n' '{"_id":"q1","text":"How long may I keep a book?"}' >~/judged/queries.jsonl
        printf 'query-id\\tcorpus-id\\tscore\\nq1\\td1\\t1\\n' >~/judged/qrels.tsv""",
    "redis": "redis-server --daemonize yes --bind 127.0.0.1 --save '' --appendonly no --dir /tmp >/dev/null",
    "chroma": """
        python=$("$CHECKOUT/tests/support/chroma_server" 1.5.9)
        setsid "$(dirname "$python")/chroma" run --path /tmp/chroma --host 127.0.0.1 --port 8000 >/tmp/chroma.log 2>&1 &
        for _ in $(seq 600); do curl -sf http://chromadb:8000/api/v2/heartbeat >/dev/null && break; sleep 0.1; done
        "$python" /opt/manuals/fill_chroma.py""",
    "collector": "setsid python3 /opt/manuals/collector.py 4318 >/tmp/collector.log 2>&1 &",
    "postgres": """
        export PGDATA=/var/lib/postgresql/manuals PGUSER=postgres PGHOST=/var/run/postgresql
        mkdir -p "$PGDATA" /var/run/postgresql /srv/wal /srv/base
        chown -R postgres "$PGDATA" /var/run/postgresql /srv/wal /srv/base
        runuser -u postgres -- initdb -A trust --no-sync --no-instructions -E UTF8 --locale=C.UTF-8 >/dev/null
        printf '%s\\n' fsync=off "listen_addresses='127.0.0.1'" >>"$PGDATA/postgresql.conf"
        runuser -u postgres -- pg_ctl -w -l /tmp/postgres.log start >/dev/null || { cat /tmp/postgres.log; exit 1; }""",
    "database": """psql -qc "CREATE ROLE tars LOGIN PASSWORD 'changeme'" -c 'CREATE DATABASE tars_analytics OWNER tars'""",
    "installed": """
        useradd --system --home-dir /var/lib/tars tars
        install -d -m 0700 -o tars -g tars /var/lib/tars && install -d -o tars /mnt/nas && cd /
        install -d -m 0750 -g tars /etc/tars && install -m 0640 -g tars "$CHECKOUT/deploy/systemd/tars.conf" /etc/tars/
        install -m 0755 /usr/local/bin/tars /usr/bin/tars && rm /usr/local/bin/tars
        mkdir -p /usr/share/tars/models /srv && cp -r ~/Documents /srv/documents
        cp -r "${XDG_CACHE_HOME:-$HOME/.cache}/tars/models/all-MiniLM-L6-v2" /usr/share/tars/models/
        unset XDG_CACHE_HOME
        systemctl start tars""",
}

# $1: folder for it all. Environment: CHECKOUT, TARS, MANUALS_HOME.
ENTER = r"""
set -e
mount -t tmpfs -o size=3g tmpfs "$1"
mkdir "$1/up" "$1/work" "$1/tree"
mount -t overlay overlay -o lowerdir=/,upperdir="$1/up",workdir="$1/work" "$1/tree"
mount -t proc proc "$1/tree/proc"
mount --rbind /dev "$1/tree/dev"
for dir in "$CHECKOUT" "$HOME" "${XDG_CACHE_HOME:-$HOME}"; do
    if [ -d "$dir" ] && [ "$(stat -c %d "$dir")" != "$(stat -c %d /)" ] && ! [ -e "$1/up$(echo "$dir" | tr / _)" ]; then
        n=$(echo "$dir" | tr / _)
        mkdir "$1/up$n" "$1/work$n"
        mount -t overlay overlay -o lowerdir="$dir",upperdir="$1/up$n",workdir="$1/work$n" "$1/tree$dir"
    fi
done
ip link set lo up
ip address add 10.0.0.1/24 dev lo
rm -rf "$1/tree/run/systemd"
mkdir -p "$1/tree/opt/manuals" "$1/tree/page"
cp -r "$2/." "$1/tree/opt/manuals/"
cp "$TARS" "$TARS-extract" "$1/tree/opt/manuals/"
for path in /usr/local/bin/tars "$CHECKOUT/build/release/tars"; do
    mkdir -p "$(dirname "$1/tree$path")"
    install -m 0755 "$2/wrapper" "$1/tree$path.new" && mv -f "$1/tree$path.new" "$1/tree$path"
done
[ -e "$1/tree$CHECKOUT/build/release/tars-extract" ] || cp "$TARS-extract" "$1/tree$CHECKOUT/build/release/"
install -m 0755 "$2/systemctl" "$1/tree/usr/local/bin/systemctl"
install -m 0755 "$2/journalctl" "$1/tree/usr/local/bin/journalctl"
echo "127.0.0.1 localhost cache.lan db.lan otel.lan chromadb redis.internal db.example.org" >"$1/tree/etc/hosts"
hostname manuals 2>/dev/null || true
rm -rf "$1/tree$HOME/.local/share/tars" "$1/tree$HOME/Documents"
cp -r "$CHECKOUT/samples" "$1/tree$HOME/Documents"
cp -r "$CHECKOUT/samples/handbook" "$1/tree$HOME/personnel"
exec chroot "$1/tree" /bin/bash /opt/manuals/page
"""

PROBE = r"""
mount -t tmpfs tmpfs "$1"
mkdir "$1/up" "$1/work" "$1/tree"
mount -t overlay overlay -o lowerdir=/,upperdir="$1/up",workdir="$1/work" "$1/tree"
mount -t proc proc "$1/tree/proc"
ip link set lo up
chroot "$1/tree" /bin/true
"""

WRAPPER = r"""#!/bin/bash
# The program; a server goes on in the background, where another terminal would have it.
real=/opt/manuals/tars
stays=
case "$1" in serve) stays=serve ;; ingest) for word in "$@"; do case "$word" in -w | --watch) stays=watch ;; esac; done ;; esac
for word in "$@"; do case "$word" in -h | --help) stays= ;; esac; done
if [ -n "$stays" ]; then
    # On a port of its own it is one more; else it comes after the one before it.
    if ! [[ " $* " =~ " --port " ]] && [ -e /tmp/server.pid ] && kill -TERM "$(cat /tmp/server.pid)" 2>/dev/null; then
        while kill -0 "$(cat /tmp/server.pid)" 2>/dev/null; do sleep 0.05; done
    fi
    log=/tmp/server.log
    ! [[ " $* " =~ " --port " ]] || log=/tmp/server-$$.log
    : >"$log"
    setsid "$real" "$@" >"$log" 2>&1 </dev/null &
    echo $! >/tmp/server.pid
    for _ in $(seq 600); do
        grep -qE 'listening|^indexed|^unchanged' "$log" && break
        kill -0 $! 2>/dev/null || { cat "$log" >&2; exit 1; }
        sleep 0.05
    done
    exit 0
fi
if [ "$1 $2" = "user add" ] && ! [[ " $* " =~ --make-secret|--no-secret ]]; then
    exec "$real" "$@" <<<"a long password"
fi
exec "$real" "$@"
"""

SYSTEMCTL = r"""#!/bin/bash
# The unit's program, started and stopped as the unit says, without systemd.
words=()
for word in "$@"; do case "$word" in -*) ;; *) words+=("${word%.service}") ;; esac; done
pid=$(cat /tmp/server.pid 2>/dev/null)
stop() {
    [ -z "$pid" ] || kill -TERM "$pid" 2>/dev/null || true
    while [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
}
case "${words[0]} ${words[1]:-}" in
"daemon-reload ") systemd-analyze verify --man=no /etc/systemd/system/tars.service ;;
"start tars" | "restart tars" | "enable tars")
    stop
    install -d -m 0700 -o tars -g tars /var/lib/tars # StateDirectory=
    cd /var/lib/tars && exec setpriv --reuid=tars --regid=tars --init-groups \
        env HOME=/var/lib/tars TARS_DATA=/var/lib/tars tars serve --env-file /etc/tars/tars.conf ;;
"stop tars") stop ;;
"reload tars") kill -HUP "$pid" ;;
"status tars" | "is-active tars") kill -0 "$pid" ;;
*) echo "systemctl ${words[*]}: not known here" >&2; exit 1 ;;
esac
"""

JOURNALCTL = """#!/bin/bash
cat /tmp/server.log
"""

COLLECTOR = '''"""Takes what is posted to it, as a collector of traces would."""
import http.server
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
'''


# Collections as another server of the interfaces leaves them.
FILL_CHROMA = '''import json

import chromadb

client = chromadb.HttpClient(host="chromadb", port=8000)
texts = ["Books may be kept for four weeks.", "Films may be kept for one week."]
collection = client.create_collection("tars_documents")
collection.add(ids=["doc_1_chunk_0", "doc_1_chunk_1"], documents=texts, embeddings=[[0.05] * 384, [-0.05] * 384],
               metadatas=[{"document_id": "doc_1", "chunk_index": i, "file_name": "rules.txt", "file_path": "/srv/rules.txt",
                           "file_type": "txt"} for i in range(2)])
said = [{"id": "m" + role[0], "role": role, "content": text, "timestamp": "2025-11-07T12:00:00", "sources": None, "metadata": None}
        for role, text in (("user", "How long may books be kept?"), ("assistant", texts[0]))]
talk = {"id": "conv_1", "client_id": "desk-1", "messages": said, "created_at": "2025-11-07T12:00:00",
        "updated_at": "2025-11-07T12:00:00", "title": said[0]["content"], "metadata": None}
client.create_collection("tars_conversations").add(ids=["conv_1"], documents=[json.dumps(talk)], embeddings=[[1.0, 0.0]],
                                                   metadatas=[{"client_id": "desk-1", "message_count": 2}])
'''


class Block:
    def __init__(self, kind, text, line, directive):
        self.kind, self.text, self.line = kind, text, line
        self.directive, self.reason = directive or ("", "")

    def is_run(self, full):
        return self.kind in ("sh", "sql") and (not self.directive or (full and self.directive != "not run"))

    def command(self):
        if self.kind == "sql":
            return f"psql -qX -v ON_ERROR_STOP=1 -d tars_analytics <<'SQL'\n{self.text}SQL"
        return self.text


def blocks(text):
    """The blocks of a page; what is wrong with their shape."""
    found, wrong, at = [], [], 0
    for match in re.finditer(r"^( *)```(\w*)\n(.*?)^ *```$", text, re.M | re.S):
        line = text.count("\n", 0, match.start()) + 1
        told = DIRECTIVE.search(text[at:match.start()])
        indent = match.group(1)
        body = "".join(row.removeprefix(indent) for row in match.group(3).splitlines(keepends=True))
        found.append(Block(match.group(2), body, line, told and told.groups()))
        wrong += indented(text[at:match.start()], text.count("\n", 0, at))
        at = match.end()
    wrong += indented(text[at:], text.count("\n", 0, at))
    for block in found:
        if not block.kind:
            wrong.append(f"line {block.line}: the block does not say its kind")
        elif block.kind not in ("sh", "js", "python") and TYPED.search(block.text):
            wrong.append(f"line {block.line}: a command in a block of kind {block.kind}: {TYPED.search(block.text).group(0)!r}")
        elif block.directive and block.kind != "sh":
            wrong.append(f"line {block.line}: {block.directive!r} is said of a block of kind {block.kind}")
    return found, wrong


def indented(prose, first):
    """Blocks that are told by their indentation: outside of lists four blanks after an empty line."""
    wrong, in_list, empty = [], False, True
    for number, line in enumerate(prose.split("\n"), first + 1):
        if re.match(r"\s*([-*]|\d+\.) ", line):
            in_list = True
        elif line and not line[0].isspace():
            in_list = False
        if empty and line.startswith("    ") and line.strip() and not in_list:
            wrong.append(f"line {number}: an indented block: {line.strip()!r}; give it a kind")
        empty = not line.strip()
    return wrong


# ---------------------------------------------------------------- looked at

class Known:
    """What the program knows."""

    def __init__(self):
        self.commands = set(re.findall(r"^  ([a-z-]+)\s", self._ask("help"), re.M)) | {"help", "version"}
        self.settings = set(json.loads(self._ask("config", "--all", "--json")))
        self._options = {}

    @staticmethod
    def _ask(*words):
        return subprocess.run([TARS, *words], check=True, stdout=subprocess.PIPE, text=True, cwd="/").stdout

    def options(self, command):
        if command not in self._options:
            text = self._ask(command, "--help")
            self._options[command] = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", text))
        return self._options[command]


def simple_commands(text):
    """The commands of a block as lists of words; here-documents and comments left out."""
    text = re.sub(r"\\\n\s*", " ", text)
    text = re.sub(r"<<-?\s*'?(\w+)'?\n.*?^\s*\1$", "", text, flags=re.M | re.S)
    for line in text.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;()<>")
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:
            continue  # quotes over several lines: bash -n has seen it
        command = []
        for word in [*words, ";"]:
            if word and set(word) <= set("|&;()"):
                if command:
                    yield command
                command = []
            elif not (set(word) & set("<>") and set(word) <= set("<>&")):
                command.append(word)


def check_ours(known, words):
    """A command line of ours: words after `tars`."""
    if not words or words[0].startswith("-") or re.fullmatch(r"[A-Z.…]+|\$.*", words[0]):
        return []
    command, wrong = words[0], []
    if command not in known.commands:
        return [f"tars has no command {command}"]
    for word in words[1:]:
        option = word.split("=")[0]
        if re.fullmatch(r"--?[a-z][a-z-]*", option) and option not in known.options(command):
            wrong.append(f"tars {command} has no option {option}")
    for name in re.findall(r"--set ([A-Z_]+)=", " ".join(words)):
        if name not in known.settings:
            wrong.append(f"there is no setting {name}")
    return wrong


def check_words(known, words):
    wrong = []
    given = [word.split("=")[0] for word in itertools.takewhile(re.compile(r"\w+=.*").fullmatch, words)]
    words = words[len(given):]
    for name in given if not words or words[0] in OURS else ():
        if name.startswith(("TARS_", "POSTGRES_", "REDIS_", "OPENAI_", "OLLAMA_", "OTEL_")) and name not in known.settings \
                and name not in ("TARS_MAINTAINER", "TARS_TEST_DATA", "TARS_BIN"):
            wrong.append(f"there is no setting {name}")
    if not words:
        return wrong
    typed = words
    if words[0] == "kubectl":
        typed = words[words.index("--") + 1:] if "--" in words else []
    elif words[0] in ("podman", "docker"):
        typed = words[words.index("exec"):] if "exec" in words else []
    ours = [at for at, word in enumerate(typed) if word in (*OURS, "/usr/bin/tars")]
    if ours and (ours[0] == 0 or words[0] in CALLERS):
        wrong += check_ours(known, typed[ours[-1] + 1:])
    for word in words:
        path = word.split("=")[-1].removeprefix("./")
        if re.match(r"(deploy|scripts|docs|tests|tools|clients|samples|bench)/[\w./*-]*$", path) and \
                not glob.glob(str(ROOT / path)) and path not in MADE:
            wrong.append(f"there is no {path}")
    return wrong


class Kubernetes:
    """Charts rendered, and files checked, as helm and kubectl would be given them."""

    def __init__(self, folder):
        tools = subprocess.run([ROOT / "tests/support/kubernetes"], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
        self.tools, self.folder = pathlib.Path(tools), folder
        self.version = sorted(os.listdir(self.tools / "schemas"))[-1]

    def helm(self, words):
        """helm install|upgrade NAME CHART ... -> the chart rendered with the same values."""
        kept, rest = [], words[1:]
        while rest:
            word = rest.pop(0)
            if word in ("--install", "--create-namespace", "--wait", "--reuse-values"):
                continue
            if word in ("--values", "-f"):
                rest[0] = str(self.folder / rest[0]) if (self.folder / rest[0]).exists() else str(ROOT / rest[0])
            elif word.startswith("deploy/"):
                word = str(ROOT / word)
            kept.append(word)
        if words[0] not in ("install", "upgrade"):
            return []
        done = subprocess.run([self.tools / "bin/helm", "template", *kept, "--kube-version", f"{self.version}.0"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
        return [] if done.returncode == 0 else [f"helm {' '.join(words)}: {done.stderr.strip()[-300:]}"]

    def kubectl(self, words):
        wrong = []
        for at, word in enumerate(words):
            if word in ("-f", "--filename"):
                path = self.folder / words[at + 1]
                if not path.exists():
                    path = ROOT / words[at + 1]
                done = subprocess.run([self.tools / "bin/kubeconform", "-strict", "-schema-location",
                                       f"{self.tools}/schemas/{self.version}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json", path],
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
                if done.returncode != 0:
                    wrong.append(f"{words[at + 1]}: {done.stdout.strip()[-300:]}")
        return wrong


def look_at(known, page, text, found, full):
    """What is wrong with a page without running it."""
    wrong = []
    with tempfile.TemporaryDirectory(prefix="tars-manuals-") as name:
        folder = pathlib.Path(name)
        for block in found:
            named = re.match(r"# ([\w.-]+\.yaml)\n", block.text)
            if block.kind == "yaml" and named:
                (folder / named.group(1)).write_text(block.text, encoding="utf-8")
        kubernetes = None
        for block in found:
            at = f"line {block.line}: "
            if block.kind == "ini":
                names = re.findall(r"^([A-Z_]+)=", block.text, re.M)
                wrong += [f"{at}there is no setting {name}" for name in names if name not in known.settings]
            if block.kind != "sh":
                continue
            done = subprocess.run(["bash", "-n"], input=block.text, text=True, stderr=subprocess.PIPE, check=False)
            if done.returncode != 0:
                wrong.append(at + done.stderr.strip())
            for words in simple_commands(block.text):
                wrong += [at + fault for fault in check_words(known, words)]
                if block.is_run(full) or words[0] not in ("helm", "kubectl"):
                    continue
                kubernetes = kubernetes or Kubernetes(folder)
                wrong += [at + fault for fault in getattr(kubernetes, words[0])(words[1:])]
    prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.M | re.S)
    for code in re.findall(r"`((?:build/release/)?tars [a-z][^`]*)`", prose.replace("\n", " ")):
        try:
            words = shlex.split(code)[1:]
        except ValueError:
            continue
        wrong += [f"`{code}`: {fault}" for fault in check_ours(known, words)]
    for path in re.findall(r"`((?:src|tests|tools|scripts|deploy|migrations|bench|docs|clients)/[\w./-]+)`", prose):
        if not (ROOT / path).exists() and path not in MADE:
            wrong.append(f"there is no {path}")
    for target, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([\w-]+))?\)", prose):
        path = (ROOT / page).parent.joinpath(target) if target else ROOT / page
        if not path.exists():
            wrong.append(f"the link {target} leads nowhere")
        elif anchor and anchor not in anchors(text if not target else path.read_text(encoding="utf-8")):
            wrong.append(f"the link {target}#{anchor} leads nowhere")
    return wrong


def anchors(text):
    """What the headings of a page are linked by."""
    text = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.M | re.S)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in re.findall(r"^#+ (.*)$", text, re.M)}


# A page that is wrong, and a word of what must be said of it.
WRONG = (
    ("    tars status\n", "an indented block"),
    ("```\ntars status\n```\n", "does not say its kind"),
    ("```text\n$ curl -s http://127.0.0.1:8000\n\ntars status --json\n```\n", "a command in a block of kind text"),
    ("```sh\ntars nothing\n```\n", "no command nothing"),
    ("```sh\ntars search --no-such-option x\n```\n", "no option --no-such-option"),
    ("```sh\nTARS_NOTHING=1 tars status\n```\n", "no setting TARS_NOTHING"),
    ("```sh\nif true; then\n```\n", "syntax error"),
    ("```sh\nscripts/nothing\n```\n", "no scripts/nothing"),
    ("```ini\nNO_SUCH_SETTING=1\n```\n", "no setting NO_SUCH_SETTING"),
    ("Then `tars serve --nothing`.\n", "no option --nothing"),
    ("See [there](nowhere.md).\n", "leads nowhere"),
    ("See [there](README.md#no-such-heading).\n", "leads nowhere"),
    ("It is in `src/nothing.c`.\n", "no src/nothing.c"),
)


def check_the_check(known):
    """That faults are found. -> (passed, failed)"""
    failed = 0
    for text, words in WRONG:
        found, wrong = blocks(text)
        wrong += look_at(known, "docs/README.md", text, found, False)
        if not any(words in fault for fault in wrong):
            failed += 1
            print(f"FAILED of {text!r} it is said: {wrong}")
    return len(WRONG) - failed, failed


def check_the_run():
    """That a command that fails is noticed, and which. -> (passed, failed)"""
    said = run("docs/configuration.md", blocks("```sh\ntrue\nfalse\n```\n")[0], False, False)
    if said and "exit 1;" in said and "@@ line 1" in said:
        return 1, 0
    print(f"FAILED a command that fails is not noticed: {said}")
    return 0, 1


def not_permitted():
    """Why a page cannot have a file system of its own here, or None."""
    with tempfile.TemporaryDirectory(prefix="tars-manuals-") as name:
        done = subprocess.run(
            ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child", "bash", "-ec", PROBE, "probe", name],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode == 0:
        return None
    return (done.stdout.strip().splitlines() or [f"exit {done.returncode}"])[-1]


# ---------------------------------------------------------------------- run

def script(page, found, full):
    """One shell for the page; each block tells that it begins, and the last one that it ended."""
    lines = ["set -euo pipefail", f"export HOME={os.environ.get('HOME', '/root')} CHECKOUT={ROOT} LC_ALL=C.UTF-8",
             f"export PATH=/usr/local/bin:{os.environ['PATH']}:/usr/sbin:/sbin:{POSTGRES}",
             "unset TARS TARS_BIN TARS_DATA", "export TARS_EXTRACT=/opt/manuals/tars-extract LLM_BACKEND=extract RATE_LIMIT_PER_MINUTE=0",
             "cd /page", "exec </dev/null"]
    for service in PAGES[page]:
        lines += [f"echo '@@ {service}'", SERVICES[service]]
    for block in found:
        if block.is_run(full):
            lines += [f"echo '@@ line {block.line}'", block.command()]
    lines.append("echo '@@ end'")
    return "\n".join(lines) + "\n"


def run(page, found, full, show):
    """What went wrong, or None."""
    if "chroma" in PAGES[page]:  # before the page has no network any more
        subprocess.run([ROOT / "tests/support/chroma_server", "1.5.9"], check=True, stdout=subprocess.DEVNULL)
    with tempfile.TemporaryDirectory(prefix="tars-manuals-") as name:
        folder = pathlib.Path(name)
        (folder / "root").mkdir()
        (folder / "in").mkdir()
        for file, text in (("page", script(page, found, full)), ("wrapper", WRAPPER), ("systemctl", SYSTEMCTL),
                           ("journalctl", JOURNALCTL), ("collector.py", COLLECTOR), ("fill_chroma.py", FILL_CHROMA)):
            (folder / "in" / file).write_text(text, encoding="utf-8")
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child",
             "bash", "-c", ENTER, "enter",
             str(folder / "root"), str(folder / "in")], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", env={**os.environ, "CHECKOUT": str(ROOT), "TARS": str(TARS)}, start_new_session=True)
        try:
            output = process.communicate(timeout=LIMIT_S * (10 if full else 1))[0]
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output = process.communicate()[0] + f"\nnot done after {LIMIT_S} s"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
    if show:
        print(output)
    if process.returncode == 0 and output.rstrip().endswith("@@ end"):
        return None
    return f"exit {process.returncode}; the last block and what it said:\n" + output[output.rfind("@@ "):][-3000:]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--full", action="store_true", help="also what takes minutes")
    parser.add_argument("--page", action="append", help="only this one")
    parser.add_argument("--show", action="store_true", help="what the commands say")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    unable = not_permitted()
    if unable:
        print(f"skipped: no command is run, the pages are looked at alone; no file system of its own for a page here: {unable}", flush=True)
    if args.full:  # before a page has no network any more
        subprocess.run([ROOT / "tests/support/venv"], check=True, stdout=subprocess.DEVNULL)
    known = Known()
    passed, failed = (0, 0) if args.page else check_the_check(known)
    if not args.page and not unable:
        more = check_the_run()
        passed, failed = passed + more[0], failed + more[1]
    pages = ["README.md", *sorted(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))]
    for page in pages:
        if args.page and page not in args.page:
            continue
        began = time.monotonic()
        text = (ROOT / page).read_text(encoding="utf-8")
        found, wrong = blocks(text)
        wrong += look_at(known, page, text, found, args.full)
        runs = sum(block.is_run(args.full) for block in found)
        if runs and page not in PAGES:
            wrong.append("manuals.py does not know what stands beside this page")
        if unable:
            runs = 0
        seen = sum(block.kind in ("sh", "sql") for block in found) - runs
        if runs and not wrong:
            fault = run(page, found, args.full, args.show)
            wrong += [fault] if fault else []
        passed, failed = passed + (0 if wrong else 1 + runs), failed + (1 if wrong else 0)
        for fault in wrong:
            print(f"FAILED {page}: {fault}")
        if not wrong:
            print(f"ok     {page}: {runs} blocks of commands run, {seen} looked at, {time.monotonic() - began:.1f} s", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or (unable and args.full) else 0


if __name__ == "__main__":
    sys.exit(main())
