/* bench_report - what `tars bench` saw, for people, as JSON and drawn; see bench.h. */
#include "app/bench.h"

#include <math.h>

#include "base/codec/json_write.h"
#include "base/version.h"
#include "eval/plot.h"

#define TEXT_MAX ((size_t)16 << 20)
#define POINTS   101 /* of a curve */

static void print_number(double value, int places)
{
    if (isnan(value)) {
        printf("%12s", "-");
    } else {
        printf("%12.*f", places, value);
    }
}

void tars_bench_print(const struct tars_bench_result *result)
{
    printf("%s: %lld passages%s\n", result->data, (long long)result->sample.passages,
           result->sample.is_made_up ? "; text is made up, and searches are of a sample of it"
                                     : "");
    printf("model %s %s, load average %.1f\n\n", result->model[0] ? result->model : "(none)",
           result->precision, result->load);
    printf("%-22s%8s%12s%12s%12s%14s\n", "", "runs", "P50 ms", "P95 ms", "CPU ms", "a second");
    for (size_t i = 0; i < result->count; i++) {
        const struct tars_stage *stage = &result->stages[i];

        printf("%-22s%8zu", stage->name, stage->runs);
        print_number(stage->p50_ms, 3);
        print_number(stage->p95_ms, 3);
        print_number(stage->cpu_ms, 3);
        printf("%14.0f %s\n", stage->items_s, stage->unit);
    }
    printf("\nsearches one at a time, each question once, then the same again (kept); "
           "%.0f MB resident; %.0f s\n",
           result->resident_mb, result->seconds);
}

static tars_status flush(FILE *file, struct tars_buf *text, struct tars_err *err)
{
    tars_status status = text->status;

    if (status != TARS_OK) {
        (void)!tars_fail(status, err, "no memory for the result");
    } else if (fwrite(text->ptr, 1, text->len, file) != text->len) {
        status = tars_fail(TARS_EIO, err, "cannot write the result");
    }
    tars_buf_release(text);
    return status;
}

static void write_stage(struct tars_json *json, const struct tars_stage *stage)
{
    tars_json_object(json, NULL);
    tars_json_text(json, "name", stage->name);
    tars_json_int(json, "runs", (int64_t)stage->runs);
    tars_json_double(json, "p50_ms", stage->p50_ms);
    tars_json_double(json, "p95_ms", stage->p95_ms);
    tars_json_double(json, "cpu_ms", stage->cpu_ms);
    tars_json_double(json, "per_second", stage->items_s);
    tars_json_text(json, "unit", stage->unit);
    tars_json_end(json);
}

tars_status tars_bench_write_json(FILE *file, const struct tars_bench_result *result,
                                  struct tars_err *err)
{
    struct tars_buf text;
    struct tars_json json;

    tars_buf_init(&text, TEXT_MAX);
    tars_json_init(&json, &text);
    tars_json_object(&json, NULL);
    tars_json_text(&json, "version", TARS_VERSION);
    tars_json_text(&json, "data", result->data);
    tars_json_int(&json, "passages", result->sample.passages);
    tars_json_bool(&json, "made_up", result->sample.is_made_up);
    tars_json_text(&json, "model", result->model);
    tars_json_text(&json, "precision", result->precision);
    tars_json_fixed(&json, "load", result->load, 2);
    tars_json_fixed(&json, "resident_mb", result->resident_mb, 1);
    tars_json_fixed(&json, "seconds", result->seconds, 2);
    tars_json_array(&json, "stages");
    for (size_t i = 0; i < result->count; i++)
        write_stage(&json, &result->stages[i]);
    tars_json_end(&json);
    tars_json_end(&json);
    tars_buf_append_char(&text, '\n');
    return flush(file, &text, err);
}

tars_status tars_bench_write_svg(FILE *file, const struct tars_bench_result *result,
                                 struct tars_err *err)
{
    double x[TARS_STAGES_MAX + 1][POINTS];
    double y[POINTS];
    struct tars_plot_series series[TARS_STAGES_MAX + 1];
    struct tars_plot plot = {.title = "How long stages take",
                             .x_name = "milliseconds",
                             .y_name = "share of runs that took no longer",
                             .log_x = true,
                             .series = series};
    struct tars_buf text;

    for (size_t p = 0; p < POINTS; p++)
        y[p] = (double)p / (POINTS - 1);
    for (size_t i = 0; i < result->count; i++) {
        const struct tars_stage *stage = &result->stages[i];

        if (stage->runs < 2)
            continue; /* no spread */
        for (size_t p = 0; p < POINTS; p++)
            x[i][p] = stage->times[(size_t)(y[p] * (double)(stage->runs - 1))];
        series[plot.series_count++] = (struct tars_plot_series){stage->name, x[i], y, POINTS};
    }
    tars_buf_init(&text, TEXT_MAX);
    tars_plot_svg(&plot, &text);
    return flush(file, &text, err);
}
