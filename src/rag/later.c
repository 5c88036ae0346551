/* later - see later.h for the contract. */
#include "rag/later.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/sys/clock.h"
#include "rag/later_file.h"

#define RETRY_MS     500
#define NS_PER_MS    INT64_C(1000000)
#define NS_PER_S     INT64_C(1000000000)
#define RECENT       16 /* messages among which one is looked for */
#define RECENT_BYTES ((size_t)1 << 30)
#define ARENA_BYTES  (2 * TARS_LATER_BYTES)

struct waiting {
    struct waiting *next;
    struct tars_arena arena; /* of what turn points to */
    struct tars_later_turn turn;
    size_t bytes;
    bool is_gone;                     /* its conversation was deleted */
    bool is_written;                  /* now, without the lock */
    char name[TARS_LATER_NAME_BYTES]; /* of its file; "": it has none */
};

struct tars_later {
    struct tars_store *store;
    struct tars_log *log;
    char *dir; /* or NULL */
    pthread_t thread;
    bool is_running;
    pthread_mutex_t lock; /* guards what follows; only the thread takes out */
    pthread_cond_t some;
    pthread_cond_t tried; /* the first was written, or not */
    bool stopping;
    struct waiting *first, *newest;
    size_t count, bytes;
    unsigned number; /* of the next file */
    bool complained; /* about the folder */
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
        status = tars_conversation_append_late(later->store, turn->tenant, turn->client,
                                               turn->conversation, turn->messages,
                                               TARS_LATER_MESSAGES, turn->now_us, &err);
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
static void remove_file(struct tars_later *later, struct waiting *one)
{
    if (one->name[0])
        tars_later_file_remove(later->dir, one->name);
    one->name[0] = '\0';
}

/* Under the lock; false: there is no room. */
static bool put_in(struct tars_later *later, struct waiting *one)
{
    if (later->count == TARS_LATER_TURNS || later->bytes + one->bytes > TARS_LATER_BYTES)
        return false;
    if (later->newest) {
        later->newest->next = one;
    } else {
        later->first = one;
    }
    later->newest = one;
    later->count++;
    later->bytes += one->bytes;
    return true;
}

/* Under the lock. Its file stays. */
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
            one->is_written = true;
            pthread_mutex_unlock(&later->lock);
            status = write_turn(later, &one->turn);
            pthread_mutex_lock(&later->lock);
            one->is_written = false;
            pthread_cond_broadcast(&later->tried);
        }
        if (tars_later_may_pass(status))
            return;
        remove_file(later, one);
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

/* -------------------------------------------------------------------- making */

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
    tars_arena_init(&one->arena, ARENA_BYTES);
    is_whole = copy(&one->arena, &one->turn.tenant) && copy(&one->arena, &one->turn.client) &&
               copy(&one->arena, &one->turn.conversation);
    for (size_t i = 0; is_whole && i < TARS_LATER_MESSAGES; i++)
        is_whole = copy_message(&one->arena, &one->turn.messages[i]);
    if (is_whole)
        return one;
    free_one(one);
    return NULL;
}

/* --------------------------------------------------------------------- files */

/* One of before, from its file. What cannot be read is told and left out. */
static tars_status read_one(struct tars_later *later, const char *name)
{
    struct tars_later_turn turn;
    struct tars_arena arena;
    struct tars_err err = {.text = ""};
    struct waiting *one = NULL;
    tars_status status;

    tars_arena_init(&arena, ARENA_BYTES);
    status = tars_later_file_read(later->dir, name, &arena, &turn, &err);
    if (status == TARS_OK)
        one = make_one(&turn);
    tars_arena_release(&arena);
    if (status == TARS_ENOMEM || (status == TARS_OK && !one))
        return TARS_ENOMEM;
    if (status != TARS_OK) {
        tars_log_warning(later->log, "rag", "a turn was not kept: %s", err.text);
        tars_later_file_remove(later->dir, name);
        return TARS_OK;
    }
    memcpy(one->name, name, sizeof(one->name));
    if (!put_in(later, one))
        free_one(one); /* the next start has it */
    return TARS_OK;
}

