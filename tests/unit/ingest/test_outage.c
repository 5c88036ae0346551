/* A store that is away for a while, or whose answers are lost: what it was at is done in the end,
 * and the index follows. The faults are put before a real store, since no server can be made to
 * lose the answer to one commit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/sys/clock.h"
#include "extract/client.h"
#include "index/index.h"
#include "ingest/ingest.h"
#include "store/store_sqlite.h"
#include "support/files.h"

#define WAIT_MS  60000
#define POLL_US  2000
#define FOR_EVER 1000000

struct world {
    char docs[FILES_PATH_MAX];
    char data[FILES_PATH_MAX];
    struct tars_store *store;
    struct tars_index *index;
    struct tars_extract *extract;
    struct tars_wordpiece *wordpiece;
    struct tars_ingest *ingest;
    struct tars_arena arena;
    char skipped[256]; /* why the last file was, that was not taken in */
};

/* ------------------------------------------------------------------- faults */

enum fault { PUT_LOST, PUT_LATE, UPDATE_AWAY, CLAIM_LOST, FORGET_LOST, FILE_AWAY, FAULTS };

static atomic_int faults[FAULTS]; /* how often each is still to come */
static const struct tars_store_ops *real;
static struct tars_store_ops faulty;

static bool comes(enum fault fault)
{
    int left = atomic_load(&faults[fault]);

    while (left > 0 && !atomic_compare_exchange_weak(&faults[fault], &left, left - 1))
        continue;
    return left > 0;
}

static tars_status away(struct tars_err *err)
{
    return tars_fail(TARS_EUNAVAILABLE, err, "the connection is lost");
}

static tars_status put(struct tars_store *store, const struct tars_store_batch *batch,
                       struct tars_arena *arena, struct tars_store_changes *changes,
                       struct tars_err *err)
{
    tars_status status;

    if (comes(PUT_LATE))
        return tars_fail(TARS_ETIMEOUT, err, "no answer in time");
    status = real->put(store, batch, arena, changes, err);
    return !status && comes(PUT_LOST) ? away(err) : status;
}

static tars_status forget_document(struct tars_store *store, const char *document_id,
                                   struct tars_arena *arena, struct tars_store_changes *changes,
                                   struct tars_err *err)
{
    tars_status status = real->forget_document(store, document_id, arena, changes, err);

    return !status && comes(FORGET_LOST) ? away(err) : status;
}

static tars_status forget_file(struct tars_store *store, const char *collection, const char *path,
                               struct tars_arena *arena, struct tars_store_changes *changes,
                               struct tars_err *err)
{
    tars_status status = real->forget_file(store, collection, path, arena, changes, err);

    return !status && comes(FORGET_LOST) ? away(err) : status;
}

static tars_status file(struct tars_store *store, const char *collection, const char *path,
                        struct tars_arena *arena, struct tars_store_file *out, struct tars_err *err)
{
    return comes(FILE_AWAY) ? away(err) : real->file(store, collection, path, arena, out, err);
}

static tars_status job_update(struct tars_store *store, const struct tars_store_job *job,
                              struct tars_err *err)
{
    return comes(UPDATE_AWAY) ? away(err) : real->job_update(store, job, err);
}

static tars_status job_claim(struct tars_store *store, int64_t now_us, struct tars_arena *arena,
                             struct tars_store_job *out, struct tars_err *err)
{
    tars_status status = real->job_claim(store, now_us, arena, out, err);

    return !status && comes(CLAIM_LOST) ? away(err) : status;
}

/* ------------------------------------------------------------------- set up */

/* A clock a thousand times too fast, so that pauses before another attempt are short. */
static int64_t hurried_us(void)
{
    return tars_clock_mono_ns();
}

static void listen(void *ctx, const struct tars_ingest_event *event)
{
    struct world *world = ctx;

    if (event->outcome == TARS_INGEST_SKIPPED)
        (void)snprintf(world->skipped, sizeof(world->skipped), "%s", event->reason);
}

