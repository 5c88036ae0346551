/* test_loop - jobs run on the loop's thread, in order; the signal of a broken pipe never ends it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/loop.h"

struct seen {
    struct tars_loop_job first, second;
    struct tars_loop *loop;
    bool is_current; /* the first ran on the loop's thread */
    bool wrote;      /* it could write where nobody reads */
    bool is_last;    /* the second ran after it */
};

static void nothing(void *ctx)
{
    (void)ctx;
}

/* As a connection does whose peer has gone; with the signal's default a process ends here. */
static void write_to_nobody(struct tars_loop_job *job)
{
    struct seen *seen = (struct seen *)job;
    int ends[2];

    seen->is_current = tars_loop_is_current(seen->loop);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        return;
    close(ends[1]);
    seen->wrote = write(ends[0], "x", 1) >= 0;
    close(ends[0]);
}

static void note_order(struct tars_loop_job *job)
{
    struct seen *seen = (struct seen *)((char *)job - offsetof(struct seen, second));

    seen->is_last = seen->is_current;
}

static void test_jobs_and_a_broken_pipe(void **state)
{
    struct tars_loop loop;
    struct seen seen = {.loop = &loop,
                        .first = {.run = write_to_nobody},
                        .second = {.run = note_order},
                        .wrote = true};

    (void)state;
    assert_true(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    assert_int_equal(tars_loop_init(&loop, nothing, NULL, 1000), TARS_OK);
    assert_true(tars_loop_post(&loop, &seen.first));
    assert_false(tars_loop_post(&loop, &seen.first)); /* it waits already */
    assert_true(tars_loop_post(&loop, &seen.second));
    assert_int_equal(tars_loop_start(&loop), TARS_OK);
    tars_loop_release(&loop);
    assert_true(seen.is_current);
    assert_false(seen.wrote);
    assert_true(seen.is_last);
    assert_false(tars_loop_is_current(&loop));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_jobs_and_a_broken_pipe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
