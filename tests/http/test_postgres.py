"""The log of questions in PostgreSQL: a real server, the real program.

What the tables hold equals what answers carried; databases that others made are adopted, or refused by name. A server
that is killed, hangs or comes back: test_postgres_faults.py."""
import concurrent.futures
import os
import sys
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from postgres import Postgres
from server import ServerTest, eventually

QUESTION = {"query": "How many days of vacation are there?", "relevance_threshold": 0}

# The tables of the wire contract, section 5: column, type, nullable, default.
COLUMNS = {
    "query_logs": [
        ("id", "integer", "NO", "nextval"), ("timestamp", "timestamp without time zone", "NO", "now()"),
        ("query_text", "text", "NO", ""), ("query_hash", "character varying(64)", "NO", ""),
        ("client_id", "character varying(255)", "NO", ""), ("retrieval_time_ms", "double precision", "NO", ""),
        ("generation_time_ms", "double precision", "NO", ""), ("total_time_ms", "double precision", "NO", ""),
        ("sources_count", "integer", "NO", ""), ("relevance_scores", "jsonb", "YES", ""),
        ("avg_relevance_score", "double precision", "YES", ""), ("model_used", "character varying(100)", "NO", ""),
        ("tokens_generated", "integer", "NO", "0"), ("expansion_count", "integer", "NO", "0"),
        ("used_reranking", "boolean", "NO", "false"), ("used_hybrid_search", "boolean", "NO", "false"),
        ("used_query_expansion", "boolean", "NO", "false"), ("success", "boolean", "NO", "true"),
        ("error_message", "text", "YES", ""), ("metadata", "jsonb", "YES", "")],
    "document_accesses": [
        ("id", "bigint", "NO", "nextval"), ("timestamp", "timestamp without time zone", "NO", "now()"),
        ("query_id", "integer", "YES", ""), ("document_id", "character varying(255)", "NO", ""),
        ("file_name", "character varying(512)", "NO", ""), ("chunk_id", "character varying(255)", "YES", ""),
        ("relevance_score", "double precision", "NO", ""), ("rank", "integer", "YES", ""),
        ("metadata", "jsonb", "YES", "")],
    "error_logs": [
        ("id", "bigint", "NO", "nextval"), ("timestamp", "timestamp without time zone", "NO", "now()"),
        ("error_type", "character varying(255)", "NO", ""), ("error_message", "text", "NO", ""),
        ("stack_trace", "text", "YES", ""), ("service", "character varying(100)", "YES", ""),
        ("operation", "character varying(100)", "YES", ""), ("client_id", "character varying(255)", "YES", ""),
        ("severity", "character varying(20)", "NO", "ERROR"), ("metadata", "jsonb", "YES", "")],
    "system_metrics": [
        ("id", "bigint", "NO", "nextval"), ("timestamp", "timestamp without time zone", "NO", "now()"),
        *[(name, "double precision", "YES", "") for name in
          "cpu_usage_percent memory_usage_percent gpu_usage_percent gpu_memory_usage_percent cache_hit_rate "
          "avg_query_time_ms avg_retrieval_time_ms avg_generation_time_ms queries_per_minute".split()],
        *[(name, "integer", "YES", "") for name in "active_connections total_documents total_chunks".split()],
        ("metadata", "jsonb", "YES", "")],
}
INDEXES = {
    "idx_query_timestamp": "(\"timestamp\")", "idx_query_client_timestamp": "(client_id, \"timestamp\")",
    "idx_query_success": "(success)",
    "idx_query_features": "(used_reranking, used_hybrid_search, used_query_expansion)",
    "ix_query_logs_query_hash": "(query_hash)", "idx_query_metadata": "gin (metadata",
    "idx_doc_access_timestamp": "(\"timestamp\")", "idx_doc_access_document": "(document_id, \"timestamp\")",
    "idx_doc_access_query": "(query_id)", "ix_document_accesses_chunk_id": "(chunk_id)",
    "idx_error_timestamp": "(\"timestamp\")", "idx_error_type_timestamp": "(error_type, \"timestamp\")",
    "idx_error_service": "(service)", "idx_error_severity": "(severity)", "ix_error_logs_client_id": "(client_id)",
    "idx_error_metadata": "gin (metadata", "idx_metrics_timestamp": "(\"timestamp\")",
}
# As another program of the same contract makes them: no defaults, some indexes, rows inside.
OTHERS = """
CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY);
INSERT INTO alembic_version VALUES ('0001');
CREATE TABLE query_logs (id SERIAL PRIMARY KEY, timestamp TIMESTAMP NOT NULL, query_text TEXT NOT NULL,
    query_hash VARCHAR(64) NOT NULL, client_id VARCHAR(255) NOT NULL, retrieval_time_ms FLOAT NOT NULL,
    generation_time_ms FLOAT NOT NULL, total_time_ms FLOAT NOT NULL, sources_count INTEGER NOT NULL,
    relevance_scores JSONB, avg_relevance_score FLOAT, model_used VARCHAR(100) NOT NULL,
    tokens_generated INTEGER NOT NULL, used_reranking BOOLEAN NOT NULL, used_hybrid_search BOOLEAN NOT NULL,
    used_query_expansion BOOLEAN NOT NULL, expansion_count INTEGER NOT NULL, success BOOLEAN NOT NULL,
    error_message TEXT, metadata JSONB);
CREATE INDEX ix_query_logs_client_id ON query_logs (client_id);
CREATE TABLE document_accesses (id SERIAL PRIMARY KEY, timestamp TIMESTAMP NOT NULL,
    query_id INTEGER REFERENCES query_logs (id) ON DELETE CASCADE, document_id VARCHAR(255) NOT NULL,
    file_name VARCHAR(512) NOT NULL, chunk_id VARCHAR(255), relevance_score FLOAT NOT NULL, rank INTEGER,
    metadata JSONB);
INSERT INTO query_logs VALUES (nextval('query_logs_id_seq'), '2025-01-02 03:04:05', 'an old question', 'h', 'c', 1, 2,
    3, 1, '[0.5]', 0.5, 'm', 7, false, true, false, 0, true, NULL, NULL);
INSERT INTO document_accesses VALUES (nextval('document_accesses_id_seq'), '2025-01-02 03:04:05', 1, 'd', 'd.pdf', 'c',
    0.5, 1, NULL);
"""


