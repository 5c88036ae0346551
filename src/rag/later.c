/* later - see later.h for the contract. */
#include "rag/later.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RETRY_MS     500
#define NS_PER_MS    INT64_C(1000000)
#define NS_PER_S     INT64_C(1000000000)
#define RECENT       16 /* messages among which one is looked for */
#define RECENT_BYTES ((size_t)1 << 30)

struct waiting {
    struct waiting *next;
    struct tars_arena arena; /* of what turn points to */
    struct tars_later_turn turn;
    size_t bytes;
    bool is_gone; /* its conversation was deleted */
};

struct tars_later {
    struct tars_store *store;
    struct tars_log *log;
    pthread_t thread;
    bool is_running;
    pthread_mutex_t lock; /* guards what follows; only the thread takes out */
    pthread_cond_t some;
    bool stopping;
    struct waiting *first, *newest;
    size_t count, bytes;
};

bool tars_later_may_pass(tars_status status)
{
    return status == TARS_EUNAVAILABLE || status == TARS_ETIMEOUT || status == TARS_EBUSY;
}

/* -------------------------------------------------------------------- writing */

static bool is_same(const struct tars_message *a, const struct tars_message *b)
{
    return strcmp(a->role, b->role) == 0 && strcmp(a->timestamp, b->timestamp) == 0 &&
           strcmp(a->content, b->content) == 0;
}

static tars_status find(struct tars_later *later, const struct tars_later_turn *turn, bool *found)
{
    const struct tars_message *wanted = &turn->messages[TARS_LATER_MESSAGES - 1];
    struct tars_message *messages = NULL;
    struct tars_arena arena;
    size_t count = 0;
    tars_status status;

    *found = false;
    tars_arena_init(&arena, RECENT_BYTES);
    status = tars_conversation_recent(later->store, turn->tenant, turn->client, turn->conversation,
                                      RECENT, &arena, &messages, &count, NULL);
    for (size_t i = 0; !status && i < count; i++)
        *found = *found || is_same(&messages[i], wanted);
    tars_arena_release(&arena);
    return status;
}

static tars_status write_turn(struct tars_later *later, const struct tars_later_turn *turn)
{
    struct tars_err err = {.text = ""};
    bool found;
    tars_status status = find(later, turn, &found);

    if (!status && !found) {
        status =
            tars_conversation_append(later->store, turn->tenant, turn->client, turn->conversation,
                                     turn->messages, TARS_LATER_MESSAGES, true, turn->now_us, &err);
    }
    if (status && !tars_later_may_pass(status)) {
        tars_log_warning(later->log, "rag", "a turn was not kept: %s",
                         err.text[0] ? err.text : tars_status_text(status));
    }
    return status;
}

/* ----------------------------------------------------------------------- list */

static void free_one(struct waiting *one)
{
    tars_arena_release(&one->arena);
    free(one);
}

/* Under the lock. */
static void take_first_out(struct tars_later *later)
{
    struct waiting *first = later->first;

    later->first = first->next;
    if (!later->first)
        later->newest = NULL;
    later->count--;
    later->bytes -= first->bytes;
    free_one(first);
}

/* Write what waits, oldest first, as far as the store takes it. The lock is held, but while one is
 * written. */
static void write_all(struct tars_later *later)
{
    while (later->first) {
        struct waiting *one = later->first;
        tars_status status = TARS_OK;

        if (!one->is_gone) {
            pthread_mutex_unlock(&later->lock);
            status = write_turn(later, &one->turn);
            pthread_mutex_lock(&later->lock);
        }
        if (tars_later_may_pass(status))
            return;
        take_first_out(later);
    }
}

/* Until something waits, or RETRY_MS when something does. */
static void rest(struct tars_later *later)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += RETRY_MS * NS_PER_MS;
    until.tv_sec += until.tv_nsec / NS_PER_S;
    until.tv_nsec %= NS_PER_S;
    if (later->first) {
        (void)pthread_cond_timedwait(&later->some, &later->lock, &until);
    } else {
        (void)pthread_cond_wait(&later->some, &later->lock);
    }
}

static void *run(void *ctx)
{
    struct tars_later *later = ctx;

    pthread_mutex_lock(&later->lock);
    while (!later->stopping) {
        rest(later);
        if (!later->stopping)
            write_all(later);
    }
    pthread_mutex_unlock(&later->lock);
    return NULL;
}

/* ----------------------------------------------------------------- life cycle */

tars_status tars_later_new(struct tars_store *store, struct tars_log *log,
                           struct tars_later **later)
{
    struct tars_later *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    made->store = store;
    made->log = log;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->some, NULL);
    made->is_running = pthread_create(&made->thread, NULL, run, made) == 0;
    if (!made->is_running) {
        tars_later_free(made);
        return TARS_ENOMEM;
    }
    *later = made;
    return TARS_OK;
}

