/* The contract of accounts.h, for every back end: see world.h. */
#include "world.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "store/accounts.h"
#include "store/conversations.h"
#include "support/faults.h"

/* ------------------------------------------------------------------ helpers */

static struct tars_access load(struct world *world)
{
    struct tars_access access;

    assert_int_equal(tars_accounts_load(world->store, &world->arena, &access, NULL), TARS_OK);
    return access;
}

static const struct tars_tenant *tenant_of(const struct tars_access *access, const char *name)
{
    for (size_t i = 0; i < access->tenant_count; i++) {
        if (strcmp(access->tenants[i].name, name) == 0)
            return &access->tenants[i];
    }
    return NULL;
}

static const struct tars_collection *collection_of(const struct tars_access *access,
                                                   const char *key)
{
    for (size_t i = 0; i < access->collection_count; i++) {
        if (strcmp(access->collections[i].key, key) == 0)
            return &access->collections[i];
    }
    return NULL;
}

static void add_tenant(struct world *world, const char *name)
{
    struct tars_tenant tenant = {.name = name, .title = "A title", .created_us = 7};

    assert_int_equal(tars_accounts_tenant_add(world->store, &tenant, NULL), TARS_OK);
}

static int64_t add_account(struct world *world, const char *tenant, const char *name)
{
    struct tars_account account = {
        .tenant = tenant, .name = name, .kind = TARS_ACCOUNT_USER, .role = TARS_ROLE_READER};

    assert_int_equal(tars_accounts_add(world->store, &account, NULL), TARS_OK);
    assert_true(account.id > 0);
    return account.id;
}

static int64_t add_collection(struct world *world, const char *tenant, const char *name)
{
    struct tars_collection collection = {.tenant = tenant, .name = name, .created_us = 3};

    assert_int_equal(tars_accounts_collection_add(world->store, &collection, NULL), TARS_OK);
    assert_true(collection.id > 0);
    return collection.id;
}

/* A file with one document of n passages. */
static tars_status put(struct world *world, const char *collection, const char *path, size_t n,
                       int64_t bytes, struct tars_err *err)
{
    struct tars_store_document document = {.collection = collection, .path = path, .sha256 = "x"};
    struct tars_store_file file = {.collection = collection,
                                   .path = path,
                                   .sha256 = "f00d",
                                   .size = bytes,
                                   .modified_us = 1,
                                   .indexed_us = 9};
    struct tars_store_passage passages[8] = {{.text = "text", .text_len = 4}};
    struct tars_store_put one = {.document = &document, .passages = passages, .passage_count = n};
    struct tars_store_batch batch = {.file = &file, .puts = &one, .put_count = 1, .finish = true};
    struct tars_store_changes changes;

    for (size_t i = 0; i < n; i++)
        passages[i] = passages[0];
    return tars_store_put(world->store, &batch, &world->arena, &changes, err);
}

static void put_ok(struct world *world, const char *collection, const char *path, size_t n,
                   int64_t bytes)
{
    struct tars_err err = {.text = ""};

    if (put(world, collection, path, n, bytes, &err))
        fail_msg("%s", err.text);
}

/* -------------------------------------------------------------------- names */

static void names_and_keys(void **state)
{
    static const struct {
        const char *tenant, *name, *key; /* key NULL: refused */
    } rows[] = {
        {"default", "default", "tars_documents"},
        {"default", "hr", "hr"},
        {"acme", "hr", "acme/hr"},
        {"acme", "default", "acme/default"},
        {"acme", "", NULL},
        {"", "hr", NULL},
        {"acme", "HR", NULL},
        {"acme", "h/r", NULL},
        {"acme", "h r", NULL},
        {"acme", "..", NULL},
        {"acme", "a-b_c-0123456789-0123456789-0123456789-0123456789-0123456789-01",
         "acme/a-b_c-0123456789-0123456789-0123456789-0123456789-0123456789-01"},
        {"acme", "a-b_c-0123456789-0123456789-0123456789-0123456789-0123456789-012", NULL},
    };
    enum tars_role role;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char key[TARS_COLLECTION_KEY_BYTES] = "";
        tars_status status = tars_collection_key(rows[i].tenant, rows[i].name, key);

        print_message("%s, %s\n", rows[i].tenant, rows[i].name);
        assert_int_equal(status, rows[i].key ? TARS_OK : TARS_EINVAL);
        assert_string_equal(key, rows[i].key ? rows[i].key : "");
    }
    assert_false(tars_name_is_valid(NULL));
    assert_true(tars_role_parse("writer", &role));
    assert_int_equal(role, TARS_ROLE_WRITER);
    assert_false(tars_role_parse("Writer", &role));
    assert_string_equal(tars_role_text(TARS_ROLE_ADMIN), "admin");
    assert_string_equal(tars_role_text((enum tars_role)9), "none");
}

