/* The power fails at 50 random points of a write load like that of ingestion: what was acknowledged
 * is there after the next start, whole, and the database opens clean. A disk that lies about its
 * syncs must be caught, else the test could not see a missing one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/store_sqlite.h"
#include "support/files.h"
#include "support/powercut_vfs.h"

#define DIM         64
#define DOCUMENTS   60
#define KEYS        20 /* fewer than documents: later ones replace earlier ones */
#define CUTS        50
#define TEXT_BYTES  600
#define ARENA_BYTES ((size_t)64 << 20)

/* What the store has acknowledged. */
struct acknowledged {
    int version[KEYS]; /* of the document under each key; 0: none */
    int jobs;          /* queued */
    bool is_unsure;    /* the last call failed: it may have happened or not */
    int unsure_key;    /* -1: it was a job */
    int unsure_version;
};

static size_t passages_in(int version)
{
    return 1 + (size_t)version * 7 % 9;
}

static void fill(char *text, int version, size_t i)
{
    memset(text, 'a' + version % 26, TEXT_BYTES);
    text[snprintf(text, TEXT_BYTES, "version %d passage %zu ", version, i)] = ' ';
}

static tars_status put(struct tars_store *store, int key, int version)
{
    static char texts[10][TEXT_BYTES];
    static float vectors[DIM];
    static const struct tars_store_window window = {0, 10};
    struct tars_store_passage passages[10];
    char path[32];
    struct tars_store_document document = {.path = path, .title = "t", .sha256 = "x"};
    struct tars_store_file file = {.path = path, .sha256 = "f", .indexed_us = version};
    struct tars_store_put one = {&document, passages, passages_in(version), false, NULL};
    struct tars_store_batch batch = {&file, &one, 1, version, true, DIM, NULL};
    struct tars_store_changes changes;
    struct tars_arena arena;
    tars_status status;

    (void)snprintf(path, sizeof(path), "/file%d", key);
    for (size_t i = 0; i < one.passage_count; i++) {
        fill(texts[i], version, i);
        passages[i] = (struct tars_store_passage){.section = "",
                                                  .text = texts[i],
                                                  .text_len = TEXT_BYTES,
                                                  .windows = &window,
                                                  .vectors = vectors,
                                                  .window_count = 1};
    }
    tars_arena_init(&arena, ARENA_BYTES);
    status = tars_store_put(store, &batch, &arena, &changes, NULL);
    tars_arena_release(&arena);
    return status;
}

/* The load, until the power fails or it is done. */
static void work(struct tars_store *store, struct acknowledged *done)
{
    for (int version = 1; version <= DOCUMENTS && !done->is_unsure; version++) {
        int key = version * 13 % KEYS;
        char path[32];
        struct tars_store_job job = {.kind = "ingest", .path = path};
        struct tars_arena arena;

        (void)snprintf(path, sizeof(path), "/file%d", key);
        done->is_unsure = tars_store_jobs_add(store, &job, 1, NULL) != TARS_OK;
        done->unsure_key = -1;
        if (done->is_unsure)
            return;
        done->jobs++;
        tars_arena_init(&arena, ARENA_BYTES);
        /* Not durable, and in between on purpose. */
        (void)!tars_store_job_claim(store, 1, &arena, &job, NULL);
        tars_arena_release(&arena);
        done->is_unsure = put(store, key, version) != TARS_OK;
        done->unsure_key = key;
        done->unsure_version = version;
        if (!done->is_unsure)
            done->version[key] = version;
        if (version % 4 == 0)
            (void)!tars_store_checkpoint(store, NULL);
    }
}

