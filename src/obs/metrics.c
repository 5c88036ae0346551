/* metrics - see metrics.h for the contract; what is written of it is in metrics_render.c.
 *
 * DESIGN
 *
 * The registry is one array of families, in the order of metrics.def. A family lists its series,
 * oldest first, and finds them by the hash of their values in a table that only ever fills up, so
 * that readers need no lock:
 *
 *     family[HTTP_REQUESTS]  list:  GET,/health,200 -> POST,/rag/query,200 -> NULL
 *                            slots: [ ] [POST,/rag/query,200] [ ] [GET,/health,200] ...
 *
 * What is counted is in one mapping, of as many sets of cells as threads may have their own, and
 * one that all others share. A series is the same cells in each set:
 *
 *     set 0   | errors | query_duration: .5 1 2 ... +Inf sum | GET,/health,200 | ...
 *     set 1   | errors | query_duration: .5 1 2 ... +Inf sum | GET,/health,200 | ...
 *     ...
 *     shared  | errors | ...
 *
 * The mapping has room for every series that there may ever be (some 25 MB of addresses); what was
 * never counted into is no memory, and cells are given out in the order of the series, so that a
 * thread has a few pages. A histogram counts each observation in the one bucket that it falls into;
 * the scrape adds them up. Its sum is kept in millionths as an integer: 9.2e12 units fit, and no
 * float rounding creeps in.
 *
 * Cells of a thread, not of a processor: sched_getcpu() and an atomic addition cost more than the
 * key of a thread and a plain one, and a thread's cells are never shared.
 *
 * INVARIANTS
 *
 *   1. A series is never freed or moved before the registry.
 *   2. A family has at most its bound of series and one more, "other"; once that is there, no
 *      other one comes.
 *   3. A set of cells that is not shared is written by the one thread that has taken it.
 */
#include "obs/metrics.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "obs/metrics_internal.h"

#define REPLACEMENT   '?'  /* for a byte that is no UTF-8 */
#define OBSERVED_MAX  1e12 /* more than this counts as this */
#define HASH_MULTIPLY UINT64_C(0x9fb21c651e98df25)

#define NO_BUCKETS \
    0,             \
    {              \
        0          \
    }
#define BUCKET_COUNT(...) ((int)(sizeof((double[]){__VA_ARGS__}) / sizeof(double)))
#define BUCKETS(...)           \
    BUCKET_COUNT(__VA_ARGS__), \
    {                          \
        __VA_ARGS__            \
    }

const struct metric_about tars_metric_about[TARS_METRIC_COUNT] = {
#define TARS_METRIC(id, kind, name, labels, buckets, help) {name, labels, help, kind, buckets},
#include "obs/metrics.def"
#undef TARS_METRIC
};

/* -------------------------------------------------------------------- cells */

/* A thread has ended: its set waits for the next one, with all that is in it. */
static void leave_set(void *ctx)
{
    struct metric_cells *mine = ctx;

    atomic_store_explicit(&mine->is_taken, false, memory_order_release);
}

/* Once a thread. */
static struct metric_cells *take_set(struct tars_metrics *metrics)
{
    struct metric_cells *shared = &metrics->sets[TARS_METRICS_THREADS_MAX];

    for (size_t i = 0; i < TARS_METRICS_THREADS_MAX; i++) {
        struct metric_cells *set = &metrics->sets[i];
        size_t used;

        if (atomic_load_explicit(&set->is_taken, memory_order_relaxed) ||
            atomic_exchange_explicit(&set->is_taken, true, memory_order_acq_rel))
            continue;
        if (pthread_setspecific(metrics->mine, set) != 0) {
            leave_set(set);
            break;
        }
        used = atomic_load_explicit(&metrics->sets_used, memory_order_relaxed);
        while (used <= i &&
               !atomic_compare_exchange_weak_explicit(&metrics->sets_used, &used, i + 1,
                                                      memory_order_release, memory_order_relaxed))
            ;
        return set;
    }
    (void)pthread_setspecific(metrics->mine, shared); /* else it is looked for again */
    return shared;
}

static struct metric_cells *my_set(struct tars_metrics *metrics)
{
    struct metric_cells *mine = pthread_getspecific(metrics->mine);

    return mine ? mine : take_set(metrics);
}

