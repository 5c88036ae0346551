/* The contract of store.h, for every back end: see world.h. */
#include "world.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "store/store.h"

#define DIM 4

/* ------------------------------------------------------------------ helpers */

static const float vectors[2 * DIM] = {1, 0, 0, 0, 0, 1, 0, 0};
static const struct tars_store_window windows[2] = {{0, 3}, {3, 4}};

/* n passages "<text> 0", "<text> 1", ... in arena. */
static struct tars_store_passage *passages_of(struct world *world, const char *text, size_t n)
{
    struct tars_store_passage *passages =
        tars_arena_calloc(&world->arena, n + 1, sizeof(*passages));

    for (size_t i = 0; i < n; i++) {
        passages[i].kind = 1;
        passages[i].language = 1;
        passages[i].section = "Leave > Sick";
        passages[i].page_first = (int)i + 1;
        passages[i].page_last = (int)i + 2;
        passages[i].char_start = i * 10;
        passages[i].char_end = i * 10 + 9;
        passages[i].token_count = 7;
        passages[i].text = tars_arena_printf(&world->arena, "%s %zu", text, i);
        passages[i].text_len = strlen(passages[i].text);
        passages[i].windows = windows;
        passages[i].vectors = vectors;
        passages[i].window_count = 2;
    }
    return passages;
}

struct put {
    const char *path;
    const char *external_id;
    const char *text;
    size_t n;
    int64_t round;
    bool finish;
    bool unchanged;
};

static tars_status put_one(struct world *world, struct put put, struct tars_store_changes *changes)
{
    struct tars_store_document document = {.path = put.path,
                                           .external_id = put.external_id,
                                           .file_name = "name.txt",
                                           .file_type = "txt",
                                           .title = "A title",
                                           .language = 1,
                                           .file_size = 100,
                                           .sha256 = put.text,
                                           .created_us = 1,
                                           .modified_us = 2,
                                           .indexed_us = 3,
                                           .page_count = 4,
                                           .word_count = 5,
                                           .char_count = 6,
                                           .metadata_json = "{\"a\":1}"};
    struct tars_store_file file = {
        .path = put.path, .sha256 = "f00d", .size = 100, .modified_us = 2, .indexed_us = 3};
    struct tars_store_put one = {.document = &document,
                                 .passages = passages_of(world, put.text, put.n),
                                 .passage_count = put.n,
                                 .unchanged = put.unchanged};
    struct tars_store_batch batch = {.file = &file,
                                     .puts = &one,
                                     .put_count = put.text[0] ? 1 : 0,
                                     .round = put.round,
                                     .finish = put.finish,
                                     .dim = DIM};

    return tars_store_put(world->store, &batch, &world->arena, changes, NULL);
}

static void put_ok(struct world *world, struct put put, struct tars_store_changes *changes)
{
    struct tars_store_changes ignored;

    assert_int_equal(put_one(world, put, changes ? changes : &ignored), TARS_OK);
    assert_int_equal(tars_store_check(world->store, NULL), TARS_OK);
}

static struct tars_store_stats stats_of(struct world *world)
{
    struct tars_store_stats stats;

    assert_int_equal(tars_store_stats(world->store, &stats, NULL), TARS_OK);
    return stats;
}

static size_t all_passages(struct world *world, unsigned load, struct tars_store_passages *out)
{
    assert_int_equal(
        tars_store_passage_range(world->store, 0, UINT64_MAX, 1000, load, &world->arena, out, NULL),
        TARS_OK);
    return out->count;
}

/* ---------------------------------------------------------------- documents */

static void ids_are_stable_and_distinct(void **state)
{
    char a[TARS_DOCUMENT_ID_BYTES];
    char b[TARS_DOCUMENT_ID_BYTES];

    (void)state;
    assert_int_equal(tars_document_id(NULL, "/a", NULL, a), TARS_OK);
    assert_int_equal(tars_document_id(TARS_COLLECTION, "/a", "", b), TARS_OK);
    assert_string_equal(a, b);
    assert_int_equal(strlen(a), 20);
    assert_memory_equal(a, "doc_", 4);
    assert_int_equal(tars_document_id(NULL, "/a", "x", b), TARS_OK);
    assert_string_not_equal(a, b);
    assert_int_equal(tars_document_id("other", "/a", NULL, b), TARS_OK);
    assert_string_not_equal(a, b);
}

