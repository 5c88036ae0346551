/* gather - see gather.h for the contract. */
#include "rag/gather.h"

#include <string.h>

#include "base/sys/clock.h"
#include "obs/trace.h"
#include "rag/absence.h"
#include "rag/expand.h"

/* What is searched for. */
struct wordings {
    const char *texts[TARS_GATHER_WORDINGS_MAX];
    size_t count;
};

static void add_wording(struct wordings *wordings, const char *text)
{
    for (size_t i = 0; i < wordings->count; i++) {
        if (strcmp(wordings->texts[i], text) == 0)
            return;
    }
    if (wordings->count < TARS_GATHER_WORDINGS_MAX)
        wordings->texts[wordings->count++] = text;
}

static tars_status expand(struct tars_expander *expander, const char *whole, struct tars_call *call,
                          const char *const **variants, size_t *count)
{
    struct tars_trace_span span;
    tars_status status;

    tars_trace_begin(&call->trace, &span, "expand", TARS_SPAN_INTERNAL);
    status = tars_expand(expander, whole, call, variants, count);
    tars_trace_int(&span, "tars.expansions", (int64_t)*count);
    tars_trace_status(&span, status, NULL);
    tars_trace_end(&span);
    return status;
}

static tars_status word(const struct tars_rag_config *config,
                        const struct tars_rag_request *request, struct tars_call *call,
                        struct wordings *wordings, struct tars_gathered *out)
{
    const char *whole = request->search ? request->search : request->query;
    const char *const *variants = NULL;
    size_t count = 0;
    tars_status status = TARS_OK;
    int64_t start_ns = tars_clock_mono_ns();

    add_wording(wordings, request->query);
    add_wording(wordings, whole);
    if (config->expander && !request->quotes_only) {
        status = expand(config->expander, whole, call, &variants, &count);
        out->expand_ms = (double)(tars_clock_mono_ns() - start_ns) / 1e6;
    }
    for (size_t i = 0; i < count && status == TARS_OK; i++)
        add_wording(wordings, variants[i]);
    out->expansions = count;
    return status;
}

/* ---------------------------------------------------------------------- merge */

/* Sources by falling relevance, each chunk once; those of one relevance in the order of arrival. */
static void insert(struct tars_gathered *out, const struct tars_rag_source *source)
{
    size_t at = 0;

    while (at < out->count && strcmp(out->sources[at].chunk_id, source->chunk_id) != 0)
        at++;
    if (at == out->count) {
        out->count++;
    } else if (out->sources[at].similarity_score >= source->similarity_score) {
        return;
    }
    for (; at > 0 && out->sources[at - 1].similarity_score < source->similarity_score; at--)
        out->sources[at] = out->sources[at - 1];
    out->sources[at] = *source;
}

static tars_status make_room(struct tars_arena *arena, const struct wordings *wordings, int top_k,
                             struct tars_gathered *out)
{
    out->sources =
        tars_arena_calloc(arena, wordings->count * (size_t)top_k + 1, sizeof(*out->sources));
    return out->sources ? TARS_OK : TARS_ENOMEM;
}

/* What one more wording found, or why it found nothing. */
static void merge(struct tars_gathered *out, const struct tars_rag_fetched *found, size_t top_k,
                  bool is_first)
{
    for (size_t at = 0; at < found->count && at < top_k; at++)
        insert(out, &found->sources[at]);
    if (found->degraded)
        out->degraded = found->degraded;
    out->cached = out->cached && found->cached;
    if (is_first) {
        out->unmet = found->unmet;
        out->absence = found->absence;
    } else {
        tars_absence_join(&out->absence, &found->absence);
    }
}

static bool is_fatal(tars_status status, struct tars_call *call)
{
    return status == TARS_ENOMEM || tars_call_is_over(call);
}

static tars_status fetch_one(const struct tars_rag_config *config,
                             const struct tars_rag_request *request, struct tars_call *call,
                             struct tars_gathered *out, struct tars_err *err)
{
    struct tars_rag_fetched found = {.count = 0};
    tars_status status = config->fetch(config->fetch_ctx, request, call, &found, err);

    out->sources = found.sources;
    out->count = found.count;
    out->degraded = found.degraded;
    out->cached = found.cached;
    out->unmet = found.unmet;
    out->absence = found.absence;
    return status;
}

tars_status tars_gather(const struct tars_rag_config *config,
                        const struct tars_rag_request *request, struct tars_call *call,
                        struct tars_gathered *out, struct tars_err *err)
{
    struct tars_rag_request asked = *request;
    struct wordings wordings = {.count = 0};
    size_t top_k = (size_t)request->top_k;
    tars_status status;

    *out = (struct tars_gathered){.count = 0};
    status = word(config, request, call, &wordings, out);
    if (status != TARS_OK) {
        return tars_fail(status, err, "the question was not expanded: %s",
                         tars_status_text(status));
    }
    if (wordings.count == 1)
        return fetch_one(config, &asked, call, out, err);
    if (make_room(call->arena, &wordings, request->top_k, out) != TARS_OK)
        return tars_fail(TARS_ENOMEM, err, "the passages found do not fit into memory");
    out->cached = true;
    for (size_t i = 0; i < wordings.count; i++) {
        struct tars_rag_fetched found = {.count = 0};

        asked.query = wordings.texts[i];
        status = config->fetch(config->fetch_ctx, &asked, call, &found, err);
        if (status != TARS_OK && (i == 0 || is_fatal(status, call)))
            return status;
        if (status == TARS_OK) {
            merge(out, &found, top_k, i == 0);
        } else {
            out->cached = false;
        }
    }
    if (out->count > top_k)
        out->count = top_k;
    return TARS_OK;
}