static void count_into(struct metric_cells *mine, size_t cell, uint64_t n)
{
    atomic_uint_fast64_t *at = &mine->cells[cell];

    if (mine->is_shared) {
        atomic_fetch_add_explicit(at, n, memory_order_relaxed);
    } else {
        atomic_store_explicit(at, atomic_load_explicit(at, memory_order_relaxed) + n,
                              memory_order_relaxed);
    }
}

uint64_t tars_metrics_cell(const struct tars_metrics *metrics, size_t cell)
{
    size_t used = atomic_load_explicit(&metrics->sets_used, memory_order_acquire);
    const atomic_uint_fast64_t *shared = metrics->sets[TARS_METRICS_THREADS_MAX].cells;
    uint64_t total = atomic_load_explicit(&shared[cell], memory_order_relaxed);

    for (size_t i = 0; i < used; i++)
        total += atomic_load_explicit(&metrics->sets[i].cells[cell], memory_order_relaxed);
    return total;
}

/* ------------------------------------------------------------------- values */

/* Bytes of the character that begins here, 0 if it is none. The text is terminated. */
static size_t utf8_len(const unsigned char *p)
{
    size_t len = 1;

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    len = p[0] < 0xe0 ? 2 : 3;
    if (p[0] >= 0xf0)
        len = 4;
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0U) != 0x80)
            return 0;
    }
    /* Too long a form, a surrogate, or past the last character. */
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

/* What a series may be called: UTF-8, and TARS_METRICS_VALUE_MAX bytes with its end. */
static void clean_value(char *to, const char *value)
{
    const unsigned char *p = (const unsigned char *)(value ? value : "");
    size_t used = 0;

    while (*p) {
        size_t len = utf8_len(p);

        if (used + (len ? len : 1) >= TARS_METRICS_VALUE_MAX)
            break;
        if (len) {
            memcpy(to + used, p, len);
        } else {
            to[used] = REPLACEMENT;
            len = 1;
        }
        used += len;
        p += len;
    }
    to[used] = '\0';
}

static uint64_t hash_text(uint64_t hash, const char *text)
{
    size_t len = strlen(text);
    uint64_t word = len;

    for (;;) {
        hash = (hash ^ word) * HASH_MULTIPLY;
        hash ^= hash >> 32U;
        if (len == 0)
            return hash;
        word = 0;
        memcpy(&word, text, len < sizeof(word) ? len : sizeof(word));
        text += len < sizeof(word) ? len : sizeof(word);
        len -= len < sizeof(word) ? len : sizeof(word);
    }
}

static const char *text_of(const char *value)
{
    return value ? value : "";
}

static uint64_t hash_of(const char *const *values, size_t n)
{
    uint64_t hash = n;

    assert(n <= TARS_METRICS_LABELS_MAX);
    for (size_t i = 0; i < n; i++)
        hash = hash_text(hash, text_of(values[i]));
    return hash;
}

/* ------------------------------------------------------------------ finding */

static bool has_values(const struct tars_series *series, const char *const *values, size_t n)
{
    assert(n <= TARS_METRICS_LABELS_MAX);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(series->values[i], text_of(values[i])) != 0)
            return false;
    }
    return true;
}

/* NULL if it is not there. At least half of the slots are free, so it ends. */
static struct tars_series *look_up(const struct metric_family *family, const char *const *values,
                                   uint64_t hash)
{
    for (size_t at = hash & family->mask;; at = (at + 1) & family->mask) {
        struct tars_series *series = atomic_load_explicit(&family->slots[at], memory_order_acquire);

        if (!series || (series->hash == hash && has_values(series, values, family->labels)))
            return series;
    }
}

/* Under the lock, or before others see the registry. */
static void add_to_family(struct metric_family *family, struct tars_series *series)
{
    size_t at = series->hash & family->mask;

    while (family->slots && atomic_load_explicit(&family->slots[at], memory_order_relaxed))
        at = (at + 1) & family->mask;
    if (family->slots)
        atomic_store_explicit(&family->slots[at], series, memory_order_release);
    atomic_store_explicit(family->youngest ? &family->youngest->next : &family->oldest, series,
                          memory_order_release);
    family->youngest = series;
    family->count++;
}