static void a_document_comes_back_as_it_went_in(void **state)
{
    struct world *world = *state;
    struct tars_store_passages found;
    struct tars_store_document document;
    struct tars_store_changes changes;
    const struct tars_store_passage *second;

    put_ok(world, (struct put){"/d/a.txt", "", "text", 3, 1, true, false}, &changes);
    assert_int_equal(changes.count, 1);
    assert_int_equal(changes.items[0].op, TARS_CHANGE_ADD);
    assert_int_equal(changes.items[0].last - changes.items[0].first, 2);
    reopen(world);
    assert_int_equal(all_passages(world, TARS_LOAD_TEXT | TARS_LOAD_VECTORS, &found), 3);
    second = &found.items[1];
    assert_int_equal(second->id, changes.items[0].first + 1);
    assert_string_equal(second->text, "text 1");
    assert_int_equal(second->text_len, 6);
    assert_string_equal(second->section, "Leave > Sick");
    assert_int_equal(second->chunk_index, 1);
    assert_int_equal(second->page_first, 2);
    assert_int_equal(second->page_last, 3);
    assert_int_equal(second->char_start, 10);
    assert_int_equal(second->char_end, 19);
    assert_int_equal(second->token_count, 7);
    assert_int_equal(second->window_count, 2);
    assert_memory_equal(second->windows, windows, sizeof(windows));
    assert_memory_equal(second->vectors, vectors, sizeof(vectors));
    assert_ptr_equal(second->document, found.items[0].document);
    assert_string_equal(second->document->path, "/d/a.txt");
    assert_string_equal(second->document->metadata_json, "{\"a\":1}");
    assert_non_null(strstr(second->chunk_id, "_chunk_1"));
    assert_memory_equal(second->chunk_id, second->document->document_id, 20);

    assert_int_equal(tars_store_document(world->store, second->document->document_id, &world->arena,
                                         &document, NULL),
                     TARS_OK);
    assert_int_equal(document.chunk_count, 3);
    assert_int_equal(document.passage_first, changes.items[0].first);
    assert_string_equal(document.collection, TARS_COLLECTION);
    assert_string_equal(document.title, "A title");
    assert_int_equal(document.word_count, 5);
    assert_int_equal(tars_store_document(world->store, "doc_none", &world->arena, &document, NULL),
                     TARS_ENOTFOUND);
}

static void a_replaced_document_keeps_its_id_and_gets_new_passages(void **state)
{
    struct world *world = *state;
    struct tars_store_changes first;
    struct tars_store_changes second;
    struct tars_store_changes all;
    struct tars_store_passages found;

    put_ok(world, (struct put){"/a", "", "old", 3, 1, true, false}, &first);
    put_ok(world, (struct put){"/a", "", "new", 2, 2, true, false}, &second);
    assert_int_equal(second.count, 2);
    assert_int_equal(second.items[0].op, TARS_CHANGE_REMOVE);
    assert_int_equal(second.items[0].first, first.items[0].first);
    assert_int_equal(second.items[0].last, first.items[0].last);
    assert_int_equal(second.items[1].op, TARS_CHANGE_ADD);
    assert_true(second.items[1].first > first.items[0].last);
    assert_string_equal(second.items[1].document_id, first.items[0].document_id);
    assert_int_equal(all_passages(world, TARS_LOAD_TEXT, &found), 2);
    assert_string_equal(found.items[0].text, "new 0");
    assert_int_equal(stats_of(world).documents, 1);
    /* Who starts from nothing hears of the old passages only that they are gone. */
    assert_int_equal(tars_store_changes(world->store, 0, 100, &world->arena, &all, NULL), TARS_OK);
    assert_int_equal(all.count, 2);
    assert_int_equal(all.items[0].op, TARS_CHANGE_REMOVE);
    assert_int_equal(all.items[1].seq, stats_of(world).seq);
    assert_int_equal(
        tars_store_changes(world->store, all.items[1].seq, 100, &world->arena, &all, NULL),
        TARS_OK);
    assert_int_equal(all.count, 0);
}

