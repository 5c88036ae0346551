/* Unit tests of retrieve/retrieve and retrieve/scope: a real store and a real index hold a handful
 * of passages; the encoder is the real one where its weights are there, and absent otherwise. */
#include <setjmp.h>
#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "index/index.h"
#include "model/encoder.h"
#include "retrieve/retrieve.h"
#include "retrieve/scope.h"
#include "store/store.h"
#include "store/store_sqlite.h"
#include "support/files.h"
#include "text/analyzer.h"

#define ARENA_BYTES ((size_t)64 << 20)
#define DIM_MAX     1024

static const struct {
    const char *path, *type, *metadata;
    int64_t pages;
    const char *passages[3];
} library[] = {
    {"/d/leave.pdf",
     "pdf",
     "{\"year\":2024,\"public\":true,\"author\":\"board\"}",
     3,
     {"Employees get 28 days of paid annual leave in a calendar year.",
      "Report sick before nine on the first day of absence.",
      "Parental leave lasts up to twelve months in three periods."}},
    {"/d/travel.md",
     "md",
     "",
     0,
     {"Hotel costs are paid up to 110 euros a night.",
      "Taxis are paid between ten in the evening and six in the morning.", NULL}},
    {"/e/fire.txt",
     "txt",
     "{\"year\":2020}",
     0,
     {"When you see a fire, press the nearest red button and leave the building.", NULL, NULL}},
};

static struct {
    char dir[FILES_PATH_MAX];
    struct tars_store *store;
    struct tars_index *index;
    struct tars_encoder *encoder; /* NULL: no weights on this machine */
    struct tars_analyzer *analyzer;
    struct tars_arena arena;
    struct tars_retriever *retriever;
    struct tars_call call;
} f;

static const struct tars_visible everything = {.all = true};

/* ------------------------------------------------------------------ fixture */

static void open_encoder(void)
{
    char path[FILES_PATH_MAX];
    const struct tars_encoder_config config = {.dir = path};

    if (files_model(path))
        assert_int_equal(tars_encoder_open(&config, &f.encoder, NULL), TARS_OK);
}

static void embed(const char *text, float *vector)
{
    struct tars_span span = tars_span_of(text);

    if (f.encoder) {
        assert_int_equal(tars_encoder_embed(f.encoder, TARS_EMBED_PASSAGE, &span, 1, vector, NULL),
                         TARS_OK);
    }
}

static void index_passage(const struct tars_store_passage *passage)
{
    struct tars_terms terms;
    struct tars_term_count *counts;
    struct tars_index_term made[64];
    size_t count;
    float vector[DIM_MAX];
    struct tars_index_passage add = {.id = passage->id,
                                     .terms = made,
                                     .vectors = f.encoder ? vector : NULL,
                                     .vector_count = f.encoder ? 1 : 0,
                                     .lang = TARS_LANG_ENGLISH};

    assert_int_equal(tars_analyze(f.analyzer, &f.arena, TARS_LANG_ENGLISH, passage->text,
                                  passage->text_len, &terms),
                     TARS_OK);
    assert_int_equal(tars_terms_tally(&f.arena, &terms, &counts, &count), TARS_OK);
    for (size_t i = 0; i < count; i++) {
        made[i] =
            (struct tars_index_term){counts[i].ptr, counts[i].len, counts[i].tf, TARS_INDEX_TEXT};
    }
    add.term_count = count;
    add.length = (uint32_t)terms.count;
    embed(passage->text, vector);
    assert_int_equal(tars_index_add(f.index, &add), TARS_OK);
}

