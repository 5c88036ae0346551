/* redis - a Redis server of a test's own: started on a free port with its files in a folder that
 * goes with it. */
#ifndef TARS_TESTS_SUPPORT_REDIS_H
#define TARS_TESTS_SUPPORT_REDIS_H

#include <stdbool.h>
#include <sys/types.h>

#include "support/files.h"
#include "support/process.h"

#define REDIS_ARGS_MAX 40

struct redis {
    pid_t pid; /* 0: it does not run */
    int port;  /* in the clear, and with TLS where the arguments say so; kept over restarts */
    const char *program;
    const char *args[REDIS_ARGS_MAX]; /* ends in NULL; borrowed */
    const char *cli[REDIS_ARGS_MAX];  /* what redis-cli needs besides; ends in NULL; borrowed */
    char dir[FILES_PATH_MAX];
};

/* Starts it with these arguments besides; the list ends in NULL and is borrowed until the end. */
void redis_start(struct redis *redis, const char *const *args);
/* The same of one whose fields program, port, args and cli are set. */
void redis_begin(struct redis *redis);
/* At the same port, empty. */
void redis_restart(struct redis *redis);
void redis_kill(struct redis *redis);
void redis_signal(struct redis *redis, int signal);
/* Kills it, and its folder goes. */
void redis_stop(struct redis *redis);
/* What redis-cli prints for one command; lent until the next. The list ends in NULL. */
const char *redis_cli_list(struct redis *redis, const char *const *words);
#define redis_cli(redis, ...) redis_cli_list(redis, (const char *const[]){__VA_ARGS__, NULL})
/* Ask again and again until redis-cli prints text somewhere; false: not within timeout_ms. */
bool redis_cli_until_list(struct redis *redis, int timeout_ms, const char *text,
                          const char *const *words);
#define redis_cli_until(redis, timeout_ms, text, ...) \
    redis_cli_until_list(redis, timeout_ms, text, (const char *const[]){__VA_ARGS__, NULL})

#endif