static void a_file_of_many_documents_is_replaced_by_rounds(void **state)
{
    struct world *world = *state;
    struct tars_store_changes changes;
    struct tars_store_file file;
    struct tars_store_passages found;

    put_ok(world, (struct put){"/a.jsonl", "1", "one", 1, 1, false, false}, NULL);
    assert_int_equal(tars_store_file(world->store, NULL, "/a.jsonl", &world->arena, &file, NULL),
                     TARS_ENOTFOUND);
    put_ok(world, (struct put){"/a.jsonl", "2", "two", 2, 1, false, false}, NULL);
    put_ok(world, (struct put){"/a.jsonl", "3", "three", 1, 1, true, false}, NULL);
    assert_int_equal(tars_store_file(world->store, NULL, "/a.jsonl", &world->arena, &file, NULL),
                     TARS_OK);
    assert_string_equal(file.sha256, "f00d");
    assert_int_equal(file.document_count, 3);
    assert_int_equal(file.chunk_count, 4);

    /* The second round keeps 1, changes 3, and does not have 2 any more. */
    put_ok(world, (struct put){"/a.jsonl", "1", "one", 0, 2, false, true}, &changes);
    assert_int_equal(changes.count, 0);
    assert_int_equal(tars_store_file(world->store, NULL, "/a.jsonl", &world->arena, &file, NULL),
                     TARS_OK);
    assert_string_equal(file.sha256, "");
    put_ok(world, (struct put){"/a.jsonl", "3", "drei", 1, 2, true, false}, &changes);
    assert_int_equal(changes.count, 3);
    assert_int_equal(changes.items[2].op, TARS_CHANGE_REMOVE);
    assert_int_equal(changes.items[2].last - changes.items[2].first, 1);
    assert_int_equal(all_passages(world, TARS_LOAD_TEXT, &found), 2);
    assert_string_equal(found.items[0].text, "one 0");
    assert_string_equal(found.items[1].text, "drei 0");
}

static void bad_batches_change_nothing(void **state)
{
    struct world *world = *state;
    struct tars_store_changes changes;

    put_ok(world, (struct put){"/a", "", "text", 2, 1, true, false}, NULL);
    assert_int_equal(put_one(world, (struct put){"", "", "text", 1, 1, true, false}, &changes),
                     TARS_EINVAL);
    assert_int_equal(put_one(world, (struct put){"/b", "9", "text", 1, 1, true, true}, &changes),
                     TARS_EINVAL);
    assert_int_equal(stats_of(world).files, 1);
    assert_int_equal(stats_of(world).passages, 2);
    assert_int_equal(tars_store_check(world->store, NULL), TARS_OK);
}

static void forgetting_removes_all_of_it(void **state)
{
    struct world *world = *state;
    struct tars_store_changes changes;
    struct tars_store_file file;
    char id[TARS_DOCUMENT_ID_BYTES];

    put_ok(world, (struct put){"/a", "1", "one", 2, 1, false, false}, NULL);
    put_ok(world, (struct put){"/a", "2", "two", 1, 1, true, false}, NULL);
    put_ok(world, (struct put){"/b", "", "three", 1, 1, true, false}, NULL);
    assert_int_equal(tars_document_id(NULL, "/a", "1", id), TARS_OK);
    assert_int_equal(tars_store_forget_document(world->store, id, &world->arena, &changes, NULL),
                     TARS_OK);
    assert_int_equal(changes.count, 1);
    assert_int_equal(tars_store_forget_document(world->store, id, &world->arena, &changes, NULL),
                     TARS_ENOTFOUND);
    /* The file is not what it was, so that it is read when it comes again. */
    assert_int_equal(tars_store_file(world->store, NULL, "/a", &world->arena, &file, NULL),
                     TARS_OK);
    assert_string_equal(file.sha256, "");
    assert_int_equal(
        tars_store_forget_file(world->store, NULL, "/a", &world->arena, &changes, NULL), TARS_OK);
    assert_int_equal(changes.count, 1);
    assert_int_equal(
        tars_store_forget_file(world->store, NULL, "/a", &world->arena, &changes, NULL),
        TARS_ENOTFOUND);
    assert_int_equal(stats_of(world).files, 1);
    assert_int_equal(stats_of(world).documents, 1);
    assert_int_equal(stats_of(world).passages, 1);
    assert_int_equal(tars_store_check(world->store, NULL), TARS_OK);
}

