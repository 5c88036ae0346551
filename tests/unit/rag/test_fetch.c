/* Unit tests of rag/fetch: a real retriever over a real store and a real index, up to an answer
 * with its citation. The encoder takes part where its weights are on this machine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "index/index.h"
#include "llm/llm_extract.h"
#include "model/encoder.h"
#include "rag/fetch.h"
#include "retrieve/retrieve.h"
#include "store/store.h"
#include "store/store_sqlite.h"
#include "support/files.h"
#include "text/analyzer.h"

#define ARENA_BYTES ((size_t)64 << 20)
#define DIM_MAX     1024

static const struct {
    const char *path, *type, *title, *section, *text;
    int page_first, page_last;
} library[] = {
    {"/d/leave.pdf", "pdf", "Handbook", "Leave > Annual leave",
     "Employees get 28 days of paid annual leave in a calendar year.", 2, 3},
    {"/d/travel.md", "md", "", "", "Hotel costs are paid up to 110 euros a night.", 0, 0},
    {"/e/fire.txt", "txt", "", "", "When you see a fire, press the nearest red button.", 0, 0},
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

static void index_passage(const struct tars_store_passage *passage)
{
    const struct tars_span text = tars_span(passage->text, passage->text_len);
    struct tars_index_term terms[64];
    struct tars_term_count *counts;
    struct tars_terms found;
    float vector[DIM_MAX];
    struct tars_index_passage add = {.id = passage->id,
                                     .terms = terms,
                                     .vectors = f.encoder ? vector : NULL,
                                     .vector_count = f.encoder ? 1 : 0,
                                     .lang = TARS_LANG_ENGLISH};

    assert_int_equal(
        tars_analyze(f.analyzer, &f.arena, TARS_LANG_ENGLISH, text.ptr, text.len, &found), TARS_OK);
    assert_int_equal(tars_terms_tally(&f.arena, &found, &counts, &add.term_count), TARS_OK);
    for (size_t i = 0; i < add.term_count; i++) {
        terms[i] =
            (struct tars_index_term){counts[i].ptr, counts[i].len, counts[i].tf, TARS_INDEX_TEXT};
    }
    add.length = (uint32_t)found.count;
    if (f.encoder) {
        assert_int_equal(tars_encoder_embed(f.encoder, TARS_EMBED_PASSAGE, &text, 1, vector, NULL),
                         TARS_OK);
    }
    assert_int_equal(tars_index_add(f.index, &add), TARS_OK);
}

static void put_document(size_t n)
{
    struct tars_store_passage passage = {.text = library[n].text,
                                         .text_len = strlen(library[n].text),
                                         .section = library[n].section,
                                         .page_first = library[n].page_first,
                                         .page_last = library[n].page_last,
                                         .char_start = 100,
                                         .char_end = 100 + strlen(library[n].text),
                                         .token_count = 12,
                                         .kind = 1};
    struct tars_store_file file = {.path = library[n].path, .sha256 = "00"};
    struct tars_store_document document = {.path = library[n].path,
                                           .file_name = strrchr(library[n].path, '/') + 1,
                                           .file_type = library[n].type,
                                           .title = library[n].title,
                                           .metadata_json = "",
                                           .language = TARS_LANG_ENGLISH};
    struct tars_store_put put = {.document = &document, .passages = &passage, .passage_count = 1};
    struct tars_store_batch batch = {
        .file = &file, .puts = &put, .put_count = 1, .round = 1, .finish = true};
    struct tars_store_changes changes;
    struct tars_store_passages stored;

    assert_int_equal(tars_store_put(f.store, &batch, &f.arena, &changes, NULL), TARS_OK);
    assert_int_equal(tars_store_passage_range(f.store, changes.items[0].first,
                                              changes.items[0].last, 10, TARS_LOAD_TEXT, &f.arena,
                                              &stored, NULL),
                     TARS_OK);
    assert_int_equal(stored.count, 1);
    index_passage(&stored.items[0]);
    tars_index_publish(f.index, changes.items[0].seq);
}

static int open_library(void **state)
{
    const struct tars_store_sqlite_config store = {.dir = f.dir};
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

/* -------------------------------------------------------------------- tests */

