/* Files through the whole way in: real extraction, real store, real index, and the real encoder
 * where its weights are at hand (else words only). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sys/clock.h"
#include "extract/client.h"
#include "index/index.h"
#include "ingest/ingest.h"
#include "ingest/spool.h"
#include "ingest/watch.h"
#include "model/encoder.h"
#include "store/store_sqlite.h"
#include "support/faults.h"
#include "support/files.h"

#define WAIT_MS   60000
#define EVENTS    64
#define NAME_SIZE 128

struct told {
    enum tars_ingest_outcome outcome;
    tars_status status;
    char name[NAME_SIZE];
    char reason[NAME_SIZE];
    int64_t documents;
    int64_t chunks;
};

struct world {
    char docs[FILES_PATH_MAX];
    char data[FILES_PATH_MAX];
    struct tars_store *store;
    struct tars_index *index;
    struct tars_extract *extract;
    struct tars_encoder *encoder;
    struct tars_wordpiece *wordpiece; /* where there is no encoder */
    struct tars_ingest *ingest;
    struct tars_arena arena;
    pthread_mutex_t lock;
    struct told told[EVENTS];
    size_t told_count;
    const atomic_bool *stopping; /* of the next opening */
};

static void listen(void *ctx, const struct tars_ingest_event *event)
{
    struct world *world = ctx;
    const char *slash = strrchr(event->path, '/');
    struct told *told = &world->told[world->told_count % EVENTS];

    pthread_mutex_lock(&world->lock);
    told->outcome = event->outcome;
    told->status = event->status;
    told->documents = event->documents;
    told->chunks = event->chunks;
    (void)snprintf(told->name, NAME_SIZE, "%s", slash ? slash + 1 : event->path);
    (void)snprintf(told->reason, NAME_SIZE, "%s", event->reason);
    world->told_count++;
    pthread_mutex_unlock(&world->lock);
}

/* ------------------------------------------------------------------ set up */

static struct tars_encoder *find_encoder(void)
{
    static struct tars_encoder *encoder;
    char dir[FILES_PATH_MAX];
    struct tars_encoder_config config = {.dir = dir};

    if (encoder)
        return encoder;
    if (!files_model(dir) || tars_encoder_open(&config, &encoder, NULL))
        return NULL;
    return encoder;
}

static const char tiny_vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nof\nleave\n";

static const struct tars_wordpiece *wordpiece_of(struct world *world)
{
    struct tars_wordpiece_config config = {.vocab_txt = tars_span_of(tiny_vocab)};

    if (world->encoder)
        return tars_encoder_wordpiece(world->encoder);
    if (!world->wordpiece)
        assert_int_equal(tars_wordpiece_new(&config, &world->wordpiece, NULL), TARS_OK);
    return world->wordpiece;
}

static tars_status open_ingest(struct world *world, struct tars_err *err)
{
    struct tars_ingest_config config = {.store = world->store,
                                        .index = world->index,
                                        .extract = world->extract,
                                        .encoder = world->encoder,
                                        .chunk = {.wordpiece = wordpiece_of(world)},
                                        .event = listen,
                                        .event_ctx = world,
                                        .stopping = world->stopping};

    return tars_ingest_open(&config, &world->ingest, err);
}

static void open_all(struct world *world)
{
    struct tars_store_sqlite_config store = {.dir = world->data};
    struct tars_index_config index = {.dir = world->data};
    struct tars_err err = {.text = ""};

    if (world->encoder) {
        index.dim = tars_encoder_info(world->encoder)->dim;
        index.identity = tars_encoder_info(world->encoder)->identity;
    }
    assert_int_equal(tars_store_sqlite_open(&store, &world->store, NULL), TARS_OK);
    assert_int_equal(tars_index_open(&index, &world->index, NULL), TARS_OK);
    if (open_ingest(world, &err))
        fail_msg("%s", err.text);
    assert_int_equal(tars_ingest_start(world->ingest, NULL), TARS_OK);
}

