/* stages - see stages.h for the contract. */
#include "eval/stages.h"

#include <math.h>
#include <time.h>

#include "base/sys/clock.h"
#include "eval/measures.h"
#include "model/encoder.h"
#include "retrieve/retrieve.h"
#include "text/wordpiece.h"

#define BATCH           4
#define PASSAGE_TOKENS  128
#define QUESTION_TOKENS 16
#define CALL_ARENA      ((size_t)64 << 20)
#define NS_PER_MS       1e6

struct bench {
    const struct tars_stages_config *config;
    struct tars_arena *arena; /* of the result */
    struct tars_arena work;   /* of one run */
    struct tars_stage *stages;
    size_t count;
    struct tars_err *err;
    size_t asked; /* questions that were searched for, and may be kept */
    int32_t *ids; /* (BATCH * PASSAGE_TOKENS,) */
    size_t starts[BATCH + 1];
    float *vectors; /* (BATCH, dim) */
};

/* One run of a stage; *items of what the stage counts are added. TARS_ENOTFOUND: no more to do. */
typedef tars_status run_fn(struct bench *bench, size_t round, double *items);

double tars_stage_cpu_ms(void)
{
    struct timespec now = {0};

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / NS_PER_MS;
}

void tars_stage_fill(struct tars_stage *stage, double *times, size_t runs, double cpu_ms,
                     double items)
{
    double sum = 0;

    for (size_t i = 0; i < runs; i++)
        sum += times[i];
    stage->p50_ms = tars_percentile(times, runs, 0.5);
    stage->p95_ms = tars_percentile(times, runs, 0.95);
    stage->times = times;
    stage->runs = runs;
    stage->cpu_ms = runs > 0 ? cpu_ms / (double)runs : NAN;
    stage->items_s = sum > 0 ? items / (sum / 1e3) : NAN;
}

static bool is_over(const struct bench *bench)
{
    return bench->config->stopping && atomic_load(bench->config->stopping);
}

static tars_status no_memory(const struct bench *bench)
{
    return tars_fail(TARS_ENOMEM, bench->err, "no memory to measure");
}

/* Run it until its time is up. */
static tars_status measure(struct bench *bench, const char *name, const char *unit, run_fn *run)
{
    double *times = tars_arena_calloc(bench->arena, TARS_STAGE_RUNS_MAX, sizeof(*times));
    struct tars_stage *stage = &bench->stages[bench->count];
    int64_t end = tars_clock_mono_ns() + bench->config->stage_ms * 1000000;
    double cpu = tars_stage_cpu_ms();
    double items = 0;
    size_t runs = 0;
    tars_status status = TARS_OK;

    if (!times)
        return no_memory(bench);
    while (runs < TARS_STAGE_RUNS_MAX &&
           (runs < TARS_STAGE_RUNS_MIN || tars_clock_mono_ns() < end)) {
        int64_t start = tars_clock_mono_ns();

        if (is_over(bench))
            return TARS_ECANCELED;
        status = run(bench, runs, &items);
        if (status != TARS_OK)
            break;
        times[runs++] = (double)(tars_clock_mono_ns() - start) / NS_PER_MS;
        tars_arena_clear(&bench->work);
    }
    if (status != TARS_OK && status != TARS_ENOTFOUND)
        return status;
    *stage = (struct tars_stage){.name = name, .unit = unit};
    tars_stage_fill(stage, times, runs, tars_stage_cpu_ms() - cpu, items);
    bench->count += runs > 0;
    return TARS_OK;
}

/* ------------------------------------------------------------------ encoder */

static tars_status tokenize(struct bench *bench, size_t round, double *items)
{
    struct tars_span text = bench->config->texts[round % bench->config->text_count];
    struct tars_tokens tokens;
    tars_status status =
        tars_wordpiece_encode(bench->config->wordpiece, &bench->work, text.ptr, text.len, &tokens);

    if (status == TARS_OK)
        *items += (double)tokens.count;
    return status;
}

/* Word pieces of the texts, end to end, over and over, until there are count. */
static tars_status fill_ids(struct bench *bench, size_t count)
{
    size_t filled = 0;

    for (size_t i = 0; filled < count; i++) {
        struct tars_span text = bench->config->texts[i % bench->config->text_count];
        struct tars_tokens tokens;
        tars_status status = tars_wordpiece_encode(bench->config->wordpiece, &bench->work, text.ptr,
                                                   text.len, &tokens);

        if (status != TARS_OK)
            return status;
        for (size_t t = 0; t < tokens.count && filled < count; t++)
            bench->ids[filled++] = tokens.ids[t];
        if (i == bench->config->text_count && filled == 0)
            return tars_fail(TARS_EINVAL, bench->err, "the passages have no words");
        tars_arena_clear(&bench->work);
    }
    return TARS_OK;
}

static tars_status embed(struct bench *bench, size_t texts, size_t tokens, double *items)
{
    for (size_t i = 0; i <= texts; i++)
        bench->starts[i] = i * tokens;
    *items += (double)(texts * tokens);
    return tars_encoder_embed_ids(bench->config->encoder, bench->ids, bench->starts, texts,
                                  bench->vectors, bench->err);
}

static tars_status embed_passages(struct bench *bench, size_t round, double *items)
{
    (void)round;
    return embed(bench, BATCH, PASSAGE_TOKENS, items);
}

static tars_status embed_question(struct bench *bench, size_t round, double *items)
{
    (void)round;
    return embed(bench, 1, QUESTION_TOKENS, items);
}

