/* language - names of languages, and the language of a text; declared in analyzer.h.
 *
 * cld2 decides. Where it will not, the script does: most scripts here belong to one language, and
 * plain Latin letters are taken for English, whose rules harm other languages least.
 */
#include <stdbool.h>
#include <string.h>

#include <utf8proc.h>

#include "text/analyzer.h"
#include "text/cld2_shim.h"
#include "text/normalize.h"
#include "text/stop_words.h"

#define DETECT_MAX  ((size_t)64 << 10)
#define SHORT_TEXT  512 /* bytes */
#define WORD_MAX    32  /* bytes of the longest word looked up */
#define COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))

static const char *const NAMES[TARS_LANGUAGE_COUNT] = {
#define X(name, value, code, stemmer) [value] = (code),
    TARS_LANGUAGE_LIST(X)
#undef X
};

/* Scripts, and the language that is most likely where nothing else is known. */
static const struct script {
    uint32_t first, last;
    int lang;
} SCRIPTS[] = {
    {0x41, 0x24F, TARS_LANG_ENGLISH},      {0x370, 0x3FF, TARS_LANG_GREEK},
    {0x400, 0x52F, TARS_LANG_RUSSIAN},     {0x531, 0x58F, TARS_LANG_ARMENIAN},
    {0x591, 0x5F4, TARS_LANG_HEBREW},      {0x600, 0x6FF, TARS_LANG_ARABIC},
    {0x900, 0x97F, TARS_LANG_HINDI},       {0x980, 0x9FF, TARS_LANG_BENGALI},
    {0xB80, 0xBFF, TARS_LANG_TAMIL},       {0xE00, 0xE7F, TARS_LANG_THAI},
    {0x3041, 0x30FF, TARS_LANG_JAPANESE},  {0x3400, 0x9FFF, TARS_LANG_CHINESE},
    {0xAC00, 0xD7A3, TARS_LANG_KOREAN},    {0xF900, 0xFAFF, TARS_LANG_CHINESE},
    {0x20000, 0x323AF, TARS_LANG_CHINESE},
};

const char *tars_language_name(int lang)
{
    return lang >= 0 && lang < TARS_LANGUAGE_COUNT ? NAMES[lang] : NAMES[TARS_LANG_UNKNOWN];
}

int tars_language_of(const char *name)
{
    size_t len = strcspn(name, "-_");

    if (len == 2 && memcmp(name, "iw", 2) == 0)
        return TARS_LANG_HEBREW;
    if (len == 2 && (memcmp(name, "nb", 2) == 0 || memcmp(name, "nn", 2) == 0))
        return TARS_LANG_NORWEGIAN;
    for (int i = 1; i < TARS_LANGUAGE_COUNT; i++) {
        if (strlen(NAMES[i]) == len && memcmp(NAMES[i], name, len) == 0)
            return i;
    }
    return TARS_LANG_UNKNOWN;
}

static int script_of(uint32_t code)
{
    for (size_t i = 0; i < COUNT_OF(SCRIPTS); i++) {
        if (code >= SCRIPTS[i].first && code <= SCRIPTS[i].last)
            return SCRIPTS[i].lang;
    }
    return TARS_LANG_UNKNOWN;
}

/* The language of the script that has most letters. */
static int guess_by_script(const char *text, size_t len)
{
    size_t counts[TARS_LANGUAGE_COUNT] = {0};
    int best = TARS_LANG_UNKNOWN;

    for (size_t at = 0; at < len;) {
        uint32_t code;

        at += tars_utf8_decode(text + at, len - at, &code);
        if (!tars_char_is_alnum(code) || (code >= '0' && code <= '9'))
            continue;
        counts[script_of(code)]++;
    }
    counts[TARS_LANG_UNKNOWN] = 0;
    /* Japanese mixes Han and kana, Chinese does not. */
    if (counts[TARS_LANG_JAPANESE] * 8 >= counts[TARS_LANG_CHINESE] && counts[TARS_LANG_JAPANESE]) {
        counts[TARS_LANG_JAPANESE] += counts[TARS_LANG_CHINESE];
        counts[TARS_LANG_CHINESE] = 0;
    }
    for (int i = 1; i < TARS_LANGUAGE_COUNT; i++) {
        if (counts[i] > counts[best])
            best = i;
    }
    return best;
}

/* How many words of a short text are stop words of lang, and whether it has letters past ASCII. */
struct evidence {
    size_t stop_words[TARS_LANGUAGE_COUNT];
    bool accents;
};

static void weigh_word(struct evidence *evidence, const char *ptr, size_t len)
{
    for (int i = 1; i < TARS_LANGUAGE_COUNT; i++)
        evidence->stop_words[i] += tars_stop_word(i, ptr, len);
}

static void gather(struct evidence *evidence, const char *text, size_t len)
{
    char word[WORD_MAX + TARS_UTF8_MAX];
    size_t to = 0;

    for (size_t at = 0; at < len;) {
        uint32_t code;

        at += tars_utf8_decode(text + at, len - at, &code);
        if (!tars_char_is_alnum(code)) {
            weigh_word(evidence, word, to);
            to = 0;
        } else if (to < WORD_MAX) {
            to += tars_utf8_encode((uint32_t)utf8proc_tolower((utf8proc_int32_t)code), word + to);
        }
        evidence->accents |= code >= 0xC0 && code < 0x250;
    }
    weigh_word(evidence, word, to);
}

/* cld2 finds Irish and Latin in titles of five English words. A short text needs a witness: letters
 * that English lacks, or stop words. */
static bool is_believable(int lang, const char *text, size_t len)
{
    struct evidence evidence = {0};

    if (len >= SHORT_TEXT || lang == TARS_LANG_ENGLISH ||
        guess_by_script(text, len) != TARS_LANG_ENGLISH)
        return true;
    gather(&evidence, text, len);
    return evidence.accents || evidence.stop_words[lang] > evidence.stop_words[TARS_LANG_ENGLISH];
}

int tars_language_detect(const char *text, size_t len)
{
    size_t used = len > DETECT_MAX ? tars_utf8_floor(text, len, DETECT_MAX) : len;
    const char *code;
    int reliable = 0;
    int lang;

    if (used == 0)
        return TARS_LANG_UNKNOWN;
    code = tars_cld2_detect(text, (int)used, &reliable);
    if (code && reliable) {
        lang = tars_language_of(code);
        if (is_believable(lang, text, used))
            return lang;
    }
    return guess_by_script(text, used);
}
