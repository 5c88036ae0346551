/* auth: who gets a token, what it is good for, and when it stops being so. */
#include "world.h"

#include <pthread.h>
#include <stdlib.h>

#include "auth/jwt.h"
#include "auth/password.h"
#include "base/crypto/digest.h"
#include "support/faults.h"

static struct tars_password *cheap;

static const char *hash_of(struct world *world, const char *secret)
{
    const char *encoded = NULL;

    assert_int_equal(tars_password_hash(cheap, tars_span_of(secret), &world->arena, &encoded),
                     TARS_OK);
    return encoded;
}

static int64_t add_account(struct world *world, const char *tenant, const char *name,
                           const char *secret, enum tars_role role)
{
    struct tars_account account = {.tenant = tenant,
                                   .name = name,
                                   .secret_hash = secret ? hash_of(world, secret) : "",
                                   .external = "",
                                   .created_us = world_now(),
                                   .kind = TARS_ACCOUNT_USER,
                                   .role = role};

    assert_int_equal(tars_accounts_add(world->store, &account, NULL), TARS_OK);
    return account.id;
}

static int64_t add_collection(struct world *world, const char *tenant, const char *name,
                              bool restricted)
{
    struct tars_collection collection = {
        .tenant = tenant, .name = name, .description = "", .restricted = restricted};

    assert_int_equal(tars_accounts_collection_add(world->store, &collection, NULL), TARS_OK);
    return collection.id;
}

static void add_tenant(struct world *world, const char *name)
{
    const struct tars_tenant tenant = {.name = name, .title = "", .settings_json = ""};

    assert_int_equal(tars_accounts_tenant_add(world->store, &tenant, NULL), TARS_OK);
}

static int set_up(void **state)
{
    static struct world world;
    const struct tars_password_config config = {.memory_kib = 64, .passes = 1};

    world_open(&world);
    assert_int_equal(tars_password_new(&config, &cheap), TARS_OK);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    tars_password_free(cheap);
    world_close(*state);
    return 0;
}

/* ------------------------------------------------------------------- mode open */

static void test_open(void **state)
{
    struct world *world = *state;
    struct tars_principal who;
    struct tars_token_pair pair;
    const char *why;

    world_sign_in_mode(world, TARS_AUTH_OPEN);
    assert_int_equal(world_token(world, NULL, "desk-1", NULL, &pair), TARS_OK);
    assert_int_equal(pair.expires_in, 86400);
    assert_int_equal(world_check(world, pair.access, &who, &why), TARS_OK);
    assert_string_equal(who.client_id, "desk-1");
    assert_string_equal(who.tenant, "default");
    assert_int_equal(who.role, TARS_ROLE_WRITER);
    assert_int_equal(who.credential, TARS_CREDENTIAL_TOKEN);
    assert_false(who.is_system);
    assert_int_equal(who.account_id, 0);
    assert_int_equal(who.expires_us, WORLD_START + 86400 * SECOND_US);
    assert_true(tars_principal_reads(&who, TARS_COLLECTION));
    assert_true(tars_principal_writes(&who, TARS_COLLECTION));
    assert_false(tars_principal_reads(&who, "elsewhere/default"));

    /* An empty name passes, a tenant that is not there does not. */
    assert_int_equal(world_token(world, NULL, "", NULL, &pair), TARS_OK);
    assert_int_equal(world_check(world, pair.access, &who, &why), TARS_OK);
    assert_int_equal(world_token(world, "nowhere", "desk-1", NULL, &pair), TARS_EDENIED);

    assert_int_equal(tars_auth_anonymous(world->auth, &world->arena, &who), TARS_OK);
    assert_string_equal(who.client_id, "anonymous");
    assert_int_equal(who.role, TARS_ROLE_READER);
    assert_true(tars_principal_reads(&who, TARS_COLLECTION));
    assert_false(tars_principal_writes(&who, TARS_COLLECTION));
}

/* Who has set a secret wants it to be asked for, in mode open too. */
static void test_open_with_secret(void **state)
{
    struct world *world = *state;
    struct tars_token_pair pair;

    add_account(world, "default", "boss", "a long enough secret", TARS_ROLE_ADMIN);
    world_sign_in_mode(world, TARS_AUTH_OPEN);
    assert_int_equal(world_token(world, NULL, "boss", NULL, &pair), TARS_EDENIED);
    assert_int_equal(world_token(world, NULL, "boss", "a long enough secret", &pair), TARS_OK);
}

