/* redis_node - see redis_node.h for the contract. */
#include "cache/redis_node.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "base/sys/clock.h"

#define OPEN_MS       1000 /* opening that takes longer found nobody, unless callers wait long too */
#define OPEN_TIMES    4    /* as long as callers wait */
#define MORE_PAUSE_MS 1000  /* after a further connection could not be opened */
#define IDLE_MS       30000 /* a connection that lay so long is asked whether it works */

void tars_redis_node_init(struct tars_redis_node *node, const struct tars_redis_node_config *config,
                          const struct tars_redis_address *address)
{
    const struct tars_breaker_config breaker = {0};
    pthread_condattr_t attr;

    *node = (struct tars_redis_node){.config = config, .address = *address};
    node->max = config->max_connections;
    tars_breaker_init(&node->breaker, &breaker);
    atomic_init(&node->is_up, false);
    atomic_init(&node->has_stumble, false);
    (void)pthread_mutex_init(&node->lock, NULL);
    (void)pthread_condattr_init(&attr);
    (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&node->changed, &attr);
    (void)pthread_condattr_destroy(&attr);
}

/* Under the lock: all that lie idle, to be closed outside it. */
static struct tars_redis_conn *detach_idle(struct tars_redis_node *node)
{
    struct tars_redis_conn *idle = node->idle;

    for (struct tars_redis_conn *conn = idle; conn; conn = conn->next)
        node->open--;
    node->idle = NULL;
    return idle;
}

static void close_all(struct tars_redis_conn *conn)
{
    while (conn) {
        struct tars_redis_conn *next = conn->next;

        tars_redis_conn_close(conn);
        conn = next;
    }
}

void tars_redis_node_release(struct tars_redis_node *node)
{
    close_all(detach_idle(node));
    tars_breaker_release(&node->breaker);
    (void)pthread_cond_destroy(&node->changed);
    (void)pthread_mutex_destroy(&node->lock);
}

/* ------------------------------------------------------------ how it answers */

static void note(struct tars_redis_node *node, bool worked)
{
    struct tars_redis_conn *idle = NULL;

    if (worked && !atomic_load_explicit(&node->has_stumble, memory_order_relaxed))
        return;
    atomic_store_explicit(&node->has_stumble, !worked, memory_order_relaxed);
    tars_breaker_note(&node->breaker, worked, tars_clock_mono_ms());
    if (worked || tars_breaker_state(&node->breaker) == TARS_BREAKER_CLOSED)
        return;
    (void)pthread_mutex_lock(&node->lock);
    if (atomic_exchange(&node->is_up, false)) {
        idle = detach_idle(node);
        (void)pthread_cond_broadcast(&node->changed);
    }
    (void)pthread_mutex_unlock(&node->lock);
    close_all(idle);
    node->config->wake(node->config->wake_ctx);
}

static void remember_error(struct tars_redis_node *node, const char *text)
{
    (void)pthread_mutex_lock(&node->lock);
    (void)snprintf(node->error, sizeof(node->error), "%s", text);
    (void)pthread_mutex_unlock(&node->lock);
}

void tars_redis_node_error(struct tars_redis_node *node, struct tars_err *err)
{
    (void)pthread_mutex_lock(&node->lock);
    (void)snprintf(err->text, sizeof(err->text), "%s", node->error);
    (void)pthread_mutex_unlock(&node->lock);
}

void tars_redis_node_stumble(struct tars_redis_node *node)
{
    note(node, false);
}

/* -------------------------------------------------------------- connections */

/* Under the lock: the last used one that the other end has not closed. */
static struct tars_redis_conn *pop(struct tars_redis_node *node, struct tars_redis_conn **dead)
{
    while (node->idle) {
        struct tars_redis_conn *conn = node->idle;

        node->idle = conn->next;
        conn->next = NULL;
        if (tars_redis_conn_is_quiet(conn)) {
            node->busy++;
            return conn;
        }
        node->open--;
        conn->next = *dead;
        *dead = conn;
    }
    return NULL;
}

/* Under the lock. */
static void want_more(struct tars_redis_node *node)
{
    if (node->idle || node->open >= node->max || node->wants_more)
        return;
    node->wants_more = true;
    node->config->wake(node->config->wake_ctx);
}

/* Under the lock. False when the deadline is over. */
static bool await(struct tars_redis_node *node, int64_t deadline_ms)
{
    const struct timespec until = {.tv_sec = deadline_ms / 1000,
                                   .tv_nsec = deadline_ms % 1000 * 1000000};
    int failed;

    node->waiting++;
    failed = pthread_cond_timedwait(&node->changed, &node->lock, &until);
    node->waiting--;
    return failed != ETIMEDOUT;
}

