/* directory: who may change what, what is refused with which words, and what stays behind. */
#include "world.h"

#include <stdlib.h>

#include "auth/directory.h"
#include "support/faults.h"

#define SECRET "correct horse battery"

static struct world world;
static struct tars_principal owner;
static struct tars_actor as_owner;

static int set_up(void **state)
{
    (void)state;
    world_open(&world);
    world_sign_in_mode(&world, TARS_AUTH_SECRET);
    assert_int_equal(tars_auth_owner(world.auth, &world.arena, &owner), TARS_OK);
    as_owner = (struct tars_actor){.principal = &owner, .address = ""};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    world_close(&world);
    return 0;
}

static tars_status add(const struct tars_actor *actor, const char *tenant, const char *name,
                       enum tars_role role, const char *secret, struct tars_err *err)
{
    const struct tars_account_wanted wanted = {
        .tenant = tenant, .name = name, .role = role, .secret = secret};
    struct tars_account_made made;

    return tars_directory_account_add(world.auth, actor, &wanted, &world.arena, &made, err);
}

static void add_tenant(const char *name)
{
    const struct tars_tenant tenant = {.name = name};

    assert_int_equal(tars_directory_tenant_add(world.auth, &as_owner, &tenant, NULL), TARS_OK);
}

/* Somebody who has signed in. */
static struct tars_actor person(const char *tenant, const char *name, enum tars_role role)
{
    struct tars_principal *who = tars_arena_calloc(&world.arena, 1, sizeof(*who));
    struct tars_token_pair pair;
    const char *why;

    assert_int_equal(add(&as_owner, tenant, name, role, SECRET, NULL), TARS_OK);
    assert_int_equal(world_token(&world, tenant, name, SECRET, &pair), TARS_OK);
    assert_int_equal(world_check(&world, pair.access, who, &why), TARS_OK);
    return (struct tars_actor){.principal = who, .address = "192.0.2.7", .request_id = "r7"};
}

static const struct tars_audit_entry *last_entry(void)
{
    const struct tars_audit_filter filter = {.limit = 1};
    struct tars_audit_entry *entries;
    size_t count;

    assert_int_equal(
        tars_accounts_audit_list(world.store, &filter, &world.arena, &entries, &count, NULL),
        TARS_OK);
    assert_int_equal(count, 1);
    return entries;
}

/* -------------------------------------------------------------------- accounts */

static void test_accounts(void **state)
{
    static const struct {
        const char *name, *secret;
        tars_status status;
        const char *words;
    } rows[] = {
        {"ann", SECRET, TARS_OK, NULL},
        {"ann", SECRET, TARS_EEXIST, "already"},
        {"", SECRET, TARS_EINVAL, "needs a name"},
        {NULL, SECRET, TARS_EINVAL, "needs a name"},
        {" bob", SECRET, TARS_EINVAL, "space"},
        {"bob ", SECRET, TARS_EINVAL, "space"},
        {"b\nob", SECRET, TARS_EINVAL, "control"},
        {"owner", SECRET, TARS_EINVAL, "meaning"},
        {"anonymous", SECRET, TARS_EINVAL, "meaning"},
        {"bob", "eleven char", TARS_EINVAL, "12 characters"},
        {"bob",
         "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4"
         "\xc3\xa4\xc3\xa4",
         TARS_OK, NULL},
        {"carl", NULL, TARS_OK, NULL},
        {"jane@example.org", SECRET, TARS_OK, NULL},
    };
    struct tars_account_info *list;
    size_t count;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_err err = {.text = ""};
        tars_status status =
            add(&as_owner, NULL, rows[i].name, TARS_ROLE_WRITER, rows[i].secret, &err);

        if (status != rows[i].status || (rows[i].words && !strstr(err.text, rows[i].words)))
            fail_msg("row %zu: %s: %s", i, tars_status_text(status), err.text);
    }
    assert_int_equal(
        tars_directory_accounts(world.auth, &as_owner, NULL, &world.arena, &list, &count, NULL),
        TARS_OK);
    assert_int_equal(count, 4);
    assert_string_equal(list[0].account.name, "ann");
    assert_string_equal(list[0].account.secret_hash, "");
    assert_true(list[0].has_secret);
    assert_false(list[2].has_secret);
    assert_int_equal(list[0].account.role, TARS_ROLE_WRITER);
}

