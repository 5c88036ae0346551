/* WebSockets over real sockets: handshake, messages, rules, without memory, over TLS. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem/buf.h"
#include "base/sys/clock.h"
#include "net/ws_frame.h"
#include "support/files.h"
#include "support/ws_bench.h"

/* ---------------------------------------------------------------- handshake */

struct handshake {
    const char *name, *request; /* after the request line's "GET " */
    const char *status;
    const char *has;   /* in the head; NULL: anything */
    const char *lacks; /* not in it; NULL: anything */
};

#define KEY "Sec-WebSocket-Key: " SAMPLE_KEY "\r\n"
#define V13 "Sec-WebSocket-Version: 13\r\n"
#define UP  "Upgrade: websocket\r\nConnection: Upgrade\r\n"

static const struct handshake handshakes[] = {
    {"the sample of the RFC", "/ HTTP/1.1\r\n" H UP KEY V13, "101",
     "\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", "extension"},
    {"headers of the handler", "/ HTTP/1.1\r\n" H UP KEY V13, "101", "\r\nx-test: yes\r\n",
     "content-length"},
    {"upgrade and connection", "/ HTTP/1.1\r\n" H UP KEY V13, "101",
     "\r\nupgrade: websocket\r\nconnection: Upgrade\r\n", "connection: close"},
    {"lists and capitals",
     "/ HTTP/1.1\r\n" H "UPGRADE: h2c, WebSocket\r\nConnection: keep-alive\r\n"
     "Connection: foo ,\tUPGRADE\r\n" KEY V13,
     "101", NULL, NULL},
    {"compression is passed over",
     "/ HTTP/1.1\r\n" H UP KEY V13
     "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
     "101", NULL, "xtension"},
    {"protocol", "/?bearer=1 HTTP/1.1\r\n" H UP KEY V13 "Sec-WebSocket-Protocol: bearer, x\r\n",
     "101", "\r\nsec-websocket-protocol: bearer\r\n", NULL},
    {"plain GET", "/ HTTP/1.1\r\n" H, "200", NULL, NULL},
    {"another protocol", "/ HTTP/1.1\r\n" H "Upgrade: h2c\r\nConnection: Upgrade\r\n", "200", NULL,
     NULL},
    {"upgrade without connection", "/ HTTP/1.1\r\n" H "Upgrade: websocket\r\n" KEY V13, "200", NULL,
     NULL},
    {"no key", "/ HTTP/1.1\r\n" H UP V13, "400", NULL, NULL},
    {"two keys", "/ HTTP/1.1\r\n" H UP KEY KEY V13, "400", NULL, NULL},
    {"short key", "/ HTTP/1.1\r\n" H UP "Sec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\n" V13, "400", NULL,
     NULL},
    {"key that is not base64",
     "/ HTTP/1.1\r\n" H UP "Sec-WebSocket-Key: dGhlIHNhbXBs*SBub25jZQ==\r\n" V13, "400", NULL,
     NULL},
    {"key with bits to spare",
     "/ HTTP/1.1\r\n" H UP "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==\r\n" V13, "400", NULL,
     NULL},
    {"key of 17 bytes", "/ HTTP/1.1\r\n" H UP "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZTE=\r\n" V13,
     "400", NULL, NULL},
    {"no version", "/ HTTP/1.1\r\n" H UP KEY, "400", NULL, NULL},
    {"version 8", "/ HTTP/1.1\r\n" H UP KEY "Sec-WebSocket-Version: 8\r\n", "426",
     "\r\nupgrade: websocket\r\n", NULL},
    {"HTTP/1.0", "/ HTTP/1.0\r\n" H UP KEY V13, "400", NULL, NULL},
    {"body", "/ HTTP/1.1\r\n" H UP KEY V13 "Content-Length: 1\r\n", "400", NULL, NULL},
};

static void test_handshakes(void **state)
{
    struct tars_server_config config = {.threads = 2};
    struct ws_bench *bench = ws_open_with(&config);

    (void)state;
    for (size_t i = 0; i < sizeof(handshakes) / sizeof(handshakes[0]); i++) {
        const struct handshake *row = &handshakes[i];
        int fd = ws_dial_with(bench, 0);
        char head[2048];

        ws_say(fd, "GET ");
        ws_say(fd, row->request);
        ws_say(fd, strstr(row->request, "Content-Length") ? "\r\nx" : "\r\n");
        ws_hear_head(fd, head, sizeof(head));
        if (strncmp(head + 9, row->status, 3) != 0 || (row->has && !strstr(head, row->has)) ||
            (row->lacks && strstr(head, row->lacks))) {
            fail_msg("row: %s: %s", row->name, head);
        }
        close(fd);
    }
    ws_await(&bench->closed, atomic_load(&bench->opened));
    ws_shut(bench);
}

