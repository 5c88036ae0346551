/* One connection to a real PostgreSQL: values there and back, what is refused and how, waits that
 * end, certificates that are checked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sys/clock.h"
#include "store/postgres_conn.h"
#include "support/faults.h"
#include "support/postgres.h"

#define ROWS(a)    (sizeof(a) / sizeof((a)[0]))
#define SHORT_MS   300
#define WAITED_MS  15000 /* more than any bound of these tests; machines are busy */
#define PATH_BYTES 512

enum sql { ECHO, ADD, COUNT, FALSE_AND_TRUE, DIVIDE, WRONG, SLEEP, MANY, ASLEEP };

static const char *const texts[] = {
    "SELECT $1::text, $2::bigint, $3::float8, $4::text, $5::float8",
    "INSERT INTO numbers SELECT generate_series($1::int, $2::int)",
    "SELECT count(*), sum(n) FROM numbers",
    "SELECT false, true, NULL::int",
    "SELECT 1 / $1::int",
    "SELECT nothing FROM nowhere",
    "SELECT pg_sleep($1::float8)",
    "SELECT generate_series(1, $1::int)",
    "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query ~ '_sleep[(]'",
};

static struct postgres server; /* speaks TLS */
static struct postgres locked; /* asks for passwords */

static int start_servers(void **state)
{
    (void)state;
    postgres_open(&server, "--tls", "yes");
    postgres_open(&locked, "--auth", "scram-sha-256");
    (void)postgres_do(&server, "createdb certain");
    (void)postgres_do(&server, "query tars_analytics CREATE TABLE numbers (n int PRIMARY KEY); "
                               "ALTER TABLE numbers OWNER TO tars");
    return 0;
}

static int stop_servers(void **state)
{
    (void)state;
    postgres_close(&locked);
    postgres_close(&server);
    return 0;
}

static struct tars_pg_config config_of(const struct postgres *of)
{
    struct tars_pg_config config = postgres_config(of, "tars_analytics");

    config.texts = texts;
    config.text_count = ROWS(texts);
    return config;
}

static struct tars_pg_config config; /* of the connection that tests open */

static struct tars_pg_conn open_conn(void)
{
    struct tars_pg_conn conn;
    struct tars_err err = {.text = ""};

    if (tars_pg_open(&conn, &config, NULL, &err) != TARS_OK)
        fail_msg("%s", err.text);
    return conn;
}

static int set_up(void **state)
{
    static struct tars_pg_conn conn;

    config = config_of(&server);
    conn = open_conn();
    assert_int_equal(tars_pg_exec(&conn, "TRUNCATE numbers", NULL), TARS_OK);
    *state = &conn;
    return 0;
}

static int tear_down(void **state)
{
    tars_pg_close(*state);
    return 0;
}

static int64_t count(struct tars_pg_conn *conn)
{
    struct tars_pg_query query = tars_pg_ask(conn, COUNT);
    struct tars_err err = {.text = ""};
    int64_t n = tars_pg_step(&query) ? tars_pg_int(&query) : -1;

    if (tars_pg_end(&query, &err) != TARS_OK)
        fail_msg("%s", err.text);
    return n;
}

/* ------------------------------------------------------------------- values */

static void values_come_back(void **state)
{
    static const struct {
        const char *name, *text;
        int64_t whole;
        double real;
    } rows[] = {
        {"plain", "words", 7, 0.5},
        {"empty", "", 0, 0.0},
        {"quotes and commands", "'; DROP TABLE numbers; --\\", -1, -0.1},
        {"beyond ASCII", "\xc3\xa9\xe6\xbc\xa2\xf0\x9f\x98\x80", INT64_MAX, 1e300},
        {"control characters", "\t\n\r\x01\x7f", INT64_MIN, 5e-324},
    };
    struct tars_pg_conn *conn = *state;
    struct tars_arena arena;

    tars_arena_init(&arena, (size_t)1 << 20);
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tars_pg_query query = tars_pg_ask(conn, ECHO);

        print_message("row %zu: %s\n", i, rows[i].name);
        tars_pg_bind_text(&query, rows[i].text);
        tars_pg_bind_int(&query, rows[i].whole);
        tars_pg_bind_real(&query, rows[i].real);
        tars_pg_bind_text(&query, NULL);
        tars_pg_bind_real(&query, NAN);
        assert_true(tars_pg_step(&query));
        assert_int_equal(tars_pg_rows(&query), 1);
        assert_string_equal(tars_pg_text(&query, &arena), rows[i].text);
        assert_int_equal(tars_pg_int(&query), rows[i].whole);
        assert_true(tars_pg_real(&query) == rows[i].real);
        assert_true(tars_pg_is_null(&query));
        assert_null(tars_pg_text(&query, &arena));
        assert_true(isnan(tars_pg_real(&query)));
        assert_false(tars_pg_step(&query));
        assert_int_equal(tars_pg_end(&query, NULL), TARS_OK);
    }
    tars_arena_release(&arena);
}

