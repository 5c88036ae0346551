/* Any bytes as ChromaDB's reply to each kind of request: what is accepted keeps what chroma_wire.h
 * promises. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vectors/chroma_wire.h"

#define ROWS_MAX 8
#define ALL      (TARS_CHROMA_VECTORS | TARS_CHROMA_TEXTS | TARS_CHROMA_METADATA)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_rows(struct tars_span body, unsigned include, struct tars_arena *arena)
{
    struct tars_chroma_rows rows;

    if (tars_chroma_read_rows(body, ROWS_MAX, include, arena, &rows, NULL) != TARS_OK)
        return;
    must(rows.count <= ROWS_MAX && rows.dim <= TARS_CHROMA_DIM_MAX);
    for (size_t i = 0; i < rows.count; i++) {
        const struct tars_chroma_row *row = &rows.items[i];

        must(row->id && (!row->text || row->text[row->text_len] == 0));
        must(!row->metadata || row->metadata[0] == '{');
        must(!(include & TARS_CHROMA_VECTORS) == !row->vector);
        for (size_t k = 0; row->vector && k < rows.dim; k++)
            must(isfinite(row->vector[k]) != 0);
    }
}

static void check_hits(struct tars_span body, struct tars_arena *arena)
{
    struct tars_chroma_hits hits;

    if (tars_chroma_read_hits(body, ROWS_MAX, arena, &hits, NULL) != TARS_OK)
        return;
    must(hits.count <= ROWS_MAX);
    for (size_t i = 0; i < hits.count; i++)
        must(hits.items[i].id && isfinite(hits.items[i].distance));
}

static void check_collection(struct tars_span body, struct tars_arena *arena)
{
    struct tars_chroma_collection found;

    if (tars_chroma_read_collection(body, arena, &found, NULL) != TARS_OK)
        return;
    must(strlen(found.id) == TARS_CHROMA_UUID_BYTES - 1);
    must(strspn(found.id, "0123456789abcdefABCDEF-") == TARS_CHROMA_UUID_BYTES - 1);
    must(found.dim <= TARS_CHROMA_DIM_MAX && found.metadata[0] == '{');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tars_span body = tars_span((const char *)data, size);
    struct tars_arena arena;
    size_t number;
    char said[64];

    tars_arena_init(&arena, (size_t)16 << 20);
    check_rows(body, ALL, &arena);
    check_rows(body, 0, &arena);
    check_hits(body, &arena);
    check_collection(body, &arena);
    (void)!tars_chroma_read_count(body, &number, NULL);
    (void)!tars_chroma_read_limit(body, &number, NULL);
    tars_chroma_read_refusal(body, said, sizeof(said));
    must(strlen(said) < sizeof(said));
    tars_arena_release(&arena);
    return 0;
}
