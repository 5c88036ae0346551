/* trace - see trace.h for the contract.
 *
 * A page holds ended spans one behind the other, each
 *
 *     | struct head | name | state | failure | words | attribute, ... |
 *
 * and an attribute | struct item | text |, where the numbers of head and item say how long the
 * texts are. Nothing is aligned: all is copied in and out. Pages never leave the process, so keys
 * stay pointers.
 *
 * Ids are the hash of a counter under a random seed, as those of requests.
 */
#include "obs/trace.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/crypto/digest.h"
#include "base/crypto/siphash.h"
#include "base/sys/clock.h"

#define PAGE_MIN  ((size_t)64 << 10) /* a span with content fits */
#define NAME_MAX_ 192

/* Guarded by the tracer's lock while it is open. */
struct page {
    char *bytes; /* owned */
    size_t used;
    size_t spans;
};

struct tars_tracer {
    struct tars_tracer_config config; /* with every default filled in */
    unsigned char seed[TARS_SIPHASH_SEED_BYTES];
    atomic_uint_fast64_t ids; /* given out */
    uint64_t below;           /* traces are recorded whose id's number is */
    pthread_mutex_t lock;     /* guards the fields below */
    pthread_cond_t wake;      /* is_due was set; on the monotonic clock */
    bool is_due;
    struct page open;   /* takes spans */
    struct page closed; /* the exporter's; only _take() touches it */
};

struct head {
    uint64_t id, parent;
    int64_t start_ns, end_ns; /* of the wall */
    uint32_t size;            /* bytes of all, this head too */
    uint32_t attributes, attributes_dropped;
    uint16_t name, state, failure, words; /* bytes */
    uint8_t kind, verdict;
    bool has_remote_parent;
    char trace_id[TARS_TRACE_ID_BYTES];
};

struct item {
    const char *key;
    uint32_t type;
    uint32_t len; /* bytes of the text behind it; 0 for the others */
    union {
        int64_t number;
        double real;
    } value;
};

/* -------------------------------------------------------------------- life cycle */

/* The share of all 63-bit numbers that lie below it. */
static uint64_t bound_of(double ratio)
{
    if (ratio >= 1)
        return UINT64_C(1) << 63U;
    return ratio > 0 ? (uint64_t)(ratio * (double)(UINT64_C(1) << 63U)) : 0;
}

static tars_status fill_tracer(struct tars_tracer *tracer, const struct tars_tracer_config *config)
{
    tracer->config = *config;
    tracer->below = bound_of(config->ratio);
    if (!config->page_bytes)
        tracer->config.page_bytes = TARS_TRACE_PAGE_DEFAULT;
    if (!config->mono_ns)
        tracer->config.mono_ns = tars_clock_mono_ns;
    if (!config->wall_us)
        tracer->config.wall_us = tars_clock_wall_us;
    tracer->open.bytes = malloc(tracer->config.page_bytes);
    tracer->closed.bytes = malloc(tracer->config.page_bytes);
    if (!tracer->open.bytes || !tracer->closed.bytes)
        return TARS_ENOMEM;
    if (!config->seed)
        return tars_random_bytes(tracer->seed, sizeof(tracer->seed));
    memcpy(tracer->seed, config->seed, sizeof(tracer->seed));
    return TARS_OK;
}

