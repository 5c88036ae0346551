/* lines - cuts a stream of foreign bytes into lines, whatever the pieces it comes in.
 *
 * A line ends at a line feed; a carriage return before it goes too. fn sees each line once, without
 * its end; empty lines as well, because they end an SSE event.
 *
 * Bounds    A line of at most max bytes, set at birth; a longer one is TARS_ETOOBIG.
 * Failure   Sticky: after a failure push() keeps returning it.
 */
#ifndef TARS_LLM_LINES_H
#define TARS_LLM_LINES_H

#include "base/mem/buf.h"
#include "base/status.h"

/* line lends until fn returns. What is not TARS_OK stops the cutting and is returned by push(). */
typedef tars_status tars_line_fn(void *ctx, struct tars_span line);

struct tars_lines {
    struct tars_buf rest; /* the unfinished line; owned */
    tars_line_fn *fn;
    void *ctx;
    tars_status status; /* first failure */
};

void tars_lines_init(struct tars_lines *lines, size_t max, tars_line_fn *fn, void *ctx);
void tars_lines_release(struct tars_lines *lines);
TARS_MUST_USE tars_status tars_lines_push(struct tars_lines *lines, const char *ptr, size_t len);
/* The stream has ended: what waits is the last line. */
TARS_MUST_USE tars_status tars_lines_finish(struct tars_lines *lines);

#endif
