/* transfer_sums - what a store holds, in numbers and in a digest that does not depend on the
 * numbers that the store itself gives. */
#include <stdlib.h>
#include <string.h>

#include "base/crypto/digest.h"
#include "store/conversations.h"
#include "store/transfer_internal.h"

struct summing {
    struct tars_store *store;
    struct tars_store_sums sums;
    struct tars_sha256 *sha;             /* of all, or of the row under way */
    struct tars_sha256 *all;             /* where a row is under way */
    char (*rows)[TARS_SHA256_HEX_BYTES]; /* (row_count,) digests, in row_arena */
    size_t row_count, row_cap;
    struct tars_arena arena;     /* of one document */
    struct tars_arena row_arena; /* of accounts and rows */
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

/* ------------------------------------------------------------------- rights */

/* Rows that no number puts into an order which both stores have: each has a digest of its own, and
 * these are added sorted. */
static void begin_row(struct summing *summing)
{
    summing->all = summing->sha;
    summing->sha = NULL;
    if (!summing->status && tars_sha256_new(&summing->sha))
        summing->status = tars_fail(TARS_ENOMEM, summing->err, "no memory for a digest");
}

static void end_row(struct summing *summing)
{
    void *rows = summing->rows;

    if (!summing->status && tars_arena_grow(&summing->row_arena, &rows, &summing->row_cap,
                                            summing->row_count + 1, sizeof(*summing->rows)))
        summing->status = tars_fail(TARS_ENOMEM, summing->err, "no memory for digests");
    if (!summing->status) {
        summing->rows = rows;
        summing->status = tars_sha256_final_hex(summing->sha, summing->rows[summing->row_count++]);
    }
    tars_sha256_free(summing->sha);
    summing->sha = summing->all;
    summing->all = NULL;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void add_rows(struct summing *summing)
{
    if (summing->row_count)
        qsort(summing->rows, summing->row_count, sizeof(*summing->rows), by_text);
    for (size_t i = 0; i < summing->row_count; i++)
        add_text(summing, summing->rows[i]);
    add_int(summing, (int64_t)summing->row_count);
    summing->row_count = 0;
}

/* What there is from the start has the time at which its store was made. */
static int64_t made_us(const char *name, int64_t created_us)
{
    return strcmp(name, TARS_TENANT) == 0 ? 0 : created_us;
}

static void add_tenants(struct summing *summing, const struct tars_access *access)
{
    for (size_t i = 0; i < access->tenant_count; i++) {
        const struct tars_tenant *tenant = &access->tenants[i];

        begin_row(summing);
        add_text(summing, tenant->name);
        add_text(summing, tenant->title);
        add_text(summing, tenant->settings_json);
        add_int(summing, tenant->max_documents);
        add_int(summing, tenant->max_bytes);
        add_int(summing, tenant->max_questions_day);
        add_int(summing, made_us(tenant->name, tenant->created_us));
        add_int(summing, tenant->disabled);
        end_row(summing);
    }
    add_rows(summing);
}

static void add_collections(struct summing *summing, const struct tars_access *access)
{
    for (size_t i = 0; i < access->collection_count; i++) {
        const struct tars_collection *collection = &access->collections[i];

        begin_row(summing);
        add_text(summing, collection->tenant);
        add_text(summing, collection->name);
        add_text(summing, collection->key);
        add_text(summing, collection->description);
        add_int(summing, made_us(collection->name, collection->created_us));
        add_int(summing, collection->restricted);
        end_row(summing);
    }
    add_rows(summing);
}

static void add_accounts(struct summing *summing, const struct tars_access *access)
{
    for (size_t i = 0; i < access->account_count; i++) {
        const struct tars_account *account = &access->accounts[i];

        begin_row(summing);
        add_text(summing, account->tenant);
        add_text(summing, account->name);
        add_text(summing, account->secret_hash);
        add_text(summing, account->external);
        add_int(summing, account->created_us);
        add_int(summing, account->tokens_from_us);
        add_int(summing, account->kind);
        add_int(summing, account->role);
        add_int(summing, account->disabled);
        end_row(summing);
    }
    add_rows(summing);
}

static void add_account_of(struct summing *summing, const struct tars_access *access, int64_t id)
{
    for (size_t i = 0; i < access->account_count; i++) {
        if (access->accounts[i].id == id) {
            add_text(summing, access->accounts[i].tenant);
            add_text(summing, access->accounts[i].name);
        }
    }
}

static void add_keys(struct summing *summing, const struct tars_access *access)
{
    for (size_t i = 0; i < access->key_count; i++) {
        const struct tars_api_key *key = &access->keys[i];

        begin_row(summing);
        add_account_of(summing, access, key->account_id);
        add_text(summing, key->label);
        add_text(summing, key->prefix);
        add_text(summing, key->hash);
        add_int(summing, key->created_us);
        add_int(summing, key->expires_us);
        add_int(summing, key->role);
        add_int(summing, key->revoked);
        end_row(summing);
    }
    add_rows(summing);
}

static void add_grants(struct summing *summing, const struct tars_access *access)
{
    for (size_t i = 0; i < access->grant_count; i++) {
        const struct tars_grant *grant = &access->grants[i];

        begin_row(summing);
        add_account_of(summing, access, grant->account_id);
        for (size_t k = 0; k < access->collection_count; k++) {
            if (access->collections[k].id == grant->collection_id)
                add_text(summing, access->collections[k].key);
        }
        add_int(summing, grant->writes);
        end_row(summing);
    }
    add_rows(summing);
}

static bool add_revoked(void *ctx, const char *id, int64_t expires_us)
{
    struct summing *summing = ctx;

    begin_row(summing);
    add_text(summing, id);
    add_int(summing, expires_us);
    end_row(summing);
    summing->sums.revoked++;
    return summing->status == TARS_OK;
}

static void add_audit(struct summing *summing, const struct tars_audit_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        add_int(summing, entries[i].time_us);
        add_text(summing, entries[i].tenant);
        add_text(summing, entries[i].actor);
        add_text(summing, entries[i].action);
        add_text(summing, entries[i].object);
        add_text(summing, entries[i].address);
        add_text(summing, entries[i].request_id);
        add_text(summing, entries[i].detail);
        add_int(summing, entries[i].success);
    }
}

/* ---------------------------------------------------------------- documents */

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
    add_int(summing, tars_transfer_changed_us(said));
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

