/* eval_side - one side of an evaluation; see eval.h. */
#include "app/eval.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/lines.h"
#include "app/places.h"
#include "app/session.h"
#include "base/codec/json_write.h"
#include "base/crypto/digest.h"
#include "base/sys/clock.h"
#include "eval/answers.h"

#define REPLY_MAX     ((size_t)64 << 20)
#define ARENA_MAX     ((size_t)256 << 20)
#define OVERRIDES_MAX 64
#define BAR_CELLS     24
#define BAR_MS        100
#define KEY_HEX       12 /* of the digest that names a folder */
#define CORPUS_NAME   "eval-corpus.jsonl"

struct run {
    const struct tars_eval_plan *plan;
    struct tars_eval_side *side;
    struct tars_session *session;
    struct tars_buf reply;
    struct tars_arena arena; /* of one question */
    json_t *found;           /* what the search of this question gave, or NULL */
    int64_t drawn_ms;
    bool is_terminal;
};

/* ----------------------------------------------------------------- settings */

static bool is_set(const struct tars_settings *settings, enum tars_setting id)
{
    return tars_settings_origin(settings, id) != TARS_ORIGIN_DEFAULT;
}

/* Settings that change what is stored: another value wants another folder. */
static const enum tars_setting shaping[] = {
    TARS_SET_EMBED_MODEL,        TARS_SET_EMBED_PRECISION,    TARS_SET_EMBED_MAX_SEQ_LENGTH,
    TARS_SET_CHUNK_SIZE,         TARS_SET_CHUNK_OVERLAP,      TARS_SET_USE_SEMANTIC_CHUNKING,
    TARS_SET_SEMANTIC_CHUNK_MIN, TARS_SET_SEMANTIC_CHUNK_MAX,
};

static const char *folder_for(const struct tars_eval_plan *plan,
                              const struct tars_settings *settings, struct tars_err *err)
{
    struct tars_arena *arena = &plan->cli->arena;
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    const char *name = strrchr(plan->folder, '/');
    const char *key = tars_arena_strdup(arena, plan->folder);
    char hex[65];

    for (size_t i = 0; key && i < sizeof(shaping) / sizeof(shaping[0]); i++) {
        key =
            tars_arena_printf(arena, "%s\n%s", key, tars_settings_info(settings, shaping[i]).value);
    }
    if (!key || tars_sha256_hex(key, strlen(key), hex) != TARS_OK) {
        (void)!tars_fail(TARS_ENOMEM, err, "no memory");
        return NULL;
    }
    if (!(cache && cache[0]) && !home) {
        (void)!tars_fail(TARS_EINVAL, err, "neither XDG_CACHE_HOME nor HOME is set; give --data");
        return NULL;
    }
    return tars_arena_printf(arena, "%s%s/tars/eval/%s-%.*s", cache && cache[0] ? cache : home,
                             cache && cache[0] ? "" : "/.cache", name ? name + 1 : plan->folder,
                             KEY_HEX, hex);
}

struct overrides {
    struct tars_setting_override items[OVERRIDES_MAX];
    size_t count;
};

static void override(struct overrides *list, const char *name, const char *value)
{
    if (list->count < OVERRIDES_MAX)
        list->items[list->count++] = (struct tars_setting_override){name, value};
}

/* The command line's, then those of the side, then what an evaluation needs. */
static tars_status load(const struct tars_eval_plan *plan, struct tars_eval_side *side,
                        struct tars_settings **settings, struct tars_err *err)
{
    const struct tars_cli *cli = plan->cli;
    struct tars_settings_config config = cli->sources;
    struct overrides list = {.count = 0};
    tars_status status;

    for (size_t i = 0; i < cli->sources.override_count; i++)
        override(&list, cli->sources.overrides[i].name, cli->sources.overrides[i].value);
    for (size_t i = 0; i < side->setting_count; i++)
        override(&list, side->settings[i].name, side->settings[i].value);
    override(&list, "ANALYTICS_ENABLED", "false");
    override(&list, "REDIS_ENABLED", "false");
    override(&list, "CACHE_MEMORY_MB", "0");
    override(&list, "MAX_FILE_SIZE_MB", "4096");
    if (!is_set(cli->settings, TARS_SET_LLM_BACKEND))
        override(&list, "LLM_BACKEND", "extract");
    config.overrides = list.items;
    config.override_count = list.count;
    status = tars_settings_load(&config, settings, NULL, err);
    if (status != TARS_OK ||
        tars_settings_origin(cli->settings, TARS_SET_TARS_DATA) == TARS_ORIGIN_COMMAND_LINE)
        return status;
    side->data = folder_for(plan, *settings, err);
    if (!side->data) {
        tars_settings_free(*settings);
        return TARS_EINVAL;
    }
    override(&list, "TARS_DATA", side->data);
    config.override_count = list.count;
    tars_settings_free(*settings);
    return tars_settings_load(&config, settings, NULL, err);
}

