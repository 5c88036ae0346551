/* metrics_render - the exposition of metrics.h: text 0.0.4 and OpenMetrics 1.0.0.
 *
 * Cells are added up first, set by set in the order of memory, and written then: a hundred threads'
 * cells of one series lie in as many pages. Without memory for the sums each cell is added up when
 * it is written.
 *
 * What differs between the formats:
 *
 *                   text 0.0.4                      OpenMetrics 1.0.0
 *     counter       # TYPE x_total counter          # TYPE x counter, samples x_total, x_created
 *     histogram     x_bucket x_count x_sum          and x_created; exemplars behind the buckets
 *     info          # TYPE x_info gauge             # TYPE x info, sample x_info
 *     unit          in the name alone               # UNIT, where the name ends in one
 *     help          \ and line ends escaped         quotes too
 *     end           nothing                         # EOF
 *
 * A family without samples shows its HELP and TYPE in both: who makes a dashboard sees what may
 * come, and it is what clients of Prometheus in other languages do.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "obs/metrics_internal.h"

#define TOTAL    "_total"
#define INFO_END "_info"
#define INT_MAX_ 1e15 /* integers below it are written as such */

struct writer {
    const struct tars_metrics *metrics;
    struct tars_buf *out;
    uint64_t *totals; /* (cells,), or NULL */
    size_t cells;
    bool is_open; /* OpenMetrics */
};

/* -------------------------------------------------------------------- cells */

static uint64_t cell_of(const struct writer *writer, size_t cell)
{
    return cell < writer->cells ? writer->totals[cell] : tars_metrics_cell(writer->metrics, cell);
}

static void add_set(struct writer *writer, const struct metric_cells *set)
{
    for (size_t i = 0; i < writer->cells; i++)
        writer->totals[i] += atomic_load_explicit(&set->cells[i], memory_order_relaxed);
}

static void add_all_up(struct writer *writer)
{
    const struct tars_metrics *metrics = writer->metrics;
    size_t used = atomic_load_explicit(&metrics->sets_used, memory_order_acquire);
    size_t cells = atomic_load_explicit(&metrics->cells_used, memory_order_acquire);

    writer->totals = calloc(cells, sizeof(*writer->totals));
    if (!writer->totals)
        return;
    writer->cells = cells;
    for (size_t i = 0; i < used; i++)
        add_set(writer, &metrics->sets[i]);
    add_set(writer, &metrics->sets[TARS_METRICS_THREADS_MAX]);
}

/* ------------------------------------------------------------------ numbers */

static void put_count(struct tars_buf *out, uint64_t value)
{
    tars_buf_append_uint(out, value);
    tars_buf_append(out, ".0", 2);
}

static void put_value(struct tars_buf *out, double value)
{
    if (isnan(value)) {
        tars_buf_append_text(out, "NaN");
    } else if (isinf(value)) {
        tars_buf_append_text(out, value > 0 ? "+Inf" : "-Inf");
    } else if (fabs(value) < INT_MAX_ && value == (double)(int64_t)value) {
        if (value < 0)
            tars_buf_append_char(out, '-');
        put_count(out, (uint64_t)fabs(value));
    } else {
        tars_buf_appendf(out, "%.15g", value);
    }
}

/* Seconds since 1970. */
static void put_time(struct tars_buf *out, int64_t wall_us)
{
    tars_buf_appendf(out, "%" PRId64 ".%06d", wall_us / 1000000, (int)(wall_us % 1000000));
}

/* Bounds print as floats: 1 is "1.0". */
static void put_bound(struct tars_buf *out, double bound)
{
    char text[32];
    int n = snprintf(text, sizeof(text), "%.15g", bound);

    tars_buf_append(out, text, n > 0 ? (size_t)n : 0);
    if (!strpbrk(text, ".e"))
        tars_buf_append(out, ".0", 2);
}

/* ------------------------------------------------------------------ samples */

/* name + suffix + {labels} + space. */
static void put_name(const struct writer *writer, const struct tars_series *series,
                     struct tars_span name, const char *suffix)
{
    struct tars_buf *out = writer->out;