tars_status tars_redis_node_take(struct tars_redis_node *node, int64_t deadline_ms,
                                 struct tars_redis_conn **conn)
{
    struct tars_redis_conn *dead = NULL;
    tars_status status = TARS_EAGAIN;
    bool has_none;

    if (!tars_redis_node_is_up(node))
        return TARS_EUNAVAILABLE;
    (void)pthread_mutex_lock(&node->lock);
    while (status == TARS_EAGAIN) {
        *conn = pop(node, &dead);
        want_more(node);
        if (*conn) {
            status = TARS_OK;
        } else if (!tars_redis_node_is_up(node)) {
            status = TARS_EUNAVAILABLE;
        } else if (!await(node, deadline_ms)) {
            status = TARS_ETIMEOUT;
        }
    }
    has_none = node->open == 0;
    (void)pthread_mutex_unlock(&node->lock);
    close_all(dead);
    if (status == TARS_ETIMEOUT && has_none)
        note(node, false);
    return status;
}

struct tars_redis_conn *tars_redis_node_take_idle(struct tars_redis_node *node)
{
    struct tars_redis_conn *dead = NULL;
    struct tars_redis_conn *conn = NULL;

    (void)pthread_mutex_lock(&node->lock);
    if (tars_redis_node_is_up(node))
        conn = pop(node, &dead);
    (void)pthread_mutex_unlock(&node->lock);
    close_all(dead);
    return conn;
}

/* Under the lock: lay it aside for the next, or say that it has to be closed. */
static bool lay_aside(struct tars_redis_node *node, struct tars_redis_conn *conn)
{
    if (conn->generation != node->generation || !tars_redis_node_is_up(node) ||
        node->open > node->max) {
        node->open--;
        return false;
    }
    conn->used_ms = tars_clock_mono_ms();
    conn->next = node->idle;
    node->idle = conn;
    (void)pthread_cond_signal(&node->changed);
    return true;
}

void tars_redis_node_give(struct tars_redis_node *node, struct tars_redis_conn *conn,
                          tars_status status)
{
    bool is_ours;
    bool is_kept = false;

    (void)pthread_mutex_lock(&node->lock);
    node->busy--;
    is_ours = conn->generation == node->generation;
    if (status == TARS_OK) {
        is_kept = lay_aside(node, conn);
    } else {
        node->open--;
        want_more(node);
    }
    (void)pthread_mutex_unlock(&node->lock);
    if (!is_kept)
        tars_redis_conn_close(conn);
    /* No memory is this program's trouble, and so is being told to stop. */
    if (is_ours && status != TARS_ENOMEM && status != TARS_ECANCELED)
        note(node, status == TARS_OK);
}

/* ------------------------------------------------------------------- keeper */

int64_t tars_redis_node_open_ms(const struct tars_redis_node_config *config)
{
    int64_t open_ms = config->timeout_ms * OPEN_TIMES;

    if (open_ms < OPEN_MS)
        open_ms = OPEN_MS;
    return open_ms < config->connect_timeout_ms ? open_ms : config->connect_timeout_ms;
}

static tars_status open_one(struct tars_redis_node *node, struct tars_redis_conn **conn)
{
    int64_t within_ms = tars_redis_node_open_ms(node->config);
    struct tars_redis_address address;
    struct tars_err err = {""};
    unsigned generation;
    tars_status status;

    (void)pthread_mutex_lock(&node->lock);
    address = node->address;
    generation = node->generation;
    (void)pthread_mutex_unlock(&node->lock);
    status = tars_redis_conn_open(&address, &node->config->conn, tars_clock_mono_ms() + within_ms,
                                  conn, &err);
    if (status != TARS_OK) {
        remember_error(node, err.text);
        return status;
    }
    (*conn)->generation = generation;
    return TARS_OK;
}

/* One question, answered as fast as callers need it. */
static tars_status ping(struct tars_redis_conn *conn, int64_t timeout_ms)
{
    struct tars_redis_reply *reply = NULL;
    tars_status status;

    tars_redis_conn_begin(conn);
    tars_redis_say(&conn->out, "PING");
    status = tars_redis_conn_ask(conn, tars_clock_mono_ms() + timeout_ms, &reply);
    if (status == TARS_OK && !tars_redis_reply_is(reply, "PONG"))
        return TARS_EFORMAT;
    return status;
}

static void come_up(struct tars_redis_node *node, struct tars_redis_conn *conn)
{
    atomic_store(&node->has_stumble, true); /* so that the success is told */
    note(node, true);
    (void)pthread_mutex_lock(&node->lock);
    atomic_store(&node->is_up, true);
    node->reconnects += node->was_up;
    node->was_up = true;
    node->error[0] = '\0';
    node->more_after_ms = 0;
    node->open++;
    (void)lay_aside(node, conn);
    (void)pthread_mutex_unlock(&node->lock);
}