/* The first frame in the same bytes as the request; the answer from another thread. */
static void test_early_frame(void **state)
{
    static const char request[] = " HTTP/1.1\r\n" UPGRADE "\r\n\x81\x82\0\0\0\0hi\x81\x81\0\0";
    static const char *const targets[] = {"/", "/later?ms=0", "/later?ms=100"};
    struct tars_server_config config = {0};
    struct ws_bench *bench = ws_open_with(&config);

    (void)state;
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        int fd = ws_dial_with(bench, 0);
        char head[2048];

        ws_say(fd, "GET ");
        ws_say(fd, targets[i]);
        ws_say_n(fd, request, sizeof(request) - 1);
        ws_hear_head(fd, head, sizeof(head));
        ws_expect(fd, 0x81, "hi");
        ws_say_n(fd, "\0\0x", 3);
        ws_expect(fd, 0x81, "x");
        ws_say_close(fd, 1000);
        ws_expect_close(fd, 1000, NULL);
        close(fd);
    }
    ws_await(&bench->closed, 3);
    ws_shut(bench);
}

/* The client leaves while the handler thinks: no socket, no function of the handler. */
static void test_gone_before(void **state)
{
    struct tars_server_config config = {0};
    struct ws_bench *bench = ws_open_with(&config);
    int fd = ws_dial_with(bench, 0);

    (void)state;
    ws_say(fd, "GET /later?ms=1500 HTTP/1.1\r\n" UPGRADE "\r\n");
    ws_await_in_flight(bench, 1);
    close(fd);
    ws_await(&bench->early, 1);
    assert_int_equal(atomic_load(&bench->opened), 0);
    ws_shut(bench);
}

/* ----------------------------------------------------------------- messages */

static void test_echo(void **state)
{
    static const size_t sizes[] = {0, 1, 125, 126, 127, 65535, 65536, 65537, 1000000, 1048576};
    struct tars_server_config config = {.threads = 2};
    struct ws_bench *bench = ws_open_with(&config);
    int fd = ws_dial(bench, "/?bytes=4000000");
    char *bytes = malloc(1048576);

    (void)state;
    for (size_t i = 0; i < 1048576; i++)
        bytes[i] = (char)(i * 7);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        ws_say_frame(fd, 0x82, bytes, sizes[i]);
        ws_expect_n(fd, 0x82, bytes, sizes[i]);
    }
    ws_say_frame(fd, 0x01, "in ", 3);
    ws_say_frame(fd, 0x89, "are you there?", 14);
    ws_say_frame(fd, 0x00, "three ", 6);
    ws_say_frame(fd, 0x80, "pieces", 6);
    ws_expect(fd, 0x8a, "are you there?");
    ws_expect(fd, 0x81, "in three pieces");
    ws_say_frame(fd, 0x8a, "unasked", 7);
    assert_int_equal(tars_server_stats(bench->server).bodies_bytes, 0);
    ws_say_close(fd, 4321);
    ws_expect_close(fd, 4321, "");
    ws_await(&bench->closed, 1);
    assert_int_equal(atomic_load(&bench->code), 4321);
    assert_int_equal(atomic_load(&bench->alive), 2);
    free(bytes);
    close(fd);
    ws_shut(bench);
}

struct rule {
    const char *name, *target;
    const char *bytes;
    size_t len;
    int code;
    const char *first; /* a text that comes back before; NULL: none */
};

#define B(bytes) (bytes), sizeof(bytes) - 1
#define K        "\0\0\0\0"