/* ------------------------------------------------------------------ tenants */

static void the_first_tenant_is_there(void **state)
{
    struct world *world = *state;
    struct tars_access access = load(world);
    const struct tars_collection *collection = collection_of(&access, TARS_COLLECTION);

    assert_int_equal(access.tenant_count, 1);
    assert_string_equal(access.tenants[0].name, TARS_TENANT);
    assert_int_equal(access.collection_count, 1);
    assert_non_null(collection);
    assert_string_equal(collection->name, TARS_COLLECTION_DEFAULT);
    assert_string_equal(collection->tenant, TARS_TENANT);
    assert_int_equal(access.account_count, 0);
    assert_int_equal(tars_accounts_tenant_remove(world->store, TARS_TENANT, NULL), TARS_EINVAL);
}

static void tenants_come_change_and_go(void **state)
{
    struct world *world = *state;
    struct tars_tenant acme = {.name = "acme",
                               .title = "Acme",
                               .settings_json = "{}",
                               .max_documents = 5,
                               .max_bytes = 6,
                               .max_questions_day = 7,
                               .created_us = 8};
    struct tars_tenant bad = {.name = "Acme"};
    struct tars_access access;

    assert_int_equal(tars_accounts_tenant_add(world->store, &acme, NULL), TARS_OK);
    assert_int_equal(tars_accounts_tenant_add(world->store, &acme, NULL), TARS_EEXIST);
    assert_int_equal(tars_accounts_tenant_add(world->store, &bad, NULL), TARS_EINVAL);
    access = load(world);
    assert_int_equal(access.tenant_count, 2);
    assert_string_equal(tenant_of(&access, "acme")->title, "Acme");
    assert_int_equal(tenant_of(&access, "acme")->max_documents, 5);
    assert_int_equal(tenant_of(&access, "acme")->max_questions_day, 7);
    assert_int_equal(tenant_of(&access, "acme")->created_us, 8);
    assert_non_null(collection_of(&access, "acme/default"));

    acme.title = "Acme and Sons";
    acme.disabled = true;
    assert_int_equal(tars_accounts_tenant_set(world->store, &acme, NULL), TARS_OK);
    assert_int_equal(tars_accounts_tenant_set(world->store, &bad, NULL), TARS_ENOTFOUND);
    reopen(world);
    access = load(world);
    assert_true(tenant_of(&access, "acme")->disabled);
    assert_string_equal(tenant_of(&access, "acme")->title, "Acme and Sons");
    assert_int_equal(tars_accounts_tenant_remove(world->store, "acme", NULL), TARS_OK);
    assert_int_equal(tars_accounts_tenant_remove(world->store, "acme", NULL), TARS_ENOTFOUND);
    access = load(world);
    assert_null(tenant_of(&access, "acme"));
    assert_null(collection_of(&access, "acme/default"));
}

