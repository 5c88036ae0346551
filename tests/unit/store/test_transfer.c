/* All of one store into another, both ways between a file and a server. */
#include "world.h"

#include <stdio.h>
#include <string.h>

#include "store/accounts.h"
#include "store/conversations.h"
#include "store/transfer.h"

#define DIM       4
#define FILES     5
#define DOCUMENTS 3 /* of each file */
#define FILE_US   7

static void fill_file(struct world *world, const char *collection, int number, int64_t modified_us)
{
    static const float vectors[2 * DIM] = {1, 0, 0, 0, 0, 1, 0, 0};
    static const struct tars_store_window windows[2] = {{0, 3}, {3, 1}};
    struct tars_store_passage passages[2];
    struct tars_store_document documents[DOCUMENTS];
    struct tars_store_put puts[DOCUMENTS];
    struct tars_store_changes changes;
    char path[64];
    char ids[DOCUMENTS][8];
    const struct tars_store_file file = {.collection = collection,
                                         .path = path,
                                         .sha256 = "f00d",
                                         .size = 100,
                                         .modified_us = modified_us,
                                         .indexed_us = 9};
    const struct tars_store_batch batch = {
        .file = &file, .puts = puts, .put_count = DOCUMENTS, .finish = true, .dim = DIM};

    (void)snprintf(path, sizeof(path), "/files/%d", number);
    for (size_t i = 0; i < 2; i++) {
        passages[i] = (struct tars_store_passage){.text = "caf\xc3\xa9",
                                                  .text_len = 5,
                                                  .section = "A > B",
                                                  .page_first = 3,
                                                  .windows = windows,
                                                  .vectors = vectors,
                                                  .window_count = 2};
    }
    for (size_t i = 0; i < DOCUMENTS; i++) {
        (void)snprintf(ids[i], sizeof(ids[i]), "%zu", i);
        documents[i] = (struct tars_store_document){.collection = collection,
                                                    .path = path,
                                                    .external_id = ids[i],
                                                    .title = "A title",
                                                    .sha256 = ids[i],
                                                    .metadata_json = "{\"a\":1}"};
        /* The last has no passages. */
        puts[i] = (struct tars_store_put){.document = &documents[i],
                                          .passages = passages,
                                          .passage_count = i + 1 < DOCUMENTS ? 2 : 0};
    }
    assert_int_equal(tars_store_put(world->store, &batch, &world->arena, &changes, NULL), TARS_OK);
}