static void booleans_are_numbers(void **state)
{
    struct tars_pg_query query = tars_pg_ask(*state, FALSE_AND_TRUE);

    assert_true(tars_pg_step(&query));
    assert_int_equal(tars_pg_int(&query), 0);
    assert_int_equal(tars_pg_int(&query), 1);
    assert_int_equal(tars_pg_int_or(&query, 42), 42);
    assert_int_equal(tars_pg_end(&query, NULL), TARS_OK);
}

static void changes_are_counted(void **state)
{
    struct tars_pg_conn *conn = *state;
    struct tars_pg_query query = tars_pg_ask(conn, ADD);
    int64_t changed = 0;

    tars_pg_bind_int(&query, 1);
    tars_pg_bind_int(&query, 25);
    assert_int_equal(tars_pg_run(&query, &changed, NULL), TARS_OK);
    assert_int_equal(changed, 25);
    query = tars_pg_ask(conn, COUNT);
    assert_true(tars_pg_step(&query));
    assert_int_equal(tars_pg_int(&query), 25);
    assert_int_equal(tars_pg_int(&query), 325);
    assert_int_equal(tars_pg_end(&query, NULL), TARS_OK);
}

/* More than one read of the socket. */
static void many_rows(void **state)
{
    struct tars_pg_query query = tars_pg_ask(*state, MANY);
    int64_t n = 0;

    tars_pg_bind_int(&query, 100000);
    while (tars_pg_step(&query))
        assert_int_equal(tars_pg_int(&query), ++n);
    assert_int_equal(tars_pg_end(&query, NULL), TARS_OK);
    assert_int_equal(n, 100000);
}

static void transactions_end(void **state)
{
    struct tars_pg_conn *conn = *state;

    assert_int_equal(tars_pg_exec(conn, "BEGIN; INSERT INTO numbers VALUES (1)", NULL), TARS_OK);
    assert_false(tars_pg_is_idle(conn));
    assert_int_equal(tars_pg_conclude(conn, TARS_ENOMEM, NULL), TARS_ENOMEM);
    assert_true(tars_pg_is_idle(conn));
    assert_int_equal(count(conn), 0);
    assert_int_equal(tars_pg_exec(conn, "BEGIN; INSERT INTO numbers VALUES (1)", NULL), TARS_OK);
    assert_int_equal(tars_pg_conclude(conn, TARS_OK, NULL), TARS_OK);
    assert_int_equal(count(conn), 1);
    assert_true(tars_pg_server_version(conn) >= 120000);
    assert_string_equal(tars_pg_reported(conn, "server_encoding"), "UTF8");
    assert_string_equal(tars_pg_reported(conn, "TimeZone"), "UTC");
    assert_string_equal(tars_pg_reported(conn, "no such"), "");
}

static void times_are_written(void **state)
{
    static const struct {
        int64_t time_us;
        const char *text;
    } rows[] = {
        {0, "1970-01-01 00:00:00.000000"},
        {1, "1970-01-01 00:00:00.000001"},
        {-1, "1969-12-31 23:59:59.999999"},
        {INT64_C(1700000000123456), "2023-11-14 22:13:20.123456"},
        {INT64_MIN, "0001-01-01 00:00:00.000000"},
        {INT64_MAX, "9999-12-31 23:59:59.000000"},
    };
    char out[TARS_PG_TIME_BYTES];

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        tars_pg_write_time(rows[i].time_us, out);
        assert_string_equal(out, rows[i].text);
    }
}

/* --------------------------------------------------------------------- COPY */

#define COPY_ALL "BEGIN; COPY numbers FROM STDIN; COMMIT"

