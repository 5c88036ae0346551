/* chroma_server - see chroma_server.h. */
#include "support/chroma_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#ifndef TARS_SOURCE_DIR
#define TARS_SOURCE_DIR "."
#endif

void chroma_server_open(struct chroma_server *server, const char *version, const char *token)
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
        (void)execlp("python3", "python3", "-B", TARS_SOURCE_DIR "/tests/support/chroma.py",
                     version, token, (char *)NULL);
        _exit(127);
    }
    (void)close(in[0]);
    (void)close(out[1]);
    server->to = fdopen(in[1], "w");
    server->from = fdopen(out[0], "r");
    if (!server->to || !server->from || !fgets(line, sizeof(line), server->from))
        fail_msg("ChromaDB %s did not start", version);
    (void)snprintf(server->url, sizeof(server->url), "http://127.0.0.1:%lu",
                   strtoul(line, NULL, 10));
}

void chroma_server_close(struct chroma_server *server)
{
    (void)fclose(server->to);
    (void)fclose(server->from);
    (void)waitpid(server->pid, NULL, 0);
}

void chroma_server_do(struct chroma_server *server, const char *verb)
{
    char line[512];

    (void)fprintf(server->to, "%s\n", verb);
    (void)fflush(server->to);
    if (!fgets(line, sizeof(line), server->from) || strncmp(line, "ok", 2) != 0)
        fail_msg("ChromaDB: %s failed", verb);
}
