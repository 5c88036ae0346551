/* postgres - a PostgreSQL server of a test program's own, through tests/support/postgres.py: made
 * by initdb in a temporary folder, on a free port, stopped when its input ends. */
#ifndef TARS_TESTS_SUPPORT_POSTGRES_H
#define TARS_TESTS_SUPPORT_POSTGRES_H

#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "store/postgres_conn.h"

struct postgres {
    pid_t pid;
    FILE *to, *from;
    uint16_t port;
};

/* Start one; option and value are "--encoding", "LATIN1" or the like, or NULL; see
 * tests/support/postgres.py. Fails the test on error. */
void postgres_open(struct postgres *server, const char *option, const char *value);
void postgres_close(struct postgres *server);
/* One command of tests/support/postgres.py ("kill", "query DB SQL"): the answer's text goes into
 * out, which may be NULL. False when it was refused; the words are in out then. */
__attribute__((format(printf, 4, 5))) bool postgres_try(struct postgres *server, char *out,
                                                        size_t size, const char *format, ...);
/* As before, and fails the test when it is refused. Returns the answer, lent until the next. */
__attribute__((format(printf, 2, 3))) const char *postgres_do(struct postgres *server,
                                                              const char *format, ...);
/* How to connect to a database of it as its owner. */
struct tars_pg_config postgres_config(const struct postgres *server, const char *database);

#endif