static void put_document(size_t n)
{
    struct tars_store_passage passages[3] = {{0}};
    struct tars_store_file file = {.path = library[n].path, .sha256 = "00"};
    struct tars_store_document document = {.path = library[n].path,
                                           .file_name = strrchr(library[n].path, '/') + 1,
                                           .file_type = library[n].type,
                                           .metadata_json = library[n].metadata,
                                           .page_count = library[n].pages,
                                           .language = TARS_LANG_ENGLISH};
    struct tars_store_put put = {.document = &document, .passages = passages};
    struct tars_store_batch batch = {
        .file = &file, .puts = &put, .put_count = 1, .round = 1, .finish = true};
    struct tars_store_changes changes;
    struct tars_store_passages stored;

    for (; put.passage_count < 3 && library[n].passages[put.passage_count]; put.passage_count++) {
        passages[put.passage_count].text = library[n].passages[put.passage_count];
        passages[put.passage_count].text_len = strlen(passages[put.passage_count].text);
        passages[put.passage_count].kind = 1;
    }
    assert_int_equal(tars_store_put(f.store, &batch, &f.arena, &changes, NULL), TARS_OK);
    assert_int_equal(changes.count, 1);
    assert_int_equal(tars_store_passage_range(f.store, changes.items[0].first,
                                              changes.items[0].last, 10, TARS_LOAD_TEXT, &f.arena,
                                              &stored, NULL),
                     TARS_OK);
    for (size_t i = 0; i < stored.count; i++)
        index_passage(&stored.items[i]);
    tars_index_publish(f.index, changes.items[0].seq);
}

static int open_library(void **state)
{
    struct tars_store_sqlite_config store = {.dir = f.dir};
    struct tars_index_config index = {0};
    struct tars_retriever_config retriever = {.alpha = -1};

    (void)state;
    files_make_dir(f.dir);
    tars_arena_init(&f.arena, ARENA_BYTES);
    open_encoder();
    index.dim = f.encoder ? tars_encoder_info(f.encoder)->dim : 0;
    assert_int_equal(tars_store_sqlite_open(&store, &f.store, NULL), TARS_OK);
    assert_int_equal(tars_index_open(&index, &f.index, NULL), TARS_OK);
    assert_int_equal(tars_analyzer_new(&f.analyzer), TARS_OK);
    for (size_t i = 0; i < sizeof(library) / sizeof(library[0]); i++)
        put_document(i);
    retriever.store = f.store;
    retriever.index = f.index;
    retriever.encoder = f.encoder;
    assert_int_equal(tars_retriever_new(&retriever, &f.retriever), TARS_OK);
    f.call.arena = &f.arena;
    f.call.client_id = "test";
    f.call.visible = &everything;
    return 0;
}

static int close_library(void **state)
{
    (void)state;
    tars_retriever_free(f.retriever);
    tars_analyzer_free(f.analyzer);
    tars_index_close(f.index);
    tars_store_close(f.store);
    tars_encoder_close(f.encoder);
    tars_arena_release(&f.arena);
    files_remove_dir(f.dir);
    return 0;
}

static struct tars_retrieved search(const struct tars_retrieve_request *request)
{
    struct tars_retrieved result = {0};
    struct tars_err err = {""};
    tars_status status = tars_retrieve(f.retriever, request, &f.call, &result, &err);

    if (status != TARS_OK)
        fail_msg("%s: %s", tars_status_text(status), err.text);
    return result;
}

/* -------------------------------------------------------------------- tests */

static void the_right_passage_comes_first(void **state)
{
    static const struct {
        const char *query, *file, *word;
    } rows[] = {
        {"how many days of annual leave", "leave.pdf", "28"},
        {"hotel costs", "travel.md", "110"},
        {"what to do in case of fire", "fire.txt", "button"},
        {"parental leave", "leave.pdf", "Parental"},
    };

    (void)state;
    for (int mode = TARS_RETRIEVE_HYBRID; mode <= TARS_RETRIEVE_VECTORS; mode++) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            struct tars_retrieve_request request = {.query = tars_span_of(rows[i].query),
                                                    .mode = (enum tars_retrieve_mode)mode,
                                                    .threshold = -1};
            struct tars_retrieved got = search(&request);

            assert_true(got.count > 0);
            assert_string_equal(got.found[0].passage->document->file_name, rows[i].file);
            assert_non_null(strstr(got.found[0].passage->text, rows[i].word));
            assert_int_equal(got.index_seq, 3);
            assert_int_equal(got.degraded, !f.encoder && mode != TARS_RETRIEVE_WORDS);
        }
    }
}

