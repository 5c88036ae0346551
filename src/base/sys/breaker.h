/* breaker - spares callers a server that does not answer.
 *
 *     closed ----- failures in a row ----> open ----- pause is over ----> half open
 *       ^                                   ^                                |
 *       |                                   +------- the trial failed -------+
 *       +------------------ the trial succeeded ----------------------------/
 *
 * Closed, everybody may try. Open, nobody may, and asking costs one atomic load. Half open, one
 * trial at a time may. Pauses double from pause_ms to pause_max_ms, each shortened by a random part
 * of up to a half, so that many clients do not come back at once. (Nygard, Release It!, "Circuit
 * Breaker"; exponential backoff with jitter.)
 *
 *     if (!tars_breaker_may_try(&breaker, tars_clock_mono_ms()))
 *         return TARS_EUNAVAILABLE;
 *     ... try ...
 *     tars_breaker_note(&breaker, worked, tars_clock_mono_ms());
 *
 * Threads   Safe to share.
 */
#ifndef TARS_BASE_SYS_BREAKER_H
#define TARS_BASE_SYS_BREAKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Numbers are those of the metric rag_backend_breaker_state. */
enum tars_breaker_state {
    TARS_BREAKER_CLOSED = 0,
    TARS_BREAKER_HALF_OPEN = 1,
    TARS_BREAKER_OPEN = 2
};

struct tars_breaker_config {
    unsigned failures;    /* in a row that open it; 0: 3 */
    int64_t pause_ms;     /* first pause; 0: 100 */
    int64_t pause_max_ms; /* 0: 2,000, so that a server that is back is found in that time */
    uint64_t seed;        /* of the jitter; 0: random */
};

struct tars_breaker {
    struct tars_breaker_config config;
    pthread_mutex_t lock;  /* guards all below but state */
    atomic_int state;      /* enum tars_breaker_state */
    atomic_llong until_ms; /* open: end of the pause; half open: when a lost trial is given up */
    unsigned failures;     /* in a row */
    int64_t pause_ms;      /* the next one, before jitter */
    uint64_t random;
};

void tars_breaker_init(struct tars_breaker *breaker, const struct tars_breaker_config *config);
void tars_breaker_release(struct tars_breaker *breaker);
/* True: try, and say with tars_breaker_note() how it went. now_ms is monotonic. */
bool tars_breaker_may_try(struct tars_breaker *breaker, int64_t now_ms);
void tars_breaker_note(struct tars_breaker *breaker, bool worked, int64_t now_ms);
enum tars_breaker_state tars_breaker_state(const struct tars_breaker *breaker);
const char *tars_breaker_state_text(enum tars_breaker_state state);

#endif
