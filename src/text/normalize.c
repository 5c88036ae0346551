/* normalize - see normalize.h.
 *
 * Normal forms work on slices that end at an ASCII space or line feed, which no composition
 * crosses, so that the decomposed copy (4 bytes a character) stays small whatever the text's size.
 * A text without any such place is cut between characters after SLICE_MAX bytes.
 */
#include "text/normalize.h"

#include <string.h>

#include <utf8proc.h>

#include "text/bert_scan.h"

#define SLICE_MIN 2048 /* bytes; a slice ends at the first space after this many, */
#define SLICE_MAX 8192 /* or here */

/* -------------------------------------------------------------------- UTF-8 */

/* What the first byte promises: bytes in all (0: begins nothing) and bounds of the second byte,
 * which keep out overlong forms, surrogates and what is past U+10FFFF. */
struct lead {
    unsigned len, low, high;
};

static struct lead lead_of(unsigned char c)
{
    if (c >= 0xC2 && c <= 0xDF)
        return (struct lead){2, 0x80, 0xBF};
    if (c == 0xE0)
        return (struct lead){3, 0xA0, 0xBF};
    if (c == 0xED)
        return (struct lead){3, 0x80, 0x9F};
    if (c >= 0xE1 && c <= 0xEF)
        return (struct lead){3, 0x80, 0xBF};
    if (c == 0xF0)
        return (struct lead){4, 0x90, 0xBF};
    if (c >= 0xF1 && c <= 0xF3)
        return (struct lead){4, 0x80, 0xBF};
    if (c == 0xF4)
        return (struct lead){4, 0x80, 0x8F};
    return (struct lead){0, 0, 0};
}

/* As tars_utf8_decode(); *valid says whether the bytes were well formed. */
static size_t decode(const char *ptr, size_t len, uint32_t *code, bool *valid)
{
    const unsigned char *bytes = (const unsigned char *)ptr;
    struct lead lead;
    uint32_t value;

    *valid = true;
    if (bytes[0] < 0x80) {
        *code = bytes[0];
        return 1;
    }
    lead = lead_of(bytes[0]);
    value = bytes[0] & (0x7FU >> lead.len);
    for (unsigned i = 1; i < lead.len; i++) {
        if (i >= len || bytes[i] < lead.low || bytes[i] > lead.high) {
            lead.len = i;
            *valid = false;
            break;
        }
        value = value << 6 | (bytes[i] & 0x3FU);
        lead.low = 0x80;
        lead.high = 0xBF;
    }
    if (lead.len == 0)
        *valid = false;
    *code = *valid ? value : TARS_CHAR_REPLACEMENT;
    return lead.len ? lead.len : 1;
}

size_t tars_utf8_decode(const char *ptr, size_t len, uint32_t *code)
{
    bool valid;

    return decode(ptr, len, code, &valid);
}

size_t tars_utf8_encode(uint32_t code, char *out)
{
    if (code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF))
        code = TARS_CHAR_REPLACEMENT;
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xC0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3F));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (char)(0xE0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3F));
        out[2] = (char)(0x80 | (code & 0x3F));
        return 3;
    }
    out[0] = (char)(0xF0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3F));
    out[2] = (char)(0x80 | (code >> 6 & 0x3F));
    out[3] = (char)(0x80 | (code & 0x3F));
    return 4;
}