static void open_ingest(struct world *world)
{
    struct tars_ingest_config config = {.store = world->store,
                                        .index = world->index,
                                        .extract = world->extract,
                                        .chunk = {.wordpiece = world->wordpiece},
                                        .event = listen,
                                        .event_ctx = world,
                                        .now_us = hurried_us};

    assert_int_equal(tars_ingest_open(&config, &world->ingest, NULL), TARS_OK);
    assert_int_equal(tars_ingest_start(world->ingest, NULL), TARS_OK);
}

static int set_up(void **state)
{
    static struct world world;
    static const char vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nof\n";
    struct tars_wordpiece_config words = {.vocab_txt = tars_span_of(vocab)};
    struct tars_extract_config extract = {.program = TARS_BINARY_DIR "/tars-extract"};
    struct tars_store_sqlite_config store = {.dir = world.data};
    struct tars_index_config index = {.dir = world.data};

    memset(&world, 0, sizeof(world));
    files_make_dir(world.docs);
    files_make_dir(world.data);
    tars_arena_init(&world.arena, (size_t)64 << 20);
    for (int i = 0; i < FAULTS; i++)
        atomic_store(&faults[i], 0);
    if (tars_extract_open(&extract, &world.extract, NULL) ||
        tars_wordpiece_new(&words, &world.wordpiece, NULL) ||
        tars_store_sqlite_open(&store, &world.store, NULL) ||
        tars_index_open(&index, &world.index, NULL))
        return -1;
    real = world.store->ops;
    faulty = *real;
    faulty.put = put;
    faulty.forget_document = forget_document;
    faulty.forget_file = forget_file;
    faulty.file = file;
    faulty.job_update = job_update;
    faulty.job_claim = job_claim;
    world.store->ops = &faulty;
    open_ingest(&world);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    tars_ingest_close(world->ingest);
    assert_int_equal(tars_store_check(world->store, NULL), TARS_OK);
    tars_index_close(world->index);
    tars_store_close(world->store);
    tars_extract_close(world->extract);
    tars_wordpiece_free(world->wordpiece);
    tars_arena_release(&world->arena);
    files_remove_dir(world->docs);
    files_remove_dir(world->data);
    return 0;
}

/* ------------------------------------------------------------------ helpers */

static void write_text(struct world *world, const char *name, char *path)
{
    static const char text[] = "A xylophone.\n";

    files_write(world->docs, name, text, sizeof(text) - 1, path);
}

/* An upload of a text that is called path. */
static int64_t upload(struct world *world, const char *path, char *spool)
{
    struct tars_ingest_request request = {.path = path, .spool = spool};
    int64_t id = 0;

    write_text(world, "spooled", spool);
    assert_int_equal(tars_ingest_submit(world->ingest, &request, 1, &id, NULL), TARS_OK);
    return id;
}

static int64_t take_in(struct world *world, const char *name, char *path)
{
    struct tars_ingest_request request = {.path = path};
    int64_t id = 0;

    write_text(world, name, path);
    assert_int_equal(tars_ingest_submit(world->ingest, &request, 1, &id, NULL), TARS_OK);
    return id;
}

static struct tars_store_job job_of(struct world *world, int64_t id)
{
    struct tars_store_job job;

    assert_int_equal(tars_store_job(world->store, id, &world->arena, &job, NULL), TARS_OK);
    return job;
}

static void assert_done(struct world *world, int64_t id, const char *result)
{
    struct tars_store_job job;

    assert_int_equal(tars_ingest_wait(world->ingest, id, WAIT_MS, &world->arena, &job, NULL),
                     TARS_OK);
    assert_int_equal(job.state, TARS_JOB_DONE);
    assert_string_equal(job.result, result);
    assert_int_equal(tars_ingest_wait_idle(world->ingest, WAIT_MS), TARS_OK);
}

static size_t found(struct world *world)
{
    struct tars_index_query_term term = {"xylophon", 8, 1, 0, TARS_INDEX_TEXT};
    struct tars_index_hit hits[32];
    size_t n = 0;

    assert_int_equal(tars_index_search_words(world->index, &term, 1, 32, NULL, hits, &n), TARS_OK);
    return n;
}

