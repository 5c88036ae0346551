"""Servers under load: started, asked by clients that are processes of their own, measured from outside.

The clients take part of the same processor; how much is told with each result (client_cpu_ms a request).
"""
import http.client
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time

from bench.context import Failed
from bench.http_peers import family

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "support"))
from ports import free_port  # noqa: E402

TICKS = os.sysconf("SC_CLK_TCK")
READY_SECONDS = 240
KEPT = ("PATH", "HOME", "XDG_CACHE_HOME", "LANG")


def environment(**more):
    """A few variables of ours and nothing else."""
    return {**{name: os.environ[name] for name in KEPT if name in os.environ}, **more}


def answers(port):
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        link.request("GET", "/ready")
        return link.getresponse().status == 200
    except OSError:
        return False
    finally:
        link.close()


class Serving:
    """A server process; start_ms is from its start to the first 200 of /ready."""

    def __init__(self, name, command, port, env, cwd):
        self.name, self.port = name, port
        began = time.perf_counter()
        self.process = subprocess.Popen(command, env=env, cwd=cwd, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        while not answers(port):
            if self.process.poll() is not None:
                raise Failed(f"{name} ended with {self.process.returncode}")
            if time.perf_counter() - began > READY_SECONDS:
                self.stop()
                raise Failed(f"{name} is not ready after {READY_SECONDS} s")
            time.sleep(0.002)
        self.start_ms = (time.perf_counter() - began) * 1e3

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def cpu_s(self):
        total = 0
        for pid in family(self.process.pid):
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
                total += int(fields[11]) + int(fields[12])
            except OSError:
                continue
        return total / TICKS

    def resident_mb(self):
        """Resident memory; of several processes what each has alone, and its share of what they map together."""
        pids, total = family(self.process.pid), 0
        word = "Rss:" if len(pids) == 1 else "Pss:"
        for pid in pids:
            with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith(word))
        return total / 1024


def client(port, bodies, seconds, out):
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    end, times, failed, size = time.perf_counter() + seconds, [], 0, 0
    before = resource.getrusage(resource.RUSAGE_SELF)
    for body in bodies:
        began = time.perf_counter()
        try:
            link.request("POST", "/rag/search", body, {"content-type": "application/json"})
            reply = link.getresponse()
            size += len(reply.read())
            failed += reply.status != 200
        except (OSError, http.client.HTTPException):
            link.close()  # the next one connects again
            failed += 1
        times.append((time.perf_counter() - began) * 1e3)
        if time.perf_counter() > end:
            break
    after = resource.getrusage(resource.RUSAGE_SELF)
    link.close()
    out.put((times, failed, size, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))


def load(server, questions, clients, seconds, top_k=10):
    """Each question once, at most for some seconds: P50, P95, a second, CPU milliseconds a question."""
    bodies = [json.dumps({"query": text, "top_k": top_k}) for text in questions]
    out = multiprocessing.Queue()
    workers = [multiprocessing.Process(target=client, args=(server.port, bodies[i::clients], seconds, out))
               for i in range(clients)]
    cpu, began = server.cpu_s(), time.perf_counter()
    for worker in workers:
        worker.start()
    parts = [out.get(timeout=seconds + 120) for _ in workers]
    wall = time.perf_counter() - began
    for worker in workers:
        worker.join()
    times = sorted(time_ for part in parts for time_ in part[0])
    failed, count = sum(part[1] for part in parts), len(times)
    if failed:
        raise Failed(f"{server.name}: {failed} of {count} searches failed")
    return {"count": count, "p50_ms": times[count // 2], "p95_ms": times[min(count - 1, int(count * 0.95))],
            "per_s": count / wall, "cpu_ms": (server.cpu_s() - cpu) / count * 1e3,
            "bytes": sum(part[2] for part in parts) // count,
            "client_cpu_ms": sum(part[3] for part in parts) / count * 1e3}


def open_tars(context, data, cores=0, **settings):
    """The program with a data folder; on the first cores of this machine, or all."""
    port = free_port()
    prefix = ["taskset", "-c", ",".join(map(str, sorted(os.sched_getaffinity(0))[:cores]))] if cores else []
    env = environment(TARS_DATA=data, LLM_BACKEND="extract", LOG_LEVEL="WARNING", RATE_LIMIT_PER_MINUTE="0", **settings)
    return Serving("tars", [*prefix, context.tars(), "serve", "--port", str(port)], port, env, data)
