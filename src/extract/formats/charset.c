/* charset - see charset.h. */
#include "extract/formats/charset.h"

#include <errno.h>
#include <iconv.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "text/normalize.h"

#define SAMPLE_BYTES ((size_t)64 * 1024)
#define REPLACEMENT  "\xEF\xBF\xBD"
#define NO_SCORE     (-1e9)

enum script {
    UNICODE,
    WESTERN,
    CENTRAL,
    CYRILLIC,
    GREEK,
    TURKISH,
    HEBREW,
    ARABIC,
    JAPANESE,
    CHINESE,
    TRADITIONAL,
    KOREAN,
    THAI,
};

struct encoding {
    const char *name;    /* ours, and what is reported */
    const char *iconv;   /* what iconv calls it */
    const char *aliases; /* lower case, each between spaces */
    enum script script;
    bool guess; /* a candidate when nothing names the encoding */
};

/* Where two fit alike, the first one wins. */
static const struct encoding encodings[] = {
    {"UTF-16LE", "UTF-16LE", " utf-16le utf-16 ", UNICODE, false},
    {"UTF-16BE", "UTF-16BE", " utf-16be ", UNICODE, false},
    {"UTF-32LE", "UTF-32LE", " utf-32le utf-32 ", UNICODE, false},
    {"UTF-32BE", "UTF-32BE", " utf-32be ", UNICODE, false},
    {"windows-1252", "CP1252",
     " windows-1252 cp1252 iso-8859-1 latin1 latin-1 iso8859-1 us-ascii "
     "ascii iso_8859-1 l1 x-cp1252 ",
     WESTERN, true},
    {"Shift_JIS", "CP932", " shift_jis shift-jis sjis x-sjis windows-31j cp932 ms_kanji ", JAPANESE,
     true},
    {"EUC-JP", "EUC-JP", " euc-jp x-euc-jp ", JAPANESE, true},
    {"ISO-2022-JP", "ISO-2022-JP", " iso-2022-jp ", JAPANESE, false},
    {"GB18030", "GB18030", " gb18030 gbk gb2312 x-gbk cp936 gb_2312-80 ", CHINESE, true},
    {"Big5", "CP950", " big5 big5-hkscs cp950 x-x-big5 ", TRADITIONAL, true},
    {"EUC-KR", "CP949", " euc-kr ks_c_5601-1987 cp949 windows-949 ksc5601 ", KOREAN, true},
    {"windows-1251", "CP1251", " windows-1251 cp1251 x-cp1251 ", CYRILLIC, true},
    {"KOI8-R", "KOI8-R", " koi8-r koi8-u koi8 ", CYRILLIC, true},
    {"ISO-8859-5", "ISO-8859-5", " iso-8859-5 cyrillic ", CYRILLIC, true},
    {"IBM866", "CP866", " ibm866 cp866 866 ", CYRILLIC, true},
    {"windows-1250", "CP1250", " windows-1250 cp1250 x-cp1250 ", CENTRAL, true},
    {"ISO-8859-2", "ISO-8859-2", " iso-8859-2 latin2 l2 ", CENTRAL, true},
    {"windows-1253", "CP1253", " windows-1253 cp1253 iso-8859-7 greek ", GREEK, true},
    {"windows-1254", "CP1254", " windows-1254 cp1254 iso-8859-9 latin5 ", TURKISH, true},
    {"windows-1255", "CP1255", " windows-1255 cp1255 iso-8859-8 iso-8859-8-i hebrew ", HEBREW,
     true},
    {"windows-1256", "CP1256", " windows-1256 cp1256 iso-8859-6 arabic ", ARABIC, true},
    {"windows-874", "CP874", " windows-874 tis-620 iso-8859-11 ", THAI, true},
    {"ISO-8859-15", "ISO-8859-15", " iso-8859-15 latin9 ", WESTERN, false},
};
#define ENCODINGS (sizeof(encodings) / sizeof(encodings[0]))

struct tars_charsets {
    iconv_t open[ENCODINGS]; /* into UTF-8 */
    bool is_open[ENCODINGS]; /* false where the system has none */
};

