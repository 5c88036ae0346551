/* bench/hnsw - the vector index on given vectors; bench/rows/vectors.py runs it beside its peers.
 *
 *     hnsw build VECTORS.f32 N DIR            link N vectors, a passage each, and save
 *     hnsw search DIR QUERIES.f32 FLOORS.f32 EF,EF... ROUNDS [ACCEPTED]
 *     hnsw churn VECTORS.f32 N DIR CHANGES QUERIES.f32 FLOORS.f32
 *     hnsw open DIR QUERIES.f32               open and search once, for cold and warm starts
 *
 * Vectors are float (n, 384) of unit length. FLOORS holds the score of each question's tenth best.
 * ACCEPTED holds a byte for each passage, 0: a filter refuses it. Times are of the thread's own
 * processor time but for `open`. churn makes N passages of the first N vectors, then replaces
 * CHANGES of them, at random, by others of the same vectors (so that FLOORS stay right), saving
 * once in N / 4. Prints one line of JSON.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/sys/clock.h"
#include "index/index.h"

#define DIM 384
#define TOP 10
#define TIE 1e-5F /* of scores that are the same but for rounding */

struct file {
    const void *ptr;
    size_t len;
};

struct filter {
    const unsigned char *accepted;
    size_t n;
};

static void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

static struct file map(const char *path)
{
    struct file file = {0};
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &info) != 0)
        die(path);
    file.len = (size_t)info.st_size;
    file.ptr = mmap(NULL, file.len, PROT_READ, MAP_SHARED, fd, 0);
    if (file.ptr == MAP_FAILED)
        die(path);
    (void)close(fd);
    return file;
}