static void passages_come_in_the_order_asked_for(void **state)
{
    struct world *world = *state;
    struct tars_store_changes changes;
    struct tars_store_passages found;
    uint64_t ids[4];

    put_ok(world, (struct put){"/a", "", "a", 2, 1, true, false}, &changes);
    ids[2] = changes.items[0].first;
    ids[3] = 999999;
    put_ok(world, (struct put){"/b", "", "b", 2, 1, true, false}, &changes);
    ids[0] = changes.items[0].last;
    ids[1] = changes.items[0].first;
    assert_int_equal(
        tars_store_passages(world->store, ids, 4, TARS_LOAD_TEXT, &world->arena, &found, NULL),
        TARS_OK);
    assert_int_equal(found.count, 3);
    assert_string_equal(found.items[0].text, "b 1");
    assert_string_equal(found.items[1].text, "b 0");
    assert_string_equal(found.items[2].text, "a 0");
    assert_null(found.items[0].vectors);
}

struct listed {
    size_t count;
    size_t stop_after;
    char paths[8][32];
};

static bool list_document(void *ctx, const struct tars_store_document *document)
{
    struct listed *listed = ctx;

    (void)snprintf(listed->paths[listed->count++], 32, "%s", document->path);
    return listed->count != listed->stop_after;
}

static void lists_filter(void **state)
{
    struct world *world = *state;
    static const char *const paths[] = {"/d/a", "/d/sub/b", "/d2/c", "/d", "/x_%"};
    const struct {
        struct tars_store_document_filter filter;
        size_t stop_after;
        size_t count;
    } rows[] = {
        {{0}, 0, 5},
        {{0}, 2, 2},
        {{.path = "/d/a"}, 0, 1},
        {{.under = "/d"}, 0, 3},
        {{.under = "/d/"}, 0, 3},
        {{.under = "/"}, 0, 5},
        {{.under = "/d/sub"}, 0, 1},
        {{.under = "/x_%"}, 0, 1},
        {{.collection = "other"}, 0, 0},
        {{.collection = TARS_COLLECTION}, 0, 5},
        {{.sha256 = "two"}, 0, 0},
        {{.sha256 = "text"}, 0, 5},
        {{.limit = 2}, 0, 2},
        {{.limit = 2, .offset = 4}, 0, 1},
    };
    struct tars_store_file *files;
    size_t n;

    for (size_t i = 0; i < 5; i++)
        put_ok(world, (struct put){paths[i], "", "text", 1, 1, true, false}, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct listed listed = {.stop_after = rows[i].stop_after};

        assert_int_equal(
            tars_store_documents(world->store, &rows[i].filter, list_document, &listed, NULL),
            TARS_OK);
        assert_int_equal(listed.count, rows[i].count);
    }
    assert_int_equal(tars_store_files(world->store, NULL, "/d", &world->arena, &files, &n, NULL),
                     TARS_OK);
    assert_int_equal(n, 3);
    assert_string_equal(files[0].path, "/d");
    assert_int_equal(tars_store_files(world->store, NULL, NULL, &world->arena, &files, &n, NULL),
                     TARS_OK);
    assert_int_equal(n, 5);
}

/* ----------------------------------------------------------------- settings */