static void test_open_admins(void **state)
{
    static const struct {
        const char *admins;
        const char *name;
        enum tars_role role;
        bool open_admin;
    } rows[] = {
        {NULL, "a", TARS_ROLE_WRITER, false},
        {NULL, "a", TARS_ROLE_ADMIN, true},
        {"", "a", TARS_ROLE_ADMIN, true},
        {" admin_001 ,admin_002", "a", TARS_ROLE_WRITER, true},
        {" admin_001 ,admin_002", "admin_001", TARS_ROLE_ADMIN, true},
        {" admin_001 ,admin_002,, ", "admin_002", TARS_ROLE_ADMIN, false},
        {" admin_001 ,admin_002", "", TARS_ROLE_WRITER, false},
        {" ,", "a", TARS_ROLE_ADMIN, true},
    };
    struct world *world = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_auth_config config = world_config(world, TARS_AUTH_OPEN);
        struct tars_principal who;
        struct tars_token_pair pair;
        const char *why;

        config.admins = rows[i].admins;
        config.open_admin = rows[i].open_admin;
        tars_auth_free(world->auth);
        assert_int_equal(tars_auth_new(&config, &world->auth, NULL), TARS_OK);
        assert_int_equal(world_token(world, NULL, rows[i].name, NULL, &pair), TARS_OK);
        assert_int_equal(world_check(world, pair.access, &who, &why), TARS_OK);
        if (who.role != rows[i].role || who.is_system != (rows[i].role == TARS_ROLE_ADMIN))
            fail_msg("row %zu: %s", i, tars_role_text(who.role));
    }
}

/* ----------------------------------------------------------------- mode secret */

static void test_secret(void **state)
{
    struct world *world = *state;
    struct tars_principal who;
    struct tars_token_pair pair;
    const char *why;

    add_account(world, "default", "ann", "correct horse battery", TARS_ROLE_READER);
    add_account(world, "default", "robot", NULL, TARS_ROLE_WRITER);
    world_sign_in_mode(world, TARS_AUTH_SECRET);
    assert_int_equal(world_token(world, NULL, "ann", "correct horse battery", &pair), TARS_OK);
    assert_int_equal(world_check(world, pair.access, &who, &why), TARS_OK);
    assert_int_equal(who.role, TARS_ROLE_READER);
    assert_true(who.account_id > 0);
    assert_int_equal(world_token(world, NULL, "ann", "wrong horse battery", &pair), TARS_EDENIED);
    assert_int_equal(world_token(world, NULL, "ann", "", &pair), TARS_EDENIED);
    assert_int_equal(world_token(world, NULL, "ann", NULL, &pair), TARS_EDENIED);
    assert_int_equal(world_token(world, NULL, "bob", "correct horse battery", &pair), TARS_EDENIED);
    assert_int_equal(world_token(world, NULL, "robot", "", &pair), TARS_EDENIED);
    assert_int_equal(world_token(world, NULL, "robot", NULL, &pair), TARS_EDENIED);
    assert_int_equal(world_token(world, "nowhere", "ann", "correct horse battery", &pair),
                     TARS_EDENIED);

    assert_int_equal(tars_auth_anonymous(world->auth, &world->arena, &who), TARS_OK);
    assert_int_equal(who.role, TARS_ROLE_NONE);
    assert_int_equal(who.visible.count, 0);
}

/* Rights are those of the moment of the check. */
static void test_changes_count_at_once(void **state)
{
    struct world *world = *state;
    struct tars_account account = {.role = TARS_ROLE_ADMIN, .external = ""};
    struct tars_principal who;
    struct tars_token_pair pair;
    const char *why;

    account.id = add_account(world, "default", "ann", "correct horse battery", TARS_ROLE_READER);
    account.secret_hash = hash_of(world, "correct horse battery");
    world_sign_in_mode(world, TARS_AUTH_SECRET);
    assert_int_equal(world_token(world, NULL, "ann", "correct horse battery", &pair), TARS_OK);
    assert_int_equal(tars_accounts_set(world->store, &account, NULL), TARS_OK);
    assert_int_equal(tars_auth_reload(world->auth, NULL), TARS_OK);
    assert_int_equal(world_check(world, pair.access, &who, &why), TARS_OK);
    assert_int_equal(who.role, TARS_ROLE_ADMIN);
    assert_true(who.is_system);
    account.disabled = true;
    assert_int_equal(tars_accounts_set(world->store, &account, NULL), TARS_OK);
    assert_int_equal(tars_auth_reload(world->auth, NULL), TARS_OK);
    assert_int_equal(world_check(world, pair.access, &who, &why), TARS_EDENIED);
    assert_string_equal(why, TARS_AUTH_INVALID);
    assert_int_equal(world_token(world, NULL, "ann", "correct horse battery", &pair), TARS_EDENIED);

    /* Somebody else gets the name: the old token is not theirs. */
    assert_int_equal(tars_accounts_remove(world->store, account.id, NULL), TARS_OK);
    world_pass(1);
    add_account(world, "default", "ann", "another secret, longer", TARS_ROLE_ADMIN);
    assert_int_equal(tars_auth_reload(world->auth, NULL), TARS_OK);
    assert_int_equal(world_check(world, pair.access, &who, &why), TARS_EDENIED);
    assert_int_equal(world_token(world, NULL, "ann", "another secret, longer", &pair), TARS_OK);
    assert_int_equal(world_check(world, pair.access, &who, &why), TARS_OK);
}

