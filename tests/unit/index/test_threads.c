/* Unit tests of index/index: readers at work while the writer adds, removes, publishes and saves.
 * Apart from test_index.c, so that the thread sanitizer need not run what has one thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "index/index.h"
#include "made_up.h"
#include "support/files.h"

#define TOP 10

struct shared {
    struct tars_index *index;
    atomic_bool stop;
    _Atomic uint64_t searches;
};

static void *read_always(void *ctx)
{
    struct shared *shared = ctx;

    while (!atomic_load(&shared->stop)) {
        const struct tars_index_query_term terms[2] = {{"w0-1", 4, 1, 0, TARS_INDEX_TEXT},
                                                       {"w1-3", 4, 1, 0, TARS_INDEX_TEXT}};
        struct tars_index_hit hits[TOP];
        struct tars_index_stats stats;
        float query[DIM];
        size_t n = 0;

        make_vector(atomic_fetch_add(&shared->searches, 1), 0, query);
        if (tars_index_search_vector(shared->index, query, TOP, NULL, hits, &n) != TARS_OK ||
            tars_index_search_words(shared->index, terms, 2, TOP, NULL, hits, &n) != TARS_OK)
            abort();
        tars_index_stats(shared->index, &stats);
    }
    return NULL;
}

static void readers_and_writer_at_once(void **state)
{
    char dir[FILES_PATH_MAX];
    struct tars_index_config config = {
        .dir = dir, .dim = DIM, .identity = "model", .exact_below = 1};
    struct shared shared = {0};
    pthread_t threads[2];

    (void)state;
    files_make_dir(dir);
    assert_int_equal(tars_index_open(&config, &shared.index, NULL), TARS_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_always, &shared), 0);
    for (uint64_t id = 1; id <= 1500; id++) {
        assert_int_equal(add(shared.index, id), TARS_OK);
        if (id % 10 == 0)
            tars_index_remove(shared.index, id - 5, id - 4);
        if (id % 7 == 0)
            tars_index_publish(shared.index, id);
        if (id % 300 == 0)
            assert_int_equal(tars_index_save(shared.index, NULL), TARS_OK);
    }
    while (atomic_load(&shared.searches) < 100) {
    }
    atomic_store(&shared.stop, true);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    tars_index_close(shared.index);
    files_remove_dir(dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_and_writer_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