static void settings_last(void **state)
{
    struct world *world = *state;
    const char *value;

    assert_int_equal(tars_store_meta_get(world->store, "x.y", &world->arena, &value, NULL),
                     TARS_ENOTFOUND);
    assert_int_equal(tars_store_meta_set(world->store, "x.y", "1", NULL), TARS_OK);
    assert_int_equal(tars_store_meta_set(world->store, "x.y", "2", NULL), TARS_OK);
    reopen(world);
    assert_int_equal(tars_store_meta_get(world->store, "x.y", &world->arena, &value, NULL),
                     TARS_OK);
    assert_string_equal(value, "2");
    assert_int_equal(tars_store_meta_set(world->store, "x.y", NULL, NULL), TARS_OK);
    assert_int_equal(tars_store_meta_get(world->store, "x.y", &world->arena, &value, NULL),
                     TARS_ENOTFOUND);
}

static void another_model_is_refused_until_all_is_embedded_again(void **state)
{
    struct world *world = *state;
    struct tars_store_model a = {.identity = "aaaa", .name = "model-a", .dim = DIM};
    struct tars_store_model b = {.identity = "bbbb", .name = "model-b", .dim = 2};
    struct tars_store_model held;
    struct tars_store_passages found;
    struct tars_err err = {.text = ""};
    static const float other[2] = {0, 1};

    assert_int_equal(tars_store_model_claim(world->store, &b, NULL), TARS_OK);
    assert_int_equal(tars_store_model_claim(world->store, &a, NULL), TARS_OK);
    put_ok(world, (struct put){"/a", "", "text", 2, 1, true, false}, NULL);
    assert_int_equal(tars_store_model_claim(world->store, &a, NULL), TARS_OK);
    assert_int_equal(tars_store_model_claim(world->store, &b, &err), TARS_EMISMATCH);
    assert_non_null(strstr(err.text, "tars reindex"));
    assert_non_null(strstr(err.text, "model-a"));

    assert_int_equal(tars_store_revector_swap(world->store, &b, NULL), TARS_EAGAIN);
    assert_int_equal(tars_store_revector_pending(world->store, 0, 1, &world->arena, &found, NULL),
                     TARS_OK);
    assert_int_equal(found.count, 1);
    assert_string_equal(found.items[0].text, "text 0");
    found.items[0].windows = windows;
    found.items[0].window_count = 1;
    found.items[0].vectors = other;
    assert_int_equal(tars_store_revector(world->store, found.items, 1, 2, NULL), TARS_OK);
    assert_int_equal(tars_store_revector_swap(world->store, &b, NULL), TARS_EAGAIN);
    reopen(world);
    assert_int_equal(tars_store_revector_pending(world->store, 0, 9, &world->arena, &found, NULL),
                     TARS_OK);
    assert_int_equal(found.count, 1);
    found.items[0].windows = windows;
    found.items[0].window_count = 1;
    found.items[0].vectors = other;
    assert_int_equal(tars_store_revector(world->store, found.items, 1, 2, NULL), TARS_OK);
    assert_int_equal(tars_store_revector_swap(world->store, &b, NULL), TARS_OK);
    assert_int_equal(tars_store_model(world->store, &held, NULL), TARS_OK);
    assert_string_equal(held.identity, "bbbb");
    assert_int_equal(held.dim, 2);
    assert_int_equal(all_passages(world, TARS_LOAD_VECTORS, &found), 2);
    assert_int_equal(found.items[1].window_count, 1);
    assert_memory_equal(found.items[1].vectors, other, sizeof(other));
    assert_int_equal(tars_store_revector_drop(world->store, NULL), TARS_OK);
    put_ok(world, (struct put){"/b", "", "more", 1, 1, true, false}, NULL);
}

/* --------------------------------------------------------------------- jobs */

