/* bench/redis - what the cache in Redis costs. bench/redis_peer.py starts a server, runs this and
 * the same through Python's redis, and prints both.
 *
 *     redis PORT [ROUNDS]
 *
 * One line of "name value unit" each, on a server on this machine that must be empty: a hit of a
 * vector of 384 floats and of 14 kB, one thread and 16; a miss; what setting costs the caller, and
 * how many vectors a second arrive; what a question costs while the breaker is open.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys/clock.h"
#include "cache/cache_redis.h"

#define DIM         384
#define RESULT      14000
#define KEYS        100
#define SETS        8000 /* fewer than the queue holds */
#define ROUNDS      5000
#define THREADS     16
#define ARENA_BYTES ((size_t)1 << 20)

static struct tars_cache *open_cache(int port, int64_t timeout_ms)
{
    const struct tars_cache_redis_config config = {
        .host = "127.0.0.1",
        .port = port,
        .timeout_ms = timeout_ms,
        .ttl_s = {3600, 3600, 3600, 3600},
    };
    struct tars_cache *cache = NULL;
    struct tars_err err = {""};

    if (tars_cache_redis_open(&config, &cache, &err) != TARS_OK ||
        tars_cache_redis_wait(cache, 5000, &err) != TARS_OK) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    return cache;
}

static struct tars_span key_of(char *room, int i)
{
    return tars_span(room, (size_t)snprintf(room, 32, "key %d", i));
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

struct load {
    struct tars_cache *cache;
    enum tars_cache_kind kind;
    int rounds;
    bool misses;
    int64_t *took_ns; /* (rounds,) */
};

static void *get_often(void *ctx)
{
    struct load *load = ctx;
    struct tars_arena arena;

    tars_arena_init(&arena, ARENA_BYTES);
    for (int i = 0; i < load->rounds; i++) {
        struct tars_span value;
        char room[32];
        struct tars_span key = key_of(room, (load->misses ? 1000000 : 0) + i % KEYS);
        int64_t began_ns = tars_clock_mono_ns();
        tars_status status = tars_cache_get(load->cache, load->kind, key, &arena, &value);

        load->took_ns[i] = tars_clock_mono_ns() - began_ns;
        if (status != (load->misses ? TARS_ENOTFOUND : TARS_OK)) {
            fprintf(stderr, "a get failed: %s\n", tars_status_text(status));
            exit(1);
        }
        tars_arena_clear(&arena);
    }
    tars_arena_release(&arena);
    return NULL;
}

static void print_percentile(const char *name, const struct load *load, int percent)
{
    int at = load->rounds * percent / 100;

    printf("%s_p%d %.1f us\n", name, percent, (double)load->took_ns[at] / 1e3);
}

static void measure_get(const char *name, struct load *load)
{
    get_often(load);
    qsort(load->took_ns, (size_t)load->rounds, sizeof(*load->took_ns), by_size);
    print_percentile(name, load, 50);
    print_percentile(name, load, 95);
}

static void measure_threads(const char *name, const struct load *load)
{
    pthread_t threads[THREADS];
    struct load loads[THREADS];
    int64_t began_ns = tars_clock_mono_ns();

    for (int i = 0; i < THREADS; i++) {
        loads[i] = *load;
        loads[i].took_ns = calloc((size_t)load->rounds, sizeof(int64_t));
        if (!loads[i].took_ns || pthread_create(&threads[i], NULL, get_often, &loads[i]) != 0)
            exit(1);
    }
    for (int i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
        free(loads[i].took_ns);
    }
    printf("%s %.0f /s\n", name,
           THREADS * load->rounds / ((double)(tars_clock_mono_ns() - began_ns) / 1e9));
}

static void set_all(struct tars_cache *cache, enum tars_cache_kind kind, struct tars_span value,
                    int count)
{
    char room[32];

    for (int i = 0; i < count; i++)
        tars_cache_set(cache, kind, key_of(room, i), value);
}

/* Dropping what waits waits for all that was set before. */
static void flush(struct tars_cache *cache, enum tars_cache_kind kind, int count)
{
    char room[32];

    (void)tars_cache_drop(cache, kind, key_of(room, count - 1));
}

static void measure_sets(struct tars_cache *cache, struct tars_span vector)
{
    int64_t began_ns = tars_clock_mono_ns();
    int64_t told_ns;

    set_all(cache, TARS_CACHE_RERANK, vector, SETS);
    told_ns = tars_clock_mono_ns();
    flush(cache, TARS_CACHE_RERANK, SETS);
    printf("set_caller %.2f us\n", (double)(told_ns - began_ns) / SETS / 1e3);
    printf("set_vectors %.0f /s\n", SETS / ((double)(tars_clock_mono_ns() - began_ns) / 1e9));
}

/* A server that is not there: what remains to be paid. */
static void measure_away(void)
{
    const struct tars_cache_redis_config config = {.host = "127.0.0.1", .port = 1};
    struct tars_cache *cache = NULL;
    struct tars_arena arena;
    struct tars_span value;
    struct tars_err err = {""};
    int64_t began_ns;
    int found = 0;

    if (tars_cache_redis_open(&config, &cache, &err) != TARS_OK)
        exit(1);
    tars_arena_init(&arena, ARENA_BYTES);
    began_ns = tars_clock_mono_ns();
    for (int i = 0; i < 1000000; i++) {
        found +=
            tars_cache_get(cache, TARS_CACHE_RESULT, tars_span_of("a"), &arena, &value) == TARS_OK;
    }
    printf("get_away %.3f us\n", (double)(tars_clock_mono_ns() - began_ns) / 1e9);
    if (found)
        exit(1);
    tars_arena_release(&arena);
    tars_cache_free(cache);
}

int main(int argc, char **argv)
{
    static float vector[DIM];
    static char result[RESULT];
    struct load load = {.rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : ROUNDS};
    int port = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0;

    if (port < 1 || load.rounds < 100) {
        fprintf(stderr, "usage: bench_redis PORT [ROUNDS]\n");
        return 2;
    }
    for (int i = 0; i < DIM; i++)
        vector[i] = (float)((i * 7919 + 13) % 2003 - 1001) / 20030.0F;
    memset(result, 'r', sizeof(result));
    load.cache = open_cache(port, 10000);
    load.took_ns = calloc((size_t)load.rounds, sizeof(int64_t));
    if (!load.took_ns)
        return 1;
    set_all(load.cache, TARS_CACHE_EMBEDDING, tars_span((const char *)vector, sizeof(vector)),
            KEYS + 1);
    set_all(load.cache, TARS_CACHE_RESULT, tars_span(result, sizeof(result)), KEYS + 1);
    flush(load.cache, TARS_CACHE_RESULT, KEYS + 1);
    load.kind = TARS_CACHE_EMBEDDING;
    measure_get("get_vector", &load);
    measure_threads("get_vector_16", &load);
    load.kind = TARS_CACHE_RESULT;
    measure_get("get_14kB", &load);
    measure_threads("get_14kB_16", &load);
    load.misses = true;
    measure_get("get_miss", &load);
    measure_sets(load.cache, tars_span((const char *)vector, sizeof(vector)));
    tars_cache_free(load.cache);
    free(load.took_ns);
    measure_away();
    return 0;
}
