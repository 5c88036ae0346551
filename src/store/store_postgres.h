/* store_postgres - the store in a PostgreSQL database, in a schema "tars" of its own.
 *
 *     DATA/lock        who has the data folder, where there is one (flock)
 *     DATA/instance    the name by which the database knows the process that has it
 *
 * Tables are those of the SQLite store (docs/internals/store-postgres.md). Opening connects and
 * brings them up to date, under an advisory lock.
 *
 * Order     Whoever writes documents locks the one row of tars.counters from before the first
 *           number that it takes until it commits: changes and passages are seen by everybody in
 *           the order of their numbers, and without a gap.
 * Durable   Commits that acknowledge something wait for the server's disk (synchronous_commit on),
 *           the others do not.
 * Instances A process has a row that it renews every RENEW_MS; LEASE_MS after it has died, others
 *           may count on that, and its jobs are queued again. Who comes back with the name of its
 *           data folder need not wait. One that was given up while it hung writes no more.
 * Sessions  Nothing outlives a transaction in one, with is_pooled: pgbouncer may lend them by
 *           transaction.
 * Bounds    As the pool (postgres_pool.h). A list is read 256 rows at a time.
 * Threads   Safe to share; each call has a connection of its own while it lasts.
 * Failure   TARS_EUNAVAILABLE: the server is away or refuses; TARS_ETIMEOUT: no answer in time.
 *           When a connection is lost at the end of a transaction, it may have been done.
 * Texts     Are UTF-8 without NUL, else TARS_EINVAL. A path or an id with more than some 2,600
 *           bytes does not fit into an index: TARS_EINVAL.
 */
#ifndef TARS_STORE_STORE_POSTGRES_H
#define TARS_STORE_STORE_POSTGRES_H

#include <stdbool.h>

#include "base/status.h"
#include "store/postgres_pool.h"
#include "store/store.h"

struct tars_log;

#define TARS_STORE_LEASE_MS        30000
#define TARS_STORE_SHARED_LEASE_MS 15000 /* of those who share a store */

/* Settings of a store that is shared, which all who share it have in common (tars_store_meta_get):
 * the epoch of its states until the last of them has gone, and a key, both in hex. */
#define TARS_STORE_EPOCH       "shared.epoch"
#define TARS_STORE_EPOCH_BYTES 33
#define TARS_STORE_KEY         "shared.key"
#define TARS_STORE_KEY_BYTES   65

struct tars_store_postgres_config {
    struct tars_pg_pool_config pool; /* its texts are set by the store; what it lends is copied */
    const char *dir;  /* data folder of this process, made when it is not there; NULL: none */
    bool shared;      /* others who say so, too, may use the store at the same time */
    bool beside;      /* another process has the folder and the store, and may go on: only for what
                         it does not look at meanwhile (tars_store_revector) */
    int64_t lease_ms; /* 0: TARS_STORE_LEASE_MS, with shared TARS_STORE_SHARED_LEASE_MS */
    const char *settings; /* what is said to those who share it of how documents are made, as text
                             that only they read; copied; NULL: nothing */
};

/* Open or make the store; the caller closes it with tars_store_close().
 *
 *   TARS_EBUSY        another process has the folder, or the store; err says which
 *   TARS_EFORMAT      the database is not in UTF-8
 *   TARS_EMISMATCH    made by a newer version
 *   TARS_EUNAVAILABLE, TARS_ETIMEOUT, TARS_EIO, TARS_EDENIED, TARS_ENOMEM
 */
TARS_MUST_USE tars_status tars_store_postgres_open(const struct tars_store_postgres_config *config,
                                                   struct tars_store **store, struct tars_err *err);

/* How many processes have it and are alive, this one among them. */
TARS_MUST_USE tars_status tars_store_postgres_sharers(struct tars_store *store, int64_t *count,
                                                      struct tars_err *err);

/* Who shares it, and what it says of its settings. */
struct tars_store_sharer {
    const char *host;
    const char *settings;
};
/* Those that are alive and say something else than this one, TARS_STORE_UNLIKE_MAX at most, in the
 * arena. */
#define TARS_STORE_UNLIKE_MAX 16
TARS_MUST_USE tars_status tars_store_postgres_unlike(struct tars_store *store,
                                                     struct tars_arena *arena,
                                                     struct tars_store_sharer **sharers,
                                                     size_t *count, struct tars_err *err);

/* Keep a copy of the texts of passages in a file at path, which searches are answered from:
 * quickly, and also while the server is away. It fills itself, and follows the changes that pass by
 * (tars_store_changes(), _put(), _forget_*()): who keeps it reads all of them. Of what it had
 * only passages up to known are kept; 0: none, since changes were not read, and none when changes
 * up to seq, which were read, are not all followed. A copy that cannot be written is told to log,
 * which may be NULL, once until it can. Once, after the opening, before anybody else has the store.
 */
TARS_MUST_USE tars_status tars_store_postgres_keep_texts(struct tars_store *store, const char *path,
                                                         uint64_t known, uint64_t seq,
                                                         struct tars_log *log,
                                                         struct tars_err *err);

#endif