static void close_all(struct world *world)
{
    tars_ingest_close(world->ingest);
    tars_index_close(world->index);
    tars_store_close(world->store);
    world->ingest = NULL;
    world->index = NULL;
    world->store = NULL;
}

static int set_up(void **state)
{
    static struct world world;
    struct tars_extract_config extract = {.program = TARS_BINARY_DIR "/tars-extract"};

    memset(&world, 0, sizeof(world));
    pthread_mutex_init(&world.lock, NULL);
    files_make_dir(world.docs);
    files_make_dir(world.data);
    tars_arena_init(&world.arena, (size_t)64 << 20);
    world.encoder = find_encoder();
    if (tars_extract_open(&extract, &world.extract, NULL))
        return -1;
    open_all(&world);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    close_all(world);
    tars_extract_close(world->extract);
    tars_wordpiece_free(world->wordpiece);
    tars_arena_release(&world->arena);
    files_remove_dir(world->docs);
    files_remove_dir(world->data);
    pthread_mutex_destroy(&world->lock);
    return 0;
}

/* ----------------------------------------------------------------- helpers */

static void write_doc(struct world *world, const char *name, const char *text)
{
    char path[FILES_PATH_MAX];

    files_write(world->docs, name, text, strlen(text), path);
}

static void take_tree(struct world *world, bool forget_missing)
{
    struct tars_ingest_tree tree = {.path = world->docs, .forget_missing = forget_missing};
    size_t submitted = 0;

    world->told_count = 0;
    assert_int_equal(tars_ingest_submit_tree(world->ingest, &tree, &submitted, NULL), TARS_OK);
    assert_int_equal(tars_ingest_wait_idle(world->ingest, WAIT_MS), TARS_OK);
}

static const struct told *told_of(const struct world *world, const char *name)
{
    for (size_t i = 0; i < world->told_count && i < EVENTS; i++) {
        if (strcmp(world->told[i].name, name) == 0)
            return &world->told[i];
    }
    fail_msg("nothing was told of %s", name);
    return NULL;
}

/* How many passages of the index have the word. */
static size_t found(struct world *world, const char *word)
{
    struct tars_index_query_term term = {word, (uint32_t)strlen(word), 1, 0, TARS_INDEX_TEXT};
    struct tars_index_hit hits[32];
    size_t n = 0;

    assert_int_equal(tars_index_search_words(world->index, &term, 1, 32, NULL, hits, &n), TARS_OK);
    return n;
}

static void check_store(struct world *world)
{
    struct tars_err err = {.text = ""};

    if (tars_store_check(world->store, &err))
        fail_msg("%s", err.text);
}

/* ------------------------------------------------------------------- tests */

static void files_become_searchable_once(void **state)
{
    struct world *world = *state;
    struct tars_store_passages passages;

    write_doc(world, "a.md", "# Leave\n\nStaff may take xylophone days of leave every year.\n");
    write_doc(world, "b.txt", "The budget of the marimba section was approved in May.\n");
    write_doc(world, "c.exe", "MZ");
    write_doc(world, "d.txt", "");
    write_doc(world, "e.pdf", "this is not a PDF at all");
    take_tree(world, false);
    assert_int_equal(told_of(world, "a.md")->outcome, TARS_INGEST_INDEXED);
    assert_int_equal(told_of(world, "a.md")->chunks, 1);
    assert_int_equal(told_of(world, "b.txt")->outcome, TARS_INGEST_INDEXED);
    assert_int_equal(told_of(world, "c.exe")->outcome, TARS_INGEST_SKIPPED);
    assert_int_equal(told_of(world, "d.txt")->outcome, TARS_INGEST_FAILED);
    assert_non_null(strstr(told_of(world, "d.txt")->reason, "File is empty"));
    assert_int_equal(told_of(world, "e.pdf")->outcome, TARS_INGEST_FAILED);
    assert_int_equal(told_of(world, "e.pdf")->status, TARS_EFORMAT);
    assert_int_equal(found(world, "xylophon"), 1);
    assert_int_equal(found(world, "marimba"), 1);
    check_store(world);

    assert_int_equal(tars_store_passage_range(world->store, 0, UINT64_MAX, 10,
                                              TARS_LOAD_TEXT | TARS_LOAD_VECTORS, &world->arena,
                                              &passages, NULL),
                     TARS_OK);
    assert_int_equal(passages.count, 2);
    assert_int_equal(passages.items[0].window_count, world->encoder ? 1 : 0);
    assert_string_equal(passages.items[0].document->file_type, "md");

    take_tree(world, false);
    assert_int_equal(told_of(world, "a.md")->outcome, TARS_INGEST_UNCHANGED);
    assert_int_equal(told_of(world, "a.md")->chunks, 1);
}