/* ------------------------------------------------------------------- corpus */

struct taking {
    char reason[TARS_ERR_TEXT_MAX];
    double passages;
};

static bool take_line(void *ctx, json_t *line)
{
    struct taking *taking = ctx;
    const json_t *summary = json_object_get(line, "summary");
    const char *words = tars_object_text(summary ? summary : line, summary ? "error" : "reason");
    const char *status = tars_object_text(line, "status");

    if (words[0] && (summary || strcmp(status, "failed") == 0 || strcmp(status, "skipped") == 0))
        (void)snprintf(taking->reason, sizeof(taking->reason), "%s", words);
    if (strcmp(status, "indexed") == 0)
        taking->passages += tars_object_number(line, "chunks");
    return true;
}

static tars_status take_in(struct run *run, const char *body, struct tars_err *err)
{
    struct taking taking = {.passages = 0};
    struct tars_object_lines lines;
    int64_t start = tars_clock_mono_ms();
    int http = 0;
    tars_status status;

    tars_object_lines_init(&lines, take_line, &taking);
    status = tars_session_stream(run->session, TARS_HTTP_POST, "/rag/ingest", body,
                                 tars_object_lines_take, &lines, &http, err);
    if (status == TARS_OK && http >= 400) {
        status = tars_fail(TARS_EIO, err, "the corpus was not taken in");
        tars_session_words(lines.rest.ptr, lines.rest.len, err);
    } else if (status == TARS_OK && taking.reason[0]) {
        status = tars_fail(TARS_EIO, err, "%s: %s", run->plan->corpus, taking.reason);
    }
    tars_object_lines_release(&lines);
    run->side->passages = taking.passages;
    if (taking.passages > 0)
        run->side->ingest_s = (double)(tars_clock_mono_ms() - start) / 1e3;
    return status;
}

/* The corpus as ingestion reads it: unpacked into the data folder where it is packed. */
static tars_status plain_corpus(struct run *run, const char **path, struct tars_err *err)
{
    const char *corpus = run->plan->corpus;
    size_t len = strlen(corpus);

    *path = corpus;
    if (len < 3 || strcmp(corpus + len - 3, ".gz") != 0)
        return TARS_OK;
    *path = tars_arena_printf(&run->plan->cli->arena, "%s/" CORPUS_NAME,
                              tars_session_place(run->session));
    return *path ? tars_judged_unpack(corpus, *path, err) : TARS_ENOMEM;
}

/* What is there already is left as it is. */
static tars_status take_corpus(struct run *run, struct tars_err *err)
{
    const char *path;
    struct tars_buf body;
    struct tars_json json;
    tars_status status;

    if (!run->plan->corpus)
        return TARS_OK;
    if (run->is_terminal) {
        (void)fprintf(stderr, "taking in %s (kept in %s)\n", run->plan->corpus,
                      tars_session_place(run->session));
    }
    status = plain_corpus(run, &path, err);
    if (status != TARS_OK)
        return status;
    tars_buf_init(&body, REPLY_MAX);
    tars_json_init(&json, &body);
    tars_json_object(&json, NULL);
    tars_json_text(&json, "path", path);
    tars_json_bool(&json, "force_reindex", run->plan->fresh);
    tars_json_end(&json);
    status = body.status == TARS_OK ? take_in(run, body.ptr, err) : body.status;
    tars_buf_release(&body);
    return status;
}

/* ------------------------------------------------------------------- asking */

static void begin_body(struct tars_json *json, struct tars_buf *body, const char *query, long top_k)
{
    tars_buf_init(body, REPLY_MAX);
    tars_json_init(json, body);
    tars_json_object(json, NULL);
    tars_json_text(json, "query", query);
    tars_json_int(json, "top_k", top_k);
}

/* Ask path, and how long it took. */
static tars_status timed(struct run *run, const char *path, struct tars_buf *body, double *ms,
                         struct tars_err *err)
{
    int64_t start = tars_clock_mono_ns();
    tars_status status =
        body->status == TARS_OK
            ? tars_session_ask(run->session, TARS_HTTP_POST, path, body->ptr, &run->reply, err)
            : body->status;

