/* prompt - see prompt.h. */
#include "rag/prompt.h"

#include <string.h>

#include "base/mem/buf.h"
#include "text/normalize.h"
#include "text/sentences.h"

#define CONTEXT_BYTES_MAX ((size_t)1 << 20U)

const char tars_prompt_system[] =
    "You are T.A.R.S., a helpful assistant. Give an accurate and brief answer, in the language of "
    "the question, using only the context. If the context does not contain the answer, say that "
    "the documents do not answer the question.";

const char tars_prompt_system_small[] =
    "You are T.A.R.S., a helpful assistant. Answer the question with one sentence of the context, "
    "accurate and in full. If there is none, say that the context has no answer.";

static size_t count(const struct tars_prompt_budget *budget, struct tars_span text)
{
    size_t tokens = budget->count ? budget->count(budget->ctx, text.ptr, text.len) : 0;

    return tokens ? tokens : (text.len + 3) / 4;
}

/* The longest run of whole sentences from the start of text that has at most tokens tokens; a
 * single sentence that has more is cut at a character. */
static tars_status fit(struct tars_arena *arena, const struct tars_prompt_budget *budget,
                       struct tars_span text, size_t tokens, struct tars_span *out)
{
    struct tars_sentences sentences;
    tars_status status = tars_sentences_split(arena, text.ptr, text.len, &sentences);
    size_t end = 0;

    if (status != TARS_OK)
        return status;
    for (size_t i = 0; i < sentences.count; i++) {
        if (count(budget, tars_span(text.ptr, sentences.items[i].end)) > tokens)
            break;
        end = sentences.items[i].end;
    }
    if (end == 0) {
        end = text.len;
        while (end && count(budget, tars_span(text.ptr, end)) > tokens)
            end = tars_utf8_floor(text.ptr, text.len, end - (end + 7) / 8);
    }
    *out = tars_span(text.ptr, end);
    return TARS_OK;
}

static void write_block(struct tars_buf *out, size_t number, const char *file_name,
                        struct tars_span text)
{
    if (out->len)
        tars_buf_append_char(out, '\n');
    tars_buf_appendf(out, "[Source %zu: %s]\n", number, file_name);
    tars_buf_append(out, text.ptr, text.len);
    tars_buf_append_char(out, '\n');
}

struct writing {
    struct tars_arena *arena;
    const struct tars_prompt_budget *budget;
    struct tars_buf out;
    size_t left; /* tokens */
};

/* Write source i where it fits; *full says that nothing more does. */
static tars_status add_source(struct writing *writing, struct tars_rag_source *source, size_t i,
                              bool *full)
{
    size_t head = 8 + count(writing->budget, tars_span_of(source->file_name));
    struct tars_span text = source->focus.len ? source->focus : source->text;
    size_t need = head + count(writing->budget, text);
    tars_status status = TARS_OK;

    if (need > writing->left) {
        *full = true;
        if (i > 0 || writing->left <= head)
            return TARS_OK;
        status = fit(writing->arena, writing->budget, text, writing->left - head, &text);
        need = writing->left;
    }
    if (status != TARS_OK)
        return status;
    write_block(&writing->out, i + 1, source->file_name, text);
    source->in_context = writing->out.status == TARS_OK;
    writing->left -= need;
    return writing->out.status;
}

tars_status tars_prompt_context(struct tars_arena *arena, const struct tars_prompt_budget *budget,
                                struct tars_rag_source *sources, size_t source_count,
                                const char **context)
{
    struct writing writing = {.arena = arena, .budget = budget, .left = budget->tokens};
    tars_status status = TARS_OK;
    bool full = false;

    tars_buf_init(&writing.out, CONTEXT_BYTES_MAX);
    for (size_t i = 0; i < source_count; i++)
        sources[i].in_context = false;
    for (size_t i = 0; i < source_count && status == TARS_OK && !full; i++)
        status = add_source(&writing, &sources[i], i, &full);
    if (status == TARS_OK) {
        const char *made =
            tars_arena_strndup(arena, writing.out.ptr ? writing.out.ptr : "", writing.out.len);

        *context = made ? made : "";
        status = made ? TARS_OK : TARS_ENOMEM;
    }
    tars_buf_release(&writing.out);
    return status;
}

const char *tars_prompt_build(struct tars_arena *arena, const char *context, const char *query)
{
    return tars_arena_printf(arena, "Context:\n%s\n\nQuestion: %s\n\nAnswer:", context, query);
}
