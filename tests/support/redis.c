/* redis - see redis.h. */
#include "support/redis.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define START_MS 20000

static void add(const char **list, size_t *count, const char *const *words)
{
    for (; *words && *count + 1 < REDIS_ARGS_MAX; words++)
        list[(*count)++] = *words;
    list[*count] = NULL;
}

static bool run(struct redis *redis)
{
    char port[8];
    const char *argv[REDIS_ARGS_MAX];
    size_t count = 0;

    (void)snprintf(port, sizeof(port), "%d", redis->port);
    add(argv, &count, (const char *const[]){redis->program, NULL});
    if (strcmp(redis->program, "redis-server") == 0) {
        add(argv, &count,
            (const char *const[]){"--bind", "127.0.0.1", "--dir", redis->dir, "--save", "",
                                  "--appendonly", "no", "--repl-diskless-sync-delay", "0", NULL});
    }
    add(argv, &count, redis->args);
    if (count + 2 < REDIS_ARGS_MAX && strcmp(redis->program, "redis-server") == 0) {
        /* Whoever wants TLS says so in args, and gets it at the port. */
        bool has_tls = false;

        for (size_t i = 0; i < count; i++)
            has_tls = has_tls || strcmp(argv[i], "--tls-cert-file") == 0;
        add(argv, &count, (const char *const[]){has_tls ? "--tls-port" : "--port", port, NULL});
        if (has_tls)
            add(argv, &count, (const char *const[]){"--port", "0", NULL});
    }
    redis->pid = process_start(argv);
    if (process_wait_port(redis->pid, redis->port, START_MS))
        return true;
    process_kill(redis->pid);
    redis->pid = 0;
    return false;
}

void redis_begin(struct redis *redis)
{
    files_make_dir(redis->dir);
    for (int tries = 0; tries < 20; tries++) {
        if (run(redis))
            return;
    }
    fail_msg("%s does not start", redis->program);
}

void redis_start(struct redis *redis, const char *const *args)
{
    size_t count = 0;

    *redis = (struct redis){.program = "redis-server", .port = process_free_port()};
    if (args)
        add(redis->args, &count, args);
    redis_begin(redis);
}

void redis_kill(struct redis *redis)
{
    process_kill(redis->pid);
    redis->pid = 0;
}

void redis_restart(struct redis *redis)
{
    redis_kill(redis);
    for (int tries = 0; tries < 20; tries++) {
        if (run(redis))
            return;
    }
    fail_msg("%s does not start again", redis->program);
}

void redis_signal(struct redis *redis, int signal)
{
    (void)kill(redis->pid, signal);
}

void redis_stop(struct redis *redis)
{
    redis_kill(redis);
    files_remove_dir(redis->dir);
}

const char *redis_cli_list(struct redis *redis, const char *const *words)
{
    static char out[PROCESS_OUTPUT_MAX];
    const char *argv[REDIS_ARGS_MAX];
    size_t count = 0;
    char port[8];

    (void)snprintf(port, sizeof(port), "%d", redis->port);
    add(argv, &count, (const char *const[]){"redis-cli", "-p", port, NULL});
    add(argv, &count, redis->cli);
    add(argv, &count, words);
    (void)process_run(argv, out);
    return out;
}

bool redis_cli_until_list(struct redis *redis, int timeout_ms, const char *text,
                          const char *const *words)
{
    for (int waited = 0; waited < timeout_ms; waited += 20) {
        if (strstr(redis_cli_list(redis, words), text))
            return true;
        (void)usleep(20000);
    }
    return false;
}