static tars_status copy(struct tars_pg_conn *conn, const char *ptr, size_t len)
{
    const struct tars_pg_copy data = {ptr, len};

    return tars_pg_copy(conn, COPY_ALL, &data, 1, NULL);
}

static void rows_are_copied(void **state)
{
    enum { LINES = 200000 }; /* far more than is sent at a time */
    struct tars_pg_conn *conn = *state;
    char *all = malloc((size_t)LINES * 8);
    size_t len = 0;

    assert_non_null(all);
    for (int i = 0; i < LINES; i++)
        len += (size_t)snprintf(all + len, 8, "%d\n", i);
    assert_int_equal(copy(conn, all, len), TARS_OK);
    assert_int_equal(count(conn), LINES);
    free(all);
}

/* A line that cannot be taken takes all with it, and the connection goes on. */
static void bad_rows_are_refused(void **state)
{
    static const struct {
        const char *name, *lines;
    } rows[] = {
        {"no number", "1\nx\n"},          {"twice the same", "1\n1\n"},
        {"too many values", "1\t2\n"},    {"no UTF-8", "1\n\xff\xfe\n"},
        {"out of its range", "1\n1e9\n"},
    };
    struct tars_pg_conn *conn = *state;

    for (size_t i = 0; i < ROWS(rows); i++) {
        print_message("row %zu: %s\n", i, rows[i].name);
        assert_int_equal(copy(conn, rows[i].lines, strlen(rows[i].lines)), TARS_EINVAL);
        assert_int_equal(tars_pg_conclude(conn, TARS_EINVAL, NULL), TARS_EINVAL);
        assert_true(tars_pg_is_idle(conn));
        assert_int_equal(count(conn), 0);
    }
}

/* ------------------------------------------------------------------ refusals */

static tars_status divide(struct tars_pg_conn *conn, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, DIVIDE);

    tars_pg_bind_int(&query, 0);
    return tars_pg_run(&query, NULL, err);
}

static tars_status ask_wrongly(struct tars_pg_conn *conn, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, WRONG);

    return tars_pg_run(&query, NULL, err);
}

static tars_status break_key(struct tars_pg_conn *conn, struct tars_err *err)
{
    return tars_pg_exec(conn, "INSERT INTO numbers VALUES (1), (1)", err);
}

static tars_status send_bad_text(struct tars_pg_conn *conn, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, ECHO);

    tars_pg_bind_text(&query, "\xff");
    tars_pg_bind_int(&query, 1);
    tars_pg_bind_real(&query, 1);
    tars_pg_bind_text(&query, NULL);
    tars_pg_bind_real(&query, 1);
    return tars_pg_run(&query, NULL, err);
}

static tars_status take_long(struct tars_pg_conn *conn, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, SLEEP);

    if (tars_pg_exec(conn, "SET statement_timeout = 50", err) != TARS_OK)
        return TARS_OK;
    tars_pg_bind_real(&query, 600);
    return tars_pg_run(&query, NULL, err);
}

static tars_status forget_statements(struct tars_pg_conn *conn, struct tars_err *err)
{
    if (count(conn) != 0 || tars_pg_exec(conn, "DEALLOCATE ALL", err) != TARS_OK)
        return TARS_OK;
    {
        struct tars_pg_query query = tars_pg_ask(conn, COUNT);

        return tars_pg_run(&query, NULL, err);
    }
}

static tars_status be_ended(struct tars_pg_conn *conn, struct tars_err *err)
{
    return tars_pg_exec(conn, "SELECT pg_terminate_backend(pg_backend_pid())", err);
}