static void a_tenant_goes_with_all_that_is_its(void **state)
{
    struct world *world = *state;
    struct tars_message message = {.role = "user", .content = "hello"};
    struct tars_audit_entry entry = {.tenant = "acme", .actor = "ann", .action = "sign-in"};
    struct tars_audit_filter all = {0};
    struct tars_conversation_stats stats;
    struct tars_audit_entry *entries;
    struct tars_collection_size *sizes;
    struct tars_store_changes changes;
    struct tars_store_jobs jobs;
    struct tars_access access;
    struct tars_api_key key = {.hash = "aa"};
    struct tars_store_job job = {.kind = "ingest", .collection = "acme/hr", .path = "/secret"};
    struct tars_grant grant = {0};
    size_t n;
    int64_t questions;

    add_tenant(world, "acme");
    key.account_id = grant.account_id = add_account(world, "acme", "ann");
    grant.collection_id = add_collection(world, "acme", "hr");
    assert_int_equal(tars_accounts_key_add(world->store, &key, NULL), TARS_OK);
    assert_int_equal(tars_accounts_grant(world->store, &grant, NULL), TARS_OK);
    assert_int_equal(tars_accounts_count_usage(world->store, "acme", 3, 2, NULL), TARS_OK);
    assert_int_equal(tars_accounts_audit(world->store, &entry, NULL), TARS_OK);
    assert_int_equal(
        tars_conversation_append(world->store, "acme", "ann", "c1", &message, 1, true, 1, NULL),
        TARS_OK);
    put_ok(world, "acme/hr", "/a", 2, 10);
    assert_int_equal(tars_accounts_tenant_remove(world->store, "acme", NULL), TARS_ECONFLICT);
    assert_int_equal(
        tars_store_forget_file(world->store, "acme/hr", "/a", &world->arena, &changes, NULL),
        TARS_OK);
    assert_int_equal(tars_store_jobs_add(world->store, &job, 1, NULL), TARS_OK);
    assert_int_equal(tars_accounts_tenant_remove(world->store, "acme", NULL), TARS_ECONFLICT);
    assert_int_equal(tars_store_job_cancel(world->store, job.id, 1, NULL), TARS_OK);
    assert_int_equal(tars_accounts_tenant_remove(world->store, "acme", NULL), TARS_OK);

    access = load(world);
    assert_int_equal(access.tenant_count, 1);
    assert_int_equal(access.account_count + access.key_count + access.grant_count, 0);
    assert_int_equal(access.collection_count, 1);
    assert_int_equal(
        tars_accounts_audit_list(world->store, &all, &world->arena, &entries, &n, NULL), TARS_OK);
    assert_int_equal(n, 0);
    assert_int_equal(tars_conversation_stats(world->store, NULL, &stats, NULL), TARS_OK);
    assert_int_equal(stats.conversations + stats.messages, 0);
    assert_int_equal(tars_accounts_sizes(world->store, &world->arena, &sizes, &n, NULL), TARS_OK);
    assert_int_equal(n, 0);
    assert_int_equal(tars_store_jobs(world->store, 0, 0, 9, &world->arena, &jobs, NULL), TARS_OK);
    assert_int_equal(jobs.count, 0);
    assert_int_equal(tars_accounts_usage(world->store, "acme", 3, &questions, NULL), TARS_OK);
    assert_int_equal(questions, 0);
}

/* ----------------------------------------------------------------- accounts */

static void accounts_come_change_and_go(void **state)
{
    struct world *world = *state;
    struct tars_account ann = {.tenant = "default",
                               .name = "ann",
                               .secret_hash = "$argon2id$x",
                               .external = "https://issuer ann",
                               .created_us = 4,
                               .kind = TARS_ACCOUNT_CLIENT,
                               .role = TARS_ROLE_WRITER};
    struct tars_account other = {.tenant = "acme",
                                 .name = "ann",
                                 .external = "https://issuer ann",
                                 .kind = TARS_ACCOUNT_USER};
    struct tars_account bad = {.tenant = "nobody", .name = "x", .kind = TARS_ACCOUNT_USER};
    struct tars_access access;

    add_tenant(world, "acme");
    assert_int_equal(tars_accounts_add(world->store, &ann, NULL), TARS_OK);
    assert_int_equal(tars_accounts_add(world->store, &ann, NULL), TARS_EEXIST);
    assert_int_equal(tars_accounts_add(world->store, &other, NULL), TARS_EEXIST);
    other.external = "";
    assert_int_equal(tars_accounts_add(world->store, &other, NULL), TARS_OK);
    assert_int_equal(tars_accounts_add(world->store, &bad, NULL), TARS_ENOTFOUND);
    bad.name = "";
    assert_int_equal(tars_accounts_add(world->store, &bad, NULL), TARS_EINVAL);
    ann.role = TARS_ROLE_ADMIN;
    ann.disabled = true;
    assert_int_equal(tars_accounts_set(world->store, &ann, NULL), TARS_OK);
    reopen(world);
    access = load(world);
    assert_int_equal(access.account_count, 2);
    assert_string_equal(access.accounts[0].secret_hash, "$argon2id$x");
    assert_string_equal(access.accounts[0].external, "https://issuer ann");
    assert_int_equal(access.accounts[0].kind, TARS_ACCOUNT_CLIENT);
    assert_int_equal(access.accounts[0].role, TARS_ROLE_ADMIN);
    assert_true(access.accounts[0].disabled);
    assert_string_equal(access.accounts[1].tenant, "acme");
    /* tokens_from_us never goes back. */
    ann.tokens_from_us = 7;
    assert_int_equal(tars_accounts_set(world->store, &ann, NULL), TARS_OK);
    ann.tokens_from_us = 5;
    assert_int_equal(tars_accounts_set(world->store, &ann, NULL), TARS_OK);
    access = load(world);
    assert_int_equal(access.accounts[0].tokens_from_us, 7);
    assert_int_equal(access.accounts[1].tokens_from_us, 0);
    assert_int_equal(tars_accounts_remove(world->store, ann.id, NULL), TARS_OK);
    assert_int_equal(tars_accounts_remove(world->store, ann.id, NULL), TARS_ENOTFOUND);
    /* An id is never used again, so that what names one names nobody else. */
    assert_true(add_account(world, "default", "ben") > other.id);
}