static const struct rule rules[] = {
    {"reserved bit", "/", B("\x81\x82" K "ok\xc1\x80" K), 1002, "ok"},
    {"no mask", "/", B("\x81\x01x"), 1002, NULL},
    {"not UTF-8", "/",
     B("\x81\x82" K "\xc3"
       "a"),
     1007, NULL},
    {"not UTF-8, and much more to come", "/", B("\x81\xfe\xff\xff" K "\xff"), 1007, NULL},
    {"too large", "/?max=10", B("\x81\x8b" K), 1009, NULL},
    {"too large in pieces", "/?max=10", B("\x01\x88" K "01234567\x80\x83"), 1009, NULL},
    {"as large as allowed", "/?max=2", B("\x81\x82" K "ok\x81\x83" K), 1009, "ok"},
    {"binary where text is wanted", "/?text=1", B("\x82\x80" K), 1003, NULL},
    {"close code that is none", "/", B("\x88\x82" K "\x00\x01"), 1002, NULL},
    {"fragmented ping", "/", B("\x09\x80" K), 1002, NULL},
};

static void test_rules(void **state)
{
    struct tars_server_config config = {0};
    struct ws_bench *bench = ws_open_with(&config);

    (void)state;
    for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
        const struct rule *row = &rules[i];
        int fd = ws_dial(bench, row->target);

        ws_say_n(fd, row->bytes, row->len);
        if (row->first)
            ws_expect(fd, 0x81, row->first);
        ws_expect_close(fd, row->code, NULL);
        ws_await(&bench->closed, (int)i + 1);
        if (atomic_load(&bench->code) != row->code || bench->reason[0] == '\0') {
            fail_msg("row: %s: %d %s", row->name, atomic_load(&bench->code), bench->reason);
        }
        close(fd);
    }
    assert_int_equal(tars_server_stats(bench->server).bodies_bytes, 0);
    ws_shut(bench);
}

/* More in the making than all bodies together may have. */
static void test_budget(void **state)
{
    struct tars_server_config config = {.max_bodies_bytes = 100000};
    struct ws_bench *bench = ws_open_with(&config);
    int fd = ws_dial(bench, "/?max=1000000");
    char *bytes = calloc(1, 150000);

    (void)state;
    ws_say_frame(fd, 0x02, bytes, 150000);
    ws_expect_close(fd, 1013, NULL);
    ws_await(&bench->closed, 1);
    assert_int_equal(tars_server_stats(bench->server).bodies_bytes, 0);
    free(bytes);
    close(fd);
    ws_shut(bench);
}

/* Eight threads at once: every message whole, in the order of its thread, though the queue is
 * short. */
static void test_threads(void **state)
{
    struct tars_server_config config = {0};
    struct ws_bench *bench = ws_open_with(&config);
    int fd = ws_dial(bench, "/?messages=3");
    long next[8] = {0};

    (void)state;
    ws_say_text(fd, "threads 8 500");
    for (int i = 0; i < 8 * 500; i++) {
        char *payload;
        size_t len;
        int thread;
        long at;

        assert_int_equal(ws_hear_frame(fd, &payload, &len), 0x81);
        assert_int_equal(sscanf(payload, "%d:%ld", &thread, &at), 2);
        assert_in_range(thread, 0, 7);
        assert_int_equal(at, next[thread]++);
        free(payload);
    }
    ws_say_text(fd, "done");
    ws_expect(fd, 0x81, "done");
    close(fd);
    ws_await(&bench->closed, 1);
    assert_int_equal(atomic_load(&bench->code), 1006);
    assert_int_equal(atomic_load(&bench->canceled), 0);
    ws_shut(bench);
}

/* -------------------------------------------------------------------- memory */

/* Each allocation of the loop thread fails once: in the handshake, and with a message. The socket
 * may end, the server may not. */
static void test_without_memory(void **state)
{
    struct tars_server_config config = {0};
    struct ws_bench *bench = ws_open_with(&config);
    int fd;

    (void)state;
    for (int n = 0; n < 40; n++) {
        char target[64];
        char command[64];
        char head[4096];
        size_t len = 0;

        fd = ws_dial_with(bench, 0);
        snprintf(target, sizeof(target), "/fault?idle=60000&n=%d", n % 20);
        ws_say(fd, "GET ");
        ws_say(fd, n < 20 ? target : "/");
        ws_say(fd, " HTTP/1.1\r\n" UPGRADE "\r\n");
        snprintf(command, sizeof(command), "fault %d", n - 20);
        if (n >= 20)
            ws_say_text(fd, command);
        ws_say_frame(fd, 0x01, "abc", 3);
        ws_say_frame(fd, 0x89, "p", 1);
        ws_say_frame(fd, 0x80, "def", 3);
        ws_say_close(fd, 1000);
        while (len < sizeof(head) && ws_hear(fd, head + len, 1))
            len++;
        close(fd);
        fd = ws_dial_with(bench, 0); /* one way or the other it is over */
        ws_say(fd, "GET /fault?n=-1 HTTP/1.1\r\n" H "Connection: close\r\n\r\n");
        while (ws_hear(fd, head, 1)) {
        }
        close(fd);
    }
    fd = ws_dial(bench, "/");
    ws_say_text(fd, "all is well");
    ws_expect(fd, 0x81, "all is well");
    close(fd);
    ws_await(&bench->closed, atomic_load(&bench->opened));
    assert_int_equal(tars_server_stats(bench->server).bodies_bytes, 0);
    ws_shut(bench);
}

