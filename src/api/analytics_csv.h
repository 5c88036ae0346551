/* analytics_csv - a row of analytics as a line of CSV or a JSON object. Questions have the 19
 * fields of the wire contract, section 7.9, in its order; the other tables their columns.
 */
#ifndef TARS_API_ANALYTICS_CSV_H
#define TARS_API_ANALYTICS_CSV_H

#include "analytics/analytics.h"
#include "base/codec/json_write.h"

/* The header, and a row; lines end in CRLF, booleans are True and False, null is empty. */
void tars_analytics_csv_names(struct tars_buf *out, enum tars_analytics_table table);
void tars_analytics_csv(struct tars_buf *out, const struct tars_logged *row);
void tars_analytics_json(struct tars_json *json, const struct tars_logged *row);

#endif
