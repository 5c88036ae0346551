/* sink_sqlite - analytics in a SQLite file of their own, so that writing them never waits for, nor
 * holds up, what the store does.
 *
 * Tables, columns, defaults and indexes are those of the wire contract (section 5), besides tenant
 * and collection; migrations/sqlite_analytics/ makes them. WAL with synchronous=NORMAL: a power cut
 * may cost the last rows, never the file.
 *
 * Threads   As sink.h says: one connection writes; one reads, a question at a time.
 */
#ifndef TARS_ANALYTICS_SINK_SQLITE_H
#define TARS_ANALYTICS_SINK_SQLITE_H

#include "analytics/sink.h"

/* Open or make the file at path. EFORMAT: it is a database, but none of ours;
 * EUNAVAILABLE: it is damaged; EMISMATCH: a newer program made it. */
TARS_MUST_USE tars_status tars_sink_sqlite_open(const char *path, struct tars_analytics_sink **sink,
                                                struct tars_err *err);

#endif