tars_status tars_charsets_new(struct tars_charsets **charsets)
{
    struct tars_charsets *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    for (size_t i = 0; i < ENCODINGS; i++) {
        made->open[i] = iconv_open("UTF-8", encodings[i].iconv);
        /* The only failing value; a cast of -1 to a pointer is what iconv(3) asks for. */
        made->is_open[i] = (intptr_t)made->open[i] != -1;
    }
    *charsets = made;
    return TARS_OK;
}

void tars_charsets_free(struct tars_charsets *charsets)
{
    if (!charsets)
        return;
    for (size_t i = 0; i < ENCODINGS; i++) {
        if (charsets->is_open[i])
            (void)iconv_close(charsets->open[i]);
    }
    free(charsets);
}

static bool is_open(const struct tars_charsets *charsets, size_t i)
{
    return charsets && charsets->is_open[i];
}

/* -------------------------------------------------------------------- decoding */

/* Append bytes to out. Returns how many of them were no characters; each is a U+FFFD in out. An
 * incomplete character at the very end does not count if the bytes are only a sample. */
static size_t decode(iconv_t cd, struct tars_span bytes, struct tars_buf *out, bool is_sample)
{
    char *in = (char *)bytes.ptr;
    size_t left = bytes.len;
    size_t bad = 0;

    (void)iconv(cd, NULL, NULL, NULL, NULL);
    while (left > 0 && out->status == TARS_OK) {
        size_t room = left * 3 + 16 < 4096 ? left * 3 + 16 : 4096;
        char *to = tars_buf_reserve(out, room);
        char *at = to;
        size_t rc;

        if (!to)
            return bad;
        rc = iconv(cd, &in, &left, &at, &room);
        tars_buf_grew(out, (size_t)(at - to));
        if (rc != (size_t)-1 || errno == E2BIG)
            continue;
        if (errno == EINVAL && is_sample)
            return bad;
        bad++;
        tars_buf_append_text(out, REPLACEMENT);
        /* The C library's CP949 steps over some of what it refuses by itself. */
        if (left > 0) {
            in++;
            left--;
        }
    }
    return bad;
}

/* --------------------------------------------------------------------- scoring */

static bool is_one_of(uint32_t code, const char *letters)
{
    char bytes[TARS_UTF8_MAX + 1] = {0};

    (void)tars_utf8_encode(code, bytes);
    return strstr(letters, bytes) != NULL;
}

/* Letters and signs that texts in languages of the script are full of. */
static const char *common_of(enum script script)
{
    switch (script) {
    case WESTERN:
        return "éèàçüöäßñóíáêâôîûæøåãõúëïÉÄÖÜÅØ’‘“”„–—€·«»°§©®…¿¡œ£ºª×•";
    case CENTRAL:
        return "ąćęłńóśźżčďěňřšťůžýáéíúőűôľĺŕăşţăâîĄĆĘŁŃÓŚŹŻČĎĚŇŘŠŤŮŽŐŰ„”–";
    case CYRILLIC:
        return "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэф";
    case GREEK:
        return "αοιετσνηυρπκμλςωδγχθφβξζψάέήίόύώ";
    case TURKISH:
        return "ıİşŞğĞçÇöÖüÜâî";
    case HEBREW:
        return "יוהלארתבשמםנןדעחפקגצטזסכךץף";
    case ARABIC:
        return "اليمونتربةعدسفهكقحجأشصطخذىءئإزضغثظؤ";
    case JAPANESE:
        return "のにはをたがでてとしれさあいうえおかきくこすせそちつなまもやよらりるろわんっアイウ"
               "エオカキクコサシスセタテトナニネノハフマミムメモヤユラリルレロワンー、。日本人大"
               "年国一時事会中";
    case CHINESE:
        return "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于"
               "着下自之年过发后作里用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还"
               "进好小部其些主样理心她本前开但因只从想实，。、";
    case TRADITIONAL:
        return "的一是不了在人有我他這個們中來上大為和國地到以說時要就出會可也你對生能而子那得於"
               "著下自之年過發後作裡用道行所然家種事成方多經麼去法學如都同現當沒動面起看定天分還"
               "進好小部其些主樣理心她本前開但因只從想實，。、";
    case KOREAN:
        return "이다는의에을가고하지한은를도로서기나사대자해있어인리아시수정일그보전들여부우상"
               "것만제장라주성원조과유안중공";
    case THAI:
        return "าน่รกอีเงม้ลยวดตสทัคบปหแชพผขจใไโ็์ืูำะ";
    case UNICODE:
        break;
    }
    return "";
}

