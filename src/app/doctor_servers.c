/* doctor_servers - what tars doctor says of Redis, PostgreSQL and the server of vectors: whether
 * they answer, and whether they are fit for what is kept in them. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "analytics/journal.h"
#include "analytics/sink_postgres.h"
#include "app/caches.h"
#include "app/doctor_internal.h"
#include "app/postgres.h"
#include "app/vector_backends.h"
#include "base/sys/clock.h"
#include "cache/cache_redis.h"
#include "vectors/vectors.h"

#define WAIT_MS         2000 /* for an answer */
#define LOOK_US         10000
#define REDIS_OLDEST    7  /* major versions */
#define POSTGRES_OLDEST 12 /* likewise */
#define VERSION_STEP    10000
#define KIB             ((uint64_t)1 << 10)
#define MIB             ((uint64_t)1 << 20)
#define FULL_PERCENT    75

/* -------------------------------------------------------------------- Redis */

/* What it says of itself comes a moment after the connection. */
static struct tars_cache_state state_of(struct tars_cache *redis)
{
    int64_t until_ms = tars_clock_mono_ms() + WAIT_MS;
    struct tars_cache_state state;

    tars_cache_state(redis, &state);
    while (!state.version[0] && tars_clock_mono_ms() < until_ms) {
        (void)usleep(LOOK_US);
        tars_cache_state(redis, &state);
    }
    return state;
}

static void judge_redis(struct tars_doctor *doctor, const char *place,
                        const struct tars_cache_state *state)
{
    bool is_old = state->version[0] && strtol(state->version, NULL, 10) < REDIS_OLDEST;

    tars_doctor_find(doctor, is_old ? TARS_DOCTOR_POOR : TARS_DOCTOR_WELL, "redis",
                     "use Redis 7 or newer", "%s answers%s%s", place,
                     state->version[0] ? ": Redis " : "", state->version);
    if (!state->version[0])
        return;
    if (state->max_memory == 0) {
        tars_doctor_find(doctor, TARS_DOCTOR_POOR, "redis memory",
                         "set maxmemory, and maxmemory-policy to allkeys-lru where Redis is for "
                         "this cache alone, to volatile-lru where it is not",
                         "no maxmemory: it may fill its machine (%llu MiB now)",
                         (unsigned long long)(state->used_memory / MIB));
    } else if (strcmp(state->policy, "noeviction") == 0) {
        tars_doctor_find(doctor, TARS_DOCTOR_POOR, "redis memory",
                         "set maxmemory-policy to allkeys-lru where Redis is for this cache alone, "
                         "to volatile-lru where it is not",
                         "noeviction: once %llu MiB are full it takes nothing any more",
                         (unsigned long long)(state->max_memory / MIB));
    } else {
        tars_doctor_find(doctor, TARS_DOCTOR_WELL, "redis memory", NULL, "%llu of %llu MiB, %s",
                         (unsigned long long)(state->used_memory / MIB),
                         (unsigned long long)(state->max_memory / MIB), state->policy);
    }
}

void tars_doctor_redis(struct tars_doctor *doctor)
{
    const char *place = tars_caches_redis_place(doctor->cli->settings, &doctor->cli->arena);
    struct tars_cache *redis = NULL;
    struct tars_err err = {{0}};
    tars_status status;

    if (!tars_caches_wants_redis(doctor->cli->settings))
        return;
    status = tars_caches_open_redis(doctor->cli->settings, NULL, &redis, &err);
    if (status == TARS_OK)
        status = tars_cache_redis_wait(redis, WAIT_MS, &err);
    if (status == TARS_OK) {
        const struct tars_cache_state state = state_of(redis);

        judge_redis(doctor, place ? place : "it", &state);
    } else {
        tars_doctor_find(doctor, TARS_DOCTOR_POOR, "redis",
                         "start it, or mend REDIS_*; until then what is cached is in memory alone",
                         "%s", err.text);
    }
    tars_cache_free(redis);
}

/* --------------------------------------------------------------- PostgreSQL */

static void judge_rights(struct tars_doctor *doctor, const struct tars_sink_postgres_look *look)
{
    if (look->is_read_only) {
        tars_doctor_find(doctor, TARS_DOCTOR_BAD, "postgres rights",
                         "name the server that can be written in POSTGRES_HOST",
                         "%s can only be read", look->database);
    } else if (look->foreign > 0) {
        tars_doctor_find(doctor, TARS_DOCTOR_BAD, "postgres rights",
                         "make POSTGRES_USER their owner (ALTER TABLE ... OWNER TO ...)",
                         "%lld of the tables are not %s's", (long long)look->foreign, look->user);
    } else if (look->version < look->latest && !look->may_make) {
        tars_doctor_find(doctor, TARS_DOCTOR_BAD, "postgres rights",
                         "make it the owner of the database (ALTER DATABASE ... OWNER TO ...), or "
                         "GRANT CREATE ON SCHEMA public",
                         "%s may not make tables in %s", look->user, look->database);
    } else {
        tars_doctor_find(doctor, TARS_DOCTOR_WELL, "postgres rights", NULL,
                         "%s may read and write in %s", look->user, look->database);
    }
}

static void judge_schema(struct tars_doctor *doctor, const struct tars_sink_postgres_look *look)
{
    if (look->foreign > 0)
        return; /* it may not be known */
    if (look->version > look->latest) {
        tars_doctor_find(doctor, TARS_DOCTOR_BAD, "postgres schema",
                         "use the newer program, or another database (POSTGRES_DB)",
                         "%d, and this program knows %d", look->version, look->latest);
    } else if (look->version < look->latest) {
        tars_doctor_find(doctor, TARS_DOCTOR_POOR, "postgres schema",
                         "tars migrate apply does it, or the next start of a server", "%d of %d",
                         look->version, look->latest);
    } else {
        tars_doctor_find(doctor, TARS_DOCTOR_WELL, "postgres schema", NULL, "%d, the latest",
                         look->version);
    }
}

