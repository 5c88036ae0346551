/* lifecycle - see lifecycle.h for the contract. */
#include "app/lifecycle.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct tars_lifecycle {
    pthread_t thread;
    pthread_mutex_t lock;  /* guards followed */
    pthread_cond_t come;   /* over or reload was set; on the monotonic clock */
    atomic_bool *followed; /* or NULL */
    atomic_bool over;
    atomic_bool reload;  /* asked for */
    atomic_bool reloads; /* SIGHUP asks for it */
    bool ignores_hangup; /* constant: so it was when the program began */
    atomic_bool closing; /* the thread is to end */
};

static void watched_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
    sigaddset(set, SIGUSR1); /* only to wake the thread at the end */
}

static void stop(struct tars_lifecycle *lifecycle)
{
    pthread_mutex_lock(&lifecycle->lock);
    atomic_store(&lifecycle->over, true);
    if (lifecycle->followed)
        atomic_store(lifecycle->followed, true);
    pthread_cond_broadcast(&lifecycle->come);
    pthread_mutex_unlock(&lifecycle->lock);
}

static void ask_reload(struct tars_lifecycle *lifecycle)
{
    pthread_mutex_lock(&lifecycle->lock);
    atomic_store(&lifecycle->reload, true);
    pthread_cond_broadcast(&lifecycle->come);
    pthread_mutex_unlock(&lifecycle->lock);
}

/* True when it is no signal to stop. */
static bool is_dealt_with(struct tars_lifecycle *lifecycle, int signal_number)
{
    if (signal_number == SIGHUP && atomic_load(&lifecycle->reloads)) {
        ask_reload(lifecycle);
        return true;
    }
    return signal_number == SIGUSR1 || (signal_number == SIGHUP && lifecycle->ignores_hangup);
}

static void *run(void *ctx)
{
    struct tars_lifecycle *lifecycle = ctx;
    sigset_t set;
    int signal_number = 0;

    watched_signals(&set);
    while (sigwait(&set, &signal_number) == 0 && !atomic_load(&lifecycle->closing)) {
        if (is_dealt_with(lifecycle, signal_number))
            continue;
        if (atomic_load(&lifecycle->over))
            _exit(128 + signal_number);
        stop(lifecycle);
    }
    return NULL;
}

static void init_condition(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

tars_status tars_lifecycle_new(struct tars_lifecycle **lifecycle)
{
    struct tars_lifecycle *made = calloc(1, sizeof(*made));
    struct sigaction hangup = {0};
    sigset_t set;

    if (!made)
        return TARS_ENOMEM;
    pthread_mutex_init(&made->lock, NULL);
    init_condition(&made->come);
    watched_signals(&set);
    made->ignores_hangup = sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler == SIG_IGN;
    (void)signal(SIGPIPE, SIG_IGN);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (pthread_create(&made->thread, NULL, run, made) != 0) {
        pthread_mutex_destroy(&made->lock);
        pthread_cond_destroy(&made->come);
        free(made);
        return TARS_ENOMEM;
    }
    *lifecycle = made;
    return TARS_OK;
}

void tars_lifecycle_free(struct tars_lifecycle *lifecycle)
{
    if (!lifecycle)
        return;
    atomic_store(&lifecycle->closing, true);
    pthread_kill(lifecycle->thread, SIGUSR1);
    pthread_join(lifecycle->thread, NULL);
    pthread_mutex_destroy(&lifecycle->lock);
    pthread_cond_destroy(&lifecycle->come);
    free(lifecycle);
}

bool tars_lifecycle_is_over(const struct tars_lifecycle *lifecycle)
{
    return atomic_load(&lifecycle->over);
}

atomic_bool *tars_lifecycle_flag(struct tars_lifecycle *lifecycle)
{
    return &lifecycle->over;
}

void tars_lifecycle_follow(void *ctx, atomic_bool *flag)
{
    struct tars_lifecycle *lifecycle = ctx;

    pthread_mutex_lock(&lifecycle->lock);
    lifecycle->followed = flag;
    if (flag && atomic_load(&lifecycle->over))
        atomic_store(flag, true);
    pthread_mutex_unlock(&lifecycle->lock);
}

bool tars_lifecycle_wait(struct tars_lifecycle *lifecycle, int64_t timeout_ms)
{
    struct timespec until;
    int failed = 0;
    bool over;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += timeout_ms % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&lifecycle->lock);
    while (!atomic_load(&lifecycle->over) && !atomic_load(&lifecycle->reload) && failed == 0) {
        failed = timeout_ms < 0
                     ? pthread_cond_wait(&lifecycle->come, &lifecycle->lock)
                     : pthread_cond_timedwait(&lifecycle->come, &lifecycle->lock, &until);
    }
    over = atomic_load(&lifecycle->over);
    pthread_mutex_unlock(&lifecycle->lock);
    return over;
}

void tars_lifecycle_reloads(struct tars_lifecycle *lifecycle)
{
    atomic_store(&lifecycle->reloads, true);
}

bool tars_lifecycle_take_reload(struct tars_lifecycle *lifecycle)
{
    return atomic_exchange(&lifecycle->reload, false);
}