static void jobs_run_through_their_states(void **state)
{
    struct world *world = *state;
    struct tars_store_job jobs[3] = {
        {.kind = "ingest", .path = "/a", .created_us = 5, .not_before_us = 100},
        {.kind = "ingest", .path = "/b", .spool = "/spool/b", .force = true},
        {.kind = "ingest", .path = "/c", .collection = "other"}};
    struct tars_store_job job;
    size_t resumed = 0;

    assert_int_equal(tars_store_jobs_add(world->store, jobs, 3, NULL), TARS_OK);
    assert_true(jobs[0].id < jobs[1].id && jobs[1].id < jobs[2].id);
    assert_int_equal(tars_store_job_claim(world->store, 50, &world->arena, &job, NULL), TARS_OK);
    assert_string_equal(job.path, "/b");
    assert_string_equal(job.spool, "/spool/b");
    assert_true(job.force);
    assert_int_equal(job.attempts, 1);
    assert_int_equal(job.state, TARS_JOB_RUNNING);

    job.stage = "embedding";
    job.progress = 0.5;
    assert_int_equal(tars_store_job_update(world->store, &job, NULL), TARS_OK);
    assert_int_equal(tars_store_job_cancel(world->store, job.id, 60, NULL), TARS_OK);
    assert_int_equal(tars_store_job(world->store, jobs[1].id, &world->arena, &job, NULL), TARS_OK);
    assert_true(job.cancel_wanted);
    assert_string_equal(job.stage, "embedding");
    assert_true(job.progress > 0.4 && job.progress < 0.6);

    reopen(world);
    assert_int_equal(tars_store_jobs_resume(world->store, &resumed, NULL), TARS_OK);
    assert_int_equal(resumed, 1);
    assert_int_equal(tars_store_job_claim(world->store, 200, &world->arena, &job, NULL), TARS_OK);
    assert_string_equal(job.path, "/a");
    job.state = TARS_JOB_FAILED;
    job.error = "no text layer";
    job.result = "failed";
    job.finished_us = 300;
    assert_int_equal(tars_store_job_update(world->store, &job, NULL), TARS_OK);
    assert_int_equal(stats_of(world).jobs_failed, 1);
    assert_int_equal(tars_store_job_cancel(world->store, job.id, 1, NULL), TARS_EINVAL);
    assert_int_equal(tars_store_job_retry(world->store, jobs[2].id, 1, NULL), TARS_EINVAL);
    assert_int_equal(tars_store_job_retry(world->store, job.id, 1, NULL), TARS_OK);
    assert_int_equal(tars_store_job_retry(world->store, 4242, 1, NULL), TARS_ENOTFOUND);
}

static void a_running_job_is_released_and_no_other(void **state)
{
    struct world *world = *state;
    struct tars_store_job jobs[2] = {{.kind = "ingest", .path = "/a"},
                                     {.kind = "ingest", .path = "/b"}};
    struct tars_store_job job;

    assert_int_equal(tars_store_jobs_add(world->store, jobs, 2, NULL), TARS_OK);
    assert_int_equal(tars_store_job_claim(world->store, 1, &world->arena, &job, NULL), TARS_OK);
    assert_int_equal(tars_store_job_release(world->store, jobs[0].id, NULL), TARS_OK);
    assert_int_equal(tars_store_job(world->store, jobs[0].id, &world->arena, &job, NULL), TARS_OK);
    assert_int_equal(job.state, TARS_JOB_QUEUED);
    assert_int_equal(tars_store_job_claim(world->store, 1, &world->arena, &job, NULL), TARS_OK);
    assert_int_equal(job.id, jobs[0].id);
    assert_int_equal(job.attempts, 2);
    job.state = TARS_JOB_DONE;
    assert_int_equal(tars_store_job_update(world->store, &job, NULL), TARS_OK);
    for (int i = 0; i < 2; i++)
        assert_int_equal(tars_store_job_release(world->store, jobs[i].id, NULL), TARS_OK);
    assert_int_equal(tars_store_job(world->store, jobs[0].id, &world->arena, &job, NULL), TARS_OK);
    assert_int_equal(job.state, TARS_JOB_DONE);
}

