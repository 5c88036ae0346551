/* lines - a stream of NDJSON, cut into parsed objects as it comes. */
#ifndef TARS_APP_LINES_H
#define TARS_APP_LINES_H

#include <stdbool.h>

#include <jansson.h>

#include "base/mem/buf.h"

/* object is lent for the call. false: stop. */
typedef bool tars_object_fn(void *ctx, json_t *object);

struct tars_object_lines {
    struct tars_buf rest; /* an unfinished line; or an error body */
    tars_object_fn *each;
    void *ctx;
};

void tars_object_lines_init(struct tars_object_lines *lines, tars_object_fn *each, void *ctx);
void tars_object_lines_release(struct tars_object_lines *lines);
/* A tars_session_bytes_fn; ctx is the lines. Bodies of errors are only kept, in rest. */
bool tars_object_lines_take(void *ctx, int status, const char *ptr, size_t len);

/* A text of an object, "" when it is absent; and a number, 0 likewise. */
const char *tars_object_text(const json_t *object, const char *name);
double tars_object_number(const json_t *object, const char *name);

#endif
