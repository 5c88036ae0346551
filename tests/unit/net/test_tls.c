/* The server over TLS, spoken to by curl and by openssl s_client; and the context's failures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/sys/clock.h"
#include "net/client.h"
#include "net/server.h"
#include "net/tls.h"
#include "support/faults.h"
#include "support/files.h"

struct bench {
    char dir[FILES_PATH_MAX];
    char cert[FILES_PATH_MAX + 16], key[FILES_PATH_MAX + 16], other[FILES_PATH_MAX + 16];
    struct tars_server *server;
};

/* Output of a command, in place of its name; "" if it fails to run. */
static void run(const char *command, char *out, size_t size)
{
    FILE *pipe = popen(command, "r");
    size_t len;

    assert_non_null(pipe);
    len = fread(out, 1, size - 1, pipe);
    out[len] = '\0';
    while (!feof(pipe) && fgetc(pipe) != EOF) {
    }
    pclose(pipe);
}

static void handle(void *ctx, const struct tars_http_request *request,
                   struct tars_http_reply *reply)
{
    (void)ctx;
    if (request->body.len) {
        tars_http_reply_send_text(reply, 200, "text/plain", request->body.ptr, request->body.len);
    } else {
        tars_http_reply_send_text(reply, 200, "text/plain", request->is_tls ? "tls" : "plain",
                                  request->is_tls ? 3 : 5);
    }
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct tars_server_config config = {.handler = handle, .handshake_timeout_ms = 2000};
    struct tars_err err = {""};
    char command[4 * FILES_PATH_MAX];
    char out[64];

    files_make_dir(bench->dir);
    snprintf(bench->cert, sizeof(bench->cert), "%s/cert.pem", bench->dir);
    snprintf(bench->key, sizeof(bench->key), "%s/key.pem", bench->dir);
    snprintf(bench->other, sizeof(bench->other), "%s/other.pem", bench->dir);
    snprintf(command, sizeof(command),
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
             "-subj /CN=localhost -addext subjectAltName=DNS:localhost,IP:127.0.0.1 "
             "-keyout %s -out %s 2>/dev/null; openssl ecparam -name prime256v1 -genkey -noout "
             "-out %s 2>/dev/null",
             bench->key, bench->cert, bench->other);
    run(command, out, sizeof(out));
    config.tls_cert = bench->cert;
    config.tls_key = bench->key;
    if (tars_server_open(&config, &bench->server, &err)) {
        fail_msg("%s", err.text);
    }
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;

    tars_server_close(bench->server);
    files_remove_dir(bench->dir);
    free(bench);
    return 0;
}

struct row {
    const char *name, *arguments; /* of openssl s_client */
    const char *has;              /* in what it prints */
};

static void test_s_client(void **state)
{
    static const struct row rows[] = {
        {"TLS 1.3", "-tls1_3", "Protocol  : TLSv1.3|TLSv1.3, Cipher|New, TLSv1.3"},
        {"TLS 1.2", "-tls1_2", "Protocol  : TLSv1.2"},
        {"ALPN", "-alpn h2,http/1.1", "ALPN protocol: http/1.1"},
        {"ALPN of another", "-alpn h2", "no application protocol"},
        {"TLS 1.1", "-tls1_1 -cipher DEFAULT@SECLEVEL=0", "alert protocol version"},
        {"weak cipher", "-tls1_2 -cipher AES128-SHA", "handshake failure"},
        {"no renegotiation", "-tls1_2 -no_ticket", "Secure Renegotiation IS"},
    };
    struct bench *bench = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char command[512];
        char out[16384];
        const char *has = strrchr(rows[i].has, '|') ? strrchr(rows[i].has, '|') + 1 : rows[i].has;

        snprintf(command, sizeof(command),
                 "printf 'GET / HTTP/1.1\\r\\nHost: a\\r\\nConnection: close\\r\\n\\r\\n' | "
                 "timeout 60 openssl s_client -ign_eof -connect 127.0.0.1:%u %s 2>&1",
                 (unsigned)tars_server_port(bench->server), rows[i].arguments);
        run(command, out, sizeof(out));
        if (!strstr(out, has)) {
            fail_msg("row: %s: %s", rows[i].name, out);
        }
    }
}

