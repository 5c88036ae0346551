/* store_postgres_conversations - what was said. Messages of a conversation are in the order of
 * their rows; the oldest go when there are more than TARS_CONVERSATION_MESSAGES. */
#include <string.h>

#include "base/sys/clock.h"
#include "store/store_postgres_internal.h"

#define MESSAGE_ID_BYTES 64

/* A conversation as it is found. */
struct head {
    int64_t id; /* row; 0: not there */
    struct tars_conversation conversation;
};

static void read_head(struct tars_pg_query *query, struct tars_arena *arena, struct head *head)
{
    struct tars_conversation *out = &head->conversation;

    head->id = tars_pg_int(query);
    out->id = tars_pg_word(query, arena, NULL);
    out->tenant = tars_pg_word(query, arena, NULL);
    out->client_id = tars_pg_word(query, arena, NULL);
    out->title = tars_pg_word(query, arena, NULL);
    out->metadata_json = tars_pg_word(query, arena, NULL);
    out->created_us = tars_pg_int(query);
    out->updated_us = tars_pg_int(query);
    out->message_count = tars_pg_int(query);
}

/* Row 0 when it is not there; EDENIED when it is another client's. */
static tars_status find(struct tars_pg_conn *conn, enum pgs_sql sql, const char *tenant,
                        const char *client, const char *id, struct tars_arena *arena,
                        struct head *head, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, sql);
    tars_status status;

    *head = (struct head){0};
    tars_pg_bind_word(&query, tenant);
    tars_pg_bind_word(&query, id);
    if (tars_pg_step(&query))
        read_head(&query, arena, head);
    status = tars_pg_end(&query, err);
    if (!status && head->id && client && strcmp(head->conversation.client_id, client) != 0)
        status = tars_fail(TARS_EDENIED, err, "conversation %s is another client's", id);
    return status;
}

static tars_status not_found(const char *id, struct tars_err *err)
{
    return tars_fail(TARS_ENOTFOUND, err, "there is no conversation %s", id);
}

/* ----------------------------------------------------------------- writing */

/* Where somebody else is faster, nothing happens. */
static tars_status insert(struct tars_pg_conn *conn,
                          const struct tars_conversation_addition *addition, struct tars_err *err)
{
    char title[TARS_CONVERSATION_TITLE_BYTES];
    struct tars_pg_query query = tars_pg_ask(conn, PGS_CONVERSATION_ADD);

    tars_conversation_title(addition->messages[0].content, title);
    tars_pg_bind_word(&query, addition->tenant);
    tars_pg_bind_word(&query, addition->id);
    tars_pg_bind_word(&query, addition->client);
    tars_pg_bind_word(&query, title);
    tars_pg_bind_int(&query, addition->now_us);
    return tars_pg_do(&query, err);
}

/* The row of the conversation, held; made when it is not there. */
static tars_status take(struct tars_pg_conn *conn,
                        const struct tars_conversation_addition *addition, struct tars_arena *arena,
                        struct head *head, struct tars_err *err)
{
    tars_status status = find(conn, PGS_CONVERSATION_TAKE, addition->tenant, addition->client,
                              addition->id, arena, head, err);

    if (status || head->id)
        return status;
    status = insert(conn, addition, err);
    if (!status) {
        status = find(conn, PGS_CONVERSATION_TAKE, addition->tenant, addition->client, addition->id,
                      arena, head, err);
    }
    if (!status && !head->id)
        status = tars_fail(TARS_ENOTFOUND, err, "there is no such tenant");
    return status;
}