static void refusals_have_their_status(void **state)
{
    static const struct {
        const char *name;
        tars_status (*run)(struct tars_pg_conn *conn, struct tars_err *err);
        const char *words; /* of the message */
        const char *state; /* or NULL */
        tars_status status;
        bool is_broken;
    } rows[] = {
        {"a value without an answer", divide, "division by zero", "22012", TARS_EINVAL, false},
        {"a broken constraint", break_key, "duplicate key", "23505", TARS_EINVAL, false},
        {"bytes that are no text", send_bad_text, "encoding", "22021", TARS_EINVAL, false},
        {"no such table", ask_wrongly, "nowhere", "42P01", TARS_EUNAVAILABLE, false},
        {"its time is over", take_long, "statement timeout", "57014", TARS_ETIMEOUT, false},
        {"a statement that was forgotten", forget_statements, "does not exist", "26000",
         TARS_EUNAVAILABLE, true},
        {"the session was ended", be_ended, "terminat", NULL, TARS_EUNAVAILABLE, true},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tars_pg_conn conn = open_conn();
        struct tars_err err = {.text = ""};

        print_message("row %zu: %s\n", i, rows[i].name);
        assert_int_equal(rows[i].run(&conn, &err), rows[i].status);
        assert_non_null(strstr(err.text, rows[i].words));
        assert_null(strchr(err.text, '\n'));
        if (rows[i].state)
            assert_string_equal(conn.state, rows[i].state);
        assert_int_equal(conn.is_broken, rows[i].is_broken);
        if (!rows[i].is_broken) {
            assert_int_equal(count(&conn), 0);
        } else {
            assert_non_null(strstr(conn.why.text, rows[i].words));
            assert_int_equal(ask_wrongly(&conn, NULL), TARS_EUNAVAILABLE);
            assert_false(tars_pg_is_whole(&conn));
        }
        tars_pg_close(&conn);
    }
}

static void an_ended_session_is_seen(void **state)
{
    struct tars_pg_conn *conn = *state;

    assert_true(tars_pg_is_whole(conn));
    (void)postgres_do(&server, "query tars_analytics SELECT pg_terminate_backend(pid) FROM "
                               "pg_stat_activity WHERE application_name = 'tars-test'");
    for (int i = 0; i < WAITED_MS / 10 && tars_pg_is_whole(conn); i++)
        (void)usleep(10000);
    assert_false(tars_pg_is_whole(conn));
}

/* --------------------------------------------------------------------- waits */

static void waits_have_an_end(void **state)
{
    struct tars_pg_conn *conn = *state;
    int64_t begun_ms = tars_clock_mono_ms();
    struct tars_err err = {.text = ""};

    (void)postgres_do(&server, "pause");
    assert_int_equal(tars_pg_ping(conn, SHORT_MS, &err), TARS_ETIMEOUT);
    (void)postgres_do(&server, "resume");
    assert_in_range(tars_clock_mono_ms() - begun_ms, SHORT_MS, WAITED_MS);
    assert_non_null(strstr(err.text, "did not answer in time"));
    assert_true(conn->is_broken);
}

static int64_t count_asleep(void)
{
    struct tars_pg_conn conn = open_conn();
    struct tars_pg_query query = tars_pg_ask(&conn, ASLEEP);
    int64_t count = -1;

    if (tars_pg_step(&query))
        count = tars_pg_int(&query);
    assert_int_equal(tars_pg_end(&query, NULL), TARS_OK);
    tars_pg_close(&conn);
    return count;
}

static void *give_up_soon(void *ctx)
{
    (void)usleep(SHORT_MS * 1000);
    atomic_store((atomic_bool *)ctx, true);
    return NULL;
}

/* What is no longer waited for ends at the server, too: by its time, or because it was told so. */
static void what_is_left_is_cancelled(void **state)
{
    static const tars_status ends[] = {TARS_ECANCELED, TARS_ETIMEOUT};
    atomic_bool stop = false;
    pthread_t beside;

    (void)state;
    assert_int_equal(pthread_create(&beside, NULL, give_up_soon, &stop), 0);
    for (size_t i = 0; i < ROWS(ends); i++) {
        struct tars_pg_conn conn = open_conn();
        struct tars_pg_query query = tars_pg_ask(&conn, SLEEP);
        int64_t until_ms = tars_clock_mono_ms() + WAITED_MS;

        tars_pg_bind_real(&query, 600);
        conn.wait_ms = ends[i] == TARS_ETIMEOUT ? SHORT_MS : 20 * WAITED_MS;
        conn.stop = ends[i] == TARS_ETIMEOUT ? NULL : &stop;
        assert_int_equal(tars_pg_run(&query, NULL, NULL), ends[i]);
        tars_pg_close(&conn);
        while (count_asleep() != 0 && tars_clock_mono_ms() < until_ms)
            (void)usleep(10000);
        assert_int_equal(count_asleep(), 0);
    }
    assert_int_equal(pthread_join(beside, NULL), 0);
}