static void a_changed_file_replaces_itself_and_a_gone_one_goes(void **state)
{
    struct world *world = *state;
    char path[FILES_PATH_MAX + 16];

    write_doc(world, "a.txt", "An old word: xylophone.\n");
    write_doc(world, "b.txt", "Another word: marimba.\n");
    take_tree(world, true);
    write_doc(world, "a.txt", "A new word: vibraphone.\n");
    (void)snprintf(path, sizeof(path), "%s/b.txt", world->docs);
    assert_int_equal(unlink(path), 0);
    take_tree(world, true);
    assert_int_equal(told_of(world, "a.txt")->outcome, TARS_INGEST_INDEXED);
    assert_int_equal(told_of(world, "b.txt")->outcome, TARS_INGEST_FORGOTTEN);
    assert_int_equal(found(world, "xylophon"), 0);
    assert_int_equal(found(world, "vibraphon"), 1);
    assert_int_equal(found(world, "marimba"), 0);
    check_store(world);
}

static void lines_of_a_file_are_documents(void **state)
{
    struct world *world = *state;
    struct tars_store_stats stats;

    write_doc(world, "a.jsonl",
              "{\"_id\":\"1\",\"title\":\"One\",\"text\":\"about the xylophone\"}\n"
              "{\"_id\":\"2\",\"title\":\"Two\",\"text\":\"about the marimba\"}\n"
              "{\"_id\":\"3\",\"title\":\"Three\",\"text\":\"about the celesta\"}\n");
    take_tree(world, false);
    assert_int_equal(told_of(world, "a.jsonl")->documents, 3);
    write_doc(world, "a.jsonl",
              "{\"_id\":\"1\",\"title\":\"One\",\"text\":\"about the xylophone\"}\n"
              "{\"_id\":\"3\",\"title\":\"Three\",\"text\":\"about the vibraphone\"}\n");
    take_tree(world, false);
    assert_int_equal(told_of(world, "a.jsonl")->outcome, TARS_INGEST_INDEXED);
    assert_int_equal(found(world, "xylophon"), 1);
    assert_int_equal(found(world, "marimba"), 0);
    assert_int_equal(found(world, "celesta"), 0);
    assert_int_equal(found(world, "vibraphon"), 1);
    assert_int_equal(tars_store_stats(world->store, &stats, NULL), TARS_OK);
    assert_int_equal(stats.documents, 2);
    check_store(world);
}

static void forgotten_documents_are_not_found(void **state)
{
    struct world *world = *state;
    char path[FILES_PATH_MAX];
    char id[TARS_DOCUMENT_ID_BYTES];
    int64_t chunks = 0;
    int64_t documents = 0;

    write_doc(world, "a.txt", "About the xylophone.\n");
    write_doc(world, "b.txt", "About the marimba.\n");
    take_tree(world, false);
    (void)snprintf(path, sizeof(path), "%.*s/a.txt", FILES_PATH_MAX - 16, world->docs);
    assert_int_equal(tars_document_id(NULL, path, NULL, id), TARS_OK);
    assert_int_equal(tars_ingest_forget(world->ingest, id, &chunks, NULL), TARS_OK);
    assert_int_equal(chunks, 1);
    assert_int_equal(found(world, "xylophon"), 0);
    assert_int_equal(tars_ingest_forget(world->ingest, id, &chunks, NULL), TARS_ENOTFOUND);
    assert_int_equal(
        tars_ingest_forget_path(world->ingest, NULL, world->docs, &documents, &chunks, NULL),
        TARS_OK);
    assert_int_equal(documents, 1);
    assert_int_equal(found(world, "marimba"), 0);
    assert_int_equal(
        tars_ingest_forget_path(world->ingest, NULL, world->docs, &documents, &chunks, NULL),
        TARS_ENOTFOUND);
    /* It is read again when it comes again. */
    take_tree(world, false);
    assert_int_equal(found(world, "xylophon"), 1);
}