/* With others on the store tokens are given by what it says now, heard of or not. */
static void test_shared(void **state)
{
    struct world *world = *state;
    struct tars_account account = {.role = TARS_ROLE_READER, .external = ""};
    struct tars_auth_config config = world_config(world, TARS_AUTH_SECRET);
    struct tars_token_pair pair;

    account.id = add_account(world, "default", "ann", "correct horse battery", TARS_ROLE_READER);
    config.shared = true;
    assert_int_equal(tars_auth_new(&config, &world->auth, NULL), TARS_OK);
    assert_int_equal(world_token(world, NULL, "ann", "correct horse battery", &pair), TARS_OK);
    account.secret_hash = hash_of(world, "another secret, longer");
    assert_int_equal(tars_accounts_set(world->store, &account, NULL), TARS_OK);
    assert_int_equal(world_token(world, NULL, "ann", "correct horse battery", &pair), TARS_EDENIED);
    assert_int_equal(world_token(world, NULL, "ann", "another secret, longer", &pair), TARS_OK);
    account.disabled = true;
    assert_int_equal(tars_accounts_set(world->store, &account, NULL), TARS_OK);
    assert_int_equal(tars_auth_issue(world->auth, NULL, "ann", &world->arena, &pair, NULL),
                     TARS_EDENIED);
    assert_int_equal(world_token(world, NULL, "ann", "another secret, longer", &pair),
                     TARS_EDENIED);
}

static void test_tenants(void **state)
{
    struct world *world = *state;
    struct tars_tenant tenant = {
        .name = "acme", .title = "", .settings_json = "", .disabled = true};
    struct tars_principal who;
    struct tars_token_pair pair;
    const char *why;

    add_tenant(world, "acme");
    add_account(world, "acme", "ann", "correct horse battery", TARS_ROLE_ADMIN);
    add_collection(world, "acme", "hr", true);
    world_sign_in_mode(world, TARS_AUTH_SECRET);
    assert_int_equal(world_token(world, NULL, "ann", "correct horse battery", &pair), TARS_EDENIED);
    assert_int_equal(world_token(world, "acme", "ann", "correct horse battery", &pair), TARS_OK);
    assert_int_equal(world_check(world, pair.access, &who, &why), TARS_OK);
    assert_string_equal(who.tenant, "acme");
    assert_int_equal(who.role, TARS_ROLE_ADMIN);
    assert_false(who.is_system);
    assert_true(tars_principal_reads(&who, "acme/hr"));
    assert_true(tars_principal_reads(&who, "acme/default"));
    assert_false(tars_principal_reads(&who, TARS_COLLECTION));
    assert_string_equal(tars_principal_collection(&who, "hr", true), "acme/hr");
    assert_string_equal(tars_principal_collection(&who, NULL, false), "acme/default");
    assert_null(tars_principal_collection(&who, "nothing", false));
    assert_null(tars_principal_collection(&who, "acme/hr", false));

    assert_int_equal(tars_accounts_tenant_set(world->store, &tenant, NULL), TARS_OK);
    assert_int_equal(tars_auth_reload(world->auth, NULL), TARS_OK);
    assert_int_equal(world_check(world, pair.access, &who, &why), TARS_EDENIED);
    assert_int_equal(world_token(world, "acme", "ann", "correct horse battery", &pair),
                     TARS_EDENIED);
}

