/* Unit tests of rag/rag, rag/prompt and rag/quote, with a retriever and a writer that do what the
 * test says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "llm/llm_extract.h"
#include "rag/prompt.h"
#include "rag/quote.h"
#include "rag/rag.h"
#include "support/faults.h"

#define ARENA_BYTES ((size_t)64 << 20U)

static const char leave[] =
    "Staff handbook. Staff may take 30 days of leave a year. Unused days are carried over until "
    "March of the next year. Sick days do not count as leave.";
static const char travel[] =
    "Travel costs are paid back within 14 days. Receipts must be handed in by the end of the "
    "month. Staff may fly business class on flights of more than six hours.";

static struct tars_rag_source source_of(const char *file, const char *text, double relevance)
{
    return (struct tars_rag_source){
        .document_id = "doc_0123456789abcdef",
        .chunk_id = "doc_0123456789abcdef_chunk_0",
        .file_name = file,
        .file_path = file,
        .similarity_score = relevance,
        .text = tars_span_of(text),
        .title = "",
        .section = "",
        .fusion_method = "linear",
        .page_number = 3,
    };
}

/* ------------------------------------------------------------------- puppets */

struct scene {
    size_t found;                    /* how many sources the retriever finds, 0..2 */
    struct tars_rag_absence absence; /* why it finds none */
    const char *degraded;            /* what the retriever lacked */
    tars_status fetch_status;        /* of the retriever */
    const char *says;                /* what the writer writes, or NULL */
    tars_status writer_status;       /* what it then returns */
    size_t context_tokens;
    uint64_t parameters; /* of the writer; 0: unknown */
    const char *passage; /* instead of the first source's text, or NULL */
    char prompt[8192];   /* what it was given */
    bool brief;          /* and asked for */
    int max_tokens;
    const char *system;
    char text[4096]; /* what the asker heard */
    size_t heard;
    int sources_events;
    bool stop_at_sources;
    bool stop_at_token;
};

static tars_status fetch(void *ctx, const struct tars_rag_request *request, struct tars_call *call,
                         struct tars_rag_fetched *out, struct tars_err *err)
{
    const struct scene *scene = ctx;
    struct tars_rag_source *made;

    (void)request->rerank;
    assert_int_equal(request->top_k, TARS_RAG_TOP_K_DEFAULT);
    if (scene->fetch_status != TARS_OK)
        return tars_fail(scene->fetch_status, err, "the index is away");
    made = tars_arena_calloc(call->arena, 3, sizeof(*made));
    if (!made)
        return tars_fail(TARS_ENOMEM, err, "out of memory");
    made[0] = source_of("leave.txt", leave, 0.9);
    made[1] = source_of("travel.txt", travel, 0.75);
    if (scene->passage)
        made[0].text = tars_span_of(scene->passage);
    *out = (struct tars_rag_fetched){
        .sources = made, .count = scene->found, .degraded = scene->degraded};
    if (scene->found == 0)
        out->absence = scene->absence;
    return TARS_OK;
}

struct writer {
    struct tars_llm base;
    struct scene *scene;
};

static tars_status write_scene(struct tars_llm *llm, const struct tars_llm_request *request,
                               struct tars_call *call, const struct tars_llm_sink *sink,
                               struct tars_llm_result *result, struct tars_err *err)
{
    struct scene *scene = ((struct writer *)llm)->scene;

    (void)call;
    assert_true(strlen(request->prompt) < sizeof(scene->prompt));
    memcpy(scene->prompt, request->prompt, strlen(request->prompt) + 1);
    scene->brief = request->brief;
    scene->max_tokens = request->max_tokens;
    scene->system = request->system;
    if (scene->says) {
        result->started = true;
        result->tokens = 7;
        if (!sink->token(sink->ctx, scene->says, strlen(scene->says)))
            return tars_fail(TARS_ECANCELED, err, "stopped");
    }
    return scene->writer_status == TARS_OK
               ? TARS_OK
               : tars_fail(scene->writer_status, err, "the writer is away");
}

static void keep(struct tars_llm *llm)
{
    (void)llm;
}

static const struct tars_llm_ops writer_ops = {
    .name = "writer", .generate = write_scene, .free = keep};

static bool on_sources(void *ctx, const struct tars_rag_answer *answer)
{
    struct scene *scene = ctx;

    scene->sources_events++;
    assert_int_equal(answer->source_count, scene->found);
    return !scene->stop_at_sources;
}

