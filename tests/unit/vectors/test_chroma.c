/* The client of ChromaDB where a real one cannot be made to do what is wanted: requests are counted
 * and looked at, replies are of another version, foreign, late or none. The server is a thread that
 * answers as the test says, over a real connection. What real ones do is in test_contract.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sys/clock.h"
#include "net/client.h"
#include "support/faults.h"
#include "vectors/chroma.h"

#define ID          "08952bb4-f4ae-4bb2-8605-a07f49c638d5"
#define REQUEST_MAX 65536
#define SLOW_MS     2000
#define BEAT        "{\"nanosecond heartbeat\":1}"
#define GONE        "{\"error\":\"Unimplemented\",\"message\":\"The v1 API is deprecated\"}"
#define COLLECTION  "{\"id\":\"" ID "\",\"metadata\":{\"a\":1},\"dimension\":2}"

/* What a path that holds these words is answered; the first that fits. */
struct line {
    const char *words;
    int status;
    const char *body;
};

struct server {
    int listener;
    int port;
    pthread_t thread;
    const struct line *_Atomic lines; /* ends with words NULL */
    atomic_int delay_ms;
    atomic_int requests, upserts, beats;
    char last[REQUEST_MAX]; /* seen last; read once the answer has come */
};

static bool is_whole(const char *request, size_t len)
{
    const char *head = strstr(request, "\r\n\r\n");
    const char *length = strstr(request, "Content-Length: ");
    size_t body = length ? strtoul(length + 16, NULL, 10) : 0;

    return head && (size_t)(head + 4 - request) + body <= len;
}

static bool receive(struct server *server, int fd)
{
    size_t len = 0;

    server->last[0] = '\0';
    while (!is_whole(server->last, len) && len + 1 < REQUEST_MAX) {
        ssize_t got = recv(fd, server->last + len, REQUEST_MAX - 1 - len, 0);

        if (got <= 0)
            return false;
        len += (size_t)got;
        server->last[len] = '\0';
    }
    return true;
}

static void answer(struct server *server, int fd)
{
    static const struct line none = {"", 404, "{}"};
    const struct line *line = atomic_load(&server->lines);
    char path[512];
    char reply[1024];
    int count;

    if (!receive(server, fd))
        return;
    (void)snprintf(path, sizeof(path), "%.*s", (int)strcspn(server->last, "\r"), server->last);
    atomic_fetch_add(&server->requests, 1);
    atomic_fetch_add(&server->upserts, strstr(path, "/upsert") != NULL);
    atomic_fetch_add(&server->beats, strstr(path, "/heartbeat") != NULL);
    while (line->words && !strstr(path, line->words))
        line++;
    line = line->words ? line : &none;
    (void)usleep((useconds_t)atomic_load(&server->delay_ms) * 1000);
    count = snprintf(reply, sizeof(reply),
                     "HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n"
                     "connection: close\r\n\r\n%s",
                     line->status, strlen(line->body), line->body);
    (void)send(fd, reply, (size_t)count, MSG_NOSIGNAL);
}

static void *serve(void *ctx)
{
    struct server *server = ctx;
    int fd;

    while ((fd = accept(server->listener, NULL, NULL)) >= 0) {
        answer(server, fd);
        (void)close(fd);
    }
    return NULL;
}

static struct server *start(const struct line *lines)
{
    struct server *server = calloc(1, sizeof(*server));
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(at);

    assert_non_null(server);
    atomic_init(&server->lines, lines);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(server->listener >= 0);
    assert_int_equal(bind(server->listener, (struct sockaddr *)&at, size), 0);
    assert_int_equal(listen(server->listener, 8), 0);
    assert_int_equal(getsockname(server->listener, (struct sockaddr *)&at, &size), 0);
    server->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&server->thread, NULL, serve, server), 0);
    return server;
}

static void stop(struct server *server)
{
    (void)shutdown(server->listener, SHUT_RDWR);
    (void)pthread_join(server->thread, NULL);
    (void)close(server->listener);
    free(server);
}

/* ------------------------------------------------------------------ the asker */

struct asker {
    struct server *server;
    struct tars_client *client;
    struct tars_chroma *chroma;
    struct tars_arena arena;
    struct tars_err err;
};

