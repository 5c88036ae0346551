/* route_admin_ops - what an administrator does to the whole: delete all documents, have the parts
 * looked at again. */
#include <string.h>

#include "api/admin_internal.h"
#include "api/api_internal.h"
#include "api/words.h"
#include "obs/health.h"

#define CONFIRMATION "delete-all"

/* ------------------------------------------------------------------- delete */

/* False when the reply is given. */
static bool is_confirmed(struct tars_exchange *ex)
{
    struct tars_reader reader;
    const char *word;

    tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
    word = tars_reader_text(&reader, "confirm", TARS_READER_REQUIRED);
    if (word && strcmp(word, CONFIRMATION) != 0)
        tars_reader_refuse(&reader, "confirm", "confirm must be \"" CONFIRMATION "\"");
    return tars_admin_close_reader(ex, &reader);
}

/* Adds to *documents and *chunks. */
static tars_status forget_all(struct tars_exchange *ex, int64_t *documents, int64_t *chunks,
                              struct tars_err *err)
{
    const struct tars_api_config *config = &ex->api->config;
    const struct tars_actor actor = tars_access_actor(ex);
    struct tars_collection *collections = NULL;
    size_t count = 0;
    tars_status status = tars_directory_collections(config->auth, &actor, ex->caller.tenant,
                                                    ex->call.arena, &collections, &count, err);

    for (size_t i = 0; i < count && status == TARS_OK; i++) {
        int64_t more_documents = 0;
        int64_t more_chunks = 0;

        status = config->service->forget_collection(config->service_ctx, collections[i].key,
                                                    &ex->call, &more_documents, &more_chunks, err);
        *documents += more_documents;
        *chunks += more_chunks;
    }
    return status;
}

/* {"confirm":"delete-all"}: all documents of the caller's tenant, with their passages. */
void tars_route_admin_delete_all(struct tars_exchange *ex)
{
    struct tars_err err = {{0}};
    int64_t documents = 0;
    int64_t chunks = 0;
    const char *detail;
    tars_status status;

    if (!is_confirmed(ex))
        return;
    status = forget_all(ex, &documents, &chunks, &err);
    detail = tars_arena_printf(ex->call.arena, "{\"documents\":%lld,\"chunks\":%lld}",
                               (long long)documents, (long long)chunks);
    tars_access_note(ex, "documents-deleted", "all", detail, status == TARS_OK);
    if (status != TARS_OK) {
        tars_api_reply_status(ex, status, &err);
        return;
    }
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "status", "deleted");
    tars_json_int(&ex->json, "documents_deleted", documents);
    tars_json_int(&ex->json, "chunks_deleted", chunks);
    tars_exchange_send(ex, 200);
}

/* --------------------------------------------------------------- initialize */

/* The reference loads its parts here. Ours are there since the start: rights are read again, and
 * each part is asked whether it works; one that costs a feature only does not fail. */
void tars_route_rag_initialize(struct tars_exchange *ex)
{
    const struct tars_health *health = ex->api->config.health;
    struct tars_err err = {{0}};
    tars_status status = tars_auth_reload(ex->api->config.auth, &err);
    const char *part = "accounts";

    for (size_t i = 0; i < health->count && status == TARS_OK; i++) {
        if (health->parts[i].optional)
            continue;
        part = health->parts[i].name;
        status = tars_health_check(health, part, &err);
    }
    tars_access_note(ex, "initialized", NULL, NULL, status == TARS_OK);
    if (status != TARS_OK) {
        const char *words = tars_arena_printf(ex->call.arena, "Initialization failed: %s: %s", part,
                                              tars_words_of(ex->api, &ex->call, status, &err));

        ex->retry_after = "5";
        tars_exchange_fail(ex, 503, words ? words : "Initialization failed");
        return;
    }
    tars_admin_reply_done(ex, "RAG service initialized successfully");
}
