/* A line and any bytes as a row's id and its metadata: what is accepted has every text, and numbers
 * that are not below 0. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "vectors/chroma_record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check(const struct tars_chroma_record *r)
{
    must(r->document_id && r->document_id[0]);
    must(r->path && r->file_name && r->file_type && r->title && r->section);
    must(r->hash[0] == '\0' || strlen(r->hash) == TARS_CHROMA_RECORD_SHA);
    must(r->chunk_index >= 0 && r->file_size >= 0 && r->page_count >= 0 && r->page >= 0 &&
         r->token_count >= 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *id = malloc(size + 1);
    const char *metadata = NULL;
    struct tars_chroma_record record;
    struct tars_arena arena;

    if (!id)
        return 0;
    if (size > 0)
        memcpy(id, data, size);
    id[size] = '\0';
    if (strchr(id, '\n')) {
        metadata = strchr(id, '\n') + 1;
        *strchr(id, '\n') = '\0';
    }
    tars_arena_init(&arena, (size_t)16 << 20);
    if (tars_chroma_record_read(id, metadata, &arena, &record, NULL) == TARS_OK)
        check(&record);
    tars_arena_release(&arena);
    free(id);
    return 0;
}
