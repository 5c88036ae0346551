/* gauges - what is measured when somebody scrapes: how full, how busy, how many now.
 *
 * Everything else is counted where it happens. A scrape asks the store one question of each table's
 * size, and nothing that may wait for another server: whether parts answer is what app/sampler
 * notes down now and then.
 */
#ifndef TARS_API_GAUGES_H
#define TARS_API_GAUGES_H

#include "api/exchange.h"

/* Bring the gauges up to date. Blocks for the store and, when nobody asked lately how busy the
 * machine is, for a moment (api/machine.h). */
void tars_gauges_refresh(struct tars_exchange *ex);

#endif
