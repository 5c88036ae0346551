/* route_conversation - what clients do with the conversations that are kept for them: contract
 * 1.4. */
#include <string.h>

#include "api/access.h"
#include "api/api_internal.h"
#include "api/reader.h"
#include "base/codec/url.h"
#include "rag/history.h"
#include "rag/later.h"

#define LIST_DEFAULT 50
#define LIST_MAX     100
#define NOT_THERE    "Conversation not found"
#define NOT_YOURS    "Access denied"

/* Answer a failure of the store; failed are the contract's words for what was tried. */
static void fail(struct tars_exchange *ex, tars_status status, const struct tars_err *err,
                 const char *failed)
{
    if (status == TARS_ENOTFOUND) {
        tars_exchange_not_found(ex, NOT_THERE);
    } else if (status == TARS_EDENIED) {
        tars_exchange_fail(ex, 403, NOT_YOURS);
    } else if (status == TARS_ECANCELED || !failed) {
        tars_api_reply_status(ex, status, err);
    } else if (tars_later_may_pass(status)) {
        struct tars_err words = {{0}};

        (void)tars_fail(TARS_EUNAVAILABLE, &words, "%s: the store is away; try again in a moment",
                        failed);
        tars_api_reply_status(ex, TARS_EUNAVAILABLE, &words);
    } else {
        tars_log_call(ex->api->config.log, TARS_LOG_ERROR, "api", &ex->call, "%s: %s", failed,
                      err->text[0] ? err->text : tars_status_text(status));
        tars_exchange_fail(ex, 500, failed);
    }
}

/* ------------------------------------------------------------------ written */

static void write_json(struct tars_json *json, const char *key, const char *text)
{
    if (text && text[0]) {
        tars_json_raw(json, key, text, strlen(text));
    } else {
        tars_json_null(json, key);
    }
}

static void write_message(struct tars_json *json, const struct tars_message *message)
{
    tars_json_object(json, NULL);
    tars_json_text(json, "id", message->id);
    tars_json_text(json, "role", message->role);
    tars_json_text(json, "content", message->content);
    tars_json_text(json, "timestamp", message->timestamp);
    write_json(json, "sources", message->sources_json);
    write_json(json, "metadata", message->metadata_json);
    tars_json_end(json);
}

static void write_fields(struct tars_json *json, const struct tars_conversation *conversation)
{
    tars_json_text(json, "id", conversation->id);
    tars_json_text(json, "client_id", conversation->client_id);
    tars_json_array(json, "messages");
    for (int64_t i = 0; i < conversation->message_count; i++)
        write_message(json, &conversation->messages[i]);
    tars_json_end(json);
    tars_api_write_time(json, "created_at", conversation->created_us);
    tars_api_write_time(json, "updated_at", conversation->updated_us);
    tars_json_text(json, "title", conversation->title[0] ? conversation->title : NULL);
    write_json(json, "metadata", conversation->metadata_json);
}

/* ---------------------------------------------------------------------------------------- state */

void tars_route_conversation_health(struct tars_exchange *ex)
{
    bool well = tars_health_check(ex->api->config.health, "store", NULL) == TARS_OK;

    tars_exchange_json(ex);
    tars_json_text(&ex->json, "status", well ? "healthy" : "unhealthy");
    tars_json_bool(&ex->json, "connected", well);
    tars_json_text(&ex->json, "collection", ex->api->config.conversation_name);
    tars_exchange_send(ex, well ? 200 : 503);
}

void tars_route_conversation_stats(struct tars_exchange *ex)
{
    struct tars_conversation_stats stats = {0};
    struct tars_err err = {{0}};
    tars_status status = tars_history_stats(ex->api->config.history, &ex->call, &stats, &err);

    if (status != TARS_OK) {
        fail(ex, status, &err, NULL);
        return;
    }
    tars_exchange_json(ex);
    tars_json_int(&ex->json, "total_conversations", stats.conversations);
    tars_json_int(&ex->json, "total_messages", stats.messages);
    tars_json_double(&ex->json, "average_messages_per_conversation",
                     stats.conversations ? (double)stats.messages / (double)stats.conversations
                                         : 0);
    tars_api_write_time(&ex->json, "oldest_conversation", stats.oldest_us);
    tars_api_write_time(&ex->json, "newest_conversation", stats.newest_us);
    tars_exchange_send(ex, 200);
}

/* ----------------------------------------------------------------------------------------- read */

/* False when the reply is given. */
static bool read_limit(struct tars_exchange *ex, int64_t *limit)
{
    struct tars_reader reader;
    bool good;

    tars_reader_init_query(&reader, ex->call.arena, ex->query);
    *limit = tars_reader_int(&reader, "limit", LIST_DEFAULT, 1, LIST_MAX);
    good = !tars_reader_is_bad(&reader);
    if (!good)
        tars_exchange_invalid(ex, tars_reader_detail(&reader));
    tars_reader_release(&reader);
    return good;
}