static void test_made_secret(void **state)
{
    struct tars_account_wanted wanted = {
        .name = "robot", .kind = TARS_ACCOUNT_CLIENT, .make_secret = true};
    const struct tars_account_change change = {.make_secret = true};
    struct tars_account_made first;
    struct tars_account_made second;
    struct tars_token_pair pair;

    (void)state;
    assert_int_equal(
        tars_directory_account_add(world.auth, &as_owner, &wanted, &world.arena, &first, NULL),
        TARS_OK);
    assert_int_equal(strlen(first.secret), 32);
    assert_int_equal(world_token(&world, NULL, "robot", first.secret, &pair), TARS_OK);
    assert_int_equal(tars_directory_account_set(world.auth, &as_owner, NULL, "robot", &change,
                                                &world.arena, &second, NULL),
                     TARS_OK);
    assert_string_not_equal(first.secret, second.secret);
    assert_int_equal(second.id, first.id);
    assert_int_equal(world_token(&world, NULL, "robot", first.secret, &pair), TARS_EDENIED);
    assert_int_equal(world_token(&world, NULL, "robot", second.secret, &pair), TARS_OK);
}

static void test_last_admin(void **state)
{
    const bool yes = true;
    const struct tars_account_change demote = {.role = TARS_ROLE_READER};
    const struct tars_account_change disable = {.disabled = &yes};
    const struct tars_account_change promote = {.role = TARS_ROLE_ADMIN};
    struct tars_account_made made;
    struct tars_actor boss;
    struct tars_err err = {.text = ""};

    (void)state;
    add_tenant("acme");
    boss = person("acme", "boss", TARS_ROLE_ADMIN);
    assert_int_equal(add(&boss, NULL, "ann", TARS_ROLE_READER, SECRET, NULL), TARS_OK);
    assert_int_equal(tars_directory_account_remove(world.auth, &boss, NULL, "boss", &err),
                     TARS_ECONFLICT);
    assert_non_null(strstr(err.text, "last admin"));
    assert_int_equal(tars_directory_account_set(world.auth, &boss, NULL, "boss", &demote,
                                                &world.arena, &made, NULL),
                     TARS_ECONFLICT);
    assert_int_equal(tars_directory_account_set(world.auth, &boss, NULL, "boss", &disable,
                                                &world.arena, &made, NULL),
                     TARS_ECONFLICT);
    assert_int_equal(tars_directory_account_set(world.auth, &boss, NULL, "ann", &promote,
                                                &world.arena, &made, NULL),
                     TARS_OK);
    assert_int_equal(tars_directory_account_set(world.auth, &boss, NULL, "boss", &demote,
                                                &world.arena, &made, NULL),
                     TARS_OK);
    /* From outside it may be done. */
    assert_int_equal(tars_directory_account_remove(world.auth, &as_owner, "acme", "ann", NULL),
                     TARS_OK);
}

