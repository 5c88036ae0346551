/* forget - documents and files out of store and index, in that order, under the index lock. */
#include <string.h>

#include "ingest/ingest_internal.h"

#define FORGET_BYTES ((size_t)1 << 28)

static int64_t chunks_of(const struct tars_store_changes *changes)
{
    int64_t chunks = 0;

    for (size_t i = 0; i < changes->count; i++)
        chunks += (int64_t)(changes->items[i].last - changes->items[i].first + 1);
    return chunks;
}

tars_status tars_ingest_forget(struct tars_ingest *ingest, const char *document_id, int64_t *chunks,
                               struct tars_err *err)
{
    struct tars_store_changes changes = {0};
    struct tars_arena arena;
    tars_status status;

    tars_arena_init(&arena, FORGET_BYTES);
    pthread_mutex_lock(&ingest->index_lock);
    status = tars_store_forget_document(ingest->config.store, document_id, &arena, &changes, err);
    tars_ingest_note_write(ingest, status);
    if (!status)
        tars_ingest_apply(ingest, &changes, NULL);
    pthread_mutex_unlock(&ingest->index_lock);
    if (!status)
        tars_ingest_note_changed(ingest, 0, 1);
    if (!status && chunks)
        *chunks = chunks_of(&changes);
    tars_arena_release(&arena);
    return status;
}

static tars_status forget_file(struct tars_ingest *ingest, struct tars_arena *arena,
                               const struct tars_store_file *file, int64_t *chunks,
                               struct tars_err *err)
{
    struct tars_store_changes changes = {0};
    tars_status status;

    pthread_mutex_lock(&ingest->index_lock);
    status = tars_store_forget_file(ingest->config.store, file->collection, file->path, arena,
                                    &changes, err);
    tars_ingest_note_write(ingest, status);
    if (!status)
        tars_ingest_apply(ingest, &changes, NULL);
    pthread_mutex_unlock(&ingest->index_lock);
    if (!status)
        tars_ingest_note_changed(ingest, 0, file->document_count);
    if (!status)
        *chunks += chunks_of(&changes);
    return status;
}

tars_status tars_ingest_forget_file(struct tars_ingest *ingest, const char *collection,
                                    const char *path, struct tars_err *err)
{
    const struct tars_store_file file = {.collection = collection, .path = path};
    struct tars_arena arena;
    int64_t chunks = 0;
    tars_status status;

    tars_arena_init(&arena, FORGET_BYTES);
    status = forget_file(ingest, &arena, &file, &chunks, err);
    tars_arena_release(&arena);
    return status;
}

tars_status tars_ingest_forget_path(struct tars_ingest *ingest, const char *collection,
                                    const char *path, int64_t *documents, int64_t *chunks,
                                    struct tars_err *err)
{
    struct tars_store_file *files = NULL;
    struct tars_arena arena;
    int64_t document_count = 0;
    int64_t chunk_count = 0;
    size_t n = 0;
    tars_status status;

    tars_arena_init(&arena, FORGET_BYTES);
    status = tars_store_files(ingest->config.store, collection ? collection : TARS_COLLECTION, path,
                              &arena, &files, &n, err);
    if (!status && n == 0) {
        status =
            tars_fail(TARS_ENOTFOUND, err, "nothing was taken in from %s", path ? path : "there");
    }
    for (size_t i = 0; !status && i < n; i++) {
        status = forget_file(ingest, &arena, &files[i], &chunk_count, err);
        document_count += status ? 0 : files[i].document_count;
    }
    tars_arena_release(&arena);
    if (documents)
        *documents = document_count;
    if (chunks)
        *chunks = chunk_count;
    return status;
}
