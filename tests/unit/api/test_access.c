/* Tests of access: each need against each kind of caller, in each mode; rate limits; what is read
 * from the head. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/access.h"
#include "api/api_internal.h"
#include "auth/rate_limit.h"
#include "store/store_sqlite.h"
#include "support/faults.h"
#include "support/files.h"

#define ROWS(a)  (sizeof(a) / sizeof((a)[0]))
#define SECRET   "0123456789abcdef0123456789abcdef"
#define PASSWORD "a long enough secret"

/* -------------------------------------------------------------------------------------- the bench
 */

struct bench {
    char dir[FILES_PATH_MAX];
    struct tars_store *store;
    struct tars_auth *auth;
    struct tars_arena arena;
    const char *tokens[TARS_ROLE_ADMIN + 1]; /* by role; NONE: of another tenant's admin */
};

static struct bench bench;

static void add(const char *tenant, const char *name, enum tars_role role)
{
    const struct tars_account_wanted wanted = {
        .tenant = tenant, .name = name, .role = role, .secret = PASSWORD};
    struct tars_principal owner;
    const struct tars_actor actor = {&owner, "", ""};
    struct tars_account_made made;
    const struct tars_sign_in request = {.client_id = name, .secret = PASSWORD, .tenant = tenant};
    struct tars_token_pair pair;

    assert_int_equal(tars_auth_owner(bench.auth, &bench.arena, &owner), TARS_OK);
    assert_int_equal(
        tars_directory_account_add(bench.auth, &actor, &wanted, &bench.arena, &made, NULL),
        TARS_OK);
    assert_int_equal(tars_auth_sign_in(bench.auth, &request, &bench.arena, &pair, NULL), TARS_OK);
    bench.tokens[tenant ? TARS_ROLE_NONE : role] = pair.access;
}

static void open_mode(enum tars_auth_mode mode)
{
    const struct tars_auth_config config = {.store = bench.store,
                                            .mode = mode,
                                            .secret = SECRET,
                                            .password_memory_kib = 64,
                                            .password_passes = 1};

    tars_auth_free(bench.auth);
    bench.auth = NULL;
    assert_int_equal(tars_auth_new(&config, &bench.auth, NULL), TARS_OK);
}

static int set_up(void **state)
{
    const struct tars_store_sqlite_config store = {.dir = bench.dir, .readers = 1};
    const struct tars_tenant other = {.name = "acme", .title = "", .settings_json = ""};

    (void)state;
    files_make_dir(bench.dir);
    tars_arena_init(&bench.arena, (size_t)8 << 20);
    assert_int_equal(tars_store_sqlite_open(&store, &bench.store, NULL), TARS_OK);
    assert_int_equal(tars_accounts_tenant_add(bench.store, &other, NULL), TARS_OK);
    open_mode(TARS_AUTH_SECRET);
    add(NULL, "reader", TARS_ROLE_READER);
    add(NULL, "writer", TARS_ROLE_WRITER);
    add(NULL, "admin", TARS_ROLE_ADMIN);
    add("acme", "boss", TARS_ROLE_ADMIN);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tars_auth_free(bench.auth);
    tars_store_close(bench.store);
    tars_arena_release(&bench.arena);
    files_remove_dir(bench.dir);
    return 0;
}

/* The status of a refusal, 0 when the request goes on. */
struct answer {
    int status;
    char body[1024];
};

static void keep_reply(void *ctx, int status, const struct tars_http_header *headers, size_t count,
                       const char *ptr, size_t len)
{
    struct answer *answer = ctx;

    (void)headers;
    (void)count;
    answer->status = status;
    (void)snprintf(answer->body, sizeof(answer->body), "%.*s", (int)len, ptr);
}

static const struct tars_reply_ops ops = {.send = keep_reply};