/* Everything that a person of one kind tries on things of tenant acme. */
static tars_status try_all(const struct tars_actor *actor, size_t what)
{
    const bool yes = true;
    const int64_t ten = 10;
    const struct tars_tenant tenant = {.name = "other"};
    const struct tars_tenant_change title = {.title = "Acme"};
    const struct tars_tenant_change quota = {.max_documents = &ten};
    const struct tars_account_wanted wanted = {.tenant = "acme", .name = "new", .secret = SECRET};
    const struct tars_account_change change = {.role = TARS_ROLE_WRITER};
    const struct tars_key_wanted key = {.tenant = "acme", .account = "ann"};
    const struct tars_collection_change restrict_it = {.restricted = &yes};
    const struct tars_grant_info grant = {.account = "ann", .collection = "law"};
    struct tars_collection collection = {.tenant = "acme", .name = "law"};
    struct tars_account_made made;
    struct tars_key_made made_key;
    struct tars_account_info *accounts;
    struct tars_auth *auth = world.auth;
    size_t count;

    switch (what) {
    case 0:
        return tars_directory_tenant_add(auth, actor, &tenant, NULL);
    case 1:
        return tars_directory_tenant_set(auth, actor, "acme", &title, NULL);
    case 2:
        return tars_directory_tenant_set(auth, actor, "acme", &quota, NULL);
    case 3:
        return tars_directory_accounts(auth, actor, "acme", &world.arena, &accounts, &count, NULL);
    case 4:
        return tars_directory_account_add(auth, actor, &wanted, &world.arena, &made, NULL);
    case 5:
        return tars_directory_account_set(auth, actor, "acme", "new", &change, &world.arena, &made,
                                          NULL);
    case 6:
        return tars_directory_key_add(auth, actor, &key, &world.arena, &made_key, NULL);
    case 7:
        return tars_directory_collection_add(auth, actor, &collection, NULL);
    case 8:
        return tars_directory_collection_set(auth, actor, "acme", "law", &restrict_it, NULL);
    case 9:
        return tars_directory_grant(auth, actor, "acme", &grant, NULL);
    case 10:
        return tars_directory_ungrant(auth, actor, "acme", "ann", "law", NULL);
    case 11:
        return tars_directory_collection_remove(auth, actor, "acme", "law", NULL);
    case 12:
        return tars_directory_account_remove(auth, actor, "acme", "new", NULL);
    default:
        return tars_directory_tenant_remove(auth, actor, "other", NULL);
    }
}

static void test_rights(void **state)
{
    enum { OK = TARS_OK, NO = TARS_EDENIED, HIDDEN = TARS_ENOTFOUND };
    static const struct {
        const char *what;
        int owner, system, admin, writer, other;
    } rows[] = {
        {"add a tenant", OK, OK, NO, NO, NO},
        {"title of a tenant", OK, OK, OK, NO, HIDDEN},
        {"quota of a tenant", OK, OK, NO, NO, HIDDEN},
        {"list accounts", OK, OK, OK, OK, HIDDEN},
        {"add an account", OK, OK, OK, NO, HIDDEN},
        {"change an account", OK, OK, OK, NO, HIDDEN},
        {"key for another", OK, OK, OK, NO, HIDDEN},
        {"add a collection", OK, OK, OK, NO, HIDDEN},
        {"restrict a collection", OK, OK, OK, NO, HIDDEN},
        {"grant", OK, OK, OK, NO, HIDDEN},
        {"ungrant", OK, OK, OK, NO, HIDDEN},
        {"remove a collection", OK, OK, OK, NO, HIDDEN},
        {"remove an account", OK, OK, OK, NO, HIDDEN},
        {"remove a tenant", OK, OK, NO, NO, NO},
    };
    struct tars_actor actors[5];

    (void)state;
    add_tenant("acme");
    add_tenant("globex");
    assert_int_equal(add(&as_owner, "acme", "ann", TARS_ROLE_READER, SECRET, NULL), TARS_OK);
    actors[0] = as_owner;
    actors[1] = person(NULL, "root", TARS_ROLE_ADMIN);
    actors[2] = person("acme", "boss", TARS_ROLE_ADMIN);
    actors[3] = person("acme", "will", TARS_ROLE_WRITER);
    actors[4] = person("globex", "hank", TARS_ROLE_ADMIN);
    for (size_t who = 0; who < 5; who++) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            const int expected[] = {rows[i].owner, rows[i].system, rows[i].admin, rows[i].writer,
                                    rows[i].other};
            tars_status status = try_all(&actors[who], i);

            if ((int)status != expected[who])
                fail_msg("%s, actor %zu: %s", rows[i].what, who, tars_status_text(status));
        }
    }
}

