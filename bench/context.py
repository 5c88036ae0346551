"""What a row of bench/run is given: programs, data, folders, and the few things that every row does.

A row is a module bench/rows/NAME.py with

    NAMES = ("words-220k", ...)              the rows that it can measure
    def run(names, context): return [...]    those of names that are its own, made with context.row()

A module may have ON_REQUEST, names of rows whose data take long to make: without is_ready(name, context) they are
measured only where they are named.

Rules for rows: both sides in one run and in turns (turns()), single-threaded sides pinned to a core (pin()), the
median of the rounds and how far they lie apart; no more than some minutes, seconds with context.quick. What takes
long to make (vectors, folders of data) is kept under context.cache, in a folder whose name says of what.
"""
import json
import math
import os
import platform
import statistics
import subprocess
import sys
from importlib import metadata

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "tars")
PEERS = ("hnswlib", "usearch", "faiss-cpu", "tantivy", "bm25s", "onnxruntime", "tokenizers", "numpy", "fastapi",
         "uvicorn", "redis", "prometheus-client", "SQLAlchemy", "psycopg2-binary")


class Failed(Exception):
    """A row cannot be measured; its words are shown and the run goes on."""


def median(values):
    return statistics.median(values) if values else float("nan")


def spread(values):
    """How far the rounds lie apart: (greatest - least) / median; 0 where there is one."""
    middle = median(values)
    return (max(values) - min(values)) / middle if len(values) > 1 and middle else 0.0


def finite(value):
    """The same without numbers that JSON has no word for: None stands for them."""
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Context:
    def __init__(self, quick=False, verbose=False, programs=None):
        self.root = ROOT
        self.quick = quick
        self.verbose = verbose
        self.rounds = 1 if quick else 3
        self.python = sys.executable
        self.cache = os.path.join(CACHE, "bench")
        self.models = os.path.join(CACHE, "models")
        self.model = os.path.join(self.models, "all-MiniLM-L6-v2")
        self.data = os.environ.get("TARS_TEST_DATA") or None
        self._programs = programs  # a folder where all are built already, or None
        self._configured = False
        self._built = {}
        os.makedirs(self.cache, exist_ok=True)

    # ------------------------------------------------------------ programs

    def _configure(self):
        if self._configured:
            return
        llama = subprocess.run([os.path.join(ROOT, "scripts", "llama")], stdout=subprocess.PIPE, text=True,
                               check=False).stdout.strip()
        self.command(["cmake", "--preset", "release", "-B", "build/bench", "-DTARS_BENCH=ON", "-DTARS_TESTS=OFF",
                      f"-DTARS_LLAMA_DIR={llama}"])
        self._configured = True

    def build(self, target):
        """Path of a program of build/bench, built with release flags: "bench_index", "tars", ..."""
        if self._programs:
            return os.path.join(self._programs, target)
        if target not in self._built:
            self._configure()
            self.command(["cmake", "--build", "build/bench", "--target", target])
            self._built[target] = os.path.join(ROOT, "build", "bench", target)
        return self._built[target]

    def tars(self):
        """The program itself, with its helper beside it."""
        self.build("tars-extract")
        return self.build("tars")

    # ------------------------------------------------------------- running

    def pin(self, core=None):
        """Prefix of a command that stays on one core: the last that this process may use, or core."""
        allowed = sorted(os.sched_getaffinity(0))
        core = allowed[-1] if core is None else allowed[core % len(allowed)]
        return ["taskset", "-c", str(core)]

    def command(self, command, **more):
        """Output of a command; Failed with its last words where it ends badly."""
        more.setdefault("cwd", ROOT)
        done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, check=False, **more)
        if done.returncode != 0:
            words = (done.stderr.strip() or done.stdout.strip()).splitlines()[-5:]
            raise Failed(f"{os.path.basename(str(command[0]))}: status {done.returncode}: {' | '.join(words)}")
        return done.stdout

    def json(self, command, **more):
        """The JSON that a command prints, its last line where it prints more."""
        out = self.command(command, **more).strip()
        try:
            return json.loads(out)
        except ValueError:
            return json.loads(out.splitlines()[-1])

    def turns(self, sides, rounds=None):
        """Run the sides, {"ours": function, "peer": function}, in turns; {side: [what each round gave]}. The order
        changes every round, so that none always comes second."""
        seen = {name: [] for name in sides}
        for turn in range(rounds or self.rounds):
            names = list(sides)
            for name in names if turn % 2 == 0 else reversed(names):
                seen[name].append(sides[name]())
        return seen

    # ---------------------------------------------------------------- data

    def judged(self, name):
        """Folder of one of the judged sets, of the format that `tars eval` reads."""
        if not self.data:
            raise Failed("TARS_TEST_DATA names no folder of judged sets")
        folder = os.path.join(self.data, name)
        if not os.path.isdir(folder):
            raise Failed(f"{folder} is not there")
        return folder

    def folder(self, *parts):
        """A folder of the cache, made if it is missing."""
        path = os.path.join(self.cache, *parts)
        os.makedirs(path, exist_ok=True)
        return path

    # ------------------------------------------------------------- results

    def row(self, name, unit, ours, peer=None, peer_name="", better="less", note="", budget=None, more=None):
        """One line of the result. ours and peer: a number, or those of all rounds, of which the median counts.
        better: "less" where small numbers are good, "more" where large ones are. budget: what design asks for, with
        the same sense. more: anything else that docs should show (points of a curve), kept as it is."""
        ours = list(ours) if isinstance(ours, (list, tuple)) else [ours]
        theirs = [] if peer is None else list(peer) if isinstance(peer, (list, tuple)) else [peer]
        mine, other = median(ours), median(theirs) if theirs else None
        if not math.isfinite(mine) or not math.isfinite(other or 0):
            raise Failed(f"{name}: what was measured is no number")
        ratio = None
        if other and mine:
            ratio = mine / other if better == "more" else other / mine
        row = {"name": name, "unit": unit, "ours": mine, "peer": other, "peer_name": peer_name,
               "ratio": ratio, "better": better, "spread": spread(ours), "peer_spread": spread(theirs),
               "rounds": len(ours), "load": round(os.getloadavg()[0], 1), "note": note}
        if budget is not None:
            row["budget"] = budget
            row["met"] = mine >= budget if better == "more" else mine <= budget
        if more is not None:
            row["more"] = more
        return finite(row)


def processor():
    """Its name, number of cores, and what it can of what the kernels use."""
    name, flags = platform.processor() or platform.machine(), []
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                key, _, value = line.partition(":")
                if key.strip() == "model name":
                    name = value.strip()
                elif key.strip() == "flags":
                    flags = value.split()
    except OSError:
        pass
    wanted = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8")
    return {"name": name, "cores": len(os.sched_getaffinity(0)), "can": [flag for flag in wanted if flag in flags]}


def memory_gb():
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)


def versions():
    """Of the product, the peers and what they run on."""
    found = {"kernel": platform.release(), "python": platform.python_version()}
    with open(os.path.join(ROOT, "VERSION"), encoding="ascii") as file:
        found["tars"] = file.read().strip()
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True, check=False).stdout.strip()
    if commit:
        found["commit"] = commit
    for name in PEERS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
