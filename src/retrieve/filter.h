/* filter - the filter objects of the wire contract (sections 1.3 and 7.3), over one document's
 * fields.
 *
 *     {"file_type": "pdf"}                                     equality
 *     {"$and": [{"page_count": {"$gte": 10}}, {"language": {"$in": ["en", "de"]}}]}
 *
 * Operators $eq $ne $gt $gte $lt $lte $in $nin, and $and $or of filters. Several fields in one
 *           object must all hold, and so must several operators on one field. A field that a
 *           document lacks is equal to nothing: $ne and $nin hold, all else does not. Numbers
 *           compare with numbers, texts with texts.
 *
 * Limits    TARS_FILTER_DEPTH_MAX levels of $and and $or, TARS_FILTER_BYTES_MAX bytes of JSON.
 * Threads   A parsed filter is never changed: it may be shared.
 */
#ifndef TARS_RETRIEVE_FILTER_H
#define TARS_RETRIEVE_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

#define TARS_FILTER_DEPTH_MAX 8
#define TARS_FILTER_BYTES_MAX ((size_t)64 * 1024)

enum tars_field_kind { TARS_FIELD_NONE = 0, TARS_FIELD_TEXT, TARS_FIELD_NUMBER, TARS_FIELD_BOOL };

struct tars_field {
    enum tars_field_kind kind; /* NONE: the document has no such field */
    const char *text;          /* TEXT: terminated, lent until the next look-up */
    double number;             /* NUMBER; BOOL: 0 or 1 */
};

/* What the field called name is for the document that ctx stands for. */
typedef struct tars_field tars_field_fn(void *ctx, const char *name);

struct tars_filter;

/* TARS_EINVAL: not JSON, not an object, or something in it is not understood; err names it. */
TARS_MUST_USE tars_status tars_filter_parse(const char *json, struct tars_filter **filter,
                                            struct tars_err *err);
void tars_filter_free(struct tars_filter *filter);
bool tars_filter_accepts(const struct tars_filter *filter, tars_field_fn *field, void *ctx);

#endif
