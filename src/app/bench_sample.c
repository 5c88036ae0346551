/* bench_sample - what `tars bench` embeds and asks; see bench.h. */
#include "app/bench.h"

#include <string.h>

#include "base/mem/buf.h"
#include "store/store.h"

#define TEXTS          192
#define SPOTS          24 /* in the store, so that not all is of one document */
#define QUESTIONS      384
#define QUESTION_WORDS 9
#define MADE_WORDS     110 /* of a made-up passage: about 150 word pieces */
#define TEXT_MAX       ((size_t)1 << 20)

/* Words that fit any document a little and none well. */
static const char *const vocabulary[] = {
    "harbour", "ledger",  "copper",  "winter",   "engine",  "garden",  "letter",  "signal",
    "river",   "market",  "teacher", "bridge",   "mineral", "voyage",  "charter", "measure",
    "village", "pattern", "capital", "railway",  "weather", "council", "library", "current",
    "machine", "surface", "history", "contract", "species", "battery", "journal", "chamber",
    "theory",  "glacier", "printer", "medicine", "harvest", "element", "custom",  "archive"};
static const char *const small_words[] = {"the", "of", "and", "in", "to", "was", "by", "with"};
#define VOCABULARY  (sizeof(vocabulary) / sizeof(vocabulary[0]))
#define SMALL_WORDS (sizeof(small_words) / sizeof(small_words[0]))

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* ------------------------------------------------------------------ made up */

static tars_status make_text(struct tars_arena *arena, uint64_t number, struct tars_span *out)
{
    uint64_t random = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
    struct tars_buf text;
    char *copy;

    tars_buf_init(&text, TEXT_MAX);
    for (size_t i = 0; i < MADE_WORDS; i++) {
        const char *word = i % 2 ? small_words[next_random(&random) % SMALL_WORDS]
                                 : vocabulary[next_random(&random) % VOCABULARY];

        tars_buf_append_text(&text, word);
        if (i % 16 == 5)
            tars_buf_appendf(&text, " %u", (unsigned)(next_random(&random) % 2000));
        tars_buf_append_text(&text, i % 14 == 13 ? ". " : " ");
    }
    copy = text.status == TARS_OK ? tars_arena_strndup(arena, text.ptr, text.len) : NULL;
    *out = tars_span(copy, copy ? text.len : 0);
    tars_buf_release(&text);
    return copy ? TARS_OK : TARS_ENOMEM;
}

static tars_status make_up(struct tars_arena *arena, struct tars_bench_sample *sample)
{
    tars_status status = TARS_OK;

    sample->is_made_up = true;
    while (status == TARS_OK && sample->text_count < TEXTS) {
        status = make_text(arena, sample->text_count, &sample->texts[sample->text_count]);
        sample->text_count += status == TARS_OK;
    }
    return status;
}

/* --------------------------------------------------------------- from store */

static void keep_texts(const struct tars_store_passages *some, struct tars_bench_sample *sample)
{
    for (size_t i = 0; i < some->count && sample->text_count < TEXTS; i++) {
        if (some->items[i].text_len > 0) {
            sample->texts[sample->text_count++] =
                tars_span(some->items[i].text, some->items[i].text_len);
        }
    }
}

/* A few passages from each of SPOTS places between the first and the last id. */
static tars_status take(struct tars_store *store, struct tars_arena *arena, uint64_t last,
                        struct tars_bench_sample *sample, struct tars_err *err)
{
    uint64_t from = 1;
    tars_status status = TARS_OK;

    for (size_t spot = 0; spot < SPOTS && from <= last && status == TARS_OK; spot++) {
        struct tars_store_passages some = {0};

        status = tars_store_passage_range(store, from, last, TEXTS / SPOTS, TARS_LOAD_TEXT, arena,
                                          &some, err);
        if (status != TARS_OK || some.count == 0)
            break;
        keep_texts(&some, sample);
        from = some.items[some.count - 1].id + 1 + last / SPOTS;
    }
    return status;
}

/* ---------------------------------------------------------------- questions */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* QUESTION_WORDS words of text from word skip on; fewer at its end. */
static struct tars_span words_of(struct tars_span text, size_t skip)
{
    size_t words = 0;
    size_t start = 0;
    size_t at = 0;

    while (at < text.len && words < skip + QUESTION_WORDS) {
        while (at < text.len && is_space(text.ptr[at]))
            at++;
        if (words == skip)
            start = at;
        while (at < text.len && !is_space(text.ptr[at]))
            at++;
        words++;
    }
    return words > skip ? tars_span(text.ptr + start, at - start) : tars_span(text.ptr, 0);
}

/* Rounds over the texts, further into each every time. */
static void make_questions(struct tars_bench_sample *sample)
{
    for (size_t i = 0; i < (size_t)4 * QUESTIONS && sample->question_count < QUESTIONS; i++) {
        size_t round = i / sample->text_count;
        struct tars_span question =
            words_of(sample->texts[i % sample->text_count], round * QUESTION_WORDS + 2);

        if (question.len > 0 && question.len < 1000)
            sample->questions[sample->question_count++] = question;
    }
}

tars_status tars_bench_sample_take(const struct tars_bench_parts *parts, struct tars_arena *arena,
                                   struct tars_bench_sample *sample, struct tars_err *err)
{
    struct tars_store_stats stats;
    struct tars_bench_sample made = {.text_count = 0};
    tars_status status = tars_store_stats(parts->store, &stats, err);

    if (status != TARS_OK)
        return status;
    made.passages = stats.passages;
    made.texts = tars_arena_calloc(arena, TEXTS, sizeof(*made.texts));
    made.questions = tars_arena_calloc(arena, QUESTIONS, sizeof(*made.questions));
    if (!made.texts || !made.questions)
        return tars_fail(TARS_ENOMEM, err, "no memory for a sample");
    if (stats.passages > 0)
        status = take(parts->store, arena, parts->last_passage, &made, err);
    if (status == TARS_OK && made.text_count == 0)
        status = make_up(arena, &made);
    if (status != TARS_OK)
        return status;
    make_questions(&made);
    *sample = made;
    return TARS_OK;
}