static void test_collections(void **state)
{
    static const struct {
        const char *name;
        enum tars_role role;
        bool reads_open, writes_open, reads_hr, writes_hr, reads_law, writes_law, reads_own;
    } rows[] = {
        {"reader", TARS_ROLE_READER, 1, 0, 1, 0, 1, 0, 0},
        {"writer", TARS_ROLE_WRITER, 1, 1, 1, 0, 1, 1, 0},
        {"admin", TARS_ROLE_ADMIN, 1, 1, 1, 1, 1, 1, 1},
    };
    struct world *world = *state;
    int64_t hr = add_collection(world, "default", "hr", true);
    int64_t law = add_collection(world, "default", "law", true);

    add_collection(world, "default", "own", true);
    add_collection(world, "default", "all", false);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t id =
            add_account(world, "default", rows[i].name, "correct horse battery", rows[i].role);
        const struct tars_grant grants[] = {{id, hr, false}, {id, law, true}};

        for (size_t k = 0; k < 2; k++)
            assert_int_equal(tars_accounts_grant(world->store, &grants[k], NULL), TARS_OK);
    }
    world_sign_in_mode(world, TARS_AUTH_SECRET);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_principal who;
        struct tars_token_pair pair;
        const char *why;

        assert_int_equal(world_token(world, NULL, rows[i].name, "correct horse battery", &pair),
                         TARS_OK);
        assert_int_equal(world_check(world, pair.access, &who, &why), TARS_OK);
        if (tars_principal_reads(&who, "all") != rows[i].reads_open ||
            tars_principal_writes(&who, TARS_COLLECTION) != rows[i].writes_open ||
            tars_principal_reads(&who, "hr") != rows[i].reads_hr ||
            tars_principal_writes(&who, "hr") != rows[i].writes_hr ||
            tars_principal_reads(&who, "law") != rows[i].reads_law ||
            tars_principal_writes(&who, "law") != rows[i].writes_law ||
            tars_principal_reads(&who, "own") != rows[i].reads_own)
            fail_msg("%s", rows[i].name);
        for (size_t k = 1; k < who.visible.count; k++)
            assert_true(strcmp(who.visible.keys[k - 1], who.visible.keys[k]) < 0);
    }
}

static void test_owner(void **state)
{
    struct world *world = *state;
    struct tars_principal who;

    add_tenant(world, "acme");
    world_sign_in_mode(world, TARS_AUTH_SECRET);
    assert_int_equal(tars_auth_owner(world->auth, &world->arena, &who), TARS_OK);
    assert_true(who.is_system && who.visible.all && who.writes_all);
    assert_true(tars_principal_reads(&who, "acme/anything"));
    assert_string_equal(tars_principal_collection(&who, "", true), TARS_COLLECTION);
    who.tenant = "acme";
    assert_string_equal(tars_principal_collection(&who, "default", true), "acme/default");
}

/* -------------------------------------------------------------------- API keys */

static const char *add_key(struct world *world, int64_t account_id, enum tars_role role,
                           int64_t expires_us, const char *text)
{
    char hash[TARS_SHA256_HEX_BYTES];
    struct tars_api_key key = {.account_id = account_id,
                               .label = "",
                               .prefix = "tars_sk_",
                               .hash = hash,
                               .created_us = world_now(),
                               .expires_us = expires_us,
                               .role = role};

    assert_int_equal(tars_sha256_hex(text, strlen(text), hash), TARS_OK);
    assert_int_equal(tars_accounts_key_add(world->store, &key, NULL), TARS_OK);
    return text;
}