    *ms = (double)(tars_clock_mono_ns() - start) / 1e6;
    tars_buf_release(body);
    return status;
}

/* The id by which judgements know a document: the file's own, else ours. */
static const char *judged_id(const json_t *hit)
{
    const char *external = tars_object_text(json_object_get(hit, "metadata"), "external_id");

    return external[0] ? external : tars_object_text(hit, "document_id");
}

static tars_status rank(struct run *run, const struct tars_judged_query *query,
                        struct tars_eval_line *line)
{
    const json_t *hits = json_object_get(run->found, "results");
    size_t count = json_array_size(hits);
    int *gains = tars_arena_calloc(&run->arena, count + 1, sizeof(*gains));
    int *ideal = tars_arena_calloc(&run->arena, query->relevant + 1, sizeof(*ideal));
    struct tars_ranking ranking = {gains, count, ideal, 0};

    if (!gains || !ideal)
        return TARS_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        int grade = tars_judged_grade(query, judged_id(json_array_get(hits, i)));

        gains[i] = grade > 0 ? grade : 0;
    }
    for (size_t i = 0; i < query->judgement_count; i++) {
        if (query->judgements[i].grade > 0)
            ideal[ranking.relevant++] = query->judgements[i].grade;
    }
    line->ranked = true;
    return tars_measures_of(&ranking, line->measures);
}

static tars_status search(struct run *run, const struct tars_judged_query *query,
                          struct tars_eval_line *line, struct tars_err *err)
{
    struct tars_buf body;
    struct tars_json json;
    tars_status status;

    begin_body(&json, &body, query->text, TARS_EVAL_DEPTH);
    tars_json_text(&json, "mode", run->plan->mode);
    tars_json_bool(&json, "distinct_documents", true);
    tars_json_bool(&json, "include_content", false);
    tars_json_end(&json);
    status = timed(run, "/rag/search", &body, &line->search_ms, err);
    if (status != TARS_OK)
        return status;
    run->found = json_loadb(run->reply.ptr, run->reply.len, 0, NULL);
    if (!run->found)
        return tars_fail(TARS_EIO, err, "the reply of a search is not understood");
    return query->relevant > 0 ? rank(run, query, line) : TARS_OK;
}

/* What the search called the document of a source; "" where it did not find it. */
static const char *id_of_source(const struct run *run, const json_t *source)
{
    const char *document = tars_object_text(source, "document_id");
    const json_t *hits = json_object_get(run->found, "results");

    for (size_t i = 0; i < json_array_size(hits); i++) {
        const json_t *hit = json_array_get(hits, i);

        if (strcmp(tars_object_text(hit, "document_id"), document) == 0)
            return judged_id(hit);
    }
    return "";
}

static void count_citations(struct run *run, const struct tars_judged_query *query,
                            const json_t *answer, struct tars_eval_line *line)
{
    const json_t *citations = json_object_get(answer, "citations");
    const json_t *sources = json_object_get(answer, "sources");

    for (size_t i = 0; i < json_array_size(citations); i++) {
        const json_t *citation = json_array_get(citations, i);
        const json_t *named = json_object_get(citation, "sources");

        if (strcmp(tars_object_text(citation, "verdict"), "no_claim") == 0)
            continue;
        line->claims++;
        line->supported += json_is_true(json_object_get(citation, "supported"));
        for (size_t s = 0; s < json_array_size(named); s++) {
            size_t number = (size_t)json_integer_value(json_array_get(named, s));
            const json_t *source = json_array_get(sources, number - 1);

            line->citations++;
            line->citations_good += tars_judged_is_context(query, id_of_source(run, source));
        }
    }
    line->refused = json_array_size(sources) == 0 || line->claims == 0;
}

static tars_status is_right(struct run *run, const struct tars_judged_query *query,
                            const char *answer, bool *right)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; i < query->answer_count && status == TARS_OK && !*right; i++) {
        status = tars_answer_holds(&run->arena, tars_span_of(answer),
                                   tars_span_of(query->answers[i]), right);
    }
    return status;
}

static tars_status answer(struct run *run, const struct tars_judged_query *query,
                          struct tars_eval_line *line, struct tars_err *err)
{
    struct tars_buf body;
    struct tars_json json;
    json_t *root;
    tars_status status;

