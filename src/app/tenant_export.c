/* tenant_export - everything of a tenant as lines of JSON; see tenants.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "analytics/analytics.h"
#include "app/service.h"
#include "app/tenants.h"
#include "base/codec/json_write.h"
#include "base/sys/clock.h"
#include "base/sys/file.h"
#include "store/accounts.h"
#include "store/conversations.h"
#include "text/analyzer.h"

#define LINE_BYTES_MAX ((size_t)1 << 30)
#define ARENA_BYTES    ((size_t)1 << 30)
#define FLUSH_BYTES    ((size_t)1 << 20)
#define PAGE           256 /* documents whose ids are read at a time */
#define AUDIT_PAGE     1000
#define USAGE_DAYS     4000 /* back from today */
#define US_PER_DAY     (INT64_C(86400) * 1000000)

/* A file under way. Sticky: after the first failure nothing more is written. */
struct exporting {
    const struct tars_service *service;
    const char *tenant;
    struct tars_call *call;
    int fd;
    struct tars_buf lines;
    struct tars_json json;
    struct tars_access access;
    struct tars_arena arena; /* of access */
    struct tars_arena page;  /* cleared as it goes */
    struct tars_tenant_tally tally;
    tars_status status;
    struct tars_err *err;
};

static void flush(struct exporting *out)
{
    const char *at = out->lines.ptr;
    size_t left = out->lines.len;

    while (!out->status && left > 0) {
        ssize_t n = write(out->fd, at, left);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            out->status =
                tars_fail(TARS_EIO, out->err, "cannot write the export: %s", strerror(errno));
            break;
        }
        at += n;
        left -= (size_t)n;
    }
    tars_buf_clear(&out->lines);
}

static struct tars_json *begin(struct exporting *out, const char *type)
{
    tars_json_init(&out->json, &out->lines);
    tars_json_object(&out->json, NULL);
    tars_json_text(&out->json, "type", type);
    return &out->json;
}

static void end(struct exporting *out)
{
    tars_json_end(&out->json);
    tars_buf_append_char(&out->lines, '\n');
    out->tally.lines++;
    if (!out->status && out->lines.status)
        out->status = tars_fail(out->lines.status, out->err, "no memory for the export");
    if (!out->status && tars_call_is_over(out->call))
        out->status = tars_fail(TARS_ECANCELED, out->err, "stopped");
    if (out->lines.len >= FLUSH_BYTES)
        flush(out);
}

static void write_time(struct tars_json *json, const char *key, int64_t us)
{
    char text[TARS_ISO8601_BYTES];

    if (us)
        tars_clock_iso8601(us, text);
    tars_json_text(json, key, us ? text : NULL);
}

static void write_object(struct tars_json *json, const char *key, const char *text)
{
    if (text[0]) {
        tars_json_raw(json, key, text, strlen(text));
    } else {
        tars_json_null(json, key);
    }
}

/* ------------------------------------------------------------------- people */

static bool is_ours(const struct exporting *out, const char *tenant)
{
    return strcmp(tenant, out->tenant) == 0;
}

static const struct tars_account *account_of(const struct exporting *out, int64_t id)
{
    for (size_t i = 0; i < out->access.account_count; i++) {
        if (out->access.accounts[i].id == id)
            return is_ours(out, out->access.accounts[i].tenant) ? &out->access.accounts[i] : NULL;
    }
    return NULL;
}

static const struct tars_collection *collection_of(const struct exporting *out, int64_t id)
{
    for (size_t i = 0; i < out->access.collection_count; i++) {
        if (out->access.collections[i].id == id)
            return &out->access.collections[i];
    }
    return NULL;
}