static bool on_token(void *ctx, const char *ptr, size_t len)
{
    struct scene *scene = ctx;

    assert_true(scene->heard + len < sizeof(scene->text));
    memcpy(scene->text + scene->heard, ptr, len);
    scene->heard += len;
    scene->text[scene->heard] = '\0';
    return !scene->stop_at_token;
}

/* Ask in a scene; the answer lives in arena. */
static tars_status ask(struct scene *scene, struct tars_arena *arena, bool with_writer,
                       const struct tars_rag_request *request, struct tars_rag_answer *answer,
                       struct tars_err *err)
{
    struct writer writer = {.base = {.ops = &writer_ops, .parameters = scene->parameters},
                            .scene = scene};
    const struct tars_rag_events events = {on_sources, on_token, scene};
    struct tars_rag_config config = {.fetch = fetch, .fetch_ctx = scene};
    struct tars_call call = {.arena = arena};
    struct tars_rag *rag = NULL;
    tars_status status;

    tars_llm_set_model(writer.base.model, "writer:1");
    writer.base.context_tokens = scene->context_tokens;
    config.llm = with_writer ? &writer.base : NULL;
    status = tars_llm_extract_open(&config.quoter, err);
    if (status == TARS_OK)
        status = tars_rag_new(&config, &rag, err);
    if (status == TARS_OK)
        status = tars_rag_answer(rag, request, &call, &events, answer, err);
    tars_rag_free(rag);
    tars_llm_free(config.quoter);
    return status;
}

static const struct tars_rag_request leave_question = {.query = "How many days of leave a year?"};

/* -------------------------------------------------------------------- answers */

static void an_answer_has_all_its_parts(void **state)
{
    struct scene scene = {.found = 2,
                          .says = "Staff may take 30 days of leave a year [1]. It rains in Rome."};
    struct tars_rag_answer answer = {.answer = "", .model = ""};
    struct tars_arena arena;
    struct tars_err err;

    (void)state;
    tars_arena_init(&arena, ARENA_BYTES);
    assert_int_equal(ask(&scene, &arena, true, &leave_question, &answer, &err), TARS_OK);
    if (!answer.sources || !answer.citations) {
        fail_msg("no sources or citations");
        return;
    }
    assert_string_equal(answer.answer, scene.says);
    assert_string_equal(scene.text, scene.says);
    assert_string_equal(answer.model, "writer:1");
    assert_int_equal(answer.total_tokens, 7);
    assert_int_equal(answer.source_count, 2);
    assert_string_equal(answer.sources[0].excerpt, leave);
    assert_true(answer.sources[0].in_context && answer.sources[1].in_context);
    assert_int_equal(scene.sources_events, 1);
    assert_null(answer.degraded);
    assert_true(answer.total_time_ms >= answer.generation_time_ms);
    assert_int_equal(answer.citation_count, 2);
    assert_true(answer.citations[0].supported);
    assert_int_equal(answer.citations[0].source_count, 1);
    assert_int_equal(answer.citations[0].sources[0], 1);
    assert_false(answer.citations[1].supported);
    assert_int_equal(answer.unsupported_count, 1);
    assert_int_equal(answer.citations[1].char_end, strlen(scene.says));
    assert_non_null(strstr(scene.prompt, "Context:\n[Source 1: leave.txt]\nStaff handbook."));
    assert_non_null(strstr(scene.prompt, "leave.\n\n[Source 2: travel.txt]\nTravel"));
    assert_non_null(
        strstr(scene.prompt, "\n\nQuestion: How many days of leave a year?\n\nAnswer:"));
    assert_non_null(strstr(scene.prompt, answer.context_used));
    tars_arena_release(&arena);
}