static void a_source_is_the_passage_with_its_place(void **state)
{
    const struct tars_rag_request request = {
        .query = "How many days of annual leave?", .relevance_threshold = -1, .top_k = 3};
    struct tars_rag_fetched found = {.count = 0};
    const struct tars_rag_source *sources;
    size_t count;

    (void)state;
    assert_int_equal(tars_rag_fetch(f.retriever, &request, &f.call, &found, NULL), TARS_OK);
    sources = found.sources;
    count = found.count;
    assert_true(count >= 1 && count <= 3);
    assert_string_equal(sources[0].file_name, "leave.pdf");
    assert_string_equal(sources[0].file_path, "/d/leave.pdf");
    assert_string_equal(sources[0].title, "Handbook");
    assert_string_equal(sources[0].section, "Leave > Annual leave");
    assert_int_equal(strncmp(sources[0].document_id, "doc_", 4), 0);
    assert_int_equal(
        strncmp(sources[0].chunk_id, sources[0].document_id, strlen(sources[0].document_id)), 0);
    assert_int_equal(sources[0].chunk_index, 0);
    assert_int_equal(sources[0].page_number, 2);
    assert_int_equal(sources[0].page_last, 3);
    assert_int_equal(sources[0].char_start, 100);
    assert_int_equal(sources[0].char_end, 100 + strlen(library[0].text));
    assert_int_equal(sources[0].token_count, 12);
    assert_true(tars_span_is(sources[0].text, library[0].text));
    assert_true(sources[0].similarity_score > 0 && sources[0].similarity_score <= 1);
    assert_true(sources[0].has_bm25 && sources[0].bm25_score > 0);
    assert_int_equal(sources[0].has_vector, f.encoder != NULL);
    assert_int_equal(sources[0].hybrid, f.encoder != NULL);
    assert_false(sources[0].reranked);
}