static void keys_come_and_go_with_their_account(void **state)
{
    struct world *world = *state;
    struct tars_api_key key = {.label = "ci", .prefix = "tars_sk_ab", .hash = "00", .role = 1};
    struct tars_access access;
    int64_t ann = add_account(world, "default", "ann");

    key.account_id = ann;
    assert_int_equal(tars_accounts_key_add(world->store, &key, NULL), TARS_OK);
    assert_int_equal(tars_accounts_key_add(world->store, &key, NULL), TARS_EEXIST);
    assert_int_equal(tars_accounts_touch(world->store, ann, key.id, 77, NULL), TARS_OK);
    assert_int_equal(tars_accounts_touch(world->store, ann, 0, 70, NULL), TARS_OK);
    key.account_id = 999;
    key.hash = "01";
    assert_int_equal(tars_accounts_key_add(world->store, &key, NULL), TARS_ENOTFOUND);
    access = load(world);
    assert_int_equal(access.accounts[0].used_us, 77);
    assert_int_equal(access.key_count, 1);
    assert_string_equal(access.keys[0].prefix, "tars_sk_ab");
    assert_int_equal(access.keys[0].used_us, 77);
    assert_false(access.keys[0].revoked);
    assert_int_equal(tars_accounts_key_revoke(world->store, access.keys[0].id, NULL), TARS_OK);
    assert_int_equal(tars_accounts_key_revoke(world->store, 999, NULL), TARS_ENOTFOUND);
    access = load(world);
    assert_true(access.keys[0].revoked);
    assert_int_equal(tars_accounts_remove(world->store, ann, NULL), TARS_OK);
    access = load(world);
    assert_int_equal(access.account_count + access.key_count, 0);
}

/* -------------------------------------------------------------- collections */

