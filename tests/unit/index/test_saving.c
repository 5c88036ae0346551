/* Unit tests of saving while the writer goes on: nothing that it does is lost, neither from the
 * index nor, after a kill, from what snapshot and replay bring back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "index/index.h"
#include "index/snapshot.h"
#include "made_up.h"
#include "support/faults.h"
#include "support/files.h"

#define TOP 2000

static struct tars_index *open_at(const char *dir)
{
    const struct tars_index_config config = {
        .dir = dir, .dim = DIM, .identity = "model", .exact_below = 1};
    struct tars_index *index = NULL;

    assert_int_equal(tars_index_open(&config, &index, NULL), TARS_OK);
    return index;
}

/* The change with this number, to which the index publishes: passage seq is added; every 10th also
 * removes two that came before. */
static void change(struct tars_index *index, uint64_t seq)
{
    assert_int_equal(add(index, seq), TARS_OK);
    if (seq % 10 == 0)
        tars_index_remove(index, seq - 5, seq - 4);
    tars_index_publish(index, seq);
}

static bool is_there(uint64_t id, uint64_t last)
{
    return !((id % 10 == 5 || id % 10 == 6) && id + (10 - id % 10) <= last);
}

/* The index holds what changes 1 .. last leave, to be found by words and by vectors. */
static void check(struct tars_index *index, uint64_t last)
{
    const struct tars_index_query_term terms[2] = {{"w0-0", 4, 1, 0, TARS_INDEX_TEXT},
                                                   {"w0-1", 4, 1, 0, TARS_INDEX_TEXT}};
    struct tars_index_hit *hits = calloc(TOP, sizeof(*hits));
    struct tars_index_stats stats;
    uint64_t living = 0;
    float query[DIM];
    float score;
    size_t n = 0;

    assert_non_null(hits);
    tars_index_stats(index, &stats);
    make_vector(1, 0, query);
    for (uint64_t id = 1; id <= last; id++) {
        living += is_there(id, last);
        assert_int_equal(tars_index_words_scores(index, terms, 2, &id, 1, &score), TARS_OK);
        assert_int_equal(!isnan(score), is_there(id, last));
        assert_int_equal(tars_index_vector_score(index, query, id, &score) == TARS_OK,
                         is_there(id, last));
    }
    assert_int_equal(stats.passages, living);
    assert_int_equal(stats.seq, last);
    assert_int_equal(stats.last_id, last);
    assert_int_equal(tars_index_search_words(index, terms, 2, TOP, NULL, hits, &n), TARS_OK);
    assert_int_equal(n, living);
    for (uint64_t id = last; id > last - 20; id--) {
        make_vector(id, 0, query);
        assert_int_equal(tars_index_search_vector(index, query, 1, NULL, hits, &n), TARS_OK);
        if (is_there(id, last))
            assert_int_equal(hits[0].id, id);
    }
    free(hits);
}

static void changes_during_a_save_are_kept(void **state)
{
    char dir[FILES_PATH_MAX];
    struct tars_index *index;
    struct tars_index_stats stats;

    (void)state;
    files_make_dir(dir);
    index = open_at(dir);
    for (uint64_t seq = 1; seq <= 303; seq++)
        change(index, seq);
    assert_true(tars_index_save_begin(index));
    assert_false(tars_index_save_begin(index));
    assert_int_equal(tars_index_save(index, NULL), TARS_EBUSY);
    for (uint64_t seq = 304; seq <= 451; seq++)
        change(index, seq);
    check(index, 451);
    assert_int_equal(tars_index_save_finish(index, NULL), TARS_OK);
    check(index, 451);
    tars_index_stats(index, &stats);
    assert_int_equal(stats.unsaved, 148 + 30);
    for (uint64_t seq = 452; seq <= 500; seq++)
        change(index, seq);
    check(index, 500);
    tars_index_close(index);
    /* The file is as the index was when the save began. */
    index = open_at(dir);
    check(index, 303);
    for (uint64_t seq = tars_index_seq(index) + 1; seq <= 451; seq++)
        change(index, seq);
    check(index, 451);
    tars_index_close(index);
    files_remove_dir(dir);
}

