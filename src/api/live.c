/* live - see live.h for the contract. */
#include "api/live.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* One block: the set, and its texts behind it. */
struct set {
    struct tars_live_texts texts; /* first, so that they are cast back to their set */
    atomic_int refs;
};

struct tars_live_box {
    pthread_mutex_t lock; /* guards set */
    struct set *set;      /* a reference */
};

static size_t size_of(const char *text)
{
    return text ? strlen(text) + 1 : 1;
}

static const char *copy(char **at, const char *text)
{
    char *to = *at;

    memcpy(to, text ? text : "", size_of(text));
    *at += size_of(text);
    return to;
}

static struct set *make_set(const struct tars_live_texts *texts)
{
    struct set *set = malloc(sizeof(*set) + size_of(texts->cors_origins) + size_of(texts->hosts) +
                             size_of(texts->metrics_token));
    char *at;

    if (!set)
        return NULL;
    at = (char *)(set + 1);
    set->texts.cors_origins = copy(&at, texts->cors_origins);
    set->texts.hosts = copy(&at, texts->hosts);
    set->texts.metrics_token = copy(&at, texts->metrics_token);
    atomic_init(&set->refs, 1);
    return set;
}

static void drop(struct set *set)
{
    if (set && atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) == 1)
        free(set);
}

tars_status tars_live_new(const struct tars_live_texts *texts, struct tars_live_box **box)
{
    struct tars_live_box *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    made->set = make_set(texts);
    if (!made->set) {
        free(made);
        return TARS_ENOMEM;
    }
    pthread_mutex_init(&made->lock, NULL);
    *box = made;
    return TARS_OK;
}

void tars_live_free(struct tars_live_box *box)
{
    if (!box)
        return;
    drop(box->set);
    pthread_mutex_destroy(&box->lock);
    free(box);
}

tars_status tars_live_set(struct tars_live_box *box, const struct tars_live_texts *texts)
{
    struct set *set = make_set(texts);
    struct set *old;

    if (!set)
        return TARS_ENOMEM;
    pthread_mutex_lock(&box->lock);
    old = box->set;
    box->set = set;
    pthread_mutex_unlock(&box->lock);
    drop(old);
    return TARS_OK;
}

const struct tars_live_texts *tars_live_take(struct tars_live_box *box)
{
    struct set *set;

    pthread_mutex_lock(&box->lock);
    set = box->set;
    atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    pthread_mutex_unlock(&box->lock);
    return &set->texts;
}

void tars_live_give(const struct tars_live_texts *texts)
{
    _Static_assert(offsetof(struct set, texts) == 0, "texts are cast back to their set");
    /* What was lent to be read is ours to free. */
    drop((struct set *)texts);
}