/* A small model is given what answers best of each passage, and asked for a paragraph. */
static void small_writers_get_short_prompts(void **state)
{
    static char passage[4096];
    struct scene scene = {.found = 2, .says = "30 days.", .passage = passage};
    struct tars_rag_answer answer = {.answer = ""};
    struct tars_arena arena;
    struct tars_err err;

    (void)state;
    passage[0] = '\0';
    for (size_t i = 0; i < 20; i++)
        memcpy(passage + strlen(passage), "The canteen opens at noon and closes at two. ", 46);
    memcpy(passage + strlen(passage), leave, sizeof(leave));
    for (int small = 0; small < 2; small++) {
        scene.parameters = small ? 135000000 : 8000000000;
        tars_arena_init(&arena, ARENA_BYTES);
        assert_int_equal(ask(&scene, &arena, true, &leave_question, &answer, &err), TARS_OK);
        assert_non_null(strstr(scene.prompt, "Staff may take 30 days of leave a year."));
        assert_non_null(strstr(scene.prompt, "[Source 2: travel.txt]\nTravel"));
        assert_int_equal(strlen(scene.prompt) < 900, small);
        assert_int_equal(scene.brief, small);
        assert_int_equal(scene.max_tokens, small ? TARS_RAG_SMALL_ANSWER_TOKENS : 0);
        assert_ptr_equal(scene.system, small ? tars_prompt_system_small : tars_prompt_system);
        assert_int_equal(answer.sources[0].text.len, strlen(passage));
        tars_arena_release(&arena);
    }
}

static const struct {
    const char *name;
    struct scene scene;
    int with_writer;
    tars_status status;
    const char *begins; /* the answer */
    const char *model;
    int degraded;
} rows[] = {
    {"no passage",
     {.found = 0, .says = "x"},
     true,
     TARS_OK,
     "The documents do not answer this question.",
     "writer:1",
     false},
    {"no passage, no writer",
     {.found = 0},
     false,
     TARS_OK,
     "The documents do not answer this question.",
     "extract",
     false},
    {"no passage, and why",
     {.found = 0,
      .absence = {.searched = true, .nearest_file = "a.txt", .relevance = .5, .threshold = .7}},
     true,
     TARS_OK,
     "The documents do not answer this question. The nearest passage, of a.txt, is too far from "
     "it: relevance 0.50, 0.7 asked.",
     "writer:1",
     false},
    {"no writer", {.found = 2}, false, TARS_OK, "No language model is answering", "extract", false},
    {"writer away",
     {.found = 2, .writer_status = TARS_EUNAVAILABLE},
     true,
     TARS_OK,
     "No language model is answering",
     "extract",
     true},
    {"writer's context too small",
     {.found = 2, .writer_status = TARS_ETOOBIG},
     true,
     TARS_OK,
     "No language model is answering",
     "extract",
     true},
    {"writer breaks off",
     {.found = 2, .says = "Staff", .writer_status = TARS_EUNAVAILABLE},
     true,
     TARS_EUNAVAILABLE,
     "Staff",
     "writer:1",
     false},
    {"vectors away",
     {.found = 2, .degraded = "vectors"},
     false,
     TARS_OK,
     "No language model is answering",
     "extract",
     true},
    {"retriever away",
     {.found = 2, .fetch_status = TARS_EIO},
     true,
     TARS_EIO,
     "",
     "writer:1",
     false},
    {"asker leaves at the sources",
     {.found = 2, .stop_at_sources = true},
     true,
     TARS_ECANCELED,
     "",
     "writer:1",
     false},
    {"asker leaves in the answer",
     {.found = 2, .says = "Staff", .stop_at_token = true},
     true,
     TARS_ECANCELED,
     "Staff",
     "writer:1",
     false},
};

static void what_happens_when(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct scene scene = rows[i].scene;
        struct tars_rag_answer answer = {.answer = "", .model = ""};
        struct tars_arena arena;
        struct tars_err err = {.text = ""};
        tars_status status;

        tars_arena_init(&arena, ARENA_BYTES);
        status = ask(&scene, &arena, rows[i].with_writer != 0, &leave_question, &answer, &err);
        if (status != rows[i].status || strcmp(answer.model, rows[i].model) != 0 ||
            strncmp(answer.answer, rows[i].begins, strlen(rows[i].begins)) != 0 ||
            (answer.degraded != NULL) != (rows[i].degraded != 0) ||
            (status != TARS_OK && err.text[0] == '\0')) {
            fail_msg("%s: %d %s \"%s\" %s", rows[i].name, (int)status, answer.model, answer.answer,
                     err.text);
        }
        if (status == TARS_OK) {
            assert_string_equal(scene.text, answer.answer);
            assert_int_equal(answer.unsupported_count, 0);
            assert_int_equal(answer.refused, rows[i].scene.found == 0);
        }
        tars_arena_release(&arena);
    }
}