static void collections_and_grants(void **state)
{
    struct world *world = *state;
    struct tars_collection hr = {.tenant = "acme", .name = "hr", .restricted = true};
    struct tars_collection bad = {.tenant = "acme", .name = "H R"};
    struct tars_collection taken = {.tenant = "default", .name = "tars_documents"};
    struct tars_grant grant = {0};
    struct tars_access access;
    struct tars_store_changes changes;
    int64_t foreign;

    add_tenant(world, "acme");
    assert_int_equal(tars_accounts_collection_add(world->store, &hr, NULL), TARS_OK);
    assert_int_equal(tars_accounts_collection_add(world->store, &hr, NULL), TARS_EEXIST);
    assert_int_equal(tars_accounts_collection_add(world->store, &bad, NULL), TARS_EINVAL);
    assert_int_equal(tars_accounts_collection_add(world->store, &taken, NULL), TARS_EEXIST);
    bad = (struct tars_collection){.tenant = "nobody", .name = "hr"};
    assert_int_equal(tars_accounts_collection_add(world->store, &bad, NULL), TARS_ENOTFOUND);
    hr.description = "People";
    hr.restricted = false;
    assert_int_equal(tars_accounts_collection_set(world->store, &hr, NULL), TARS_OK);
    access = load(world);
    assert_string_equal(collection_of(&access, "acme/hr")->description, "People");
    assert_false(collection_of(&access, "acme/hr")->restricted);

    grant.account_id = add_account(world, "acme", "ann");
    foreign = add_account(world, "default", "ben");
    grant.collection_id = hr.id;
    assert_int_equal(tars_accounts_grant(world->store, &grant, NULL), TARS_OK);
    grant.writes = true;
    assert_int_equal(tars_accounts_grant(world->store, &grant, NULL), TARS_OK);
    access = load(world);
    assert_int_equal(access.grant_count, 1);
    assert_true(access.grants[0].writes);
    grant.account_id = foreign;
    assert_int_equal(tars_accounts_grant(world->store, &grant, NULL), TARS_ENOTFOUND);
    assert_int_equal(tars_accounts_ungrant(world->store, foreign, hr.id, NULL), TARS_ENOTFOUND);
    assert_int_equal(tars_accounts_ungrant(world->store, access.grants[0].account_id, hr.id, NULL),
                     TARS_OK);

    put_ok(world, "acme/hr", "/a", 1, 5);
    assert_int_equal(tars_accounts_collection_remove(world->store, hr.id, NULL), TARS_ECONFLICT);
    assert_int_equal(
        tars_store_forget_file(world->store, "acme/hr", "/a", &world->arena, &changes, NULL),
        TARS_OK);
    assert_int_equal(tars_accounts_collection_remove(world->store, hr.id, NULL), TARS_OK);
    assert_int_equal(tars_accounts_collection_remove(world->store, hr.id, NULL), TARS_ENOTFOUND);
    access = load(world);
    assert_null(collection_of(&access, "acme/hr"));
    assert_int_equal(tars_accounts_collection_remove(
                         world->store, collection_of(&access, "acme/default")->id, NULL),
                     TARS_EINVAL);
}

static const struct tars_collection_size *size_of(struct world *world, const char *key)
{
    struct tars_collection_size *sizes;
    size_t n;

    assert_int_equal(tars_accounts_sizes(world->store, &world->arena, &sizes, &n, NULL), TARS_OK);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(sizes[i].key, key) == 0)
            return &sizes[i];
    }
    return NULL;
}

static void sizes_follow_the_documents(void **state)
{
    struct world *world = *state;
    struct tars_store_changes changes;
    char id[TARS_DOCUMENT_ID_BYTES];

    (void)add_collection(world, "default", "hr");
    assert_null(size_of(world, "hr"));
    put_ok(world, "hr", "/a", 3, 100);
    put_ok(world, "hr", "/b", 2, 50);
    put_ok(world, "", "/a", 1, 7);
    assert_int_equal(size_of(world, "hr")->files, 2);
    assert_int_equal(size_of(world, "hr")->documents, 2);
    assert_int_equal(size_of(world, "hr")->passages, 5);
    assert_int_equal(size_of(world, "hr")->bytes, 150);
    assert_int_equal(size_of(world, "hr")->last_indexed_us, 9);
    assert_int_equal(size_of(world, TARS_COLLECTION)->passages, 1);
    put_ok(world, "hr", "/a", 1, 60);
    assert_int_equal(size_of(world, "hr")->documents, 2);
    assert_int_equal(size_of(world, "hr")->passages, 3);
    assert_int_equal(size_of(world, "hr")->bytes, 110);
    assert_int_equal(tars_document_id("hr", "/b", "", id), TARS_OK);
    assert_int_equal(tars_store_forget_document(world->store, id, &world->arena, &changes, NULL),
                     TARS_OK);
    assert_int_equal(
        tars_store_forget_file(world->store, "hr", "/a", &world->arena, &changes, NULL), TARS_OK);
    assert_null(size_of(world, "hr"));
}

/* ------------------------------------------------------------------- quotas */

