/* extract_format - what the fuzz targets of the formats share: bytes under a name, through the
 * format, and every frame that comes out read as the client would.
 */
#ifndef TARS_FUZZ_EXTRACT_FORMAT_H
#define TARS_FUZZ_EXTRACT_FORMAT_H

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "extract/formats/charset.h"
#include "extract/formats/format.h"
#include "extract/protocol.h"

static inline tars_status extract_format_check(void *ctx, const char *bytes, size_t len)
{
    size_t *written = ctx;
    size_t at = *written == 0 ? TARS_PROTOCOL_MAGIC_BYTES : 0;

    *written += len;
    while (at < len) {
        struct tars_protocol_frame frame;
        size_t used = 0;

        if (tars_protocol_read(bytes + at, len - at, &frame, &used) != TARS_OK)
            abort();
        at += used;
    }
    return TARS_OK;
}

static inline void extract_format(const char *name, const uint8_t *data, size_t size)
{
    static struct tars_charsets *charsets; /* made once, as in the program: it takes milliseconds */
    struct tars_input input;
    struct tars_sink sink;
    size_t written = 0;
    int fd = memfd_create("document", MFD_CLOEXEC);

    if (fd < 0 || write(fd, data, size) != (ssize_t)size ||
        (!charsets && tars_charsets_new(&charsets) != TARS_OK))
        abort();
    tars_sink_init(&sink, extract_format_check, &written);
    if (tars_input_open(&input, fd, name, charsets, NULL) == TARS_OK) {
        (void)tars_format_extract(&input, &sink);
        tars_input_close(&input);
    }
    tars_sink_release(&sink);
    (void)close(fd);
}

#endif