/* One who may not see the others sees themselves. */
static void test_own(void **state)
{
    struct tars_actor ann = person(NULL, "ann", TARS_ROLE_READER);
    const struct tars_key_wanted wanted = {.label = "laptop"};
    const struct tars_key_wanted for_bob = {.account = "bob"};
    struct tars_account_info *accounts;
    struct tars_key_info *keys;
    struct tars_key_made key;
    struct tars_key_made bobs;
    struct tars_principal by_key;
    struct tars_actor robot = {.principal = &by_key};
    const char *why;
    size_t count;

    (void)state;
    assert_int_equal(add(&as_owner, NULL, "bob", TARS_ROLE_READER, SECRET, NULL), TARS_OK);
    assert_int_equal(
        tars_directory_accounts(world.auth, &ann, NULL, &world.arena, &accounts, &count, NULL),
        TARS_OK);
    assert_int_equal(count, 1);
    assert_int_equal(tars_directory_key_add(world.auth, &ann, &wanted, &world.arena, &key, NULL),
                     TARS_OK);
    assert_int_equal(strlen(key.key), 8 + 43);
    assert_int_equal(tars_directory_key_add(world.auth, &ann, &for_bob, &world.arena, &bobs, NULL),
                     TARS_EDENIED);
    assert_int_equal(
        tars_directory_key_add(world.auth, &as_owner, &for_bob, &world.arena, &bobs, NULL),
        TARS_OK);
    assert_int_equal(
        tars_directory_keys(world.auth, &ann, NULL, NULL, &world.arena, &keys, &count, NULL),
        TARS_OK);
    assert_int_equal(count, 1);
    assert_string_equal(keys[0].account, "ann");
    assert_string_equal(keys[0].key.hash, "");
    assert_string_equal(keys[0].key.label, "laptop");
    assert_memory_equal(keys[0].key.prefix, key.key, 14);
    assert_int_equal(
        tars_directory_keys(world.auth, &as_owner, NULL, NULL, &world.arena, &keys, &count, NULL),
        TARS_OK);
    assert_int_equal(count, 2);
    assert_string_equal(keys[0].account, "bob");

    /* A key makes no keys and changes no secret. */
    assert_int_equal(world_check(&world, key.key, &by_key, &why), TARS_OK);
    assert_int_equal(tars_directory_key_add(world.auth, &robot, &wanted, &world.arena, &bobs, NULL),
                     TARS_EDENIED);
    assert_int_equal(
        tars_directory_own_secret(world.auth, &robot, SECRET, "another long secret", NULL),
        TARS_EDENIED);

    assert_int_equal(tars_directory_key_revoke(world.auth, &ann, bobs.id, NULL), TARS_ENOTFOUND);
    assert_int_equal(tars_directory_key_revoke(world.auth, &ann, 999, NULL), TARS_ENOTFOUND);
    assert_int_equal(tars_directory_key_revoke(world.auth, &ann, key.id, NULL), TARS_OK);
    assert_int_equal(world_check(&world, key.key, &by_key, &why), TARS_EDENIED);
    assert_string_equal(why, TARS_AUTH_REVOKED);
}

static void test_own_secret(void **state)
{
    struct tars_actor ann = person(NULL, "ann", TARS_ROLE_READER);
    struct tars_token_pair pair;

    (void)state;
    assert_int_equal(
        tars_directory_own_secret(world.auth, &ann, "wrong", "another long secret", NULL),
        TARS_EDENIED);
    assert_int_equal(tars_directory_own_secret(world.auth, &ann, SECRET, "short", NULL),
                     TARS_EINVAL);
    assert_int_equal(
        tars_directory_own_secret(world.auth, &ann, SECRET, "another long secret", NULL), TARS_OK);
    assert_int_equal(world_token(&world, NULL, "ann", SECRET, &pair), TARS_EDENIED);
    assert_int_equal(world_token(&world, NULL, "ann", "another long secret", &pair), TARS_OK);
    /* What was signed in goes on. */
    for (int i = 0; i < 10; i++) {
        assert_int_equal(
            tars_directory_own_secret(world.auth, &ann, "guess", "another long secret", NULL),
            i < 9 ? TARS_EDENIED : TARS_EAGAIN);
    }
}

static void test_keys_wanted(void **state)
{
    char label[300];
    struct tars_key_wanted wanted = {.account = "ann", .expires_us = WORLD_START};
    struct tars_key_made made;

    (void)state;
    assert_int_equal(add(&as_owner, NULL, "ann", TARS_ROLE_READER, NULL, NULL), TARS_OK);
    assert_int_equal(
        tars_directory_key_add(world.auth, &as_owner, &wanted, &world.arena, &made, NULL),
        TARS_EINVAL);
    wanted.expires_us = WORLD_START + 1;
    assert_int_equal(
        tars_directory_key_add(world.auth, &as_owner, &wanted, &world.arena, &made, NULL), TARS_OK);
    memset(label, 'x', sizeof(label) - 1);
    label[sizeof(label) - 1] = '\0';
    wanted.label = label;
    assert_int_equal(
        tars_directory_key_add(world.auth, &as_owner, &wanted, &world.arena, &made, NULL),
        TARS_EINVAL);
    wanted = (struct tars_key_wanted){.account = "nobody"};
    assert_int_equal(
        tars_directory_key_add(world.auth, &as_owner, &wanted, &world.arena, &made, NULL),
        TARS_ENOTFOUND);
    /* The owner has no account. */
    wanted.account = NULL;
    assert_int_equal(
        tars_directory_key_add(world.auth, &as_owner, &wanted, &world.arena, &made, NULL),
        TARS_EDENIED);
}