    tars_buf_append(out, name.ptr, name.len);
    tars_buf_append_text(out, suffix);
    if (series->labels_len) {
        tars_buf_append_char(out, '{');
        tars_buf_append(out, series->labels, series->labels_len);
        tars_buf_append_char(out, '}');
    }
    tars_buf_append_char(out, ' ');
}

/* False if there is none, or if it is being written all the time. */
static bool read_exemplar(const struct metric_exemplar *at, char *trace_id, double *value,
                          int64_t *wall_us)
{
    for (int tries = 0; tries < 4; tries++) {
        uint64_t turn = atomic_load_explicit(&at->turn, memory_order_acquire);
        uint64_t words[METRIC_TRACE_WORDS];

        if (turn == 0)
            return false;
        for (size_t i = 0; i < METRIC_TRACE_WORDS; i++)
            words[i] = atomic_load_explicit(&at->trace[i], memory_order_acquire);
        *value = atomic_load_explicit(&at->value, memory_order_acquire);
        *wall_us = atomic_load_explicit(&at->wall_us, memory_order_acquire);
        if (turn % 2 == 0 && atomic_load_explicit(&at->turn, memory_order_relaxed) == turn) {
            memcpy(trace_id, words, TARS_METRICS_TRACE_MAX);
            trace_id[TARS_METRICS_TRACE_MAX] = '\0';
            return true;
        }
    }
    return false;
}

/* And the end of the line. */
static void put_exemplar(const struct writer *writer, const struct metric_exemplar *at)
{
    char trace_id[TARS_METRICS_TRACE_MAX + 1];
    struct tars_buf *out = writer->out;
    double value;
    int64_t wall_us;

    if (writer->is_open && read_exemplar(at, trace_id, &value, &wall_us)) {
        tars_buf_append_text(out, " # {trace_id=\"");
        tars_buf_append_text(out, trace_id);
        tars_buf_append_text(out, "\"} ");
        put_value(out, value);
        tars_buf_append_char(out, ' ');
        put_time(out, wall_us);
    }
    tars_buf_append_char(out, '\n');
}

static void put_created(const struct writer *writer, const struct tars_series *series,
                        struct tars_span name)
{
    if (!writer->is_open)
        return;
    put_name(writer, series, name, "_created");
    put_time(writer->out, series->created_us);
    tars_buf_append_char(writer->out, '\n');
}

/* bucket is about->bucket_count for the one without a bound. */
static void put_bucket(const struct writer *writer, const struct tars_series *series, int bucket,
                       uint64_t count)
{
    const struct metric_about *about = series->about;
    struct tars_buf *out = writer->out;

    tars_buf_append_text(out, about->name);
    tars_buf_append_text(out, "_bucket{");
    tars_buf_append(out, series->labels, series->labels_len);
    tars_buf_append_text(out, series->labels_len ? ",le=\"" : "le=\"");
    if (bucket < about->bucket_count) {
        put_bound(out, about->buckets[bucket]);
    } else {
        tars_buf_append_text(out, "+Inf");
    }
    tars_buf_append_text(out, "\"} ");
    put_count(out, count);
    put_exemplar(writer, &series->exemplars[bucket]);
}

static void put_histogram(const struct writer *writer, const struct tars_series *series,
                          struct tars_span name)
{
    struct tars_buf *out = writer->out;
    int bounds = series->about->bucket_count;
    uint64_t seen = 0;

    for (int i = 0; i <= bounds; i++) {
        seen += cell_of(writer, series->cell + (size_t)i);
        put_bucket(writer, series, i, seen);
    }
    put_name(writer, series, name, "_count");
    put_count(out, seen);
    tars_buf_append_char(out, '\n');
    put_name(writer, series, name, "_sum");
    put_value(out, (double)cell_of(writer, series->cell + (size_t)bounds + 1) / METRIC_SUM_SCALE);
    tars_buf_append_char(out, '\n');
    put_created(writer, series, name);
}

static void put_counter(const struct writer *writer, const struct tars_series *series,
                        struct tars_span name)
{
    put_name(writer, series, name, writer->is_open ? TOTAL : "");
    put_value(writer->out, (double)cell_of(writer, series->cell) +
                               atomic_load_explicit(&series->gauge, memory_order_relaxed));
    put_exemplar(writer, &series->exemplars[0]);
    put_created(writer, series, name);
}