static struct answer decide(enum tars_route_need need, const char *header, const char *query,
                            bool is_owner, struct tars_rate_limit *limiter)
{
    struct tars_api *api = tars_arena_calloc(&bench.arena, 1, sizeof(*api));
    const struct tars_route route = {.path = "/x", .need = need};
    const struct tars_http_header headers[] = {
        {tars_span_of("Authorization"), tars_span_of(header ? header : "")}};
    const struct tars_http_request request = {.headers = headers, .header_count = header ? 1 : 0};
    struct answer answer = {0};
    struct tars_exchange ex = {.api = api,
                               .route = &route,
                               .query = tars_span_of(query ? query : ""),
                               .address = "192.0.2.1",
                               .is_owner = is_owner,
                               .ops = &ops,
                               .ops_ctx = &answer};

    assert_non_null(api);
    api->config.auth = bench.auth;
    api->config.rate_limit = limiter;
    assert_int_equal(tars_tally_new(&api->tally), TARS_OK);
    tars_exchange_init(&ex, &bench.arena);
    tars_access_read(&ex, &request);
    switch (tars_access_decide(&ex, true)) {
    case TARS_ACCESS_GO:
        assert_int_equal(answer.status, 0);
        assert_ptr_equal(ex.call.visible, &ex.caller.visible);
        assert_ptr_equal(ex.call.client_id, ex.caller.client_id);
        tars_buf_release(&ex.out);
        break;
    case TARS_ACCESS_ANSWERED:
        assert_true(answer.status >= 400);
        break;
    case TARS_ACCESS_WAIT:
        fail();
    }
    tars_tally_free(api->tally);
    return answer;
}

static const char *bearer(const char *token)
{
    return tars_arena_printf(&bench.arena, "Bearer %s", token);
}

/* ------------------------------------------------------------------------------------- the matrix
 */

enum { NOBODY, BAD, READER, WRITER, ADMIN, OTHER, OWNER, CALLERS };

/* By need and caller; 0: goes on. */
static const struct {
    const char *name;
    enum tars_auth_mode mode;
    enum tars_route_need need;
    int expected[CALLERS];
} rows[] = {
    {"public", TARS_AUTH_SECRET, TARS_ROUTE_PUBLIC, {0, 0, 0, 0, 0, 0, 0}},
    {"ask", TARS_AUTH_SECRET, TARS_ROUTE_ASK, {403, 401, 0, 0, 0, 0, 0}},
    {"ask in mode open", TARS_AUTH_OPEN, TARS_ROUTE_ASK, {0, 401, 0, 0, 0, 0, 0}},
    {"reader", TARS_AUTH_SECRET, TARS_ROUTE_READER, {403, 401, 0, 0, 0, 0, 0}},
    {"reader in mode open", TARS_AUTH_OPEN, TARS_ROUTE_READER, {403, 401, 0, 0, 0, 0, 0}},
    {"writer", TARS_AUTH_SECRET, TARS_ROUTE_WRITER, {403, 401, 403, 0, 0, 0, 0}},
    {"admin", TARS_AUTH_SECRET, TARS_ROUTE_ADMIN, {403, 401, 403, 403, 0, 0, 0}},
    {"system", TARS_AUTH_SECRET, TARS_ROUTE_SYSTEM, {403, 401, 403, 403, 0, 403, 0}},
};

static const char *token_of(int caller)
{
    static const enum tars_role roles[CALLERS] = {[READER] = TARS_ROLE_READER,
                                                  [WRITER] = TARS_ROLE_WRITER,
                                                  [ADMIN] = TARS_ROLE_ADMIN,
                                                  [OTHER] = TARS_ROLE_NONE};

    if (caller == NOBODY || caller == OWNER)
        return NULL;
    return caller == BAD ? "nonsense" : bench.tokens[roles[caller]];
}

static void needs_hold(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        open_mode(rows[i].mode);
        for (int caller = 0; caller < CALLERS; caller++) {
            const char *token = token_of(caller);
            struct answer answer =
                decide(rows[i].need, token ? bearer(token) : NULL, NULL, caller == OWNER, NULL);

            if (answer.status != rows[i].expected[caller])
                fail_msg("%s, caller %d: %d %s", rows[i].name, caller, answer.status, answer.body);
        }
    }
}

/* ------------------------------------------------------------------------------------ credentials
 */