static void an_index_that_is_behind_catches_up(void **state)
{
    struct world *world = *state;
    char path[FILES_PATH_MAX + 32];
    struct tars_index_stats before;
    struct tars_index_stats after;

    write_doc(world, "a.txt", "About the xylophone.\n");
    write_doc(world, "b.md", "# Title\n\nAbout the marimba.\n");
    take_tree(world, false);
    write_doc(world, "a.txt", "About the vibraphone.\n");
    take_tree(world, false);
    tars_index_stats(world->index, &before);
    close_all(world);
    (void)snprintf(path, sizeof(path), "%s/index.tars", world->data);
    assert_int_equal(unlink(path), 0);
    open_all(world);
    tars_index_stats(world->index, &after);
    assert_int_equal(after.passages, before.passages);
    assert_int_equal(after.seq, before.seq);
    assert_int_equal(found(world, "xylophon"), 0);
    assert_int_equal(found(world, "vibraphon"), 1);
    assert_int_equal(found(world, "marimba"), 1);
}

/* Each start that is told to stop brings in one change more, and what it has brought in stays. */
static void a_start_that_is_stopped_goes_on_at_the_next(void **state)
{
    static const atomic_bool stopping = true;
    struct world *world = *state;
    char path[FILES_PATH_MAX + 32];
    struct tars_index_config index = {.dir = world->data};
    struct tars_index_stats before;
    struct tars_index_stats after;

    write_doc(world, "a.txt", "About the xylophone.\n");
    write_doc(world, "b.txt", "About the marimba.\n");
    write_doc(world, "c.txt", "About the vibraphone.\n");
    take_tree(world, false);
    tars_index_stats(world->index, &before);
    assert_int_equal(before.seq, 3);
    tars_ingest_close(world->ingest);
    tars_index_close(world->index);
    (void)snprintf(path, sizeof(path), "%s/index.tars", world->data);
    assert_int_equal(unlink(path), 0);
    if (world->encoder) {
        index.dim = tars_encoder_info(world->encoder)->dim;
        index.identity = tars_encoder_info(world->encoder)->identity;
    }
    world->stopping = &stopping;
    for (uint64_t seq = 1; seq <= 3; seq++) {
        assert_int_equal(tars_index_open(&index, &world->index, NULL), TARS_OK);
        assert_int_equal(open_ingest(world, NULL), TARS_ECANCELED);
        assert_int_equal(tars_index_seq(world->index), seq);
        assert_int_equal(tars_index_save(world->index, NULL), TARS_OK);
        tars_index_close(world->index);
    }
    world->stopping = NULL;
    assert_int_equal(tars_index_open(&index, &world->index, NULL), TARS_OK);
    assert_int_equal(open_ingest(world, NULL), TARS_OK);
    tars_index_stats(world->index, &after);
    assert_int_equal(after.passages, before.passages);
    assert_int_equal(found(world, "xylophon"), 1);
    assert_int_equal(found(world, "vibraphon"), 1);
}

static void what_was_running_at_a_crash_is_taken_up(void **state)
{
    struct world *world = *state;
    char path[FILES_PATH_MAX];
    struct tars_ingest_request request = {.path = path};
    struct tars_store_job job;
    int64_t id = 0;

    files_write(world->docs, "a.txt", "About the xylophone.\n", 21, path);
    tars_ingest_stop(world->ingest);
    assert_int_equal(tars_ingest_submit(world->ingest, &request, 1, &id, NULL), TARS_OK);
    assert_int_equal(tars_store_job_claim(world->store, INT64_MAX, &world->arena, &job, NULL),
                     TARS_OK);
    close_all(world);
    open_all(world);
    assert_int_equal(tars_ingest_wait(world->ingest, id, WAIT_MS, &world->arena, &job, NULL),
                     TARS_OK);
    assert_int_equal(job.state, TARS_JOB_DONE);
    assert_int_equal(job.attempts, 2);
    assert_string_equal(job.result, "indexed");
    assert_int_equal(found(world, "xylophon"), 1);
}