def setUpModule():
    global POSTGRES
    POSTGRES = Postgres(hba=["host guarded all 127.0.0.1/32 scram-sha-256", "host all all 127.0.0.1/32 trust"])


def tearDownModule():
    POSTGRES.close()


class OnPostgres(ServerTest):
    database = ""
    made_of = ""
    more = {}
    with_samples = True

    @classmethod
    def setUpClass(cls):
        POSTGRES.create_database(cls.database)
        if cls.made_of:
            POSTGRES.query(cls.made_of, cls.database, "tars")
        cls.settings = {**POSTGRES.environment(POSTGRES_DB=cls.database), **cls.more}
        super().setUpClass()
        cls.token = cls.sign_in()

    @classmethod
    def rows(cls, sql):
        return POSTGRES.query(sql, cls.database)

    @classmethod
    def answers_statistics(cls):
        return cls.ask("GET", "/analytics/query-stats").status == 200

    def compare_tables(self):
        for table, columns in COLUMNS.items():
            found = self.rows(
                "SELECT a.attname, format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NO' ELSE 'YES' "
                "END, coalesce(pg_get_expr(d.adbin, d.adrelid), '') FROM pg_attribute a LEFT JOIN pg_attrdef d ON "
                "d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attrelid = "
                f"'{table}'::regclass AND a.attnum > 0 AND NOT a.attisdropped")
            found = {row[0]: row[1:] for row in found}
            for name, kind, nullable, default in columns:
                self.assertEqual(found[name][:2], [kind, nullable], (table, name))
                self.assertIn(default, found[name][2], (table, name))
                self.assertEqual(bool(default), bool(found[name][2]), (table, name))
            for name in set(found) - {column[0] for column in columns}:
                self.assertTrue(found[name][1] == "YES" or found[name][2], (table, name))
        found = dict(self.rows("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"))
        for name, columns in INDEXES.items():
            self.assertIn(columns, found[name])


