/* gauges - what is measured when somebody scrapes: how full, how busy, how many now.
 *
 * Everything else is counted where it happens. A scrape asks the store one question of each table's
 * size, and nothing that may wait for another server: whether parts answer is what app/sampler
 * notes down now and then.
 */
#ifndef TARS_API_GAUGES_H
#define TARS_API_GAUGES_H

struct tars_api;

/* Bring the gauges up to date; ctx is the api. Blocks for the store and, when nobody asked lately
 * how busy the machine is, for a moment (api/machine.h): so it runs on a thread of its own
 * (api/refresh.h), for which who scrapes waits only so long. */
void tars_gauges_read(void *ctx);

#endif