/* Rows that wait for the database on this machine. */
static void judge_waiting(struct tars_doctor *doctor)
{
    const char *path = tars_arena_printf(&doctor->cli->arena, "%s/analytics.queue", doctor->data);
    uint64_t waiting = 0;
    uint64_t bytes = 0;
    struct tars_err err = {{0}};
    tars_status status = path ? tars_journal_look(path, &waiting, &bytes, &err) : TARS_ENOTFOUND;

    if (status == TARS_ENOTFOUND)
        return;
    if (status != TARS_OK) {
        tars_doctor_find(doctor, TARS_DOCTOR_POOR, "waiting rows",
                         "a server begins the file anew; what waited in it is lost", "%s",
                         err.text);
        return;
    }
    tars_doctor_find(
        doctor, waiting * 100 >= bytes * FULL_PERCENT ? TARS_DOCTOR_POOR : TARS_DOCTOR_WELL,
        "waiting rows",
        "mend PostgreSQL, or raise ANALYTICS_JOURNAL_MB: the oldest go when it is full",
        "%llu KiB of %llu MiB are rows that wait for PostgreSQL",
        (unsigned long long)((waiting + KIB - 1) / KIB), (unsigned long long)(bytes / MIB));
}

void tars_doctor_postgres(struct tars_doctor *doctor)
{
    const struct tars_settings *settings = doctor->cli->settings;
    const struct tars_pg_pool_config config = tars_postgres_config(settings);
    struct tars_sink_postgres_look look;
    struct tars_err err = {{0}};
    bool is_old;

    if (!tars_settings_flag(settings, TARS_SET_POSTGRES_ENABLED))
        return;
    if (tars_sink_postgres_look(&config.server, &doctor->cli->arena, &look, &err) != TARS_OK) {
        tars_doctor_find(doctor, TARS_DOCTOR_POOR, "postgres",
                         "start it, or mend POSTGRES_*; until then rows of the log wait on disk",
                         "%s", err.text);
        judge_waiting(doctor);
        return;
    }
    is_old = look.server_version / VERSION_STEP < POSTGRES_OLDEST;
    tars_doctor_find(doctor, is_old ? TARS_DOCTOR_BAD : TARS_DOCTOR_WELL, "postgres",
                     "use PostgreSQL 12 or newer", "%s:%u answers: PostgreSQL %d.%d",
                     config.server.host, (unsigned)config.server.port,
                     look.server_version / VERSION_STEP, look.server_version % VERSION_STEP);
    if (strcmp(look.encoding, "UTF8") != 0) {
        tars_doctor_find(doctor, TARS_DOCTOR_BAD, "postgres encoding",
                         "make a database by CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE "
                         "template0, and name it in POSTGRES_DB",
                         "%s has encoding %s, which lacks characters that questions have",
                         look.database, look.encoding);
    }
    judge_rights(doctor, &look);
    judge_schema(doctor, &look);
    judge_waiting(doctor);
}

/* --------------------------------------------------------- a server of vectors */

/* What it has, besides that it answers. */
static void judge_vectors(struct tars_doctor *doctor, struct tars_vectors *vectors)
{
    struct tars_vectors_state state;
    struct tars_err err = {{0}};

    if (vectors->ops->state(vectors, true, &state, &err) != TARS_OK) {
        tars_doctor_find(doctor, TARS_DOCTOR_BAD, "vectors", "mend what it says", "%s: %s",
                         vectors->ops->name, err.text);
    } else if (state.windows != state.expected) {
        tars_doctor_find(doctor, TARS_DOCTOR_POOR, "vectors",
                         "the next start of a server fills it again",
                         "%s has %llu vectors instead of %llu", vectors->ops->name,
                         (unsigned long long)state.windows, (unsigned long long)state.expected);
    } else if (state.is_unfinished && state.of.store[0]) {
        tars_doctor_find(doctor, TARS_DOCTOR_POOR, "vectors",
                         "a server that is at work makes it, and searches by words until then",
                         "%s has %llu vectors and no index of them yet", vectors->ops->name,
                         (unsigned long long)state.windows);
    } else {
        tars_doctor_find(doctor, TARS_DOCTOR_WELL, "vectors", NULL,
                         "%s answers: %llu vectors of %s, up to change %llu", vectors->ops->name,
                         (unsigned long long)state.windows,
                         state.of.model_name[0] ? state.of.model_name : "no model yet",
                         (unsigned long long)state.seq);
    }
}

void tars_doctor_vectors(struct tars_doctor *doctor)
{
    const struct tars_settings *settings = doctor->cli->settings;
    struct tars_vectors *vectors = NULL;
    struct tars_err err = {{0}};
    tars_status status;

    if (strcmp(tars_settings_text(settings, TARS_SET_VECTOR_BACKEND), "pgvector") != 0)
        return; /* of ChromaDB tells doctor_chroma.c */
    status = tars_vector_backends_open(settings, &vectors, &err);
    if (status == TARS_OK)
        status = tars_vector_backends_check(vectors, &err);
    if (status == TARS_OK) {
        judge_vectors(doctor, vectors);
    } else {
        bool is_away = status == TARS_EUNAVAILABLE || status == TARS_ETIMEOUT;

        tars_doctor_find(doctor, is_away ? TARS_DOCTOR_POOR : TARS_DOCTOR_BAD, "vectors",
                         is_away ? "start it, or mend its address; until then searches are by "
                                   "words, and what is missing there is written later"
                                 : "a server does not start so",
                         "%s", err.text);
    }
    tars_vectors_close(vectors);
}
