/* bert_scan - see bert_scan.h. Where the reference's tables differ from utf8proc's, the reference
 * is followed: see bert_tables.h. */
#include "text/bert_scan.h"

#include <assert.h>

#include <utf8proc.h>

#include "text/bert_tables.h"
#include "text/normalize.h"

#define COUNT_OF(a)    (sizeof(a) / sizeof((a)[0]))
#define DECOMPOSED_MAX 8 /* the longest canonical decomposition is 4 */

/* ------------------------------------------------------- what a character is */

static bool is_in(const struct range *ranges, size_t count, uint32_t code)
{
    size_t lo = 0;
    size_t hi = count;

    while (lo < hi) {
        size_t mid = (lo + hi) / 2;

        if (code > ranges[mid].last) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo < count && code >= ranges[lo].first;
}

static bool is_removed(uint32_t code)
{
    if (code < 0x80)
        return (code < 0x20 && code != '\t' && code != '\n' && code != '\r') || code == 0x7F;
    switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CO:
        return true;
    case UTF8PROC_CATEGORY_CF:
        return !is_in(FORMAT_KEPT, COUNT_OF(FORMAT_KEPT), code);
    default:
        return code == TARS_CHAR_REPLACEMENT;
    }
}

/* The blocks that the reference sets apart; not the same as Han. */
static bool is_ideograph(uint32_t code)
{
    return (code >= 0x4E00 && code <= 0x9FFF) || (code >= 0x3400 && code <= 0x4DBF) ||
           (code >= 0x20000 && code <= 0x2A6DF) || (code >= 0x2A700 && code <= 0x2B81F) ||
           (code >= 0x2B920 && code <= 0x2CEAF) || (code >= 0xF900 && code <= 0xFAFF) ||
           (code >= 0x2F800 && code <= 0x2FA1F);
}

static bool is_accent(uint32_t code)
{
    if (code < 0x300)
        return false;
    if (code == 0x1734) /* became a spacing mark in Unicode 14 */
        return true;
    return utf8proc_category((utf8proc_int32_t)code) == UTF8PROC_CATEGORY_MN &&
           !is_in(MARK_UNKNOWN, COUNT_OF(MARK_UNKNOWN), code);
}

bool tars_bert_is_punctuation(uint32_t code)
{
    if (code < 0x80) {
        return (code >= '!' && code <= '/') || (code >= ':' && code <= '@') ||
               (code >= '[' && code <= '`') || (code >= '{' && code <= '~');
    }
    if (code == 0x166D || code == 0x111C9) /* were punctuation once */
        return true;
    switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
        return !is_in(PUNCTUATION_UNKNOWN, COUNT_OF(PUNCTUATION_UNKNOWN), code);
    default:
        return false;
    }
}

static uint32_t lower(uint32_t code)
{
    uint32_t folded;

    if (code < 0x80)
        return code >= 'A' && code <= 'Z' ? code + 32 : code;
    folded = (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
    if (folded != code)
        return folded;
    for (size_t i = 0; i < COUNT_OF(LOWER_LATER); i++) {
        if (code >= LOWER_LATER[i].first && code <= LOWER_LATER[i].last)
            return code + (uint32_t)LOWER_LATER[i].delta;
    }
    return code;
}

/* ------------------------------------------------------------------ the queue */

static void push(struct tars_bert_scan *scan, uint32_t code, uint8_t ccc, size_t start, size_t end)
{
    size_t i = scan->count;

    assert(scan->count < TARS_BERT_QUEUE_MAX);
    if (ccc == 0) {
        scan->run = i + 1;
    } else {
        for (; i > scan->run && scan->ccc[i - 1] > ccc; i--) {
            scan->queue[i] = scan->queue[i - 1];
            scan->ccc[i] = scan->ccc[i - 1];
        }
    }
    scan->queue[i] = (struct tars_bert_char){code, (uint32_t)start, (uint32_t)end};
    scan->ccc[i] = ccc;
    scan->count++;
}

/* One character that decomposition gave. */
static void push_stripped(struct tars_bert_scan *scan, uint32_t code, size_t start, size_t end)
{
    uint8_t ccc =
        code < 0x300 ? 0 : (uint8_t)utf8proc_get_property((utf8proc_int32_t)code)->combining_class;

    if (is_accent(code)) {
        if (ccc == 0)
            scan->run = scan->count;
        return;
    }
    push(scan, lower(code), ccc, start, end);
}

static void push_decomposed(struct tars_bert_scan *scan, uint32_t code, size_t start, size_t end)
{
    utf8proc_int32_t parts[DECOMPOSED_MAX];
    utf8proc_ssize_t count = 0;
    int boundary = 0;

    if (code < 0xC0 || code == 0x11938) { /* 11938: decomposes since Unicode 13 only */
        push_stripped(scan, code, start, end);
        return;
    }
    count = utf8proc_decompose_char((utf8proc_int32_t)code, parts, DECOMPOSED_MAX,
                                    UTF8PROC_DECOMPOSE, &boundary);
    assert(count > 0 && count <= DECOMPOSED_MAX);
    for (utf8proc_ssize_t i = 0; i < count; i++)
        push_stripped(scan, (uint32_t)parts[i], start, end);
}

/* Decode one character of the text and queue what becomes of it. */
static void take(struct tars_bert_scan *scan)
{
    uint32_t code;
    size_t start = scan->at;
    size_t end = start + tars_utf8_decode(scan->text + start, scan->len - start, &code);
    bool apart;

    scan->at = end;
    if (is_removed(code))
        return;
    if (tars_char_is_space(code)) {
        push(scan, ' ', 0, start, end);
        return;
    }
    apart = is_ideograph(code);
    if (apart)
        push(scan, ' ', 0, start, end);
    if (scan->lowercase) {
        push_decomposed(scan, code, start, end);
    } else {
        push(scan, code, 0, start, end);
    }
    if (apart)
        push(scan, ' ', 0, start, end);
}

void tars_bert_scan_init(struct tars_bert_scan *scan, const char *text, size_t len, size_t from,
                         bool lowercase)
{
    scan->text = text;
    scan->len = len;
    scan->at = from;
    scan->lowercase = lowercase;
    scan->head = 0;
    scan->count = 0;
    scan->run = 0;
}

/* A queue whose last character is a mark may still get one that belongs before it. */
static bool is_open(const struct tars_bert_scan *scan)
{
    return scan->run < scan->count && scan->count <= TARS_BERT_RUN_MAX;
}

bool tars_bert_scan_next(struct tars_bert_scan *scan, struct tars_bert_char *out)
{
    if (scan->head == scan->count) {
        scan->head = 0;
        scan->count = 0;
        scan->run = 0;
        while (scan->at < scan->len && (scan->count == 0 || is_open(scan)))
            take(scan);
        if (scan->count == 0)
            return false;
    }
    *out = scan->queue[scan->head++];
    return true;
}
