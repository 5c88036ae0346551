/* status - see status.h. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *tars_status_text(tars_status status)
{
    switch (status) {
#define X(name, value, text) \
    case name:               \
        return text;
        TARS_STATUS_LIST(X)
#undef X
    }
    return "unknown status";
}

const char *tars_status_name(tars_status status)
{
    switch (status) {
#define X(name, value, text) \
    case name:               \
        return #name;
        TARS_STATUS_LIST(X)
#undef X
    }
    return "unknown";
}

/* Drop a UTF-8 sequence that the limit cut in two. */
static void trim_partial_character(char *text)
{
    size_t len = strlen(text);
    size_t tail = 0;

    while (tail < 3 && tail < len && ((unsigned char)text[len - 1 - tail] & 0xC0) == 0x80)
        tail++;
    if (tail < len) {
        unsigned char lead = (unsigned char)text[len - 1 - tail];
        size_t want = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;

        if (want != tail)
            text[len - 1 - tail] = '\0';
    }
}

tars_status tars_fail(tars_status status, struct tars_err *err, const char *format, ...)
{
    va_list args;
    int len;

    if (!err)
        return status;
    va_start(args, format);
    len = vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    if (len < 0)
        err->text[0] = '\0';
    if (len >= (int)sizeof(err->text))
        trim_partial_character(err->text);
    return status;
}