static void jobs_are_listed_cancelled_and_pruned(void **state)
{
    struct world *world = *state;
    struct tars_store_job jobs[3] = {{.kind = "ingest", .path = "/a"},
                                     {.kind = "ingest", .path = "/b"},
                                     {.kind = "ingest", .path = "/c", .collection = "other"}};
    struct tars_store_job job;
    struct tars_store_jobs list;

    assert_int_equal(tars_store_jobs_add(world->store, jobs, 3, NULL), TARS_OK);
    assert_int_equal(tars_store_job_cancel(world->store, jobs[2].id, 7, NULL), TARS_OK);
    assert_int_equal(tars_store_job(world->store, jobs[2].id, &world->arena, &job, NULL), TARS_OK);
    assert_int_equal(job.state, TARS_JOB_CANCELLED);
    assert_string_equal(job.collection, "other");
    assert_int_equal(job.finished_us, 7);
    assert_string_equal(tars_job_state_text(job.state), "cancelled");

    assert_int_equal(tars_store_jobs(world->store, 0, 0, 10, &world->arena, &list, NULL), TARS_OK);
    assert_int_equal(list.count, 3);
    assert_int_equal(list.items[0].id, jobs[2].id);
    assert_int_equal(
        tars_store_jobs(world->store, TARS_JOB_QUEUED, jobs[1].id, 10, &world->arena, &list, NULL),
        TARS_OK);
    assert_int_equal(list.count, 1);
    assert_int_equal(tars_store_jobs_prune(world->store, 0, NULL), TARS_OK);
    assert_int_equal(tars_store_jobs(world->store, 0, 0, 10, &world->arena, &list, NULL), TARS_OK);
    assert_int_equal(list.count, 2);
    assert_int_equal(tars_store_job(world->store, 4242, &world->arena, &job, NULL), TARS_ENOTFOUND);
}

/* ------------------------------------------------------------------- upkeep */

static void a_backup_is_whole_and_never_overwrites(void **state)
{
    struct world *world = *state;
    char other[FILES_PATH_MAX];
    char path[FILES_PATH_MAX + 16];
    struct tars_store *copy;
    struct tars_store_stats stats;

    put_ok(world, (struct put){"/a", "", "text", 5, 1, true, false}, NULL);
    if (back_ends[back_end].is_server) { /* the server's own affair */
        assert_int_equal(tars_store_backup(world->store, "/nowhere", NULL), TARS_EUNSUPPORTED);
        return;
    }
    files_make_dir(other);
    (void)snprintf(path, sizeof(path), "%s/tars.db", other);
    assert_int_equal(tars_store_backup(world->store, path, NULL), TARS_OK);
    assert_int_equal(tars_store_backup(world->store, path, NULL), TARS_EEXIST);
    copy = open_store(other);
    assert_int_equal(tars_store_stats(copy, &stats, NULL), TARS_OK);
    assert_int_equal(stats.passages, 5);
    assert_int_equal(tars_store_check(copy, NULL), TARS_OK);
    tars_store_close(copy);
    files_remove_dir(other);
}

static void checkpoints_lose_nothing(void **state)
{
    struct world *world = *state;
    struct tars_store_passages found;

    for (int i = 0; i < 40; i++) {
        struct tars_store_changes changes;

        assert_int_equal(
            put_one(world, (struct put){"/a", "", "text", 200, i + 1, true, false}, &changes),
            TARS_OK);
        assert_int_equal(tars_store_checkpoint(world->store, NULL), TARS_OK);
        tars_arena_clear(&world->arena);
    }
    assert_int_equal(tars_store_check(world->store, NULL), TARS_OK);
    assert_int_equal(all_passages(world, 0, &found), 200);
}

struct reading {
    struct tars_store *store;
    bool torn;
};

