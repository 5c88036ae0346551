/* trace_context - where in which trace something happens: W3C Trace Context, level 1.
 *
 *     traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
 *                  |  trace: 16 bytes, not all 0     | caller's span   | flags: 01 sampled
 *     tracestate:  vendor=value,other=value            given on as it came
 *
 * Strict, as the specification wants it: what is not well formed is as if it had not been sent.
 * Parsers do not allocate and take (pointer, length).
 *
 * Threads   Plain functions on plain values.
 */
#ifndef TARS_OBS_TRACE_CONTEXT_H
#define TARS_OBS_TRACE_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/span.h"

#define TARS_TRACE_ID_BYTES    33  /* 32 hex digits and a NUL */
#define TARS_SPAN_ID_DIGITS    16  /* hex digits of a span's id */
#define TARS_TRACEPARENT_BYTES 56  /* the header's value and a NUL */
#define TARS_TRACESTATE_MAX    512 /* bytes that are given on; a longer one is left out */

struct tars_tracer; /* obs/trace.h */

/* Which trace a call belongs to. Zeroed: none, and nothing is recorded. */
struct tars_trace {
    char id[TARS_TRACE_ID_BYTES]; /* lower-case hex, terminated; "": none */
    bool sampled;                 /* as told by and to others */
    bool is_remote;               /* span is the caller's */
    uint64_t span;                /* under which new spans go; 0: they are roots */
    struct tars_span state;       /* tracestate to give on; borrowed; may be empty */
    struct tars_tracer *tracer;   /* NULL: nothing is recorded; borrowed */
    int64_t wall_ns;              /* what to add to tars_clock_mono_ns() for the wall's time */
};

/* A caller's traceparent, without white space around it. False: not one; *trace is as before. Sets
 * id, sampled, span and is_remote. */
bool tars_traceparent_parse(const char *ptr, size_t len, struct tars_trace *trace);

/* True when (ptr, len) is a list of at most 32 members, "key=value" joined by commas, no key twice,
 * TARS_TRACESTATE_MAX bytes in all. */
bool tars_tracestate_is_good(const char *ptr, size_t len);

/* The header for whom trace's present span asks; out has TARS_TRACEPARENT_BYTES. False without an
 * id or a span: then there is nothing to say. */
bool tars_traceparent_write(const struct tars_trace *trace, char *out);

/* 16 lower-case hex digits and no NUL. */
void tars_trace_hex(char *out, uint64_t value);

#endif