/* ------------------------------------------------------------------ collections */

static void test_collections(void **state)
{
    static const struct {
        const char *name;
        tars_status status;
    } rows[] = {
        {"hr", TARS_OK},
        {"hr", TARS_EEXIST},
        {"HR", TARS_EINVAL},
        {"a/b", TARS_EINVAL},
        {"", TARS_EINVAL},
        {NULL, TARS_EINVAL},
        {"default", TARS_EEXIST},
        {"2025-q1_x", TARS_OK},
        {TARS_COLLECTION, TARS_EINVAL},
        {"ha\xc3\xa4", TARS_EINVAL},
    };
    struct tars_actor ann = person(NULL, "ann", TARS_ROLE_READER);
    struct tars_collection *list;
    size_t count;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_collection collection = {.name = rows[i].name, .restricted = true};

        if (tars_directory_collection_add(world.auth, &as_owner, &collection, NULL) !=
            rows[i].status)
            fail_msg("row %zu", i);
    }
    assert_int_equal(
        tars_directory_collections(world.auth, &as_owner, NULL, &world.arena, &list, &count, NULL),
        TARS_OK);
    assert_int_equal(count, 3);
    assert_string_equal(list[2].name, "hr");
    assert_string_equal(list[2].key, "hr");
    assert_int_equal(
        tars_directory_collections(world.auth, &ann, NULL, &world.arena, &list, &count, NULL),
        TARS_OK);
    assert_int_equal(count, 1);
}

static void test_grants(void **state)
{
    struct tars_actor ann = person(NULL, "ann", TARS_ROLE_READER);
    const struct tars_grant_info grant = {.account = "ann", .collection = "hr", .writes = true};
    const struct tars_grant_info nobody = {.account = "nobody", .collection = "hr"};
    struct tars_collection hr = {.name = "hr", .restricted = true};
    struct tars_collection law = {.name = "law", .restricted = true};
    struct tars_grant_info *grants;
    size_t count;

    (void)state;
    assert_int_equal(tars_directory_collection_add(world.auth, &as_owner, &hr, NULL), TARS_OK);
    assert_int_equal(tars_directory_collection_add(world.auth, &as_owner, &law, NULL), TARS_OK);
    assert_int_equal(tars_directory_grant(world.auth, &as_owner, NULL, &grant, NULL), TARS_OK);
    assert_int_equal(tars_directory_grant(world.auth, &as_owner, NULL, &nobody, NULL),
                     TARS_ENOTFOUND);
    assert_int_equal(tars_directory_grants(world.auth, &ann, NULL, NULL, NULL, &world.arena,
                                           &grants, &count, NULL),
                     TARS_OK);
    assert_int_equal(count, 1);
    assert_string_equal(grants[0].collection, "hr");
    assert_true(grants[0].writes);
    assert_int_equal(tars_directory_grants(world.auth, &as_owner, NULL, NULL, "law", &world.arena,
                                           &grants, &count, NULL),
                     TARS_OK);
    assert_int_equal(count, 0);
    assert_int_equal(tars_directory_ungrant(world.auth, &as_owner, NULL, "ann", "law", NULL),
                     TARS_ENOTFOUND);
    assert_int_equal(tars_directory_ungrant(world.auth, &as_owner, NULL, "ann", "hr", NULL),
                     TARS_OK);
    assert_int_equal(tars_directory_collection_remove(world.auth, &as_owner, NULL, "default", NULL),
                     TARS_ECONFLICT);
    assert_int_equal(tars_directory_collection_remove(world.auth, &as_owner, NULL, "hr", NULL),
                     TARS_OK);
    assert_int_equal(tars_directory_collection_remove(world.auth, &as_owner, NULL, "hr", NULL),
                     TARS_ENOTFOUND);
}