static void open_asker(struct asker *a, const struct line *lines, struct tars_chroma_config config)
{
    const struct tars_client_config client = {.max_idle = 1};
    char url[64];

    memset(a, 0, sizeof(*a));
    a->server = start(lines);
    assert_int_equal(tars_client_new(&client, &a->client), TARS_OK);
    (void)snprintf(url, sizeof(url), "127.0.0.1:%d//", a->server->port);
    config.client = a->client;
    config.url = url;
    assert_int_equal(tars_chroma_new(&config, &a->chroma, &a->err), TARS_OK);
    tars_arena_init(&a->arena, (size_t)1 << 20);
}

static void close_asker(struct asker *a)
{
    tars_arena_release(&a->arena);
    tars_chroma_free(a->chroma);
    tars_client_free(a->client);
    stop(a->server);
}

static const struct line as_v2[] = {
    {"/api/v1/", 410, GONE},
    {"/api/v2/heartbeat", 200, BEAT},
    {"/api/v2/version", 200, "\"1.0.0\""},
    {"/pre-flight-checks", 200, "{\"max_batch_size\":3}"},
    {"/collections/docs ", 200, COLLECTION},
    {"/upsert", 200, "{}"},
    {"/count", 200, "7"},
    {"/get", 200, "{\"ids\":[\"same\"]}"},
    {"/delete", 200, "{\"deleted\":1}"},
    {"/query", 200, "{\"ids\":[[\"x\"]],\"distances\":[[0.5]]}"},
    {NULL, 0, NULL},
};

static const struct line as_v1[] = {
    {"/api/v1/heartbeat", 200, BEAT},
    {"/api/v1/version", 200, "\"0.5.23\""},
    {"/api/v1/collections/docs ", 200, COLLECTION},
    {"/api/v1/collections/" ID "/count", 200, "9"},
    {"/api/v1/collections/", 400,
     "{\"error\":\"InvalidCollection\",\"message\":\"Collection x does not exist.\"}"},
    {NULL, 0, NULL},
};

/* --------------------------------------------------------------------- tests */

static void finds_out_who_answers(void **state)
{
    (void)state;
    static const struct line strange[] = {{"/", 200, "<html>"}, {NULL, 0, NULL}};
    static const struct line nothing[] = {{NULL, 0, NULL}};
    static const struct line closed[] = {{"/", 403, "{\"detail\":\"no\"}"}, {NULL, 0, NULL}};
    static const struct line broken[] = {{"/", 500, "oh"}, {NULL, 0, NULL}};
    static const struct {
        const char *name;
        const struct line *lines;
        tars_status status;
        enum tars_chroma_api api;
        const char *version;
    } rows[] = {
        {"1.x", as_v2, TARS_OK, TARS_CHROMA_V2, "1.0.0"},
        {"0.5.x", as_v1, TARS_OK, TARS_CHROMA_V1, "0.5.23"},
        {"a web server", strange, TARS_EFORMAT, 0, NULL},
        {"404 everywhere", nothing, TARS_EFORMAT, 0, NULL},
        {"a token is wanted", closed, TARS_EDENIED, 0, NULL},
        {"out of order", broken, TARS_EUNAVAILABLE, 0, NULL},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_chroma_info info = {.api = 99};
        struct asker a;

        print_message("  %s\n", rows[i].name);
        open_asker(&a, rows[i].lines, (struct tars_chroma_config){0});
        assert_int_equal(tars_chroma_ping(a.chroma, &info, &a.err), rows[i].status);
        if (rows[i].status == TARS_OK) {
            assert_int_equal(info.api, rows[i].api);
            assert_string_equal(info.version, rows[i].version);
        } else {
            assert_true(a.err.text[0] != '\0');
        }
        close_asker(&a);
    }
}

static void looks_again_when_it_is_another(void **state)
{
    (void)state;
    struct tars_chroma_collection found;
    size_t count = 0;
    struct asker a;

    open_asker(&a, as_v1, (struct tars_chroma_config){0});
    assert_int_equal(tars_chroma_find(a.chroma, "docs", &a.arena, &found, &a.err), TARS_OK);
    assert_string_equal(found.id, ID);
    assert_int_equal(tars_chroma_count(a.chroma, ID, &count, &a.err), TARS_OK);
    assert_int_equal(count, 9);
    assert_int_equal(atomic_load(&a.server->beats), 1);
    atomic_store(&a.server->lines, as_v2);
    assert_int_equal(tars_chroma_count(a.chroma, ID, &count, &a.err), TARS_EUNAVAILABLE);
    assert_int_equal(tars_chroma_count(a.chroma, ID, &count, &a.err), TARS_OK);
    assert_int_equal(count, 7);
    close_asker(&a);
}