static void bad_questions_are_refused(void **state)
{
    static char huge[TARS_RAG_QUERY_CHARS_MAX + 2];
    struct tars_rag_request requests[] = {
        {.query = NULL},
        {.query = " \n\t"},
        {.query = huge},
        {.query = "q", .top_k = 21},
        {.query = "q", .top_k = -1},
    };
    struct tars_rag_config config = {.fetch = fetch};
    struct tars_rag *rag;

    (void)state;
    memset(huge, 'x', sizeof(huge) - 1);
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        struct scene scene = {.found = 0};
        struct tars_rag_answer answer = {.answer = "", .model = ""};
        struct tars_arena arena;
        struct tars_err err;

        tars_arena_init(&arena, ARENA_BYTES);
        assert_int_equal(ask(&scene, &arena, true, &requests[i], &answer, &err), TARS_EINVAL);
        tars_arena_release(&arena);
    }
    assert_int_equal(tars_rag_new(&config, &rag, NULL), TARS_EINVAL);
}

static void small_contexts_leave_room(void **state)
{
    struct scene scene = {.found = 2, .says = "Yes.", .context_tokens = 512};
    struct tars_rag_answer answer = {.answer = "", .model = ""};
    struct tars_arena arena;
    struct tars_err err;

    (void)state;
    tars_arena_init(&arena, ARENA_BYTES);
    assert_int_equal(ask(&scene, &arena, true, &leave_question, &answer, &err), TARS_OK);
    if (!answer.sources) {
        fail_msg("no sources");
        return;
    }
    assert_true(answer.sources[0].in_context);
    assert_false(answer.sources[1].in_context);
    assert_true(strlen(answer.context_used) < 240);
    tars_arena_release(&arena);
}

static void quotes_only_needs_no_writer(void **state)
{
    const struct tars_rag_request request = {.query = "days of leave", .quotes_only = true};
    struct scene scene = {.found = 2, .says = "x"};
    struct tars_rag_answer answer = {.answer = "", .model = ""};
    struct tars_arena arena;
    struct tars_err err;

    (void)state;
    tars_arena_init(&arena, ARENA_BYTES);
    assert_int_equal(ask(&scene, &arena, true, &request, &answer, &err), TARS_OK);
    assert_string_equal(answer.model, "extract");
    assert_non_null(strstr(answer.answer, "\"Staff may take 30 days of leave a year.\" [1]"));
    tars_arena_release(&arena);
}

static void excerpts_are_cut_at_200_characters(void **state)
{
    char text[2 * 300 + 1] = "";
    struct scene scene = {.found = 1, .says = "Yes.", .passage = text};
    struct tars_rag_answer answer = {.answer = "", .model = ""};
    struct tars_arena arena;
    struct tars_err err;

    (void)state;
    for (size_t i = 0; i < 300; i++)
        memcpy(text + (size_t)2 * i, "\xC3\xA9", 3);
    tars_arena_init(&arena, ARENA_BYTES);
    assert_int_equal(ask(&scene, &arena, true, &leave_question, &answer, &err), TARS_OK);
    if (!answer.sources) {
        fail_msg("no sources");
        return;
    }
    assert_int_equal(strlen(answer.sources[0].excerpt), (size_t)2 * TARS_RAG_EXCERPT_CHARS + 3);
    assert_string_equal(&answer.sources[0].excerpt[(size_t)2 * TARS_RAG_EXCERPT_CHARS], "...");
    tars_arena_release(&arena);
}

/* --------------------------------------------------------------------- quotes */

static const struct {
    const char *query;
    const char *first; /* the first quotation */
    int source;
} quote_rows[] = {
    {"How many days of leave may staff take?", "Staff may take 30 days of leave a year.", 1},
    {"When are travel costs paid back?", "Travel costs are paid back within 14 days.", 2},
    {"business class flights", "Staff may fly business class on flights of more than six hours.",
     2},
    {"until when are unused days carried over",
     "Unused days are carried over until March of the next year.", 1},
};

