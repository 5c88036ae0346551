/* service_documents - lists of documents, and one of them; see api/service.h. */
#include "app/service.h"
#include "store/accounts.h"
#include "text/analyzer.h"

struct listing {
    struct tars_arena *arena;
    struct tars_document_view *views; /* (count,) */
    size_t count;
    size_t cap;
};

static const char *keep(struct tars_arena *arena, const char *text)
{
    const char *copy = tars_arena_strdup(arena, text);

    return copy ? copy : "";
}

static struct tars_document_view view_of(struct tars_arena *arena,
                                         const struct tars_store_document *document)
{
    return (struct tars_document_view){
        .document_id = keep(arena, document->document_id),
        .external_id = keep(arena, document->external_id),
        .collection = keep(arena, document->collection),
        .path = keep(arena, document->path),
        .file_name = keep(arena, document->file_name),
        .file_type = keep(arena, document->file_type),
        .title = keep(arena, document->title),
        .sha256 = keep(arena, document->sha256),
        .language = tars_language_name(document->language),
        .file_size = document->file_size,
        .pages = document->page_count,
        .chunks = document->chunk_count,
        .indexed_us = document->indexed_us,
    };
}

static bool add_document(void *ctx, const struct tars_store_document *document)
{
    struct listing *listing = ctx;

    if (listing->count == listing->cap)
        return false;
    listing->views[listing->count++] = view_of(listing->arena, document);
    return true;
}

/* Documents of a collection, in keys' order; sizes say how many are passed over. */
static tars_status list_visible(const struct tars_service *service,
                                const struct tars_visible *visible, size_t offset,
                                struct listing *listing, struct tars_err *err)
{
    struct tars_collection_size *sizes = NULL;
    size_t count = 0;
    tars_status status = tars_accounts_sizes(service->store, listing->arena, &sizes, &count, err);

    for (size_t i = 0; status == TARS_OK && i < count && listing->count < listing->cap; i++) {
        struct tars_store_document_filter filter = {
            .collection = sizes[i].key, .limit = listing->cap - listing->count, .offset = offset};

        if (!tars_visible_has(visible, sizes[i].key))
            continue;
        if (offset >= (size_t)sizes[i].documents) {
            offset -= (size_t)sizes[i].documents;
            continue;
        }
        status = tars_store_documents(service->store, &filter, add_document, listing, err);
        offset = 0;
    }
    return status;
}

tars_status tars_service_documents(void *ctx, const struct tars_visible *visible, size_t limit,
                                   size_t offset, struct tars_arena *arena,
                                   struct tars_document_view **out, size_t *count,
                                   struct tars_err *err)
{
    const struct tars_service *service = ctx;
    const struct tars_store_document_filter filter = {.limit = limit, .offset = offset};
    struct listing listing = {.arena = arena, .cap = limit};
    tars_status status;

    listing.views = tars_arena_calloc(arena, limit + 1, sizeof(*listing.views));
    if (!listing.views)
        return TARS_ENOMEM;
    if (visible->all) {
        status = tars_store_documents(service->store, &filter, add_document, &listing, err);
    } else {
        status = list_visible(service, visible, offset, &listing, err);
    }
    *out = listing.views;
    *count = listing.count;
    return status;
}

/* Word pieces of all its passages. */
static tars_status sum_tokens(const struct tars_service *service,
                              const struct tars_store_document *document, struct tars_arena *arena,
                              int64_t *tokens, struct tars_err *err)
{
    struct tars_store_passages passages = {0};
    tars_status status = TARS_OK;

    *tokens = 0;
    if (document->chunk_count == 0)
        return TARS_OK;
    status = tars_store_passage_range(service->store, document->passage_first,
                                      document->passage_first + (uint64_t)document->chunk_count - 1,
                                      (size_t)document->chunk_count, 0, arena, &passages, err);
    for (size_t i = 0; status == TARS_OK && i < passages.count; i++)
        *tokens += passages.items[i].token_count;
    return status;
}

tars_status tars_service_document(void *ctx, const char *document_id, struct tars_arena *arena,
                                  struct tars_document_view *out, struct tars_err *err)
{
    const struct tars_service *service = ctx;
    struct tars_store_document document;
    int64_t tokens = 0;
    tars_status status = tars_store_document(service->store, document_id, arena, &document, err);

    if (status == TARS_OK)
        status = sum_tokens(service, &document, arena, &tokens, err);
    if (status != TARS_OK)
        return status;
    *out = view_of(arena, &document);
    out->tokens = tokens;
    return TARS_OK;
}