static void scores_are_complete_and_ordered(void **state)
{
    struct tars_retrieve_request request = {.query = tars_span_of("annual leave of employees"),
                                            .threshold = -1};
    struct tars_retrieved got = search(&request);

    (void)state;
    for (size_t i = 0; i < got.count; i++) {
        const struct tars_found *found = &got.found[i];

        assert_true(i == 0 || found[0].fused <= got.found[i - 1].fused);
        assert_true(found->relevance > 0 && found->relevance < 1);
        assert_true(found->coverage >= 0 && found->coverage <= 1);
        assert_int_equal(isnan(found->vector_score), !f.encoder);
        assert_true(found->bm25_score >= 0);
    }
    assert_true(got.found[0].coverage > 0.99);
}

static void filters_narrow(void **state)
{
    static const struct {
        const char *filters;
        size_t want; /* passages that may be found by "leave fire hotel" */
    } rows[] = {
        {"{}", 4},
        {"{\"file_type\":\"pdf\"}", 2},
        {"{\"file_name\":{\"$in\":[\"travel.md\",\"fire.txt\"]}}", 2},
        {"{\"year\":{\"$gte\":2021}}", 2},
        {"{\"public\":true,\"author\":\"board\"}", 2},
        {"{\"page_count\":0,\"file_path\":\"/e/fire.txt\"}", 1},
        {"{\"language\":\"de\"}", 0},
        {"{\"indexed_at\":{\"$gt\":\"1969\"},\"modified_at\":{\"$lt\":\"9\"},\"created_at\":"
         "{\"$lt\":\"9\"}}",
         4},
        {"{\"file_size\":{\"$gt\":1},\"word_count\":0}", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_retrieve_request request = {.query = tars_span_of("leave fire hotel"),
                                                .filters_json = rows[i].filters,
                                                .mode = TARS_RETRIEVE_WORDS,
                                                .threshold = -1};
        struct tars_retrieved got = search(&request);

        if (got.count != rows[i].want)
            fail_msg("%s: %zu passages", rows[i].filters, got.count);
    }
}

static void one_passage_a_document_when_asked(void **state)
{
    struct tars_retrieve_request request = {.query =
                                                tars_span_of("leave days absence hotel taxis fire"),
                                            .distinct_documents = true,
                                            .top_k = 2,
                                            .threshold = -1};
    struct tars_retrieved got = search(&request);

    (void)state;
    assert_int_equal(got.count, 2);
    assert_string_not_equal(got.found[0].passage->document->document_id,
                            got.found[1].passage->document->document_id);
    request.top_k = 100;
    assert_int_equal(search(&request).count, 3);
}

static void threshold_keeps_only_the_relevant(void **state)
{
    struct tars_retrieve_request request = {
        .query = tars_span_of("paid annual leave days calendar year employees"), .threshold = 0};
    size_t all = search(&request).count;
    struct tars_retrieved got;

    (void)state;
    request.threshold = 0.7;
    got = search(&request);
    assert_true(got.count >= 1 && got.count < all);
    for (size_t i = 0; i < got.count; i++)
        assert_true(got.found[i].relevance >= 0.7);
    request.threshold = 1;
    assert_int_equal(search(&request).count, 0);
}

static void nothing_asked_nothing_found(void **state)
{
    struct tars_retrieve_request request = {.query = tars_span_of(" \n\t"), .threshold = -1};

    (void)state;
    assert_int_equal(search(&request).count, 0);
    request.query = tars_span_of("xyzzy");
    request.mode = TARS_RETRIEVE_WORDS;
    assert_int_equal(search(&request).count, 0);
}

static void bad_requests_are_named(void **state)
{
    struct tars_retrieve_request request = {.query = tars_span_of("x"), .top_k = 1001};
    struct tars_retrieved result;
    struct tars_err err = {""};

    (void)state;
    assert_int_equal(tars_retrieve(f.retriever, &request, &f.call, &result, &err), TARS_EINVAL);
    assert_non_null(strstr(err.text, "top_k"));
    request = (struct tars_retrieve_request){.query = tars_span_of("x"), .threshold = 1.5};
    assert_int_equal(tars_retrieve(f.retriever, &request, &f.call, &result, &err), TARS_EINVAL);
    assert_non_null(strstr(err.text, "threshold"));
    request = (struct tars_retrieve_request){.query = tars_span_of("x"), .filters_json = "[]"};
    assert_int_equal(tars_retrieve(f.retriever, &request, &f.call, &result, &err), TARS_EINVAL);
    assert_non_null(strstr(err.text, "filter"));
}

static void a_call_that_is_over_stops(void **state)
{
    struct tars_retrieve_request request = {.query = tars_span_of("leave"), .threshold = -1};
    struct tars_retrieved result;

    (void)state;
    atomic_store(&f.call.cancelled, true);
    assert_int_equal(tars_retrieve(f.retriever, &request, &f.call, &result, NULL), TARS_ECANCELED);
    atomic_store(&f.call.cancelled, false);
    f.call.deadline_ms = 1;
    assert_int_equal(tars_retrieve(f.retriever, &request, &f.call, &result, NULL), TARS_ETIMEOUT);
    f.call.deadline_ms = 0;
}

static void reciprocal_ranks_by_setting(void **state)
{
    struct tars_retriever_config config = {.store = f.store,
                                           .index = f.index,
                                           .encoder = f.encoder,
                                           .alpha = 0.5,
                                           .fusion = TARS_FUSION_RRF};
    struct tars_retrieve_request request = {.query = tars_span_of("hotel costs"), .threshold = -1};
    struct tars_retriever *retriever = NULL;
    struct tars_retrieved got;

    (void)state;
    assert_int_equal(tars_retriever_new(&config, &retriever), TARS_OK);
    assert_int_equal(tars_retrieve(retriever, &request, &f.call, &got, NULL), TARS_OK);
    assert_string_equal(got.found[0].passage->document->file_name, "travel.md");
    assert_string_equal(got.fusion_method, f.encoder ? "rrf" : "words");
    tars_retriever_free(retriever);
    config.alpha = 2;
    assert_int_equal(tars_retriever_new(&config, &retriever), TARS_EINVAL);
    tars_retriever_free(NULL);
}

/* What the store has no more, though the index still finds it, is not what others are measured by.
 * The last test: the library is smaller afterwards. */
static void what_is_gone_stands_beside_nothing(void **state)
{
    struct tars_retrieve_request request = {
        .query = tars_span_of("how many days of paid annual leave"), .threshold = -1};
    struct tars_store_changes changes;
    struct tars_retrieved late;
    struct tars_retrieved after;

    (void)state;
    assert_int_equal(
        tars_store_forget_file(f.store, NULL, library[0].path, &f.arena, &changes, NULL), TARS_OK);
    late = search(&request);
    for (size_t i = 0; i < changes.count; i++)
        tars_index_remove(f.index, changes.items[i].first, changes.items[i].last);
    tars_index_publish(f.index, changes.items[changes.count - 1].seq);
    after = search(&request);
    assert_true(after.count > 0);
    assert_int_equal(late.count, after.count);
    for (size_t i = 0; i < after.count; i++) {
        size_t same = 0;

        while (same < late.count && late.found[same].passage_id != after.found[i].passage_id)
            same++;
        assert_true(same < late.count);
        assert_true(late.found[same].relevance == after.found[i].relevance);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_right_passage_comes_first),
        cmocka_unit_test(scores_are_complete_and_ordered),
        cmocka_unit_test(filters_narrow),
        cmocka_unit_test(one_passage_a_document_when_asked),
        cmocka_unit_test(threshold_keeps_only_the_relevant),
        cmocka_unit_test(nothing_asked_nothing_found),
        cmocka_unit_test(bad_requests_are_named),
        cmocka_unit_test(a_call_that_is_over_stops),
        cmocka_unit_test(reciprocal_ranks_by_setting),
        cmocka_unit_test(what_is_gone_stands_beside_nothing),
    };

    return cmocka_run_group_tests(tests, open_library, close_library);
}
