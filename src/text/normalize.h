/* normalize - Unicode for everybody: UTF-8 checked and repaired, characters counted, normal forms,
 * and the character rules of BERT's tokenizer.
 *
 * Model     Text from outside is repaired once, where it comes in; after that every text is valid
 *           UTF-8 and offsets fall between characters. A character here is a code point.
 * Repair    An ill-formed sequence becomes U+FFFD, one for each maximal part that could have begun
 *           a character (the practice that Unicode recommends and that Python and browsers follow).
 * Threads   No state: every function is safe everywhere.
 * Costs     Linear. ASCII goes through without a table look-up.
 */
#ifndef TARS_TEXT_NORMALIZE_H
#define TARS_TEXT_NORMALIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/mem/span.h"
#include "base/status.h"

#define TARS_UTF8_MAX         4      /* bytes of one character */
#define TARS_CHAR_REPLACEMENT 0xFFFD /* stands for bytes that are no character */

/* Decode the character at ptr, len > 0 bytes long. Returns how many bytes it takes, at least 1; for
 * an ill-formed sequence *code is TARS_CHAR_REPLACEMENT and the bytes are those that it replaces.
 */
size_t tars_utf8_decode(const char *ptr, size_t len, uint32_t *code);
/* Write code as UTF-8 into out, room for TARS_UTF8_MAX; returns the bytes. Not a scalar value:
 * writes U+FFFD. */
size_t tars_utf8_encode(uint32_t code, char *out);

bool tars_utf8_is_valid(const char *ptr, size_t len);
/* Characters in valid UTF-8. */
size_t tars_utf8_count(const char *ptr, size_t len);
/* The largest offset <= at that falls between two characters of valid UTF-8. */
size_t tars_utf8_floor(const char *ptr, size_t len, size_t at);
/* Bytes that the first count characters of valid UTF-8 take; len when there are fewer. */
size_t tars_utf8_offset(const char *ptr, size_t len, size_t count);

/* Valid UTF-8 out of anything. *out is the input itself where nothing was wrong (then it lends as
 * long as that does), else in arena. NUL bytes stay. */
TARS_MUST_USE tars_status tars_utf8_repair(struct tars_arena *arena, const char *ptr, size_t len,
                                           struct tars_span *out);

enum tars_normal_form {
    TARS_NFC,      /* composed */
    TARS_NFKC,     /* composed, compatibility forms folded: full width, ligatures */
    TARS_NFKC_LOW, /* NFKC, case folded, soft hyphens and the like out; for comparing words */
    TARS_NFKC_LOW_TURKISH, /* the same, but I becomes a dotless i */
};

/* Text in a normal form, in arena; ill-formed bytes become U+FFFD first. Input that is ASCII (and
 * lower case, where that matters) is lent back as it is. */
TARS_MUST_USE tars_status tars_normalize(struct tars_arena *arena, enum tars_normal_form form,
                                         const char *ptr, size_t len, struct tars_span *out);

/* ---- what a character is */

bool tars_char_is_space(uint32_t code); /* Unicode White_Space */
bool tars_char_is_alnum(uint32_t code); /* letter, number or mark */
bool tars_char_is_cjk(uint32_t code);   /* Han, Hiragana, Katakana, Thai: no spaces between words */
uint32_t tars_char_lower(uint32_t code); /* its simple lower case, or itself */

/* ---- BERT's basic tokenizer */

/* Text as BERT's uncased tokenizer sees it before word pieces: control characters gone, white space
 * as one U+0020 each, ideographs between spaces, and with lowercase also accents taken off and
 * lower case. In arena. For words and offsets see wordpiece.h. */
TARS_MUST_USE tars_status tars_normalize_bert(struct tars_arena *arena, const char *ptr, size_t len,
                                              bool lowercase, struct tars_span *out);

#endif