/* ----------------------------------------------------------------------- TLS */

struct tls_files {
    char dir[FILES_PATH_MAX];
    char cert[FILES_PATH_MAX + 16], key[FILES_PATH_MAX + 16];
};

static void make_files(struct tls_files *files)
{
    char command[4 * FILES_PATH_MAX];
    FILE *pipe;

    files_make_dir(files->dir);
    snprintf(files->cert, sizeof(files->cert), "%s/cert.pem", files->dir);
    snprintf(files->key, sizeof(files->key), "%s/key.pem", files->dir);
    snprintf(command, sizeof(command),
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 "
             "-subj /CN=localhost -keyout %s -out %s 2>/dev/null",
             files->key, files->cert);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_int_equal(pclose(pipe), 0);
}

/* A socket to openssl s_client, which passes on what it is given. */
static int dial_tls(const struct ws_bench *bench, pid_t *child)
{
    posix_spawn_file_actions_t actions;
    char address[32];
    char *argv[] = {"openssl", "s_client", "-quiet", "-connect", address, NULL};
    char *envp[] = {"PATH=/usr/bin:/bin", NULL};
    int pair[2];

    snprintf(address, sizeof(address), "127.0.0.1:%u", (unsigned)tars_server_port(bench->server));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pair[1], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, pair[1], STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    assert_int_equal(posix_spawnp(child, argv[0], &actions, NULL, argv, envp), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(pair[1]);
    return pair[0];
}

/* Expects a frame that pings, which are answered, may come before: on a busy machine it takes
 * longer. */
static void expect_after_pings(int fd, int first, const char *ptr, size_t size)
{
    char *payload = NULL;
    size_t len;
    int byte;

    do {
        free(payload);
        byte = ws_hear_frame(fd, &payload, &len);
        if (byte == 0x89)
            ws_say_frame(fd, 0x8a, payload, len);
    } while (byte == 0x89);
    assert_int_equal(byte, first);
    assert_int_equal(len, size);
    assert_memory_equal(payload, ptr, size);
    free(payload);
}

static void test_tls(void **state)
{
    struct tls_files files;
    struct tars_server_config config = {.tls_cert = files.cert, .tls_key = files.key};
    struct ws_bench *bench;
    size_t size = 300000;
    char *bytes = malloc(size);
    pid_t child;
    int fd;

    (void)state;
    make_files(&files);
    bench = ws_open_with(&config);
    fd = dial_tls(bench, &child);
    ws_ask(fd, "/?ping=150&messages=5");
    memset(bytes, 'z', size);
    ws_say_frame(fd, 0x82, bytes, size);
    expect_after_pings(fd, 0x82, bytes, size);
    ws_expect(fd, 0x89, "");
    ws_say_frame(fd, 0x8a, "", 0);
    ws_say_text(fd, "thread 1000 1000");
    for (int i = 0; i < 1000; i++) {
        char *payload;
        size_t len;
        int first = ws_hear_frame(fd, &payload, &len);

        if (first == 0x89)
            i--;
        assert_true(first == 0x89 || (first == 0x81 && strtol(payload + 2, NULL, 10) == i));
        free(payload);
    }
    ws_say_text(fd, "close 1000");
    ws_expect_close(fd, 1000, "as you like");
    ws_await(&bench->closed, 1);
    assert_int_equal(atomic_load(&bench->code), 1000);
    close(fd);
    assert_int_equal(waitpid(child, NULL, 0), child);
    free(bytes);
    ws_shut(bench);
    files_remove_dir(files.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshakes),  cmocka_unit_test(test_early_frame),
        cmocka_unit_test(test_gone_before), cmocka_unit_test(test_echo),
        cmocka_unit_test(test_rules),       cmocka_unit_test(test_budget),
        cmocka_unit_test(test_threads),     cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_tls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
