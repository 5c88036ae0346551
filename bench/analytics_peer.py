"""The log of questions beside SQLAlchemy 2 and psycopg2, as a server in Python writes and reads it: a declarative
model of the wire contract's tables (section 5, with every index that it lists), a pool of 20 with 10 in a rush,
pre-ping, a session for each unit of work.

Cluster is a PostgreSQL of the measurement's own, on a free port of the loopback; Ours speaks with
bench/analytics_postgres.c; Peer is the other side. bench/rows/analytics.py makes rows of them.
"""
import datetime
import hashlib
import json
import os
import subprocess
import sys
import time

from sqlalchemy import (JSON, Boolean, DateTime, Float, ForeignKey, Index, Integer, String, Text, case, create_engine,
                        func, insert, select)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Session, mapped_column, relationship

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "support"))
from postgres import USER, Postgres  # noqa: E402

SOURCES = 5
Json = JSON().with_variant(JSONB, "postgresql")


def utc():
    return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)


# ------------------------------------------------------------------------------------------------- the server

class Cluster(Postgres):
    """fsync is on and the memory that PostgreSQL has unless told; the rest as tests have it."""

    def __init__(self, copy_of=None):
        super().__init__(fsync=True, settings={"shared_buffers": "128MB", "max_wal_size": "1GB"}, copy_of=copy_of)

    def cpu_s(self):
        """Of the server and all of its processes, those that ended too."""
        total, tick = 0.0, os.sysconf("SC_CLK_TCK")
        for pid in self.processes():
            try:
                with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
                    total += int(file.read().split()[0]) / 1e9
            except OSError:
                continue
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return total + (int(fields[13]) + int(fields[14])) / tick


class Ours:
    """bench/analytics_postgres.c: a line in, a line of JSON out."""

    def __init__(self, cluster, program, database, partition=False, make=True):
        if make:
            cluster.create_database(database)
        more = {"ANALYTICS_PARTITION": "1"} if partition else {}
        self.process = subprocess.Popen([program, str(cluster.port), database], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env={**os.environ, **more})

    def __call__(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"bench_analytics_postgres ended at: {line}")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


# --------------------------------------------------------------------------------------------------- the peer

class Base(DeclarativeBase):
    pass


class QueryLog(Base):
    __tablename__ = "query_logs"
    id = mapped_column(Integer, primary_key=True)
    timestamp = mapped_column(DateTime, nullable=False, default=utc, index=True)
    query_text = mapped_column(Text, nullable=False)
    query_hash = mapped_column(String(64), nullable=False, index=True)
    client_id = mapped_column(String(255), nullable=False, index=True)
    retrieval_time_ms = mapped_column(Float, nullable=False)
    generation_time_ms = mapped_column(Float, nullable=False)
    total_time_ms = mapped_column(Float, nullable=False)
    sources_count = mapped_column(Integer, nullable=False)
    relevance_scores = mapped_column(Json)
    avg_relevance_score = mapped_column(Float)
    model_used = mapped_column(String(100), nullable=False)
    tokens_generated = mapped_column(Integer, nullable=False, default=0)
    expansion_count = mapped_column(Integer, nullable=False, default=0)
    used_reranking = mapped_column(Boolean, nullable=False, default=False)
    used_hybrid_search = mapped_column(Boolean, nullable=False, default=False)
    used_query_expansion = mapped_column(Boolean, nullable=False, default=False)
    success = mapped_column(Boolean, nullable=False, default=True)
    error_message = mapped_column(Text)
    extra = mapped_column("metadata", Json)
    accesses = relationship("DocumentAccess", back_populates="query")
    __table_args__ = (
        Index("idx_query_timestamp", "timestamp"), Index("idx_query_client_timestamp", "client_id", "timestamp"),
        Index("idx_query_success", "success"),
        Index("idx_query_features", "used_reranking", "used_hybrid_search", "used_query_expansion"))


class DocumentAccess(Base):
    __tablename__ = "document_accesses"
    id = mapped_column(Integer, primary_key=True)
    timestamp = mapped_column(DateTime, nullable=False, default=utc, index=True)
    query_id = mapped_column(Integer, ForeignKey("query_logs.id", ondelete="CASCADE"), index=True)
    document_id = mapped_column(String(255), nullable=False, index=True)
    file_name = mapped_column(String(512), nullable=False)
    chunk_id = mapped_column(String(255), index=True)
    relevance_score = mapped_column(Float, nullable=False)
    rank = mapped_column(Integer)
    extra = mapped_column("metadata", Json)
    query = relationship("QueryLog", back_populates="accesses")
    __table_args__ = (
        Index("idx_doc_access_timestamp", "timestamp"),
        Index("idx_doc_access_document", "document_id", "timestamp"), Index("idx_doc_access_query", "query_id"))


DOCUMENTS = [f"doc_{i * 7919:016x}" for i in range(200)]  # as bench/analytics_postgres.c has them


