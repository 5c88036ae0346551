/* fuzz_extract_docx - any bytes as the text part of a DOCX file, in a ZIP archive made here: the
 * archive itself is a library's business, the XML inside is ours.
 */
#include <string.h>
#include <zlib.h>

#include "extract_format.h"

#define NAME "word/document.xml"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t put(uint8_t *out, size_t at, uint32_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        out[at++] = (uint8_t)(value >> (8 * i));
    return at;
}

/* Version, flags, method "stored", time, checksum, sizes, length of the name. */
static size_t put_common(uint8_t *out, size_t at, uint32_t crc, size_t size)
{
    at = put(out, at, 20, 2);
    at = put(out, at, 0, 2);
    at = put(out, at, 0, 2);
    at = put(out, at, 0, 4);
    at = put(out, at, crc, 4);
    at = put(out, at, (uint32_t)size, 4);
    at = put(out, at, (uint32_t)size, 4);
    at = put(out, at, sizeof(NAME) - 1, 2);
    return put(out, at, 0, 2);
}

static size_t put_name(uint8_t *out, size_t at)
{
    memcpy(out + at, NAME, sizeof(NAME) - 1);
    return at + sizeof(NAME) - 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *zip = malloc(size + 512);
    uint32_t crc = (uint32_t)crc32(0, data, (uInt)size);
    size_t directory;
    size_t at = 0;

    if (!zip)
        return 0;
    at = put(zip, at, 0x04034B50, 4);
    at = put_common(zip, at, crc, size);
    at = put_name(zip, at);
    if (size)
        memcpy(zip + at, data, size);
    at += size;
    directory = at;
    at = put(zip, at, 0x02014B50, 4);
    at = put(zip, at, 20, 2);
    at = put_common(zip, at, crc, size);
    for (int i = 0; i < 14; i++)
        at = put(zip, at, 0, 1);
    at = put_name(zip, at);
    crc = (uint32_t)(at - directory);
    at = put(zip, at, 0x06054B50, 4);
    at = put(zip, at, 0, 4);
    at = put(zip, at, 1, 2);
    at = put(zip, at, 1, 2);
    at = put(zip, at, crc, 4);
    at = put(zip, at, (uint32_t)directory, 4);
    at = put(zip, at, 0, 2);
    extract_format("a.docx", zip, at);
    free(zip);
    return 0;
}
