/* works - see works.h for the contract. */
#include "model/works.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <time.h>

#define NS_IN_S 1000000000LL

tars_status tars_works_init(struct tars_works *works, size_t max)
{
    pthread_condattr_t attr;
    bool is_made;

    works->made = 0;
    works->idle_count = 0;
    works->max = max < TARS_WORKS_MAX ? max : TARS_WORKS_MAX;
    if (pthread_condattr_init(&attr) != 0)
        return TARS_ENOMEM;
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    is_made = pthread_cond_init(&works->freed, &attr) == 0;
    (void)pthread_condattr_destroy(&attr);
    if (!is_made)
        return TARS_ENOMEM;
    if (pthread_mutex_init(&works->lock, NULL) == 0)
        return TARS_OK;
    (void)pthread_cond_destroy(&works->freed);
    return TARS_ENOMEM;
}

void tars_works_release(struct tars_works *works)
{
    assert(works->idle_count == works->made);
    for (size_t i = 0; i < works->idle_count; i++)
        tars_bert_work_free(works->idle[i]);
    (void)pthread_cond_destroy(&works->freed);
    (void)pthread_mutex_destroy(&works->lock);
}

/* Under the lock. false: it is time. */
static bool wait_for_work(struct tars_works *works, int64_t until_ns)
{
    struct timespec until = {until_ns / NS_IN_S, until_ns % NS_IN_S};

    if (until_ns == TARS_WORKS_NOW)
        return false;
    if (until_ns == TARS_WORKS_FOREVER)
        return pthread_cond_wait(&works->freed, &works->lock) == 0;
    return pthread_cond_timedwait(&works->freed, &works->lock, &until) != ETIMEDOUT;
}

tars_status tars_works_take(struct tars_works *works, const struct tars_bert *bert,
                            size_t max_tokens, int64_t until_ns, struct tars_bert_work **work,
                            struct tars_err *err)
{
    bool is_in_time = true;
    bool may_make;
    tars_status status;

    *work = NULL;
    (void)pthread_mutex_lock(&works->lock);
    while (is_in_time && works->idle_count == 0 && works->made == works->max)
        is_in_time = wait_for_work(works, until_ns);
    if (works->idle_count > 0)
        *work = works->idle[--works->idle_count];
    may_make = !*work && works->made < works->max;
    if (may_make)
        works->made++;
    (void)pthread_mutex_unlock(&works->lock);
    if (!may_make)
        return TARS_OK;
    status = tars_bert_work_new(bert, max_tokens, work, err);
    if (status != TARS_OK) {
        (void)pthread_mutex_lock(&works->lock);
        works->made--;
        (void)pthread_cond_signal(&works->freed);
        (void)pthread_mutex_unlock(&works->lock);
    }
    return status;
}

void tars_works_give(struct tars_works *works, struct tars_bert_work *work)
{
    (void)pthread_mutex_lock(&works->lock);
    works->idle[works->idle_count++] = work;
    (void)pthread_cond_signal(&works->freed);
    (void)pthread_mutex_unlock(&works->lock);
}
