/* chroma_conversations - see chroma_conversations.h for the contract. */
#include "app/chroma_conversations.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys/clock.h"
#include "store/conversations.h"

#define PAGE_ROWS  20
#define PAGE_BYTES ((size_t)256 << 20)
#define TALK_BYTES ((size_t)128 << 20)

struct import {
    const struct tars_chroma_conversations_config *config;
    struct tars_chroma_conversations_sums *sums;
    struct tars_arena arena; /* of a conversation */
};

static void tell(const struct import *w, const char *what, const char *why)
{
    if (w->config->tell)
        w->config->tell(w->config->ctx, what, why);
}

/* ----------------------------------------------------------------------- rows in */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

/* Compact, in the arena; "" for what is of another type. NULL: no memory. */
static const char *json_of(struct import *w, const json_t *object, const char *key, json_type type)
{
    const json_t *value = json_object_get(object, key);
    const char *copy;
    char *text;

    if (!value || json_typeof(value) != type)
        return "";
    text = json_dumps(value, JSON_COMPACT);
    copy = text ? tars_arena_strdup(&w->arena, text) : NULL;
    free(text);
    return copy;
}

/* EFORMAT, ETOOBIG: it is not to be taken. Texts are lent by object. */
static tars_status read_message(struct import *w, const json_t *object, struct tars_message *out)
{
    *out = (struct tars_message){.id = text_of(object, "id"),
                                 .role = text_of(object, "role"),
                                 .content = text_of(object, "content"),
                                 .timestamp = text_of(object, "timestamp"),
                                 .sources_json = json_of(w, object, "sources", JSON_ARRAY),
                                 .metadata_json = json_of(w, object, "metadata", JSON_OBJECT)};
    if (!out->sources_json || !out->metadata_json)
        return TARS_ENOMEM;
    if (!out->role[0] || !json_is_string(json_object_get(object, "content")))
        return TARS_EFORMAT;
    return tars_message_bytes(out) > TARS_CONVERSATION_MESSAGE_MAX ? TARS_ETOOBIG : TARS_OK;
}

static int64_t time_of(const json_t *object, const char *key, int64_t otherwise)
{
    int64_t time_us = 0;

    return tars_clock_parse(text_of(object, key), &time_us) ? time_us : otherwise;
}

/* The newest messages of it, as many as a conversation has. Texts are lent by root. */
static tars_status read_conversation(struct import *w, const json_t *root,
                                     struct tars_conversation *out)
{
    const json_t *messages = json_object_get(root, "messages");
    size_t total = json_array_size(messages);
    size_t n = total < TARS_CONVERSATION_MESSAGES ? total : TARS_CONVERSATION_MESSAGES;
    tars_status status = TARS_OK;

    *out = (struct tars_conversation){.id = text_of(root, "id"),
                                      .tenant = w->config->tenant,
                                      .client_id = text_of(root, "client_id"),
                                      .message_count = (int64_t)n};
    out->created_us = time_of(root, "created_at", tars_clock_wall_us());
    out->updated_us = time_of(root, "updated_at", out->created_us);
    if (!out->id[0] || strlen(out->id) > TARS_CONVERSATION_ID_MAX || !out->client_id[0] || n == 0)
        return TARS_EFORMAT;
    out->messages = tars_arena_calloc(&w->arena, n, sizeof(*out->messages));
    if (!out->messages)
        return TARS_ENOMEM;
    for (size_t i = 0; i < n && status == TARS_OK; i++)
        status = read_message(w, json_array_get(messages, total - n + i), &out->messages[i]);
    return status;
}

/* ------------------------------------------------------------------ what is here */

static bool is_same_json(const char *a, const char *b)
{
    json_t *x = json_loads(a, 0, NULL);
    json_t *y = json_loads(b, 0, NULL);
    bool is_same = (!x && !y) || json_equal(x, y);

    json_decref(x);
    json_decref(y);
    return is_same;
}