/* Where the file cannot be written the index goes on as it is. */
static void a_failed_save_changes_nothing(void **state)
{
    char dir[FILES_PATH_MAX];
    char gone[FILES_PATH_MAX + 8];
    struct tars_index *index;

    (void)state;
    files_make_dir(dir);
    (void)snprintf(gone, sizeof(gone), "%s/file", dir);
    files_write(dir, "file", "x", 1, gone);
    index = open_at(NULL);
    assert_false(tars_index_save_begin(index));
    tars_index_close(index);
    (void)snprintf(gone, sizeof(gone), "%s/file/in", dir); /* no folder can be made there */
    {
        const struct tars_index_config config = {
            .dir = gone, .dim = DIM, .identity = "model", .exact_below = 1, .fresh = true};

        assert_int_equal(tars_index_open(&config, &index, NULL), TARS_OK);
    }
    for (uint64_t seq = 1; seq <= 60; seq++)
        change(index, seq);
    assert_true(tars_index_save_begin(index));
    change(index, 61);
    assert_int_not_equal(tars_index_save_finish(index, NULL), TARS_OK);
    change(index, 62);
    check(index, 62);
    assert_true(tars_index_save_begin(index));
    assert_int_not_equal(tars_index_save_finish(index, NULL), TARS_OK);
    check(index, 62);
    tars_index_close(index);
    files_remove_dir(dir);
}

/* A save that is given up costs the index nothing, and the next one is whole. */
static void a_save_can_be_given_up(void **state)
{
    char dir[FILES_PATH_MAX];
    struct tars_index *index;

    (void)state;
    files_make_dir(dir);
    index = open_at(dir);
    tars_index_save_give_up(index); /* none is under way */
    for (uint64_t seq = 1; seq <= 100; seq++)
        change(index, seq);
    assert_true(tars_index_save_begin(index));
    change(index, 101);
    tars_index_save_give_up(index);
    change(index, 102);
    assert_int_equal(tars_index_save_finish(index, NULL), TARS_ECANCELED);
    change(index, 103);
    check(index, 103);
    tars_index_close(index);
    index = open_at(dir);
    assert_int_equal(tars_index_seq(index), 0); /* nothing was written */
    for (uint64_t seq = 1; seq <= 104; seq++)
        change(index, seq);
    assert_int_equal(tars_index_save(index, NULL), TARS_OK);
    check(index, 104);
    tars_index_close(index);
    index = open_at(dir);
    check(index, 104);
    tars_index_close(index);
    files_remove_dir(dir);
}

/* ------------------------------------------------------------------- recall */

#define OLD     100U
#define LATER   ((uint64_t)8 * OLD) /* the last one that comes meanwhile */
#define QUERIES 50U
#define BEST    10U

/* How many of the nearest that comparing all finds the graph in dir finds as well. */
static size_t agree(const char *dir)
{
    struct tars_index_config config = {
        .dir = dir, .dim = DIM, .identity = "model", .ef = BEST, .exact_below = 1};
    struct tars_index *graph = NULL;
    struct tars_index *exact = NULL;
    size_t found = 0;

    assert_int_equal(tars_index_open(&config, &graph, NULL), TARS_OK);
    config.exact_below = SIZE_MAX;
    assert_int_equal(tars_index_open(&config, &exact, NULL), TARS_OK);
    for (uint64_t i = 0; i < QUERIES; i++) {
        struct tars_index_hit near[BEST];
        struct tars_index_hit nearest[BEST];
        float query[DIM];
        size_t n = 0;
        size_t m = 0;

        make_vector(1000000 + i, 0, query);
        assert_int_equal(tars_index_search_vector(graph, query, BEST, NULL, near, &n), TARS_OK);
        assert_int_equal(tars_index_search_vector(exact, query, BEST, NULL, nearest, &m), TARS_OK);
        for (size_t a = 0; a < m; a++) {
            for (size_t b = 0; b < n; b++)
                found += near[b].id == nearest[a].id;
        }
    }
    tars_index_close(graph);
    tars_index_close(exact);
    return found;
}