static size_t escaped_len(const char *value)
{
    size_t len = 0;

    for (; *value; value++)
        len += 1 + (*value == '\\' || *value == '"' || *value == '\n');
    return len;
}

static char *put_escaped(char *to, const char *value)
{
    for (; *value; value++) {
        if (*value == '\\' || *value == '"' || *value == '\n')
            *to++ = '\\';
        *to++ = *value;
        if (*value == '\n')
            to[-1] = 'n';
    }
    return to;
}

/* The values, each terminated, then a="1",b="2"; into text, which has the room. */
static void put_labels(struct tars_series *series, char *text, const char *const *values, size_t n)
{
    const char *name = series->about->labels;
    char *start;

    assert(n <= TARS_METRICS_LABELS_MAX);
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(values[i]) + 1;

        series->values[i] = memcpy(text, values[i], len);
        text += len;
    }
    start = text;
    for (size_t i = 0; i < n; i++) {
        size_t len = strcspn(name, ",");

        if (i > 0)
            *text++ = ',';
        memcpy(text, name, len);
        text += len;
        *text++ = '=';
        *text++ = '"';
        text = put_escaped(text, values[i]);
        *text++ = '"';
        name += len + (name[len] == ',');
    }
    *text = '\0';
    series->labels = start;
    series->labels_len = (size_t)(text - start);
}

/* Under the lock; values are clean. NULL without memory. */
static struct tars_series *make_series(struct tars_metrics *metrics, enum tars_metric metric,
                                       const char *const *values)
{
    const struct metric_about *about = &tars_metric_about[metric];
    struct metric_family *family = &metrics->families[metric];
    size_t size = offsetof(struct tars_series, exemplars) +
                  metric_exemplar_count(about) * sizeof(struct metric_exemplar);
    size_t text_bytes = strlen(about->labels) + 1;
    struct tars_series *series;

    assert(family->labels <= TARS_METRICS_LABELS_MAX);
    for (size_t i = 0; i < family->labels; i++)
        text_bytes += strlen(values[i]) + 1 + escaped_len(values[i]) + sizeof("=\"\",");
    series = calloc(1, size + text_bytes);
    if (!series)
        return NULL;
    series->metrics = metrics;
    series->about = about;
    series->hash = hash_of(values, family->labels);
    series->cell = atomic_load_explicit(&metrics->cells_used, memory_order_relaxed);
    series->created_us = metrics->wall_us(metrics->clock_ctx);
    put_labels(series, (char *)series + size, values, family->labels);
    atomic_store_explicit(&metrics->cells_used, series->cell + metric_cell_count(about),
                          memory_order_release);
    return series;
}

static size_t series_max(enum tars_metric metric)
{
    return metric == TARS_METRIC_HTTP_REQUESTS ? TARS_METRICS_HTTP_MAX : TARS_METRICS_SERIES_MAX;
}

/* Under the lock. */
static struct tars_series *add_series(struct tars_metrics *metrics, enum tars_metric metric,
                                      const char *const *values)
{
    struct tars_series *series = make_series(metrics, metric, values);

    if (series)
        add_to_family(&metrics->families[metric], series);
    return series;
}

/* Under the lock. */
static struct tars_series *overflow_of(struct tars_metrics *metrics, const char *const *name)
{
    struct tars_series *series =
        look_up(&metrics->families[TARS_METRIC_RAG_METRICS_OVERFLOW], name, hash_of(name, 1));

    return series ? series : add_series(metrics, TARS_METRIC_RAG_METRICS_OVERFLOW, name);
}

/* Under the lock: the series of all that come when a family is full. */
static struct tars_series *add_other(struct tars_metrics *metrics, enum tars_metric metric)
{
    static const char *const others[TARS_METRICS_LABELS_MAX] = {"other", "other", "other"};
    const char *const name[] = {tars_metric_about[metric].name};
    struct metric_family *family = &metrics->families[metric];
    struct tars_series *other = look_up(family, others, hash_of(others, family->labels));
    bool is_new = !other;
    struct tars_series *overflow = NULL;

    if (metric != TARS_METRIC_RAG_METRICS_OVERFLOW) {
        overflow = overflow_of(metrics, name);
        if (!overflow)
            return NULL;
    }
    if (is_new)
        other = make_series(metrics, metric, others);
    if (!other)
        return NULL;
    atomic_store_explicit(&other->overflow, overflow, memory_order_release);
    if (is_new)
        add_to_family(family, other);
    atomic_store_explicit(&family->other, other, memory_order_release);
    return other;
}