/* What they do not say the store has made up. */
static bool is_same(const struct tars_message *here, const struct tars_message *there)
{
    return strcmp(here->role, there->role) == 0 && strcmp(here->content, there->content) == 0 &&
           (!there->id[0] || strcmp(here->id, there->id) == 0) &&
           (!there->timestamp[0] || strcmp(here->timestamp, there->timestamp) == 0) &&
           is_same_json(here->sources_json, there->sources_json) &&
           is_same_json(here->metadata_json, there->metadata_json);
}

/* Messages that there begins with and here has, from the skip-th on. */
static int64_t common(const struct tars_conversation *here, int64_t skip,
                      const struct tars_conversation *there)
{
    int64_t n = 0;

    while (skip + n < here->message_count && n < there->message_count &&
           is_same(&here->messages[skip + n], &there->messages[n])) {
        n++;
    }
    return n;
}

/* How many of its messages are here, if all that is here is what it was, else -1. Who keeps only
 * the newest has forgotten the first ones since. */
static int64_t held(const struct tars_conversation *here, const struct tars_conversation *there)
{
    int64_t most = there->message_count == TARS_CONVERSATION_MESSAGES ? here->message_count - 1 : 0;

    for (int64_t skip = 0; skip <= most; skip++) {
        int64_t n = common(here, skip, there);

        if (skip + n == here->message_count)
            return n;
    }
    return -1;
}

/* Into the store, but for the first `has` messages, which are there. The first one makes the
 * conversation at its time, the others have the time at which it was last changed. */
static tars_status write_it(struct import *w, const struct tars_conversation *said, int64_t has,
                            struct tars_err *err)
{
    struct tars_store *store = w->config->store;
    int64_t count = said->message_count;
    tars_status status = TARS_OK;

    if (has == 0) {
        status = tars_conversation_append(store, said->tenant, said->client_id, said->id,
                                          said->messages, 1, true, said->created_us, err);
        has = 1;
    }
    if (status == TARS_OK && has < count) {
        status = tars_conversation_append(store, said->tenant, said->client_id, said->id,
                                          said->messages + has, (size_t)(count - has), true,
                                          said->updated_us, err);
    }
    return status;
}

static tars_status prove(struct import *w, const struct tars_conversation *said,
                         struct tars_err *err)
{
    struct tars_conversation found;
    tars_status status = tars_conversation_get(w->config->store, said->tenant, said->client_id,
                                               said->id, &w->arena, &found, err);

    if (status == TARS_OK && (found.message_count != said->message_count ||
                              common(&found, 0, said) != said->message_count)) {
        return tars_fail(TARS_EFORMAT, err, "conversation %s is not in the store as it was read",
                         said->id);
    }
    return status;
}

/* What is to be done with one that may be here: has: of its messages; -1: nothing. */
static tars_status compare(struct import *w, const struct tars_conversation *said, int64_t *has,
                           struct tars_err *err)
{
    struct tars_conversation found;
    bool is_ours;
    tars_status status = tars_conversation_get(w->config->store, said->tenant, NULL, said->id,
                                               &w->arena, &found, err);

    *has = 0;
    if (status != TARS_OK)
        return status == TARS_ENOTFOUND ? TARS_OK : status;
    is_ours = strcmp(found.client_id, said->client_id) == 0;
    if (is_ours && common(&found, 0, said) == said->message_count) {
        w->sums->unchanged++;
        *has = -1;
        return TARS_OK;
    }
    *has = is_ours ? held(&found, said) : -1;
    if (*has > 0)
        return TARS_OK;
    if (!w->config->replace) {
        w->sums->kept++;
        tell(w, said->id, "another version is here already, and stays (--replace)");
        *has = -1;
        return TARS_OK;
    }
    *has = 0;
    if (!w->config->dry_run)
        status = tars_conversation_delete(w->config->store, said->tenant, NULL, said->id, err);
    return status;
}