static void fill_accounts(struct world *world)
{
    const struct tars_tenant acme = {
        .name = "acme", .title = "Acme", .max_documents = 1, .disabled = true};
    struct tars_collection hr = {.tenant = "acme", .name = "hr", .restricted = true};
    struct tars_account ann = {.tenant = "acme",
                               .name = "ann",
                               .secret_hash = "$argon2id$x",
                               .kind = TARS_ACCOUNT_USER,
                               .role = TARS_ROLE_WRITER,
                               .tokens_from_us = 5};
    struct tars_api_key key = {.label = "k", .hash = "beef", .revoked = true};
    struct tars_grant grant = {.writes = true};
    const struct tars_audit_entry entry = {.time_us = 5, .tenant = "acme", .action = "sign-in"};
    const struct tars_message said[] = {{.id = "1", .role = "user", .content = "What?"},
                                        {.id = "2", .role = "assistant", .content = "That."}};
    struct tars_tenant open = acme;

    open.max_documents = 0;
    open.disabled = false;
    assert_int_equal(tars_accounts_tenant_add(world->store, &open, NULL), TARS_OK);
    assert_int_equal(tars_accounts_collection_add(world->store, &hr, NULL), TARS_OK);
    assert_int_equal(tars_accounts_add(world->store, &ann, NULL), TARS_OK);
    assert_int_equal(tars_accounts_set(world->store, &ann, NULL), TARS_OK);
    key.account_id = grant.account_id = ann.id;
    grant.collection_id = hr.id;
    assert_int_equal(tars_accounts_key_add(world->store, &key, NULL), TARS_OK);
    assert_int_equal(tars_accounts_grant(world->store, &grant, NULL), TARS_OK);
    assert_int_equal(tars_accounts_revoke(world->store, "jti", 99, NULL), TARS_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(tars_accounts_audit(world->store, &entry, NULL), TARS_OK);
    assert_int_equal(
        tars_conversation_append(world->store, "acme", "ann", "c1", said, 2, true, 1000, NULL),
        TARS_OK);
    fill_file(world, "acme/hr", 0, FILE_US);
    assert_int_equal(tars_accounts_tenant_set(world->store, &acme, NULL), TARS_OK);
}

static void fill(struct world *world)
{
    const struct tars_store_model model = {.identity = "aaaa", .name = "m", .dim = DIM};

    assert_int_equal(tars_store_model_claim(world->store, &model, NULL), TARS_OK);
    fill_accounts(world);
    for (int i = 1; i < FILES; i++)
        fill_file(world, NULL, i, FILE_US);
}

/* The other kind: a file for a server, a server for a file. */
static struct tars_store *open_other(const char *dir)
{
    struct tars_store_postgres_config config = postgres_store(NULL);

    return back_ends[back_end].is_server ? open_sqlite(dir) : open_with(&config);
}

/* Stop after each file, so that it is begun again as often as there are files. */
static void stop_now(void *ctx, int64_t files, int64_t total)
{
    (void)files;
    (void)total;
    atomic_store((atomic_bool *)ctx, true);
}

static void all_goes_over_however_often_it_is_stopped(void **state)
{
    struct world *world = *state;
    char other[FILES_PATH_MAX];
    atomic_bool stop = false;
    struct tars_transfer_config config = {
        .from = world->store, .stop = &stop, .progress = stop_now, .ctx = &stop};
    struct tars_store_sums sums = {0};
    struct tars_err err = {.text = ""};
    struct tars_access access;
    tars_status status = TARS_ECANCELED;
    int runs = 0;

    fill(world);
    files_make_dir(other);
    config.to = open_other(other);
    while (status == TARS_ECANCELED && runs < 2 * FILES) {
        atomic_store(&stop, false);
        config.now_us = ++runs;
        status = tars_store_transfer(&config, &sums, &err);
    }
    if (status)
        fail_msg("%s", err.text);
    assert_true(runs > 2);
    assert_int_equal(sums.files, FILES);
    assert_int_equal(sums.documents, FILES * DOCUMENTS);
    assert_int_equal(sums.passages, FILES * (DOCUMENTS - 1) * 2);
    assert_int_equal(sums.vectors, 2 * sums.passages);
    assert_int_equal(sums.messages, 2);
    assert_int_equal(sums.audit, 3);
    assert_int_equal(tars_store_check(config.to, NULL), TARS_OK);
    assert_int_equal(tars_accounts_load(config.to, &world->arena, &access, NULL), TARS_OK);
    assert_int_equal(access.tenant_count, 2);
    assert_true(access.tenants[1].disabled);
    assert_int_equal(access.tenants[1].max_documents, 1);
    assert_string_equal(access.accounts[0].secret_hash, "$argon2id$x");
    assert_int_equal(access.accounts[0].tokens_from_us, 5);
    assert_true(access.keys[0].revoked);
    assert_true(access.grants[0].writes);
    assert_true(access.collections[access.collection_count - 1].restricted);
    tars_store_close(config.to);
    if (!back_ends[back_end].is_server)
        drop_schema();
    files_remove_dir(other);
}

/* Twice the same, but for one right: the digests differ, and so do those of a lost mark. */
static void rights_are_compared(void **state)
{
    struct world *world = *state;
    struct tars_store_sums before;
    struct tars_store_sums after;
    struct tars_access access;
    struct tars_grant grant;

    fill(world);
    assert_int_equal(tars_store_sums(world->store, &before, NULL), TARS_OK);
    assert_int_equal(tars_accounts_load(world->store, &world->arena, &access, NULL), TARS_OK);
    assert_int_equal(
        tars_accounts_touch(world->store, access.accounts[0].id, access.keys[0].id, 77, NULL),
        TARS_OK);
    assert_int_equal(tars_store_sums(world->store, &after, NULL), TARS_OK);
    assert_string_equal(before.sha256, after.sha256);
    grant = access.grants[0];
    grant.writes = false;
    assert_int_equal(tars_accounts_grant(world->store, &grant, NULL), TARS_OK);
    assert_int_equal(tars_store_sums(world->store, &after, NULL), TARS_OK);
    assert_string_not_equal(before.sha256, after.sha256);
    grant.writes = true;
    assert_int_equal(tars_accounts_grant(world->store, &grant, NULL), TARS_OK);
    assert_int_equal(tars_store_sums(world->store, &after, NULL), TARS_OK);
    assert_string_equal(before.sha256, after.sha256);
    access.accounts[0].disabled = true;
    assert_int_equal(tars_accounts_set(world->store, &access.accounts[0], NULL), TARS_OK);
    assert_int_equal(tars_store_sums(world->store, &after, NULL), TARS_OK);
    assert_string_not_equal(before.sha256, after.sha256);
    access.accounts[0].disabled = false;
    assert_int_equal(tars_accounts_set(world->store, &access.accounts[0], NULL), TARS_OK);
    assert_int_equal(tars_store_meta_set(world->store, "embed.partial", "1", NULL), TARS_OK);
    assert_int_equal(tars_store_sums(world->store, &after, NULL), TARS_OK);
    assert_string_not_equal(before.sha256, after.sha256);
}

/* Times of files tell what has to be read again, those of conversations which is the newest. */
static void times_are_compared(void **state)
{
    struct world *world = *state;
    const struct tars_message said[] = {{.id = "1", .role = "user", .content = "What?"},
                                        {.id = "2", .role = "assistant", .content = "That."}};
    struct tars_store_sums sums[3];

    fill(world);
    assert_int_equal(tars_store_sums(world->store, &sums[0], NULL), TARS_OK);
    fill_file(world, NULL, 1, FILE_US + 1);
    assert_int_equal(tars_store_sums(world->store, &sums[1], NULL), TARS_OK);
    assert_string_not_equal(sums[0].sha256, sums[1].sha256);
    fill_file(world, NULL, 1, FILE_US);
    assert_int_equal(tars_store_sums(world->store, &sums[1], NULL), TARS_OK);
    assert_string_equal(sums[0].sha256, sums[1].sha256);
    /* The same words, the second a while after the first. */
    assert_int_equal(tars_conversation_delete(world->store, "acme", "ann", "c1", NULL), TARS_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(tars_conversation_append(world->store, "acme", "ann", "c1", &said[i], 1,
                                                  true, 1000 + (int64_t)i, NULL),
                         TARS_OK);
    }
    assert_int_equal(tars_store_sums(world->store, &sums[2], NULL), TARS_OK);
    assert_string_not_equal(sums[0].sha256, sums[2].sha256);
}

/* Between two runs a file was looked at, and a conversation went on that had as many messages as it
 * may have. */
static void stop_late(void *ctx, int64_t files, int64_t total)
{
    if (files + 1 == total) /* the last batch is what notices */
        atomic_store((atomic_bool *)ctx, true);
}

static void what_went_on_meanwhile_goes_over(void **state)
{
    struct world *world = *state;
    const struct tars_message said = {.id = "1", .role = "user", .content = "What?"};
    const struct tars_message later = {.id = "9", .role = "user", .content = "And?"};
    atomic_bool stop = false;
    struct tars_transfer_config config = {
        .from = world->store, .now_us = 1, .stop = &stop, .progress = stop_late, .ctx = &stop};
    struct tars_store_sums sums;
    char other[FILES_PATH_MAX];

    fill(world);
    for (int i = 0; i < TARS_CONVERSATION_MESSAGES; i++) {
        assert_int_equal(
            tars_conversation_append(world->store, "default", "ben", "c2", &said, 1, true, 1, NULL),
            TARS_OK);
    }
    files_make_dir(other);
    config.to = open_other(other);
    assert_int_equal(tars_store_transfer(&config, &sums, NULL), TARS_ECANCELED);
    for (int i = 1; i < FILES; i++)
        fill_file(world, NULL, i, FILE_US + 1);
    for (int i = 0; i < TARS_CONVERSATION_MESSAGES; i++) {
        assert_int_equal(
            tars_conversation_append(config.to, "default", "ben", "c2", &said, 1, true, 1, NULL),
            TARS_OK);
    }
    assert_int_equal(
        tars_conversation_append(world->store, "default", "ben", "c2", &later, 1, true, 2, NULL),
        TARS_OK);
    config.stop = NULL;
    assert_int_equal(tars_store_transfer(&config, &sums, NULL), TARS_OK);
    tars_store_close(config.to);
    if (!back_ends[back_end].is_server)
        drop_schema();
    files_remove_dir(other);
}

/* Stopped half way: it is not served, a key that is revoked meanwhile is revoked there, and what is
 * known of lacking vectors comes along. */
static void a_half_is_not_served(void **state)
{
    struct world *world = *state;
    struct tars_api_key key = {.label = "l", .hash = "cafe"};
    atomic_bool stop = false;
    struct tars_transfer_config config = {
        .from = world->store, .now_us = 1, .stop = &stop, .progress = stop_now, .ctx = &stop};
    struct tars_store_sums sums;
    struct tars_err err = {.text = ""};
    struct tars_access access;
    char other[FILES_PATH_MAX];
    const char *partial;
    const char *before = NULL;

    fill(world);
    assert_int_equal(tars_accounts_load(world->store, &world->arena, &access, NULL), TARS_OK);
    key.account_id = access.accounts[0].id;
    assert_int_equal(tars_accounts_key_add(world->store, &key, NULL), TARS_OK);
    assert_int_equal(tars_store_meta_set(world->store, "embed.partial", "1", NULL), TARS_OK);
    assert_int_equal(tars_store_meta_set(world->store, TARS_STORE_ID_KEY, "0123", NULL), TARS_OK);
    files_make_dir(other);
    config.to = open_other(other);
    assert_int_equal(tars_store_transfer(&config, &sums, NULL), TARS_ECANCELED);
    assert_int_equal(tars_store_check_moved(config.to, &err), TARS_EMISMATCH);
    assert_non_null(strstr(err.text, "tars migrate"));
    assert_int_equal(tars_accounts_key_revoke(world->store, key.id, NULL), TARS_OK);
    config.stop = NULL;
    config.progress = NULL;
    config.now_us = 2;
    if (tars_store_transfer(&config, &sums, &err))
        fail_msg("%s", err.text);
    assert_int_equal(tars_store_check_moved(config.to, NULL), TARS_OK);
    assert_int_equal(tars_accounts_load(config.to, &world->arena, &access, NULL), TARS_OK);
    assert_true(access.keys[1].revoked);
    assert_int_equal(tars_store_meta_get(config.to, "embed.partial", &world->arena, &partial, NULL),
                     TARS_OK);
    assert_int_equal(
        tars_store_meta_get(config.to, TARS_STORE_BEFORE_KEY, &world->arena, &before, NULL),
        TARS_OK);
    assert_string_equal(before, "0123");
    tars_store_close(config.to);
    if (!back_ends[back_end].is_server)
        drop_schema();
    files_remove_dir(other);
}

static tars_status forbid(void *ctx, struct tars_err *err)
{
    (void)ctx;
    (void)err;
    fail_msg("%s", "it was begun");
    return TARS_EIO;
}

/* Without a document, but with what somebody did there. */
static void a_target_in_use_is_left_alone(void **state)
{
    struct world *world = *state;
    const struct tars_audit_entry entry = {.time_us = 5, .tenant = "default", .action = "sign-in"};
    struct tars_transfer_config config = {.from = world->store, .now_us = 1, .begin = forbid};
    struct tars_store_sums sums;
    struct tars_err err = {.text = ""};
    char other[FILES_PATH_MAX];

    fill(world);
    files_make_dir(other);
    config.to = open_other(other);
    assert_int_equal(tars_accounts_audit(config.to, &entry, NULL), TARS_OK);
    assert_int_equal(tars_store_transfer(&config, &sums, &err), TARS_EEXIST);
    assert_non_null(strstr(err.text, "1 entries"));
    assert_int_equal(tars_store_sums(config.to, &sums, NULL), TARS_OK);
    assert_int_equal(sums.accounts, 0);
    tars_store_close(config.to);
    if (!back_ends[back_end].is_server)
        drop_schema();
    files_remove_dir(other);
}

/* The path is named before anything is written. */
static void a_name_that_does_not_fit_is_told_first(void **state)
{
    struct world *world = *state;
    struct tars_transfer_config config = {.from = world->store, .now_us = 1, .begin = forbid};
    struct tars_store_file file = {.path = "/caf\xe9.txt", .sha256 = "x", .indexed_us = 1};
    const struct tars_store_batch batch = {.file = &file, .finish = true};
    struct tars_store_changes changes;
    struct tars_store_sums sums;
    struct tars_err err = {.text = ""};
    char other[FILES_PATH_MAX];

    if (back_ends[back_end].is_server)
        return; /* which holds no such name */
    assert_int_equal(tars_store_put(world->store, &batch, &world->arena, &changes, NULL), TARS_OK);
    files_make_dir(other);
    config.to = open_other(other);
    assert_int_equal(tars_store_transfer(&config, &sums, &err), TARS_EINVAL);
    assert_non_null(strstr(err.text, "/caf\xe9.txt"));
    tars_store_close(config.to);
    drop_schema();
    files_remove_dir(other);
}

static void what_differs_is_told(void **state)
{
    struct world *world = *state;
    const struct tars_message said = {.id = "9", .role = "user", .content = "More."};
    struct tars_transfer_config config = {.from = world->store, .now_us = 1};
    struct tars_store_job job = {.kind = "ingest", .path = "/a"};
    struct tars_store_sums sums;
    struct tars_err err = {.text = ""};
    char other[FILES_PATH_MAX];

    fill(world);
    files_make_dir(other);
    config.to = open_other(other);
    assert_int_equal(tars_store_transfer(&config, &sums, NULL), TARS_OK);
    /* It may be served, and somebody goes on with the copy: it is compared, and not written to. */
    assert_int_equal(tars_store_check_moved(config.to, NULL), TARS_OK);
    assert_int_equal(
        tars_conversation_append(config.to, "default", "ben", "c9", &said, 1, true, 1, NULL),
        TARS_OK);
    assert_int_equal(tars_store_transfer(&config, &sums, &err), TARS_EFORMAT);
    assert_non_null(strstr(err.text, "2 and 3 messages"));
    /* A copy of another. */
    assert_int_equal(tars_store_meta_set(world->store, "transfer.id", "0123", NULL), TARS_OK);
    assert_int_equal(tars_store_transfer(&config, &sums, &err), TARS_EEXIST);
    assert_non_null(strstr(err.text, "another store"));
    /* One that was never a copy. */
    assert_int_equal(tars_store_meta_set(config.to, "transfer.state", NULL, NULL), TARS_OK);
    assert_int_equal(tars_store_transfer(&config, &sums, &err), TARS_EEXIST);
    assert_int_equal(tars_store_jobs_add(world->store, &job, 1, NULL), TARS_OK);
    assert_int_equal(tars_store_transfer(&config, &sums, &err), TARS_EBUSY);
    tars_store_close(config.to);
    if (!back_ends[back_end].is_server)
        drop_schema();
    files_remove_dir(other);
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(all_goes_over_however_often_it_is_stopped),
        ROW(rights_are_compared),
        ROW(times_are_compared),
        ROW(what_went_on_meanwhile_goes_over),
        ROW(a_half_is_not_served),
        ROW(a_target_in_use_is_left_alone),
        ROW(a_name_that_does_not_fit_is_told_first),
        ROW(what_differs_is_told),
    };
    int failed = 0;

    postgres_open(&server, NULL, NULL);
    for (back_end = 0; back_end < 2; back_end++) {
        failed += _cmocka_run_group_tests(back_ends[back_end].name, tests,
                                          sizeof(tests) / sizeof(tests[0]), NULL, NULL);
    }
    postgres_close(&server);
    return failed;
}
