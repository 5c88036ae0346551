/* ws_bench - a server whose sockets do as they are told, and a client that may break any rule.
 *
 * The target's query sets the socket's limits: max, messages, bytes, ping, pong, idle, message,
 * close (numbers of struct tars_ws_config), text=1, bearer=1. "/later?ms=N" is accepted by another
 * thread after a while, "/fault?n=N" with the allocation after N more failing. A text is a command,
 * or comes back:
 *
 *     close CODE          threads N COUNT    N threads send COUNT numbered texts each
 *     fault N             thread COUNT SIZE  one thread sends COUNT texts of SIZE bytes
 *     burst COUNT SIZE    the handler itself sends COUNT binary messages
 *     offer COUNT SIZE    one thread offers COUNT texts of SIZE bytes, and stops when one is not
 * taken
 */
#ifndef TARS_TESTS_SUPPORT_WS_BENCH_H
#define TARS_TESTS_SUPPORT_WS_BENCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "net/server.h"

#define PATIENCE_MS 60000 /* for machines that are busy */
#define H           "Host: t\r\n"
#define SAMPLE_KEY  "dGhlIHNhbXBsZSBub25jZQ=="
#define UPGRADE                                                                     \
    H "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " SAMPLE_KEY \
      "\r\nSec-WebSocket-Version: 13\r\n"

struct ws_bench {
    struct tars_server *server;
    atomic_int opened, closed, alive;
    atomic_int canceled, again, refused; /* sends */
    atomic_int bursts;                   /* that are over */
    atomic_int early;                    /* accepts whose client was gone */
    atomic_int code;                     /* of the last on_close() */
    pthread_mutex_t lock;                /* guards reason while sockets of two loops close */
    char reason[256];                    /* of it; written before closed grows */
    pthread_t threads[64];
    atomic_int thread_count;
};

struct ws_bench *ws_open_with(struct tars_server_config *config);
void ws_shut(struct ws_bench *bench);
int ws_dial_with(const struct ws_bench *bench, int receive_bytes);
void ws_say_n(int fd, const char *ptr, size_t len);
void ws_say(int fd, const char *text);
/* Exactly len bytes; false when the connection ends before. */
bool ws_hear(int fd, char *ptr, size_t len);
/* A head, up to its empty line. */
void ws_hear_head(int fd, char *head, size_t size);
void ws_ask(int fd, const char *target);
int ws_dial(const struct ws_bench *bench, const char *target);
/* A masked frame. first: its first byte. */
void ws_say_frame(int fd, unsigned char first, const char *ptr, size_t len);
void ws_say_text(int fd, const char *text);
void ws_say_close(int fd, int code);
/* A frame, whose payload is terminated. Returns its first byte, or -1 at the end. The caller frees
 * *payload. */
int ws_hear_frame(int fd, char **payload, size_t *len);
void ws_expect_n(int fd, int first, const char *ptr, size_t len);
void ws_expect(int fd, int first, const char *text);
/* A close frame, then the end of the connection when ours is sent. reason NULL: any. */
void ws_expect_close(int fd, int code, const char *reason);
void ws_await(const atomic_int *value, int wanted);
/* Until so many requests are with the handler. */
void ws_await_in_flight(const struct ws_bench *bench, unsigned wanted);

#endif
