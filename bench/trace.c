/* What a span costs who records it.
 *
 *     bench_trace [SPANS]
 *
 * Prints nanoseconds of this thread's processor time a span, with six attributes: switched off, not
 * sampled, and recorded; and what it costs the exporter's thread to write one as JSON. Pages are
 * taken between measurements, so that no span is dropped, which would be cheaper.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "obs/trace.h"
#include "obs/trace_json.h"

#define SPANS  1000000
#define A_TIME 1000 /* spans of a trace; they fit a page */

struct costs {
    int64_t recorded_ns, written_ns;
    size_t taken, bytes;
};

static int64_t cpu_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void record(struct tars_trace *trace)
{
    struct tars_trace_span span;

    tars_trace_begin(trace, &span, "chat", TARS_SPAN_CLIENT);
    tars_trace_subject(&span, "mistral:7b-instruct");
    tars_trace_text(&span, "gen_ai.operation.name", "chat");
    tars_trace_text(&span, "gen_ai.request.model", "mistral:7b-instruct");
    tars_trace_int(&span, "gen_ai.request.max_tokens", 2048);
    tars_trace_real(&span, "gen_ai.request.temperature", 0.7);
    tars_trace_flag(&span, "tars.retrieval.degraded", false);
    tars_trace_list(&span, "gen_ai.response.finish_reasons", "stop");
    tars_trace_end(&span);
}

static void take(struct tars_tracer *tracer, struct costs *costs)
{
    const struct tars_trace_resource resource = {NULL, 0};
    int64_t start = cpu_ns();
    struct tars_span page;
    struct tars_buf out;
    size_t count;

    page = tars_tracer_take(tracer, &count);
    tars_buf_init(&out, (size_t)64 << 20);
    (void)tars_trace_write(&out, &resource, &page, SIZE_MAX);
    costs->written_ns += cpu_ns() - start;
    costs->taken += count;
    costs->bytes += out.len;
    tars_buf_release(&out);
}

static struct costs measure(struct tars_tracer *tracer, long spans)
{
    struct costs costs = {.taken = 0};

    for (long done = 0; done < spans; done += A_TIME) {
        struct tars_trace trace;
        int64_t start;

        tars_trace_enter_new(&trace, tracer);
        start = cpu_ns();
        for (long i = 0; i < A_TIME; i++)
            record(&trace);
        costs.recorded_ns += cpu_ns() - start;
        if (tracer)
            take(tracer, &costs);
    }
    return costs;
}

static struct tars_tracer *open_tracer(double ratio)
{
    const struct tars_tracer_config config = {.ratio = ratio};
    struct tars_tracer *tracer = NULL;

    if (tars_tracer_new(&config, &tracer) != TARS_OK)
        exit(1);
    return tracer;
}

int main(int argc, char **argv)
{
    long spans = argc > 1 ? strtol(argv[1], NULL, 10) : SPANS;
    struct tars_tracer *none = open_tracer(0);
    struct tars_tracer *all = open_tracer(1);
    struct costs on;

    printf("switched off %6.1f ns a span\n",
           (double)measure(NULL, spans).recorded_ns / (double)spans);
    printf("not sampled  %6.1f ns a span\n",
           (double)measure(none, spans).recorded_ns / (double)spans);
    on = measure(all, spans);
    printf("recorded     %6.1f ns a span; none of %zu dropped\n",
           (double)on.recorded_ns / (double)spans, on.taken);
    printf("written      %6.1f ns a span on the exporter's thread, %zu bytes each\n",
           (double)on.written_ns / (double)on.taken, on.bytes / on.taken);
    tars_tracer_free(none);
    tars_tracer_free(all);
    return on.taken < (size_t)spans;
}