void tars_later_free(struct tars_later *later)
{
    if (!later)
        return;
    pthread_mutex_lock(&later->lock);
    later->stopping = true;
    pthread_cond_broadcast(&later->some);
    pthread_mutex_unlock(&later->lock);
    if (later->is_running)
        (void)pthread_join(later->thread, NULL);
    pthread_mutex_lock(&later->lock);
    write_all(later);
    if (later->count) {
        tars_log_error(later->log, "rag", "%zu turns were not kept: the store was away to the end",
                       later->count);
    }
    while (later->first)
        take_first_out(later);
    pthread_mutex_unlock(&later->lock);
    pthread_cond_destroy(&later->some);
    pthread_mutex_destroy(&later->lock);
    free(later);
}

/* -------------------------------------------------------------------- adding */

static size_t length(const char *text)
{
    return text ? strlen(text) + 1 : 1;
}

static size_t bytes_of(const struct tars_later_turn *turn)
{
    size_t bytes = sizeof(struct waiting) + length(turn->tenant) + length(turn->client) +
                   length(turn->conversation);

    for (size_t i = 0; i < TARS_LATER_MESSAGES; i++) {
        const struct tars_message *message = &turn->messages[i];

        bytes += length(message->id) + length(message->role) + length(message->content) +
                 length(message->timestamp) + length(message->sources_json) +
                 length(message->metadata_json);
    }
    return bytes;
}

static bool copy(struct tars_arena *arena, const char **text)
{
    if (!*text)
        return true;
    *text = tars_arena_strdup(arena, *text);
    return *text != NULL;
}

static bool copy_message(struct tars_arena *arena, struct tars_message *message)
{
    return copy(arena, &message->id) && copy(arena, &message->role) &&
           copy(arena, &message->content) && copy(arena, &message->timestamp) &&
           copy(arena, &message->sources_json) && copy(arena, &message->metadata_json);
}

static struct waiting *make_one(const struct tars_later_turn *turn)
{
    struct waiting *one = calloc(1, sizeof(*one));
    bool is_whole;

    if (!one)
        return NULL;
    one->turn = *turn;
    one->bytes = bytes_of(turn);
    tars_arena_init(&one->arena, 2 * TARS_LATER_BYTES);
    is_whole = copy(&one->arena, &one->turn.tenant) && copy(&one->arena, &one->turn.client) &&
               copy(&one->arena, &one->turn.conversation);
    for (size_t i = 0; is_whole && i < TARS_LATER_MESSAGES; i++)
        is_whole = copy_message(&one->arena, &one->turn.messages[i]);
    if (is_whole)
        return one;
    free_one(one);
    return NULL;
}

tars_status tars_later_add(struct tars_later *later, const struct tars_later_turn *turn)
{
    size_t bytes = bytes_of(turn);
    struct waiting *one;
    bool fits;

    if (bytes > TARS_LATER_BYTES)
        return TARS_EBUSY;
    one = make_one(turn);
    if (!one)
        return TARS_ENOMEM;
    pthread_mutex_lock(&later->lock);
    fits = later->count < TARS_LATER_TURNS && later->bytes + bytes <= TARS_LATER_BYTES;
    if (fits && later->newest) {
        later->newest->next = one;
    } else if (fits) {
        later->first = one;
    }
    if (fits) {
        later->newest = one;
        later->count++;
        later->bytes += bytes;
        pthread_cond_signal(&later->some);
    }
    pthread_mutex_unlock(&later->lock);
    if (!fits)
        free_one(one);
    return fits ? TARS_OK : TARS_EBUSY;
}

static bool is_of(const struct waiting *one, const char *tenant, const char *conversation)
{
    return !one->is_gone && strcmp(one->turn.tenant, tenant) == 0 &&
           strcmp(one->turn.conversation, conversation) == 0;
}

bool tars_later_has(struct tars_later *later, const char *tenant, const char *conversation)
{
    bool has = false;

    pthread_mutex_lock(&later->lock);
    for (const struct waiting *one = later->first; one && !has; one = one->next)
        has = is_of(one, tenant, conversation);
    pthread_mutex_unlock(&later->lock);
    return has;
}

void tars_later_forget(struct tars_later *later, const char *tenant, const char *conversation)
{
    pthread_mutex_lock(&later->lock);
    for (struct waiting *one = later->first; one; one = one->next)
        one->is_gone = one->is_gone || is_of(one, tenant, conversation);
    pthread_mutex_unlock(&later->lock);
}