static void waits_are_given_up(void **state)
{
    atomic_bool is_given_up = false;
    struct tars_pg_conn conn;
    struct tars_pg_query query;
    struct tars_err err = {.text = ""};
    int64_t begun_ms = tars_clock_mono_ms();
    pthread_t beside;

    (void)state;
    assert_int_equal(tars_pg_open(&conn, &config, &is_given_up, NULL), TARS_OK);
    assert_int_equal(pthread_create(&beside, NULL, give_up_soon, &is_given_up), 0);
    query = tars_pg_ask(&conn, SLEEP);
    tars_pg_bind_real(&query, 25);
    assert_int_equal(tars_pg_run(&query, NULL, &err), TARS_EUNAVAILABLE);
    assert_in_range(tars_clock_mono_ms() - begun_ms, SHORT_MS, WAITED_MS);
    assert_non_null(strstr(err.text, "does not answer"));
    assert_int_equal(pthread_join(beside, NULL), 0);
    tars_pg_close(&conn);
}

/* A port where connections are taken, and nobody ever says anything. */
static int listen_silently(uint16_t *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(fd, 16), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static void connecting_says_what_is_wrong(void **state)
{
    static const struct {
        const char *name;
        const char *database, *user, *password;
        const char *words; /* NULL: it connects */
    } rows[] = {
        {"right", "tars_analytics", "tars", "changeme", NULL},
        {"a wrong password", "tars_analytics", "tars", "wrong", "password authentication failed"},
        {"no password", "tars_analytics", "tars", "", "password"},
        {"no such user", "tars_analytics", "nobody-here", "x", "authentication failed"},
        {"no such database", "nothing", "tars", "changeme", "\"nothing\" does not exist"},
    };

    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct tars_pg_config asked = config_of(&locked);
        struct tars_err err = {.text = ""};
        struct tars_pg_conn conn;
        tars_status status;

        print_message("row %zu: %s\n", i, rows[i].name);
        asked.database = rows[i].database;
        asked.user = rows[i].user;
        asked.password = rows[i].password;
        status = tars_pg_open(&conn, &asked, NULL, &err);
        assert_int_equal(status, rows[i].words ? TARS_EUNAVAILABLE : TARS_OK);
        if (rows[i].words) {
            assert_non_null(strstr(err.text, rows[i].words));
        } else {
            tars_pg_close(&conn);
        }
    }
}

static void connecting_has_an_end(void **state)
{
    struct tars_pg_config asked = config_of(&server);
    struct tars_err err = {.text = ""};
    int64_t begun_ms = tars_clock_mono_ms();
    struct tars_pg_conn conn;
    int fd = listen_silently(&asked.port);

    (void)state;
    asked.timeout_ms = SHORT_MS;
    assert_int_equal(tars_pg_open(&conn, &asked, NULL, &err), TARS_ETIMEOUT);
    assert_in_range(tars_clock_mono_ms() - begun_ms, SHORT_MS, WAITED_MS);
    (void)close(fd);
    assert_int_equal(tars_pg_open(&conn, &asked, NULL, &err), TARS_EUNAVAILABLE);
    assert_non_null(strstr(err.text, "refused"));
}

/* ----------------------------------------------------------------------- TLS */

struct tls_row {
    const char *name;
    const char *shown; /* certificate of the server */
    const char *mode, *authority;
    const char *database;
    const char *client; /* our certificate */
    const char *words;  /* NULL: it connects */
};

static const char *in_tls(const char *dir, const char *name, const char *end, char *out)
{
    if (!name)
        return NULL;
    (void)snprintf(out, (size_t)2 * PATH_BYTES, "%s/%s%s", dir, name, end);
    return out;
}

static void try_tls(const char *dir, const struct tls_row *row)
{
    struct tars_pg_config asked = config_of(&server);
    char paths[3][2 * PATH_BYTES];
    struct tars_err err = {.text = ""};
    struct tars_pg_conn conn;
    tars_status status;

    print_message("%s\n", row->name);
    asked.database = row->database;
    asked.sslmode = row->mode;
    asked.sslrootcert = in_tls(dir, row->authority, ".pem", paths[0]);
    asked.sslcert = in_tls(dir, row->client, ".pem", paths[1]);
    asked.sslkey = in_tls(dir, row->client, ".key", paths[2]);
    status = tars_pg_open(&conn, &asked, NULL, &err);
    if (status == TARS_OK)
        tars_pg_close(&conn);
    if (status != (row->words ? TARS_EUNAVAILABLE : TARS_OK) ||
        (row->words && !strstr(err.text, row->words)))
        fail_msg("%s: %s", row->name, err.text);
}