static void refusals_say_what_to_do(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct line line;
        tars_status status;
    } rows[] = {
        {"gone, 1.x",
         {"/count", 404, "{\"message\":\"Collection does not exist.\"}"},
         TARS_ENOTFOUND},
        {"gone, 0.5.x",
         {"/count", 400, "{\"message\":\"Collection x does not exist.\"}"},
         TARS_ENOTFOUND},
        {"another length",
         {"/count", 400, "{\"message\":\"expecting embedding with dimension of 2\"}"},
         TARS_EMISMATCH},
        {"not so", {"/count", 422, "{\"message\":\"no\"}"}, TARS_EINVAL},
        {"a token", {"/count", 401, ""}, TARS_EDENIED},
        {"too much", {"/count", 413, ""}, TARS_ETOOBIG},
        {"too often", {"/count", 429, ""}, TARS_EIO},
        {"what it cannot do", {"/count", 500, "contiguous"}, TARS_EIO},
        {"out of order", {"/count", 503, "busy"}, TARS_EUNAVAILABLE},
        {"no count", {"/count", 200, "{}"}, TARS_EFORMAT},
        {"no JSON", {"/count", 200, "<html>"}, TARS_EFORMAT},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct line lines[] = {
            {"/api/v1/heartbeat", 200, BEAT}, rows[i].line, {NULL, 0, NULL}};
        size_t count = 0;
        struct asker a;

        print_message("  %s\n", rows[i].name);
        open_asker(&a, lines, (struct tars_chroma_config){0});
        assert_int_equal(tars_chroma_count(a.chroma, ID, &count, &a.err), rows[i].status);
        assert_true(a.err.text[0] != '\0');
        close_asker(&a);
    }
}

static void shows_its_token(void **state)
{
    (void)state;
    size_t count = 0;
    struct asker a;

    open_asker(&a, as_v2, (struct tars_chroma_config){.token = "secret"});
    assert_int_equal(tars_chroma_count(a.chroma, ID, &count, &a.err), TARS_OK);
    assert_non_null(strstr(a.server->last, "authorization: Bearer secret\r\n"));
    assert_non_null(strstr(a.server->last, "x-chroma-token: secret\r\n"));
    close_asker(&a);
    open_asker(&a, as_v2, (struct tars_chroma_config){.token = ""});
    assert_int_equal(tars_chroma_count(a.chroma, ID, &count, &a.err), TARS_OK);
    assert_null(strstr(a.server->last, "authorization"));
    close_asker(&a);
}

static void names_are_safe_in_a_path(void **state)
{
    (void)state;
    struct tars_chroma_collection found;
    struct asker a;

    open_asker(&a, as_v2, (struct tars_chroma_config){0});
    assert_int_equal(tars_chroma_find(a.chroma, "a/../b?c d", &a.arena, &found, &a.err),
                     TARS_ENOTFOUND);
    assert_non_null(strstr(a.server->last, "/collections/a%2F..%2Fb%3Fc%20d HTTP/1.1"));
    assert_int_equal(tars_chroma_find(a.chroma, "", &a.arena, &found, &a.err), TARS_EINVAL);
    close_asker(&a);
}

/* As many rows as are wanted, as the server allows, whichever is less. */
static void writes_in_batches(void **state)
{
    (void)state;
    static const struct {
        size_t batch_rows, rows;
        int requests;
    } table[] = {{2, 7, 4}, {3, 7, 3}, {100, 7, 3}, {0, 7, 3}, {100, 3, 1}, {100, 0, 0}, {1, 2, 2}};
    const float vector[] = {1, 0};
    struct tars_chroma_row rows[7];

    for (size_t i = 0; i < 7; i++)
        rows[i] = (struct tars_chroma_row){.id = "x", .vector = vector, .metadata = "{\"a\":1}"};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct tars_chroma_info info;
        struct asker a;

        open_asker(&a, as_v2, (struct tars_chroma_config){.batch_rows = table[i].batch_rows});
        assert_int_equal(tars_chroma_ping(a.chroma, &info, &a.err), TARS_OK);
        assert_int_equal(tars_chroma_upsert(a.chroma, ID, rows, table[i].rows, 2, &a.err), TARS_OK);
        assert_int_equal(atomic_load(&a.server->upserts), table[i].requests);
        close_asker(&a);
    }
}