static tars_status take(struct import *w, const struct tars_conversation *said,
                        struct tars_err *err)
{
    int64_t has = 0;
    tars_status status = compare(w, said, &has, err);

    if (status != TARS_OK || has < 0)
        return status;
    if (!w->config->dry_run)
        status = write_it(w, said, has, err);
    if (status == TARS_OK && !w->config->dry_run)
        status = prove(w, said, err);
    if (status != TARS_OK)
        return status;
    w->sums->imported++;
    w->sums->messages += said->message_count - has;
    return TARS_OK;
}

static tars_status take_row(struct import *w, const struct tars_chroma_row *row,
                            struct tars_err *err)
{
    json_t *root = row->text ? json_loadb(row->text, row->text_len, 0, NULL) : NULL;
    struct tars_conversation said;
    tars_status status = TARS_EFORMAT;

    tars_arena_clear(&w->arena);
    if (json_is_object(root))
        status = read_conversation(w, root, &said);
    if (status == TARS_EFORMAT || status == TARS_ETOOBIG) {
        w->sums->refused++;
        tell(w, row->id, status == TARS_ETOOBIG ? "a message is too large" : "no conversation");
        status = TARS_OK;
    } else if (status == TARS_OK) {
        status = take(w, &said, err);
    }
    json_decref(root);
    return status;
}

/* -------------------------------------------------------------------------- whole */

static tars_status take_page(struct import *w, const char *id, size_t at, size_t *n,
                             struct tars_err *err)
{
    const struct tars_chroma_wish wish = {
        .limit = PAGE_ROWS, .offset = at, .include = TARS_CHROMA_TEXTS};
    struct tars_chroma_rows rows = {0};
    struct tars_arena page;
    tars_status status;

    tars_arena_init(&page, PAGE_BYTES);
    status = tars_chroma_get(w->config->chroma, id, &wish, &page, &rows, err);
    for (size_t i = 0; i < rows.count && status == TARS_OK; i++) {
        if (w->config->stop && atomic_load(w->config->stop))
            status = tars_fail(TARS_ECANCELED, err, "stopped; run it again to go on");
        if (status == TARS_OK)
            status = take_row(w, &rows.items[i], err);
    }
    *n = status == TARS_OK ? rows.count : 0;
    tars_arena_release(&page);
    return status;
}

static tars_status take_all(struct import *w, const char *id, struct tars_err *err)
{
    size_t before = 0;
    size_t after = 0;
    size_t at = 0;
    size_t n = 1;
    tars_status status = tars_chroma_count(w->config->chroma, id, &before, err);

    while (status == TARS_OK && n > 0 && at < before) {
        status = take_page(w, id, at, &n, err);
        at += n;
    }
    w->sums->rows = (int64_t)at;
    if (status == TARS_OK)
        status = tars_chroma_count(w->config->chroma, id, &after, err);
    if (status == TARS_OK && (after != before || at != before)) {
        return tars_fail(TARS_EAGAIN, err,
                         "\"%s\" was written to while it was read: stop whoever does, and run "
                         "this again",
                         w->config->name);
    }
    return status;
}

tars_status tars_chroma_conversations(const struct tars_chroma_conversations_config *config,
                                      struct tars_chroma_conversations_sums *out,
                                      struct tars_err *err)
{
    struct import w = {.config = config, .sums = out};
    struct tars_chroma_collection collection;
    struct tars_arena found;
    tars_status status;

    memset(out, 0, sizeof(*out));
    tars_arena_init(&w.arena, TALK_BYTES);
    tars_arena_init(&found, PAGE_BYTES);
    status = tars_chroma_find(config->chroma, config->name, &found, &collection, err);
    if (status == TARS_OK)
        status = take_all(&w, collection.id, err);
    tars_arena_release(&found);
    tars_arena_release(&w.arena);
    return status;
}
