/* Unit tests of base/sys/process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/sys/process.h"

static void tells_what_is(void **state)
{
    struct tars_process_use use;
    struct rlimit limit;

    (void)state;
    tars_process_read(&use);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(use.max_fds == (double)limit.rlim_cur);
    assert_true(use.threads >= 1);
    assert_true(use.resident_bytes > 100e3 && use.resident_bytes < use.virtual_bytes);
    assert_true(use.cpu_s >= 0);
}

static void counts_descriptors(void **state)
{
    struct tars_process_use before;
    struct tars_process_use after;
    int fd;

    (void)state;
    tars_process_read(&before);
    fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    tars_process_read(&after);
    close(fd);
    assert_true(after.open_fds == before.open_fds + 1);
}

static void *wait_for(void *ctx)
{
    pthread_barrier_t *barrier = ctx;

    (void)pthread_barrier_wait(barrier);
    (void)pthread_barrier_wait(barrier);
    return NULL;
}

static void counts_threads(void **state)
{
    struct tars_process_use before;
    struct tars_process_use after;
    pthread_barrier_t barrier;
    pthread_t thread;

    (void)state;
    tars_process_read(&before);
    assert_int_equal(pthread_barrier_init(&barrier, NULL, 2), 0);
    assert_int_equal(pthread_create(&thread, NULL, wait_for, &barrier), 0);
    (void)pthread_barrier_wait(&barrier);
    tars_process_read(&after);
    (void)pthread_barrier_wait(&barrier);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_barrier_destroy(&barrier);
    assert_true(after.threads == before.threads + 1);
}

static void counts_processor_time(void **state)
{
    struct tars_process_use before;
    struct tars_process_use after;
    volatile unsigned work = 0;

    (void)state;
    tars_process_read(&before);
    do {
        for (unsigned i = 0; i < 1000000; i++)
            work += i;
        tars_process_read(&after);
    } while (after.cpu_s < before.cpu_s + 0.01);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_what_is),
        cmocka_unit_test(counts_descriptors),
        cmocka_unit_test(counts_threads),
        cmocka_unit_test(counts_processor_time),
    };

    return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