/* What came meanwhile took places among the links of what was there; these are made up for. */
static void the_graph_is_whole_without_what_came(void **state)
{
    char dir[FILES_PATH_MAX];
    struct tars_index *index;
    size_t found;

    (void)state;
    files_make_dir(dir);
    index = open_at(dir);
    for (uint64_t id = 1; id <= OLD; id++)
        assert_int_equal(add(index, id), TARS_OK);
    tars_index_publish(index, OLD);
    assert_true(tars_index_save_begin(index));
    for (uint64_t id = OLD + 1; id <= LATER; id++)
        assert_int_equal(add(index, id), TARS_OK);
    tars_index_publish(index, LATER);
    assert_int_equal(tars_index_save_finish(index, NULL), TARS_OK);
    tars_index_close(index);
    found = agree(dir);
    print_message("  %zu of %u\n", found, QUERIES * BEST);
    assert_true(found >= QUERIES * BEST * 98 / 100);
    files_remove_dir(dir);
}

/* ------------------------------------------------------------------ threads */

struct shared {
    struct tars_index *index;
    atomic_bool saving; /* begun by the writer, to be finished by the saver */
    atomic_bool stop;
    bool gives_up; /* some saves */
    _Atomic uint64_t saves, searches;
};

static void *save_always(void *ctx)
{
    struct shared *shared = ctx;

    while (!atomic_load(&shared->stop)) {
        tars_status status;

        if (!atomic_load(&shared->saving)) {
            (void)usleep(100);
            continue;
        }
        status = tars_index_save_finish(shared->index, NULL);
        if (status != TARS_OK && !(shared->gives_up && status == TARS_ECANCELED))
            abort();
        atomic_fetch_add(&shared->saves, 1);
        atomic_store(&shared->saving, false);
    }
    return NULL;
}

static void *read_always(void *ctx)
{
    struct shared *shared = ctx;

    while (!atomic_load(&shared->stop)) {
        const struct tars_index_query_term term = {"w0-1", 4, 1, 0, TARS_INDEX_TEXT};
        struct tars_index_hit hits[10];
        float query[DIM];
        size_t n = 0;

        make_vector(atomic_fetch_add(&shared->searches, 1), 0, query);
        if (tars_index_search_vector(shared->index, query, 10, NULL, hits, &n) != TARS_OK ||
            tars_index_search_words(shared->index, &term, 1, 10, NULL, hits, &n) != TARS_OK)
            abort();
    }
    return NULL;
}

static void the_writer_goes_on(void **state)
{
    char dir[FILES_PATH_MAX];
    struct shared shared = {.gives_up = *(const bool *)*state};
    pthread_t saver;
    pthread_t reader;
    uint64_t seq = 0;

    files_make_dir(dir);
    shared.index = open_at(dir);
    assert_int_equal(pthread_create(&saver, NULL, save_always, &shared), 0);
    assert_int_equal(pthread_create(&reader, NULL, read_always, &shared), 0);
    while (seq < (shared.gives_up ? 400 : 900) || atomic_load(&shared.saves) < 3) {
        change(shared.index, ++seq);
        if (seq % 20 == 0 && !atomic_load(&shared.saving)) {
            assert_true(tars_index_save_begin(shared.index));
            atomic_store(&shared.saving, true);
        } else if (shared.gives_up && seq % 7 == 0) {
            tars_index_save_give_up(shared.index);
        }
        assert_true(seq < TOP);
    }
    while (atomic_load(&shared.saving))
        (void)usleep(100);
    atomic_store(&shared.stop, true);
    assert_int_equal(pthread_join(saver, NULL), 0);
    assert_int_equal(pthread_join(reader, NULL), 0);
    check(shared.index, seq);
    tars_index_close(shared.index);
    shared.index = open_at(dir);
    for (uint64_t next = tars_index_seq(shared.index) + 1; next <= seq; next++)
        change(shared.index, next);
    check(shared.index, seq);
    tars_index_close(shared.index);
    files_remove_dir(dir);
}

/* -------------------------------------------------------------------- kills */

