/* format - a kind of file: how to know it and how to read it. One const struct a format, named with
 * its extensions in one list (extract/formats.def); to add one, see docs/adding/format.md.
 */
#ifndef TARS_EXTRACT_FORMATS_FORMAT_H
#define TARS_EXTRACT_FORMATS_FORMAT_H

#include <stdbool.h>

#include "base/status.h"
#include "extract/formats/input.h"
#include "extract/formats/sink.h"

/* How sure a sniffer is. The highest answer wins, the first in the list among equals. */
enum tars_sniff {
    TARS_SNIFF_NO = 0,
    TARS_SNIFF_MAYBE = 1, /* would take it if nobody else does */
    TARS_SNIFF_NAME = 2,  /* the name says so and the content does not deny it */
    TARS_SNIFF_SURE = 3,  /* the content says so */
};

struct tars_format {
    /* named: the file's name has one of the format's extensions. */
    enum tars_sniff (*sniff)(const struct tars_input *input, bool named);
    /* Blocks and documents into sink. On failure words for people, without the file's name. */
    tars_status (*parse)(struct tars_input *input, struct tars_sink *sink, struct tars_err *err);
};

/* The format of the input and its name, static. TARS_EUNSUPPORTED with words that say what it seems
 * to be, TARS_EPASSWORD for a container that shows from outside that it is encrypted, TARS_ENOTEXT
 * for an empty file. */
TARS_MUST_USE tars_status tars_format_find(struct tars_input *input,
                                           const struct tars_format **format, const char **name,
                                           struct tars_err *err);

/* Find the format, read the input, write documents and the end frame into sink. Returns what the
 * end frame says. */
tars_status tars_format_extract(struct tars_input *input, struct tars_sink *sink);

#define TARS_FORMAT(id, name, extensions) extern const struct tars_format tars_format_##id;
#include "extract/formats.def"
#undef TARS_FORMAT

#endif