static void an_upload_is_taken_from_the_spool(void **state)
{
    struct world *world = *state;
    char dir[FILES_PATH_MAX + 8];
    struct tars_spool_file *file = NULL;
    struct tars_ingest_request request = {.path = "report.txt"};
    struct tars_store_job job;
    struct stat st;
    int64_t id = 0;

    (void)snprintf(dir, sizeof(dir), "%s/spool", world->data);
    assert_int_equal(tars_spool_new(dir, 1000, &file, NULL), TARS_OK);
    assert_int_equal(tars_spool_write(file, "About the xylophone.", 20, NULL), TARS_OK);
    assert_int_equal(tars_spool_commit(file, &request.spool, NULL), TARS_OK);
    assert_int_equal(tars_ingest_submit(world->ingest, &request, 1, &id, NULL), TARS_OK);
    assert_int_equal(tars_ingest_wait(world->ingest, id, WAIT_MS, &world->arena, &job, NULL),
                     TARS_OK);
    assert_string_equal(job.result, "indexed");
    assert_int_equal(job.chunks, 1);
    assert_int_equal(found(world, "xylophon"), 1);
    assert_int_not_equal(stat(request.spool, &st), 0);
    tars_spool_free(file);
}

static const char *spool_one(const char *dir, char *path)
{
    struct tars_spool_file *file = NULL;
    const char *kept = NULL;

    assert_int_equal(tars_spool_new(dir, 1000, &file, NULL), TARS_OK);
    assert_int_equal(tars_spool_write(file, "About the zither.", 17, NULL), TARS_OK);
    assert_int_equal(tars_spool_commit(file, &kept, NULL), TARS_OK);
    (void)snprintf(path, FILES_PATH_MAX, "%s", kept);
    tars_spool_free(file);
    return path;
}

/* What a job may still read stays, everything else of ours goes. */
static void the_spool_keeps_what_jobs_need(void **state)
{
    struct world *world = *state;
    char dir[FILES_PATH_MAX + 8];
    char queued[FILES_PATH_MAX];
    char cancelled[FILES_PATH_MAX];
    char lost[FILES_PATH_MAX];
    char part[FILES_PATH_MAX];
    char other[FILES_PATH_MAX];
    struct tars_ingest_request requests[2] = {{.path = "a.txt"}, {.path = "b.txt"}};
    struct tars_store_job job;
    int64_t ids[2];

    (void)snprintf(dir, sizeof(dir), "%s/spool", world->data);
    assert_int_equal(tars_spool_sweep(dir, world->store, NULL), TARS_OK); /* not there yet */
    tars_ingest_stop(world->ingest);
    requests[0].spool = spool_one(dir, queued);
    requests[1].spool = spool_one(dir, cancelled);
    (void)spool_one(dir, lost);
    files_write(dir, "0123.part", "x", 1, part);
    files_write(dir, "README", "x", 1, other);
    assert_int_equal(tars_ingest_submit(world->ingest, requests, 2, ids, NULL), TARS_OK);
    assert_int_equal(tars_ingest_cancel(world->ingest, ids[1], NULL), TARS_OK);
    assert_int_equal(tars_spool_sweep(dir, world->store, NULL), TARS_OK);
    assert_int_equal(access(queued, F_OK), 0);
    assert_int_equal(access(cancelled, F_OK), 0);
    assert_int_equal(access(other, F_OK), 0);
    assert_int_not_equal(access(lost, F_OK), 0);
    assert_int_not_equal(access(part, F_OK), 0);

    /* An upload that was cancelled can be taken in after all. */
    assert_int_equal(tars_ingest_retry(world->ingest, ids[1], NULL), TARS_OK);
    assert_int_equal(tars_ingest_start(world->ingest, NULL), TARS_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(
            tars_ingest_wait(world->ingest, ids[i], WAIT_MS, &world->arena, &job, NULL), TARS_OK);
        assert_string_equal(job.result, "indexed");
    }
    /* They go after the end of their jobs is written. */
    assert_int_equal(tars_ingest_wait_idle(world->ingest, WAIT_MS), TARS_OK);
    assert_int_not_equal(access(queued, F_OK), 0);
    assert_int_not_equal(access(cancelled, F_OK), 0);
}

