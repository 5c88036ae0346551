/* trends - see trends.h for the rule. */
#include "analytics/trends.h"

#include <math.h>
#include <stdlib.h>

#define MAD_TO_SIGMA 1.4826
#define LEAST_SHARE  0.01 /* of the median */
#define LEAST_SPREAD 1.0
#define US_PER_HOUR  3.6e9

const char tars_trend_rule[] =
    "Samples of the last 24 hours, averaged over each minute. per_hour: the median of the slopes "
    "between all pairs of up to 160 evenly spread samples (Theil-Sen). is_outlier: the latest "
    "sample lies further than 4 spreads from the median; a spread is 1.4826 times the median "
    "distance from the median, but at least 1 % of the median and 1 unit. Fewer than 30 samples "
    "say neither.";

static double known_count(int64_t count)
{
    return count < 0 ? NAN : (double)count;
}

static const struct {
    const char *name, *unit;
} metrics[] = {
#define X(name, unit, value) {name, unit},
    TARS_TRENDS(X)
#undef X
};

#define METRICS (sizeof(metrics) / sizeof(metrics[0]))

static double value_of(const struct tars_system_row *row, size_t metric)
{
    const double values[METRICS] = {
#define X(name, unit, value) value,
        TARS_TRENDS(X)
#undef X
    };

    return values[metric];
}

struct point {
    double hour, value;
};

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

/* Of (values, n), which get sorted; n is not 0. */
static double median(double *values, size_t n)
{
    qsort(values, n, sizeof(*values), ascending);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* Theil and Sen's slope; room: for TARS_TREND_POINTS squared / 2. */
static double slope(const struct point *points, size_t n, double *room)
{
    size_t used = n < TARS_TREND_POINTS ? n : TARS_TREND_POINTS;
    size_t count = 0;

    for (size_t i = 0; i < used; i++) {
        const struct point *a = &points[i * (n - 1) / (used - 1)];

        for (size_t j = i + 1; j < used; j++) {
            const struct point *b = &points[j * (n - 1) / (used - 1)];

            if (b->hour > a->hour)
                room[count++] = (b->value - a->value) / (b->hour - a->hour);
        }
    }
    return count ? median(room, count) : NAN;
}

static void judge(const struct point *points, size_t n, double *room, struct tars_trend *trend)
{
    trend->samples = n;
    trend->latest = points[n - 1].value;
    for (size_t i = 0; i < n; i++)
        room[i] = points[i].value;
    trend->median = median(room, n);
    for (size_t i = 0; i < n; i++)
        room[i] = fabs(points[i].value - trend->median);
    trend->spread =
        fmax(MAD_TO_SIGMA * median(room, n), fmax(LEAST_SPREAD, LEAST_SHARE * fabs(trend->median)));
    trend->per_hour = NAN;
    if (n < TARS_TREND_SAMPLES)
        return;
    trend->is_outlier = fabs(trend->latest - trend->median) > TARS_OUTLIER_SPREADS * trend->spread;
    trend->per_hour = slope(points, n, room);
}

tars_status tars_trends_of(const struct tars_system_row *rows, size_t n, struct tars_arena *arena,
                           struct tars_trend **out, size_t *count)
{
    size_t slopes = (size_t)TARS_TREND_POINTS * TARS_TREND_POINTS / 2;
    struct tars_trend *made = tars_arena_calloc(arena, METRICS, sizeof(*made));
    struct point *points = tars_arena_calloc(arena, n + 1, sizeof(*points));
    double *room = tars_arena_calloc(arena, n > slopes ? n : slopes, sizeof(*room));
    size_t found = 0;

    if (!made || !points || !room)
        return TARS_ENOMEM;
    for (size_t metric = 0; metric < METRICS; metric++) {
        size_t used = 0;

        for (size_t i = 0; i < n; i++) {
            double value = value_of(&rows[i], metric);

            if (isfinite(value))
                points[used++] = (struct point){(double)rows[i].time_us / US_PER_HOUR, value};
        }
        if (!used)
            continue;
        made[found].metric = metrics[metric].name;
        made[found].unit = metrics[metric].unit;
        judge(points, used, room, &made[found++]);
    }
    *out = made;
    *count = found;
    return TARS_OK;
}

tars_status tars_analytics_trends(struct tars_analytics *analytics, int64_t now_us,
                                  struct tars_arena *arena, struct tars_trend **out, size_t *count,
                                  struct tars_err *err)
{
    const struct tars_analytics_range day = {
        .from_us = now_us - (int64_t)(TARS_TREND_HOURS * US_PER_HOUR), .to_us = now_us};
    struct tars_system_row *rows = NULL;
    size_t n = 0;
    tars_status status =
        tars_analytics_history(analytics, &day, TARS_TREND_STEP_S, arena, &rows, &n, err);

    if (status != TARS_OK)
        return status;
    status = tars_trends_of(rows, n, arena, out, count);
    return status == TARS_OK ? status : tars_fail(status, err, "no memory for trends");
}