static void what_is_asked_for_reaches_the_retriever(void **state)
{
    static const struct {
        const char *name, *filters;
        double threshold;
        size_t least, most;
        int top_k;
        tars_status want;
    } rows[] = {
        {"top_k", NULL, -1, 1, 1, 1, TARS_OK},
        {"a threshold that nothing reaches", NULL, 1, 0, 0, 5, TARS_OK},
        {"a filter that one passes", "{\"file_type\":\"md\"}", -1, 0, 1, 5, TARS_OK},
        {"a filter that none passes", "{\"file_type\":\"docx\"}", -1, 0, 0, 5, TARS_OK},
        {"a filter that is none", "{\"year\":{\"$near\":3}}", -1, 0, 0, 5, TARS_EINVAL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct tars_rag_request request = {.query = "annual leave",
                                                 .relevance_threshold = rows[i].threshold,
                                                 .filters_json = rows[i].filters,
                                                 .top_k = rows[i].top_k};
        struct tars_rag_fetched found = {.count = 0};
        struct tars_err err = {""};

        print_message("  %s\n", rows[i].name);
        assert_int_equal(tars_rag_fetch(f.retriever, &request, &f.call, &found, &err),
                         rows[i].want);
        assert_true(found.count >= rows[i].least && found.count <= rows[i].most);
        assert_int_equal(err.text[0] != '\0', rows[i].want != TARS_OK);
    }
}

/* Where nothing passes, the words that nothing holds, or the nearest passage. */
static void why_nothing_is_found_is_told(void **state)
{
    static const struct tars_visible nobody = {.all = false};
    struct tars_rag_request request = {
        .query = "Who flies the zeppelin to the hotel?", .relevance_threshold = 1, .top_k = 3};
    struct tars_rag_fetched found = {.count = 0};
    struct tars_call call = f.call;

    (void)state;
    assert_int_equal(tars_rag_fetch(f.retriever, &request, &call, &found, NULL), TARS_OK);
    assert_int_equal(found.count, 0);
    assert_true(found.absence.searched && !found.absence.narrowed);
    assert_int_equal(found.absence.missing_count, 2);
    assert_string_equal(found.absence.missing[0], "flies");
    assert_string_equal(found.absence.missing[1], "zeppelin");
    assert_string_equal(found.absence.nearest_file, "travel.md");
    assert_true(found.absence.relevance < 1);
    request.query = "the nearest hotel";
    request.filters_json = "{\"file_type\":\"md\"}";
    assert_int_equal(tars_rag_fetch(f.retriever, &request, &call, &found, NULL), TARS_OK);
    assert_int_equal(found.absence.missing_count, 1); /* another document has it */
    assert_true(found.absence.narrowed);
    call.visible = &nobody;
    assert_int_equal(tars_rag_fetch(f.retriever, &request, &call, &found, NULL), TARS_OK);
    assert_false(found.absence.searched);
    assert_null(found.absence.nearest_file);
    request.query = "\"annual hotel\" costs";
    request.filters_json = NULL;
    request.relevance_threshold = -1;
    assert_int_equal(tars_rag_fetch(f.retriever, &request, &f.call, &found, NULL), TARS_OK);
    assert_string_equal(found.unmet, "annual hotel");
    assert_true(found.count > 0);
}

static void an_answer_stands_on_what_was_found(void **state)
{
    struct tars_llm *quoter = NULL;
    struct tars_rag *rag = NULL;
    struct tars_rag_config config = {.fetch = tars_rag_fetch, .fetch_ctx = f.retriever};
    const struct tars_rag_request request = {.query = "How many days of annual leave?",
                                             .relevance_threshold = -1};
    struct tars_rag_answer answer;

    (void)state;
    assert_int_equal(tars_llm_extract_open(&quoter, NULL), TARS_OK);
    config.quoter = quoter;
    assert_int_equal(tars_rag_new(&config, &rag, NULL), TARS_OK);
    assert_int_equal(tars_rag_answer(rag, &request, &f.call, NULL, &answer, NULL), TARS_OK);
    assert_non_null(strstr(answer.answer, "28 days of paid annual leave"));
    assert_non_null(strstr(answer.context_used, "[Source 1: leave.pdf]\nEmployees get"));
    assert_int_equal(answer.unsupported_count, 0);
    for (size_t i = 0; i < answer.citation_count; i++) {
        if (answer.citations[i].verdict != TARS_CITE_NO_CLAIM)
            assert_int_equal(answer.citations[i].sources[0], 1);
    }
    tars_rag_free(rag);
    tars_llm_free(quoter);
}

/* Whatever the ceiling of a call's memory, the end is a status. */
static void a_small_ceiling_is_an_error(void **state)
{
    const struct tars_rag_request request = {
        .query = "annual leave", .relevance_threshold = -1, .top_k = 3};
    bool fitted = false;

    (void)state;
    for (size_t ceiling = 1024; !fitted; ceiling += 16384) {
        struct tars_call call = {.client_id = "test", .visible = &everything};
        struct tars_rag_fetched found = {.count = 0};
        struct tars_arena arena;
        tars_status status;

        assert_true(ceiling < ARENA_BYTES);
        tars_arena_init(&arena, ceiling);
        call.arena = &arena;
        status = tars_rag_fetch(f.retriever, &request, &call, &found, NULL);
        fitted = status == TARS_OK;
        assert_true(fitted ? found.count > 0 : status == TARS_ENOMEM);
        tars_arena_release(&arena);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_source_is_the_passage_with_its_place),
        cmocka_unit_test(what_is_asked_for_reaches_the_retriever),
        cmocka_unit_test(why_nothing_is_found_is_told),
        cmocka_unit_test(an_answer_stands_on_what_was_found),
        cmocka_unit_test(a_small_ceiling_is_an_error),
    };

    return cmocka_run_group_tests(tests, open_library, close_library);
}
