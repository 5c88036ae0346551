/* Unit tests of formats/docx and the package underneath; the files are made here. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "extracted.h"

/* ---------------------------------------------------------- a small ZIP writer */

struct part {
    const char *name;
    const char *bytes;
    size_t len;      /* 0: a terminated text */
    uint32_t claims; /* unpacked size that is told; 0: the true one */
    bool encrypted;  /* told, not done */
};

static void put(struct tars_buf *out, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        tars_buf_append_char(out, (char)(i < 8 ? value >> (8 * i) : 0));
}

static void put_common(struct tars_buf *out, const struct part *part, uint32_t crc, size_t packed,
                       size_t len)
{
    put(out, 20, 2);                      /* version */
    put(out, part->encrypted ? 1 : 0, 2); /* flags */
    put(out, 8, 2);                       /* deflated */
    put(out, 0, 4);                       /* time */
    put(out, crc, 4);
    put(out, packed, 4);
    put(out, part->claims ? part->claims : len, 4);
    put(out, strlen(part->name), 2);
    put(out, 0, 2); /* extra */
}

static void write_zip(struct tars_buf *out, const struct part *parts, size_t count)
{
    struct tars_buf directory;
    size_t start;

    tars_buf_init(&directory, 1 << 20);
    for (size_t i = 0; i < count; i++) {
        size_t len = parts[i].len ? parts[i].len : strlen(parts[i].bytes);
        uLong bound = compressBound(len) + 64;
        unsigned char *packed = malloc(bound);
        uint32_t crc = (uint32_t)crc32(0, (const Bytef *)parts[i].bytes, (uInt)len);
        size_t at = out->len;
        z_stream stream = {0};

        assert_non_null(packed);
        assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
        stream.next_in = (Bytef *)parts[i].bytes;
        stream.avail_in = (uInt)len;
        stream.next_out = packed;
        stream.avail_out = (uInt)bound;
        assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
        put(out, 0x04034B50, 4);
        put_common(out, &parts[i], crc, stream.total_out, len);
        tars_buf_append_text(out, parts[i].name);
        tars_buf_append(out, (char *)packed, stream.total_out);
        put(&directory, 0x02014B50, 4);
        put(&directory, 20, 2);
        put_common(&directory, &parts[i], crc, stream.total_out, len);
        put(&directory, 0, 2 + 2 + 2 + 4);
        put(&directory, at, 4);
        tars_buf_append_text(&directory, parts[i].name);
        (void)deflateEnd(&stream);
        free(packed);
    }
    start = out->len;
    tars_buf_append(out, directory.ptr, directory.len);
    put(out, 0x06054B50, 4);
    put(out, 0, 4);
    put(out, count, 2);
    put(out, count, 2);
    put(out, directory.len, 4);
    put(out, start, 4);
    put(out, 0, 2);
    tars_buf_release(&directory);
}

#define BODY(inner)                                                                   \
    "<?xml version=\"1.0\"?><w:document xmlns:w=\"http://w\" xmlns:mc=\"http://mc\" " \
    "xmlns:r=\"http://r\"><w:body>" inner "</w:body></w:document>"
#define P(text) "<w:p><w:r><w:t>" text "</w:t></w:r></w:p>"
#define STYLED(style, text) \
    "<w:p><w:pPr><w:pStyle w:val=\"" style "\"/></w:pPr><w:r><w:t>" text "</w:t></w:r></w:p>"
#define CELL(text) "<w:tc>" P(text) "</w:tc>"

static const char styles[] =
    "<w:styles xmlns:w=\"http://w\">"
    "<w:style w:type=\"paragraph\" w:styleId=\"berschrift1\"><w:name w:val=\"heading "
    "1\"/></w:style>"
    "<w:style w:styleId=\"Sub\"><w:name w:val=\"My own\"/><w:pPr><w:outlineLvl "
    "w:val=\"1\"/></w:pPr>"
    "</w:style><w:style w:styleId=\"SubSub\"><w:name w:val=\"x\"/><w:basedOn "
    "w:val=\"Sub\"/></w:style>"
    "<w:style w:styleId=\"LB\"><w:name w:val=\"List Bullet\"/></w:style>"
    "<w:style w:styleId=\"Loop\"><w:name w:val=\"l\"/><w:basedOn w:val=\"Loop\"/></w:style>"
    "</w:styles>";