tars_status tars_tracer_new(const struct tars_tracer_config *config, struct tars_tracer **tracer)
{
    struct tars_tracer *made;
    pthread_condattr_t attributes;
    tars_status status;

    if ((config->page_bytes && config->page_bytes < PAGE_MIN) || config->page_bytes > UINT32_MAX)
        return TARS_EINVAL;
    made = calloc(1, sizeof(*made));
    if (!made)
        return TARS_ENOMEM;
    pthread_mutex_init(&made->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&made->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    status = fill_tracer(made, config);
    if (status != TARS_OK) {
        tars_tracer_free(made);
        return status;
    }
    *tracer = made;
    return TARS_OK;
}

void tars_tracer_free(struct tars_tracer *tracer)
{
    if (!tracer)
        return;
    pthread_cond_destroy(&tracer->wake);
    pthread_mutex_destroy(&tracer->lock);
    free(tracer->open.bytes);
    free(tracer->closed.bytes);
    free(tracer);
}

/* ------------------------------------------------------------------------ traces */

static uint64_t new_id(struct tars_tracer *tracer)
{
    uint64_t id;

    do {
        uint64_t number = atomic_fetch_add_explicit(&tracer->ids, 1, memory_order_relaxed);

        id = tars_siphash(tracer->seed, &number, sizeof(number));
    } while (!id);
    return id;
}

/* The number that digits of a trace's id write. */
static uint64_t number_of(const char *digits)
{
    uint64_t number = 0;

    for (size_t i = 0; i < TARS_SPAN_ID_DIGITS; i++) {
        unsigned digit = (unsigned char)digits[i];

        number = number << 4U | (digit <= '9' ? digit - '0' : digit - 'a' + 10);
    }
    return number;
}

static bool is_sampled(const struct tars_tracer *tracer, const char *id)
{
    return number_of(id + TARS_SPAN_ID_DIGITS) >> 1U < tracer->below;
}

void tars_trace_enter(struct tars_trace *trace, struct tars_tracer *tracer)
{
    trace->tracer = NULL;
    if (!trace->id[0])
        return;
    if (!trace->span)
        trace->sampled = tracer && is_sampled(tracer, trace->id);
    if (tracer && trace->sampled) {
        trace->tracer = tracer;
        trace->wall_ns = tracer->config.wall_us() * 1000 - tracer->config.mono_ns();
    } else if (!trace->span) {
        trace->span = number_of(trace->id);
    }
}

void tars_trace_enter_new(struct tars_trace *trace, struct tars_tracer *tracer)
{
    *trace = (struct tars_trace){.span = 0};
    if (!tracer)
        return;
    tars_trace_hex(trace->id, new_id(tracer));
    tars_trace_hex(trace->id + TARS_SPAN_ID_DIGITS, new_id(tracer));
    tars_trace_enter(trace, tracer);
}

bool tars_trace_wants_content(const struct tars_trace *trace)
{
    return trace->tracer && trace->tracer->config.content;
}

int64_t tars_trace_now(const struct tars_trace *trace)
{
    return trace->tracer->config.mono_ns();
}

/* ------------------------------------------------------------------------- spans */

void tars_trace_start(struct tars_trace *trace, struct tars_trace_span *span, const char *name,
                      enum tars_trace_kind kind, int64_t start_ns)
{
    span->trace = trace;
    span->id = new_id(trace->tracer);
    span->parent = trace->span;
    span->has_remote_parent = trace->is_remote;
    span->start_ns = start_ns;
    span->kind = kind;
    span->verdict = TARS_SPAN_UNSET;
    span->name = tars_span_of(name);
    span->subject = span->failure = span->words = tars_span(NULL, 0);
    span->attribute_count = span->attributes_dropped = 0;
    trace->span = span->id;
    trace->is_remote = false;
}

void tars_trace_add(struct tars_trace_span *span, const struct tars_trace_attribute *attribute)
{
    if (span->attribute_count < TARS_TRACE_ATTRIBUTES_MAX) {
        span->attributes[span->attribute_count++] = *attribute;
    } else {
        span->attributes_dropped++;
    }
}

void tars_trace_note(struct tars_trace_span *span, tars_status status, const struct tars_err *err)
{
    bool may_quote = tars_trace_wants_content(span->trace);

    if (status == TARS_ECANCELED) {
        tars_trace_flag(span, "tars.cancelled", true);
        return;
    }
    tars_trace_failed(span, tars_status_name(status));
    span->words =
        tars_span_of(may_quote && err && err->text[0] ? err->text : tars_status_text(status));
}

/* At most max bytes of text, whole characters. */
static struct tars_span cut(struct tars_span text, size_t max)
{
    if (text.len <= max)
        return text;
    while (max > 0 && ((unsigned char)text.ptr[max] & 0xC0U) == 0x80U)
        max--;
    return tars_span(text.ptr, max);
}

static bool has_text(enum tars_trace_type type)
{
    return type == TARS_TRACE_TEXT || type == TARS_TRACE_LIST || type == TARS_TRACE_SAID;
}

/* What is put into the page behind the item of an attribute. */
static struct tars_span text_of(const struct tars_trace_attribute *attribute)
{
    if (!has_text(attribute->type))
        return tars_span(NULL, 0);
    return cut(attribute->value.text,
               attribute->type == TARS_TRACE_SAID ? TARS_TRACE_CONTENT_MAX : TARS_TRACE_TEXT_MAX);
}

static char *put(char *to, const void *ptr, size_t len)
{
    if (len)
        memcpy(to, ptr, len);
    return to + len;
}

/* The texts of a span that is to be put into a page, cut, and how large all of it is. */
struct packing {
    struct head head;
    struct tars_span name, subject, state, failure, words;
};

static void fill_packing(const struct tars_trace_span *span, int64_t end_ns,
                         struct packing *packing)
{
    const struct tars_trace *trace = span->trace;
    struct head *head = &packing->head;

    packing->name = cut(span->name, NAME_MAX_ / 2);
    packing->subject = cut(span->subject, NAME_MAX_ / 2);
    packing->state = cut(trace->state, TARS_TRACESTATE_MAX);
    packing->failure = cut(span->failure, TARS_TRACE_TEXT_MAX);
    packing->words = cut(span->words, TARS_ERR_TEXT_MAX);
    *head = (struct head){
        .id = span->id,
        .parent = span->parent,
        .start_ns = span->start_ns + trace->wall_ns,
        .end_ns = (end_ns > span->start_ns ? end_ns : span->start_ns) + trace->wall_ns,
        .attributes = (uint32_t)span->attribute_count,
        .attributes_dropped = (uint32_t)span->attributes_dropped,
        .name = (uint16_t)(packing->name.len + packing->subject.len + (packing->subject.len > 0)),
        .state = (uint16_t)packing->state.len,
        .failure = (uint16_t)packing->failure.len,
        .words = (uint16_t)packing->words.len,
        .kind = (uint8_t)span->kind,
        .verdict = (uint8_t)span->verdict,
        .has_remote_parent = span->has_remote_parent,
    };
    memcpy(head->trace_id, trace->id, sizeof(head->trace_id));
    head->size = (uint32_t)(sizeof(*head) + head->name + head->state + head->failure + head->words);
    for (size_t i = 0; i < span->attribute_count; i++) {
        head->size += (uint32_t)(sizeof(struct item) + text_of(&span->attributes[i]).len);
    }
}

static char *put_attribute(char *to, const struct tars_trace_attribute *attribute)
{
    struct tars_span text = text_of(attribute);
    struct item item = {
        .key = attribute->key, .type = (uint32_t)attribute->type, .len = (uint32_t)text.len};

    if (attribute->type == TARS_TRACE_REAL) {
        item.value.real = attribute->value.real;
    } else if (!has_text(attribute->type)) {
        item.value.number = attribute->value.number;
    }
    to = put(to, &item, sizeof(item));
    return put(to, text.ptr, text.len);
}

static void put_span(char *to, const struct tars_trace_span *span, const struct packing *packing)
{
    char *start = to;

    to = put(to, &packing->head, sizeof(packing->head));
    to = put(to, packing->name.ptr, packing->name.len);
    if (packing->subject.len) {
        to = put(to, " ", 1);
        to = put(to, packing->subject.ptr, packing->subject.len);
    }
    to = put(to, packing->state.ptr, packing->state.len);
    to = put(to, packing->failure.ptr, packing->failure.len);
    to = put(to, packing->words.ptr, packing->words.len);
    for (size_t i = 0; i < span->attribute_count; i++)
        to = put_attribute(to, &span->attributes[i]);
    assert((size_t)(to - start) == packing->head.size);
    (void)start;
}

void tars_trace_finish(struct tars_trace_span *span, int64_t end_ns)
{
    struct tars_trace *trace = span->trace;
    struct tars_tracer *tracer = trace->tracer;
    struct packing packing;
    size_t half = tracer->config.page_bytes / 2;
    size_t before;
    bool fits;

    trace->span = span->parent;
    trace->is_remote = span->has_remote_parent;
    fill_packing(span, end_ns, &packing);
    pthread_mutex_lock(&tracer->lock);
    before = tracer->open.used;
    fits = packing.head.size <= tracer->config.page_bytes - before;
    if (fits) {
        put_span(tracer->open.bytes + before, span, &packing);
        tracer->open.used += packing.head.size;
        tracer->open.spans++;
        if (before < half && tracer->open.used >= half) {
            tracer->is_due = true;
            pthread_cond_signal(&tracer->wake);
        }
    }
    pthread_mutex_unlock(&tracer->lock);
    if (!fits)
        tars_series_add(tracer->config.dropped, 1);
    span->trace = NULL;
}

/* --------------------------------------------------------------------- exporting */

void tars_tracer_wait(struct tars_tracer *tracer, int64_t timeout_ms)
{
    int64_t due_ms = tars_clock_mono_ms() + timeout_ms;
    const struct timespec due = {.tv_sec = due_ms / 1000, .tv_nsec = due_ms % 1000 * 1000000};

    pthread_mutex_lock(&tracer->lock);
    while (!tracer->is_due && tars_clock_mono_ms() < due_ms)
        (void)pthread_cond_timedwait(&tracer->wake, &tracer->lock, &due);
    tracer->is_due = false;
    pthread_mutex_unlock(&tracer->lock);
}

void tars_tracer_wake(struct tars_tracer *tracer)
{
    pthread_mutex_lock(&tracer->lock);
    tracer->is_due = true;
    pthread_cond_signal(&tracer->wake);
    pthread_mutex_unlock(&tracer->lock);
}

struct tars_span tars_tracer_take(struct tars_tracer *tracer, size_t *count)
{
    struct page empty = tracer->closed;

    empty.used = empty.spans = 0;
    pthread_mutex_lock(&tracer->lock);
    tracer->closed = tracer->open;
    tracer->open = empty;
    pthread_mutex_unlock(&tracer->lock);
    *count = tracer->closed.spans;
    return tars_span(tracer->closed.bytes, tracer->closed.used);
}

static struct tars_span take_text(struct tars_span *page, size_t len)
{
    struct tars_span text = tars_span(page->ptr, len);

    assert(len <= page->len);
    *page = tars_span(page->ptr + len, page->len - len);
    return text;
}

static void take_attribute(struct tars_span *page, struct tars_trace_attribute *out)
{
    struct item item;
    struct tars_span text;

    memcpy(&item, take_text(page, sizeof(item)).ptr, sizeof(item));
    text = take_text(page, item.len);
    out->key = item.key;
    out->type = (enum tars_trace_type)item.type;
    if (out->type == TARS_TRACE_REAL) {
        out->value.real = item.value.real;
    } else if (has_text(out->type)) {
        out->value.text = text;
    } else {
        out->value.number = item.value.number;
    }
}

bool tars_trace_next(struct tars_span *page, struct tars_trace_record *record)
{
    struct head head;

    if (page->len == 0)
        return false;
    memcpy(&head, take_text(page, sizeof(head)).ptr, sizeof(head));
    memcpy(record->trace_id, head.trace_id, sizeof(record->trace_id));
    record->id = head.id;
    record->parent = head.parent;
    record->has_remote_parent = head.has_remote_parent;
    record->kind = (enum tars_trace_kind)head.kind;
    record->verdict = (enum tars_trace_verdict)head.verdict;
    record->start_ns = head.start_ns;
    record->end_ns = head.end_ns;
    record->name = take_text(page, head.name);
    record->state = take_text(page, head.state);
    record->failure = take_text(page, head.failure);
    record->words = take_text(page, head.words);
    record->attribute_count = head.attributes;
    record->attributes_dropped = head.attributes_dropped;
    for (size_t i = 0; i < head.attributes; i++)
        take_attribute(page, &record->attributes[i]);
    return true;
}
