/* number - see number.h. */
#include "rag/number.h"

#include <math.h>

#include "rag/listed.h"
#include "text/normalize.h"

#define GROUPS_MAX 8

/* Digits of a run, cut at its separators. */
struct groups {
    double value[GROUPS_MAX];
    int digits[GROUPS_MAX];
    uint32_t separator[GROUPS_MAX]; /* before the group; 0 for the first */
    size_t end[GROUPS_MAX];         /* bytes from the start of the run */
    size_t count;
};

/* First digits of the decimal digits of each script known. */
static const uint32_t zeros[] = {0x30, 0x660, 0x6F0, 0x966, 0x9E6, 0xE50, 0xFF10};

int tars_digit_value(uint32_t code)
{
    if (code < zeros[1])
        return code >= '0' && code <= '9' ? (int)(code - '0') : -1;
    for (size_t i = 1; i < sizeof(zeros) / sizeof(zeros[0]); i++) {
        if (code >= zeros[i] && code < zeros[i] + 10)
            return (int)(code - zeros[i]);
    }
    return -1;
}

/* Characters that may stand between the digits of one number; 0: none. Kinds that mean the same
 * become one: spaces and apostrophes group, an Arabic decimal separator is a comma. */
static uint32_t separator_of(uint32_t code)
{
    switch (code) {
    case ',':
    case '.':
        return code;
    case 0x66B: /* Arabic decimal separator */
        return ',';
    case '\'':
    case 0x2019:
    case 0xA0:
    case 0x2009:
    case 0x202F:
    case 0x66C: /* Arabic thousands separator */
        return ' ';
    default:
        return 0;
    }
}

static size_t read_group(struct tars_span text, size_t at, uint32_t separator,
                         struct groups *groups)
{
    double value = 0;
    int digits = 0;

    while (at < text.len) {
        uint32_t code;
        size_t len = tars_utf8_decode(text.ptr + at, text.len - at, &code);
        int digit = tars_digit_value(code);

        if (digit < 0)
            break;
        value = value * 10 + digit;
        digits++;
        at += len;
    }
    if (digits) {
        groups->value[groups->count] = value;
        groups->digits[groups->count] = digits;
        groups->separator[groups->count] = separator;
        groups->end[groups->count] = at;
        groups->count++;
    }
    return at;
}

static void read_groups(struct tars_span text, struct groups *groups)
{
    size_t at = read_group(text, 0, 0, groups);

    while (groups->count < GROUPS_MAX && at < text.len) {
        uint32_t code;
        size_t len = tars_utf8_decode(text.ptr + at, text.len - at, &code);
        uint32_t separator = separator_of(code);
        size_t before = groups->count;

        if (!separator)
            break;
        at = read_group(text, at + len, separator, groups);
        if (groups->count == before)
            break;
    }
}

/* Groups first+1 .. last-1 behind the same separator, of three digits (or two, as in India: the
 * last one still has three). */
static bool are_thousands(const struct groups *groups, size_t last)
{
    if (groups->digits[0] > 3 || last == 0 || groups->digits[last] != 3)
        return false;
    for (size_t i = 1; i <= last; i++) {
        if (groups->separator[i] != groups->separator[1] ||
            (groups->digits[i] != 3 && groups->digits[i] != 2))
            return false;
    }
    return true;
}

static double joined(const struct groups *groups, size_t last)
{
    double value = groups->value[0];

    for (size_t i = 1; i <= last; i++)
        value = value * pow(10, groups->digits[i]) + groups->value[i];
    return value;
}

static double with_fraction(const struct groups *groups, double whole, size_t at)
{
    return whole + groups->value[at] / pow(10, groups->digits[at]);
}

size_t tars_number_read(struct tars_span text, struct tars_number *number)
{
    struct groups groups = {.count = 0};
    size_t last;

    *number = (struct tars_number){.scale = 1};
    read_groups(text, &groups);
    if (groups.count == 0)
        return 0;
    last = groups.count - 1;
    number->value = groups.value[0];
    if (last == 1 && groups.separator[1] != ' ') {
        number->value = with_fraction(&groups, groups.value[0], 1);
        number->other = number->value;
        if (are_thousands(&groups, 1)) {
            number->other = joined(&groups, 1);
            if (groups.separator[1] == ',') {
                number->other = number->value;
                number->value = joined(&groups, 1);
            }
        }
        return groups.end[1];
    }
    if (last > 0 && are_thousands(&groups, last)) {
        number->value = joined(&groups, last);
    } else if (last > 1 && groups.separator[last] != groups.separator[1] &&
               groups.separator[last] != ' ' && are_thousands(&groups, last - 1)) {
        number->value = with_fraction(&groups, joined(&groups, last - 1), last);
    } else {
        last = 0;
    }
    number->other = number->value;
    return groups.end[last];
}

/* -------------------------------------------------------------------- words */

struct word_value {
    const char *word;
    double value;
};

/* "one" is left out: it counts less often than it points. */
static const struct word_value number_words[] = {
    {"two", 2},        {"three", 3},     {"four", 4},      {"five", 5},     {"six", 6},
    {"seven", 7},      {"eight", 8},     {"nine", 9},      {"ten", 10},     {"eleven", 11},
    {"twelve", 12},    {"thirteen", 13}, {"fourteen", 14}, {"fifteen", 15}, {"sixteen", 16},
    {"seventeen", 17}, {"eighteen", 18}, {"nineteen", 19}, {"twenty", 20},  {"thirty", 30},
    {"forty", 40},     {"fifty", 50},    {"sixty", 60},    {"seventy", 70}, {"eighty", 80},
    {"ninety", 90},    {"hundred", 100}, {"zero", 0},
};

