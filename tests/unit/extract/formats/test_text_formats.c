/* Unit tests of the formats that are text: plain, markdown, csv, jsonl. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "extracted.h"
#include "support/faults.h"

static struct tars_charsets *charsets_of(void **state)
{
    return *state;
}

struct row {
    const char *what;
    const char *name;
    const char *bytes;
    size_t len; /* 0: a terminated text */
    const char *want;
};

static const struct row rows[] = {
    {"paragraphs end at empty lines", "a.txt", "One\nline.\r\n\r\nTwo.\n\n\n\nThree.", 0,
     "p:One\nline.\np:Two.\np:Three.\nD:txt|||\nE:ok|0|\n"},
    {"underlines make headings, in order of use", "a.rst",
     "Guide\n=====\n\nText.\n\nPart\n----\nMore.\n\nNext\n====\nEnd.", 0,
     "h1:Guide\np:Text.\nh2:Part\np:More.\nh1:Next\np:End.\nD:txt||Guide|\nE:ok|0|\n"},
    {"framed heading", "a.rst", "=====\nGuide\n=====\n\nText.", 0,
     "h1:Guide\np:Text.\nD:txt||Guide|\nE:ok|0|\n"},
    {"a rule is no heading", "a.txt", "Some text.\n\n----\n\nMore.", 0,
     "p:Some text.\np:More.\nD:txt|||\nE:ok|0|\n"},
    {"control characters and ill-formed bytes", "a.txt",
     "a\x01"
     "b\xEF\xBB\xBF"
     "c\x80"
     "d\xC2\xAD",
     0, NULL},
    {"UTF-16 with a mark", "a.txt", "\xFF\xFEH\0i\0", 6, "p:Hi\nD:txt|||\nE:ok|0|\n"},
    {"UTF-16 without", "a.txt", "H\0e\0l\0l\0o\0", 10, "p:Hello\nD:txt|||\nE:ok|0|\n"},
    {"UTF-16, big end first", "a.txt", "\0H\0e\0l\0l\0o", 10, "p:Hello\nD:txt|||\nE:ok|0|\n"},
    {"windows-1252", "a.txt", "Caf\xE9 \x93quoted\x94", 0, "p:Café “quoted”\nD:txt|||\nE:ok|0|\n"},
    {"nothing", "a.txt", " \n\t\n", 0, "E:no text layer|0|there is no text in it\n"},
    {"binary under a text's name", "a.txt", "a\0b\1\2\3\0\0\0c", 10,
     "E:not supported|0|neither text nor a kind of document that is read here\n"},
    {"PDF under another name", "a.txt", "%PDF-1.4\nbroken", 0, NULL},
    {"RTF", "a.rtf", "{\\rtf1 hello}", 0,
     "E:not supported|0|an RTF file, which is not read here\n"},

    {"markdown", "a.md",
     "# Title\n\nSome *text* with `code`\nand [a link](http://x).\n\n## Part\n\n- one\n- two\n\n"
     "1. first\n2. second\n\n> quoted\n\n```c\nint x;\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n",
     0,
     "h1:Title\np:Some text with code and a link.\nh2:Part\nl:- one\n- two\n"
     "l:1. first\n2. second\np:quoted\nc:int x;\nt:a | b\n1 | 2\nD:markdown||Title|\nE:ok|0|\n"},
    {"front matter", "a.md", "---\ntitle: \"Pods: an idea\"\nweight: 3\n---\nText.\n", 0,
     "p:Text.\nD:markdown||Pods: an idea|\nE:ok|0|\n"},
    {"front matter in TOML", "a.md", "+++\ntitle = 'T'\n+++\nText.\n", 0,
     "p:Text.\nD:markdown||T|\nE:ok|0|\n"},
    {"front matter that never ends", "a.md", "---\ntitle: x\n\nText.\n", 0, NULL},
    {"shortcodes and comments", "a.md",
     "{{< note >}}\nA {{< glossary_tooltip text=\"Pod\" term_id=\"pod\" >}} runs.\n{{< /note >}}\n"
     "<!-- hidden -->\n\n{{% capture x %}}\nEnd {{< open\n",
     0, "p:A Pod runs.\np:End {{< open\nD:markdown|||\nE:ok|0|\n"},
    {"HTML in markdown", "a.md", "<div>Hello <b>you</b></div>\n\n<script>x()</script>\n", 0,
     "p:Hello  you\nD:markdown|||\nE:ok|0|\n"},
    {"code inside a list", "a.md", "- one\n\n  ```\n  run\n  ```\n- two\n", 0,
     "p:one\nc:run\np:two\nD:markdown|||\nE:ok|0|\n"},

    {"csv", "a.csv", "Name,Days\nKim,30\n\"Lee, Jr\",\"2\"\"5\"\r\n\"two\nlines\",1", 0,
     "t:Name | Days\nKim | 30\nLee, Jr | 2\"5\ntwo lines | 1\nD:csv|||\nE:ok|0|\n"},
    {"semicolons", "a.csv", "a;b;c\n1,5;2;3\n", 0, "t:a | b | c\n1,5 | 2 | 3\nD:csv|||\nE:ok|0|\n"},
    {"tabs", "a.tsv", "a\tb\n1\t2\n", 0, "t:a | b\n1 | 2\nD:csv|||\nE:ok|0|\n"},
    {"declared delimiter", "a.csv", "sep=;\na;b,c\n1;2\n", 0,
     "t:a | b,c\n1 | 2\nD:csv|||\nE:ok|0|\n"},
    {"one column", "a.csv", "a\n1\n2\n", 0, "t:a\n1\n2\nD:csv|||\nE:ok|0|\n"},
    {"header only", "a.csv", "a,b\n", 0, "t:a | b\nD:csv|||\nE:ok|0|\n"},
    {"unfinished quote", "a.csv", "a,b\n1,\"x", 0, "t:a | b\n1 | x\nD:csv|||\nE:ok|0|\n"},
    {"empty rows are left out", "a.csv", "a,b\n,\n\n1,2\n", 0,
     "t:a | b\n1 | 2\nD:csv|||\nE:ok|0|\n"},

    {"jsonl", "a.jsonl",
     "{\"_id\":\"x1\",\"title\":\"T\",\"text\":\"One.\\n\\nTwo.\",\"lang\":\"en\",\"n\":[1,2]}\n"
     "{\"id\":5,\"content\":\"Three\"}\n",
     0,
     "p:One.\np:Two.\nD:jsonl|x1|T|{\"lang\":\"en\",\"n\":[1,2]}\np:Three\nD:jsonl|5||\nE:ok|0|\n"},
    {"a document that is a title", "a.jsonl", "{\"_id\":\"1\",\"title\":\"Only\",\"text\":\"\"}", 0,
     "p:Only\nD:jsonl|1|Only|\nE:ok|0|\n"},
    {"bad lines do not lose the others", "a.jsonl",
     "{\"text\":\"a\"}\n\n[1]\n{\"text\":\n{\"_id\":\"e\",\"text\":\"\"}\n{\"text\":\"b\"}\r\n", 0,
     "p:a\nD:jsonl|||\np:b\nD:jsonl|||\nE:ok|3|\n"},
    {"byte order mark", "a.jsonl", "\xEF\xBB\xBF{\"text\":\"a\"}", 0, "p:a\nD:jsonl|||\nE:ok|0|\n"},
    {"duplicate keys", "a.jsonl", "{\"text\":\"a\",\"text\":\"b\"}", 0,
     "E:no text layer|1|nothing in it could be read\n"},
};