void tars_route_conversation_list(struct tars_exchange *ex)
{
    struct tars_conversation *list = NULL;
    struct tars_err err = {{0}};
    size_t count = 0;
    int64_t limit;
    tars_status status;

    if (!read_limit(ex, &limit))
        return;
    status =
        tars_history_list(ex->api->config.history, &ex->call, (size_t)limit, &list, &count, &err);
    if (status != TARS_OK) {
        fail(ex, status, &err, NULL);
        return;
    }
    tars_exchange_json(ex);
    tars_json_array(&ex->json, "conversations");
    for (size_t i = 0; i < count; i++) {
        tars_json_object(&ex->json, NULL);
        write_fields(&ex->json, &list[i]);
        tars_json_end(&ex->json);
    }
    tars_json_end(&ex->json);
    tars_json_int(&ex->json, "total", (int64_t)count);
    tars_json_int(&ex->json, "limit", limit);
    tars_exchange_send(ex, 200);
}

/* The id in the path; NULL when it cannot be one. */
static const char *id_of(struct tars_exchange *ex)
{
    struct tars_span id;

    if (tars_url_decode(ex->call.arena, ex->parameters[0], false, &id) != TARS_OK ||
        !tars_history_id_is_good(id.ptr))
        return NULL;
    return id.ptr;
}

static void get(struct tars_exchange *ex, const char *id)
{
    struct tars_conversation conversation = {0};
    struct tars_err err = {{0}};
    tars_status status =
        tars_history_get(ex->api->config.history, &ex->call, id, &conversation, &err);

    if (status != TARS_OK) {
        fail(ex, status, &err, NULL);
        return;
    }
    tars_exchange_json(ex);
    write_fields(&ex->json, &conversation);
    tars_exchange_send(ex, 200);
}

static void forget(struct tars_exchange *ex, const char *id)
{
    struct tars_err err = {{0}};
    tars_status status = tars_history_delete(ex->api->config.history, &ex->call, id, &err);

    if (status != TARS_ENOTFOUND)
        tars_access_note(ex, "conversation-deleted", id, NULL, status == TARS_OK);
    if (status != TARS_OK) {
        fail(ex, status, &err, "Failed to delete conversation");
        return;
    }
    tars_exchange_json(ex);
    tars_json_bool(&ex->json, "success", true);
    tars_json_text(&ex->json, "conversation_id", id);
    tars_exchange_send(ex, 200);
}

void tars_route_conversation(struct tars_exchange *ex)
{
    const char *id = id_of(ex);

    if (!id) {
        tars_exchange_not_found(ex, NOT_THERE);
    } else if (ex->method == TARS_HTTP_DELETE) {
        forget(ex, id);
    } else {
        get(ex, id);
    }
}

/* ---------------------------------------------------------------------------------------- write */

static const char *read_id(struct tars_reader *reader)
{
    const char *id = tars_reader_text(reader, "conversation_id", TARS_READER_REQUIRED);

    if (id && !tars_history_id_is_good(id)) {
        tars_reader_refuse(reader, "conversation_id",
                           "conversation_id must have 1 to 255 characters");
    }
    return id;
}

static void read_message(struct tars_reader *reader, struct tars_message *message)
{
    tars_reader_enter(reader, "message");
    message->id = tars_reader_text(reader, "id", TARS_READER_REQUIRED);
    message->role = tars_reader_text(reader, "role", TARS_READER_REQUIRED);
    message->content = tars_reader_text(reader, "content", TARS_READER_REQUIRED);
    message->timestamp = tars_reader_text(reader, "timestamp", TARS_READER_REQUIRED);
    message->sources_json = tars_reader_objects(reader, "sources");
    message->metadata_json = tars_reader_object(reader, "metadata");
    tars_reader_leave(reader);
}

static bool read_body(struct tars_exchange *ex, const char **id, struct tars_message *message)
{
    struct tars_reader reader;
    bool good;

    tars_reader_init(&reader, ex->call.arena, ex->body, ex->content_type);
    *id = read_id(&reader);
    read_message(&reader, message);
    if (!tars_reader_is_bad(&reader) && tars_message_bytes(message) > TARS_CONVERSATION_MESSAGE_MAX)
        tars_reader_refuse(&reader, "message", "message is too large (max 131072 bytes)");
    good = !tars_reader_is_bad(&reader);
    if (!good)
        tars_exchange_invalid(ex, tars_reader_detail(&reader));
    tars_reader_release(&reader);
    return good;
}

void tars_route_conversation_message(struct tars_exchange *ex)
{
    struct tars_message message = {0};
    struct tars_err err = {{0}};
    const char *id;
    tars_status status;

    if (!read_body(ex, &id, &message))
        return;
    status = tars_history_append(ex->api->config.history, &ex->call, id, &message, &err);
    if (status != TARS_OK) {
        fail(ex, status, &err, "Failed to save message");
        return;
    }
    tars_exchange_json(ex);
    tars_json_bool(&ex->json, "success", true);
    tars_json_text(&ex->json, "message_id", message.id);
    tars_json_text(&ex->json, "conversation_id", id);
    tars_exchange_send(ex, 200);
}
