/* analytics_csv - a logged question as a line of CSV or a JSON object: the 19 fields of the wire
 * contract, section 7.9, in its order. */
#ifndef TARS_API_ANALYTICS_CSV_H
#define TARS_API_ANALYTICS_CSV_H

#include "analytics/analytics.h"
#include "base/codec/json_write.h"

/* The header, and a row; lines end in CRLF, booleans are True and False, null is empty. */
void tars_analytics_csv_header(struct tars_buf *out);
void tars_analytics_csv_row(struct tars_buf *out, const struct tars_logged_query *query);
void tars_analytics_json_row(struct tars_json *json, const struct tars_logged_query *query);

#endif