static void await_used(enum fault fault)
{
    int64_t due_ms = tars_clock_mono_ms() + WAIT_MS;

    while (atomic_load(&faults[fault]) > 0 && tars_clock_mono_ms() < due_ms)
        (void)usleep(POLL_US);
    assert_int_equal(atomic_load(&faults[fault]), 0);
}

static void await_caught_up(struct world *world)
{
    int64_t due_ms = tars_clock_mono_ms() + WAIT_MS;

    while (tars_ingest_is_behind(world->ingest) && tars_clock_mono_ms() < due_ms)
        (void)usleep(POLL_US);
    assert_false(tars_ingest_is_behind(world->ingest));
}

/* Until the store has refused what it was told of the end of a job some times. */
static void await_refusals(void)
{
    int64_t due_ms = tars_clock_mono_ms() + WAIT_MS;

    while (atomic_load(&faults[UPDATE_AWAY]) > FOR_EVER - 2 && tars_clock_mono_ms() < due_ms)
        (void)usleep(POLL_US);
    assert_true(atomic_load(&faults[UPDATE_AWAY]) <= FOR_EVER - 2);
}

/* -------------------------------------------------------------------- tests */

static void an_end_is_written_when_the_store_is_back(void **state)
{
    struct world *world = *state;
    char spool[FILES_PATH_MAX];
    int64_t id;

    atomic_store(&faults[UPDATE_AWAY], FOR_EVER);
    id = upload(world, "/upload/a.txt", spool);
    await_refusals();
    assert_int_equal(job_of(world, id).state, TARS_JOB_RUNNING);
    assert_int_equal(access(spool, F_OK), 0);
    assert_int_equal(tars_ingest_wait_idle(world->ingest, 0), TARS_ETIMEOUT);
    atomic_store(&faults[UPDATE_AWAY], 0);
    assert_done(world, id, "indexed");
    assert_int_not_equal(access(spool, F_OK), 0);
    assert_int_equal(found(world), 1);
}

static void a_job_goes_back_to_the_queue_when_the_store_is_back(void **state)
{
    struct world *world = *state;
    char spool[FILES_PATH_MAX];
    int64_t id;

    atomic_store(&faults[PUT_LATE], 1);
    atomic_store(&faults[UPDATE_AWAY], FOR_EVER);
    id = upload(world, "/upload/a.txt", spool);
    await_refusals();
    assert_int_equal(job_of(world, id).state, TARS_JOB_RUNNING);
    atomic_store(&faults[UPDATE_AWAY], 0);
    assert_done(world, id, "indexed");
    assert_int_equal(job_of(world, id).attempts, 2);
    assert_int_equal(found(world), 1);
}

/* Stopped while the store is away: the job goes on at the next start. */
static void a_stop_leaves_no_job_running_for_ever(void **state)
{
    struct world *world = *state;
    char spool[FILES_PATH_MAX];
    int64_t id;

    atomic_store(&faults[UPDATE_AWAY], FOR_EVER);
    id = upload(world, "/upload/a.txt", spool);
    await_refusals();
    tars_ingest_stop(world->ingest);
    assert_int_equal(job_of(world, id).state, TARS_JOB_RUNNING);
    assert_int_equal(access(spool, F_OK), 0);
    atomic_store(&faults[UPDATE_AWAY], 0);
    assert_int_equal(tars_ingest_start(world->ingest, NULL), TARS_OK);
    assert_done(world, id, "unchanged");
    assert_int_not_equal(access(spool, F_OK), 0);
}

static void a_claim_whose_answer_is_lost_is_released(void **state)
{
    struct world *world = *state;
    char path[FILES_PATH_MAX];
    int64_t id;

    atomic_store(&faults[CLAIM_LOST], 1);
    id = take_in(world, "a.txt", path);
    assert_done(world, id, "indexed");
    assert_int_equal(atomic_load(&faults[CLAIM_LOST]), 0);
    assert_int_equal(found(world), 1);
}

static void a_commit_whose_answer_is_lost_reaches_the_index(void **state)
{
    struct world *world = *state;
    char path[FILES_PATH_MAX];
    int64_t id;

    atomic_store(&faults[PUT_LOST], 1);
    id = take_in(world, "a.txt", path);
    assert_done(world, id, "unchanged"); /* by the second attempt */
    assert_false(tars_ingest_is_behind(world->ingest));
    assert_int_equal(found(world), 1);
    assert_done(world, take_in(world, "b.txt", path), "indexed");
    assert_int_equal(found(world), 2);
}