static void test_keys(void **state)
{
    struct world *world = *state;
    int64_t ann = add_account(world, "default", "ann", NULL, TARS_ROLE_WRITER);
    const char *plain = add_key(world, ann, TARS_ROLE_NONE, 0, "tars_sk_plain");
    const char *low = add_key(world, ann, TARS_ROLE_READER, 0, "tars_sk_low");
    const char *high = add_key(world, ann, TARS_ROLE_ADMIN, 0, "tars_sk_high");
    const char *brief =
        add_key(world, ann, TARS_ROLE_NONE, WORLD_START + 10 * SECOND_US, "tars_sk_brief");
    struct tars_principal who;
    const char *why;

    world_sign_in_mode(world, TARS_AUTH_SECRET);
    assert_int_equal(world_check(world, plain, &who, &why), TARS_OK);
    assert_string_equal(who.client_id, "ann");
    assert_int_equal(who.role, TARS_ROLE_WRITER);
    assert_int_equal(who.credential, TARS_CREDENTIAL_KEY);
    assert_true(who.key_id > 0 && who.account_id == ann);
    assert_int_equal(world_check(world, low, &who, &why), TARS_OK);
    assert_int_equal(who.role, TARS_ROLE_READER);
    assert_int_equal(who.writable_count, 0);
    assert_int_equal(world_check(world, high, &who, &why), TARS_OK);
    assert_int_equal(who.role, TARS_ROLE_WRITER);
    assert_int_equal(world_check(world, brief, &who, &why), TARS_OK);
    world_pass(10);
    assert_int_equal(world_check(world, brief, &who, &why), TARS_EDENIED);
    assert_string_equal(why, TARS_AUTH_INVALID);
    assert_int_equal(world_check(world, "tars_sk_other", &who, &why), TARS_EDENIED);
    assert_int_equal(world_check(world, "tars_sk_", &who, &why), TARS_EDENIED);

    /* A key is revoked like a token. */
    assert_int_equal(world_check(world, plain, &who, &why), TARS_OK);
    assert_int_equal(tars_auth_revoke(world->auth, tars_span_of(low), &who, NULL, NULL, NULL),
                     TARS_OK);
    assert_int_equal(world_check(world, low, &who, &why), TARS_EDENIED);
    assert_string_equal(why, TARS_AUTH_REVOKED);
}

/* ----------------------------------------------------------- refresh and revoke */

static tars_status refresh(struct world *world, const char *token, struct tars_token_pair *pair,
                           const char **why)
{
    return tars_auth_refresh(world->auth, tars_span_of(token), "", "", &world->arena, pair, why,
                             NULL);
}

static void test_refresh(void **state)
{
    struct world *world = *state;
    struct tars_principal who;
    struct tars_token_pair first;
    struct tars_token_pair second;
    struct tars_jwt jwt;
    const char *why;

    world_sign_in_mode(world, TARS_AUTH_OPEN);
    assert_int_equal(world_token(world, NULL, "desk-1", NULL, &first), TARS_OK);
    /* Within the same second: no token comes twice. */
    assert_int_equal(refresh(world, first.refresh, &second, &why), TARS_OK);
    assert_string_not_equal(first.refresh, second.refresh);
    assert_string_not_equal(first.access, second.access);
    assert_int_equal(refresh(world, first.refresh, &second, &why), TARS_EDENIED);
    assert_string_equal(why, TARS_AUTH_REVOKED);
    assert_int_equal(refresh(world, second.access, &second, &why), TARS_EDENIED);
    assert_string_equal(why, TARS_AUTH_TYPE);
    assert_int_equal(refresh(world, "what", &second, &why), TARS_EDENIED);
    assert_string_equal(why, TARS_AUTH_INVALID);

    /* The old access token goes on, the new one has no device. */
    assert_int_equal(world_check(world, first.access, &who, &why), TARS_OK);
    assert_int_equal(tars_jwt_verify(tars_span_of(WORLD_SECRET), tars_span_of(second.access),
                                     world_now() / SECOND_US, &world->arena, &jwt),
                     TARS_OK);
    assert_false(jwt.has_device);
    assert_int_equal(world_check(world, second.refresh, &who, &why), TARS_EDENIED);
    assert_string_equal(why, TARS_AUTH_INVALID);
}

/* The tokens of one sign-in: two who use the same refresh token cannot both be its owner. */
static void test_reuse(void **state)
{
    struct world *world = *state;
    struct tars_token_pair first;
    struct tars_token_pair second;
    struct tars_token_pair third;
    struct tars_token_pair other;
    struct tars_principal who;
    const char *why;

    world_sign_in_mode(world, TARS_AUTH_OPEN);
    assert_int_equal(world_token(world, NULL, "desk-1", NULL, &first), TARS_OK);
    assert_int_equal(world_token(world, NULL, "desk-1", NULL, &other), TARS_OK);
    assert_int_equal(refresh(world, first.refresh, &second, &why), TARS_OK);
    world_pass(9);
    assert_int_equal(refresh(world, first.refresh, &third, &why), TARS_EDENIED);
    assert_int_equal(world_check(world, second.access, &who, &why), TARS_OK);
    assert_int_equal(refresh(world, second.refresh, &third, &why), TARS_OK);
    world_pass(60);
    assert_int_equal(refresh(world, first.refresh, &second, &why), TARS_EDENIED);
    assert_string_equal(why, TARS_AUTH_REVOKED);

    /* Also after a restart. */
    for (int i = 0; i < 2; i++) {
        assert_int_equal(world_check(world, first.access, &who, &why), TARS_EDENIED);
        assert_string_equal(why, TARS_AUTH_REVOKED);
        assert_int_equal(world_check(world, third.access, &who, &why), TARS_EDENIED);
        assert_string_equal(why, TARS_AUTH_REVOKED);
        assert_int_equal(refresh(world, third.refresh, &second, &why), TARS_EDENIED);
        assert_string_equal(why, TARS_AUTH_REVOKED);
        assert_int_equal(world_check(world, other.access, &who, &why), TARS_OK);
        world_sign_in_mode(world, TARS_AUTH_OPEN);
    }
    assert_int_equal(refresh(world, other.refresh, &second, &why), TARS_OK);
    assert_int_equal(world_check(world, second.access, &who, &why), TARS_OK);
}