static void a_tenant_holds_what_it_may(void **state)
{
    struct world *world = *state;
    struct tars_tenant acme = {.name = "acme", .max_documents = 2, .max_bytes = 100};
    struct tars_err err = {.text = ""};

    add_tenant(world, "acme");
    (void)add_collection(world, "acme", "hr");
    assert_int_equal(put(world, "acme/none", "/a", 1, 1, &err), TARS_ENOTFOUND);
    assert_int_equal(tars_accounts_tenant_set(world->store, &acme, NULL), TARS_OK);
    put_ok(world, "acme/hr", "/a", 1, 60);
    assert_int_equal(put(world, "acme/default", "/b", 1, 50, &err), TARS_EQUOTA);
    assert_non_null(strstr(err.text, "100 bytes"));
    put_ok(world, "acme/default", "/b", 1, 40);
    assert_int_equal(put(world, "acme/hr", "/c", 1, 0, &err), TARS_EQUOTA);
    assert_non_null(strstr(err.text, "2 documents"));
    assert_int_equal(tars_accounts_room(world->store, "acme/hr", 1, 0, NULL), TARS_EQUOTA);
    assert_int_equal(tars_accounts_room(world->store, "acme/hr", 0, 0, NULL), TARS_OK);
    assert_int_equal(tars_accounts_room(world->store, "acme/hr", 0, 1, NULL), TARS_EQUOTA);
    assert_int_equal(tars_accounts_room(world->store, "acme/x", 0, 0, NULL), TARS_ENOTFOUND);
    assert_int_equal(tars_accounts_room(world->store, NULL, 9, 9, NULL), TARS_OK);
    /* A limit that was lowered: what is there may be replaced by what is no larger. */
    acme.max_bytes = 10;
    assert_int_equal(tars_accounts_tenant_set(world->store, &acme, NULL), TARS_OK);
    put_ok(world, "acme/hr", "/a", 2, 60);
    assert_int_equal(put(world, "acme/hr", "/a", 1, 61, &err), TARS_EQUOTA);
    acme = (struct tars_tenant){.name = "acme", .disabled = true};
    assert_int_equal(tars_accounts_tenant_set(world->store, &acme, NULL), TARS_OK);
    assert_int_equal(put(world, "acme/hr", "/a", 1, 1, &err), TARS_EDENIED);
    assert_int_equal(size_of(world, "acme/hr")->passages, 2);
}

struct runs {
    struct tars_store_run items[8];
    char keys[8][32];
    size_t count;
};

static bool take_run(void *ctx, const struct tars_store_run *run)
{
    struct runs *runs = ctx;

    runs->items[runs->count] = *run;
    (void)snprintf(runs->keys[runs->count++], 32, "%s", run->collection);
    return runs->count < 8;
}

static void runs_and_jobs_by_collection(void **state)
{
    struct world *world = *state;
    struct tars_store_job jobs[] = {{.kind = "ingest", .path = "/a", .collection = "hr"},
                                    {.kind = "ingest", .path = "/b"},
                                    {.kind = "ingest", .path = "/c", .collection = "hr"}};
    struct tars_store_job_count *counts;
    struct tars_store_jobs list;
    struct runs runs = {.count = 0};
    size_t n;

    (void)add_collection(world, "default", "hr");
    put_ok(world, "hr", "/a", 3, 1);
    put_ok(world, "", "/b", 2, 1);
    put_ok(world, "hr", "/empty", 0, 1);
    put_ok(world, "hr", "/a", 1, 1);
    assert_int_equal(tars_store_runs(world->store, 0, take_run, &runs, NULL), TARS_OK);
    assert_int_equal(runs.count, 2);
    assert_string_equal(runs.keys[0], TARS_COLLECTION);
    assert_int_equal(runs.items[0].first, 4);
    assert_int_equal(runs.items[0].last, 5);
    assert_string_equal(runs.keys[1], "hr");
    assert_int_equal(runs.items[1].first, 6);
    runs.count = 0;
    assert_int_equal(tars_store_runs(world->store, 5, take_run, &runs, NULL), TARS_OK);
    assert_int_equal(runs.count, 1);

    assert_int_equal(tars_store_jobs_add(world->store, jobs, 3, NULL), TARS_OK);
    assert_int_equal(tars_store_job_cancel(world->store, jobs[0].id, 1, NULL), TARS_OK);
    assert_int_equal(tars_store_jobs_of(world->store, "hr", 0, 0, 9, &world->arena, &list, NULL),
                     TARS_OK);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.items[0].id, jobs[2].id);
    assert_int_equal(
        tars_store_jobs_of(world->store, "hr", TARS_JOB_QUEUED, 0, 9, &world->arena, &list, NULL),
        TARS_OK);
    assert_int_equal(list.count, 1);
    assert_int_equal(tars_store_job_counts(world->store, &world->arena, &counts, &n, NULL),
                     TARS_OK);
    assert_int_equal(n, 2);
    assert_string_equal(counts[0].collection, "hr");
    assert_int_equal(counts[0].queued, 1);
    assert_int_equal(tars_store_scrub(world->store, NULL), TARS_OK);
    assert_int_equal(size_of(world, "hr")->documents, 2);
}