static tars_status write_tenant(struct exporting *out)
{
    for (size_t i = 0; i < out->access.tenant_count; i++) {
        const struct tars_tenant *tenant = &out->access.tenants[i];
        struct tars_json *json;

        if (!is_ours(out, tenant->name))
            continue;
        json = begin(out, "tenant");
        tars_json_text(json, "name", tenant->name);
        tars_json_text(json, "title", tenant->title);
        write_object(json, "settings", tenant->settings_json);
        tars_json_int(json, "max_documents", tenant->max_documents);
        tars_json_int(json, "max_bytes", tenant->max_bytes);
        tars_json_int(json, "max_questions_day", tenant->max_questions_day);
        tars_json_bool(json, "disabled", tenant->disabled);
        write_time(json, "created_at", tenant->created_us);
        end(out);
        return out->status;
    }
    return tars_fail(TARS_ENOTFOUND, out->err, "there is no tenant %s", out->tenant);
}

static void write_accounts(struct exporting *out)
{
    for (size_t i = 0; i < out->access.account_count; i++) {
        const struct tars_account *account = &out->access.accounts[i];
        struct tars_json *json;

        if (!is_ours(out, account->tenant))
            continue;
        json = begin(out, "account");
        tars_json_text(json, "name", account->name);
        tars_json_text(json, "kind", account->kind == TARS_ACCOUNT_USER ? "user" : "client");
        tars_json_text(json, "role", tars_role_text(account->role));
        tars_json_text(json, "external", account->external[0] ? account->external : NULL);
        tars_json_bool(json, "disabled", account->disabled);
        write_time(json, "created_at", account->created_us);
        write_time(json, "used_at", account->used_us);
        end(out);
    }
}

static void write_keys(struct exporting *out)
{
    for (size_t i = 0; i < out->access.key_count; i++) {
        const struct tars_api_key *key = &out->access.keys[i];
        const struct tars_account *account = account_of(out, key->account_id);
        struct tars_json *json;

        if (!account)
            continue;
        json = begin(out, "key");
        tars_json_text(json, "account", account->name);
        tars_json_text(json, "label", key->label);
        tars_json_text(json, "prefix", key->prefix);
        tars_json_text(json, "role", tars_role_text(key->role));
        tars_json_bool(json, "revoked", key->revoked);
        write_time(json, "created_at", key->created_us);
        write_time(json, "used_at", key->used_us);
        write_time(json, "expires_at", key->expires_us);
        end(out);
    }
}

static void write_collections(struct exporting *out)
{
    for (size_t i = 0; i < out->access.collection_count; i++) {
        const struct tars_collection *collection = &out->access.collections[i];
        struct tars_json *json;

        if (!is_ours(out, collection->tenant))
            continue;
        json = begin(out, "collection");
        tars_json_text(json, "name", collection->name);
        tars_json_text(json, "description", collection->description);
        tars_json_bool(json, "restricted", collection->restricted);
        write_time(json, "created_at", collection->created_us);
        end(out);
    }
}

static void write_grants(struct exporting *out)
{
    for (size_t i = 0; i < out->access.grant_count; i++) {
        const struct tars_grant *grant = &out->access.grants[i];
        const struct tars_account *account = account_of(out, grant->account_id);
        const struct tars_collection *collection = collection_of(out, grant->collection_id);
        struct tars_json *json;

        if (!account || !collection)
            continue;
        json = begin(out, "grant");
        tars_json_text(json, "account", account->name);
        tars_json_text(json, "collection", collection->name);
        tars_json_bool(json, "writes", grant->writes);
        end(out);
    }
}

/* ---------------------------------------------------------------- documents */

static void write_document_fields(struct tars_json *json,
                                  const struct tars_store_document *document)
{
    tars_json_text(json, "collection", tars_collection_name(document->collection));
    tars_json_text(json, "document_id", document->document_id);
    tars_json_text(json, "external_id", document->external_id[0] ? document->external_id : NULL);
    tars_json_text(json, "file_path", document->path);
    tars_json_text(json, "file_name", document->file_name);
    tars_json_text(json, "file_type", document->file_type);
    tars_json_text(json, "title", document->title);
    tars_json_text(json, "language", tars_language_name(document->language));
    tars_json_text(json, "hash", document->sha256);
    tars_json_int(json, "file_size", document->file_size);
    tars_json_int(json, "page_count", document->page_count);
    write_time(json, "created_at", document->created_us);
    write_time(json, "modified_at", document->modified_us);
    write_time(json, "indexed_at", document->indexed_us);
    write_object(json, "fields", document->metadata_json);
}

