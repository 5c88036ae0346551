/* row_json - what a row holds as JSON, the same in every back end: relevance scores and metadata
 * (wire contract, section 5).
 *
 * Each empties out first; its sticky status tells a failure.
 */
#ifndef TARS_ANALYTICS_ROW_JSON_H
#define TARS_ANALYTICS_ROW_JSON_H

#include "analytics/sink.h"
#include "base/mem/buf.h"

struct tars_row_relevance {
    double mean, greatest; /* NaN without sources */
};

/* The scores of a question's sources, an array, best first. */
struct tars_row_relevance tars_row_scores(const struct tars_query_row *row, struct tars_buf *out);
/* metadata of a question; greatest is that of its relevance. */
void tars_row_query_metadata(const struct tars_query_row *row, double greatest,
                             struct tars_buf *out);
/* metadata of a question from another program's log (section 7.9). */
void tars_row_import_metadata(const struct tars_logged_query *row, struct tars_buf *out);
void tars_row_error_metadata(const struct tars_error_row *row, struct tars_buf *out);

#endif