static void put_series(const struct writer *writer, const struct tars_series *series,
                       struct tars_span name)
{
    switch (series->about->kind) {
    case COUNTER:
        put_counter(writer, series, name);
        break;
    case HISTOGRAM:
        put_histogram(writer, series, name);
        break;
    case GAUGE:
    case INFO:
        put_name(writer, series, name,
                 writer->is_open && series->about->kind == INFO ? INFO_END : "");
        put_value(writer->out, atomic_load_explicit(&series->gauge, memory_order_relaxed));
        tars_buf_append_char(writer->out, '\n');
        break;
    }
}

/* ----------------------------------------------------------------- families */

static bool ends_in(struct tars_span name, const char *end)
{
    size_t len = strlen(end);

    return name.len > len && memcmp(name.ptr + name.len - len, end, len) == 0;
}

/* What a family is called in this format. */
static struct tars_span name_of(const struct writer *writer, const struct metric_about *about)
{
    struct tars_span name = tars_span_of(about->name);

    if (writer->is_open && about->kind == COUNTER && ends_in(name, TOTAL))
        name.len -= sizeof(TOTAL) - 1;
    if (writer->is_open && about->kind == INFO && ends_in(name, INFO_END))
        name.len -= sizeof(INFO_END) - 1;
    return name;
}

static void put_line_start(struct tars_buf *out, const char *what, struct tars_span name)
{
    tars_buf_append_text(out, what);
    tars_buf_append(out, name.ptr, name.len);
    tars_buf_append_char(out, ' ');
}

static void put_help(const struct writer *writer, const char *help)
{
    for (; *help; help++) {
        if (*help == '\\' || *help == '\n' || (writer->is_open && *help == '"'))
            tars_buf_append_char(writer->out, '\\');
        tars_buf_append(writer->out, *help == '\n' ? "n" : help, 1);
    }
    tars_buf_append_char(writer->out, '\n');
}

static const char *type_of(const struct writer *writer, enum metric_kind kind)
{
    static const char *const types[] = {
        [COUNTER] = "counter", [GAUGE] = "gauge", [HISTOGRAM] = "histogram", [INFO] = "gauge"};

    return writer->is_open && kind == INFO ? "info" : types[kind];
}

static void put_unit(const struct writer *writer, struct tars_span name)
{
    static const char *const units[] = {"seconds", "bytes", "celsius", "percent"};

    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        size_t len = strlen(units[i]);

        if (ends_in(name, units[i]) && name.ptr[name.len - len - 1] == '_') {
            put_line_start(writer->out, "# UNIT ", name);
            tars_buf_append_text(writer->out, units[i]);
            tars_buf_append_char(writer->out, '\n');
        }
    }
}

static void put_family(const struct writer *writer, enum tars_metric metric, bool with_series)
{
    const struct metric_about *about = &tars_metric_about[metric];
    struct tars_span name = name_of(writer, about);
    const struct tars_series *series =
        atomic_load_explicit(&writer->metrics->families[metric].oldest, memory_order_acquire);

    put_line_start(writer->out, "# HELP ", name);
    put_help(writer, about->help);
    put_line_start(writer->out, "# TYPE ", name);
    tars_buf_append_text(writer->out, type_of(writer, about->kind));
    tars_buf_append_char(writer->out, '\n');
    if (writer->is_open)
        put_unit(writer, name);
    for (; series && with_series;
         series = atomic_load_explicit(&series->next, memory_order_acquire))
        put_series(writer, series, name);
}

void tars_metrics_render(struct tars_metrics *metrics, enum tars_metrics_format format,
                         enum tars_metric without, struct tars_buf *out)
{
    struct writer writer = {
        .metrics = metrics, .out = out, .is_open = format == TARS_METRICS_OPENMETRICS};

    if (metrics)
        add_all_up(&writer);
    for (int i = 0; metrics && i < TARS_METRIC_COUNT; i++)
        put_family(&writer, (enum tars_metric)i, (enum tars_metric)i != without);
    if (writer.is_open)
        tars_buf_append_text(out, "# EOF\n");
    free(writer.totals);
}

void tars_metrics_write(struct tars_metrics *metrics, struct tars_buf *out)
{
    tars_metrics_render(metrics, TARS_METRICS_TEXT, TARS_METRIC_COUNT, out);
}