/* ------------------------------------------------------------------- ledger */

struct seen {
    size_t count;
    int64_t expires_us;
    char id[64];
};

static bool see(void *ctx, const char *id, int64_t expires_us)
{
    struct seen *seen = ctx;

    seen->count++;
    seen->expires_us = expires_us;
    (void)snprintf(seen->id, sizeof(seen->id), "%s", id);
    return true;
}

static void revoked_tokens_stay_revoked(void **state)
{
    struct world *world = *state;
    struct seen seen = {0};

    assert_int_equal(tars_accounts_revoke(world->store, "", 5, NULL), TARS_EINVAL);
    assert_int_equal(tars_accounts_revoke(world->store, "a", 50, NULL), TARS_OK);
    assert_int_equal(tars_accounts_revoke(world->store, "a", 40, NULL), TARS_OK);
    assert_int_equal(tars_accounts_revoke_once(world->store, "a", 60, NULL), TARS_EEXIST);
    assert_int_equal(tars_accounts_revoke_once(world->store, "b", 10, NULL), TARS_OK);
    reopen(world);
    assert_int_equal(tars_accounts_revoked(world->store, see, &seen, NULL), TARS_OK);
    assert_int_equal(seen.count, 2);
    assert_int_equal(tars_accounts_revoked_prune(world->store, 10, NULL), TARS_OK);
    seen = (struct seen){0};
    assert_int_equal(tars_accounts_revoked(world->store, see, &seen, NULL), TARS_OK);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.id, "a");
    assert_int_equal(seen.expires_us, 50);
}

struct racer {
    struct tars_store *store;
    size_t won;
};

#define RACE_TOKENS 40
#define RACERS      4

static void *race(void *ctx)
{
    struct racer *racer = ctx;

    for (int i = 0; i < RACE_TOKENS; i++) {
        char id[16];
        tars_status status;

        (void)snprintf(id, sizeof(id), "t%d", i);
        status = tars_accounts_revoke_once(racer->store, id, 5, NULL);
        racer->won += status == TARS_OK;
        assert_true(status == TARS_OK || status == TARS_EEXIST);
    }
    return NULL;
}

static void a_token_is_used_once_whoever_tries(void **state)
{
    struct world *world = *state;
    struct racer racers[RACERS];
    pthread_t threads[RACERS];
    size_t won = 0;

    for (size_t i = 0; i < RACERS; i++) {
        racers[i] = (struct racer){world->store, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    }
    for (size_t i = 0; i < RACERS; i++) {
        pthread_join(threads[i], NULL);
        won += racers[i].won;
    }
    assert_int_equal(won, RACE_TOKENS);
}

static void usage_is_counted_by_day(void **state)
{
    struct world *world = *state;
    int64_t questions = -1;

    assert_int_equal(tars_accounts_usage(world->store, "default", 5, &questions, NULL), TARS_OK);
    assert_int_equal(questions, 0);
    assert_int_equal(tars_accounts_count_usage(world->store, "default", 5, 2, NULL), TARS_OK);
    assert_int_equal(tars_accounts_count_usage(world->store, "default", 5, 3, NULL), TARS_OK);
    assert_int_equal(tars_accounts_count_usage(world->store, "default", 6, 1, NULL), TARS_OK);
    assert_int_equal(tars_accounts_count_usage(world->store, "nobody", 6, 1, NULL), TARS_ENOTFOUND);
    assert_int_equal(tars_accounts_usage(world->store, "default", 5, &questions, NULL), TARS_OK);
    assert_int_equal(questions, 5);
}

static void the_audit_log_is_listed(void **state)
{
    struct world *world = *state;
    static const struct tars_audit_entry entries[] = {
        {.time_us = 1, .tenant = "default", .actor = "ann", .action = "sign-in", .success = true},
        {.time_us = 2, .tenant = "default", .actor = "ben", .action = "sign-in"},
        {.time_us = 3,
         .tenant = "acme",
         .actor = "ann",
         .action = "export",
         .object = "all",
         .address = "127.0.0.1",
         .request_id = "r",
         .detail = "{}",
         .success = true},
    };
    static const struct {
        struct tars_audit_filter filter;
        size_t count;
        int64_t newest_us;
    } rows[] = {
        {{0}, 3, 3},
        {{.limit = 1}, 1, 3},
        {{.tenant = "default"}, 2, 2},
        {{.actor = "ann"}, 2, 3},
        {{.action = "sign-in"}, 2, 2},
        {{.tenant = "default", .actor = "ann"}, 1, 1},
        {{.tenant = "acme", .action = "sign-in"}, 0, 0},
        {{.before_id = 3}, 2, 2},
        {{.actor = "ann", .before_id = 3}, 1, 1},
    };
    struct tars_audit_entry *found;
    size_t n;

    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++)
        assert_int_equal(tars_accounts_audit(world->store, &entries[i], NULL), TARS_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        print_message("row %zu\n", i);
        assert_int_equal(tars_accounts_audit_list(world->store, &rows[i].filter, &world->arena,
                                                  &found, &n, NULL),
                         TARS_OK);
        assert_int_equal(n, rows[i].count);
        assert_int_equal(n ? found[0].time_us : 0, rows[i].newest_us);
    }
    assert_int_equal(
        tars_accounts_audit_list(world->store, &rows[0].filter, &world->arena, &found, &n, NULL),
        TARS_OK);
    assert_string_equal(found[0].object, "all");
    assert_string_equal(found[0].address, "127.0.0.1");
    assert_string_equal(found[0].detail, "{}");
    assert_true(found[0].success);
    assert_false(found[1].success);
    assert_int_equal(tars_accounts_audit_prune(world->store, 3, NULL), TARS_OK);
    assert_int_equal(
        tars_accounts_audit_list(world->store, &rows[0].filter, &world->arena, &found, &n, NULL),
        TARS_OK);
    assert_int_equal(n, 1);
}