static const struct word_value scales[] = {
    {"thousand", 1e3}, {"million", 1e6},   {"millions", 1e6},   {"billion", 1e9},
    {"bn", 1e9},       {"mn", 1e6},        {"trillion", 1e12},  {"tausend", 1e3},
    {"mio", 1e6},      {"millionen", 1e6}, {"milliarde", 1e9},  {"milliarden", 1e9},
    {"mrd", 1e9},      {"mille", 1e3},     {"milliard", 1e9},   {"milliards", 1e9},
    {"mil", 1e3},      {"millones", 1e6},  {"millón", 1e6},     {"миллион", 1e6},
    {"млн", 1e6},      {"миллионов", 1e6}, {"миллиона", 1e6},   {"млрд", 1e9},
    {"тысяч", 1e3},    {"тысячи", 1e3},    {"миллиардов", 1e9}, {"миллиарда", 1e9},
    {"milyon", 1e6},   {"milyar", 1e9},    {"bin", 1e3},        {"مليون", 1e6},
    {"مليار", 1e9},    {"ألف", 1e3},       {"लाख", 1e5},        {"करोड़", 1e7},
    {"मिलियन", 1e6},   {"बिलियन", 1e9},    {"万", 1e4},         {"萬", 1e4},
    {"亿", 1e8},       {"億", 1e8},        {"lakh", 1e5},       {"crore", 1e7},
};

static const struct word_value units[] = {
    {"%", TARS_UNIT_PERCENT},       {"percent", TARS_UNIT_PERCENT}, {"％", TARS_UNIT_PERCENT},
    {"prozent", TARS_UNIT_PERCENT}, {"pct", TARS_UNIT_PERCENT},     {"$", TARS_UNIT_DOLLAR},
    {"usd", TARS_UNIT_DOLLAR},      {"dollar", TARS_UNIT_DOLLAR},   {"dollars", TARS_UNIT_DOLLAR},
    {"€", TARS_UNIT_EURO},          {"eur", TARS_UNIT_EURO},        {"euro", TARS_UNIT_EURO},
    {"euros", TARS_UNIT_EURO},      {"£", TARS_UNIT_POUND},         {"gbp", TARS_UNIT_POUND},
    {"¥", TARS_UNIT_YEN},           {"yen", TARS_UNIT_YEN},         {"₹", TARS_UNIT_RUPEE},
};

static const struct word_value months[] = {
    {"january", 1},    {"jan", 1},       {"januar", 1},    {"janvier", 1},   {"enero", 1},
    {"february", 2},   {"feb", 2},       {"februar", 2},   {"février", 2},   {"febrero", 2},
    {"march", 3},      {"mar", 3},       {"märz", 3},      {"mars", 3},      {"marzo", 3},
    {"april", 4},      {"apr", 4},       {"avril", 4},     {"abril", 4},     {"may", 5},
    {"mai", 5},        {"mayo", 5},      {"june", 6},      {"jun", 6},       {"juni", 6},
    {"juin", 6},       {"junio", 6},     {"july", 7},      {"jul", 7},       {"juli", 7},
    {"juillet", 7},    {"julio", 7},     {"august", 8},    {"aug", 8},       {"août", 8},
    {"agosto", 8},     {"september", 9}, {"sept", 9},      {"sep", 9},       {"septembre", 9},
    {"septiembre", 9}, {"october", 10},  {"oct", 10},      {"oktober", 10},  {"octobre", 10},
    {"octubre", 10},   {"november", 11}, {"nov", 11},      {"novembre", 11}, {"noviembre", 11},
    {"december", 12},  {"dec", 12},      {"dezember", 12}, {"décembre", 12}, {"diciembre", 12},
};

static const struct word_value *look_up(const struct word_value *table, size_t count,
                                        struct tars_span word)
{
    for (size_t i = 0; i < count; i++) {
        if (tars_listed_is(word, table[i].word))
            return &table[i];
    }
    return NULL;
}

#define LOOK_UP(table, word) look_up(table, sizeof(table) / sizeof((table)[0]), word)

bool tars_number_of_word(struct tars_span word, double *value)
{
    const struct word_value *found = LOOK_UP(number_words, word);

    if (found)
        *value = found->value;
    return found != NULL;
}

double tars_number_scale_of(struct tars_span word)
{
    const struct word_value *found = LOOK_UP(scales, word);

    return found ? found->value : 0;
}

enum tars_unit tars_number_unit_of(struct tars_span word)
{
    const struct word_value *found = LOOK_UP(units, word);

    return found ? (enum tars_unit)found->value : TARS_UNIT_NONE;
}

int tars_number_month_of(struct tars_span word)
{
    const struct word_value *found = LOOK_UP(months, word);

    return found ? (int)found->value : 0;
}

static bool same(double a, double b)
{
    return fabs(a - b) <= 1e-9 * fmax(fabs(a), fabs(b));
}

bool tars_number_equal(const struct tars_number *a, const struct tars_number *b)
{
    if (a->unit && b->unit && a->unit != b->unit)
        return false;
    return same(a->value * a->scale, b->value * b->scale) ||
           same(a->other * a->scale, b->value * b->scale) ||
           same(a->value * a->scale, b->other * b->scale) ||
           same(a->other * a->scale, b->other * b->scale);
}