static void test_revoke(void **state)
{
    struct world *world = *state;
    struct tars_principal who;
    struct tars_token_pair pair;
    const char *why;
    const char *const texts[] = {"any text", "a.b.c", ""};

    world_sign_in_mode(world, TARS_AUTH_OPEN);
    assert_int_equal(world_token(world, NULL, "desk-1", NULL, &pair), TARS_OK);
    assert_int_equal(world_check(world, pair.access, &who, &why), TARS_OK);
    assert_int_equal(
        tars_auth_revoke(world->auth, tars_span_of(pair.access), &who, NULL, NULL, NULL), TARS_OK);
    assert_int_equal(world_check(world, pair.access, &who, &why), TARS_EDENIED);
    assert_string_equal(why, TARS_AUTH_REVOKED);
    assert_int_equal(
        tars_auth_revoke(world->auth, tars_span_of(pair.refresh), &who, NULL, NULL, NULL), TARS_OK);
    assert_int_equal(refresh(world, pair.refresh, &pair, &why), TARS_EDENIED);
    assert_string_equal(why, TARS_AUTH_REVOKED);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(world_check(world, texts[i], &who, &why), TARS_EDENIED);
        assert_string_equal(why, TARS_AUTH_INVALID);
        assert_int_equal(
            tars_auth_revoke(world->auth, tars_span_of(texts[i]), &who, NULL, NULL, NULL), TARS_OK);
        assert_int_equal(world_check(world, texts[i], &who, &why), TARS_EDENIED);
        assert_string_equal(why, TARS_AUTH_REVOKED);
    }

    /* After a restart too, and forgotten once it has expired anyway. */
    world_sign_in_mode(world, TARS_AUTH_OPEN);
    assert_int_equal(world_check(world, "any text", &who, &why), TARS_EDENIED);
    assert_string_equal(why, TARS_AUTH_REVOKED);
    world_pass(86400);
    assert_int_equal(tars_auth_tend(world->auth, NULL), TARS_OK);
    assert_int_equal(world_check(world, "any text", &who, &why), TARS_EDENIED);
    assert_string_equal(why, TARS_AUTH_INVALID);
}

static void test_expiry(void **state)
{
    struct world *world = *state;
    struct tars_principal who;
    struct tars_token_pair pair;
    const char *why;

    world_sign_in_mode(world, TARS_AUTH_OPEN);
    assert_int_equal(world_token(world, NULL, "desk-1", NULL, &pair), TARS_OK);
    world_pass(86399);
    assert_int_equal(world_check(world, pair.access, &who, &why), TARS_OK);
    world_pass(1);
    assert_int_equal(world_check(world, pair.access, &who, &why), TARS_EDENIED);
    assert_string_equal(why, TARS_AUTH_INVALID);
    world_pass((int64_t)6 * 86400);
    assert_int_equal(refresh(world, pair.refresh, &pair, &why), TARS_EDENIED);
    assert_string_equal(why, TARS_AUTH_INVALID);
}

/* -------------------------------------------------------------------- throttle */

static tars_status try_from(struct world *world, const char *name, const char *secret,
                            const char *address)
{
    const struct tars_sign_in request = {.client_id = name, .secret = secret, .address = address};
    struct tars_token_pair pair;

    return tars_auth_sign_in(world->auth, &request, &world->arena, &pair, NULL);
}

