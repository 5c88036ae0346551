/* phrases - see phrases.h. */
#include "index/phrases.h"

#include <stdbool.h>
#include <stdlib.h>

struct walk {
    const struct tars_phrases *phrases;
    const struct tars_index_phrase *phrase;
    struct tars_postings_cursor *cursors; /* (phrase->count,) */
    size_t rarest;                        /* the cursor that leads */
    uint32_t *words;                      /* (word_cap,) owned; of the passage at hand */
    size_t word_cap;
    uint64_t *ids; /* (cap,) owned */
    size_t count, cap;
};

/* Stand on the first posting of each word. False: one is in no passage. */
static bool start(struct walk *walk)
{
    const struct tars_postings *postings = walk->phrases->postings;
    uint32_t least = UINT32_MAX;

    for (size_t i = 0; i < walk->phrase->count; i++) {
        const struct tars_index_phrase_word *word = &walk->phrase->words[i];
        uint32_t number =
            word->len == 0 || word->len > TARS_POSTINGS_TERM_MAX
                ? TARS_POSTINGS_NONE
                : tars_postings_find(postings, word->ptr, word->len, walk->phrase->field);
        uint32_t df;

        if (number == TARS_POSTINGS_NONE)
            return false;
        tars_postings_cursor_init(&walk->cursors[i], postings, number);
        df = atomic_load_explicit(&tars_postings_term_at(postings, number)->df,
                                  memory_order_relaxed);
        if (df < least) {
            least = df;
            walk->rarest = i;
        }
    }
    return true;
}

/* Go to the first passage not under ordinal that has all words; at or over the view when there is
 * none. */
static uint32_t next_common(struct walk *walk, uint32_t ordinal)
{
    struct tars_postings_cursor *leader = &walk->cursors[walk->rarest];
    size_t i = 0;

    tars_postings_seek(leader, ordinal);
    while (i < walk->phrase->count && leader->ordinal < walk->phrases->view.count) {
        struct tars_postings_cursor *cursor = &walk->cursors[i];

        tars_postings_seek(cursor, leader->ordinal);
        if (cursor->ordinal == leader->ordinal) {
            i++;
        } else {
            tars_postings_seek(leader, cursor->ordinal);
            i = 0;
        }
    }
    return leader->ordinal;
}

static tars_status read_words(struct walk *walk, uint32_t ordinal, size_t *n)
{
    struct tars_sequence_reader reader = tars_sequence_read(walk->phrases->sequence, ordinal);
    size_t room = (size_t)(reader.end - reader.at) * TARS_SEQUENCE_RUN; /* a byte may be so many */

    if (room > walk->word_cap) {
        uint32_t *made = realloc(walk->words, room * sizeof(*made));

        if (!made)
            return TARS_ENOMEM;
        walk->words = made;
        walk->word_cap = room;
    }
    for (*n = 0; *n < room && tars_sequence_next(&reader, &walk->words[*n]); (*n)++)
        ;
    return TARS_OK;
}

/* Words that the phrase leaves out are left out there too. */
static bool stands_at(const struct walk *walk, size_t at, size_t n)
{
    const struct tars_index_phrase_word *words = walk->phrase->words;
    size_t place = at;

    for (size_t i = 0; i < walk->phrase->count; i++) {
        size_t to = at + (words[i].position - words[0].position);

        for (; place < to && place < n; place++) {
            if (walk->words[place] != TARS_SEQUENCE_GAP)
                return false;
        }
        if (to >= n || walk->words[to] != walk->cursors[i].number)
            return false;
        place = to + 1;
    }
    return true;
}

/* Whether the passage has the words in their order. */
static tars_status holds(struct walk *walk, uint32_t ordinal, bool *yes)
{
    size_t n = 0;
    tars_status status;

    *yes = walk->phrase->count == 1 || walk->phrase->field != TARS_INDEX_TEXT;
    if (*yes)
        return TARS_OK;
    status = read_words(walk, ordinal, &n);
    for (size_t at = 0; status == TARS_OK && at < n && !*yes; at++)
        *yes = stands_at(walk, at, n);
    return status;
}

static tars_status keep(struct walk *walk, uint64_t id)
{
    if (walk->count == walk->cap) {
        size_t cap = walk->cap ? 2 * walk->cap : 64;
        uint64_t *made = realloc(walk->ids, cap * sizeof(*made));

        if (!made)
            return TARS_ENOMEM;
        walk->ids = made;
        walk->cap = cap;
    }
    walk->ids[walk->count++] = id;
    return TARS_OK;
}

static tars_status find_all(struct walk *walk)
{
    const struct tars_passages_view *view = &walk->phrases->view;
    tars_status status = TARS_OK;

    for (uint32_t ordinal = next_common(walk, 0); ordinal < view->count && status == TARS_OK;
         ordinal = next_common(walk, ordinal + 1)) {
        const struct tars_passage *passage =
            tars_passages_seen(walk->phrases->passages, view, ordinal);
        bool yes = false;

        if (passage)
            status = holds(walk, ordinal, &yes);
        if (yes && status == TARS_OK)
            status = keep(walk, passage->id);
    }
    return status;
}

tars_status tars_phrases_find(const struct tars_phrases *phrases,
                              const struct tars_index_phrase *phrase, uint64_t **ids, size_t *n)
{
    struct walk walk = {.phrases = phrases, .phrase = phrase};
    tars_status status = TARS_OK;

    walk.cursors = malloc((phrase->count + 1) * sizeof(*walk.cursors));
    if (!walk.cursors)
        return TARS_ENOMEM;
    if (phrase->count > 0 && start(&walk))
        status = find_all(&walk);
    free(walk.cursors);
    free(walk.words);
    if (status != TARS_OK) {
        free(walk.ids);
        return status;
    }
    *ids = walk.ids;
    *n = walk.count;
    return TARS_OK;
}
