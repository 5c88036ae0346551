/* emit - see emit.h.
 *
 * DESIGN
 *
 * Each byte goes through a three-state reader: bytes of a character collect in held until it is
 * whole, then it joins a run; a run goes to the sink in one call. Overlong forms, surrogates and
 * values past U+10FFFF are refused by the table of second bytes, so what leaves is valid UTF-8.
 */
#include "llm/emit.h"

#include <assert.h>
#include <string.h>

#define RUN_BYTES 512

struct run {
    char text[RUN_BYTES];
    size_t len;
};

void tars_emit_init(struct tars_emit *emit, const struct tars_llm_sink *sink,
                    struct tars_call *call, struct tars_llm_result *result)
{
    *emit = (struct tars_emit){.sink = sink, .call = call, .result = result};
}

tars_status tars_emit_call_status(struct tars_call *call)
{
    if (!call || !tars_call_is_over(call))
        return TARS_OK;
    return atomic_load_explicit(&call->cancelled, memory_order_relaxed) ? TARS_ECANCELED
                                                                        : TARS_ETIMEOUT;
}

/* Bytes of a character by its first byte; 0: no character begins so. */
static size_t length_of(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead < 0xE0)
        return 2;
    if (lead >= 0xE0 && lead < 0xF0)
        return 3;
    return lead >= 0xF0 && lead <= 0xF4 ? 4 : 0;
}

/* Whether byte may follow the bytes that are held (at least one, not whole yet). */
static bool continues(const struct tars_emit *emit, unsigned char byte)
{
    unsigned char lead = emit->held[0];

    if ((byte & 0xC0U) != 0x80U)
        return false;
    if (emit->held_len > 1)
        return true;
    if (lead == 0xE0)
        return byte >= 0xA0;
    if (lead == 0xED)
        return byte < 0xA0;
    if (lead == 0xF0)
        return byte >= 0x90;
    return lead != 0xF4 || byte < 0x90;
}

static tars_status flush(struct tars_emit *emit, struct run *run)
{
    tars_status status = tars_emit_call_status(emit->call);
    size_t len = run->len;

    if (status != TARS_OK || len == 0)
        return status;
    if (len > TARS_LLM_OUTPUT_MAX - emit->bytes)
        return TARS_ETOOBIG;
    run->len = 0;
    emit->bytes += len;
    emit->result->started = true;
    return emit->sink->token(emit->sink->ctx, run->text, len) ? TARS_OK : TARS_ECANCELED;
}

static tars_status add(struct tars_emit *emit, struct run *run, const void *bytes, size_t len)
{
    tars_status status = TARS_OK;

    if (run->len + len > sizeof(run->text))
        status = flush(emit, run);
    if (status == TARS_OK) {
        memcpy(run->text + run->len, bytes, len);
        run->len += len;
    }
    return status;
}

/* Give up the unfinished character: one replacement for each byte held. */
static tars_status replace_held(struct tars_emit *emit, struct run *run)
{
    tars_status status = TARS_OK;

    for (size_t i = 0; i < emit->held_len && status == TARS_OK; i++)
        status = add(emit, run, "\xEF\xBF\xBD", 3);
    emit->held_len = 0;
    return status;
}

static tars_status take(struct tars_emit *emit, struct run *run, unsigned char byte)
{
    tars_status status = TARS_OK;

    if (emit->held_len && !continues(emit, byte))
        status = replace_held(emit, run);
    if (status != TARS_OK)
        return status;
    assert(emit->held_len < sizeof(emit->held));
    emit->held[emit->held_len++] = byte;
    if (length_of(emit->held[0]) == 0)
        return replace_held(emit, run);
    if (emit->held_len < length_of(emit->held[0]))
        return TARS_OK;
    status = add(emit, run, emit->held, emit->held_len);
    emit->held_len = 0;
    return status;
}

tars_status tars_emit_push(struct tars_emit *emit, const char *ptr, size_t len)
{
    struct run run = {.len = 0};
    tars_status status = TARS_OK;

    if (len)
        emit->result->tokens++;
    for (size_t i = 0; i < len && status == TARS_OK; i++)
        status = take(emit, &run, (unsigned char)ptr[i]);
    return status == TARS_OK ? flush(emit, &run) : status;
}

tars_status tars_emit_finish(struct tars_emit *emit)
{
    struct run run = {.len = 0};
    tars_status status = replace_held(emit, &run);

    return status == TARS_OK && run.len ? flush(emit, &run) : status;
}