static double cpu_s(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static struct tars_index *open_at(const char *dir, size_t ef, bool fresh)
{
    const struct tars_index_config config = {
        .dir = dir, .dim = DIM, .exact_below = 1, .ef = ef, .fresh = fresh};
    struct tars_index *index = NULL;
    struct tars_err err = {""};

    if (tars_index_open(&config, &index, &err) != TARS_OK)
        die(err.text);
    return index;
}

static void add(struct tars_index *index, uint64_t id, const float *vector)
{
    const struct tars_index_passage passage = {.id = id, .vectors = vector, .vector_count = 1};

    if (tars_index_add(index, &passage) != TARS_OK)
        die("add");
}

static void save(struct tars_index *index)
{
    struct tars_err err = {""};

    if (tars_index_save(index, &err) != TARS_OK)
        die(err.text);
}

/* Resident bytes of this process: its own, and those of mapped files. */
static void resident(size_t *own, size_t *mapped)
{
    FILE *file = fopen("/proc/self/status", "re");
    char line[256];

    *own = *mapped = 0;
    while (file && fgets(line, sizeof(line), file)) {
        (void)sscanf(line, "RssAnon: %zu", own);
        (void)sscanf(line, "RssFile: %zu", mapped);
    }
    if (file)
        (void)fclose(file);
    *own *= 1024;
    *mapped *= 1024;
}

static void build(const float *vectors, size_t n, const char *dir)
{
    struct tars_index *index = open_at(dir, 0, true);
    double start = cpu_s();
    double linked;

    for (size_t i = 0; i < n; i++)
        add(index, i + 1, vectors + i * DIM);
    tars_index_publish(index, n);
    linked = cpu_s();
    save(index);
    (void)printf("{\"n\": %zu, \"build_s\": %.3f, \"save_s\": %.3f}\n", n, linked - start,
                 cpu_s() - linked);
    tars_index_close(index);
}

/* ------------------------------------------------------------------- search */

static bool accepts(void *ctx, uint64_t id)
{
    const struct filter *filter = ctx;

    return id >= 1 && id <= filter->n && filter->accepted[id - 1];
}

static bool next(void *ctx, uint64_t from, struct tars_index_run *run)
{
    const struct filter *filter = ctx;
    uint64_t at = from > 0 ? from - 1 : 0;

    while (at < filter->n && !filter->accepted[at])
        at++;
    run->first = at + 1;
    while (at < filter->n && filter->accepted[at])
        at++;
    run->last = at;
    return run->last >= run->first;
}

static size_t ask(const struct tars_index *index, const float *query, float floor,
                  const struct tars_index_filter *filter)
{
    struct tars_index_hit hits[TOP];
    size_t right = 0;
    size_t n = 0;

    if (tars_index_search_vector(index, query, TOP, filter, hits, &n) != TARS_OK)
        die("search");
    for (size_t i = 0; i < n; i++)
        right += hits[i].score >= floor - TIE;
    return right;
}

static double recall(const struct tars_index *index, struct file queries, const float *floors)
{
    size_t count = queries.len / (DIM * sizeof(float));
    size_t right = 0;

    for (size_t q = 0; q < count; q++)
        right += ask(index, (const float *)queries.ptr + q * DIM, floors[q], NULL);
    return (double)right / (double)(count * TOP);
}

static int by_double(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;

    return (left > right) - (left < right);
}

/* Ask all once; lowers each question's time, and *best, the time of all, to what this round took.
 * How many hits were right. */
static size_t ask_all(const struct tars_index *index, struct file queries, const float *floors,
                      const struct tars_index_filter *by, double *times, double *best)
{
    size_t count = queries.len / (DIM * sizeof(float));
    double began = cpu_s();
    size_t right = 0;
    double took;

    for (size_t q = 0; q < count; q++) {
        double start = cpu_s();

        right += ask(index, (const float *)queries.ptr + q * DIM, floors[q], by);
        took = cpu_s() - start;
        times[q] = took < times[q] ? took : times[q];
    }
    took = cpu_s() - began;
    *best = took < *best ? took : *best;
    return right;
}

/* Once to warm up, then rounds; each question's best time counts for the percentiles, all of the
 * time of the best round for the mean. */
static void search(const char *dir, struct file queries, const float *floors, size_t ef,
                   size_t rounds, const struct file *accepted, const char *before)
{
    struct tars_index *index = open_at(dir, ef, false);
    struct filter filter = {accepted ? accepted->ptr : NULL, accepted ? accepted->len : 0};
    const struct tars_index_filter by = {accepts, &filter, next};
    size_t count = queries.len / (DIM * sizeof(float));
    double *times = malloc((count + 1) * sizeof(*times));
    double best = 1e9;
    size_t right = 0;

    if (!times)
        die("memory");
    for (size_t round = 0; round <= rounds; round++) {
        for (size_t q = 0; round < 2 && q < count; q++)
            times[q] = 1e9;
        best = round < 2 ? 1e9 : best;
        right = ask_all(index, queries, floors, accepted ? &by : NULL, times, &best);
    }
    qsort(times, count, sizeof(*times), by_double);
    (void)printf("%s{\"ef\": %zu, \"recall\": %.5f, \"mean_us\": %.2f, \"p50_us\": %.2f, "
                 "\"p95_us\": %.2f, \"p99_us\": %.2f}",
                 before, ef, (double)right / (double)(count * TOP), best / (double)count * 1e6,
                 times[count / 2] * 1e6, times[count * 95 / 100] * 1e6,
                 times[count * 99 / 100] * 1e6);
    free(times);
    tars_index_close(index);
}

/* A point for each ef in the list. */
static void curve(const char *dir, struct file queries, const float *floors, const char *efs,
                  size_t rounds, const struct file *accepted)
{
    const char *before = "{\"points\": [";

    while (*efs) {
        char *end;
        size_t ef = strtoull(efs, &end, 10);

        search(dir, queries, floors, ef, rounds, accepted, before);
        before = ", ";
        efs = *end == ',' ? end + 1 : end;
        if (efs == end)
            break;
    }
    (void)printf("]}\n");
}

/* -------------------------------------------------------------------- churn */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void churn(const float *vectors, size_t n, const char *dir, size_t changes,
                  struct file queries, const float *floors)
{
    struct tars_index *index = open_at(dir, 0, true);
    uint64_t *ids = calloc(n + 4, sizeof(*ids)); /* of the passage that has each vector */
    uint64_t random = 88172645463325252U;
    uint64_t id = 0;
    double before;
    double unsaved = 0;
    double start;

    if (!ids || n < 4)
        die("memory, or too few vectors");
    for (size_t i = 0; i < n; i++) {
        ids[i] = ++id;
        add(index, id, vectors + i * DIM);
    }
    tars_index_publish(index, id);
    before = recall(index, queries, floors);
    save(index);
    start = cpu_s();
    for (size_t i = 1; i <= changes; i++) {
        size_t at = next_random(&random) % n;

        tars_index_remove(index, ids[at], ids[at]);
        ids[at] = ++id;
        add(index, id, vectors + at * DIM);
        tars_index_publish(index, id);
        if (i % (n / 4) == 0) {
            unsaved = recall(index, queries, floors);
            save(index);
        }
    }
    (void)printf("{\"n\": %zu, \"changes\": %zu, \"recall_before\": %.5f, "
                 "\"recall_unsaved\": %.5f, \"recall_after\": %.5f, \"change_us\": %.1f}\n",
                 n, changes, before, unsaved, recall(index, queries, floors),
                 (cpu_s() - start) / (double)changes * 1e6);
    free(ids);
    tars_index_close(index);
}

/* --------------------------------------------------------------------- open */

static void open_once(const char *dir, struct file queries)
{
    int64_t start = tars_clock_mono_ns();
    struct tars_index *index = open_at(dir, 0, false);
    double opened = (double)(tars_clock_mono_ns() - start) / 1e6;
    size_t count = queries.len / (DIM * sizeof(float));
    struct tars_index_stats stats;
    char path[4096];
    double graph;
    double first;
    double each;
    size_t own;
    size_t mapped;

    start = tars_clock_mono_ns();
    (void)ask(index, queries.ptr, 0, NULL);
    first = (double)(tars_clock_mono_ns() - start) / 1e6;
    start = tars_clock_mono_ns();
    for (size_t q = 1; q < count; q++)
        (void)ask(index, (const float *)queries.ptr + q * DIM, 0, NULL);
    each = (double)(tars_clock_mono_ns() - start) / 1e6 / (double)(count - 1);
    resident(&own, &mapped);
    tars_index_stats(index, &stats);
    /* What the file holds for a vector besides the exact one, and what this process has. */
    (void)snprintf(path, sizeof(path), "%s/index.tars", dir);
    graph = (double)map(path).len / (double)stats.windows - DIM * sizeof(float);
    (void)printf("{\"n\": %llu, \"open_ms\": %.3f, \"first_ms\": %.3f, \"mean_ms\": %.3f, "
                 "\"graph_bytes\": %.1f, \"own_bytes\": %zu, \"mapped_bytes\": %zu}\n",
                 (unsigned long long)stats.windows, opened, first, each,
                 graph + (double)own / (double)stats.windows, own, mapped);
    tars_index_close(index);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    if (strcmp(what, "build") == 0 && argc == 5) {
        build(map(argv[2]).ptr, strtoull(argv[3], NULL, 10), argv[4]);
    } else if (strcmp(what, "search") == 0 && (argc == 7 || argc == 8)) {
        struct file accepted = {0};

        if (argc == 8)
            accepted = map(argv[7]);
        curve(argv[2], map(argv[3]), map(argv[4]).ptr, argv[5], strtoull(argv[6], NULL, 10),
              argc == 8 ? &accepted : NULL);
    } else if (strcmp(what, "churn") == 0 && argc == 8) {
        churn(map(argv[2]).ptr, strtoull(argv[3], NULL, 10), argv[4], strtoull(argv[5], NULL, 10),
              map(argv[6]), map(argv[7]).ptr);
    } else if (strcmp(what, "open") == 0 && argc == 4) {
        open_once(argv[2], map(argv[3]));
    } else {
        (void)fprintf(stderr, "usage: hnsw build|search|churn|open ...\n");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
