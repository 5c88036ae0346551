/* trace - spans: what a call did, when, under which other span; kept until somebody exports them.
 *
 *     struct tars_trace_span span;
 *
 *     tars_trace_begin(&call->trace, &span, "search words", TARS_SPAN_INTERNAL);
 *     tars_trace_int(&span, "tars.search.hits", 12);
 *     tars_trace_end(&span);
 *
 * A trace that is not recorded (switched off, or not sampled) costs each of these a branch.
 *
 * Model     Spans of one trace nest like the functions that open them: begin makes the span the one
 *           under which the next ones go, end puts its parent back. An ended span is copied into
 *           the tracer's open page, behind the ones before it. The exporter takes the page, gives
 *           back the one it had, and reads at leisure. A page that is full takes no more: those
 *           spans are dropped and counted.
 * Content   Questions, passages and answers are put in by tars_trace_content() alone, which does
 *           nothing unless the tracer wants them. Words of failures may quote, so they go the same
 *           way; a span says its status always.
 * Times     Of the monotonic clock, moved to the wall's by what was between them when the trace
 *           began: so children lie within their parents even when somebody sets the clock.
 * Sampling  As the caller has decided, where there is one; else by the share that is set, from the
 *           last 8 bytes of the trace's id, as OpenTelemetry's TraceIdRatioBased.
 * Bounds    Two pages of page_bytes; TARS_TRACE_ATTRIBUTES_MAX attributes a span, the rest is
 *           counted; texts of TARS_TRACE_TEXT_MAX bytes, content of TARS_TRACE_CONTENT_MAX, cut at
 *           a character.
 * Threads   A trace and its spans belong to the thread that runs the call. A tracer is safe to
 *           share; ending a span takes a short lock, and no memory from the heap.
 */
#ifndef TARS_OBS_TRACE_H
#define TARS_OBS_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/span.h"
#include "base/status.h"
#include "obs/metrics.h"
#include "obs/trace_context.h"

#define TARS_TRACE_ATTRIBUTES_MAX 24
#define TARS_TRACE_TEXT_MAX       256
#define TARS_TRACE_CONTENT_MAX    ((size_t)32 << 10)
#define TARS_TRACE_PAGE_DEFAULT   ((size_t)1 << 20) /* about 3,000 spans */

/* Numbers as in OTLP. */
enum tars_trace_kind {
    TARS_SPAN_INTERNAL = 1,
    TARS_SPAN_SERVER = 2,
    TARS_SPAN_CLIENT = 3,
};

/* Numbers as in OTLP. */
enum tars_trace_verdict {
    TARS_SPAN_UNSET = 0,
    TARS_SPAN_ERROR = 2,
};

enum tars_trace_type {
    TARS_TRACE_TEXT = 0,
    TARS_TRACE_INT = 1,
    TARS_TRACE_REAL = 2,
    TARS_TRACE_FLAG = 3,
    TARS_TRACE_LIST = 4, /* of one text */
    TARS_TRACE_SAID = 5, /* a text that is content */
};

/* Keys are those of the semantic conventions, or begin with "tars.". */
struct tars_trace_attribute {
    const char *key; /* static */
    enum tars_trace_type type;
    union {
        struct tars_span text; /* borrowed until the span ends */
        int64_t number;        /* and flags */
        double real;
    } value;
};

/* A span under way, on its owner's stack or in its arena. Only tars_trace_*() write it. */
struct tars_trace_span {
    struct tars_trace *trace; /* NULL: not recorded, and nothing below is set */
    uint64_t id, parent;
    bool has_remote_parent;
    int64_t start_ns; /* monotonic */
    enum tars_trace_kind kind;
    enum tars_trace_verdict verdict;
    struct tars_span name;    /* borrowed until the span ends */
    struct tars_span subject; /* goes behind the name, after a space; likewise; may be empty */
    struct tars_span failure; /* error.type; empty: none */
    struct tars_span words;   /* of the failure: an event says them; empty: no event */
    size_t attribute_count, attributes_dropped;
    struct tars_trace_attribute attributes[TARS_TRACE_ATTRIBUTES_MAX];
};

/* A span that has ended, as it lies in a page. Texts are lent until the page is given back. */
struct tars_trace_record {
    char trace_id[TARS_TRACE_ID_BYTES];
    uint64_t id, parent;
    bool has_remote_parent;
    enum tars_trace_kind kind;
    enum tars_trace_verdict verdict;
    int64_t start_ns, end_ns; /* of the wall */
    struct tars_span name, state, failure, words;
    size_t attribute_count, attributes_dropped;
    struct tars_trace_attribute attributes[TARS_TRACE_ATTRIBUTES_MAX]; /* keys are static still */
};

/* ----------------------------------------------------------------------- tracer */

struct tars_tracer_config {
    double ratio;                /* share of traces that begin here, 0..1 */
    bool content;                /* questions, passages, answers and words of failures too */
    size_t page_bytes;           /* 0: TARS_TRACE_PAGE_DEFAULT */
    struct tars_series *dropped; /* counts spans that found no room; borrowed; may be NULL */
    int64_t (*mono_ns)(void);    /* NULL: tars_clock_mono_ns */
    int64_t (*wall_us)(void);    /* NULL: tars_clock_wall_us */
    const unsigned char *seed;   /* of ids, TARS_SIPHASH_SEED_BYTES; NULL: random bytes */
};

