/* transfer_sums - what a store holds, in numbers and in a digest that does not depend on the
 * numbers that the store itself gives. */
#include <string.h>

#include "base/crypto/digest.h"
#include "store/conversations.h"
#include "store/transfer_internal.h"

struct summing {
    struct tars_store *store;
    struct tars_store_sums sums;
    struct tars_sha256 *sha;
    struct tars_arena arena; /* of one document */
    size_t dim;
    tars_status status;
    struct tars_err *err;
};

static void add(struct summing *summing, const void *ptr, size_t len)
{
    if (!summing->status && len > 0)
        summing->status = tars_sha256_update(summing->sha, ptr, len);
}

static void add_text(struct summing *summing, const char *text)
{
    const char *known = text ? text : "";

    add(summing, known, strlen(known) + 1);
}

static void add_int(struct summing *summing, int64_t value)
{
    add(summing, &value, sizeof(value));
}

static void add_passage(struct summing *summing, const struct tars_store_passage *passage)
{
    const int64_t numbers[] = {
        passage->kind,
        passage->language,
        passage->page_first,
        passage->page_last,
        passage->token_count,
        (int64_t)passage->char_start,
        (int64_t)passage->char_end,
        (int64_t)passage->text_len,
        (int64_t)passage->window_count,
    };

    add(summing, numbers, sizeof(numbers));
    add_text(summing, passage->section);
    add(summing, passage->text, passage->text_len);
    add(summing, passage->windows, passage->window_count * sizeof(*passage->windows));
    if (passage->vectors) {
        add(summing, passage->vectors, passage->window_count * summing->dim * sizeof(float));
        summing->sums.vectors += (int64_t)passage->window_count;
    }
}

static void add_passages(struct summing *summing, const struct tars_store_document *document)
{
    struct tars_store_passages passages = {0};
    uint64_t last = document->passage_first + (uint64_t)document->chunk_count - 1;

    if (document->chunk_count == 0 || summing->status)
        return;
    summing->status = tars_store_passage_range(
        summing->store, document->passage_first, last, (size_t)document->chunk_count,
        TARS_LOAD_TEXT | TARS_LOAD_VECTORS, &summing->arena, &passages, summing->err);
    summing->sums.passages += (int64_t)passages.count;
    for (size_t i = 0; i < passages.count; i++)
        add_passage(summing, &passages.items[i]);
}

static bool add_document(void *ctx, const struct tars_store_document *document)
{
    struct summing *summing = ctx;
    const int64_t numbers[] = {
        document->language,    document->file_size,  document->created_us,
        document->modified_us, document->indexed_us, document->page_count,
        document->word_count,  document->char_count, document->chunk_count,
    };

    tars_arena_clear(&summing->arena);
    add_text(summing, document->document_id);
    add_text(summing, document->collection);
    add_text(summing, document->path);
    add_text(summing, document->external_id);
    add_text(summing, document->file_name);
    add_text(summing, document->file_type);
    add_text(summing, document->title);
    add_text(summing, document->sha256);
    add_text(summing, document->metadata_json);
    add(summing, numbers, sizeof(numbers));
    add_passages(summing, document);
    summing->sums.documents++;
    return summing->status == TARS_OK;
}

static bool add_conversation(void *ctx, const struct tars_conversation *said)
{
    struct summing *summing = ctx;

    add_text(summing, said->id);
    add_text(summing, said->client_id);
    add_int(summing, said->created_us);
    for (int64_t i = 0; i < said->message_count; i++) {
        add_text(summing, said->messages[i].id);
        add_text(summing, said->messages[i].role);
        add_text(summing, said->messages[i].content);
        add_text(summing, said->messages[i].timestamp);
        add_text(summing, said->messages[i].sources_json);
        add_text(summing, said->messages[i].metadata_json);
    }
    summing->sums.conversations++;
    summing->sums.messages += said->message_count;
    return summing->status == TARS_OK;
}

static bool count_revoked(void *ctx, const char *id, int64_t expires_us)
{
    struct tars_store_sums *sums = ctx;

    (void)id;
    (void)expires_us;
    sums->revoked++;
    return true;
}

/* Those of a file that was being taken in are not moved. */
static tars_status sum_documents(struct summing *summing, struct tars_err *err)
{
    struct tars_store_file *files = NULL;
    struct tars_arena arena;
    size_t count = 0;
    tars_status status;

    tars_arena_init(&arena, TRANSFER_ARENA_MAX);
    status = tars_store_files(summing->store, NULL, NULL, &arena, &files, &count, err);
    summing->sums.files = (int64_t)count;
    for (size_t i = 0; !status && i < count; i++) {
        const struct tars_store_document_filter filter = {.collection = files[i].collection,
                                                          .path = files[i].path};

        add_text(summing, files[i].sha256);
        add_int(summing, files[i].size);
        status = tars_store_documents(summing->store, &filter, add_document, summing, err);
        if (summing->status)
            status = summing->status;
    }
    tars_arena_release(&arena);
    return status;
}

static tars_status sum_accounts(struct summing *summing, struct tars_access *access,
                                struct tars_arena *arena, struct tars_err *err)
{
    struct tars_audit_entry *entries = NULL;
    size_t count = 0;
    tars_status status = tars_accounts_load(summing->store, arena, access, err);

    if (!status)
        status = tars_transfer_audit(summing->store, arena, &entries, &count, err);
    if (!status)
        status = tars_accounts_revoked(summing->store, count_revoked, &summing->sums, err);
    if (status)
        return status;
    summing->sums.tenants = (int64_t)access->tenant_count;
    summing->sums.accounts = (int64_t)access->account_count;
    summing->sums.keys = (int64_t)access->key_count;
    summing->sums.collections = (int64_t)access->collection_count;
    summing->sums.grants = (int64_t)access->grant_count;
    summing->sums.audit = (int64_t)count;
    return TARS_OK;
}

static tars_status sum_all(struct summing *summing, struct tars_arena *arena, struct tars_err *err)
{
    struct tars_access access = {0};
    tars_status status = sum_accounts(summing, &access, arena, err);

    if (!status)
        status = sum_documents(summing, err);
    for (size_t i = 0; !status && i < access.tenant_count; i++) {
        add_text(summing, access.tenants[i].name);
        status = tars_conversation_each(summing->store, access.tenants[i].name, add_conversation,
                                        summing, err);
        if (summing->status)
            status = summing->status;
    }
    return status ? status : tars_sha256_final_hex(summing->sha, summing->sums.sha256);
}

tars_status tars_store_sums(struct tars_store *store, struct tars_store_sums *out,
                            struct tars_err *err)
{
    struct summing summing = {.store = store, .err = err};
    struct tars_store_model model;
    struct tars_arena arena;
    tars_status status = tars_store_model(store, &model, err);

    if (status)
        return status;
    summing.dim = (size_t)model.dim;
    if (tars_sha256_new(&summing.sha))
        return tars_fail(TARS_ENOMEM, err, "no memory for a digest");
    tars_arena_init(&arena, TRANSFER_ARENA_MAX);
    tars_arena_init(&summing.arena, TRANSFER_ARENA_MAX);
    status = sum_all(&summing, &arena, err);
    tars_arena_release(&summing.arena);
    tars_arena_release(&arena);
    tars_sha256_free(summing.sha);
    if (!status)
        *out = summing.sums;
    return status;
}