static tars_status add_message(struct tars_pg_conn *conn, int64_t row, size_t number,
                               int64_t now_us, const struct tars_message *message,
                               struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PGS_MESSAGE_ADD);
    bool has_id = message->id && message->id[0];
    bool has_time = message->timestamp && message->timestamp[0];
    char id[MESSAGE_ID_BYTES];
    char time[TARS_ISO8601_BYTES];

    (void)snprintf(id, sizeof(id), "msg_%lld_%zu", (long long)now_us, number);
    tars_clock_iso8601(now_us, time);
    tars_pg_bind_int(&query, row);
    tars_pg_bind_word(&query, has_id ? message->id : id);
    tars_pg_bind_word(&query, message->role);
    tars_pg_bind_word(&query, message->content);
    tars_pg_bind_word(&query, has_time ? message->timestamp : time);
    tars_pg_bind_word(&query, message->sources_json);
    tars_pg_bind_word(&query, message->metadata_json);
    return tars_pg_do(&query, err);
}

static tars_status add_messages(struct tars_pg_conn *conn,
                                const struct tars_conversation_addition *addition, int64_t row,
                                struct tars_err *err)
{
    struct tars_pg_query query;
    tars_status status = TARS_OK;

    for (size_t i = 0; !status && i < addition->n; i++)
        status = add_message(conn, row, i, addition->now_us, &addition->messages[i], err);
    if (status)
        return status;
    query = tars_pg_ask(conn, PGS_MESSAGE_CUT);
    tars_pg_bind_int(&query, row);
    tars_pg_bind_int(&query, TARS_CONVERSATION_MESSAGES);
    status = tars_pg_do(&query, err);
    if (status)
        return status;
    query = tars_pg_ask(conn, PGS_CONVERSATION_UPDATE);
    tars_pg_bind_int(&query, row);
    tars_pg_bind_int(&query, addition->now_us);
    return tars_pg_do(&query, err);
}

/* Of what has waited: was the conversation deleted meanwhile? When its row is held, so that who
 * deletes it has come before, or comes after. */
static tars_status check_late(struct tars_pg_conn *conn,
                              const struct tars_conversation_addition *addition,
                              struct tars_err *err)
{
    struct tars_pg_query query;
    bool was_deleted;
    tars_status status;

    if (!addition->has_waited)
        return TARS_OK;
    query = tars_pg_ask(conn, PGS_CONVERSATION_DELETED_SINCE);
    tars_pg_bind_word(&query, addition->tenant);
    tars_pg_bind_word(&query, addition->id);
    tars_pg_bind_int(&query, addition->now_us);
    was_deleted = tars_pg_step(&query);
    status = tars_pg_end(&query, err);
    return status || !was_deleted
               ? status
               : tars_fail(TARS_ENOTFOUND, err, "its conversation was deleted meanwhile");
}

static tars_status add_all(struct tars_pg_conn *conn,
                           const struct tars_conversation_addition *addition, struct tars_err *err)
{
    struct tars_arena arena;
    struct head head;
    tars_status status;

    tars_arena_init(&arena, (size_t)1 << 30);
    status = take(conn, addition, &arena, &head, err);
    if (!status)
        status = check_late(conn, addition, err);
    if (!status)
        status = add_messages(conn, addition, head.id, err);
    tars_arena_release(&arena);
    return status;
}

static tars_status append(struct tars_store *store,
                          const struct tars_conversation_addition *addition, struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct tars_pg_conn *conn;
    tars_status status = pgs_begin(pgs, addition->is_durable, &conn, err);

    if (status)
        return status;
    return pgs_commit(pgs, conn, add_all(conn, addition, err), err);
}

static tars_status delete_one(struct tars_pg_conn *conn, const char *tenant, const char *client,
                              const char *id, struct tars_err *err)
{
    struct tars_pg_query query;
    struct tars_arena arena;
    struct head head;
    tars_status status;

    tars_arena_init(&arena, (size_t)1 << 30);
    status = find(conn, PGS_CONVERSATION_TAKE, tenant, client, id, &arena, &head, err);
    tars_arena_release(&arena);
    if (status)
        return status;
    if (!head.id)
        return not_found(id, err);
    query = tars_pg_ask(conn, PGS_CONVERSATION_DELETE);
    tars_pg_bind_int(&query, head.id);
    return tars_pg_do(&query, err);
}