static const struct {
    const char *what;
    const char *document;
    const char *want;
} rows[] = {
    {"paragraphs, breaks, tabs",
     BODY("<w:p><w:r><w:t>One</w:t><w:tab/><w:t xml:space=\"preserve\"> two</w:t><w:br/><w:t>three"
          "</w:t></w:r></w:p>" P("Four")),
     "p:One  two\nthree\np:Four\nD:docx|||\nE:ok|0|\n"},
    {"headings by style, outline and inheritance",
     BODY(STYLED("berschrift1", "Top") STYLED("Sub", "Second") STYLED("SubSub", "Heir")
              STYLED("Loop", "Plain") "<w:p><w:pPr><w:outlineLvl "
                                      "w:val=\"2\"/></w:pPr><w:r><w:t>Third</w:t></w:r></w:p>"),
     "h1:Top\nh2:Second\nh2:Heir\np:Plain\nh3:Third\nD:docx||Top|\nE:ok|0|\n"},
    {"lists",
     BODY("<w:p><w:pPr><w:numPr><w:numId "
          "w:val=\"3\"/></w:numPr></w:pPr><w:r><w:t>a</w:t></w:r></w:p>" STYLED("LB", "b")),
     "l:a\nl:b\nD:docx|||\nE:ok|0|\n"},
    {"tables, one in a cell",
     BODY("<w:tbl><w:tr>" CELL("Name") CELL("Days") "</w:tr><w:tr>" CELL("Kim") "<w:tc>" P(
         "30") "<w:tbl><w:tr>" CELL("in") "</w:tr></w:tbl></w:tc></w:tr></w:tbl>" P("After")),
     "t:Name | Days\nKim | 30 in\np:After\nD:docx|||\nE:ok|0|\n"},
    {"deleted text, field codes and fall-backs",
     BODY("<w:p><w:del><w:r><w:delText>old</w:delText></w:r></w:del><w:r><w:instrText>PAGE"
          "</w:instrText></w:r><w:r><w:t>new</w:t></w:r><mc:AlternateContent><mc:Choice><w:r><w:t>!"
          "</w:t></w:r></mc:Choice><mc:Fallback><w:r><w:t>?</w:t></w:r></mc:Fallback>"
          "</mc:AlternateContent></w:p>"),
     "p:new!\nD:docx|||\nE:ok|0|\n"},
    {"nothing", BODY("<w:p/>"), "E:no text layer|0|there is no text in it\n"},
    {"entities are not expanded",
     "<!DOCTYPE w [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;\">]>" BODY(P("x&b;y")),
     NULL},
    {"not sound", BODY(P("Kept") "<w:p><w:r><w:t>Lost"), NULL},
};

static void each_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct part parts[] = {{"word/styles.xml", styles, 0, 0, false},
                                     {"word/document.xml", rows[i].document, 0, 0, false}};
        struct tars_buf zip;
        struct tars_buf out;

        tars_buf_init(&zip, 1 << 20);
        tars_buf_init(&out, 1 << 20);
        write_zip(&zip, parts, 2);
        (void)extracted("a.docx", zip.ptr, zip.len, NULL, &out);
        if (rows[i].want && strcmp(out.ptr, rows[i].want) != 0) {
            fail_msg("%s:\n%s", rows[i].what, out.ptr);
        }
        assert_null(strstr(out.ptr, "aaaaaaaaaa"));
        tars_buf_release(&zip);
        tars_buf_release(&out);
    }
}

static void expect(const struct part *parts, size_t count, const char *name, const char *words)
{
    struct tars_buf zip;
    struct tars_buf out;

    tars_buf_init(&zip, 1 << 20);
    tars_buf_init(&out, 1 << 20);
    write_zip(&zip, parts, count);
    (void)extracted(name, zip.ptr, zip.len, NULL, &out);
    if (!strstr(out.ptr, words)) {
        fail_msg("%s not in:\n%s", words, out.ptr);
    }
    tars_buf_release(&zip);
    tars_buf_release(&out);
}

static void notes_titles_and_pages_inside(void **state)
{
    const struct part parts[] = {
        {"word/document.xml", BODY(P("Text") "<w:altChunk r:id=\"a\"/>"), 0, 0, false},
        {"word/footnotes.xml",
         "<w:footnotes xmlns:w=\"http://w\"><w:footnote>" P("A note") "</w:footnote></w:footnotes>",
         0, 0, false},
        {"docProps/core.xml", "<c xmlns:dc=\"http://dc\"><dc:title>The Title</dc:title></c>", 0, 0,
         false},
        {"word/page.htm", "<html><body><p>From a page</p></body></html>", 0, 0, false},
    };

    (void)state;
    expect(parts, 4, "a.docx", "p:Text\np:From a page\np:A note\nD:docx||The Title|\nE:ok|0|\n");
    /* The content decides, whatever the name. */
    expect(parts, 4, "a.bin", "p:Text\n");
}

static void hostile_archives_are_refused(void **state)
{
    const struct part bomb = {"word/document.xml", BODY(P("x")), 0, 0xF0000000U, false};
    const struct part liar = {"word/document.xml", BODY(P("x")), 0, 5000, false};
    const struct part locked = {"word/document.xml", BODY(P("x")), 0, 0, true};
    const struct part other = {"xl/workbook.xml", "<x/>", 0, 0, false};

    (void)state;
    expect(&bomb, 1, "a.docx", "E:over a configured limit|");
    expect(&liar, 1, "a.docx", "damaged");
    expect(&locked, 1, "a.docx", "E:needs a password|");
    expect(&other, 1, "a.docx", "not a Word document");
    expect(&other, 1, "a.xlsx", "E:not supported|");
}

static void cut_archives_are_damaged(void **state)
{
    const struct part part = {"word/document.xml", BODY(P("x")), 0, 0, false};
    struct tars_buf zip;

    (void)state;
    tars_buf_init(&zip, 1 << 20);
    write_zip(&zip, &part, 1);
    for (size_t len = 4; len < zip.len; len += 7) {
        struct tars_buf out;

        tars_buf_init(&out, 1 << 16);
        assert_int_equal(extracted("a.docx", zip.ptr, len, NULL, &out), TARS_EFORMAT);
        tars_buf_release(&out);
    }
    tars_buf_release(&zip);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_row),
        cmocka_unit_test(notes_titles_and_pages_inside),
        cmocka_unit_test(hostile_archives_are_refused),
        cmocka_unit_test(cut_archives_are_damaged),
    };

    return cmocka_run_group_tests_name("extract/formats docx", tests, NULL, NULL);
}