/* ENOMEM, EIO without random bytes, EINVAL. */
TARS_MUST_USE tars_status tars_tracer_new(const struct tars_tracer_config *config,
                                          struct tars_tracer **tracer);
/* Nobody records or exports any more. NULL is allowed. */
void tars_tracer_free(struct tars_tracer *tracer);

/* Wait until half a page is full, tars_tracer_wake() was called, or timeout_ms are over. */
void tars_tracer_wait(struct tars_tracer *tracer, int64_t timeout_ms);
/* End the present wait, or else the next one. Any thread. */
void tars_tracer_wake(struct tars_tracer *tracer);

/* The spans that have ended since the last call, and an empty page for those to come. One thread at
 * a time; bytes are lent until the next call. *count: how many spans. */
struct tars_span tars_tracer_take(struct tars_tracer *tracer, size_t *count);
/* The first record of what _take() gave, which it is cut off from; false at the end. */
bool tars_trace_next(struct tars_span *page, struct tars_trace_record *record);

/* ------------------------------------------------------------------------ traces */

/* Begin to record trace, whose id, span and sampled say what a caller has decided (span 0: nobody
 * has). tracer NULL: nothing is recorded. A trace that is not recorded has a span's id to give on
 * all the same. */
void tars_trace_enter(struct tars_trace *trace, struct tars_tracer *tracer);
/* A trace of one's own: a new id first. */
void tars_trace_enter_new(struct tars_trace *trace, struct tars_tracer *tracer);

/* True when content is wanted, so that it need not be made otherwise. */
bool tars_trace_wants_content(const struct tars_trace *trace);

/* ------------------------------------------------------------------------- spans */

void tars_trace_start(struct tars_trace *trace, struct tars_trace_span *span, const char *name,
                      enum tars_trace_kind kind, int64_t start_ns);
void tars_trace_finish(struct tars_trace_span *span, int64_t end_ns);
void tars_trace_add(struct tars_trace_span *span, const struct tars_trace_attribute *attribute);
int64_t tars_trace_now(const struct tars_trace *trace);
void tars_trace_note(struct tars_trace_span *span, tars_status status, const struct tars_err *err);

/* trace may be NULL. name is static. */
static inline void tars_trace_begin(struct tars_trace *trace, struct tars_trace_span *span,
                                    const char *name, enum tars_trace_kind kind)
{
    span->trace = NULL;
    if (trace && trace->tracer)
        tars_trace_start(trace, span, name, kind, tars_trace_now(trace));
}

/* What the span is about, behind its name: "chat" and then the model's. */
static inline void tars_trace_subject(struct tars_trace_span *span, const char *subject)
{
    if (span->trace)
        span->subject = tars_span_of(subject);
}

static inline void tars_trace_text(struct tars_trace_span *span, const char *key, const char *text)
{
    if (span->trace && text) {
        tars_trace_add(span, &(struct tars_trace_attribute){
                                 key, TARS_TRACE_TEXT, {.text = tars_span_of(text)}});
    }
}

static inline void tars_trace_list(struct tars_trace_span *span, const char *key, const char *text)
{
    if (span->trace && text) {
        tars_trace_add(span, &(struct tars_trace_attribute){
                                 key, TARS_TRACE_LIST, {.text = tars_span_of(text)}});
    }
}

static inline void tars_trace_int(struct tars_trace_span *span, const char *key, int64_t number)
{
    if (span->trace) {
        tars_trace_add(span,
                       &(struct tars_trace_attribute){key, TARS_TRACE_INT, {.number = number}});
    }
}

static inline void tars_trace_real(struct tars_trace_span *span, const char *key, double real)
{
    if (span->trace)
        tars_trace_add(span, &(struct tars_trace_attribute){key, TARS_TRACE_REAL, {.real = real}});
}

static inline void tars_trace_flag(struct tars_trace_span *span, const char *key, bool flag)
{
    if (span->trace) {
        tars_trace_add(span,
                       &(struct tars_trace_attribute){key, TARS_TRACE_FLAG, {.number = flag}});
    }
}

/* Something that people wrote. Nothing unless the tracer wants it. */
static inline void tars_trace_content(struct tars_trace_span *span, const char *key,
                                      struct tars_span text)
{
    if (span->trace && tars_trace_wants_content(span->trace)) {
        tars_trace_add(span, &(struct tars_trace_attribute){key, TARS_TRACE_SAID, {.text = text}});
    }
}

/* How it ended: TARS_OK says nothing, TARS_ECANCELED that nobody wanted it any more, all else that
 * it failed. err may be NULL; it is borrowed until the span ends. */
static inline void tars_trace_status(struct tars_trace_span *span, tars_status status,
                                     const struct tars_err *err)
{
    if (span->trace && status != TARS_OK)
        tars_trace_note(span, status, err);
}

/* It failed, in a way that has a name (error.type) and no words. */
static inline void tars_trace_failed(struct tars_trace_span *span, const char *type)
{
    if (span->trace) {
        span->verdict = TARS_SPAN_ERROR;
        span->failure = tars_span_of(type);
    }
}

static inline void tars_trace_end(struct tars_trace_span *span)
{
    if (span->trace)
        tars_trace_finish(span, tars_trace_now(span->trace));
}

#endif
