/* admin - see admin_internal.h for the contract. */
#include "api/admin_internal.h"

#include "api/api_internal.h"
#include "base/codec/url.h"

bool tars_admin_close_reader(struct tars_exchange *ex, struct tars_reader *reader)
{
    bool good = !tars_reader_is_bad(reader);

    if (!good)
        tars_exchange_invalid(ex, tars_reader_detail(reader));
    tars_reader_release(reader);
    return good;
}

bool tars_admin_has(const struct tars_reader *reader, const char *name)
{
    const json_t *value = json_object_get(reader->root, name);

    return value && !json_is_null(value);
}

enum tars_role tars_admin_role(struct tars_reader *reader, const char *name)
{
    const char *text = tars_reader_text(reader, name, TARS_READER_OPTIONAL);
    enum tars_role role = TARS_ROLE_NONE;

    if (text && (!tars_role_parse(text, &role) || role == TARS_ROLE_NONE))
        tars_reader_refuse(reader, name, "role is one of reader, writer, admin");
    return role;
}

const char *tars_admin_parameter(struct tars_exchange *ex, size_t i)
{
    struct tars_span text;

    if (tars_url_decode(ex->call.arena, ex->parameters[i], false, &text) == TARS_OK)
        return text.ptr;
    tars_exchange_not_found(ex, "No such object");
    return NULL;
}

const char *tars_admin_tenant(struct tars_exchange *ex)
{
    static const char nobody[] = "/"; /* no tenant can have this name */
    struct tars_span text;
    tars_status status = tars_url_query_get(ex->call.arena, ex->query, "tenant", &text);

    if (status == TARS_ENOTFOUND)
        return NULL;
    return status == TARS_OK ? text.ptr : nobody;
}

void tars_admin_refuse_value(struct tars_exchange *ex, const char *name, const char *words)
{
    struct tars_reader reader;

    tars_reader_init(&reader, ex->call.arena, tars_span_of("{}"), tars_span_of(""));
    tars_reader_refuse(&reader, name, words);
    (void)tars_admin_close_reader(ex, &reader);
}

void tars_admin_refuse_parameter(struct tars_exchange *ex, const char *name, const char *words)
{
    struct tars_reader reader;

    tars_reader_init_query(&reader, ex->call.arena, tars_span_of(""));
    tars_reader_refuse(&reader, name, words);
    (void)tars_admin_close_reader(ex, &reader);
}

void tars_admin_reply_done(struct tars_exchange *ex, const char *message)
{
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "status", "success");
    tars_json_text(&ex->json, "message", message);
    tars_exchange_send(ex, 200);
}

void tars_admin_reply_tokens(struct tars_exchange *ex, int status,
                             const struct tars_token_pair *pair)
{
    ex->is_secret = true;
    tars_exchange_json(ex);
    tars_json_text(&ex->json, "access_token", pair->access);
    tars_json_text(&ex->json, "refresh_token", pair->refresh);
    tars_json_text(&ex->json, "token_type", "bearer");
    tars_json_int(&ex->json, "expires_in", pair->expires_in);
    tars_exchange_send(ex, status);
}
