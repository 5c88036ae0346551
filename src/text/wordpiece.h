/* wordpiece - BERT's tokenizer: text to the ids of word pieces, with their places in the text.
 *
 * Model     Token for token what Hugging Face's `tokenizers` gives for a bert-base vocabulary:
 *           clean, space out ideographs, take accents off, lower case, split at white space and
 *           punctuation, then the longest piece that fits, again and again; a word with a rest
 *           that no piece fits, or of more than max_word_chars characters, is [UNK]. The literal
 *           texts [PAD] [UNK] [CLS] [SEP] [MASK] are those tokens, as there. start and end are
 *           byte offsets into the text as given (not as normalised).
 * Limits    A text of at most UINT32_MAX - 1 bytes; a vocabulary of at most
 *           TARS_WORDPIECE_VOCAB_MAX.
 * Memory    About 64 bytes a piece of vocabulary, once; 12 bytes a token, in the caller's arena.
 * Threads   Read-only after _new(): share it freely.
 * Costs     Linear in the text: a word's pieces cost at most max_word_chars squared.
 */
#ifndef TARS_TEXT_WORDPIECE_H
#define TARS_TEXT_WORDPIECE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/mem/span.h"
#include "base/status.h"

#define TARS_WORDPIECE_VOCAB_MAX      1000000 /* pieces */
#define TARS_WORDPIECE_WORD_CHARS     100     /* default of max_word_chars */
#define TARS_WORDPIECE_WORD_CHARS_MAX 200

struct tars_wordpiece;

struct tars_wordpiece_config {
    struct tars_span vocab_txt; /* one piece a line, the line number is the id; required; borrowed
                                   for the call */
    bool cased;                 /* false: lower case and accents off, as bert-base-uncased */
    size_t max_word_chars;      /* 0: TARS_WORDPIECE_WORD_CHARS */
};

/* Ids of the pieces that the model itself needs. */
struct tars_wordpiece_specials {
    int32_t pad, unk, cls, sep;
    int32_t mask; /* -1 where the vocabulary has none */
};

struct tars_tokens {
    int32_t *ids;    /* (count,) */
    uint32_t *start; /* (count,) first byte of each in the text */
    uint32_t *end;   /* (count,) one past its last byte */
    size_t count;
};

/* Make a tokenizer; the caller frees it.
 *
 *   TARS_EINVAL   max_word_chars over its limit
 *   TARS_EFORMAT  the vocabulary lacks [UNK], [CLS], [SEP] or [PAD], or has too many pieces
 *   TARS_ENOMEM
 */
TARS_MUST_USE tars_status tars_wordpiece_new(const struct tars_wordpiece_config *config,
                                             struct tars_wordpiece **wordpiece,
                                             struct tars_err *err);
void tars_wordpiece_free(struct tars_wordpiece *wordpiece);

/* The tokens of (text, len), without [CLS] and [SEP]; they live in arena. Ill-formed UTF-8 is
 * taken as U+FFFD.
 *
 *   TARS_ETOOBIG  len is UINT32_MAX or more
 *   TARS_ENOMEM   the arena is full; *out is untouched
 */
TARS_MUST_USE tars_status tars_wordpiece_encode(const struct tars_wordpiece *wordpiece,
                                                struct tars_arena *arena, const char *text,
                                                size_t len, struct tars_tokens *out);

/* How many tokens _encode() would give; allocates nothing. */
size_t tars_wordpiece_count(const struct tars_wordpiece *wordpiece, const char *text, size_t len);

struct tars_wordpiece_specials tars_wordpiece_specials(const struct tars_wordpiece *wordpiece);
size_t tars_wordpiece_vocab_size(const struct tars_wordpiece *wordpiece);
/* The piece of an id, as in the vocabulary ("##ing"); empty for an id that is none. */
struct tars_span tars_wordpiece_piece(const struct tars_wordpiece *wordpiece, int32_t id);

#endif
