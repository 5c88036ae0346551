/* fuzz_llm_stream - foreign bytes through the line cutter and both parsers, cut where the first
 * byte says; all that comes out must be whole characters. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "llm/emit.h"
#include "llm/lines.h"
#include "llm/ollama_wire.h"
#include "llm/openai_wire.h"
#include "text/normalize.h"

#define LINE_MAX_BYTES 4096

struct run {
    tars_remote_parse_fn *parse;
    struct tars_emit emit;
};

static bool hear(void *ctx, const char *ptr, size_t len)
{
    (void)ctx;
    if (len == 0 || !tars_utf8_is_valid(ptr, len))
        abort();
    return true;
}

static tars_status take(void *ctx, struct tars_span line)
{
    struct run *run = ctx;
    struct tars_remote_line read = {.done = false};
    void *hold = NULL;
    tars_status status = run->parse(line, &read, &hold);

    if (status == TARS_OK)
        status = tars_emit_push(&run->emit, read.text.ptr, read.text.len);
    tars_remote_drop(hold);
    return status == TARS_EFORMAT ? TARS_OK : status;
}

static void drive(tars_remote_parse_fn *parse, const char *ptr, size_t len, size_t step)
{
    const struct tars_llm_sink sink = {hear, NULL};
    struct tars_llm_result result = {.started = false};
    struct run run = {.parse = parse};
    struct tars_lines lines;
    tars_status status = TARS_OK;

    tars_emit_init(&run.emit, &sink, NULL, &result);
    tars_lines_init(&lines, LINE_MAX_BYTES, take, &run);
    for (size_t at = 0; at < len && status == TARS_OK; at += step)
        status = tars_lines_push(&lines, ptr + at, len - at < step ? len - at : step);
    if (status == TARS_OK)
        status = tars_lines_finish(&lines);
    if (status == TARS_OK)
        status = tars_emit_push(&run.emit, ptr, len < 64 ? len : 64);
    if (status == TARS_OK)
        status = tars_emit_finish(&run.emit);
    if (status != TARS_OK && status != TARS_ETOOBIG && status != TARS_ENOMEM)
        abort();
    tars_lines_release(&lines);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    drive(tars_ollama_parse, (const char *)data + 1, size - 1, 1 + data[0] % 64U);
    drive(tars_openai_parse, (const char *)data + 1, size - 1, 1 + data[0] % 64U);
    return 0;
}