/* The series is not known under these very values. */
static struct tars_series *find_slowly(struct tars_metrics *metrics, enum tars_metric metric,
                                       const char *const *values)
{
    struct metric_family *family = &metrics->families[metric];
    char clean[TARS_METRICS_LABELS_MAX][TARS_METRICS_VALUE_MAX];
    const char *cleaned[TARS_METRICS_LABELS_MAX] = {"", "", ""};
    struct tars_series *series;
    uint64_t hash;

    for (size_t i = 0; i < family->labels; i++) {
        clean_value(clean[i], values[i]);
        cleaned[i] = clean[i];
    }
    hash = hash_of(cleaned, family->labels);
    series = look_up(family, cleaned, hash);
    if (!series)
        series = atomic_load_explicit(&family->other, memory_order_acquire);
    if (series)
        return series;
    pthread_mutex_lock(&metrics->lock);
    series = look_up(family, cleaned, hash);
    if (!series)
        series = atomic_load_explicit(&family->other, memory_order_relaxed);
    if (!series) {
        series = family->count < series_max(metric) ? add_series(metrics, metric, cleaned)
                                                    : add_other(metrics, metric);
    }
    pthread_mutex_unlock(&metrics->lock);
    return series;
}

struct tars_series *tars_metrics_find(struct tars_metrics *metrics, enum tars_metric metric,
                                      const char *const *values)
{
    struct metric_family *family;
    struct tars_series *series;

    if (!metrics)
        return NULL;
    family = &metrics->families[metric];
    if (!family->slots)
        return atomic_load_explicit(&family->oldest, memory_order_relaxed);
    series = look_up(family, values, hash_of(values, family->labels));
    return series ? series : find_slowly(metrics, metric, values);
}

/* ----------------------------------------------------------------- counting */

static void count_overflow(const struct tars_series *series, struct metric_cells *mine)
{
    const struct tars_series *overflow =
        atomic_load_explicit(&series->overflow, memory_order_acquire);

    if (overflow)
        count_into(mine, overflow->cell, 1);
}

void tars_series_add(struct tars_series *series, uint64_t n)
{
    struct metric_cells *mine;

    if (!series || series->about->kind != COUNTER)
        return;
    mine = my_set(series->metrics);
    count_into(mine, series->cell, n);
    count_overflow(series, mine);
}

void tars_series_set(struct tars_series *series, double value)
{
    if (series)
        atomic_store_explicit(&series->gauge, value, memory_order_relaxed);
}

void tars_series_move(struct tars_series *series, double difference)
{
    double old;

    if (!series)
        return;
    old = atomic_load_explicit(&series->gauge, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&series->gauge, &old, old + difference,
                                                  memory_order_relaxed, memory_order_relaxed))
        ;
}

/* The bucket that it fell into; -1: it counts as nothing. */
static int observe(struct tars_series *series, double value)
{
    struct metric_cells *mine;
    const struct metric_about *about;
    int bucket = 0;

    if (!series || series->about->kind != HISTOGRAM || !(value >= 0)) /* NaN: nothing */
        return -1;
    about = series->about;
    if (value > OBSERVED_MAX)
        value = OBSERVED_MAX;
    while (bucket < about->bucket_count && value > about->buckets[bucket])
        bucket++;
    mine = my_set(series->metrics);
    count_into(mine, series->cell + (size_t)bucket, 1);
    count_into(mine, series->cell + (size_t)about->bucket_count + 1,
               (uint64_t)(value * METRIC_SUM_SCALE + 0.5));
    count_overflow(series, mine);
    return bucket;
}

void tars_series_observe(struct tars_series *series, double value)
{
    (void)observe(series, value);
}

/* False if it is none, or too long. */
static bool read_trace(const char *trace_id, uint64_t words[METRIC_TRACE_WORDS])
{
    size_t len = trace_id ? strspn(trace_id, "0123456789abcdef") : 0;

    if (len == 0 || len > TARS_METRICS_TRACE_MAX || trace_id[len])
        return false;
    memset(words, 0, METRIC_TRACE_WORDS * sizeof(*words));
    memcpy(words, trace_id, len);
    return true;
}