class Tables(OnPostgres):
    database = "fresh"

    def test_tables_and_indexes_are_those_of_the_contract(self):
        self.compare_tables()
        self.assertEqual(self.rows("SELECT confdeltype FROM pg_constraint WHERE contype = 'f' AND conrelid = "
                                   "'document_accesses'::regclass"), [["c"]])

    def test_a_row_equals_its_answer(self):
        answers = [self.ask("POST", "/rag/query", QUESTION).json()]
        self.assertTrue(answers[0]["sources"])
        eventually(self, self.answers_statistics)
        row = self.rows("SELECT id, query_text, query_hash = encode(sha256(convert_to(query_text, 'UTF8')), 'hex'), "
                        "client_id, round(retrieval_time_ms::numeric, 2), round(generation_time_ms::numeric, 2), "
                        "round(total_time_ms::numeric, 2), sources_count, relevance_scores, model_used, "
                        "tokens_generated, success, error_message, metadata->>'request_id' FROM query_logs "
                        "ORDER BY id DESC LIMIT 1")[0]
        answer = answers[0]
        self.assertEqual(row[1:4], [QUESTION["query"], "t", "tester"])
        self.assertEqual([float(x) for x in row[4:7]],
                         [answer["retrieval_time_ms"], answer["generation_time_ms"], answer["total_time_ms"]])
        self.assertEqual(int(row[7]), len(answer["sources"]))
        for stored, told in zip(eval(row[8], {}), answer["relevance_scores"]):  # a JSON array of numbers
            self.assertAlmostEqual(stored, told, places=4)
        self.assertEqual(row[9:13], [answer["model"], str(answer["total_tokens"]), "t", ""])
        found = self.rows(f"SELECT document_id, file_name, chunk_id, rank FROM document_accesses WHERE query_id = "
                          f"{row[0]} ORDER BY rank")
        self.assertEqual(found, [[s["document_id"], s["file_name"], s["chunk_id"], str(i + 1)]
                                 for i, s in enumerate(answer["sources"])])

    def test_a_streamed_question_leaves_a_row(self):
        before = int(self.rows("SELECT count(*) FROM query_logs")[0][0])
        lines = self.ask("POST", "/rag/query/stream", {**QUESTION, "query": "streamed"}).lines()
        self.assertEqual(lines[-1]["type"], "rag_complete")
        eventually(self, self.answers_statistics)
        self.assertEqual(int(self.rows("SELECT count(*) FROM query_logs")[0][0]), before + 1)
        row = self.rows("SELECT sources_count, tokens_generated FROM query_logs WHERE query_text = 'streamed'")[0]
        self.assertEqual([int(x) for x in row], [lines[-1]["sources_count"], lines[-1]["total_tokens"]])

    def test_ready_and_metrics_tell(self):
        self.assertEqual(self.ask("GET", "/ready").json()["checks"]["postgres"], "connected")
        text = self.ask("GET", "/metrics/prometheus").body.decode()
        self.assertIn("tars_db_connection_pool_max 30", text)
        self.assertIn('rag_analytics_rows_total{table="query_logs"}', text)