/* ---------------------------------------------------------------------- tenants */

static void test_tenants(void **state)
{
    static const struct {
        const char *name, *title, *settings;
        int64_t limit;
        tars_status status;
    } rows[] = {
        {"acme", "Acme", "{\"a\":1}", 5, TARS_OK},
        {"acme", "", "", 0, TARS_EEXIST},
        {"default", "", "", 0, TARS_EEXIST},
        {"Acme", "", "", 0, TARS_EINVAL},
        {"", "", "", 0, TARS_EINVAL},
        {NULL, "", "", 0, TARS_EINVAL},
        {"b", "", "[]", 0, TARS_EINVAL},
        {"b", "", "{\"a\":1,\"a\":2}", 0, TARS_EINVAL},
        {"b", "", "{\"roots\":\"/srv\"}", 0, TARS_EINVAL},
        {"b", "", "{\"roots\":[\"/srv\",\"srv\"]}", 0, TARS_EINVAL},
        {"b", "", "{\"roots\":[1]}", 0, TARS_EINVAL},
        {"c", "", "{\"roots\":[\"/srv\",\"/mnt/x\"]}", 0, TARS_OK},
        {"b", "", "", -1, TARS_EINVAL},
        {"b", "line\nbreak", "", 0, TARS_EINVAL},
    };
    const bool yes = true;
    const struct tars_tenant_change disable = {.disabled = &yes};
    const struct tars_tenant_change rename = {.title = "Acme Ltd"};
    const struct tars_tenant_change roots = {.settings_json = "{\"roots\":[\"/\"]}"};
    struct tars_actor boss;
    struct tars_tenant *list;
    size_t count;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct tars_tenant tenant = {.name = rows[i].name,
                                           .title = rows[i].title,
                                           .settings_json = rows[i].settings,
                                           .max_documents = rows[i].limit};
        struct tars_err err = {.text = ""};

        if (tars_directory_tenant_add(world.auth, &as_owner, &tenant, &err) != rows[i].status)
            fail_msg("row %zu: %s", i, err.text);
    }
    assert_int_equal(
        tars_directory_tenants(world.auth, &as_owner, &world.arena, &list, &count, NULL), TARS_OK);
    assert_int_equal(count, 3);
    assert_string_equal(list[0].name, "acme");
    assert_int_equal(list[0].max_documents, 5);
    boss = person("acme", "boss", TARS_ROLE_ADMIN);
    assert_int_equal(tars_directory_tenant_set(world.auth, &boss, "acme", &rename, NULL), TARS_OK);
    assert_int_equal(tars_directory_tenant_set(world.auth, &boss, "acme", &roots, NULL),
                     TARS_EDENIED);
    assert_int_equal(tars_directory_tenant_set(world.auth, &as_owner, "default", &disable, NULL),
                     TARS_ECONFLICT);
    assert_int_equal(tars_directory_tenant_set(world.auth, &as_owner, "acme", &disable, NULL),
                     TARS_OK);
    assert_int_equal(tars_directory_tenant_remove(world.auth, &as_owner, "default", NULL),
                     TARS_ECONFLICT);
    assert_int_equal(tars_directory_tenant_remove(world.auth, &as_owner, "acme", NULL), TARS_OK);
    assert_int_equal(tars_directory_tenant_remove(world.auth, &as_owner, "acme", NULL),
                     TARS_ENOTFOUND);
}

