"""Every metric family: after one scripted session it is there with its type, labels and buckets, and with the value
that the session must have caused. One row a family; a family without a row fails."""
import collections
import json
import math
import os
import re
import sys
import time
import unittest

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from fake_ollama import MODEL, FakeOllama
from server import ROOT, ServerTest

sys.path.insert(0, os.path.join(ROOT, "tests", "support"))
from postgres import Postgres  # noqa: E402

LEAVE = """# Leave

## Annual leave

Full-time employees get 28 days of annual leave in a year. Leave is asked for in the portal.

## Part-time staff

Part-time staff get annual leave in proportion to the days that they work.
"""
PARKING = "# Parking\n\nThe car park is open from 7 to 19 on working days. A permit costs 12 pounds a month.\n"


# ------------------------------------------------------------------------------------------------ what was exposed

Family = collections.namedtuple("Family", "kind series")  # series: {(sample name, ((label, value), ...)): number}


def labels_of(text):
    return tuple((name, value) for name, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', text or ""))


def parse(text):
    """{name: Family} of a text exposition."""
    families, current = {}, None
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            current, kind = line.split(" ")[2:4]
            families[current] = Family(kind, {})
        elif line and not line.startswith("#"):
            name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
            assert name in (current, current + "_bucket", current + "_sum", current + "_count"), line
            families[current].series[name, labels_of(labels)] = float(value)
    return families


class Observed:
    """A family as the rows look at it: {values of its labels: number}, of a histogram the number of observations."""

    def __init__(self, name, family):
        self.name, self.kind, self.series = name, family.kind, family.series
        suffix = "_count" if family.kind == "histogram" else ""
        self.values = {tuple(v for _, v in labels): number for (sample, labels), number in family.series.items()
                       if sample == name + suffix}

    def labels(self):
        return {tuple(n for n, _ in labels if n != "le") for _, labels in self.series}

    def buckets(self):
        """{values of its labels: [(bound, number)]}."""
        found = collections.defaultdict(list)
        for (sample, labels), number in self.series.items():
            if sample == self.name + "_bucket":
                bound = dict(labels)["le"]
                found[tuple(v for n, v in labels if n != "le")].append((float(bound), number))
        return found

    def sums(self):
        return {tuple(v for _, v in labels): number for (sample, labels), number in self.series.items()
                if sample == self.name + "_sum"}

    def sum(self):
        return sum(self.sums().values())


# ------------------------------------------------------------------------------------------------------ the session

class Session(ServerTest):
    """What happened, in self.facts; what was exposed after it, in self.families."""

    @classmethod
    def setUpClass(cls):
        cls.ollama = FakeOllama()
        cls.settings = {"LLM_BACKEND": "ollama", "OLLAMA_HOST": cls.ollama.url, "OLLAMA_MODEL": MODEL,
                        "USE_QUERY_EXPANSION": "true", "QUERY_EXPANSION_ENABLED": "true",
                        "METRICS_SAMPLE_SECONDS": "1", "WS_HEARTBEAT_INTERVAL": "3600", "TARS_NVML": "",
                        "RAG_RELEVANCE_THRESHOLD": "0", **cls.more_settings()}
        cls.started = time.time()
        super().setUpClass()
        cls.requests = collections.Counter()
        cls.answers, cls.questions, cls.generated = [], 0, collections.Counter()
        cls.rejected = collections.Counter()
        cls.heard = cls.said = 0
        try:
            cls.play()
        except BaseException:
            cls.tearDownClass()
            raise
        cls.elapsed = time.time() - cls.started

    @classmethod
    def more_settings(cls):
        return {}

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.ollama.close()

    @classmethod
    def do(cls, method, path, template=None, expect=200, timed=True, **more):
        """A request, counted as the server must count it."""
        reply = cls.ask(method, path, **more)
        if reply.status != expect:
            raise AssertionError(f"{method} {path}: {reply.status} {reply.body[:500]}")
        cls.requests[method, template or path.split("?")[0], str(reply.status), timed] += 1
        return reply

    @classmethod
    def file(cls, name, content):
        path = os.path.join(cls.data, "root", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as out:
            out.write(content)
        return path

    @classmethod
    def index(cls, path, expect):
        taken = cls.do("POST", "/rag/index", expect=201, body={"file_path": path}).json()
        if taken["status"] != expect:
            raise AssertionError(taken)
        return taken

    @classmethod
    def query(cls, text, expect=200, **more):
        reply = cls.do("POST", "/rag/query", expect=expect, body={"query": text, **more})
        if expect == 200:
            cls.answers.append(reply.json())
        cls.questions += 1
        return reply.json()

    @classmethod
    def stream(cls, text):
        lines = cls.do("POST", "/rag/query/stream", body={"query": text}).lines()
        sources = [line for line in lines if line["type"] == "rag_sources"]
        cls.answers.append({**lines[-1], "sources": sources[0]["sources"]})
        cls.questions += 1

    @classmethod
    def hear(cls, ws, last):
        lines = []
        while not lines or lines[-1]["type"] != last:
            lines.append(json.loads(ws.recv(timeout=60)))
            cls.heard += 1
        return lines

    @classmethod
    def say(cls, ws, text, conversation, use_rag):
        ws.send(json.dumps({"type": "chat", "content": text, "conversation_id": conversation, "use_rag": use_rag}))
        cls.said += 1
        lines = cls.hear(ws, "rag_complete" if use_rag else "complete")
        if use_rag:
            cls.answers.append({**lines[-1], "sources": lines[0]["sources"]})
            cls.questions += 1

    @classmethod
    def play(cls):
        cls.token = cls.sign_in("desk-1")
        cls.requests["POST", "/auth/token", "200", True] += 1
        cls.documents()
        cls.ask_questions()
        cls.chat()
        cls.search()
        cls.break_off()
        cls.wander()
        cls.do("GET", "/analytics/query-stats")
        cls.do("GET", "/analytics/query-patterns")
        cls.look()

    @classmethod
    def documents(cls):
        leave, parking, empty = cls.file("leave.md", LEAVE), cls.file("parking.md", PARKING), cls.file("empty.txt", "")
        taken = [cls.index(leave, "success"), cls.index(parking, "success")]
        cls.index(leave, "already_indexed")
        cls.index(empty, "failed")
        cls.chunks = [t["chunks_created"] for t in taken]
        cls.do("DELETE", "/rag/document", body={"document_id": taken[1]["document_id"]})

    @classmethod
    def ask_questions(cls):
        """Each question says how many pieces the model writes, also as the other wording of the question."""
        cls.query("How many days of annual leave do employees get? WORD:4")
        cls.stream("Where do employees ask for leave? WORD:5")
        cls.query("Who may borrow a bicycle? WORD:6", relevance_threshold=1)
        cls.generated[MODEL] += 2 * 4 + 2 * 5 + 6

    @classmethod
    def chat(cls):
        cls.ws = cls.enterClassContext(connect(f"ws://127.0.0.1:{cls.port}/ws/chat?token={cls.token}",
                                               ping_interval=None))
        cls.requests["GET", "/ws/chat", "101", True] += 1
        cls.hear(cls.ws, "connection_ack")
        cls.say(cls.ws, "How many days of annual leave do full-time employees get in a year? WORD:7", "c1", True)
        cls.say(cls.ws, "And for part-time staff?", "c1", True)
        cls.say(cls.ws, "Hello there WORD:9", "c2", False)
        # The follow-up is made whole by the question before it, whose number counts again.
        cls.generated[MODEL] += 2 * 7 + 2 * 7 + 9

    @classmethod
    def search(cls):
        for _ in range(2):
            cls.found = cls.do("POST", "/rag/search", body={"query": "annual leave"}).json()
        cls.do("POST", "/rag/search", body={"query": "permit", "mode": "words"})
        cls.do("POST", "/rag/search", body={"query": "   "})

    @classmethod
    def break_off(cls):
        """The model breaks off: while it words the question in other ways, which costs those, and while it answers,
        which costs the answer. Then it denies: the answer is quoted."""
        cls.failure = cls.query("BREAK How long is leave?", expect=503)
        cls.generated[MODEL] += 2 + 2
        quoted = cls.query("DENY How many days of annual leave do employees get?")
        if quoted["model"] != "extract":
            raise AssertionError(quoted)
        cls.generated["extract"] += quoted["total_tokens"]

    @classmethod
    def wander(cls):
        cls.do("GET", "/no/such/path", "unmatched", expect=404)
        cls.do("GET", "/another/one", "unmatched", expect=404)
        cls.do("POST", "/health", expect=405)
        cls.do("DELETE", "/conversation/none-such", "/conversation/{conversation_id}", expect=404)
        cls.do("POST", "/rag/search", expect=422, body={"query": 7})
        cls.do("POST", "/rag/query", expect=413, timed=False, token="", raw=b"x" * 200000)
        cls.rejected["too_large"] += 1

    @classmethod
    def look(cls):
        """Scrape, when the sampler has been round and the rows of analytics are written."""
        for _ in range(600):
            text = cls.ask("GET", "/metrics/prometheus").body.decode()
            cls.families = {name: Observed(name, family) for name, family in parse(text).items()}
            if cls.is_settled(cls.families):
                return
            cls.requests["GET", "/metrics/prometheus", "200", True] += 1
            time.sleep(0.1)

    @classmethod
    def is_settled(cls, families):
        rows = families["rag_analytics_rows_total"].values
        return (("language_model",) in families["rag_backend_up"].values and rows.get(("system_metrics",)) and
                rows.get(("query_logs",)) == cls.questions and rows.get(("error_logs",)) == 2)

    # what follows from it

    @classmethod
    def number(cls, family, *labels):
        return cls.families[family].values[labels]

    @classmethod
    def hit_rate(cls):
        hits, misses = cls.number("tars_cache_hits_total"), cls.number("tars_cache_misses_total")
        return 100 * hits / (hits + misses)

    @classmethod
    def refused(cls):
        return sum(all(c["verdict"] == "no_claim" for c in a["citations"]) for a in cls.answers)

    @classmethod
    def citations(cls):
        judged = [c["supported"] for a in cls.answers for c in a["citations"] if c["verdict"] != "no_claim"]
        return {("verified",): judged.count(True), ("unsupported",): judged.count(False)}

    @classmethod
    def replies(cls):
        return {(path,): sum(n for (_, template, status, _), n in cls.requests.items() if (template, status) == (path, "200"))
                for path in ("/rag/search", "/rag/query", "/rag/query/stream")}

    @classmethod
    def hybrid(cls):
        return sum(any(s["metadata"]["hybrid_search"] for s in a["sources"]) for a in cls.answers)

    @classmethod
    def relevances(cls):
        return [sum(s["similarity_score"] for s in a["sources"]) / len(a["sources"])
                for a in cls.answers if a["sources"]]


# Wordings that were searched for by meaning: a question and its other wording, a follow-up also made whole, the two
# searches (the second of the same words is answered from what was kept), questions whose other wording failed.
# The follow-up's other wording is that of the question before it: what was found for it was kept, and is only fetched.
SEARCHES = 2 + 2 + 2 + 2 + 2 + 1 + 1 + 1
KEPT = 1
EMBEDDED = SEARCHES
# By words alone: nothing is embedded. A blank question is not searched for at all.
WORD_SEARCHES = 1

SECONDS = (.01, .05, .1, .25, .5, 1, 2)
FAST = (.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5)
REPLIES = (*(round(step * 10 ** power, 6) for power in range(-4, 0) for step in
             (1, 1.2, 1.5, 1.8, 2.2, *([2.5] if power == -1 else []), 2.7, 3.3, 3.9, 4.7, 5.6, 6.8, 8.2)),
           1, 1.5, 2.5, 5, 10, 30)
INGEST = (.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30)
TOTAL, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"


class Plausible:
    """What cannot be computed: holds({values of the labels: number})."""

    def __init__(self, holds):
        self.holds = holds


def between(low, high):
    return Plausible(lambda values: len(values) == 1 and all(low <= v <= high for v in values.values()))


class Row:
    """name, type, labels; buckets of a histogram; value: what the family must say, given the session: a number where it
    has no labels, else {values of the labels: number}, or Plausible. total: the sum of a histogram's observations;
    without it the sum need only be possible for so many in the time that the session took."""

    def __init__(self, name, kind, labels, value, buckets=None, total=None):
        self.name, self.kind, self.labels, self.value = name, kind, labels.split(), value
        self.buckets, self.total = buckets, total

    def expected(self, session):
        return self.value if isinstance(self.value, Plausible) else self.value(session)


ASKED = {("query_stats",): 1, ("query_patterns",): 1}  # of the log of questions, by the session
DATABASE_TIMES = (.0005, .001, .0025, .005, .01, .025, .05, .1, .5, 1)
ANY = Plausible(lambda values: all(v >= 0 and math.isfinite(v) for v in values.values()))

ROWS = [
    # contract section 3
    Row("tars_application_info", GAUGE, "version environment model",
        lambda s: {(s.ask("GET", "/health").json()["version"], "development", MODEL): 1}),
    Row("tars_http_requests_total", TOTAL, "method endpoint status",
        lambda s: {key[:3]: n for key, n in s.requests.items()}),
    Row("tars_http_request_duration_seconds", HISTOGRAM, "method endpoint",
        lambda s: dict(sum((collections.Counter({key[:2]: n}) for key, n in s.requests.items() if key[3]),
                           collections.Counter())), (.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10)),
    Row("tars_rag_queries_total", TOTAL, "status",
        lambda s: {("success",): len(s.answers), ("failed",): 1}),
    Row("tars_rag_query_duration_seconds", HISTOGRAM, "", lambda s: len(s.answers), (.5, 1, 2, 3, 5, 10, 15, 30),
        lambda s: sum(a["total_time_ms"] for a in s.answers) / 1000),
    Row("tars_rag_retrieval_duration_seconds", HISTOGRAM, "", lambda s: len(s.answers),
        (.01, .05, .1, .25, .5, 1, 2, 5), lambda s: sum(a["retrieval_time_ms"] for a in s.answers) / 1000),
    Row("tars_rag_generation_duration_seconds", HISTOGRAM, "", lambda s: len(s.answers), (.5, 1, 2, 5, 10, 20, 30),
        lambda s: sum(a["generation_time_ms"] for a in s.answers) / 1000),
    Row("tars_rag_sources_retrieved", HISTOGRAM, "", lambda s: len(s.answers), (0, 1, 2, 3, 5, 10, 15, 20),
        lambda s: sum(len(a["sources"]) for a in s.answers)),
    Row("tars_rag_relevance_score", HISTOGRAM, "", lambda s: len(s.relevances()),
        (0, .1, .2, .3, .4, .5, .6, .7, .8, .9, 1), lambda s: sum(s.relevances())),
    Row("tars_rag_reranking_usage_total", TOTAL, "",
        lambda s: sum(any(x["metadata"]["reranked"] for x in a["sources"]) for a in s.answers)),
    Row("tars_rag_hybrid_search_usage_total", TOTAL, "", lambda s: s.hybrid()),
    Row("tars_rag_query_expansion_usage_total", TOTAL, "", lambda s: 5),
    Row("tars_rag_semantic_chunking_usage_total", TOTAL, "", lambda s: 2),
    Row("tars_documents_indexed_total", TOTAL, "status",
        lambda s: {("success",): 2, ("already_indexed",): 1, ("failed",): 1}),
    Row("tars_document_chunks_created", HISTOGRAM, "", lambda s: 2, (1, 5, 10, 25, 50, 100, 200, 500),
        lambda s: sum(s.chunks)),
    Row("tars_document_indexing_duration_seconds", HISTOGRAM, "", lambda s: 2, (.1, .5, 1, 2, 5, 10, 30, 60)),
    Row("tars_cache_operations_total", TOTAL, "operation result",
        lambda s: {("get", "hit"): s.number("tars_cache_hits_total"), ("all", "error"): 0,
                   ("get", "miss"): s.number("tars_cache_misses_total"),
                   ("set", "success"): s.number("tars_cache_operations_total", "set", "success")}),
    Row("tars_cache_hit_rate", GAUGE, "", lambda s: between(s.hit_rate() - 0.01, s.hit_rate() + 0.01)),
    Row("tars_websocket_connections_active", GAUGE, "", lambda s: 1),
    Row("tars_websocket_messages_total", TOTAL, "direction",
        lambda s: {("sent",): s.heard, ("received",): s.said}),
    Row("tars_chromadb_operations_total", TOTAL, "operation",
        lambda s: {("add",): 2, ("delete",): 1, ("query",): SEARCHES}),
    Row("tars_chromadb_query_duration_seconds", HISTOGRAM, "", lambda s: SEARCHES, (.01, .025, .05, .1, .25, .5, 1, 2)),
    Row("tars_ollama_generation_tokens_total", TOTAL, "", lambda s: sum(s.generated.values())),
    Row("tars_ollama_generation_tokens_per_second", GAUGE, "", between(0.1, 1e9)),
    Row("tars_embedding_operations_total", TOTAL, "type",
        lambda s: {("query",): EMBEDDED, ("document",): 2, ("batch",): 2}),
    Row("tars_embedding_duration_seconds", HISTOGRAM, "", lambda s: EMBEDDED + 2, SECONDS),
    Row("tars_system_cpu_usage_percent", GAUGE, "", between(0, 100)),
    Row("tars_system_memory_usage_percent", GAUGE, "", between(0.1, 100)),
    Row("tars_system_gpu_usage_percent", GAUGE, "", lambda s: 0),
    Row("tars_system_gpu_memory_usage_percent", GAUGE, "", lambda s: 0),
    Row("tars_analytics_queries_logged_total", TOTAL, "", lambda s: s.questions),
    Row("tars_analytics_documents_accessed_total", TOTAL, "", lambda s: sum(len(a["sources"]) for a in s.answers)),
    # names that dashboards and alerts ask for
    Row("tars_cache_hits_total", TOTAL, "", between(2, 100)),
    Row("tars_cache_misses_total", TOTAL, "", between(EMBEDDED, 200)),
    Row("tars_active_connections", GAUGE, "", between(2, 20)),
    Row("tars_embeddings_generated_total", TOTAL, "", lambda s: EMBEDDED + s.vectors()),
    Row("tars_rag_queries_failed_total", TOTAL, "", lambda s: 1),
    Row("tars_llm_inference_duration_seconds", HISTOGRAM, "model",
        lambda s: {(MODEL,): 5 + 4 + 1, ("extract",): 1}, (.5, 1, 2, 5, 10, 20, 30)),
    Row("tars_llm_tokens_generated_total", TOTAL, "model", lambda s: {(m,): n for m, n in s.generated.items()}),
    Row("tars_embedding_cache_hits_total", TOTAL, "", ANY),
    Row("tars_embedding_cache_misses_total", TOTAL, "", lambda s: EMBEDDED),
    Row("tars_redis_cache_hits_total", TOTAL, "", lambda s: 0),
    Row("tars_redis_cache_misses_total", TOTAL, "", lambda s: 0),
    Row("tars_redis_memory_usage_bytes", GAUGE, "", lambda s: 0),
    Row("tars_redis_memory_max_bytes", GAUGE, "", lambda s: 0),
    Row("tars_db_query_duration_seconds", HISTOGRAM, "operation", lambda s: ASKED, DATABASE_TIMES),
    Row("tars_db_queries_total", TOTAL, "", lambda s: len(ASKED)),
    Row("tars_db_connection_pool_active", GAUGE, "", lambda s: 0),
    Row("tars_db_connection_pool_max", GAUGE, "", lambda s: 0),
    Row("tars_vector_search_duration_seconds", HISTOGRAM, "", lambda s: SEARCHES,
        (.0001, .00025, .0005, .001, .0025, .005, .01, .05, .1, .5)),
    Row("tars_vector_search_total", TOTAL, "", lambda s: SEARCHES),
    Row("tars_vector_store_documents_total", GAUGE, "", lambda s: 1),
    Row("tars_gpu_utilization_percent", GAUGE, "", lambda s: 0),
    Row("tars_gpu_memory_used_bytes", GAUGE, "", lambda s: 0),
    Row("tars_gpu_temperature_celsius", GAUGE, "", lambda s: 0),
    Row("tars_errors_total", TOTAL, "", lambda s: 1),
    Row("tars_documents_processed_total", TOTAL, "", lambda s: 4),
    Row("tars_document_processing_duration_seconds", HISTOGRAM, "", lambda s: 4, (.1, .5, 1, 2, 5, 10, 30, 60)),
    Row("tars_document_queue_length", GAUGE, "", lambda s: 0),
    # our own of those names
    Row("tars_rag_conversation_memory_usage_total", TOTAL, "", lambda s: 1),
    Row("tars_replicas", GAUGE, "", lambda s: 0),
    Row("tars_replica_leader", GAUGE, "", lambda s: 0),
    Row("tars_replica_lag_changes", GAUGE, "", lambda s: 0),
    Row("tars_replica_lag_seconds", GAUGE, "", lambda s: 0),
    Row("tars_replica_limits_shared", GAUGE, "", lambda s: 0),
    Row("tars_vector_store_chunks", GAUGE, "", lambda s: s.chunks[0]),
    Row("tars_cache_bytes", GAUGE, "", ANY),
    Row("tars_analytics_rows_dropped", GAUGE, "", lambda s: 0),
    Row("tars_tenant_questions_total", TOTAL, "tenant", lambda s: {("default",): s.questions}),
    Row("tars_log_lines_dropped", GAUGE, "", lambda s: 0),
    Row("process_cpu_seconds_total", TOTAL, "", between(0.01, 1000)),
    Row("process_resident_memory_bytes", GAUGE, "", between(10e6, 4e9)),
    Row("process_virtual_memory_bytes", GAUGE, "", between(10e6, 64e12)),
    Row("process_start_time_seconds", GAUGE, "",
        lambda s: between(s.started - 1, s.started + 60)),
    Row("process_open_fds", GAUGE, "", between(10, 1000)),
    Row("process_max_fds", GAUGE, "", between(64, 1e9)),
    Row("process_threads", GAUGE, "", between(4, 200 + 8 * os.cpu_count())),
    # what no peer shows
    Row("rag_stage_duration_seconds", HISTOGRAM, "stage",
        lambda s: {("history",): 3, ("expand",): 7, ("embed",): SEARCHES, ("search",): SEARCHES + WORD_SEARCHES,
                   ("fetch",): SEARCHES + WORD_SEARCHES + KEPT, ("prompt",): 6, ("generate",): 6, ("cite",): 6}, FAST),
    Row("rag_ingest_stage_duration_seconds", HISTOGRAM, "stage",
        lambda s: {(stage,): 2 for stage in ("extract", "chunk", "embed", "store", "index")}, INGEST),
    Row("rag_ingest_jobs", GAUGE, "state", lambda s: {("queued",): 0, ("running",): 0}),
    Row("rag_ingest_oldest_job_age_seconds", GAUGE, "", lambda s: 0),
    Row("rag_empty_retrievals_total", TOTAL, "", lambda s: 1),
    Row("rag_refusals_total", TOTAL, "", lambda s: s.refused()),
    Row("rag_citations_total", TOTAL, "verdict", lambda s: s.citations()),
    Row("rag_time_to_first_token_seconds", HISTOGRAM, "", lambda s: s.questions + 1,
        (.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30)),
    Row("rag_reply_duration_seconds", HISTOGRAM, "endpoint", lambda s: s.replies(), REPLIES),
    Row("rag_found_total", TOTAL, "cached", lambda s: {("true",): 1, ("false",): 1 + sum(bool(a["sources"]) for a in s.answers)}),
    Row("rag_index_vectors", GAUGE, "", between(2, 100)),
    Row("rag_vectors_behind_changes", GAUGE, "backend", lambda s: {}),
    Row("rag_vectors_written_total", TOTAL, "backend", lambda s: {}),
    Row("rag_vectors_rebuilds_total", TOTAL, "backend", lambda s: {}),
    Row("rag_index_tombstones", GAUGE, "", lambda s: s.chunks[1]),
    Row("rag_index_unsaved_changes", GAUGE, "", lambda s: sum(s.chunks) + s.chunks[1]),
    Row("rag_disk_bytes", GAUGE, "", between(1e6, 1e18)),
    Row("rag_disk_free_bytes", GAUGE, "", between(1, 1e18)),
    Row("rag_backend_up", GAUGE, "backend",
        lambda s: {(part,): 1 for part in ("store", "embedding_model", "language_model", "analytics")}),
    Row("rag_backend_breaker_state", GAUGE, "backend", lambda s: {("language_model",): 0}),
    Row("rag_backend_failures_total", TOTAL, "backend", lambda s: {("language_model",): 3}),
    Row("rag_cache_bytes", GAUGE, "level", ANY),
    Row("rag_cache_entries", GAUGE, "level", ANY),
    Row("rag_cache_lookups_total", TOTAL, "level kind result", ANY),
    Row("rag_cache_shared_computations_total", TOTAL, "", ANY),
    Row("rag_analytics_waiting_bytes", GAUGE, "", ANY),
    Row("rag_analytics_rows_total", TOTAL, "table",
        lambda s: {("query_logs",): s.questions, ("document_accesses",): sum(len(a["sources"]) for a in s.answers),
                   ("error_logs",): 2,  # the empty file and the answer that broke off
                   ("system_metrics",): s.number("rag_analytics_rows_total", "system_metrics")}),
    Row("rag_analytics_rows_lost_total", TOTAL, "", lambda s: 0),
    Row("rag_analytics_rows_replayed_total", TOTAL, "", lambda s: 0),
    Row("rag_analytics_write_duration_seconds", HISTOGRAM, "", between(1, 200),
        (.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5)),
    Row("rag_system_outlier", GAUGE, "metric", ANY),
    Row("rag_system_trend_per_hour", GAUGE, "metric", Plausible(lambda values: all(map(math.isfinite, values.values())))),
    Row("rag_metrics_overflow_total", TOTAL, "family", lambda s: {}),
    Row("rag_trace_spans_total", TOTAL, "result", lambda s: {("dropped",): 0}),
    Row("rag_requests_rejected_total", TOTAL, "reason", lambda s: {(r,): n for r, n in s.rejected.items()}),
]


def families_of_the_source():
    """[(name, labels)] of src/obs/metrics.def."""
    with open(os.path.join(ROOT, "src", "obs", "metrics.def"), encoding="utf-8") as source:
        text = source.read()
    return re.findall(r'^TARS_METRIC\(\w+,\s*\w+,\s*"(\w+)",\s*"([\w,]*)"', text, re.M)


class Table(unittest.TestCase):
    def test_every_family_has_one_row(self):
        self.assertEqual(sorted(row.name for row in ROWS), sorted(name for name, _ in families_of_the_source()))
        self.assertEqual({row.name: row.labels for row in ROWS},
                         {name: labels.split(",") if labels else [] for name, labels in families_of_the_source()})


    def test_every_family_is_in_the_guide(self):
        with open(os.path.join(ROOT, "docs", "monitoring.md"), encoding="utf-8") as guide:
            cells = [line.split("|")[1] for line in guide if line.startswith("| `")]
        told = re.findall(r"`(\w+)(?:\{([\w,]+)\})?`", " ".join(cells))
        self.assertEqual(sorted(told), sorted(families_of_the_source()))


class Families(Session):
    rows = ROWS

    @classmethod
    def vectors(cls):
        return int(cls.families["rag_index_vectors"].values[()])

    def test_no_other_family(self):
        self.assertEqual(sorted(self.families), sorted(row.name for row in self.rows))

    def test_types_labels_and_buckets(self):
        for row in self.rows:
            with self.subTest(family=row.name):
                family = self.families[row.name]
                self.assertEqual(family.kind, row.kind)
                self.assertLessEqual(family.labels(), {tuple(row.labels)})
                for bounds in family.buckets().values():
                    self.assertEqual([bound for bound, _ in bounds], [*row.buckets, math.inf])
                    counts = [count for _, count in bounds]
                    self.assertEqual(counts, sorted(counts))
                self.assertEqual({key: bounds[-1][1] for key, bounds in family.buckets().items()},
                                 family.values if row.kind == HISTOGRAM else {})

    def test_values(self):
        for row in self.rows:
            with self.subTest(family=row.name):
                values = self.families[row.name].values
                expected = row.expected(type(self))
                if isinstance(expected, Plausible):
                    self.assertTrue(expected.holds(values), values)
                else:
                    self.assertEqual(values, expected if isinstance(expected, dict) else {(): expected})

    def test_sums(self):
        for row in (row for row in self.rows if row.kind == HISTOGRAM):
            with self.subTest(family=row.name):
                family = self.families[row.name]
                if row.total:
                    self.assertAlmostEqual(family.sum(), row.total(type(self)), delta=0.001 + 0.0001 * family.sum())
                    continue
                for key, total in family.sums().items():
                    self.assertLessEqual(total, family.values[key] * self.elapsed)
                    self.assertGreater(total + (family.values[key] == 0), 0)


DATABASE = [
    Row("tars_db_query_duration_seconds", HISTOGRAM, "operation",
        Plausible(lambda values: {key: values[key] for key in ASKED} == ASKED), DATABASE_TIMES),
    Row("tars_db_connection_pool_max", GAUGE, "", lambda s: 20 + 10),
    Row("tars_db_connection_pool_active", GAUGE, "", between(0, 30)),
    Row("tars_db_queries_total", TOTAL, "", lambda s: sum(s.families["tars_db_query_duration_seconds"].values.values())),
    Row("rag_backend_up", GAUGE, "backend",
        lambda s: {(p,): 1 for p in ("store", "embedding_model", "language_model", "analytics", "postgres")}),
    Row("rag_backend_breaker_state", GAUGE, "backend", lambda s: {("language_model",): 0, ("postgres",): 0}),
]


class FamiliesWithPostgres(Families):
    """The log of questions is kept in PostgreSQL: the same, but for the families of the database."""
    rows = [row for row in ROWS if row.name not in {other.name for other in DATABASE}] + DATABASE

    @classmethod
    def more_settings(cls):
        return cls.postgres.environment()

    @classmethod
    def setUpClass(cls):
        cls.postgres = cls.enterClassContext(Postgres())
        super().setUpClass()

    def test_the_rows_are_there(self):
        self.assertEqual(int(self.postgres.query("SELECT count(*) FROM query_logs")[0][0]), self.questions)


class TurnedAway(ServerTest):
    settings = {"RATE_LIMIT_PER_MINUTE": "3", "WS_MAX_CONNECTIONS": "1"}

    def rejected(self):
        families = parse(self.ask("GET", "/metrics/prometheus").body.decode())
        return Observed("rag_requests_rejected_total", families["rag_requests_rejected_total"]).values

    def test_why_is_counted(self):
        token = self.sign_in("desk-1")
        answers = [self.ask("GET", "/rag/stats", token=token).status for _ in range(5)]
        self.assertEqual(answers.count(429), 2)
        self.assertEqual(self.rejected(), {("rate_limit",): 2})
        with connect(f"ws://127.0.0.1:{self.port}/ws/chat?token={self.sign_in('desk-2')}") as first:
            first.recv(timeout=60)
            with connect(f"ws://127.0.0.1:{self.port}/ws/chat?token={self.sign_in('desk-3')}") as second:
                with self.assertRaises(ConnectionClosed):
                    second.recv(timeout=60)
        self.assertEqual(self.rejected(), {("rate_limit",): 2, ("busy",): 1})


if __name__ == "__main__":
    unittest.main()