    begin_body(&json, &body, query->text, run->plan->top_k);
    tars_json_end(&json);
    status = timed(run, "/rag/query", &body, &line->answer_ms, err);
    if (status != TARS_OK)
        return status;
    root = json_loadb(run->reply.ptr, run->reply.len, 0, NULL);
    if (!root)
        return tars_fail(TARS_EIO, err, "the reply of a question is not understood");
    line->asked = true;
    count_citations(run, query, root, line);
    if (!line->has_none && !line->refused)
        status = is_right(run, query, tars_object_text(root, "answer"), &line->right);
    json_decref(root);
    return status;
}

static tars_status ask(struct run *run, const struct tars_judged_query *query, bool has_none,
                       struct tars_eval_line *line, struct tars_err *err)
{
    tars_status status = TARS_OK;

    *line = (struct tars_eval_line){.id = query->id, .has_none = has_none};
    if (!has_none)
        status = search(run, query, line, err);
    if (status == TARS_OK && (has_none || (run->plan->answers && query->has_answers)))
        status = answer(run, query, line, err);
    json_decref(run->found);
    run->found = NULL;
    tars_arena_clear(&run->arena);
    return status;
}

/* ----------------------------------------------------------------- progress */

static void draw(struct run *run, size_t done, size_t total)
{
    int filled = total > 0 ? (int)(done * BAR_CELLS / total) : 0;
    int64_t now = tars_clock_mono_ms();

    if (!run->is_terminal || (done < total && now - run->drawn_ms < BAR_MS))
        return;
    run->drawn_ms = now;
    (void)fputs("\r\033[K", stderr);
    if (done < total) {
        (void)fputc('[', stderr);
        for (int i = 0; i < BAR_CELLS; i++)
            (void)fputc(i < filled ? '#' : '.', stderr);
        (void)fprintf(stderr, "] %zu/%zu questions %s", done, total, run->side->label);
    }
    (void)fflush(stderr);
}

static tars_status ask_all(struct run *run, struct tars_err *err)
{
    const struct tars_eval_plan *plan = run->plan;
    struct tars_eval_side *side = run->side;
    size_t total = plan->judged.count + plan->unanswered.count;
    tars_status status = TARS_OK;

    side->lines = tars_arena_calloc(&plan->cli->arena, total + 1, sizeof(*side->lines));
    if (!side->lines)
        return tars_fail(TARS_ENOMEM, err, "no memory for %zu questions", total);
    for (size_t i = 0; i < total && status == TARS_OK; i++) {
        bool has_none = i >= plan->judged.count;
        const struct tars_judged_query *query =
            has_none ? &plan->unanswered.queries[i - plan->judged.count] : &plan->judged.queries[i];

        draw(run, i, total);
        if (tars_lifecycle_is_over(plan->cli->lifecycle)) {
            status = TARS_ECANCELED;
        } else {
            status = ask(run, query, has_none, &side->lines[side->count++], err);
        }
    }
    draw(run, total, total);
    return status == TARS_OK ? tars_eval_sum(side->lines, side->count, &side->sums) : status;
}

/* -------------------------------------------------------------------- whole */

static tars_status run_open(struct run *run, struct tars_err *err)
{
    tars_status status = tars_session_open(run->plan->cli, true, &run->session, err);

    if (status != TARS_OK)
        return status;
    if (tars_session_is_remote(run->session)) {
        return tars_fail(
            TARS_EBUSY, err,
            "a server has %s: its settings would count, not those given here; stop it, "
            "or leave --data out",
            tars_session_place(run->session));
    }
    run->side->data = tars_arena_strdup(&run->plan->cli->arena, tars_session_place(run->session));
    if (!run->side->data)
        return tars_fail(TARS_ENOMEM, err, "no memory");
    (void)fputs(tars_session_warnings(run->session), stderr);
    status = take_corpus(run, err);
    return status == TARS_OK ? ask_all(run, err) : status;
}

tars_status tars_eval_side_run(const struct tars_eval_plan *plan, struct tars_eval_side *side,
                               struct tars_err *err)
{
    struct tars_cli *cli = plan->cli;
    struct tars_settings *before = cli->settings;
    struct tars_settings *settings = NULL;
    struct run run = {.plan = plan, .side = side};
    tars_status status = load(plan, side, &settings, err);

    if (status != TARS_OK)
        return status;
    cli->settings = settings;
    run.is_terminal = !cli->json && isatty(STDERR_FILENO);
    tars_buf_init(&run.reply, REPLY_MAX);
    tars_arena_init(&run.arena, ARENA_MAX);
    status = run_open(&run, err);
    tars_session_close(run.session);
    tars_arena_release(&run.arena);
    tars_buf_release(&run.reply);
    cli->settings = before;
    tars_settings_free(settings);
    return status;
}
