/* traced - a job is a trace of its own: a span of all, and one of each stage.
 *
 *     ingest
 *       +- extract                 reading, with chunking; the reader's
 *       +- embeddings MODEL        of the batch that the part was in; the writer's, once a part
 *       +- store, index            likewise
 *
 * Reader and writer may work on one file at once, so each has a copy of the trace. A file of very
 * many parts shows its first PARTS_MAX.
 */
#include "ingest/ingest_internal.h"
#include "model/encoder.h"

#define PARTS_MAX 32

void tars_ingest_trace_begin(struct tars_ingest *ingest, struct tars_ingest_run *run)
{
    tars_trace_enter_new(&run->trace, ingest->config.tracer);
    tars_trace_begin(&run->trace, &run->span, "ingest", TARS_SPAN_INTERNAL);
    run->read_trace = run->trace;
}

void tars_ingest_trace_end(struct tars_ingest_run *run, const char *outcome)
{
    struct tars_trace_span *span = &run->span;

    tars_trace_int(span, "tars.job.id", run->job.id);
    tars_trace_int(span, "tars.job.attempt", run->job.attempts);
    tars_trace_text(span, "tars.collection", run->file.collection);
    tars_trace_text(span, "tars.file.type", run->file_type);
    tars_trace_int(span, "tars.file.bytes", run->file.size);
    tars_trace_content(span, "tars.file.path", tars_span_of(run->file.path));
    tars_trace_text(span, "tars.ingest.outcome", outcome);
    tars_trace_int(span, "tars.ingest.documents", run->documents);
    tars_trace_int(span, "tars.ingest.chunks", run->chunks);
    tars_trace_int(span, "tars.ingest.parts", (int64_t)run->parts);
    tars_trace_status(span, run->status, &run->err);
    tars_trace_end(span);
}

struct tars_trace *tars_ingest_trace_of(struct tars_ingest_run *run)
{
    return run->parts <= PARTS_MAX ? &run->trace : NULL;
}

static void note_embedding(struct tars_ingest *ingest, const struct tars_ingest_batch *batch,
                           struct tars_ingest_run *run, int64_t start_ns)
{
    const struct tars_encoder_info *info = tars_encoder_info(ingest->config.encoder);
    struct tars_trace *trace = tars_ingest_trace_of(run);
    struct tars_trace_span span;

    if (!trace || !trace->tracer)
        return;
    tars_trace_start(trace, &span, "embeddings", TARS_SPAN_INTERNAL, start_ns);
    tars_trace_subject(&span, info->name);
    tars_trace_text(&span, "gen_ai.operation.name", "embeddings");
    tars_trace_text(&span, "gen_ai.provider.name", "tars");
    tars_trace_text(&span, "gen_ai.request.model", info->name);
    tars_trace_int(&span, "gen_ai.embeddings.dimension.count", (int64_t)info->dim);
    tars_trace_int(&span, "tars.batch.windows", (int64_t)batch->window_count);
    tars_trace_status(&span, run->status, &run->err);
    tars_trace_end(&span);
}

void tars_ingest_trace_embedded(struct tars_ingest *ingest, const struct tars_ingest_batch *batch,
                                int64_t start_ns)
{
    for (struct tars_ingest_part *part = batch->first; part; part = part->next) {
        if (part->put_count)
            note_embedding(ingest, batch, part->run, start_ns);
    }
}