/* ---------------------------------------------------------------- no memory */

static void use_all(void *ctx)
{
    struct world *world = ctx;
    struct tars_account account = {.tenant = "acme", .name = "ann", .kind = TARS_ACCOUNT_USER};
    struct tars_collection collection = {.tenant = "acme", .name = "hr"};
    struct tars_tenant tenant = {.name = "acme"};
    struct tars_audit_entry entry = {.tenant = "acme", .action = "x"};
    struct tars_audit_filter filter = {.tenant = "acme"};
    struct tars_audit_entry *entries = NULL;
    struct tars_collection_size *sizes = NULL;
    struct tars_access access = {0};
    struct tars_arena arena;
    size_t n = 0;

    tars_arena_init(&arena, (size_t)1 << 20);
    (void)!tars_accounts_tenant_add(world->store, &tenant, NULL);
    (void)!tars_accounts_add(world->store, &account, NULL);
    (void)!tars_accounts_collection_add(world->store, &collection, NULL);
    (void)!tars_accounts_audit(world->store, &entry, NULL);
    (void)!tars_accounts_load(world->store, &arena, &access, NULL);
    (void)!tars_accounts_sizes(world->store, &arena, &sizes, &n, NULL);
    (void)!tars_accounts_audit_list(world->store, &filter, &arena, &entries, &n, NULL);
    (void)!tars_accounts_collection_remove(world->store, collection.id, NULL);
    (void)!tars_accounts_tenant_remove(world->store, "acme", NULL);
    tars_arena_release(&arena);
    assert_true(hangs_together(world));
}

static void no_memory_is_survived(void **state)
{
    assert_true(faults_each(use_all, *state) > 0);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(names_and_keys),
        ROW(the_first_tenant_is_there),
        ROW(tenants_come_change_and_go),
        ROW(a_tenant_goes_with_all_that_is_its),
        ROW(accounts_come_change_and_go),
        ROW(keys_come_and_go_with_their_account),
        ROW(collections_and_grants),
        ROW(sizes_follow_the_documents),
        ROW(a_tenant_holds_what_it_may),
        ROW(runs_and_jobs_by_collection),
        ROW(no_memory_is_survived),
        ROW(revoked_tokens_stay_revoked),
        ROW(a_token_is_used_once_whoever_tries),
        ROW(usage_is_counted_by_day),
        ROW(the_audit_log_is_listed),
    };

    return run_each(tests, sizeof(tests) / sizeof(tests[0]));
}