/* Two that come at once: one is kept. */
static void keep_exemplar(const struct tars_series *series, struct metric_exemplar *at,
                          double value, const char *trace_id)
{
    uint64_t words[METRIC_TRACE_WORDS];
    uint64_t turn = atomic_load_explicit(&at->turn, memory_order_relaxed);

    if (!read_trace(trace_id, words) || turn % 2 ||
        !atomic_compare_exchange_strong_explicit(&at->turn, &turn, turn + 1, memory_order_acquire,
                                                 memory_order_relaxed))
        return;
    for (size_t i = 0; i < METRIC_TRACE_WORDS; i++)
        atomic_store_explicit(&at->trace[i], words[i], memory_order_release);
    atomic_store_explicit(&at->value, value, memory_order_release);
    atomic_store_explicit(&at->wall_us, series->metrics->wall_us(series->metrics->clock_ctx),
                          memory_order_release);
    atomic_store_explicit(&at->turn, turn + 2, memory_order_release);
}

void tars_series_add_traced(struct tars_series *series, uint64_t n, const char *trace_id)
{
    tars_series_add(series, n);
    if (series && series->about->kind == COUNTER)
        keep_exemplar(series, &series->exemplars[0], (double)n, trace_id);
}

void tars_series_observe_traced(struct tars_series *series, double value, const char *trace_id)
{
    int bucket = observe(series, value);

    if (bucket >= 0)
        keep_exemplar(series, &series->exemplars[bucket], value, trace_id);
}

static struct tars_series *plain(struct tars_metrics *metrics, enum tars_metric metric)
{
    static const char *const none[TARS_METRICS_LABELS_MAX] = {"", "", ""};

    return tars_metrics_find(metrics, metric, none);
}

void tars_metrics_add(struct tars_metrics *metrics, enum tars_metric metric, uint64_t n)
{
    tars_series_add(plain(metrics, metric), n);
}

void tars_metrics_set(struct tars_metrics *metrics, enum tars_metric metric, double value)
{
    tars_series_set(plain(metrics, metric), value);
}

void tars_metrics_move(struct tars_metrics *metrics, enum tars_metric metric, double difference)
{
    tars_series_move(plain(metrics, metric), difference);
}

void tars_metrics_observe(struct tars_metrics *metrics, enum tars_metric metric, double value)
{
    tars_series_observe(plain(metrics, metric), value);
}

void tars_metrics_observe_traced(struct tars_metrics *metrics, enum tars_metric metric,
                                 double value, const char *trace_id)
{
    tars_series_observe_traced(plain(metrics, metric), value, trace_id);
}

/* ------------------------------------------------------------------- totals */

double tars_series_value(const struct tars_series *series)
{
    double value = 0;
    size_t cells;

    if (!series)
        return 0;
    if (series->about->kind != HISTOGRAM)
        value = atomic_load_explicit(&series->gauge, memory_order_relaxed);
    cells = metric_exemplar_count(series->about); /* the counter, or the buckets */
    for (size_t i = 0; i < cells; i++)
        value += (double)tars_metrics_cell(series->metrics, series->cell + i);
    return value;
}

static struct tars_series *first_of(const struct tars_metrics *metrics, enum tars_metric metric)
{
    return metrics ? atomic_load_explicit(&metrics->families[metric].oldest, memory_order_acquire)
                   : NULL;
}

static struct tars_series *next_of(const struct tars_series *series)
{
    return atomic_load_explicit(&series->next, memory_order_acquire);
}

double tars_metrics_total(struct tars_metrics *metrics, enum tars_metric metric)
{
    double total = 0;

    for (struct tars_series *s = first_of(metrics, metric); s; s = next_of(s))
        total += tars_series_value(s);
    return total;
}

double tars_metrics_sum(struct tars_metrics *metrics, enum tars_metric metric)
{
    size_t sum = (size_t)tars_metric_about[metric].bucket_count + 1; /* its cell */
    double total = 0;

    if (tars_metric_about[metric].kind != HISTOGRAM)
        return 0;
    for (struct tars_series *s = first_of(metrics, metric); s; s = next_of(s))
        total += (double)tars_metrics_cell(metrics, s->cell + sum) / METRIC_SUM_SCALE;
    return total;
}