static void credentials_are_found(void **state)
{
    const char *good = bench.tokens[TARS_ROLE_READER];
    const char *query = tars_arena_printf(&bench.arena, "a=b&token=%s", good);
    const struct {
        const char *header, *query;
        int expected;
        const char *words;
    } asks[] = {
        {bearer(good), NULL, 0, ""},
        {tars_arena_printf(&bench.arena, "BEARER   %s", good), NULL, 0, ""},
        {NULL, query, 0, ""},
        {"Basic eDp5", query, 0, ""},
        {"Bearer", query, 0, ""},
        {"Bearer bad", query, 401, TARS_AUTH_INVALID},
        {bearer(good), "token=bad", 0, ""},
        {"Basic eDp5", NULL, 403, "Invalid authentication credentials"},
        {"Basic", NULL, 403, "Not authenticated"},
        {"", NULL, 403, "Not authenticated"},
        {NULL, "token=", 403, "Not authenticated"},
        {NULL, "token=%zz", 403, "Not authenticated"},
        {good, NULL, 403, "Not authenticated"},
    };

    (void)state;
    open_mode(TARS_AUTH_SECRET);
    for (size_t i = 0; i < ROWS(asks); i++) {
        struct answer answer =
            decide(TARS_ROUTE_READER, asks[i].header, asks[i].query, false, NULL);

        if (answer.status != asks[i].expected || !strstr(answer.body, asks[i].words))
            fail_msg("row %zu: %d %s", i, answer.status, answer.body);
    }
}

/* ------------------------------------------------------------------------------------------- rate
 */

/* A caller with a token has a limit of its own; bad tokens and none share the address's. */
static void limits_hold(void **state)
{
    const struct tars_rate_limit_config config = {.limit = 2};
    struct tars_rate_limit *limiter = NULL;
    const char *reader = bearer(bench.tokens[TARS_ROLE_READER]);
    const char *writer = bearer(bench.tokens[TARS_ROLE_WRITER]);

    (void)state;
    open_mode(TARS_AUTH_SECRET);
    assert_int_equal(tars_rate_limit_new(&config, &limiter), TARS_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(decide(TARS_ROUTE_READER, reader, NULL, false, limiter).status, 0);
        assert_int_equal(
            decide(TARS_ROUTE_READER, i ? "Bearer bad" : NULL, NULL, false, limiter).status,
            i ? 401 : 403);
    }
    assert_int_equal(decide(TARS_ROUTE_READER, reader, NULL, false, limiter).status, 429);
    assert_int_equal(decide(TARS_ROUTE_READER, writer, NULL, false, limiter).status, 0);
    assert_int_equal(decide(TARS_ROUTE_READER, "Bearer x", NULL, false, limiter).status, 429);
    assert_int_equal(decide(TARS_ROUTE_READER, NULL, NULL, false, limiter).status, 429);
    for (int i = 0; i < 5; i++)
        assert_int_equal(decide(TARS_ROUTE_SYSTEM, NULL, NULL, true, limiter).status, 0);
    tars_rate_limit_free(limiter);
}

/* ------------------------------------------------------------------------------------------ memory
 */

static const char *fault_header;
static struct tars_api fault_api;

/* It goes on, or is refused with a whole answer; never anything between. */
static void decide_once(void *ctx)
{
    const struct tars_route route = {.path = "/x", .need = TARS_ROUTE_WRITER};
    const struct tars_http_header header = {tars_span_of("authorization"),
                                            tars_span_of(fault_header)};
    const struct tars_http_request request = {.headers = &header, .header_count = 1};
    struct answer answer = {0};
    struct tars_exchange ex = {.api = &fault_api,
                               .route = &route,
                               .address = "192.0.2.1",
                               .ops = &ops,
                               .ops_ctx = &answer};
    struct tars_arena arena;

    (void)ctx;
    tars_arena_init(&arena, (size_t)1 << 20);
    tars_exchange_init(&ex, &arena);
    tars_access_read(&ex, &request);
    if (tars_access_decide(&ex, true) == TARS_ACCESS_GO) {
        assert_int_equal(answer.status, 0);
        assert_int_equal(ex.caller.role, TARS_ROLE_WRITER);
        tars_buf_release(&ex.out);
    } else {
        assert_true(answer.status >= 400);
    }
    tars_arena_release(&arena);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    open_mode(TARS_AUTH_SECRET);
    fault_api.config.auth = bench.auth;
    assert_int_equal(tars_tally_new(&fault_api.tally), TARS_OK);
    fault_header = bearer(bench.tokens[TARS_ROLE_WRITER]);
    assert_true(faults_each(decide_once, NULL) > 0);
    fault_header = bearer(bench.tokens[TARS_ROLE_READER]);
    assert_true(faults_each(decide_once, NULL) > 0);
    fault_header = "Bearer bad";
    assert_true(faults_each(decide_once, NULL) > 0);
    tars_tally_free(fault_api.tally);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(needs_hold),
        cmocka_unit_test(credentials_are_found),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(each_allocation_may_fail),
    };

    return _cmocka_run_group_tests("api/access", tests, ROWS(tests), set_up, tear_down);
}