static void certificates_are_checked(void **state)
{
    static const struct tls_row rows[] = {
        {"right", "right", "verify-full", "ca", "tars_analytics", NULL, NULL},
        {"right, and ours is shown", "right", "verify-full", "ca", "certain", "client", NULL},
        {"ours is wanted", "right", "verify-full", "ca", "certain", NULL, "certificate"},
        {"of another authority", "right", "verify-full", "other-ca", "tars_analytics", NULL,
         "certificate verify failed"},
        {"no such file of authorities", "right", "verify-full", "nothing", "tars_analytics", NULL,
         "does not exist"},
        {"of another authority, and nobody asked", "right", "require", NULL, "tars_analytics", NULL,
         NULL},
        {"made out to another", "elsewhere", "verify-full", "ca", "tars_analytics", NULL,
         "does not match host name"},
        {"made out to another, which is not looked at", "elsewhere", "verify-ca", "ca",
         "tars_analytics", NULL, NULL},
        {"of yesterday", "expired", "verify-full", "ca", "tars_analytics", NULL,
         "certificate verify failed"},
        {"of yesterday, without the name", "expired", "verify-ca", "ca", "tars_analytics", NULL,
         "certificate verify failed"},
    };
    const char *shown = "right";
    char dir[PATH_BYTES];

    (void)state;
    (void)snprintf(dir, sizeof(dir), "%s", postgres_do(&server, "tls"));
    for (size_t i = 0; i < ROWS(rows); i++) {
        if (strcmp(shown, rows[i].shown) != 0)
            (void)postgres_do(&server, "certificate %s", rows[i].shown);
        shown = rows[i].shown;
        try_tls(dir, &rows[i]);
    }
    (void)postgres_do(&server, "certificate right");
}

static void no_tls_where_it_is_wanted(void **state)
{
    struct tars_pg_config asked = config_of(&locked);
    struct tars_err err = {.text = ""};
    struct tars_pg_conn conn;

    (void)state;
    asked.sslmode = "require";
    assert_int_equal(tars_pg_open(&conn, &asked, NULL, &err), TARS_EUNAVAILABLE);
    assert_non_null(strstr(err.text, "does not support SSL"));
}

/* ---------------------------------------------------------------- no memory */

static void use_once(void *ctx)
{
    struct tars_pg_conn conn;
    struct tars_pg_query query;
    struct tars_arena arena;
    struct tars_err err = {.text = ""};
    tars_status status = tars_pg_open(&conn, &config, NULL, &err);

    (void)ctx;
    if (status == TARS_ENOMEM)
        return;
    assert_int_equal(status, TARS_OK);
    tars_arena_init(&arena, (size_t)1 << 20);
    query = tars_pg_ask(&conn, ECHO);
    tars_pg_bind_text(&query, "words");
    for (int i = 0; i < 4; i++)
        tars_pg_bind_text(&query, NULL);
    if (tars_pg_step(&query) && !tars_pg_text(&query, &arena))
        assert_true(faults_happened());
    status = tars_pg_end(&query, &err);
    assert_int_equal(status, faults_happened() ? TARS_ENOMEM : TARS_OK);
    assert_false(conn.is_broken);
    tars_arena_release(&arena);
    tars_pg_close(&conn);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(use_once, NULL) >= 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(values_come_back),
        TEST(booleans_are_numbers),
        TEST(changes_are_counted),
        TEST(many_rows),
        TEST(transactions_end),
        cmocka_unit_test(times_are_written),
        TEST(rows_are_copied),
        TEST(bad_rows_are_refused),
        TEST(refusals_have_their_status),
        TEST(an_ended_session_is_seen),
        TEST(waits_have_an_end),
        cmocka_unit_test(what_is_left_is_cancelled), /* before what is left asleep */
        TEST(waits_are_given_up),
        cmocka_unit_test(connecting_says_what_is_wrong),
        cmocka_unit_test(connecting_has_an_end),
        TEST(every_allocation_may_fail),
        cmocka_unit_test(certificates_are_checked),
        cmocka_unit_test(no_tls_where_it_is_wanted),
    };
#undef TEST

    return cmocka_run_group_tests(tests, start_servers, stop_servers);
}