static void test_throttle(void **state)
{
    struct world *world = *state;

    add_account(world, "default", "ann", "correct horse battery", TARS_ROLE_READER);
    world_sign_in_mode(world, TARS_AUTH_SECRET);
    /* What is right costs nothing. */
    for (int i = 0; i < 30; i++)
        assert_int_equal(try_from(world, "ann", "correct horse battery", "192.0.2.1"), TARS_OK);
    for (int i = 0; i < 10; i++)
        assert_int_equal(try_from(world, "ann", "wrong", "192.0.2.1"), TARS_EDENIED);
    assert_int_equal(try_from(world, "ann", "correct horse battery", "192.0.2.1"), TARS_EAGAIN);
    /* Others are not locked out, and neither is the same name elsewhere. */
    assert_int_equal(try_from(world, "ann", "correct horse battery", "192.0.2.2"), TARS_OK);
    /* Any name from one address, one name from any address. */
    for (int i = 0; i < 90; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "guess%d", i);
        assert_int_equal(try_from(world, name, "wrong", "192.0.2.1"), TARS_EDENIED);
    }
    assert_int_equal(try_from(world, "bob", "wrong", "192.0.2.1"), TARS_EAGAIN);
    for (int i = 0; i < 90; i++) {
        char address[32];

        (void)snprintf(address, sizeof(address), "198.51.100.%d", i);
        assert_int_equal(try_from(world, "ann", "wrong", address), TARS_EDENIED);
    }
    assert_int_equal(try_from(world, "ann", "correct horse battery", "192.0.2.3"), TARS_EAGAIN);
    /* Where ann has signed in before, strangers do not lock her out; who guesses there is stopped.
     */
    assert_int_equal(try_from(world, "ann", "correct horse battery", "192.0.2.2"), TARS_OK);
    for (int i = 0; i < 10; i++)
        assert_int_equal(try_from(world, "ann", "wrong", "192.0.2.2"), TARS_EDENIED);
    assert_int_equal(try_from(world, "ann", "correct horse battery", "192.0.2.2"), TARS_EAGAIN);
    world_pass(15 * 60 + 15);
    assert_int_equal(try_from(world, "ann", "correct horse battery", "192.0.2.1"), TARS_OK);
}

static void test_audit(void **state)
{
    static const char *const actions[] = {"token-revoked", "refresh", "sign-in-failed", "sign-in"};
    struct world *world = *state;
    struct tars_audit_filter filter = {.limit = 10};
    struct tars_audit_entry *entries;
    struct tars_principal who;
    struct tars_token_pair pair;
    const char *why;
    size_t count;

    add_account(world, "default", "ann", "correct horse battery", TARS_ROLE_READER);
    world_sign_in_mode(world, TARS_AUTH_SECRET);
    assert_int_equal(try_from(world, "ann", "correct horse battery", "192.0.2.1"), TARS_OK);
    assert_int_equal(try_from(world, "ann", "wrong", "192.0.2.1"), TARS_EDENIED);
    assert_int_equal(world_token(world, NULL, "ann", "correct horse battery", &pair), TARS_OK);
    assert_int_equal(world_check(world, pair.access, &who, &why), TARS_OK);
    assert_int_equal(refresh(world, pair.refresh, &pair, &why), TARS_OK);
    assert_int_equal(
        tars_auth_revoke(world->auth, tars_span_of(pair.access), &who, "192.0.2.9", "r1", NULL),
        TARS_OK);
    assert_int_equal(
        tars_accounts_audit_list(world->store, &filter, &world->arena, &entries, &count, NULL),
        TARS_OK);
    assert_int_equal(count, 5);
    assert_string_equal(entries[0].action, actions[0]);
    assert_string_equal(entries[0].actor, "ann");
    assert_string_equal(entries[0].address, "192.0.2.9");
    assert_string_equal(entries[1].action, actions[1]);
    assert_string_equal(entries[3].action, actions[2]);
    assert_false(entries[3].success);
    assert_string_equal(entries[3].object, "ann");
    assert_string_equal(entries[4].action, actions[3]);
    assert_int_equal(entries[4].time_us, WORLD_START);
}

/* --------------------------------------------------------------------- threads */

struct many {
    struct tars_auth *auth;
    const char *access, *refresh;
    atomic_int refreshed;
    atomic_bool stop;
};

static void *check_on_and_on(void *ctx)
{
    struct many *many = ctx;

    while (!atomic_load(&many->stop)) {
        struct tars_principal who;
        struct tars_arena arena;
        const char *why;

        tars_arena_init(&arena, (size_t)1 << 20);
        assert_int_equal(
            tars_auth_check(many->auth, tars_span_of(many->access), false, &arena, &who, &why),
            TARS_OK);
        assert_string_equal(who.client_id, "ann");
        tars_arena_release(&arena);
    }
    return NULL;
}