static void write_passages(struct tars_json *json, const struct tars_store_passages *passages)
{
    tars_json_array(json, "passages");
    for (size_t i = 0; i < passages->count; i++) {
        const struct tars_store_passage *passage = &passages->items[i];

        tars_json_object(json, NULL);
        tars_json_int(json, "chunk_index", passage->chunk_index);
        tars_json_text(json, "section", passage->section);
        tars_json_int(json, "page_first", passage->page_first);
        tars_json_int(json, "page_last", passage->page_last);
        tars_json_int(json, "char_start", (int64_t)passage->char_start);
        tars_json_int(json, "char_end", (int64_t)passage->char_end);
        tars_json_text_n(json, "text", passage->text, passage->text_len);
        tars_json_end(json);
    }
    tars_json_end(json);
}

static void write_document(struct exporting *out, const char *id)
{
    struct tars_store *store = out->service->store;
    struct tars_store_passages passages = {0};
    struct tars_store_document document;
    struct tars_json *json;
    tars_status status;

    tars_arena_clear(&out->page);
    status = tars_store_document(store, id, &out->page, &document, out->err);
    if (status == TARS_OK && document.chunk_count > 0) {
        status = tars_store_passage_range(
            store, document.passage_first,
            document.passage_first + (uint64_t)document.chunk_count - 1,
            (size_t)document.chunk_count, TARS_LOAD_TEXT, &out->page, &passages, out->err);
    }
    if (status == TARS_ENOTFOUND)
        return; /* forgotten since it was listed */
    if (status != TARS_OK) {
        out->status = status;
        return;
    }
    json = begin(out, "document");
    write_document_fields(json, &document);
    write_passages(json, &passages);
    end(out);
    out->tally.documents++;
    out->tally.chunks += (int64_t)passages.count;
}

struct ids {
    char items[PAGE][TARS_DOCUMENT_ID_BYTES];
    size_t count;
};

static bool note_id(void *ctx, const struct tars_store_document *document)
{
    struct ids *ids = ctx;

    memcpy(ids->items[ids->count++], document->document_id, TARS_DOCUMENT_ID_BYTES);
    return ids->count < PAGE;
}

static void write_documents(struct exporting *out, const char *key)
{
    struct tars_store_document_filter filter = {.collection = key, .limit = PAGE};
    struct ids ids;

    do {
        ids.count = 0;
        out->status = tars_store_documents(out->service->store, &filter, note_id, &ids, out->err);
        for (size_t i = 0; !out->status && i < ids.count; i++)
            write_document(out, ids.items[i]);
        filter.offset += ids.count;
    } while (!out->status && ids.count == PAGE);
}

/* ------------------------------------------------------------ what was said */

static bool write_conversation(void *ctx, const struct tars_conversation *conversation)
{
    struct exporting *out = ctx;
    struct tars_json *json = begin(out, "conversation");

    tars_json_text(json, "id", conversation->id);
    tars_json_text(json, "client_id", conversation->client_id);
    tars_json_text(json, "title", conversation->title);
    write_time(json, "created_at", conversation->created_us);
    write_time(json, "updated_at", conversation->updated_us);
    write_object(json, "metadata", conversation->metadata_json);
    tars_json_array(json, "messages");
    for (int64_t i = 0; i < conversation->message_count; i++) {
        const struct tars_message *message = &conversation->messages[i];

        tars_json_object(json, NULL);
        tars_json_text(json, "id", message->id);
        tars_json_text(json, "role", message->role);
        tars_json_text(json, "content", message->content);
        tars_json_text(json, "timestamp", message->timestamp);
        write_object(json, "sources", message->sources_json);
        write_object(json, "metadata", message->metadata_json);
        tars_json_end(json);
    }
    tars_json_end(json);
    end(out);
    out->tally.conversations++;
    return !out->status;
}