/* Saves again and again, and tells each time that it is about to. */
static void save_until_killed(const char *dir, int fd, uint64_t last)
{
    struct tars_index *index = open_at(dir);

    for (uint64_t seq = tars_index_seq(index) + 1; seq <= last; seq++)
        change(index, seq);
    for (;;) {
        if (!tars_index_save_begin(index) || write(fd, "x", 1) != 1)
            _exit(1);
        change(index, ++last);
        if (tars_index_save_finish(index, NULL) != TARS_OK)
            _exit(1);
    }
}

static void a_kill_loses_nothing(void **state)
{
    char dir[FILES_PATH_MAX];
    uint64_t last = 200;

    (void)state;
    files_make_dir(dir);
    for (int round = 0; round < 8; round++) {
        struct tars_index *index;
        int ends[2];
        char byte;
        pid_t child;
        int told;

        assert_int_equal(pipe(ends), 0);
        child = fork();
        assert_true(child >= 0);
        if (child == 0)
            save_until_killed(dir, ends[1], last);
        for (int i = 0; i < 1 + round % 3; i++)
            assert_int_equal(read(ends[0], &byte, 1), 1);
        (void)usleep((useconds_t)round * 300); /* somewhere in a save */
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, &told, 0), child);
        assert_true(WIFSIGNALED(told));
        (void)close(ends[0]);
        (void)close(ends[1]);
        index = open_at(dir);
        last = last > tars_index_seq(index) ? last : tars_index_seq(index);
        for (uint64_t seq = tars_index_seq(index) + 1; seq <= last; seq++)
            change(index, seq);
        check(index, last);
        tars_index_close(index);
    }
    files_remove_dir(dir);
}

/* ------------------------------------------------------------------- memory */

static void work(void *ctx)
{
    const struct tars_index_config config = {
        .dir = ctx, .dim = DIM, .identity = "model", .exact_below = 1, .fresh = true};
    struct tars_index *index = NULL;
    tars_status status;
    float score;
    float query[DIM];

    if (tars_index_open(&config, &index, NULL) != TARS_OK)
        return;
    for (uint64_t id = 1; id <= 10; id++) {
        if (add(index, id) != TARS_OK)
            assert_int_equal(add(index, id), TARS_OK);
    }
    tars_index_publish(index, 10);
    assert_true(tars_index_save_begin(index));
    for (uint64_t id = 11; id <= 14; id++) {
        if (add(index, id) != TARS_OK)
            assert_int_equal(add(index, id), TARS_OK);
    }
    tars_index_remove(index, 12, 12);
    tars_index_publish(index, 14);
    status = tars_index_save_finish(index, NULL);
    assert_true(status == TARS_OK || status == TARS_ENOMEM || status == TARS_EIO);
    make_vector(13, 0, query);
    for (uint64_t id = 1; id <= 14; id++) {
        assert_int_equal(tars_index_vector_score(index, query, id, &score),
                         id == 12 ? TARS_ENOTFOUND : TARS_OK);
    }
    tars_index_close(index);
}

static void every_allocation_may_fail(void **state)
{
    char dir[FILES_PATH_MAX];

    (void)state;
    files_make_dir(dir);
    assert_true(faults_each(work, dir) > 20);
    files_remove_dir(dir);
}

/* The seed of fuzz/fuzz_snapshot.c is of this version: an older one would be refused, and the
 * target would try nothing. */
static void the_seed_can_be_opened(void **state)
{
    struct tars_shadow *shadow = NULL;
    uint64_t seq = 0;

    (void)state;
    assert_int_equal(tars_snapshot_open(TARS_SOURCE_DIR "/fuzz/seeds/snapshot/small", 8, "model",
                                        true, &shadow, &seq, NULL),
                     TARS_OK);
    assert_int_equal(seq, 24);
    tars_shadow_free(shadow);
}

int main(void)
{
    static bool gives_up = true;
    static bool waits = false;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_during_a_save_are_kept),
        cmocka_unit_test(a_failed_save_changes_nothing),
        cmocka_unit_test(a_save_can_be_given_up),
        cmocka_unit_test(the_graph_is_whole_without_what_came),
        {"the_writer_goes_on", the_writer_goes_on, NULL, NULL, &waits},
        {"the_writer_goes_on(gives up)", the_writer_goes_on, NULL, NULL, &gives_up},
        cmocka_unit_test(a_kill_loses_nothing),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(the_seed_can_be_opened),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