/* A document is seen whole or not at all. */
static void *read_on(void *ctx)
{
    struct reading *reading = ctx;
    struct tars_arena arena;

    tars_arena_init(&arena, (size_t)16 << 20);
    for (int i = 0; i < 200; i++) {
        struct tars_store_passages found = {0};

        tars_arena_clear(&arena);
        if (tars_store_passage_range(reading->store, 0, UINT64_MAX, 1000, TARS_LOAD_TEXT, &arena,
                                     &found, NULL) ||
            (found.count != 0 && found.count != 20))
            reading->torn = true;
    }
    tars_arena_release(&arena);
    return NULL;
}

static void readers_see_whole_documents(void **state)
{
    struct world *world = *state;
    struct reading readings[6];
    pthread_t threads[6];

    for (size_t i = 0; i < 6; i++) {
        readings[i] = (struct reading){world->store, false};
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readings[i]), 0);
    }
    for (int i = 0; i < 30; i++) {
        struct tars_store_changes changes;

        assert_int_equal(
            put_one(world, (struct put){"/a", "", "text", 20, i + 1, true, false}, &changes),
            TARS_OK);
    }
    for (size_t i = 0; i < 6; i++) {
        pthread_join(threads[i], NULL);
        assert_false(readings[i].torn);
    }
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

static tars_status claim(struct world *world, int64_t now_us, struct tars_store_job *job)
{
    return tars_store_job_claim(world->store, now_us, &world->arena, job, NULL);
}

/* What was uploaded last is what stays, also when the one before is tried again. */
static void jobs_of_a_file_keep_their_order(void **state)
{
    struct world *world = *state;
    struct tars_store_job jobs[] = {{.kind = "ingest", .path = "/a"},
                                    {.kind = "ingest", .path = "/a"},
                                    {.kind = "ingest", .path = "/b"},
                                    {.kind = "ingest", .path = "/a", .collection = "other"}};
    struct tars_store_job first;
    struct tars_store_job job;

    assert_int_equal(tars_store_jobs_add(world->store, jobs, 4, NULL), TARS_OK);
    assert_int_equal(claim(world, 10, &first), TARS_OK);
    assert_int_equal(first.id, jobs[0].id);
    assert_int_equal(claim(world, 10, &job), TARS_OK);
    assert_int_equal(job.id, jobs[2].id); /* of another file */
    assert_int_equal(claim(world, 10, &job), TARS_OK);
    assert_int_equal(job.id, jobs[3].id); /* of another collection */
    assert_int_equal(claim(world, 10, &job), TARS_ENOTFOUND);
    /* It is to be tried again. */
    first.state = TARS_JOB_QUEUED;
    first.not_before_us = 100;
    assert_int_equal(tars_store_job_update(world->store, &first, NULL), TARS_OK);
    assert_int_equal(claim(world, 99, &job), TARS_ENOTFOUND);
    assert_int_equal(claim(world, 100, &first), TARS_OK);
    assert_int_equal(first.id, jobs[0].id);
    first.state = TARS_JOB_DONE;
    assert_int_equal(tars_store_job_update(world->store, &first, NULL), TARS_OK);
    assert_int_equal(claim(world, 100, &job), TARS_OK);
    assert_int_equal(job.id, jobs[1].id);
    assert_int_equal(claim(world, 100, &job), TARS_ENOTFOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_are_stable_and_distinct),
        ROW(a_document_comes_back_as_it_went_in),
        ROW(a_replaced_document_keeps_its_id_and_gets_new_passages),
        ROW(a_file_of_many_documents_is_replaced_by_rounds),
        ROW(bad_batches_change_nothing),
        ROW(forgetting_removes_all_of_it),
        ROW(passages_come_in_the_order_asked_for),
        ROW(lists_filter),
        ROW(settings_last),
        ROW(another_model_is_refused_until_all_is_embedded_again),
        ROW(jobs_run_through_their_states),
        ROW(a_running_job_is_released_and_no_other),
        ROW(jobs_are_listed_cancelled_and_pruned),
        ROW(jobs_of_a_file_keep_their_order),
        ROW(a_backup_is_whole_and_never_overwrites),
        ROW(checkpoints_lose_nothing),
        ROW(readers_see_whole_documents),
    };

    return run_each(tests, sizeof(tests) / sizeof(tests[0]));
}