static void write_conversations(struct exporting *out)
{
    tars_status status =
        tars_conversation_each(out->service->store, out->tenant, write_conversation, out, out->err);

    if (!out->status)
        out->status = status;
}

static void write_usage(struct exporting *out)
{
    int64_t today = tars_clock_wall_us() / US_PER_DAY;

    for (int64_t day = today - USAGE_DAYS; !out->status && day <= today; day++) {
        int64_t questions = 0;
        struct tars_json *json;

        out->status =
            tars_accounts_usage(out->service->store, out->tenant, day, &questions, out->err);
        if (out->status || questions == 0)
            continue;
        json = begin(out, "usage");
        write_time(json, "day", day * US_PER_DAY);
        tars_json_int(json, "questions", questions);
        end(out);
    }
}

static void write_audit(struct exporting *out)
{
    struct tars_audit_filter filter = {.tenant = out->tenant, .limit = AUDIT_PAGE};
    struct tars_audit_entry *entries = NULL;
    size_t count = 0;

    do {
        tars_arena_clear(&out->page);
        out->status = tars_accounts_audit_list(out->service->store, &filter, &out->page, &entries,
                                               &count, out->err);
        for (size_t i = 0; !out->status && i < count; i++) {
            struct tars_json *json = begin(out, "audit");

            write_time(json, "time", entries[i].time_us);
            tars_json_text(json, "actor", entries[i].actor);
            tars_json_text(json, "action", entries[i].action);
            tars_json_text(json, "object", entries[i].object);
            tars_json_text(json, "address", entries[i].address);
            tars_json_text(json, "request_id", entries[i].request_id);
            write_object(json, "detail", entries[i].detail);
            tars_json_bool(json, "success", entries[i].success);
            end(out);
            filter.before_id = entries[i].id;
        }
    } while (!out->status && count == AUDIT_PAGE);
}

/* ------------------------------------------------------------------ in order */

static void write_all(struct exporting *out)
{
    out->status = write_tenant(out);
    if (out->status)
        return;
    write_accounts(out);
    write_keys(out);
    write_collections(out);
    write_grants(out);
    for (size_t i = 0; !out->status && i < out->access.collection_count; i++) {
        if (is_ours(out, out->access.collections[i].tenant))
            write_documents(out, out->access.collections[i].key);
    }
    if (!out->status)
        write_conversations(out);
    if (!out->status)
        write_usage(out);
    if (!out->status)
        write_audit(out);
    flush(out);
    if (!out->status && fsync(out->fd) != 0)
        out->status = tars_fail(TARS_EIO, out->err, "cannot write the export");
}

tars_status tars_tenant_export(void *ctx, const char *tenant, const char *path,
                               struct tars_call *call, struct tars_tenant_tally *tally,
                               struct tars_err *err)
{
    struct exporting export = {.service = ctx, .tenant = tenant, .call = call, .err = err};

    export.fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (export.fd < 0) {
        return tars_fail(errno == EEXIST ? TARS_EEXIST : TARS_EIO, err, "cannot write %s: %s", path,
                         strerror(errno));
    }
    tars_arena_init(&export.arena, ARENA_BYTES);
    tars_arena_init(&export.page, ARENA_BYTES);
    tars_buf_init(&export.lines, LINE_BYTES_MAX);
    export.status = tars_accounts_load(export.service->store, &export.arena, &export.access, err);
    if (!export.status)
        write_all(&export);
    tars_buf_release(&export.lines);
    tars_arena_release(&export.page);
    tars_arena_release(&export.arena);
    (void)close(export.fd);
    if (export.status) {
        (void)unlink(path);
    } else {
        *tally = export.tally;
    }
    return export.status;
}