static void try_again(struct tars_redis_node *node)
{
    const struct tars_redis_node_config *config = node->config;
    struct tars_redis_conn *conn = NULL;
    tars_status status = open_one(node, &conn);

    if (status == TARS_OK) {
        status = ping(conn, config->timeout_ms);
        if (status != TARS_OK)
            remember_error(node, "it answers, but too slowly");
    }
    if (status == TARS_OK) {
        come_up(node, conn);
        return;
    }
    tars_redis_conn_close(conn);
    if (status != TARS_ECANCELED)
        note(node, false);
}

static void open_more(struct tars_redis_node *node)
{
    struct tars_redis_conn *conn = NULL;
    tars_status status = open_one(node, &conn);
    bool is_kept = false;
    bool is_last;

    (void)pthread_mutex_lock(&node->lock);
    is_last = node->open == 0;
    if (status == TARS_OK) {
        node->open++;
        is_kept = lay_aside(node, conn);
    } else if (!is_last) {
        node->more_after_ms = tars_clock_mono_ms() + MORE_PAUSE_MS;
    }
    node->wants_more = node->waiting > 0 && !node->idle;
    (void)pthread_mutex_unlock(&node->lock);
    if (!is_kept)
        tars_redis_conn_close(conn);
    if (status != TARS_OK && status != TARS_ECANCELED && is_last)
        note(node, false);
}

/* The connection that lay longest, if that was long; it counts as taken. */
static struct tars_redis_conn *take_oldest(struct tars_redis_node *node)
{
    struct tars_redis_conn **at = &node->idle;
    struct tars_redis_conn *oldest = NULL;

    (void)pthread_mutex_lock(&node->lock);
    while (*at && (*at)->next)
        at = &(*at)->next;
    if (*at && tars_clock_mono_ms() - (*at)->used_ms >= IDLE_MS) {
        oldest = *at;
        *at = NULL;
        node->busy++;
    }
    (void)pthread_mutex_unlock(&node->lock);
    return oldest;
}

static bool wants_more(struct tars_redis_node *node)
{
    bool wants;

    (void)pthread_mutex_lock(&node->lock);
    wants =
        node->wants_more && node->open < node->max && tars_clock_mono_ms() >= node->more_after_ms;
    (void)pthread_mutex_unlock(&node->lock);
    return wants;
}

void tars_redis_node_tend(struct tars_redis_node *node)
{
    struct tars_redis_conn *oldest;

    if (!tars_redis_node_is_up(node)) {
        if (tars_breaker_may_try(&node->breaker, tars_clock_mono_ms()))
            try_again(node);
        return;
    }
    while (wants_more(node) && tars_redis_node_is_up(node))
        open_more(node);
    oldest = take_oldest(node);
    if (oldest)
        tars_redis_node_give(node, oldest, ping(oldest, node->config->timeout_ms));
}

/* Under the lock: forget what belongs to the address. */
static struct tars_redis_conn *leave(struct tars_redis_node *node)
{
    node->generation++;
    node->wants_more = false;
    node->more_after_ms = 0;
    atomic_store(&node->is_up, false);
    (void)pthread_cond_broadcast(&node->changed);
    return detach_idle(node);
}

void tars_redis_node_move(struct tars_redis_node *node, const struct tars_redis_address *address)
{
    struct tars_redis_conn *idle = NULL;
    bool is_other;

    (void)pthread_mutex_lock(&node->lock);
    is_other = !tars_redis_address_equal(&node->address, address);
    if (is_other) {
        node->address = *address;
        idle = leave(node);
    }
    (void)pthread_mutex_unlock(&node->lock);
    close_all(idle);
    if (is_other) /* what was heard of the other one does not count */
        tars_breaker_note(&node->breaker, true, tars_clock_mono_ms());
}

void tars_redis_node_retire(struct tars_redis_node *node)
{
    struct tars_redis_conn *idle;

    (void)pthread_mutex_lock(&node->lock);
    idle = leave(node);
    (void)pthread_mutex_unlock(&node->lock);
    close_all(idle);
}

void tars_redis_node_limit(struct tars_redis_node *node, size_t max_connections)
{
    (void)pthread_mutex_lock(&node->lock);
    node->max = max_connections;
    (void)pthread_mutex_unlock(&node->lock);
}

bool tars_redis_node_is_unused(struct tars_redis_node *node)
{
    bool is_unused;

    (void)pthread_mutex_lock(&node->lock);
    is_unused = node->busy == 0 && node->waiting == 0;
    (void)pthread_mutex_unlock(&node->lock);
    return is_unused;
}