/* Whatever was in the file, the last word was said. */
static void check_end(const char *what, const struct tars_buf *out)
{
    if (!out->ptr || !(strncmp(out->ptr, "E:", 2) == 0 || strstr(out->ptr, "\nE:"))) {
        fail_msg("%s: no end", what);
    }
}

static void each_row(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = rows[i].len ? rows[i].len : strlen(rows[i].bytes);
        struct tars_buf out;

        tars_buf_init(&out, 1 << 20);
        (void)extracted(rows[i].name, rows[i].bytes, len, charsets_of(state), &out);
        if (rows[i].want && strcmp(out.ptr ? out.ptr : "", rows[i].want) != 0) {
            fail_msg("%s:\n%s", rows[i].what, out.ptr);
        }
        check_end(rows[i].what, &out);
        tars_buf_release(&out);
    }
}

static void a_long_table_repeats_its_header(void **state)
{
    struct tars_buf csv;
    struct tars_buf out;
    size_t headers = 0;
    size_t last = 0;

    tars_buf_init(&csv, 1 << 20);
    tars_buf_init(&out, 1 << 20);
    tars_buf_append_text(&csv, "Name,Value\n");
    for (int i = 0; i < 100; i++)
        tars_buf_appendf(&csv, "row%d,%d\n", i, i * i);
    assert_int_equal(extracted("a.csv", csv.ptr, csv.len, charsets_of(state), &out), TARS_OK);
    for (const char *at = out.ptr; (at = strstr(at, "t:Name | Value\n")); at++)
        headers++;
    assert_int_equal(headers, 5);
    for (int i = 0; i < 100; i++) {
        char want[32];
        const char *at;

        (void)snprintf(want, sizeof(want), "row%d | %d\n", i, i * i);
        at = strstr(out.ptr, want);
        assert_non_null(at);
        assert_true((size_t)(at - out.ptr) > last);
        last = (size_t)(at - out.ptr);
    }
    tars_buf_release(&csv);
    tars_buf_release(&out);
}