def question(number):
    text = (f"What does rule {number % 97} of part {number % 31} say about leave of person number "
            f"{number * 7919 % 5003}?")
    return {"timestamp": utc(), "query_text": text, "query_hash": hashlib.sha256(text.encode()).hexdigest(),
            "client_id": "desk-1", "retrieval_time_ms": 12.3, "generation_time_ms": float(number % 1000),
            "total_time_ms": 12.3 + number % 1000, "sources_count": SOURCES,
            "relevance_scores": [0.5 + i / 100 for i in range(SOURCES)], "avg_relevance_score": 0.52,
            "model_used": "mistral:7b-instruct", "tokens_generated": 41, "used_hybrid_search": True,
            "extra": {"request_id": f"{number:032x}", "max_relevance_score": 0.54}}


def sources(number, moment):
    found = []
    for i in range(SOURCES):
        document = DOCUMENTS[(number * 31 + i * 7) % len(DOCUMENTS)]
        found.append({"timestamp": moment, "document_id": document, "file_name": "handbook.pdf",
                      "chunk_id": f"{document}_chunk_{i}", "relevance_score": 0.5 + i / 100, "rank": i + 1})
    return found


def timed(call):
    """Seconds, and those of this thread's CPU."""
    began, cpu = time.perf_counter(), time.thread_time()
    call()
    return {"wall_s": time.perf_counter() - began, "cpu_s": time.thread_time() - cpu}


class Peer:
    def __init__(self, cluster, database, make=True):
        self.engine = create_engine(
            f"postgresql+psycopg2://{USER}:changeme@127.0.0.1:{cluster.port}/{database}", pool_size=20,
            max_overflow=10, pool_pre_ping=True, pool_recycle=3600)
        self.number = 0
        if make:
            cluster.create_database(database)
            Base.metadata.create_all(self.engine)

    def close(self):
        self.engine.dispose()

    def _log(self):
        self.number += 1
        values = question(self.number)
        return QueryLog(**values, accesses=[DocumentAccess(**one)
                                            for one in sources(self.number, values["timestamp"])])

    def add(self, count):
        """Questions as objects of one session, committed together."""
        def call():
            with Session(self.engine) as session:
                session.add_all([self._log() for _ in range(count)])
                session.commit()
        return timed(call)

    def insert(self, count):
        """The fastest way that the library has: its insert of many values, numbers of the questions returned."""
        def call():
            made = []
            for _ in range(count):
                self.number += 1
                made.append((self.number, question(self.number)))
            with Session(self.engine) as session:
                ids = session.scalars(insert(QueryLog).returning(QueryLog.id, sort_by_parameter_order=True),
                                      [values for _, values in made]).all()
                session.execute(insert(DocumentAccess), [
                    {**one, "query_id": key} for (number, values), key in zip(made, ids)
                    for one in sources(number, values["timestamp"])])
                session.commit()
        return timed(call)

    def recent(self):
        def call():
            with Session(self.engine) as session:
                rows = session.scalars(select(QueryLog).order_by(QueryLog.timestamp.desc()).limit(10)).all()
                assert len(rows) == 10
        return timed(call)

    def stats(self, seconds=0):
        """What /analytics/query-stats says, in plain SQL."""
        q, found = QueryLog, []
        asked = select(
            func.count(), func.sum(case((q.success, 1), else_=0)), func.avg(q.retrieval_time_ms),
            func.avg(q.generation_time_ms), func.avg(q.total_time_ms), func.avg(q.sources_count),
            func.avg(func.coalesce(q.avg_relevance_score, 0)), func.sum(case((q.used_reranking, 1), else_=0)),
            func.sum(case((q.used_hybrid_search, 1), else_=0)), func.sum(case((q.used_query_expansion, 1), else_=0)))
        if seconds:
            asked = asked.where(q.timestamp >= utc() - datetime.timedelta(seconds=seconds))

        def call():
            with Session(self.engine) as session:
                found.append(session.execute(asked).one()[0])
        return {**timed(call), "found": found[0]}

    def popular(self):
        d = DocumentAccess
        asked = select(d.document_id, func.max(d.file_name), func.count(), func.max(d.timestamp),
                       func.avg(d.relevance_score)).group_by(d.document_id).order_by(func.count().desc()).limit(10)

        def call():
            with Session(self.engine) as session:
                assert session.execute(asked).all()
        return timed(call)

    def words(self):
        """The commonest words alone, of what query-patterns says."""
        word = func.regexp_split_to_table(func.lower(QueryLog.query_text), r"\s+").label("word")
        split = select(word).subquery()
        asked = select(split.c.word, func.count()).group_by(split.c.word).order_by(func.count().desc()).limit(20)

        def call():
            with Session(self.engine) as session:
                assert session.execute(asked).all()
        return timed(call)