static tars_status delete_conversation(struct tars_store *store, const char *tenant,
                                       const char *client, const char *id, struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct tars_pg_conn *conn;
    tars_status status = pgs_begin(pgs, true, &conn, err);

    if (status)
        return status;
    return pgs_commit(pgs, conn, delete_one(conn, tenant, client, id, err), err);
}

/* ----------------------------------------------------------------- reading */

static tars_status read_messages(struct tars_pg_conn *conn, int64_t row, size_t n,
                                 struct tars_arena *arena, struct tars_message **messages,
                                 size_t *count, struct tars_err *err)
{
    struct tars_pg_rows rows = tars_pg_ask_rows(conn, PGS_MESSAGE_LIST, arena);
    struct tars_pg_query *query = &rows.query;
    struct tars_message *out;
    tars_status status;

    tars_pg_bind_int(query, row);
    tars_pg_bind_int(query, (int64_t)n);
    while ((out = tars_pg_next_row(&rows, sizeof(*out))) != NULL) {
        out->id = tars_pg_word(query, arena, NULL);
        out->role = tars_pg_word(query, arena, NULL);
        out->content = tars_pg_word(query, arena, NULL);
        out->timestamp = tars_pg_word(query, arena, NULL);
        out->sources_json = tars_pg_word(query, arena, NULL);
        out->metadata_json = tars_pg_word(query, arena, NULL);
    }
    status = tars_pg_end(query, err);
    if (status)
        return status;
    *messages = rows.items;
    *count = rows.count;
    return TARS_OK;
}

static tars_status fill(struct tars_pg_conn *conn, struct head *head, struct tars_arena *arena,
                        struct tars_err *err)
{
    size_t count = 0;
    tars_status status = read_messages(conn, head->id, TARS_CONVERSATION_MESSAGES, arena,
                                       &head->conversation.messages, &count, err);

    head->conversation.message_count = (int64_t)count;
    return status;
}

static tars_status get(struct tars_store *store, const char *tenant, const char *client,
                       const char *id, struct tars_arena *arena, struct tars_conversation *out,
                       struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct tars_pg_conn *conn;
    struct head head;
    tars_status status = pgs_read_begin(pgs, &conn, err);

    if (status)
        return status;
    status = find(conn, PGS_CONVERSATION_GET, tenant, client, id, arena, &head, err);
    if (!status)
        status = head.id ? fill(conn, &head, arena, err) : not_found(id, err);
    pgs_read_end(pgs, conn);
    if (!status)
        *out = head.conversation;
    return status;
}

static tars_status recent(struct tars_store *store, const char *tenant, const char *client,
                          const char *id, size_t n, struct tars_arena *arena,
                          struct tars_message **messages, size_t *count, struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct tars_message *found = NULL;
    size_t found_count = 0;
    struct tars_pg_conn *conn;
    struct head head;
    tars_status status = pgs_read_begin(pgs, &conn, err);

    if (status)
        return status;
    status = find(conn, PGS_CONVERSATION_GET, tenant, client, id, arena, &head, err);
    if (!status && head.id)
        status = read_messages(conn, head.id, n, arena, &found, &found_count, err);
    pgs_read_end(pgs, conn);
    if (status)
        return status;
    *messages = found;
    *count = found_count;
    return TARS_OK;
}

/* Did the arena come to its end, and not the machine's memory? */
static bool is_full(const struct tars_arena *arena)
{
    return arena->used > arena->max / 4;
}

/* All conversations whose heads are the rows. */
static tars_status fill_rows(struct tars_pg_rows *rows, struct tars_conversation **out,
                             size_t *count, struct tars_err *err)
{
    struct tars_pg_conn *conn = rows->query.conn;
    struct tars_arena *arena = rows->arena;
    struct tars_conversation *list;
    struct head *heads;
    struct head *head;
    size_t n;
    tars_status status;

    while ((head = tars_pg_next_row(rows, sizeof(*head))) != NULL)
        read_head(&rows->query, arena, head);
    status = tars_pg_end(&rows->query, err);
    if (status)
        return status;
    heads = rows->items;
    n = rows->count;
    list = tars_arena_calloc(arena, n + 1, sizeof(*list));
    if (!list)
        return tars_fail(TARS_ENOMEM, err, "no memory for a list of conversations");
    for (size_t i = 0; !status && i < n; i++) {
        status = fill(conn, &heads[i], arena, err);
        list[i] = heads[i].conversation;
        if (status == TARS_ENOMEM && i > 0 && is_full(arena)) {
            status = TARS_OK;
            n = i;
        }
    }
    if (status)
        return status;
    *out = list;
    *count = n;
    return TARS_OK;
}

