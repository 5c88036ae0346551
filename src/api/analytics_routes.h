/* analytics_routes - what the routes of /analytics share. Not for others. */
#ifndef TARS_API_ANALYTICS_ROUTES_H
#define TARS_API_ANALYTICS_ROUTES_H

#include "analytics/analytics.h"
#include "api/api_internal.h"

/* Rows that the caller may see: of its tenant and of collections that it may read; all, for the
 * owner of the data folder. */
struct tars_analytics_range tars_analytics_route_range(const struct tars_exchange *ex);
const char *tars_analytics_route_tenant(const struct tars_exchange *ex);

/* start_time and end_time as they were sent, or NULL, read into a range; false when the reply is
 * given. */
bool tars_analytics_route_times(struct tars_exchange *ex, const char *start_time,
                                const char *end_time, struct tars_analytics_range *range);

#endif
