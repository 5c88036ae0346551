/* machine - see machine.h for the contract. */
#include "api/machine.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "api/api_internal.h"

#define FRESH_MS  5000  /* a sample is given again so long */
#define USEFUL_MS 65000 /* a difference over more than this says little about now */
#define MOMENT_NS 100000000

struct tars_machine_watch {
    pthread_mutex_t lock; /* guards the rest, also while a caller waits for the moment */
    struct tars_cpu_ticks ticks;
    struct tars_machine last;
    int64_t read_ms; /* on the monotonic clock; 0: never */
    bool is_set;     /* last is */
};

static tars_status refresh(struct tars_machine_watch *watch, int64_t now_ms)
{
    static const struct timespec moment = {.tv_nsec = MOMENT_NS};
    struct tars_cpu_ticks before = watch->ticks;
    struct tars_machine made;
    tars_status status = TARS_OK;

    if (!watch->read_ms || now_ms - watch->read_ms > USEFUL_MS) {
        status = tars_cpu_read(&before);
        (void)nanosleep(&moment, NULL);
    }
    if (status == TARS_OK)
        status = tars_cpu_read(&watch->ticks);
    if (status == TARS_OK)
        status = tars_memory_read(&made.memory);
    if (status != TARS_OK)
        return status;
    made.cpu_percent = tars_cpu_percent(before, watch->ticks);
    watch->last = made;
    watch->is_set = true;
    watch->read_ms = tars_clock_mono_ms();
    return TARS_OK;
}

tars_status tars_api_machine(const struct tars_api *api, struct tars_machine *out)
{
    struct tars_machine_watch *watch = api->machine;
    int64_t now_ms = tars_clock_mono_ms();
    tars_status status = TARS_OK;

    pthread_mutex_lock(&watch->lock);
    if (!watch->is_set || now_ms - watch->read_ms >= FRESH_MS)
        status = refresh(watch, now_ms);
    if (status == TARS_OK)
        *out = watch->last;
    pthread_mutex_unlock(&watch->lock);
    if (status == TARS_OK)
        out->has_gpu = tars_gpu_last(api->config.gpu, &out->gpu);
    return status;
}

tars_status tars_machine_watch_new(struct tars_machine_watch **watch)
{
    struct tars_machine_watch *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    pthread_mutex_init(&made->lock, NULL);
    *watch = made;
    return TARS_OK;
}

void tars_machine_watch_free(struct tars_machine_watch *watch)
{
    if (!watch)
        return;
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}