static void *refresh_once(void *ctx)
{
    struct many *many = ctx;
    struct tars_token_pair pair;
    struct tars_arena arena;
    const char *why;

    tars_arena_init(&arena, (size_t)1 << 20);
    if (tars_auth_refresh(many->auth, tars_span_of(many->refresh), "", "", &arena, &pair, &why,
                          NULL) == TARS_OK)
        atomic_fetch_add(&many->refreshed, 1);
    tars_arena_release(&arena);
    return NULL;
}

/* Rights are read anew while others ask, and of many who refresh with one token one does. */
static void test_threads(void **state)
{
    struct world *world = *state;
    struct tars_token_pair pair;
    struct many many = {.refreshed = 0};
    pthread_t askers[2];
    pthread_t refreshers[4];

    add_account(world, "default", "ann", "correct horse battery", TARS_ROLE_READER);
    world_sign_in_mode(world, TARS_AUTH_SECRET);
    assert_int_equal(world_token(world, NULL, "ann", "correct horse battery", &pair), TARS_OK);
    many.auth = world->auth;
    many.access = pair.access;
    many.refresh = pair.refresh;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&askers[i], NULL, check_on_and_on, &many), 0);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&refreshers[i], NULL, refresh_once, &many), 0);
    for (int i = 0; i < 50; i++)
        assert_int_equal(tars_auth_reload(world->auth, NULL), TARS_OK);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_join(refreshers[i], NULL), 0);
    atomic_store(&many.stop, true);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_join(askers[i], NULL), 0);
    assert_int_equal(atomic_load(&many.refreshed), 1);
}

/* ---------------------------------------------------------------------- limits */

static void test_limits(void **state)
{
    struct world *world = *state;
    struct tars_auth_config config = world_config(world, TARS_AUTH_OPEN);
    struct tars_auth *auth = NULL;
    struct tars_token_pair pair;
    struct tars_principal who;
    const char *why;
    char text[9000];

    config.secret = "short";
    assert_int_equal(tars_auth_new(&config, &auth, NULL), TARS_EINVAL);
    world_sign_in_mode(world, TARS_AUTH_OPEN);
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(world_check(world, text, &who, &why), TARS_EDENIED);
    text[256] = '\0';
    assert_int_equal(world_token(world, NULL, text, NULL, &pair), TARS_EINVAL);
    text[255] = '\0';
    assert_int_equal(world_token(world, NULL, text, NULL, &pair), TARS_OK);
    assert_int_equal(world_check(world, pair.access, &who, &why), TARS_OK);
}

static void sign_in_and_check(void *ctx)
{
    struct world *world = ctx;
    struct tars_auth_config config = world_config(world, TARS_AUTH_SECRET);
    struct tars_auth *auth = NULL;
    struct tars_token_pair pair;
    struct tars_principal who;
    struct tars_arena arena;
    const char *why = "";
    const struct tars_sign_in request = {
        .client_id = "ann", .secret = "correct horse battery", .address = "192.0.2.1"};
    tars_status status;

    tars_arena_init(&arena, (size_t)1 << 20);
    status = tars_auth_new(&config, &auth, NULL);
    if (status == TARS_OK)
        status = tars_auth_sign_in(auth, &request, &arena, &pair, NULL);
    if (status == TARS_OK)
        status = tars_auth_check(auth, tars_span_of(pair.access), true, &arena, &who, &why);
    if (status == TARS_OK) {
        status =
            tars_auth_refresh(auth, tars_span_of(pair.refresh), "", "", &arena, &pair, &why, NULL);
    }
    if (status == TARS_OK)
        status = tars_auth_revoke(auth, tars_span_of(pair.access), &who, "", "", NULL);
    if (status != TARS_OK && status != TARS_ENOMEM)
        fail_msg("%s %s", tars_status_text(status), why);
    tars_auth_free(auth);
    tars_arena_release(&arena);
}

static void test_memory(void **state)
{
    struct world *world = *state;

    add_account(world, "default", "ann", "correct horse battery", TARS_ROLE_READER);
    sign_in_and_check(world);
    assert_true(faults_each(sign_in_and_check, world) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_open_with_secret, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_open_admins, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_secret, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_changes_count_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_shared, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tenants, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_collections, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_owner, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refresh, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_reuse, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_revoke, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_expiry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_throttle, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_audit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_threads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_limits, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
