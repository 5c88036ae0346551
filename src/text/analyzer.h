/* analyzer - the words of a text, made comparable: what the word index stores and is asked for.
 *
 * Model     Compatibility forms folded (NFKC), lower case, cut into runs of letters, digits and
 *           marks; then by language: stop words dropped, Snowball stems. Chinese, Japanese and Thai
 *           have no spaces: overlapping pairs of characters (one alone where there is no second),
 *           inside whatever language the rest is in.
 *           A document is analysed in its detected language. A question is short and hard to
 *           detect, so it is analysed in every language that the index holds.
 * Threads   An analyzer belongs to one thread at a time (stemmers have state): one per worker.
 *           Making one costs nothing; stemmers are made when first used and kept.
 * Limits    Terms of at most TARS_TERM_BYTES_MAX bytes; longer words are cut there.
 * Costs     Linear; about 7 MB/s of English, detection another 8 MB/s.
 */
#ifndef TARS_TEXT_ANALYZER_H
#define TARS_TEXT_ANALYZER_H

#include <stddef.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/status.h"

#define TARS_TERM_BYTES_MAX 64 /* of one term */
#define TARS_QUESTION_LONG  4  /* distinct terms; such a question does without single letters */

/* Language, number (stored: never used again), ISO 639 code, Snowball algorithm or NULL. */
#define TARS_LANGUAGE_LIST(X)                       \
    X(TARS_LANG_UNKNOWN, 0, "und", NULL)            \
    X(TARS_LANG_ENGLISH, 1, "en", "english")        \
    X(TARS_LANG_GERMAN, 2, "de", "german")          \
    X(TARS_LANG_FRENCH, 3, "fr", "french")          \
    X(TARS_LANG_SPANISH, 4, "es", "spanish")        \
    X(TARS_LANG_ITALIAN, 5, "it", "italian")        \
    X(TARS_LANG_PORTUGUESE, 6, "pt", "portuguese")  \
    X(TARS_LANG_DUTCH, 7, "nl", "dutch")            \
    X(TARS_LANG_RUSSIAN, 8, "ru", "russian")        \
    X(TARS_LANG_ARABIC, 9, "ar", "arabic")          \
    X(TARS_LANG_HINDI, 10, "hi", "hindi")           \
    X(TARS_LANG_TURKISH, 11, "tr", "turkish")       \
    X(TARS_LANG_CHINESE, 12, "zh", NULL)            \
    X(TARS_LANG_JAPANESE, 13, "ja", NULL)           \
    X(TARS_LANG_THAI, 14, "th", NULL)               \
    X(TARS_LANG_KOREAN, 15, "ko", NULL)             \
    X(TARS_LANG_SWEDISH, 16, "sv", "swedish")       \
    X(TARS_LANG_NORWEGIAN, 17, "no", "norwegian")   \
    X(TARS_LANG_DANISH, 18, "da", "danish")         \
    X(TARS_LANG_FINNISH, 19, "fi", "finnish")       \
    X(TARS_LANG_HUNGARIAN, 20, "hu", "hungarian")   \
    X(TARS_LANG_ROMANIAN, 21, "ro", "romanian")     \
    X(TARS_LANG_GREEK, 22, "el", "greek")           \
    X(TARS_LANG_CATALAN, 23, "ca", "catalan")       \
    X(TARS_LANG_BASQUE, 24, "eu", "basque")         \
    X(TARS_LANG_IRISH, 25, "ga", "irish")           \
    X(TARS_LANG_INDONESIAN, 26, "id", "indonesian") \
    X(TARS_LANG_LITHUANIAN, 27, "lt", "lithuanian") \
    X(TARS_LANG_NEPALI, 28, "ne", "nepali")         \
    X(TARS_LANG_SERBIAN, 29, "sr", "serbian")       \
    X(TARS_LANG_TAMIL, 30, "ta", "tamil")           \
    X(TARS_LANG_ARMENIAN, 31, "hy", "armenian")     \
    X(TARS_LANG_YIDDISH, 32, "yi", "yiddish")       \
    X(TARS_LANG_POLISH, 33, "pl", NULL)             \
    X(TARS_LANG_CZECH, 34, "cs", NULL)              \
    X(TARS_LANG_UKRAINIAN, 35, "uk", NULL)          \
    X(TARS_LANG_BULGARIAN, 36, "bg", NULL)          \
    X(TARS_LANG_HEBREW, 37, "he", NULL)             \
    X(TARS_LANG_PERSIAN, 38, "fa", NULL)            \
    X(TARS_LANG_VIETNAMESE, 39, "vi", NULL)         \
    X(TARS_LANG_BENGALI, 40, "bn", NULL)            \
    X(TARS_LANG_URDU, 41, "ur", NULL)

enum tars_language {
#define X(name, value, code, stemmer) name = (value),
    TARS_LANGUAGE_LIST(X)
#undef X
};

#define TARS_LANGUAGE_COUNT 42 /* ids are below this */

/* ISO 639 code of a language; "und" for a number that is none. Static. */
const char *tars_language_name(int lang);
/* The language of a code such as "de"; TARS_LANG_UNKNOWN for one that is not in the list. */
int tars_language_of(const char *name);
/* The language that most of (text, len) is in; TARS_LANG_UNKNOWN when the text is too short or none
 * stands out. Reads at most the first 64 KiB. Never fails on bad UTF-8. */
int tars_language_detect(const char *text, size_t len);

struct tars_term {
    const char *ptr;   /* (len,) UTF-8, in the arena of the call */
    uint32_t len;      /* 1..TARS_TERM_BYTES_MAX */
    uint32_t position; /* which word of the text, from 0; stop words count. In a question, variants
                          of one word by several languages share it. */
    uint32_t count;    /* in a question: how often the term stands there, its weight for the word
                          index; in a document: 1 */
};

struct tars_terms {
    struct tars_term *items; /* (count,) */
    size_t count;
};

/* A distinct term and how often it stands in the text. */
struct tars_term_count {
    const char *ptr;
    uint32_t len;
    uint32_t tf;
};

struct tars_analyzer;

/* TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_analyzer_new(struct tars_analyzer **analyzer);
void tars_analyzer_free(struct tars_analyzer *analyzer);

/* The terms of a document's text in lang, in order, repeats included; in arena. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_analyze(struct tars_analyzer *analyzer, struct tars_arena *arena,
                                       int lang, const char *text, size_t len,
                                       struct tars_terms *out);

/* The distinct terms of a question over the languages that the index holds; with n_langs 0 as for
 * TARS_LANG_UNKNOWN. With one language exactly the terms that a document in it would give, but
 * single Latin letters, which are left out of a question of TARS_QUESTION_LONG terms or more. When
 * all words are stop words, they are kept. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_analyze_query(struct tars_analyzer *analyzer,
                                             struct tars_arena *arena, const int *langs,
                                             size_t n_langs, const char *text, size_t len,
                                             struct tars_terms *out);

/* Which distinct term, of a tally of terms, stands at each place of the text: *out gives
 * (*count_out,) numbers in arena, UINT32_MAX where none stands (stop words). TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_terms_order(struct tars_arena *arena, const struct tars_terms *terms,
                                           uint32_t **out, size_t *count_out);

/* The distinct terms of terms with their counts, in order of first appearance; *count_out of them,
 * in arena, pointing at the same bytes. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_terms_tally(struct tars_arena *arena, const struct tars_terms *terms,
                                           struct tars_term_count **out, size_t *count_out);

#endif
