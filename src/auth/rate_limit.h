/* rate_limit - at most so many requests in any 60 seconds, for each key.
 *
 * Model     A key has a row of counters, one for each step of the window (a second, with a window
 *           of 60), so what is counted is right to a step, and never too little: in no 60 seconds
 *           do more than limit requests pass. A request is counted for one step more at most.
 *
 *               now                                    counters of one key, oldest first:
 *                |                                     [0][0][3][1][0] ... [2][1]
 *             ---+--- 1 s ---+--- 1 s --- ... 60 s
 *
 * Bounds    max_keys of them; one more pushes out that of its shard which was used longest ago, so
 *           a flood of keys costs the precision of the limit, never memory. About 280 bytes a key.
 * Several   Servers that share a limit each count for themselves and hear what the others counted
 *           (rate_share.h). The counts of both decide.
 * Threads   Safe to share: the keys are spread over shards with a lock each.
 * Time      Passed in; it may go back a little (threads), which counts as no time passing.
 */
#ifndef TARS_AUTH_RATE_LIMIT_H
#define TARS_AUTH_RATE_LIMIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/auth.h"
#include "base/mem/span.h"
#include "base/status.h"

struct tars_rate_limit;

struct tars_rate_limit_config {
    int64_t limit;     /* requests in a window; 0: no limit, everything passes */
    int64_t window_ms; /* 0: 60,000 */
    size_t max_keys;   /* 0: 16,384 */
    uint64_t seed[2];  /* unpredictable in production, so that keys cannot be made to meet */
    bool is_shared;    /* with other servers, which have the same seed; 530 bytes a key then */
};

/* What X-RateLimit-* and a 429 say. */
struct tars_rate {
    bool allowed;
    int64_t limit;         /* 0: there is none, and no header is sent */
    int64_t remaining;     /* requests that would still pass now */
    int64_t retry_after_s; /* when not allowed: at least 1 */
};

TARS_MUST_USE tars_status tars_rate_limit_new(const struct tars_rate_limit_config *config,
                                              struct tars_rate_limit **limiter);
/* NULL is allowed. */
void tars_rate_limit_free(struct tars_rate_limit *limiter);

/* Another limit from now on; what was counted stays counted. Any thread; NULL is allowed. */
void tars_rate_limit_set(struct tars_rate_limit *limiter, int64_t limit);

/* A request: counted if it is allowed. limiter NULL: no limit. */
struct tars_rate tars_rate_limit_take(struct tars_rate_limit *limiter, struct tars_span key,
                                      int64_t now_ms);
/* The same with a limit of its own (a tenant's); 0: the limiter's. */
struct tars_rate tars_rate_limit_take_of(struct tars_rate_limit *limiter, struct tars_span key,
                                         int64_t limit, int64_t now_ms);
/* Without counting. */
struct tars_rate tars_rate_limit_peek(struct tars_rate_limit *limiter, struct tars_span key,
                                      int64_t now_ms);
/* Take back the newest that was counted, if there is one. */
void tars_rate_limit_refund(struct tars_rate_limit *limiter, struct tars_span key, int64_t now_ms);

/* Were there more than the limit, what was taken counted? Without counting. */
bool tars_rate_limit_is_over(struct tars_rate_limit *limiter, struct tars_span key, int64_t now_ms);

/* What a limit that is shared tells the other servers, and hears of them: rate_share.h alone. */
struct tars_rate_count {
    uint64_t key; /* a keyed digest of it, the same on all servers */
    int64_t step; /* of the servers' common clock, in steps of the limit */
    uint32_t count;
};
int64_t tars_rate_limit_step_ms(const struct tars_rate_limit *limiter);
/* The servers' common clock is so much before that of our callers. */
void tars_rate_limit_set_clock(struct tars_rate_limit *limiter, int64_t ahead_ms);
/* Our own counts that have changed since they were last collected, at most max of them. */
size_t tars_rate_limit_collect(struct tars_rate_limit *limiter, struct tars_rate_count *out,
                               size_t max);
/* Collect all that is counted once more. */
void tars_rate_limit_tell_again(struct tars_rate_limit *limiter);
/* What the others counted in that step, all together. */
void tars_rate_limit_heard(struct tars_rate_limit *limiter, struct tars_rate_count heard);

/* Keys. out holds TARS_RATE_KEY_BYTES; the span points into it.
 *
 *   of a caller with a credential:  the API key, else account or client_id with its tenant
 *   of one without, or a bad one:   the address; of IPv6 the first 64 bits, for a household has
 *                                   them all */
#define TARS_RATE_KEY_BYTES 384
struct tars_span tars_rate_key_of(const struct tars_principal *principal, char *out);
struct tars_span tars_rate_key_of_address(const char *address, char *out);

#endif