static void a_row_that_does_not_go_ends_it(void **state)
{
    (void)state;
    struct asker a;

    open_asker(&a, as_v2, (struct tars_chroma_config){.batch_rows = 1});
    assert_int_equal(tars_chroma_delete(a.chroma, ID, "{\"a\":1}", &a.err), TARS_EIO);
    close_asker(&a);
    open_asker(&a, as_v2,
               (struct tars_chroma_config){.batch_rows = 2}); /* a page that is not full */
    assert_int_equal(tars_chroma_delete(a.chroma, ID, "{\"a\":1}", &a.err), TARS_OK);
    close_asker(&a);
}

static void waits_no_longer_than_it_may(void **state)
{
    (void)state;
    const float vector[] = {1, 0};
    struct tars_chroma_wait wait = {.ms = 50};
    atomic_bool cancelled = true;
    struct tars_chroma_info info;
    struct tars_chroma_hits hits;
    int64_t begin_ms;
    struct asker a;

    open_asker(&a, as_v2, (struct tars_chroma_config){0});
    assert_int_equal(tars_chroma_ping(a.chroma, &info, &a.err), TARS_OK);
    assert_int_equal(
        tars_chroma_query(a.chroma, ID, vector, 2, 3, NULL, NULL, &a.arena, &hits, &a.err),
        TARS_OK);
    assert_int_equal(hits.count, 1);
    assert_string_equal(hits.items[0].id, "x");
    atomic_store(&a.server->delay_ms, SLOW_MS);
    begin_ms = tars_clock_mono_ms();
    assert_int_equal(
        tars_chroma_query(a.chroma, ID, vector, 2, 3, NULL, &wait, &a.arena, &hits, &a.err),
        TARS_ETIMEOUT);
    assert_true(tars_clock_mono_ms() - begin_ms < SLOW_MS);
    atomic_store(&a.server->delay_ms, 0);
    assert_int_equal(tars_chroma_ping(a.chroma, &info, &a.err), TARS_OK);
    wait = (struct tars_chroma_wait){.cancelled = &cancelled};
    assert_int_equal(
        tars_chroma_query(a.chroma, ID, vector, 2, 3, NULL, &wait, &a.arena, &hits, &a.err),
        TARS_ECANCELED);
    close_asker(&a);
}

/* What it cannot do of one request costs the next ones nothing; nor does a search's end. */
static void one_request_that_fails_is_not_an_outage(void **state)
{
    (void)state;
    static const struct line broken[] = {{"/count", 500, "contiguous"},
                                         {"heartbeat", 200, "{\"nanosecond heartbeat\":1}"},
                                         {NULL, 0, NULL}};
    size_t count = 0;
    int beats;
    struct asker a;

    open_asker(&a, as_v2, (struct tars_chroma_config){0});
    assert_int_equal(tars_chroma_count(a.chroma, ID, &count, &a.err), TARS_OK);
    beats = atomic_load(&a.server->beats);
    atomic_store(&a.server->lines, broken);
    for (int i = 0; i < 5; i++)
        assert_int_equal(tars_chroma_count(a.chroma, ID, &count, &a.err), TARS_EIO);
    atomic_store(&a.server->lines, as_v2);
    assert_int_equal(tars_chroma_count(a.chroma, ID, &count, &a.err), TARS_OK);
    assert_int_equal(atomic_load(&a.server->beats), beats);
    close_asker(&a);
}