static void the_best_sentences_are_quoted(void **state)
{
    struct tars_rag_source sources[] = {
        source_of("leave.txt", leave, 0.8),
        source_of("travel.txt", travel, 0.8),
    };
    struct tars_analyzer *analyzer;
    struct tars_arena arena;

    (void)state;
    tars_arena_init(&arena, ARENA_BYTES);
    assert_int_equal(tars_analyzer_new(&analyzer), TARS_OK);
    for (size_t i = 0; i < sizeof(quote_rows) / sizeof(quote_rows[0]); i++) {
        const struct tars_reading *before = sources[1].reading;
        struct tars_llm_quote *quotes = NULL;
        size_t count = 0;

        assert_int_equal(
            tars_quote_choose(analyzer, &arena, quote_rows[i].query, sources, 2, &quotes, &count),
            TARS_OK);
        assert_true(count > 0);
        assert_non_null(sources[1].reading);
        assert_true(!before || sources[1].reading == before); /* read once, for all who ask */
        if (!tars_span_is(quotes[0].text, quote_rows[i].first) ||
            quotes[0].source != quote_rows[i].source) {
            fail_msg("%s: \"%.*s\" [%d]", quote_rows[i].query, (int)quotes[0].text.len,
                     quotes[0].text.ptr, quotes[0].source);
        }
    }
    tars_analyzer_free(analyzer);
    tars_arena_release(&arena);
}

static void headings_are_not_quoted(void **state)
{
    static const struct {
        const char *text, *want;
    } headed[] = {
        {"Leave\nAnnual leave\nStaff get 28 days of leave.", "Staff get 28 days of leave."},
        {"Leave must be asked for by the\nstaff of each house.",
         "Leave must be asked for by the staff of each house."},
    };
    struct tars_analyzer *analyzer;
    struct tars_arena arena;

    (void)state;
    tars_arena_init(&arena, ARENA_BYTES);
    assert_int_equal(tars_analyzer_new(&analyzer), TARS_OK);
    for (size_t i = 0; i < sizeof(headed) / sizeof(headed[0]); i++) {
        struct tars_rag_source source = source_of("leave.txt", headed[i].text, 0.8);
        struct tars_llm_quote *quotes = NULL;
        size_t count = 0;

        assert_int_equal(
            tars_quote_choose(analyzer, &arena, "days of leave", &source, 1, &quotes, &count),
            TARS_OK);
        if (count != 1 || !tars_span_is(quotes[0].text, headed[i].want))
            fail_msg("row %zu: %.*s", i, (int)quotes[0].text.len, quotes[0].text.ptr);
    }
    tars_analyzer_free(analyzer);
    tars_arena_release(&arena);
}

static void long_sentences_are_cut_at_a_word(void **state)
{
    static char text[4000];
    struct tars_rag_source source;
    struct tars_llm_quote *quotes = NULL;
    struct tars_analyzer *analyzer;
    struct tars_arena arena;
    size_t count = 0;

    (void)state;
    for (size_t i = 0; i + 8 < sizeof(text); i += 7)
        memcpy(text + i, "word \n ", 8);
    source = source_of("x", text, 0.8);
    tars_arena_init(&arena, ARENA_BYTES);
    assert_int_equal(tars_analyzer_new(&analyzer), TARS_OK);
    assert_int_equal(tars_quote_choose(analyzer, &arena, "word", &source, 1, &quotes, &count),
                     TARS_OK);
    assert_int_equal(count, 1);
    assert_true(quotes[0].text.len <= TARS_QUOTE_BYTES_MAX);
    assert_memory_equal(quotes[0].text.ptr + quotes[0].text.len - 9, "word word", 9);
    tars_analyzer_free(analyzer);
    tars_arena_release(&arena);
}

/* -------------------------------------------------------------------- failures */

static void ask_once(void *ctx)
{
    struct scene scene = {.found = 2, .writer_status = TARS_EUNAVAILABLE};
    struct tars_rag_answer answer = {.answer = "", .model = ""};
    struct tars_arena arena;
    struct tars_err err = {.text = ""};
    tars_status status;

    (void)ctx;
    tars_arena_init(&arena, ARENA_BYTES);
    status = ask(&scene, &arena, true, &leave_question, &answer, &err);
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    assert_true(status == TARS_OK || faults_happened());
    tars_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(faults_each(ask_once, NULL) >= 5);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_has_all_its_parts),
        cmocka_unit_test(small_writers_get_short_prompts),
        cmocka_unit_test(what_happens_when),
        cmocka_unit_test(bad_questions_are_refused),
        cmocka_unit_test(small_contexts_leave_room),
        cmocka_unit_test(quotes_only_needs_no_writer),
        cmocka_unit_test(excerpts_are_cut_at_200_characters),
        cmocka_unit_test(the_best_sentences_are_quoted),
        cmocka_unit_test(headings_are_not_quoted),
        cmocka_unit_test(long_sentences_are_cut_at_a_word),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
