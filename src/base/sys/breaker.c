/* breaker - see breaker.h for the contract. */
#include "base/sys/breaker.h"

#include <stddef.h>
#include <sys/random.h>

#define FAILURES_DEFAULT     3
#define PAUSE_DEFAULT_MS     100
#define PAUSE_MAX_DEFAULT_MS 2000
#define TRIAL_MS             10000 /* a trial of which nothing was heard is given up */

void tars_breaker_init(struct tars_breaker *breaker, const struct tars_breaker_config *config)
{
    *breaker = (struct tars_breaker){.config = *config};
    if (!breaker->config.failures)
        breaker->config.failures = FAILURES_DEFAULT;
    if (!breaker->config.pause_ms)
        breaker->config.pause_ms = PAUSE_DEFAULT_MS;
    if (!breaker->config.pause_max_ms)
        breaker->config.pause_max_ms = PAUSE_MAX_DEFAULT_MS;
    breaker->pause_ms = breaker->config.pause_ms;
    breaker->random = config->seed;
    if (!breaker->random &&
        getrandom(&breaker->random, sizeof(breaker->random), 0) != sizeof(breaker->random)) {
        breaker->random = (uintptr_t)breaker; /* any number spreads clients a little */
    }
    pthread_mutex_init(&breaker->lock, NULL);
    atomic_init(&breaker->state, TARS_BREAKER_CLOSED);
    atomic_init(&breaker->until_ms, 0);
}

void tars_breaker_release(struct tars_breaker *breaker)
{
    pthread_mutex_destroy(&breaker->lock);
}

/* splitmix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014. */
static uint64_t next_random(struct tars_breaker *breaker)
{
    uint64_t z = (breaker->random += 0x9e3779b97f4a7c15U);

    z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27U)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31U);
}

bool tars_breaker_may_try(struct tars_breaker *breaker, int64_t now_ms)
{
    bool may = false;

    if (atomic_load_explicit(&breaker->state, memory_order_acquire) == TARS_BREAKER_CLOSED)
        return true;
    if (now_ms < atomic_load_explicit(&breaker->until_ms, memory_order_acquire))
        return false;
    pthread_mutex_lock(&breaker->lock);
    if (atomic_load(&breaker->state) == TARS_BREAKER_CLOSED) {
        may = true;
    } else if (now_ms >= atomic_load(&breaker->until_ms)) {
        may = true;
        atomic_store(&breaker->until_ms, now_ms + TRIAL_MS);
        atomic_store(&breaker->state, TARS_BREAKER_HALF_OPEN);
    }
    pthread_mutex_unlock(&breaker->lock);
    return may;
}

/* Under the lock. */
static void pause(struct tars_breaker *breaker, int64_t now_ms)
{
    int64_t wait = breaker->pause_ms;

    wait -= (int64_t)(next_random(breaker) % (uint64_t)(wait / 2 + 1));
    breaker->pause_ms *= 2;
    if (breaker->pause_ms > breaker->config.pause_max_ms)
        breaker->pause_ms = breaker->config.pause_max_ms;
    atomic_store(&breaker->until_ms, now_ms + wait);
    atomic_store(&breaker->state, TARS_BREAKER_OPEN);
}

/* Under the lock. */
static void note_failure(struct tars_breaker *breaker, int64_t now_ms)
{
    int state = atomic_load(&breaker->state);

    breaker->failures++;
    /* Who began before it opened says nothing new. */
    if (state == TARS_BREAKER_HALF_OPEN ||
        (state == TARS_BREAKER_CLOSED && breaker->failures >= breaker->config.failures)) {
        pause(breaker, now_ms);
    }
}

void tars_breaker_note(struct tars_breaker *breaker, bool worked, int64_t now_ms)
{
    pthread_mutex_lock(&breaker->lock);
    if (worked) {
        breaker->failures = 0;
        breaker->pause_ms = breaker->config.pause_ms;
        atomic_store(&breaker->state, TARS_BREAKER_CLOSED);
    } else {
        note_failure(breaker, now_ms);
    }
    pthread_mutex_unlock(&breaker->lock);
}

enum tars_breaker_state tars_breaker_state(const struct tars_breaker *breaker)
{
    return (enum tars_breaker_state)atomic_load_explicit(&breaker->state, memory_order_acquire);
}

const char *tars_breaker_state_text(enum tars_breaker_state state)
{
    switch (state) {
    case TARS_BREAKER_CLOSED:
        return "closed";
    case TARS_BREAKER_HALF_OPEN:
        return "half open";
    case TARS_BREAKER_OPEN:
        return "open";
    }
    return "unknown";
}