static void a_removal_whose_answer_is_lost_reaches_the_index(void **state)
{
    struct world *world = *state;
    char document_id[TARS_DOCUMENT_ID_BYTES];
    char path[FILES_PATH_MAX];

    assert_done(world, take_in(world, "a.txt", path), "indexed");
    atomic_store(&faults[FORGET_LOST], 1);
    assert_int_equal(tars_document_id(TARS_COLLECTION, path, "", document_id), TARS_OK);
    assert_int_equal(tars_ingest_forget(world->ingest, document_id, NULL, NULL), TARS_EUNAVAILABLE);
    await_caught_up(world);
    assert_int_equal(found(world), 0);

    assert_done(world, take_in(world, "b.txt", path), "indexed");
    atomic_store(&faults[FORGET_LOST], 1);
    assert_int_equal(tars_ingest_forget_path(world->ingest, NULL, path, NULL, NULL, NULL),
                     TARS_EUNAVAILABLE);
    await_caught_up(world);
    assert_int_equal(found(world), 0);
}

/* A change that nobody told the index of, before one that it is told of. */
static void a_gap_is_filled_by_a_replay(void **state)
{
    struct world *world = *state;
    struct tars_store_passage passage = {.text = "A xylophon.", .text_len = 11};
    struct tars_store_document document = {.path = "/other", .sha256 = "x"};
    struct tars_store_file other = {.path = "/other", .sha256 = "f00d", .indexed_us = 9};
    struct tars_store_put one = {.document = &document, .passages = &passage, .passage_count = 1};
    struct tars_store_batch batch = {.file = &other, .puts = &one, .put_count = 1, .finish = true};
    struct tars_store_changes changes;
    char path[FILES_PATH_MAX];

    assert_int_equal(tars_store_put(world->store, &batch, &world->arena, &changes, NULL), TARS_OK);
    assert_done(world, take_in(world, "a.txt", path), "indexed");
    assert_int_equal(found(world), 2);
}

/* Whether a file is there already is asked again, not guessed. */
static void a_question_without_an_answer_is_asked_again(void **state)
{
    struct world *world = *state;
    char path[FILES_PATH_MAX];
    int64_t id;

    atomic_store(&faults[FILE_AWAY], 2); /* is it taken in, is there room */
    id = take_in(world, "a.txt", path);
    await_used(FILE_AWAY);
    assert_done(world, id, "indexed");
    assert_int_equal(job_of(world, id).attempts, 2);
}

/* A store that takes no other names: the one file is told of, and costs the others nothing. */
static void a_name_that_the_store_cannot_hold_is_skipped(void **state)
{
    struct world *world = *state;
    struct tars_ingest_tree tree = {.path = world->docs};
    char path[FILES_PATH_MAX];
    size_t submitted = 0;

    faulty.is_utf8_only = true;
    write_text(world, "caf\xe9.txt", path);
    write_text(world, "caf\xc3\xa9.txt", path);
    assert_int_equal(tars_ingest_submit_tree(world->ingest, &tree, &submitted, NULL), TARS_OK);
    assert_int_equal(submitted, 1);
    assert_non_null(strstr(world->skipped, "not UTF-8"));
    assert_int_equal(tars_ingest_wait_idle(world->ingest, WAIT_MS), TARS_OK);
    assert_int_equal(found(world), 1);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(an_end_is_written_when_the_store_is_back),
        ROW(a_job_goes_back_to_the_queue_when_the_store_is_back),
        ROW(a_stop_leaves_no_job_running_for_ever),
        ROW(a_claim_whose_answer_is_lost_is_released),
        ROW(a_commit_whose_answer_is_lost_reaches_the_index),
        ROW(a_removal_whose_answer_is_lost_reaches_the_index),
        ROW(a_gap_is_filled_by_a_replay),
        ROW(a_question_without_an_answer_is_asked_again),
        ROW(a_name_that_the_store_cannot_hold_is_skipped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
