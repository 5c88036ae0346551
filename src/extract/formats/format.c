/* format - see format.h. */
#include "extract/formats/format.h"

#include <string.h>

static const struct {
    const struct tars_format *format;
    const char *name;
    const char *extensions; /* joined by spaces */
} formats[] = {
#define TARS_FORMAT(id, name, extensions) {&tars_format_##id, name, extensions},
#include "extract/formats.def"
#undef TARS_FORMAT
};

/* Kinds that are recognised in order to say what they are. */
static const struct {
    const char *magic;
    size_t len;
    const char *words;
} foreign[] = {
    {"{\\rtf", 5, "an RTF file"},
    {"PK\x03\x04", 4, "a ZIP archive or an office file of another kind"},
    {"\x89PNG", 4, "a picture"},
    {"\xFF\xD8\xFF", 3, "a picture"},
    {"GIF8", 4, "a picture"},
    {"II*\0", 4, "a picture"},
    {"MM\0*", 4, "a picture"},
    {"\x7F"
     "ELF",
     4, "a program"},
    {"MZ", 2, "a program"},
    {"7z\xBC\xAF\x27\x1C", 6, "a 7z archive"},
    {"Rar!", 4, "a RAR archive"},
    {"SQLite format 3", 15, "a database"},
};

static bool starts_with(struct tars_span head, const char *bytes, size_t len)
{
    return head.len >= len && memcmp(head.ptr, bytes, len) == 0;
}

static bool is_old_office(struct tars_span head)
{
    return starts_with(head, "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", 8);
}

static bool is_foreign(struct tars_span head)
{
    if (is_old_office(head))
        return true;
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        if (starts_with(head, foreign[i].magic, foreign[i].len))
            return true;
    }
    return false;
}

/* "EncryptedPackage" in UTF-16 is the name of the stream that holds an encrypted office file. */
static bool is_encrypted_package(struct tars_input *input)
{
    static const char name[] = "E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e";
    struct tars_span bytes;

    return tars_input_whole(input, &bytes, NULL) == TARS_OK &&
           memmem(bytes.ptr, bytes.len, name, sizeof(name) - 1) != NULL;
}

static tars_status refuse(struct tars_input *input, struct tars_err *err)
{
    struct tars_span head = input->head;

    if (is_old_office(head)) {
        if (is_encrypted_package(input)) {
            return tars_fail(TARS_EPASSWORD, err,
                             "the file is encrypted and needs a password; save it without one");
        }
        return tars_fail(TARS_EUNSUPPORTED, err,
                         "an office file of the old binary kind; save it as DOCX or PDF");
    }
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        if (starts_with(head, foreign[i].magic, foreign[i].len)) {
            return tars_fail(TARS_EUNSUPPORTED, err, "%s, which is not read here",
                             foreign[i].words);
        }
    }
    return tars_fail(TARS_EUNSUPPORTED, err,
                     "neither text nor a kind of document that is read here");
}

tars_status tars_format_find(struct tars_input *input, const struct tars_format **format,
                             const char **name, struct tars_err *err)
{
    enum tars_sniff best = TARS_SNIFF_NO;

    if (input->head.len == 0)
        return tars_fail(TARS_ENOTEXT, err, "the file is empty");
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        enum tars_sniff sure =
            formats[i].format->sniff(input, tars_input_name_ends(input, formats[i].extensions));

        if (sure > best) {
            best = sure;
            *format = formats[i].format;
            *name = formats[i].name;
        }
    }
    if (best == TARS_SNIFF_NO || (best == TARS_SNIFF_MAYBE && is_foreign(input->head)))
        return refuse(input, err);
    return TARS_OK;
}

tars_status tars_format_extract(struct tars_input *input, struct tars_sink *sink)
{
    const struct tars_format *format = &tars_format_plain;
    struct tars_err words = {{0}};
    tars_status status = tars_format_find(input, &format, &sink->format, &words);

    if (status == TARS_OK)
        status = format->parse(input, sink, &words);
    if (status == TARS_OK && sink->status != TARS_OK)
        status = tars_fail(sink->status, &words, "%s", tars_status_text(sink->status));
    if (status == TARS_OK && sink->documents == 0) {
        status = tars_fail(TARS_ENOTEXT, &words,
                           sink->errors ? "nothing in it could be read" : "there is no text in it");
    }
    if (status != TARS_OK && !words.text[0])
        (void)tars_fail(status, &words, "%s", tars_status_text(status));
    tars_sink_end(sink, status, status == TARS_OK ? "" : words.text);
    return status;
}
