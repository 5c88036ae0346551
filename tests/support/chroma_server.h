/* chroma_server - a ChromaDB of a test's own, by way of tests/support/chroma.py. */
#ifndef TARS_TESTS_SUPPORT_CHROMA_SERVER_H
#define TARS_TESTS_SUPPORT_CHROMA_SERVER_H

#include <stdio.h>
#include <sys/types.h>

struct chroma_server {
    pid_t pid;
    FILE *to, *from;
    char url[64]; /* "http://127.0.0.1:PORT" */
};

/* version: "1.5.9" or "0.5.23"; token: what 0.5.23 wants to be told, or "". Fails the test when it
 * does not start. */
void chroma_server_open(struct chroma_server *server, const char *version, const char *token);
void chroma_server_close(struct chroma_server *server);
/* A verb of chroma.py: "kill", "restart", "hang", "resume", "keep", "back". */
void chroma_server_do(struct chroma_server *server, const char *verb);

#endif