static size_t gzip(const char *text, unsigned char *out, size_t cap)
{
    z_stream stream = {0};
    size_t len;

    assert_int_equal(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (Bytef *)text;
    stream.avail_in = (uInt)strlen(text);
    stream.next_out = out;
    stream.avail_out = (uInt)cap;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    len = cap - stream.avail_out;
    (void)deflateEnd(&stream);
    return len;
}

static void gzip_is_undone(void **state)
{
    unsigned char packed[1024];
    size_t one = gzip("{\"text\":\"a\"}\n", packed, sizeof(packed));
    size_t both = one + gzip("{\"text\":\"b\"}\n", packed + one, sizeof(packed) - one);
    struct tars_buf out;

    tars_buf_init(&out, 1 << 20);
    assert_int_equal(extracted("a.jsonl.gz", packed, both, charsets_of(state), &out), TARS_OK);
    assert_string_equal(out.ptr, "p:a\nD:jsonl|||\np:b\nD:jsonl|||\nE:ok|0|\n");
    tars_buf_clear(&out);
    /* Cut short: what was whole has come, and the damage is told. */
    assert_int_equal(extracted("a.jsonl.gz", packed, one + 12, charsets_of(state), &out),
                     TARS_EFORMAT);
    assert_non_null(strstr(out.ptr, "damaged gzip"));
    tars_buf_release(&out);
}

static void deep_nesting_is_refused(void **state)
{
    char line[4096] = "{\"text\":\"a\",\"x\":";
    size_t len = strlen(line);
    struct tars_buf out;

    memset(line + len, '[', 1000);
    memset(line + len + 1000, ']', 1000);
    line[len + 2000] = '}';
    tars_buf_init(&out, 1 << 20);
    (void)extracted("a.jsonl", line, len + 2001, charsets_of(state), &out);
    assert_string_equal(out.ptr, "E:no text layer|1|nothing in it could be read\n");
    tars_buf_release(&out);
}

static void long_text_is_cut_between_words(void **state)
{
    size_t len = 3000000;
    char *text = malloc(len);
    struct tars_buf out;
    size_t blocks = 0;

    assert_non_null(text);
    for (size_t i = 0; i < len; i++)
        text[i] = i % 7 == 6 ? ' ' : 'a';
    tars_buf_init(&out, 8 << 20);
    assert_int_equal(extracted("a.txt", text, len, charsets_of(state), &out), TARS_OK);
    for (const char *at = out.ptr; (at = strstr(at, "p:aaaaaa ")); at++)
        blocks++;
    assert_true(blocks >= 12);
    tars_buf_release(&out);
    free(text);
}

struct encoding_row {
    const char *name;
    const char *bytes;
    const char *want;
};

static void encodings_are_told_apart(void **state)
{
    static const struct encoding_row texts[] = {
        {"UTF-8", "Größe", "Größe"},
        {"windows-1252",
         "Die Gr\xF6\xDF"
         "e der \xC4nderung betr\xE4gt f\xFCnf Prozent",
         "Die Größe der Änderung beträgt fünf Prozent"},
        {"windows-1251", "\xCF\xF0\xE8\xE2\xE5\xF2, \xEA\xE0\xEA \xE4\xE5\xEB\xE0?",
         "Привет, как дела?"},
        {"KOI8-R", "\xF0\xD2\xC9\xD7\xC5\xD4, \xCB\xC1\xCB \xC4\xC5\xCC\xC1?", "Привет, как дела?"},
        {"Shift_JIS",
         "\x82\xB1\x82\xEA\x82\xCD\x93\xFA\x96{\x8C\xEA\x82\xC5\x82\xB7\x81"
         "B",
         "これは日本語です。"},
        {"EUC-JP", "\xA4\xB3\xA4\xEC\xA4\xCF\xC6\xFC\xCB\xDC\xB8\xEC\xA4\xC7\xA4\xB9\xA1\xA3",
         "これは日本語です。"},
        {"GB18030", "\xD5\xE2\xCA\xC7\xCE\xD2\xC3\xC7\xB5\xC4\xD6\xD0\xB9\xFA", "这是我们的中国"},
        {"Big5", "\xB3o\xACO\xA7\xDA\xAD\xCC\xAA\xBA\xA4\xA4\xB0\xEA", "這是我們的中國"},
        {"EUC-KR", "\xC0\xCC\xB0\xCD\xC0\xBA \xC7\xD1\xB1\xB9\xBE\xEE\xC0\xD4\xB4\xCF\xB4\xD9",
         "이것은 한국어입니다"},
    };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct tars_span bytes = tars_span_of(texts[i].bytes);
        const char *name = tars_charset_detect(charsets_of(state), bytes, tars_span(NULL, 0));
        struct tars_buf out;

        tars_buf_init(&out, 1000);
        tars_charset_convert(charsets_of(state), name, bytes, &out);
        if (strcmp(name, texts[i].name) != 0 || strcmp(out.ptr, texts[i].want) != 0) {
            fail_msg("%s: taken for %s: %s", texts[i].name, name, out.ptr);
        }
        tars_buf_release(&out);
    }
    assert_string_equal(tars_charset_detect(charsets_of(state), tars_span_of("\xE9t\xE9"),
                                            tars_span_of("ISO-8859-2")),
                        "ISO-8859-2");
}

