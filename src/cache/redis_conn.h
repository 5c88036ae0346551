/* redis_conn - one connection to a server of Redis.
 *
 *     begin -> build commands in out -> send -> reply, as many as commands -> begin ...
 *
 * Socket    Non-blocking, waited for with poll() until a deadline of the monotonic clock that each
 *           call is given; TCP_NODELAY and keepalive. TLS on top where the config has it.
 * Opening   connect, TLS, then in one write: AUTH, CLIENT SETNAME, SELECT, ROLE and PING, as far as
 *           the config wants them, so that what is handed out is known to answer.
 * Failure   A connection of which anything failed is out of step and has to be closed: a late reply
 *           would be taken for that of the next command.
 * Bounds    TARS_REDIS_REPLY_MAX bytes of a reply, as many of commands waiting to be sent.
 * Threads   A connection belongs to one thread at a time.
 */
#ifndef TARS_CACHE_REDIS_CONN_H
#define TARS_CACHE_REDIS_CONN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/mem/buf.h"
#include "base/status.h"
#include "cache/redis_address.h"
#include "cache/redis_wire.h"
#include "net/tls_client.h"

#define TARS_REDIS_REPLY_MAX ((size_t)64 << 20)

/* Borrowed for the life of what is opened by it. */
struct tars_redis_conn_config {
    const char *username, *password;     /* NULL or "": none */
    int db;                              /* 0: not selected */
    bool must_be_master;                 /* refuse a replica */
    struct tars_tls_client_context *tls; /* NULL: in the clear */
    int stop_fd; /* readable: give up waiting (TARS_ECANCELED); negative: none */
};

/* Open, so that a pool can link and date it; the rest is redis_conn's own. */
struct tars_redis_conn {
    struct tars_redis_conn *next; /* of who holds it */
    int64_t used_ms;              /* when it was last given back; of who holds it */
    unsigned generation;          /* of the address that it leads to; of who holds it */
    struct tars_buf out;          /* commands that _send() sends */
    struct tars_arena arena;      /* of the replies since _begin() */
    const struct tars_redis_conn_config *config;
    int fd;
    struct tars_tls *tls; /* owned; NULL: in the clear */
    struct tars_buf wire; /* what TLS made of out */
    struct tars_redis_reader *reader;
};

/* TARS_EUNAVAILABLE: nobody there; TARS_ETIMEOUT; TARS_EDENIED: certificate, password or rights;
 * TARS_EMISMATCH: not a master; TARS_EFORMAT: not Redis; TARS_ECANCELED; TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_redis_conn_open(const struct tars_redis_address *address,
                                               const struct tars_redis_conn_config *config,
                                               int64_t deadline_ms, struct tars_redis_conn **conn,
                                               struct tars_err *err);
/* NULL is allowed. */
void tars_redis_conn_close(struct tars_redis_conn *conn);
/* False where the other end has closed it or said something unasked, which would be taken for the
 * next reply. Costs one system call. */
bool tars_redis_conn_is_quiet(struct tars_redis_conn *conn);

/* Forget the last commands and replies; build the next ones in conn->out. */
void tars_redis_conn_begin(struct tars_redis_conn *conn);
/* TARS_ETIMEOUT, TARS_EIO, TARS_ECANCELED; what the buffer failed of. */
TARS_MUST_USE tars_status tars_redis_conn_send(struct tars_redis_conn *conn, int64_t deadline_ms);
/* The next reply, lent until _begin() or _close(); one that is an error is TARS_OK. TARS_ETIMEOUT,
 * TARS_EIO: the other end went away; TARS_EFORMAT, TARS_ETOOBIG, TARS_ENOMEM, TARS_ECANCELED. */
TARS_MUST_USE tars_status tars_redis_conn_reply(struct tars_redis_conn *conn, int64_t deadline_ms,
                                                struct tars_redis_reply **reply);
/* Send what is in out, which is one command, and take its reply. */
TARS_MUST_USE tars_status tars_redis_conn_ask(struct tars_redis_conn *conn, int64_t deadline_ms,
                                              struct tars_redis_reply **reply);

#endif