static tars_status list(struct tars_store *store, const char *tenant, const char *client,
                        size_t limit, struct tars_arena *arena, struct tars_conversation **out,
                        size_t *count, struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct tars_pg_conn *conn;
    struct tars_pg_rows rows;
    tars_status status = pgs_read_begin(pgs, &conn, err);

    if (status)
        return status;
    rows = tars_pg_ask_rows(conn, client ? PGS_CONVERSATION_LIST_CLIENT : PGS_CONVERSATION_LIST,
                            arena);
    tars_pg_bind_word(&rows.query, tenant);
    tars_pg_bind_int(&rows.query, (int64_t)limit);
    if (client)
        tars_pg_bind_word(&rows.query, client);
    status = fill_rows(&rows, out, count, err);
    pgs_read_end(pgs, conn);
    return status;
}

/* The first one after row head->id; row 0 when there is none. */
static tars_status next_head(struct tars_pg_conn *conn, const char *tenant,
                             struct tars_arena *arena, struct head *head, struct tars_err *err)
{
    struct tars_pg_query query = tars_pg_ask(conn, PGS_CONVERSATION_NEXT);

    tars_pg_bind_word(&query, tenant);
    tars_pg_bind_int(&query, head->id);
    *head = (struct head){0};
    if (tars_pg_step(&query))
        read_head(&query, arena, head);
    return tars_pg_end(&query, err);
}

static tars_status each_conversation(struct tars_store *store, const char *tenant,
                                     tars_conversation_fn *each, void *ctx, struct tars_err *err)
{
    struct pgs *pgs = pgs_of(store);
    struct tars_pg_conn *conn;
    struct tars_arena arena;
    struct head head = {0};
    tars_status status = pgs_read_begin(pgs, &conn, err);

    if (status)
        return status;
    tars_arena_init(&arena, (size_t)1 << 30);
    for (;;) {
        tars_arena_clear(&arena);
        status = next_head(conn, tenant, &arena, &head, err);
        if (status || !head.id)
            break;
        status = fill(conn, &head, &arena, err);
        if (status || !each(ctx, &head.conversation))
            break;
    }
    tars_arena_release(&arena);
    pgs_read_end(pgs, conn);
    return status;
}

static tars_status prune(struct tars_store *store, int64_t before_us, struct tars_err *err)
{
    return pgs_prune(store, PGS_CONVERSATION_DELETED_PRUNE, before_us, err);
}

static tars_status stats(struct tars_store *store, const char *tenant,
                         struct tars_conversation_stats *out, struct tars_err *err)
{
    struct tars_conversation_stats found = {0};
    struct tars_pg_query query;
    tars_status status = pgs_read_ask(
        store, tenant ? PGS_CONVERSATION_STATS_TENANT : PGS_CONVERSATION_STATS_ALL, &query, err);

    if (status)
        return status;
    if (tenant)
        tars_pg_bind_word(&query, tenant);
    if (tars_pg_step(&query)) {
        found.conversations = tars_pg_int(&query);
        found.messages = tars_pg_int(&query);
        found.oldest_us = tars_pg_int(&query);
        found.newest_us = tars_pg_int(&query);
    }
    status = pgs_read_done(store, &query, err);
    if (!status)
        *out = found;
    return status;
}

const struct tars_conversations_ops pgs_conversations_ops = {
    .append = append,
    .get = get,
    .recent = recent,
    .list = list,
    .each = each_conversation,
    .delete = delete_conversation,
    .prune = prune,
    .stats = stats,
};
