/* ws_echo - sends back each WebSocket message as it came: what the protocol campaign and the one of
 * idle sockets talk to.
 *
 * usage: http_ws_echo [--cert FILE --key FILE]
 *
 * Listens on a free port of 127.0.0.1, prints it, and ends when its standard input does. Messages
 * of up to 16 MiB; no pings, so that a client hears nothing that it did not send. The path "/"
 * echoes; any other answers 404.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net/server.h"
#include "net/websocket.h"

#define MESSAGE_MAX     ((size_t)16 << 20)
#define QUEUE_MESSAGES  100000
#define CONNECTIONS_MAX 20000

static void on_message(void *ctx, struct tars_ws *ws, enum tars_ws_kind kind, const char *ptr,
                       size_t len)
{
    (void)ctx;
    if (tars_ws_send(ws, kind, ptr, len) == TARS_EAGAIN)
        tars_ws_close(ws, 1008, "the client does not read");
}

static void on_close(void *ctx, struct tars_ws *ws, int code, const char *reason)
{
    (void)ctx;
    (void)code;
    (void)reason;
    tars_ws_unref(ws); /* the reference that tars_ws_accept() gave */
}

static void handle(void *ctx, const struct tars_http_request *request,
                   struct tars_http_reply *reply)
{
    static const struct tars_ws_handler handler = {.on_message = on_message, .on_close = on_close};
    const struct tars_ws_config config = {.max_message_bytes = MESSAGE_MAX,
                                          .queue_messages = QUEUE_MESSAGES,
                                          .queue_bytes = 2 * MESSAGE_MAX,
                                          .ping_ms = -1};
    struct tars_ws *ws;
    int status;

    (void)ctx;
    if (!tars_span_is(request->path, "/")) {
        tars_http_reply_send(reply, 404, NULL, 0, "", 0);
    } else if (!tars_ws_is_upgrade(request, &status)) {
        tars_http_reply_add_header(reply, "sec-websocket-version", "13");
        tars_http_reply_send(reply, status ? status : 426, NULL, 0, "", 0);
    } else if (tars_ws_accept(reply, &config, &handler, NULL, &ws)) {
        (void)fprintf(stderr, "a socket could not be accepted\n");
    }
}

static void raise_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    struct tars_server_config config = {.handler = handle,
                                        .threads = 2,
                                        .max_connections = CONNECTIONS_MAX,
                                        .max_bodies_bytes = (size_t)1 << 30};
    struct tars_server *server = NULL;
    struct tars_err err = {""};
    char line[64];

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--cert") == 0) {
            config.tls_cert = argv[i + 1];
        } else if (strcmp(argv[i], "--key") == 0) {
            config.tls_key = argv[i + 1];
        }
    }
    raise_files();
    if (tars_server_open(&config, &server, &err)) {
        (void)fprintf(stderr, "%s\n", err.text);
        return EXIT_FAILURE;
    }
    printf("%u\n", (unsigned)tars_server_port(server));
    (void)fflush(stdout);
    while (read(STDIN_FILENO, line, sizeof(line)) > 0) {
    }
    tars_server_close(server);
    return EXIT_SUCCESS;
}
