/* A server gets a port that is free, whatever else the program does meanwhile: programs that it
 * starts hold copies of its sockets for a moment, from fork to exec. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/server.h"
#include "support/process.h"

enum { OPENINGS = 400, STARTERS = 2 };

static atomic_bool is_over;

static void *start_programs(void *arg)
{
    char *argv[] = {"true", NULL};
    pid_t pid;

    (void)arg;
    while (!atomic_load(&is_over)) {
        if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) == 0)
            (void)waitpid(pid, NULL, 0);
    }
    return NULL;
}

static void handle(void *ctx, const struct tars_http_request *request,
                   struct tars_http_reply *reply)
{
    (void)ctx;
    (void)request;
    tars_http_reply_send_text(reply, 200, "text/plain", "here", 4);
}

static void test_port_while_programs_start(void **state)
{
    struct tars_server_config config = {.handler = handle, .threads = 1};
    struct tars_err err = {""};
    pthread_t starters[STARTERS];
    uint16_t ports[OPENINGS]; /* one each: of the one before there are copies, too */
    int refused = 0;

    (void)state;
    for (int i = 0; i < OPENINGS; i++)
        ports[i] = (uint16_t)process_free_port();
    for (int i = 0; i < STARTERS; i++)
        assert_int_equal(pthread_create(&starters[i], NULL, start_programs, NULL), 0);
    for (int i = 0; i < OPENINGS; i++) {
        struct tars_server *server = NULL;

        config.port = ports[i];
        if (tars_server_open(&config, &server, &err) == TARS_OK) {
            tars_server_close(server);
        } else {
            refused++;
        }
    }
    atomic_store(&is_over, true);
    for (int i = 0; i < STARTERS; i++)
        (void)pthread_join(starters[i], NULL);
    if (refused)
        fail_msg("%d of %d: %s", refused, OPENINGS, err.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_port_while_programs_start)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
