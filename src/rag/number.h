/* number - numbers in running text, made comparable whatever way they are written.
 *
 *     1,234.50   1234.5   1.234,50   1 234.5 (thin spaces)   ١٢٣٤٫٥   -> 1234.5
 *     5 million   5,000,000   5 Mio.   500万                          -> 5000000
 *     12 %   12 percent   12 Prozent                                  -> 12, percent
 *     $5   5 USD   5 dollars                                          -> 5, dollar
 *
 * "1,234" may be a thousand or a little over one: both readings are kept, and numbers are equal
 * when a reading of one is a reading of the other. Signs are not compared, because texts say
 * "fell 5 %" for -5 %.
 */
#ifndef TARS_RAG_NUMBER_H
#define TARS_RAG_NUMBER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/span.h"

enum tars_unit {
    TARS_UNIT_NONE = 0,
    TARS_UNIT_PERCENT,
    TARS_UNIT_DOLLAR,
    TARS_UNIT_EURO,
    TARS_UNIT_POUND,
    TARS_UNIT_YEN,
    TARS_UNIT_RUPEE,
};

struct tars_number {
    double value;        /* the likelier reading */
    double other;        /* the other reading, or the same again */
    double scale;        /* 1, or of the word behind it: a million is 1e6 */
    enum tars_unit unit; /* of the sign or word beside it */
};

/* Value of a decimal digit in any of the scripts known here, -1 for other characters. */
int tars_digit_value(uint32_t code);

/* Read the number that begins at text.ptr, a digit (0 < len). Returns the bytes it takes. Only
 * value and other are set, the rest is left at "no unit, scale 1". A run such as 12.03.2020 or
 * 1.2.3 gives its first part alone. */
size_t tars_number_read(struct tars_span text, struct tars_number *number);

/* The number that a lower-case English word says ("five", "twelfth" not): true and *value. */
bool tars_number_of_word(struct tars_span word, double *value);
/* The scale of a lower-case word or character behind a number ("million", "万"); 0: none. */
double tars_number_scale_of(struct tars_span word);
/* The unit that a lower-case word or sign stands for; NONE for other words. */
enum tars_unit tars_number_unit_of(struct tars_span word);
/* 1..12 for the lower-case name or usual abbreviation of a month (English, German, French,
 * Spanish), else 0. */
int tars_number_month_of(struct tars_span word);

/* Whether a and b may be the same. Different units differ; a missing unit fits any. */
bool tars_number_equal(const struct tars_number *a, const struct tars_number *b);

#endif
