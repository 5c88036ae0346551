/* postgres - see postgres.h. */
#include "support/postgres.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef TARS_SOURCE_DIR
#define TARS_SOURCE_DIR "."
#endif
#define LINE_MAX_BYTES 65536

void postgres_open(struct postgres *server, const char *option, const char *value)
{
    int in[2] = {-1, -1};
    int out[2] = {-1, -1};
    char line[64];

    if (pipe(in) != 0 || pipe(out) != 0)
        fail_msg("no pipes");
    server->pid = fork();
    if (server->pid == 0) {
        (void)dup2(in[0], STDIN_FILENO);
        (void)dup2(out[1], STDOUT_FILENO);
        for (int fd = 3; fd < 64; fd++)
            (void)close(fd);
        (void)execlp("python3", "python3", "-B", TARS_SOURCE_DIR "/tests/support/postgres.py",
                     option, value, (char *)NULL);
        _exit(127);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    server->to = fdopen(in[1], "w");
    server->from = fdopen(out[0], "r");
    if (!server->to || !server->from || !fgets(line, sizeof(line), server->from))
        fail_msg("PostgreSQL did not start");
    server->port = (uint16_t)strtoul(line, NULL, 10);
}

void postgres_close(struct postgres *server)
{
    (void)fclose(server->to);
    (void)fclose(server->from);
    (void)waitpid(server->pid, NULL, 0);
}

static bool talk(struct postgres *server, char *out, size_t size, const char *format, va_list args)
{
    char line[LINE_MAX_BYTES];
    const char *rest;

    (void)vfprintf(server->to, format, args);
    (void)fputc('\n', server->to);
    (void)fflush(server->to);
    if (!fgets(line, sizeof(line), server->from))
        fail_msg("PostgreSQL's keeper is gone");
    line[strcspn(line, "\n")] = '\0';
    rest = strchr(line, ' ');
    if (out)
        (void)snprintf(out, size, "%s", rest ? rest + 1 : "");
    return strncmp(line, "ok", 2) == 0;
}

bool postgres_try(struct postgres *server, char *out, size_t size, const char *format, ...)
{
    va_list args;
    bool worked;

    va_start(args, format);
    worked = talk(server, out, size, format, args);
    va_end(args);
    return worked;
}

const char *postgres_do(struct postgres *server, const char *format, ...)
{
    static char answer[LINE_MAX_BYTES];
    va_list args;
    bool worked;

    va_start(args, format);
    worked = talk(server, answer, sizeof(answer), format, args);
    va_end(args);
    if (!worked)
        fail_msg("%s", answer);
    return answer;
}

struct tars_pg_config postgres_config(const struct postgres *server, const char *database)
{
    return (struct tars_pg_config){
        .host = "127.0.0.1",
        .port = server->port,
        .database = database,
        .user = "tars",
        .password = "changeme",
        .application = "tars-test",
        .timeout_ms = 5000,
        .statement_timeout_ms = 30000,
    };
}
