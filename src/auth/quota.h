/* quota - questions a day of each tenant: counted in memory, written now and then.
 *
 * A question costs its asker a look into a table. A thread writes what was counted every
 * TARS_QUOTA_FLUSH_MS and reads the limits every TARS_QUOTA_RELOAD_MS, so a changed limit counts
 * within that time, or at once after _reload(). A crash forgets the questions of the last flush
 * interval; tars_quota_free() forgets none. Days are UTC.
 *
 * Documents and bytes of a tenant are the store's to count (tars_accounts_room(),
 * tars_store_put()).
 *
 * Bounds    TARS_QUOTA_TENANTS_MAX tenants in the table; those beyond are not limited by day.
 * Threads   Safe to share. _question() never blocks on a disk.
 */
#ifndef TARS_AUTH_QUOTA_H
#define TARS_AUTH_QUOTA_H

#include <stdint.h>

#include "base/status.h"
#include "obs/log.h"
#include "store/store.h"

#define TARS_QUOTA_FLUSH_MS    2000
#define TARS_QUOTA_RELOAD_MS   10000
#define TARS_QUOTA_TENANTS_MAX 100000

struct tars_quota;

/* Pointers are borrowed for the object's life. */
struct tars_quota_config {
    struct tars_store *store; /* required */
    int64_t (*now_us)(void);  /* NULL: tars_clock_wall_us */
    struct tars_log *log;     /* NULL: silent */
    int64_t flush_ms;         /* 0: TARS_QUOTA_FLUSH_MS; negative: only when asked (tests) */
};

TARS_MUST_USE tars_status tars_quota_new(const struct tars_quota_config *config,
                                         struct tars_quota **quota, struct tars_err *err);
/* Writes what is counted. NULL is allowed. */
void tars_quota_free(struct tars_quota *quota);

/* One more question of the tenant. TARS_EQUOTA, with words: it has had as many today as it may;
 * *retry_after_s says when the next day begins. quota NULL: fine. */
TARS_MUST_USE tars_status tars_quota_question(struct tars_quota *quota, const char *tenant,
                                              int64_t *retry_after_s, struct tars_err *err);

/* How many the tenant has asked today. */
int64_t tars_quota_today(struct tars_quota *quota, const char *tenant);

/* Write what is counted; read the limits again. They block. */
TARS_MUST_USE tars_status tars_quota_flush(struct tars_quota *quota, struct tars_err *err);
TARS_MUST_USE tars_status tars_quota_reload(struct tars_quota *quota, struct tars_err *err);

#endif
