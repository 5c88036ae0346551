/* answers - see answers.h for the contract. */
#include "eval/answers.h"

#include <string.h>

#include "base/mem/buf.h"
#include "text/normalize.h"

static bool is_article(const char *word, size_t len)
{
    return (len == 1 && word[0] == 'a') || (len == 2 && memcmp(word, "an", 2) == 0) ||
           (len == 3 && memcmp(word, "the", 3) == 0);
}

/* Append the word of low from start to end, unless it is an article or empty. */
static void end_word(struct tars_buf *out, struct tars_span low, size_t start, size_t end)
{
    if (end == start || is_article(low.ptr + start, end - start))
        return;
    tars_buf_append(out, low.ptr + start, end - start);
    tars_buf_append_char(out, ' ');
}

/* The words of text, each with a space behind it, and one before the first. */
static tars_status fold(struct tars_arena *arena, struct tars_span text, struct tars_buf *out)
{
    struct tars_span low;
    tars_status status = tars_normalize(arena, TARS_NFKC_LOW, text.ptr, text.len, &low);
    size_t start = 0;
    size_t at = 0;

    if (status != TARS_OK)
        return status;
    tars_buf_init(out, 2 * low.len + 8);
    tars_buf_append_char(out, ' ');
    while (at < low.len) {
        uint32_t code;
        size_t len = tars_utf8_decode(low.ptr + at, low.len - at, &code);

        if (!tars_char_is_alnum(code)) {
            end_word(out, low, start, at);
            start = at + len;
        }
        at += len;
    }
    end_word(out, low, start, at);
    return out->status;
}

static bool is_cjk_at(const char *ptr, size_t len)
{
    uint32_t code = 0;

    return len > 0 && tars_utf8_decode(ptr, len, &code) > 0 && tars_char_is_cjk(code);
}

/* Words without the space at an end where the script needs none. */
static struct tars_span cut_spaces(const struct tars_buf *folded)
{
    struct tars_span words = tars_span(folded->ptr, folded->len);
    size_t last = words.len > 1 ? tars_utf8_floor(words.ptr, words.len, words.len - 2) : 0;

    if (words.len > 2 && is_cjk_at(words.ptr + last, words.len - last))
        words.len--;
    if (words.len > 1 && is_cjk_at(words.ptr + 1, words.len - 1)) {
        words.ptr++;
        words.len--;
    }
    return words;
}

tars_status tars_answer_holds(struct tars_arena *arena, struct tars_span answer,
                              struct tars_span expected, bool *holds)
{
    struct tars_buf in = {0};
    struct tars_buf out = {0};
    tars_status status = fold(arena, answer, &in);

    if (status == TARS_OK)
        status = fold(arena, expected, &out);
    if (status == TARS_OK) {
        struct tars_span words = cut_spaces(&out);

        *holds = out.len > 1 && memmem(in.ptr, in.len, words.ptr, words.len) != NULL;
    }
    tars_buf_release(&in);
    tars_buf_release(&out);
    return status;
}