/* --------------------------------------------------------------- life cycle */

static size_t label_count(const struct metric_about *about)
{
    size_t count = about->labels[0] != '\0';

    for (const char *p = about->labels; *p; p++)
        count += *p == ',';
    return count;
}

static void free_series(struct metric_family *family)
{
    struct tars_series *series = atomic_load(&family->oldest);

    while (series) {
        struct tars_series *next = next_of(series);

        free(series);
        series = next;
    }
}

void tars_metrics_free(struct tars_metrics *metrics)
{
    if (!metrics)
        return;
    pthread_key_delete(metrics->mine);
    for (size_t i = 0; i < TARS_METRIC_COUNT; i++)
        free_series(&metrics->families[i]);
    if (metrics->map)
        munmap(metrics->map, metrics->map_bytes);
    pthread_mutex_destroy(&metrics->lock);
    free(metrics->slots);
    free(metrics);
}

/* What all series need that there may ever be. */
static tars_status lay_out(struct tars_metrics *metrics)
{
    size_t slots = 0;

    for (int i = 0; i < TARS_METRIC_COUNT; i++) {
        const struct metric_about *about = &tars_metric_about[i];
        struct metric_family *family = &metrics->families[i];
        size_t series = series_max((enum tars_metric)i);

        family->labels = label_count(about);
        family->mask = family->labels ? 2 * series - 1 : 0;
        slots += family->labels ? 2 * series : 0;
        metrics->cells_max += metric_cell_count(about) * (family->labels ? series + 1 : 1);
    }
    metrics->slots = calloc(slots, sizeof(*metrics->slots));
    if (!metrics->slots)
        return TARS_ENOMEM;
    slots = 0;
    for (int i = 0; i < TARS_METRIC_COUNT; i++) {
        struct metric_family *family = &metrics->families[i];

        if (family->labels) {
            family->slots = metrics->slots + slots;
            slots += family->mask + 1;
        }
    }
    return TARS_OK;
}

static tars_status map_cells(struct tars_metrics *metrics)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t set = (metrics->cells_max * sizeof(atomic_uint_fast64_t) + page - 1) / page * page;
    size_t bytes = set * (TARS_METRICS_THREADS_MAX + 1);
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (map == MAP_FAILED)
        return TARS_ENOMEM;
    /* A thread that counts once would else have two megabytes. */
    (void)madvise(map, bytes, MADV_NOHUGEPAGE);
    metrics->map = map;
    metrics->map_bytes = bytes;
    for (size_t i = 0; i <= TARS_METRICS_THREADS_MAX; i++)
        metrics->sets[i].cells = (atomic_uint_fast64_t *)((char *)map + i * set);
    metrics->sets[TARS_METRICS_THREADS_MAX].is_shared = true;
    return TARS_OK;
}

/* Families without labels are there from the start. */
static tars_status add_plain(struct tars_metrics *metrics)
{
    static const char *const none[TARS_METRICS_LABELS_MAX] = {"", "", ""};

    for (int i = 0; i < TARS_METRIC_COUNT; i++) {
        if (metrics->families[i].labels == 0 && !add_series(metrics, (enum tars_metric)i, none))
            return TARS_ENOMEM;
    }
    return TARS_OK;
}

tars_status tars_metrics_new_at(tars_clock_fn *wall_us, void *clock_ctx,
                                struct tars_metrics **metrics)
{
    struct tars_metrics *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made)
        return TARS_ENOMEM;
    if (pthread_key_create(&made->mine, leave_set) != 0) {
        free(made);
        return TARS_ENOMEM;
    }
    pthread_mutex_init(&made->lock, NULL);
    made->wall_us = wall_us;
    made->clock_ctx = clock_ctx;
    status = lay_out(made);
    if (status == TARS_OK)
        status = map_cells(made);
    if (status == TARS_OK)
        status = add_plain(made);
    if (status != TARS_OK) {
        tars_metrics_free(made);
        return status;
    }
    *metrics = made;
    return TARS_OK;
}

static int64_t wall_now(void *ctx)
{
    (void)ctx;
    return tars_clock_wall_us();
}

tars_status tars_metrics_new(struct tars_metrics **metrics)
{
    return tars_metrics_new_at(wall_now, NULL, metrics);
}
