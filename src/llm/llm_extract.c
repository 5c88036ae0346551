/* llm_extract - see llm_extract.h. What to quote is chosen by rag/quote; here it is only said.
 *
 *     No language model is answering; these passages of the documents are quoted word for word:
 *
 *     "Staff may take 30 days." [1]
 *
 *     "Unused days are carried over until March." [2]
 */
#include "llm/llm_extract.h"

#include <stdio.h>
#include <stdlib.h>

#include "llm/emit.h"

static const char opening[] =
    "No language model is answering; these passages of the documents are quoted word for word:";
static const char nothing[] = "The documents do not answer this question.";

static tars_status push_quote(struct tars_emit *emit, const struct tars_llm_quote *quote)
{
    char mark[32];
    int len = snprintf(mark, sizeof(mark), "\" [%d]", quote->source);
    tars_status status = tars_emit_push(emit, "\n\n\"", 3);

    if (status == TARS_OK)
        status = tars_emit_push(emit, quote->text.ptr, quote->text.len);
    if (status == TARS_OK)
        status = tars_emit_push(emit, mark, (size_t)len);
    return status;
}

static size_t count_words(const struct tars_llm_request *request)
{
    size_t words = 0;

    for (size_t i = 0; i < request->quote_count; i++) {
        const struct tars_span *text = &request->quotes[i].text;

        for (size_t at = 0; at < text->len; at++)
            words += text->ptr[at] == ' ';
        words++;
    }
    return words;
}

static tars_status generate(struct tars_llm *llm, const struct tars_llm_request *request,
                            struct tars_call *call, const struct tars_llm_sink *sink,
                            struct tars_llm_result *result, struct tars_err *err)
{
    struct tars_emit emit;
    tars_status status;

    (void)llm;
    if (request->free_text)
        return tars_fail(TARS_EUNSUPPORTED, err, "no language model is available");
    tars_emit_init(&emit, sink, call, result);
    if (request->quote_count == 0) {
        status = tars_emit_push(&emit, nothing, sizeof(nothing) - 1);
    } else {
        status = tars_emit_push(&emit, opening, sizeof(opening) - 1);
    }
    for (size_t i = 0; i < request->quote_count && status == TARS_OK; i++)
        status = push_quote(&emit, &request->quotes[i]);
    if (status == TARS_OK)
        status = tars_emit_finish(&emit);
    result->tokens = count_words(request);
    return status == TARS_OK ? TARS_OK : tars_fail(status, err, "the quoting was stopped");
}

static tars_status health(struct tars_llm *llm, struct tars_call *call, struct tars_err *err)
{
    (void)llm;
    (void)call;
    (void)err;
    return TARS_OK;
}

static void release(struct tars_llm *llm)
{
    free(llm);
}

static const struct tars_llm_ops ops = {
    .name = "extract",
    .needs_quotes = true,
    .generate = generate,
    .health = health,
    .free = release,
};

tars_status tars_llm_extract_open(struct tars_llm **llm, struct tars_err *err)
{
    struct tars_llm *made = calloc(1, sizeof(*made));

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "quoting: out of memory");
    made->ops = &ops;
    tars_llm_set_model(made->model, TARS_LLM_EXTRACT_MODEL);
    *llm = made;
    return TARS_OK;
}