static void damage_at_the_end_is_replaced(void **state)
{
    static const struct encoding_row cuts[] = {
        {"EUC-KR", "A\xA2\xE8", "A\xEF\xBF\xBD"},
        {"GB18030", "A\x81", "A\xEF\xBF\xBD"},
        {"UTF-8", "A\xE4\xB8", "A\xEF\xBF\xBD"},
    };

    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        struct tars_buf out;

        tars_buf_init(&out, 100);
        tars_charset_convert(charsets_of(state), cuts[i].name, tars_span_of(cuts[i].bytes), &out);
        assert_string_equal(out.ptr, cuts[i].want);
        tars_buf_release(&out);
    }
}

static void fails_cleanly_body(void *ctx)
{
    static const char *const names[] = {"a.txt", "a.csv", "a.jsonl"};
    static const char *const texts[] = {"Title\n=====\n\nText \xE9 here.\n", "a,b\n1,2\n",
                                        "{\"_id\":1,\"title\":\"t\",\"text\":\"x\",\"y\":2}\n"};
    struct tars_buf out;

    for (size_t i = 0; i < 3; i++) {
        tars_status status;

        tars_buf_init(&out, 1 << 16);
        status = extracted(names[i], texts[i], strlen(texts[i]), ctx, &out);
        assert_true(status == TARS_OK || faults_happened());
        tars_buf_release(&out);
    }
}

static void survives_failing_allocations(void **state)
{
    assert_true(faults_each(fails_cleanly_body, charsets_of(state)) > 0);
}

static int set_up(void **state)
{
    struct tars_charsets *charsets = NULL;

    if (tars_charsets_new(&charsets) != TARS_OK)
        return 1;
    *state = charsets;
    return 0;
}

static int tear_down(void **state)
{
    tars_charsets_free(charsets_of(state));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row),
        cmocka_unit_test(a_long_table_repeats_its_header),
        cmocka_unit_test(gzip_is_undone),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(long_text_is_cut_between_words),
        cmocka_unit_test(encodings_are_told_apart),
        cmocka_unit_test(damage_at_the_end_is_replaced),
        cmocka_unit_test(survives_failing_allocations),
    };

    return cmocka_run_group_tests_name("extract/formats text", tests, set_up, tear_down);
}