static bool is_upper(uint32_t code)
{
    return (code >= 'A' && code <= 'Z') || (code >= 0xC0 && code <= 0xDE && code != 0xD7) ||
           (code >= 0x410 && code <= 0x42F) || (code >= 0x391 && code <= 0x3A9);
}

static bool is_lower(uint32_t code)
{
    return (code >= 'a' && code <= 'z') || (code >= 0xDF && code <= 0xFF && code != 0xF7) ||
           (code >= 0x430 && code <= 0x44F) || (code >= 0x3B1 && code <= 0x3C9);
}

/* How much a character that is not ASCII speaks for the script, given the one before it. */
static double score_character(enum script script, uint32_t code, uint32_t before)
{
    double score = is_one_of(code, common_of(script)) ? 1.0 : -0.3;

    if (script >= CYRILLIC && script <= THAI && script != TURKISH && is_lower(code) && code < 0x100)
        score -= 1;
    if (is_upper(code) && is_lower(before))
        score -= 1.5; /* Case changes inside words betray KOI8 read as 1251, and the reverse. */
    if (code >= 0x80 && code < 0xA0)
        score -= 2; /* C1 controls: nobody writes them */
    if (code >= 0x2500 && code < 0x25A0)
        score -= 1; /* box drawing */
    if (code >= 0xE000 && code < 0xF900)
        score -= 3; /* private use */
    return score;
}

/* Mean over the characters beyond ASCII; NO_SCORE when the bytes are not valid. */
static double score_text(enum script script, struct tars_span text)
{
    double sum = 0;
    size_t count = 0;
    uint32_t before = ' ';

    for (size_t i = 0; i < text.len;) {
        uint32_t code;

        i += tars_utf8_decode(text.ptr + i, text.len - i, &code);
        if (code >= 0x80) {
            sum += score_character(script, code, before);
            count++;
        }
        before = code;
    }
    /* A double-byte reading has half as many characters; the more is explained, the better. */
    return count ? sum / (double)count : 0;
}

static double score_encoding(struct tars_charsets *charsets, size_t i, struct tars_span sample,
                             bool is_sample)
{
    struct tars_buf text;
    double score = NO_SCORE;

    tars_buf_init(&text, 4 * SAMPLE_BYTES);
    if (decode(charsets->open[i], sample, &text, is_sample) == 0 && text.status == TARS_OK)
        score = score_text(encodings[i].script, tars_buf_span(&text));
    tars_buf_release(&text);
    return score;
}

/* ------------------------------------------------------------------- detection */

static const char *from_mark(struct tars_span bytes)
{
    const unsigned char *s = (const unsigned char *)bytes.ptr;

    if (bytes.len >= 3 && s[0] == 0xEF && s[1] == 0xBB && s[2] == 0xBF)
        return "UTF-8";
    if (bytes.len >= 4 && s[0] == 0xFF && s[1] == 0xFE && s[2] == 0 && s[3] == 0)
        return "UTF-32LE";
    if (bytes.len >= 4 && s[0] == 0 && s[1] == 0 && s[2] == 0xFE && s[3] == 0xFF)
        return "UTF-32BE";
    if (bytes.len >= 2 && s[0] == 0xFF && s[1] == 0xFE)
        return "UTF-16LE";
    if (bytes.len >= 2 && s[0] == 0xFE && s[1] == 0xFF)
        return "UTF-16BE";
    return NULL;
}

/* UTF-16 without a mark: of European text every other byte is zero. */
static const char *from_zeros(struct tars_span bytes)
{
    size_t zeros[2] = {0, 0};
    size_t pairs = bytes.len / 2;

    for (size_t i = 0; i + 1 < bytes.len; i += 2) {
        zeros[0] += bytes.ptr[i] == 0;
        zeros[1] += bytes.ptr[i + 1] == 0;
    }
    if (pairs >= 2 && zeros[1] * 2 > pairs && zeros[0] * 20 < pairs)
        return "UTF-16LE";
    if (pairs >= 2 && zeros[0] * 2 > pairs && zeros[1] * 20 < pairs)
        return "UTF-16BE";
    return NULL;
}