static void a_cancelled_job_ends_soon(void **state)
{
    struct world *world = *state;
    char path[FILES_PATH_MAX];
    struct tars_ingest_request request = {.path = path};
    size_t size = (size_t)4 << 20;
    char *text = malloc(size);
    struct tars_store_job job;
    int64_t id = 0;
    int64_t asked;

    assert_non_null(text);
    for (size_t i = 0; i < size; i++) {
        static const char letters[] = "abcdefghijklmnopqrstuvwxyz ";

        text[i] = letters[i % 7 == 6 ? 26 : i * 31 / 7 % 26];
    }
    files_write(world->docs, "large.txt", text, size, path);
    free(text);
    assert_int_equal(tars_ingest_submit(world->ingest, &request, 1, &id, NULL), TARS_OK);
    usleep(300000);
    asked = tars_clock_mono_ms();
    if (tars_ingest_cancel(world->ingest, id, NULL)) {
        assert_null(world->encoder); /* words only is too fast to be stopped */
        return;
    }
    assert_int_equal(tars_ingest_wait(world->ingest, id, WAIT_MS, &world->arena, &job, NULL),
                     TARS_OK);
    assert_int_equal(job.state, TARS_JOB_CANCELLED);
    assert_true(tars_clock_mono_ms() - asked < WAIT_MS);
    check_store(world);
}

/* However long the queue is, who waits needs the memory of one answer. */
static void waiting_takes_no_memory(void **state)
{
    struct world *world = *state;
    struct tars_ingest_request request = {.path = "/nonexistent/a.txt"};
    struct tars_store_job job;
    struct tars_arena arena;
    int64_t id = 0;

    tars_ingest_stop(world->ingest);
    tars_arena_init(&arena, 256);
    assert_int_equal(tars_ingest_submit(world->ingest, &request, 1, &id, NULL), TARS_OK);
    assert_int_equal(tars_ingest_wait(world->ingest, id, 1000, &arena, &job, NULL), TARS_ETIMEOUT);
    tars_arena_release(&arena);
}

static void wait_until_found(struct world *world, const char *word, size_t n)
{
    int64_t until = tars_clock_mono_ms() + WAIT_MS;

    while (found(world, word) != n) {
        if (tars_clock_mono_ms() > until)
            fail_msg("%s is not found %zu times", word, n);
        usleep(20000);
    }
}

static void a_watched_folder_is_followed(void **state)
{
    struct world *world = *state;
    struct tars_watch_config config = {
        .ingest = world->ingest, .path = world->docs, .quiet_ms = 100};
    struct tars_watch *watch = NULL;
    char from[FILES_PATH_MAX + 16];
    char to[FILES_PATH_MAX + 32];

    write_doc(world, "a.txt", "About the xylophone.\n");
    assert_int_equal(tars_watch_open(&config, &watch, NULL), TARS_OK);
    wait_until_found(world, "xylophon", 1);
    write_doc(world, "b.txt", "About the marimba.\n");
    wait_until_found(world, "marimba", 1);
    write_doc(world, "b.txt", "About the vibraphone.\n");
    wait_until_found(world, "marimba", 0);
    wait_until_found(world, "vibraphon", 1);

    (void)snprintf(to, sizeof(to), "%s/sub", world->docs);
    assert_int_equal(mkdir(to, 0700), 0);
    (void)snprintf(from, sizeof(from), "%s/a.txt", world->docs);
    (void)snprintf(to, sizeof(to), "%s/sub/a.txt", world->docs);
    assert_int_equal(rename(from, to), 0);
    usleep(800000);
    wait_until_found(world, "xylophon", 1);
    assert_int_equal(unlink(to), 0);
    wait_until_found(world, "xylophon", 0);
    assert_true(tars_watch_stats(watch).available);
    assert_true(tars_watch_stats(watch).files_detected >= 3);
    tars_watch_close(watch);
}

