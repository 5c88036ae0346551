/* live - the texts of the configuration that may change while the server runs.
 *
 * Model     A set of them is made, published and never changed; references are counted, so a
 * request keeps the set that it has taken while a newer one is published. Threads   Safe to share;
 * a lock is held for the time of a pointer's copy.
 */
#ifndef TARS_API_LIVE_H
#define TARS_API_LIVE_H

#include "base/status.h"

/* Borrowed for the call; NULL is as good as "". */
struct tars_live_texts {
    const char *cors_origins;  /* joined by commas */
    const char *hosts;         /* more names of this server, joined by commas */
    const char *metrics_token; /* that a scrape must show */
};

struct tars_live_box;

/* TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_live_new(const struct tars_live_texts *texts,
                                        struct tars_live_box **box);
/* Nobody has a set any more. NULL is allowed. */
void tars_live_free(struct tars_live_box *box);

/* Publish a copy of texts. TARS_ENOMEM: the old ones stay. */
TARS_MUST_USE tars_status tars_live_set(struct tars_live_box *box,
                                        const struct tars_live_texts *texts);

/* Each take is given back. No text of them is NULL. */
const struct tars_live_texts *tars_live_take(struct tars_live_box *box);
void tars_live_give(const struct tars_live_texts *texts);

#endif