static void test_audit(void **state)
{
    struct tars_actor ann = person(NULL, "ann", TARS_ROLE_READER);
    struct tars_actor boss;
    const struct tars_audit_filter all = {.limit = 0};
    const struct tars_audit_filter other = {.tenant = "default", .limit = 5000};
    struct tars_audit_entry *entries;
    const struct tars_audit_entry *entry;
    size_t count;

    (void)state;
    add_tenant("acme");
    boss = person("acme", "boss", TARS_ROLE_ADMIN);
    assert_int_equal(add(&ann, NULL, "eve", TARS_ROLE_ADMIN, SECRET, NULL), TARS_EDENIED);
    entry = last_entry();
    assert_string_equal(entry->action, "account-added");
    assert_string_equal(entry->actor, "ann");
    assert_string_equal(entry->object, "eve");
    assert_string_equal(entry->address, "192.0.2.7");
    assert_string_equal(entry->request_id, "r7");
    assert_false(entry->success);
    assert_int_equal(add(&boss, NULL, "eve", TARS_ROLE_WRITER, SECRET, NULL), TARS_OK);
    entry = last_entry();
    assert_string_equal(entry->tenant, "acme");
    assert_true(entry->success);
    assert_string_equal(entry->detail, "{\"role\":\"writer\"}");
    assert_null(strstr(entry->detail, SECRET));

    assert_int_equal(
        tars_directory_audit(world.auth, &ann, &all, &world.arena, &entries, &count, NULL),
        TARS_EDENIED);
    assert_int_equal(
        tars_directory_audit(world.auth, &boss, &other, &world.arena, &entries, &count, NULL),
        TARS_OK);
    for (size_t i = 0; i < count; i++)
        assert_string_equal(entries[i].tenant, "acme");
    assert_true(count >= 2);
    assert_int_equal(
        tars_directory_audit(world.auth, &as_owner, &all, &world.arena, &entries, &count, NULL),
        TARS_OK);
    assert_true(count > 4);
    tars_directory_note(world.auth, &boss, "export", "tenant", "{\"rows\":3}", true);
    entry = last_entry();
    assert_string_equal(entry->action, "export");
    assert_string_equal(entry->tenant, "acme");
}

/* ----------------------------------------------------------------------- memory */

static bool reached; /* the allocation that was to fail was made */

static void make_things(void)
{
    const struct tars_account_wanted wanted = {.name = "eve", .make_secret = true};
    const struct tars_key_wanted key = {.account = "eve"};
    struct tars_collection collection = {.name = "hr"};
    const struct tars_grant_info grant = {.account = "eve", .collection = "hr"};
    struct tars_account_made made;
    struct tars_key_made made_key;
    struct tars_account_info *accounts;
    struct tars_key_info *keys;
    struct tars_grant_info *grants;
    struct tars_arena arena;
    size_t count;
    tars_status status;

    tars_arena_init(&arena, (size_t)1 << 20);
    status = tars_directory_account_add(world.auth, &as_owner, &wanted, &arena, &made, NULL);
    if (status == TARS_OK)
        status = tars_directory_key_add(world.auth, &as_owner, &key, &arena, &made_key, NULL);
    if (status == TARS_OK)
        status = tars_directory_collection_add(world.auth, &as_owner, &collection, NULL);
    if (status == TARS_OK)
        status = tars_directory_grant(world.auth, &as_owner, NULL, &grant, NULL);
    if (status == TARS_OK) {
        status =
            tars_directory_accounts(world.auth, &as_owner, NULL, &arena, &accounts, &count, NULL);
    }
    if (status == TARS_OK) {
        status =
            tars_directory_keys(world.auth, &as_owner, NULL, NULL, &arena, &keys, &count, NULL);
    }
    if (status == TARS_OK) {
        status = tars_directory_grants(world.auth, &as_owner, NULL, NULL, NULL, &arena, &grants,
                                       &count, NULL);
    }
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    tars_arena_release(&arena);
    /* What was written before memory ran out is written: take it away again, after a reload. */
    reached = faults_happened();
    faults_fail_after(-1);
    assert_int_equal(tars_auth_reload(world.auth, NULL), TARS_OK);
    status = tars_directory_account_remove(world.auth, &as_owner, NULL, "eve", NULL);
    assert_true(status == TARS_OK || status == TARS_ENOTFOUND);
    status = tars_directory_collection_remove(world.auth, &as_owner, NULL, "hr", NULL);
    assert_true(status == TARS_OK || status == TARS_ENOTFOUND);
}

static void test_memory(void **state)
{
    (void)state;
    make_things();
    reached = true;
    for (int i = 0; reached; i++) {
        faults_fail_after(i);
        make_things();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_accounts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_made_secret, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_last_admin, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rights, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_own_secret, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keys_wanted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_collections, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_grants, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_tenants, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_audit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