static void vectors_are_made_again_for_a_model(void **state)
{
    struct world *world = *state;
    struct tars_encoder *encoder = world->encoder;
    struct tars_err err = {.text = ""};
    struct tars_reembed_config config = {.encoder = encoder};
    struct tars_store_passages passages;

    if (!encoder)
        skip();
    close_all(world);
    world->encoder = NULL;
    open_all(world);
    write_doc(world, "a.txt", "About the xylophone.\n");
    take_tree(world, false);
    tars_ingest_close(world->ingest);
    world->ingest = NULL;
    world->encoder = encoder;
    assert_int_equal(open_ingest(world, &err), TARS_EMISMATCH);
    assert_non_null(strstr(err.text, "tars reindex"));
    config.store = world->store;
    config.chunk.wordpiece = tars_encoder_wordpiece(encoder);
    assert_int_equal(tars_ingest_reembed(&config, NULL), TARS_OK);
    assert_int_equal(tars_store_passage_range(world->store, 0, UINT64_MAX, 10, TARS_LOAD_VECTORS,
                                              &world->arena, &passages, NULL),
                     TARS_OK);
    assert_int_equal(passages.count, 1);
    assert_int_equal(passages.items[0].window_count, 1);
    close_all(world);
    {
        char path[FILES_PATH_MAX + 32];

        (void)snprintf(path, sizeof(path), "%s/index.tars", world->data);
        (void)unlink(path);
    }
    open_all(world);
    assert_int_equal(found(world, "xylophon"), 1);
}

/* What the caller's thread allocates, each time with another allocation failing. */
static void use_once(void *ctx)
{
    struct world *world = ctx;
    struct tars_ingest_tree tree = {.path = world->docs, .forget_missing = true};
    size_t submitted = 0;

    if (open_ingest(world, NULL)) {
        return;
    }
    (void)!tars_ingest_submit_tree(world->ingest, &tree, &submitted, NULL);
    (void)!tars_ingest_forget_path(world->ingest, NULL, "/nowhere", NULL, NULL, NULL);
    tars_ingest_close(world->ingest);
    world->ingest = NULL;
}

static void no_memory_is_survived(void **state)
{
    struct world *world = *state;

    write_doc(world, "a.txt", "About the xylophone.\n");
    write_doc(world, "b.txt", "About the marimba.\n");
    tars_ingest_close(world->ingest);
    assert_true(faults_each(use_once, world) > 5);
    assert_int_equal(open_ingest(world, NULL), TARS_OK);
    assert_int_equal(tars_ingest_start(world->ingest, NULL), TARS_OK);
    assert_int_equal(tars_ingest_wait_idle(world->ingest, WAIT_MS), TARS_OK);
    assert_int_equal(found(world, "xylophon"), 1);
    assert_int_equal(found(world, "marimba"), 1);
    check_store(world);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(files_become_searchable_once),
        ROW(a_changed_file_replaces_itself_and_a_gone_one_goes),
        ROW(lines_of_a_file_are_documents),
        ROW(forgotten_documents_are_not_found),
        ROW(an_index_that_is_behind_catches_up),
        ROW(a_start_that_is_stopped_goes_on_at_the_next),
        ROW(what_was_running_at_a_crash_is_taken_up),
        ROW(an_upload_is_taken_from_the_spool),
        ROW(the_spool_keeps_what_jobs_need),
        ROW(a_cancelled_job_ends_soon),
        ROW(waiting_takes_no_memory),
        ROW(a_watched_folder_is_followed),
        ROW(vectors_are_made_again_for_a_model),
        ROW(no_memory_is_survived),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    tars_encoder_close(find_encoder());
    return failed;
}