static bool first_byte(void *ctx, int status, const char *ptr, size_t len)
{
    (void)status;
    if (len)
        *(char *)ctx = ptr[0];
    return true;
}

/* Our own client: it refuses an unknown authority, and moves large bodies both ways. */
static void test_client(void **state)
{
    struct bench *bench = *state;
    struct tars_client_config trusting = {.ca_file = bench->cert};
    struct tars_client_config careful = {0};
    struct tars_client *client = NULL;
    struct tars_client_reply reply;
    size_t size = (size_t)5 << 20;
    char *body = malloc(size);
    char url[64];
    char first = 0;
    struct tars_client_request request = {.url = url};

    snprintf(url, sizeof(url), "https://localhost:%u/", (unsigned)tars_server_port(bench->server));
    memset(body, 'b', size);
    assert_int_equal(tars_client_new(&careful, &client), TARS_OK);
    assert_int_equal(tars_client_fetch(client, &request, NULL, NULL, &reply, NULL), TARS_EDENIED);
    tars_client_free(client);
    assert_int_equal(tars_client_new(&trusting, &client), TARS_OK);
    assert_int_equal(tars_client_fetch(client, &request, first_byte, &first, &reply, NULL),
                     TARS_OK);
    assert_int_equal(first, 't');
    request.body = tars_span(body, size);
    assert_int_equal(tars_client_fetch(client, &request, first_byte, &first, &reply, NULL),
                     TARS_OK);
    assert_int_equal(first, 'b');
    assert_int_equal(reply.body_bytes, size);
    tars_client_free(client);
    free(body);
}

/* A client that does not shake hands, and one that speaks plain HTTP. */
static void test_bad_handshakes(void **state)
{
    struct bench *bench = *state;
    static const char *const hellos[] = {"", "GET / HTTP/1.1\r\n\r\n"};

    for (size_t i = 0; i < 2; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET};
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        int64_t start = tars_clock_mono_ms();
        char bytes[256];

        address.sin_port = htons(tars_server_port(bench->server));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
        (void)send(fd, hellos[i], strlen(hellos[i]), MSG_NOSIGNAL);
        while (recv(fd, bytes, sizeof(bytes), 0) > 0) {
        }
        assert_true(tars_clock_mono_ms() - start < 9000); /* what is not set is 10 s */
        close(fd);
    }
    assert_true(tars_server_stats(bench->server).tls_failures >= 1);
    assert_true(tars_server_stats(bench->server).timeouts >= 1);
}

static void test_context_failures(void **state)
{
    struct bench *bench = *state;
    struct tars_tls_context *context = NULL;
    struct tars_err err = {""};

    assert_int_equal(tars_tls_context_new("/nonexistent", bench->key, &context, &err),
                     TARS_ENOTFOUND);
    assert_non_null(strstr(err.text, "/nonexistent"));
    assert_int_equal(tars_tls_context_new(bench->key, bench->key, &context, &err), TARS_EFORMAT);
    assert_int_equal(tars_tls_context_new(bench->cert, bench->cert, &context, &err), TARS_EFORMAT);
    assert_int_equal(tars_tls_context_new(bench->cert, bench->other, &context, &err), TARS_EFORMAT);
    assert_null(context);
}

static void make_session(void *ctx)
{
    struct bench *bench = ctx;
    struct tars_tls_context *context = NULL;
    struct tars_tls *tls = NULL;

    if (tars_tls_context_new(bench->cert, bench->key, &context, NULL))
        return;
    if (tars_tls_new(context, &tls) == TARS_OK)
        tars_tls_free(tls);
    tars_tls_context_free(context);
}

static void test_without_memory(void **state)
{
    assert_true(faults_each(make_session, *state) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_s_client),       cmocka_unit_test(test_client),
        cmocka_unit_test(test_bad_handshakes), cmocka_unit_test(test_context_failures),
        cmocka_unit_test(test_without_memory),
    };
    int failed;

    if (tars_client_global_init())
        return 1;
    failed = cmocka_run_group_tests(tests, set_up, tear_down);
    tars_client_global_cleanup();
    return failed;
}