/* How many passages of which version the store has under key; -1: a mixture. */
static int version_under(struct tars_store *store, int key)
{
    char path[32];
    char id[TARS_DOCUMENT_ID_BYTES];
    char text[TEXT_BYTES];
    struct tars_store_document document;
    struct tars_store_passages found = {0};
    struct tars_arena arena;
    int version = 0;

    (void)snprintf(path, sizeof(path), "/file%d", key);
    tars_arena_init(&arena, ARENA_BYTES);
    assert_int_equal(tars_document_id(NULL, path, NULL, id), TARS_OK);
    if (!tars_store_document(store, id, &arena, &document, NULL)) {
        assert_int_equal(
            tars_store_passage_range(store, document.passage_first,
                                     document.passage_first + (uint64_t)document.chunk_count - 1,
                                     100, TARS_LOAD_TEXT | TARS_LOAD_VECTORS, &arena, &found, NULL),
            TARS_OK);
        version = found.count ? (int)strtol(found.items[0].text + 8, NULL, 10) : -1;
        if (version < 0 || found.count != passages_in(version))
            version = -1;
    }
    for (size_t i = 0; version > 0 && i < found.count; i++) {
        fill(text, version, i);
        if (memcmp(text, found.items[i].text, TEXT_BYTES) != 0 || !found.items[i].vectors)
            version = -1;
    }
    tars_arena_release(&arena);
    return version;
}

/* Nothing acknowledged is missing from the store in dir. */
static bool holds(const char *dir, const struct acknowledged *done)
{
    struct tars_store_sqlite_config config = {.dir = dir};
    struct tars_store *store = NULL;
    struct tars_store_stats stats;
    bool whole;

    if (tars_store_sqlite_open(&config, &store, NULL))
        return false;
    whole = tars_store_check(store, NULL) == TARS_OK;
    for (int key = 0; whole && key < KEYS; key++) {
        int version = version_under(store, key);
        bool may_be_newer = done->is_unsure && done->unsure_key == key;

        whole = version == done->version[key] || (may_be_newer && version == done->unsure_version);
    }
    if (whole) {
        assert_int_equal(tars_store_stats(store, &stats, NULL), TARS_OK);
        whole = stats.jobs_queued + stats.jobs_running >= done->jobs;
    }
    tars_store_close(store);
    return whole;
}

/* One life of the machine. Tells how many operations it took. */
static bool survives(int64_t cut_at, uint64_t seed, bool lies, int64_t *operations)
{
    char dir[FILES_PATH_MAX];
    char after[FILES_PATH_MAX];
    struct tars_store_sqlite_config config = {.dir = dir, .vfs = POWERCUT_VFS};
    struct acknowledged done = {.unsure_key = -1};
    struct tars_store *store = NULL;
    bool whole;

    files_make_dir(dir);
    files_make_dir(after);
    powercut_begin(cut_at, seed, lies);
    if (!tars_store_sqlite_open(&config, &store, NULL))
        work(store, &done);
    *operations = powercut_operations();
    /* What closing writes comes after the last acknowledgement. */
    tars_store_close(store);
    powercut_end(after);
    whole = holds(after, &done);
    files_remove_dir(dir);
    files_remove_dir(after);
    return whole;
}

static void acknowledged_documents_survive_a_power_cut(void **state)
{
    int64_t operations = 0;
    int64_t ignored;
    uint64_t random = 20260101;

    (void)state;
    assert_true(survives(-1, 1, false, &operations));
    for (int i = 0; i < CUTS; i++) {
        int64_t cut_at;

        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        cut_at = (int64_t)((random >> 33) % (uint64_t)operations);
        if (!survives(cut_at, random, false, &ignored)) {
            fail_msg("the power failed at operation %lld of %lld and something was lost",
                     (long long)cut_at, (long long)operations);
        }
    }
}

static void a_disk_that_lies_is_caught(void **state)
{
    int64_t ignored;
    int lost = 0;

    (void)state;
    for (int i = 0; i < 10; i++)
        lost += !survives(100 + i * 37, (uint64_t)i + 1, true, &ignored);
    assert_true(lost > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(acknowledged_documents_survive_a_power_cut),
        cmocka_unit_test(a_disk_that_lies_is_caught),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