static void leaves_it_alone_for_a_moment(void **state)
{
    (void)state;
    static const struct line broken[] = {{"/", 503, "busy"}, {NULL, 0, NULL}};
    size_t count = 0;
    int before;
    struct tars_chroma_info info;
    struct asker a;

    open_asker(&a, broken, (struct tars_chroma_config){0});
    for (int i = 0; i < 3; i++)
        assert_int_equal(tars_chroma_count(a.chroma, ID, &count, &a.err), TARS_EUNAVAILABLE);
    before = atomic_load(&a.server->requests);
    assert_int_equal(tars_chroma_count(a.chroma, ID, &count, &a.err), TARS_EUNAVAILABLE);
    assert_non_null(strstr(a.err.text, "in a moment"));
    assert_int_equal(atomic_load(&a.server->requests), before);
    atomic_store(&a.server->lines, as_v2);
    assert_int_equal(tars_chroma_ping(a.chroma, &info, &a.err), TARS_OK); /* asks all the same */
    assert_int_equal(tars_chroma_count(a.chroma, ID, &count, &a.err), TARS_OK);
    close_asker(&a);
}

static void settings_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *url, *token;
        tars_status status;
        const char *asked;
    } rows[] = {
        {"http://chromadb:8000", NULL, TARS_OK, "http://chromadb:8000"},
        {"https://a.example/chroma/", "t", TARS_OK, "https://a.example/chroma"},
        {"chromadb:8000", "", TARS_OK, "http://chromadb:8000"},
        {"", NULL, TARS_EINVAL, NULL},
        {"ftp://a", NULL, TARS_EINVAL, NULL},
        {"http://a/?b", NULL, TARS_EINVAL, NULL},
        {"http://a\r\nx: y", NULL, TARS_EINVAL, NULL},
        {"http://a", "t\nx: y", TARS_EINVAL, NULL},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct tars_chroma_config config = {.url = rows[i].url, .token = rows[i].token};
        struct tars_chroma *chroma = NULL;
        struct tars_err err = {""};

        assert_int_equal(tars_chroma_new(&config, &chroma, &err), rows[i].status);
        if (chroma)
            assert_string_equal(tars_chroma_url(chroma), rows[i].asked);
        tars_chroma_free(chroma);
    }
}

/* ------------------------------------------------------------------ no memory */

static void ask_all(void *ctx)
{
    struct asker *a = ctx;
    const struct tars_chroma_config config = {
        .url = tars_chroma_url(a->chroma), .token = "t", .batch_rows = 2};
    const float vector[] = {1, 0};
    const struct tars_chroma_row row = {.id = "x", .vector = vector, .metadata = "{\"a\":1}"};
    struct tars_chroma_collection found;
    struct tars_chroma *chroma = NULL;
    struct tars_chroma_hits hits;
    tars_status status = tars_chroma_new(&config, &chroma, NULL);

    if (status == TARS_OK)
        status = tars_chroma_find(chroma, "docs", &a->arena, &found, NULL);
    if (status == TARS_OK)
        status = tars_chroma_upsert(chroma, ID, &row, 1, 2, NULL);
    if (status == TARS_OK)
        status = tars_chroma_delete(chroma, ID, "{\"a\":1}", NULL);
    if (status == TARS_OK)
        status = tars_chroma_query(chroma, ID, vector, 2, 3, NULL, NULL, &a->arena, &hits, NULL);
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    tars_chroma_free(chroma);
    tars_arena_release(&a->arena);
    tars_arena_init(&a->arena, (size_t)1 << 20);
}

static void without_memory(void **state)
{
    (void)state;
    struct asker a;

    open_asker(&a, as_v2, (struct tars_chroma_config){0});
    assert_true(faults_each(ask_all, &a) > 10);
    close_asker(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_out_who_answers),
        cmocka_unit_test(looks_again_when_it_is_another),
        cmocka_unit_test(refusals_say_what_to_do),
        cmocka_unit_test(shows_its_token),
        cmocka_unit_test(names_are_safe_in_a_path),
        cmocka_unit_test(writes_in_batches),
        cmocka_unit_test(a_row_that_does_not_go_ends_it),
        cmocka_unit_test(waits_no_longer_than_it_may),
        cmocka_unit_test(one_request_that_fails_is_not_an_outage),
        cmocka_unit_test(leaves_it_alone_for_a_moment),
        cmocka_unit_test(settings_are_checked),
        cmocka_unit_test(without_memory),
    };
    int failed;

    if (tars_client_global_init() != TARS_OK)
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    tars_client_global_cleanup();
    return failed;
}