class Partitions(OnPostgres):
    database = "parted"
    more = {"ANALYTICS_PARTITION": "true"}

    def test_the_same_tables_in_months(self):
        self.assertEqual(self.ask("POST", "/rag/query", QUESTION).status, 200)
        eventually(self, self.answers_statistics)
        self.compare_tables()
        self.assertEqual(self.rows("SELECT count(*) FROM tars_partitioned()"), [["4"]])
        self.assertEqual(self.rows("SELECT count(*) FROM pg_constraint WHERE contype = 'f'"), [["0"]])
        key = self.rows("SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'p' AND conrelid IN "
                        "(SELECT tars_partitioned())")
        self.assertEqual(key, [['PRIMARY KEY (id, "timestamp")']] * 4)
        month = time.strftime("%Y_%m", time.gmtime())
        self.assertEqual(self.rows(f"SELECT count(*) FROM query_logs_{month}"), [["1"]])
        self.rows("SELECT tars_make_partitions('2020-05-06')")
        self.rows("INSERT INTO error_logs (timestamp, error_type, error_message) VALUES ('2020-05-06', 't', 'm')")
        self.assertEqual(self.rows("SELECT tars_drop_partitions('2021-01-01')"), [["4"]])
        self.assertEqual(self.rows("SELECT count(*) FROM error_logs"), [["0"]])


class Adopted(OnPostgres):
    database = "adopted"
    made_of = OTHERS

    def test_rows_of_another_program_are_kept_and_counted(self):
        stats = self.ask("GET", "/analytics/query-stats?end_time=2025-02-01T00:00:00").json()
        self.assertEqual([stats["total_queries"], stats["avg_total_time_ms"]], [1, 3.0])
        popular = self.ask("GET", "/analytics/document-popularity").json()
        self.assertIn("d", [document["document_id"] for document in popular])
        self.assertEqual(self.rows("SELECT version_num FROM alembic_version"), [["0001"]])
        found = {row[0] for row in self.rows("SELECT indexname FROM pg_indexes")}
        self.assertTrue(set(INDEXES) <= found and "ix_query_logs_client_id" in found)
        self.assertEqual(self.ask("POST", "/rag/query", QUESTION).status, 200)
        eventually(self, self.answers_statistics)
        self.assertEqual(self.rows("SELECT count(*) FROM query_logs"), [["2"]])


class Refused(OnPostgres):
    database = "foreign"
    made_of = "CREATE TABLE error_logs (id SERIAL PRIMARY KEY, timestamp TIMESTAMP, line TEXT)"
    more = {"START_WAIT_SECONDS": "1"}  # it never comes
    with_samples = False

    def test_a_table_of_anothers_is_named_and_left_alone(self):
        self.assertEqual(self.ask("GET", "/health").status, 200)
        reply = self.ask("GET", "/analytics/query-stats")
        self.assertEqual(reply.status, 503)
        self.assertIn("error_logs", reply.json()["detail"])
        self.assertEqual(self.rows("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), [["1"]])


class Starts(unittest.TestCase):
    def test_eight_at_once(self):
        POSTGRES.create_database("eight")
        made = [type(f"Server{i}", (ServerTest,), {"settings": POSTGRES.environment(POSTGRES_DB="eight")})
                for i in range(8)]
        try:
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda server: server.setUpClass(), made))
            self.assertEqual({server.ask("GET", "/ready").json()["checks"]["postgres"] for server in made},
                             {"connected"})
            versions = POSTGRES.query("SELECT version FROM tars_migrations ORDER BY version", "eight")
            self.assertEqual(versions, [[str(i + 1)] for i in range(len(versions))])
        finally:
            for server in made:
                server.tearDownClass()

    def test_a_wrong_password_is_named(self):
        class Wrong(ServerTest):
            settings = POSTGRES.environment(POSTGRES_DB="guarded", POSTGRES_PASSWORD="wrong", START_WAIT_SECONDS="1")

        POSTGRES.create_database("guarded")
        Wrong.setUpClass()
        try:
            Wrong.token = Wrong.sign_in()
            reply = Wrong.ask("GET", "/analytics/query-stats")
            self.assertEqual(reply.status, 503)
            # Whoever asks learns nothing of who is where; who sees to the server does.
            self.assertEqual(reply.json()["detail"], "The store is not reachable; try again in a moment")
            self.assertIn("password authentication failed", Wrong.ask("GET", "/ops/summary").json()["detail"])
        finally:
            Wrong.tearDownClass()


if __name__ == "__main__":
    unittest.main()