/* Bytes at ptr that are ASCII, eight at a time. */
static size_t ascii_prefix(const char *ptr, size_t len)
{
    size_t i = 0;
    uint64_t word;

    for (; i + sizeof(word) <= len; i += sizeof(word)) {
        memcpy(&word, ptr + i, sizeof(word));
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    while (i < len && (unsigned char)ptr[i] < 0x80)
        i++;
    return i;
}

/* Bytes at ptr before the first ill-formed sequence. */
static size_t valid_prefix(const char *ptr, size_t len)
{
    size_t i = ascii_prefix(ptr, len);

    while (i < len) {
        uint32_t code;
        bool valid;
        size_t n = decode(ptr + i, len - i, &code, &valid);

        if (!valid)
            return i;
        i += n;
        if (i < len && (unsigned char)ptr[i] < 0x80)
            i += ascii_prefix(ptr + i, len - i);
    }
    return i;
}

bool tars_utf8_is_valid(const char *ptr, size_t len)
{
    return valid_prefix(ptr, len) == len;
}

size_t tars_utf8_count(const char *ptr, size_t len)
{
    size_t count = 0;

    for (size_t i = 0; i < len; i++)
        count += ((unsigned char)ptr[i] & 0xC0) != 0x80;
    return count;
}

size_t tars_utf8_floor(const char *ptr, size_t len, size_t at)
{
    if (at >= len)
        return len;
    while (at > 0 && ((unsigned char)ptr[at] & 0xC0) == 0x80)
        at--;
    return at;
}

size_t tars_utf8_offset(const char *ptr, size_t len, size_t count)
{
    for (size_t i = 0; i < len; i++) {
        if (((unsigned char)ptr[i] & 0xC0) != 0x80 && count-- == 0)
            return i;
    }
    return len;
}

/* Bytes that (ptr, len) takes once repaired. */
static size_t repaired_size(const char *ptr, size_t len)
{
    size_t size = 0;

    for (size_t i = 0; i < len;) {
        uint32_t code;
        bool valid;
        size_t n = decode(ptr + i, len - i, &code, &valid);

        size += valid ? n : 3;
        i += n;
    }
    return size;
}

tars_status tars_utf8_repair(struct tars_arena *arena, const char *ptr, size_t len,
                             struct tars_span *out)
{
    size_t good = valid_prefix(ptr, len);
    size_t to = good;
    char *fixed;

    if (good == len) {
        *out = tars_span(ptr, len);
        return TARS_OK;
    }
    fixed = tars_arena_alloc(arena, good + repaired_size(ptr + good, len - good) + 1);
    if (!fixed)
        return TARS_ENOMEM;
    if (good)
        memcpy(fixed, ptr, good);
    for (size_t i = good; i < len;) {
        uint32_t code;

        i += tars_utf8_decode(ptr + i, len - i, &code);
        to += tars_utf8_encode(code, fixed + to);
    }
    fixed[to] = '\0';
    *out = tars_span(fixed, to);
    return TARS_OK;
}

/* ------------------------------------------------------------- normal forms */

static utf8proc_option_t options_of(enum tars_normal_form form)
{
    switch (form) {
    case TARS_NFKC:
        return UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT;
    case TARS_NFKC_LOW:
    case TARS_NFKC_LOW_TURKISH:
        return UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD |
               UTF8PROC_IGNORE;
    case TARS_NFC:
        break;
    }
    return UTF8PROC_STABLE | UTF8PROC_COMPOSE;
}

static utf8proc_int32_t keep(utf8proc_int32_t code, void *ctx)
{
    (void)ctx;
    return code;
}

/* Turkish and Azeri tell i with and without dot apart in both cases. */
static utf8proc_int32_t turkish(utf8proc_int32_t code, void *ctx)
{
    (void)ctx;
    if (code == 'I')
        return 0x131;
    return code == 0x130 ? 'i' : code;
}

/* Nothing to do for text in ASCII, but perhaps its case. */
static bool is_normal(enum tars_normal_form form, const char *ptr, size_t len)
{
    if (ascii_prefix(ptr, len) != len)
        return false;
    if (form == TARS_NFC || form == TARS_NFKC)
        return true;
    for (size_t i = 0; i < len; i++) {
        if (ptr[i] >= 'A' && ptr[i] <= 'Z')
            return false;
    }
    return true;
}

/* Folding ASCII is changing its case. */
static tars_status lower_ascii(struct tars_arena *arena, const char *ptr, size_t len,
                               struct tars_span *out)
{
    char *made = tars_arena_alloc(arena, len + 1);

    if (!made)
        return TARS_ENOMEM;
    for (size_t i = 0; i < len; i++)
        made[i] = (char)(ptr[i] >= 'A' && ptr[i] <= 'Z' ? ptr[i] + ('a' - 'A') : ptr[i]);
    made[len] = '\0';
    *out = tars_span(made, len);
    return TARS_OK;
}

static size_t slice_end(const char *ptr, size_t len, size_t start)
{
    size_t end = start + SLICE_MIN;

    if (len - start <= SLICE_MIN)
        return len;
    while (end < len && end - start < SLICE_MAX) {
        if (ptr[end] == ' ' || ptr[end] == '\n')
            return end;
        end++;
    }
    return tars_utf8_floor(ptr, len, end);
}

struct normalizer {
    struct tars_arena *arena;
    utf8proc_option_t options;
    utf8proc_custom_func custom;
    char *out; /* in the arena */
    size_t out_cap, out_len;
    utf8proc_int32_t *codes; /* in the arena */
    size_t codes_cap;
};

static tars_status append_slice(struct normalizer *to, const char *ptr, size_t len)
{
    const utf8proc_uint8_t *bytes = (const utf8proc_uint8_t *)ptr;
    utf8proc_ssize_t need;
    utf8proc_ssize_t size;
    void *grown = to->codes;

    need = utf8proc_decompose_custom(bytes, (utf8proc_ssize_t)len, NULL, 0, to->options, to->custom,
                                     NULL);
    if (need < 0)
        return TARS_EINVAL;
    /* One more: _reencode() ends its result with a NUL. */
    if (tars_arena_grow(to->arena, &grown, &to->codes_cap, (size_t)need + 1, sizeof(*to->codes)) !=
        TARS_OK)
        return TARS_ENOMEM;
    to->codes = grown;
    need = utf8proc_decompose_custom(bytes, (utf8proc_ssize_t)len, to->codes, need, to->options,
                                     to->custom, NULL);
    size = utf8proc_reencode(to->codes, need, to->options);
    if (size < 0)
        return TARS_EINVAL;
    grown = to->out;
    if (tars_arena_grow(to->arena, &grown, &to->out_cap, to->out_len + (size_t)size + 1, 1) !=
        TARS_OK)
        return TARS_ENOMEM;
    to->out = grown;
    memcpy(to->out + to->out_len, to->codes, (size_t)size);
    to->out_len += (size_t)size;
    to->out[to->out_len] = '\0';
    return TARS_OK;
}

tars_status tars_normalize(struct tars_arena *arena, enum tars_normal_form form, const char *ptr,
                           size_t len, struct tars_span *out)
{
    struct normalizer to = {.arena = arena,
                            .options = options_of(form),
                            .custom = form == TARS_NFKC_LOW_TURKISH ? turkish : keep};
    struct tars_span good;
    void *first = NULL;
    tars_status status;

    if (is_normal(form, ptr, len)) {
        *out = tars_span(ptr, len);
        return TARS_OK;
    }
    if (form == TARS_NFKC_LOW && ascii_prefix(ptr, len) == len)
        return lower_ascii(arena, ptr, len, out);
    status = tars_utf8_repair(arena, ptr, len, &good);
    if (status == TARS_OK)
        status = tars_arena_grow(arena, &first, &to.out_cap, good.len + 1, 1);
    to.out = first;
    for (size_t at = 0; status == TARS_OK && at < good.len;) {
        size_t end = slice_end(good.ptr, good.len, at);

        status = append_slice(&to, good.ptr + at, end - at);
        at = end;
    }
    if (status == TARS_OK)
        *out = tars_span(to.out, to.out_len);
    return status;
}

/* ---------------------------------------------------- what a character is */

bool tars_char_is_space(uint32_t code)
{
    if (code < 0x80)
        return code == ' ' || (code >= '\t' && code <= '\r');
    return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) ||
           code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

uint32_t tars_char_lower(uint32_t code)
{
    if (code < 0x80)
        return code >= 'A' && code <= 'Z' ? code + ('a' - 'A') : code;
    return (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
}

bool tars_char_is_alnum(uint32_t code)
{
    if (code < 0x80)
        return (code >= '0' && code <= '9') || ((code | 32) >= 'a' && (code | 32) <= 'z');
    switch (utf8proc_category((utf8proc_int32_t)code)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO:
        return true;
    default:
        return false;
    }
}

bool tars_char_is_cjk(uint32_t code)
{
    if (code < 0xE00)
        return false;
    return (code <= 0xEFF) ||                      /* Thai, Lao */
           (code >= 0x1000 && code <= 0x109F) ||   /* Myanmar */
           (code >= 0x1780 && code <= 0x17FF) ||   /* Khmer */
           (code >= 0x2E80 && code <= 0x2FDF) ||   /* radicals */
           (code >= 0x3005 && code <= 0x3007) ||   /* repetition mark, zero */
           (code >= 0x3041 && code <= 0x30FF) ||   /* kana */
           (code >= 0x31F0 && code <= 0x31FF) ||   /* more kana */
           (code >= 0x3400 && code <= 0x4DBF) ||   /* Han */
           (code >= 0x4E00 && code <= 0x9FFF) ||   /* Han */
           (code >= 0xF900 && code <= 0xFAFF) ||   /* Han, compatibility */
           (code >= 0xFF66 && code <= 0xFF9F) ||   /* kana, half width */
           (code >= 0x1B000 && code <= 0x1B16F) || /* old kana */
           (code >= 0x20000 && code <= 0x323AF);   /* Han, rare */
}

/* -------------------------------------------------------------------- BERT */

tars_status tars_normalize_bert(struct tars_arena *arena, const char *ptr, size_t len,
                                bool lowercase, struct tars_span *out)
{
    struct tars_bert_scan scan;
    struct tars_bert_char c;
    void *text = NULL;
    size_t cap = 0;
    size_t to = 0;

    if (len >= UINT32_MAX)
        return TARS_ETOOBIG;
    if (tars_arena_grow(arena, &text, &cap, len + TARS_UTF8_MAX, 1) != TARS_OK)
        return TARS_ENOMEM;
    tars_bert_scan_init(&scan, ptr, len, 0, lowercase);
    while (tars_bert_scan_next(&scan, &c)) {
        if (cap - to < TARS_UTF8_MAX &&
            tars_arena_grow(arena, &text, &cap, to + TARS_UTF8_MAX, 1) != TARS_OK)
            return TARS_ENOMEM;
        to += tars_utf8_encode(c.code, (char *)text + to);
    }
    *out = tars_span(text, to);
    return TARS_OK;
}