static tars_status bench_encoder(struct bench *bench)
{
    size_t dim = tars_encoder_info(bench->config->encoder)->dim;
    tars_status status;

    bench->ids =
        tars_arena_calloc(bench->arena, (size_t)BATCH * PASSAGE_TOKENS, sizeof(*bench->ids));
    bench->vectors = tars_arena_calloc(bench->arena, BATCH * dim, sizeof(*bench->vectors));
    if (!bench->ids || !bench->vectors)
        return no_memory(bench);
    status = fill_ids(bench, (size_t)BATCH * PASSAGE_TOKENS);
    if (status == TARS_OK)
        status = measure(bench, "passages, 4 x 128", "tokens", embed_passages);
    if (status == TARS_OK)
        status = measure(bench, "question, 16 tokens", "tokens", embed_question);
    return status;
}

/* ------------------------------------------------------------------- search */

/* Which part of a search is looked at. */
enum part { PART_VECTORS, PART_WORDS, PART_FUSION, PART_FETCH, PART_SEARCH, PARTS };

static const char *const part_names[PARTS] = {"vectors", "words", "fusion", "fetch", "search"};

static tars_status ask(struct bench *bench, size_t question, enum tars_retrieve_mode mode,
                       struct tars_retrieved *found, double *ms)
{
    static const struct tars_visible all = {.all = true};
    const struct tars_retrieve_request request = {
        .query = bench->config->questions[question], .threshold = -1, .mode = mode};
    struct tars_call call = {.arena = &bench->work, .visible = &all};
    int64_t start = tars_clock_mono_ns();
    tars_status status =
        tars_retrieve(bench->config->retriever, &request, &call, found, bench->err);

    *ms = (double)(tars_clock_mono_ns() - start) / NS_PER_MS;
    return status;
}

/* Each question by words alone, then as usual: what the second took beyond both kinds is fusion. */
static tars_status ask_parts(struct bench *bench, size_t question, double *times[PARTS],
                             double *cpu_ms)
{
    struct tars_retrieved words = {0};
    struct tars_retrieved whole = {0};
    double ms;
    double rest;
    tars_status status = ask(bench, question, TARS_RETRIEVE_WORDS, &words, &ms);

    if (status == TARS_OK) {
        double cpu = tars_stage_cpu_ms();

        status = ask(bench, question, TARS_RETRIEVE_HYBRID, &whole, &times[PART_SEARCH][question]);
        *cpu_ms += tars_stage_cpu_ms() - cpu;
    }
    rest = whole.search_ms - whole.vector_ms - words.search_ms;
    times[PART_VECTORS][question] = whole.vector_ms;
    times[PART_WORDS][question] = words.search_ms;
    times[PART_FUSION][question] = rest > 0 ? rest : 0;
    times[PART_FETCH][question] = whole.fetch_ms;
    tars_arena_clear(&bench->work);
    return status;
}

static tars_status bench_search(struct bench *bench)
{
    const struct tars_stages_config *config = bench->config;
    int64_t end = tars_clock_mono_ns() + 2 * config->stage_ms * 1000000;
    double *times[PARTS];
    double cpu = 0;
    size_t n;
    tars_status status = TARS_OK;

    for (size_t p = 0; p < PARTS; p++) {
        times[p] = tars_arena_calloc(bench->arena, config->question_count + 1, sizeof(double));
        if (!times[p])
            return no_memory(bench);
    }
    for (n = 0; status == TARS_OK && n < config->question_count; n++) {
        if (is_over(bench))
            return TARS_ECANCELED;
        if (n >= TARS_STAGE_RUNS_MIN && tars_clock_mono_ns() >= end)
            break;
        status = ask_parts(bench, n, times, &cpu);
    }
    for (size_t p = 0; status == TARS_OK && p < PARTS && n > 0; p++) {
        struct tars_stage *stage = &bench->stages[bench->count++];

        *stage = (struct tars_stage){.name = part_names[p], .unit = "searches"};
        tars_stage_fill(stage, times[p], n, cpu, (double)n);
        if (p != PART_SEARCH)
            stage->cpu_ms = NAN;
    }
    bench->asked = n;
    return status;
}

/* Without a cache nothing is kept, and the stage ends before it began. */
static tars_status ask_again(struct bench *bench, size_t round, double *items)
{
    struct tars_retrieved found = {0};
    double ms;
    tars_status status;

    status = ask(bench, round % bench->asked, TARS_RETRIEVE_HYBRID, &found, &ms);
    *items += 1;
    return status == TARS_OK && !found.is_kept ? TARS_ENOTFOUND : status;
}

/* -------------------------------------------------------------------- whole */

static tars_status run_all(struct bench *bench)
{
    const struct tars_stages_config *config = bench->config;
    tars_status status = measure(bench, "tokenizer", "tokens", tokenize);

    if (status == TARS_OK && config->encoder)
        status = bench_encoder(bench);
    if (status == TARS_OK && config->retriever && config->question_count > 0)
        status = bench_search(bench);
    if (status == TARS_OK && bench->asked > 0)
        status = measure(bench, "kept", "searches", ask_again);
    return status;
}

tars_status tars_stages_run(const struct tars_stages_config *config, struct tars_arena *arena,
                            struct tars_stage *stages, size_t *count, struct tars_err *err)
{
    struct bench bench = {.config = config, .arena = arena, .stages = stages, .err = err};
    tars_status status;

    tars_arena_init(&bench.work, CALL_ARENA);
    status = run_all(&bench);
    tars_arena_release(&bench.work);
    if (status == TARS_OK)
        *count = bench.count;
    return status;
}