        add_text(summing, files[i].collection);
        add_text(summing, files[i].path);
        add_text(summing, files[i].sha256);
        add_int(summing, files[i].size);
        add_int(summing, files[i].modified_us);
        add_int(summing, files[i].indexed_us);
        status = tars_store_documents(summing->store, &filter, add_document, summing, err);
        if (summing->status)
            status = summing->status;
    }
    tars_arena_release(&arena);
    return status;
}

static tars_status sum_accounts(struct summing *summing, struct tars_access *access,
                                struct tars_err *err)
{
    struct tars_audit_entry *entries = NULL;
    size_t count = 0;
    tars_status status = tars_accounts_load(summing->store, &summing->row_arena, access, err);

    if (!status)
        status = tars_transfer_audit(summing->store, &summing->row_arena, &entries, &count, err);
    if (!status)
        status = tars_accounts_revoked(summing->store, add_revoked, summing, err);
    if (status)
        return status;
    add_rows(summing);
    add_tenants(summing, access);
    add_collections(summing, access);
    add_accounts(summing, access);
    add_keys(summing, access);
    add_grants(summing, access);
    add_audit(summing, entries, count);
    summing->sums.tenants = (int64_t)access->tenant_count;
    summing->sums.accounts = (int64_t)access->account_count;
    summing->sums.keys = (int64_t)access->key_count;
    summing->sums.collections = (int64_t)access->collection_count;
    summing->sums.grants = (int64_t)access->grant_count;
    summing->sums.audit = (int64_t)count;
    return summing->status;
}

/* Whose the vectors are, and whether some lack. */
static tars_status sum_model(struct summing *summing, const struct tars_store_model *model,
                             struct tars_err *err)
{
    const char *partial = "";
    tars_status status = tars_store_meta_get(summing->store, TRANSFER_PARTIAL_KEY,
                                             &summing->row_arena, &partial, err);

    if (status && status != TARS_ENOTFOUND)
        return status;
    add_text(summing, model->identity);
    add_text(summing, model->name);
    add_int(summing, model->dim);
    add_text(summing, status ? "" : partial);
    return summing->status;
}

static tars_status sum_all(struct summing *summing, const struct tars_store_model *model,
                           struct tars_err *err)
{
    struct tars_access access = {0};
    tars_status status = sum_model(summing, model, err);

    if (!status)
        status = sum_accounts(summing, &access, err);
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
    tars_status status = tars_store_model(store, &model, err);

    if (status)
        return status;
    summing.dim = (size_t)model.dim;
    if (tars_sha256_new(&summing.sha))
        return tars_fail(TARS_ENOMEM, err, "no memory for a digest");
    tars_arena_init(&summing.row_arena, TRANSFER_ARENA_MAX);
    tars_arena_init(&summing.arena, TRANSFER_ARENA_MAX);
    status = sum_all(&summing, &model, err);
    tars_arena_release(&summing.arena);
    tars_arena_release(&summing.row_arena);
    tars_sha256_free(summing.sha);
    if (!status)
        *out = summing.sums;
    return status;
}