static tars_status read_all(struct tars_later *later)
{
    char(*names)[TARS_LATER_NAME_BYTES] = NULL;
    struct tars_arena arena;
    struct tars_err err = {.text = ""};
    size_t count = 0;
    tars_status status;

    tars_arena_init(&arena, ARENA_BYTES);
    status = tars_later_file_list(later->dir, &arena, &names, &count, &err);
    if (status == TARS_EIO)
        tars_log_warning(later->log, "rag", "turns that wait cannot be read: %s", err.text);
    for (size_t i = 0; status == TARS_OK && i < count; i++)
        status = read_one(later, names[i]);
    tars_arena_release(&arena);
    return status == TARS_EIO ? TARS_OK : status;
}

/* Its file, before it is in the list; without one it is in memory alone. */
static void write_one(struct tars_later *later, struct waiting *one)
{
    struct tars_err err = {.text = ""};
    unsigned number;
    bool complained;
    tars_status status;

    if (!later->dir)
        return;
    pthread_mutex_lock(&later->lock);
    number = later->number++;
    pthread_mutex_unlock(&later->lock);
    tars_later_file_name(one->name, tars_clock_wall_us(), number);
    status = tars_later_file_write(later->dir, one->name, &one->turn, &err);
    if (status != TARS_OK)
        one->name[0] = '\0';
    pthread_mutex_lock(&later->lock);
    complained = later->complained;
    later->complained = status != TARS_OK;
    pthread_mutex_unlock(&later->lock);
    if (status != TARS_OK && !complained) {
        tars_log_warning(later->log, "rag", "turns wait in memory alone: %s",
                         err.text[0] ? err.text : tars_status_text(status));
    }
}

/* ----------------------------------------------------------------- life cycle */

/* Without a thread any more; files stay. */
static void throw_away(struct tars_later *later)
{
    while (later->first)
        take_first_out(later);
    pthread_cond_destroy(&later->some);
    pthread_cond_destroy(&later->tried);
    pthread_mutex_destroy(&later->lock);
    free(later->dir);
    free(later);
}

/* Under the lock, at the end. */
static void tell_left(struct tars_later *later)
{
    size_t in_files = 0;

    for (const struct waiting *one = later->first; one; one = one->next)
        in_files += one->name[0] != '\0';
    if (in_files)
        tars_log_info(later->log, "rag", "%zu turns wait for the next start", in_files);
    if (later->count > in_files) {
        tars_log_error(later->log, "rag", "%zu turns were not kept: the store was away to the end",
                       later->count - in_files);
    }
}

tars_status tars_later_new(struct tars_store *store, const char *dir, struct tars_log *log,
                           struct tars_later **later)
{
    struct tars_later *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    made->store = store;
    made->log = log;
    made->dir = dir ? strdup(dir) : NULL;
    pthread_mutex_init(&made->lock, NULL);
    pthread_cond_init(&made->some, NULL);
    pthread_cond_init(&made->tried, NULL);
    if (dir && (!made->dir || read_all(made) != TARS_OK)) {
        throw_away(made);
        return TARS_ENOMEM;
    }
    made->is_running = pthread_create(&made->thread, NULL, run, made) == 0;
    if (!made->is_running) {
        throw_away(made);
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
    tell_left(later);
    pthread_mutex_unlock(&later->lock);
    throw_away(later);
}

/* -------------------------------------------------------------------- adding */

tars_status tars_later_add(struct tars_later *later, const struct tars_later_turn *turn)
{
    struct waiting *one;
    bool fits;

    if (bytes_of(turn) > TARS_LATER_BYTES)
        return TARS_EBUSY;
    one = make_one(turn);
    if (!one)
        return TARS_ENOMEM;
    write_one(later, one);
    pthread_mutex_lock(&later->lock);
    fits = put_in(later, one);
    if (fits) {
        pthread_cond_signal(&later->some);
    } else {
        remove_file(later, one);
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

bool tars_later_forget(struct tars_later *later, const char *tenant, const char *client,
                       const char *conversation)
{
    bool had = false;

    pthread_mutex_lock(&later->lock);
    while (later->first && later->first->is_written && is_of(later->first, tenant, conversation))
        pthread_cond_wait(&later->tried, &later->lock);
    for (struct waiting *one = later->first; one; one = one->next) {
        if (is_of(one, tenant, conversation) &&
            (!client || strcmp(one->turn.client, client) == 0)) {
            one->is_gone = true;
            had = true;
            remove_file(later, one);
        }
    }
    pthread_mutex_unlock(&later->lock);
    return had;
}