/* Valid UTF-8, the last character perhaps cut. */
static bool is_utf8(struct tars_span bytes, bool is_sample)
{
    size_t len = bytes.len;

    if (is_sample) {
        for (size_t cut = 0; cut < 4 && cut < bytes.len; cut++) {
            if (tars_utf8_is_valid(bytes.ptr, len - cut))
                return true;
        }
        return false;
    }
    return tars_utf8_is_valid(bytes.ptr, len);
}

static size_t find_named(struct tars_span name)
{
    char padded[48];

    if (name.len == 0 || name.len > 40)
        return ENCODINGS;
    padded[0] = ' ';
    for (size_t i = 0; i < name.len; i++) {
        padded[i + 1] =
            (char)(name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? name.ptr[i] + 32 : name.ptr[i]);
    }
    padded[name.len + 1] = ' ';
    padded[name.len + 2] = '\0';
    for (size_t i = 0; i < ENCODINGS; i++) {
        if (strstr(encodings[i].aliases, padded))
            return i;
    }
    return ENCODINGS;
}

static const char *guess(struct tars_charsets *charsets, struct tars_span sample, bool is_sample)
{
    double best = NO_SCORE / 2;
    const char *name = "windows-1252";

    for (size_t i = 0; charsets && i < ENCODINGS; i++) {
        double score;

        if (!encodings[i].guess || !is_open(charsets, i))
            continue;
        score = score_encoding(charsets, i, sample, is_sample);
        if (score > best) {
            best = score;
            name = encodings[i].name;
        }
    }
    return name;
}

const char *tars_charset_detect(struct tars_charsets *charsets, struct tars_span bytes,
                                struct tars_span hint)
{
    bool is_sample = bytes.len > SAMPLE_BYTES;
    struct tars_span sample = tars_span(bytes.ptr, is_sample ? SAMPLE_BYTES : bytes.len);
    const char *name = from_mark(sample);
    size_t named = find_named(hint);

    if (!name)
        name = from_zeros(sample);
    if (name)
        return name;
    if (named < ENCODINGS && strcmp(encodings[named].name, "ISO-2022-JP") == 0 &&
        is_open(charsets, named))
        return encodings[named].name;
    /* Wrong bytes far behind are damage, not another encoding. */
    if (is_utf8(sample, is_sample))
        return "UTF-8";
    if (named < ENCODINGS && encodings[named].script != UNICODE && is_open(charsets, named) &&
        score_encoding(charsets, named, sample, true) > NO_SCORE)
        return encodings[named].name;
    return guess(charsets, sample, is_sample);
}

/* ------------------------------------------------------------------ conversion */

static void append_repaired(struct tars_span bytes, struct tars_buf *out)
{
    for (size_t i = 0; i < bytes.len;) {
        uint32_t code;
        size_t start = i;
        size_t step = 1;

        while (i < bytes.len) {
            step = tars_utf8_decode(bytes.ptr + i, bytes.len - i, &code);
            if (code == TARS_CHAR_REPLACEMENT)
                break;
            i += step;
        }
        tars_buf_append(out, bytes.ptr + start, i - start);
        if (i < bytes.len) {
            tars_buf_append_text(out, REPLACEMENT);
            i += step;
        }
    }
}

void tars_charset_convert(struct tars_charsets *charsets, const char *name, struct tars_span bytes,
                          struct tars_buf *out)
{
    const char *mark = from_mark(bytes);
    size_t at = 0;

    if (mark && strcmp(mark, name) == 0)
        at = strcmp(name, "UTF-8") == 0 ? 3 : strncmp(name, "UTF-32", 6) == 0 ? 4 : 2;
    bytes = tars_span(bytes.ptr + at, bytes.len - at);
    for (size_t i = 0; i < ENCODINGS; i++) {
        if (is_open(charsets, i) && strcmp(encodings[i].name, name) == 0) {
            (void)decode(charsets->open[i], bytes, out, false);
            return;
        }
    }
    append_repaired(bytes, out);
}
