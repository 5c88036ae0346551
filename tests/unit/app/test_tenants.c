/* A tenant goes out as a file, and goes for good: nothing of it is left in any file. Real
 * ingestion, store and index; words only. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/service.h"
#include "app/tenants.h"
#include "extract/client.h"
#include "index/index.h"
#include "ingest/ingest.h"
#include "ingest/spool.h"
#include "store/accounts.h"
#include "store/conversations.h"
#include "store/store_sqlite.h"
#include "support/files.h"

#define WAIT_MS 60000
#define OLD     "quixoticzebrafish"   /* in a version that was replaced */
#define NEW     "vermilionsousaphone" /* in the version that is there */
#define SAID    "flibbertigibbetian"  /* in a conversation */
#define SENT    "perspicaciouswombat" /* in an upload that failed */
#define OTHER   "unrelatedkittiwake"  /* of another tenant */

struct world {
    char docs[FILES_PATH_MAX];
    char data[FILES_PATH_MAX];
    char spool[FILES_PATH_MAX + 8];
    struct tars_store *store;
    struct tars_index *index;
    struct tars_extract *extract;
    struct tars_wordpiece *wordpiece;
    struct tars_ingest *ingest;
    struct tars_arena arena;
    struct tars_service service;
    struct tars_call call;
};

static const char tiny_vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nthe\nof\nleave\n";

static void open_all(struct world *world)
{
    struct tars_store_sqlite_config store = {.dir = world->data};
    struct tars_index_config index = {.dir = world->data};
    struct tars_ingest_config config = {.extract = world->extract,
                                        .chunk = {.wordpiece = world->wordpiece}};

    assert_int_equal(tars_store_sqlite_open(&store, &world->store, NULL), TARS_OK);
    assert_int_equal(tars_index_open(&index, &world->index, NULL), TARS_OK);
    config.store = world->store;
    config.index = world->index;
    assert_int_equal(tars_ingest_open(&config, &world->ingest, NULL), TARS_OK);
    assert_int_equal(tars_ingest_start(world->ingest, NULL), TARS_OK);
    world->service = (struct tars_service){.store = world->store,
                                           .index = world->index,
                                           .ingest = world->ingest,
                                           .spool_dir = world->spool,
                                           .max_upload_bytes = 1 << 20,
                                           .ranking = "",
                                           .embedding_model = ""};
}

static void close_all(struct world *world)
{
    tars_ingest_close(world->ingest);
    tars_index_close(world->index);
    tars_store_close(world->store);
    world->ingest = NULL;
}

static int set_up(void **state)
{
    static struct world world;
    struct tars_extract_config extract = {.program = TARS_BINARY_DIR "/tars-extract"};
    struct tars_wordpiece_config wordpiece = {.vocab_txt = tars_span_of(tiny_vocab)};
    struct tars_tenant acme = {.name = "acme", .title = "Acme"};

    memset(&world, 0, sizeof(world));
    files_make_dir(world.docs);
    files_make_dir(world.data);
    (void)snprintf(world.spool, sizeof(world.spool), "%s/spool", world.data);
    tars_arena_init(&world.arena, (size_t)64 << 20);
    world.call.arena = &world.arena;
    if (tars_extract_open(&extract, &world.extract, NULL) ||
        tars_wordpiece_new(&wordpiece, &world.wordpiece, NULL))
        return -1;
    open_all(&world);
    assert_int_equal(tars_accounts_tenant_add(world.store, &acme, NULL), TARS_OK);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    if (world->ingest)
        close_all(world);
    tars_extract_close(world->extract);
    tars_wordpiece_free(world->wordpiece);
    tars_arena_release(&world->arena);
    files_remove_dir(world->docs);
    files_remove_dir(world->data);
    return 0;
}

/* ------------------------------------------------------------------ helpers */

/* Take a file with this text in and wait for its end. */
static struct tars_store_job take(struct world *world, const char *collection, const char *name,
                                  const char *text)
{
    char path[FILES_PATH_MAX];
    struct tars_ingest_request request = {.collection = collection, .path = path};
    struct tars_store_job job;
    int64_t id = 0;

    files_write(world->docs, name, text, strlen(text), path);
    assert_int_equal(tars_ingest_submit(world->ingest, &request, 1, &id, NULL), TARS_OK);
    assert_int_equal(tars_ingest_wait(world->ingest, id, WAIT_MS, &world->arena, &job, NULL),
                     TARS_OK);
    return job;
}

static void take_ok(struct world *world, const char *collection, const char *name, const char *text)
{
    struct tars_store_job job = take(world, collection, name, text);

    if (job.state != TARS_JOB_DONE)
        fail_msg("%s: %s", name, job.error);
}

static bool holds(const char *bytes, size_t len, const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i + n <= len; i++) {
        if (bytes[i] == word[0] && memcmp(bytes + i, word, n) == 0)
            return true;
    }
    return false;
}

/* What nftw() looks for, and how often it has found it. */
static const char *sought;
static size_t sought_found;

static int look_into(const char *path, const struct stat *st, int kind, struct FTW *place)
{
    FILE *file = kind == FTW_F ? fopen(path, "rb") : NULL;
    char *bytes = file ? malloc((size_t)st->st_size + 1) : NULL;

    (void)place;
    if (bytes && holds(bytes, fread(bytes, 1, (size_t)st->st_size, file), sought)) {
        print_message("%s holds %s\n", path, sought);
        sought_found++;
    }
    free(bytes);
    if (file)
        (void)fclose(file);
    return 0;
}

/* Files below dir that hold word. */
static size_t files_with(const char *dir, const char *word)
{
    sought = word;
    sought_found = 0;
    assert_int_equal(nftw(dir, look_into, 8, FTW_PHYS), 0);
    return sought_found;
}

static void say(struct world *world)
{
    const struct tars_message message = {.role = "user", .content = SAID};

    assert_int_equal(
        tars_conversation_append(world->store, "acme", "ann", "c1", &message, 1, true, 1, NULL),
        TARS_OK);
}

/* An upload that failed keeps its bytes, so that it can be tried again. */
static void send_and_fail(struct world *world)
{
    struct tars_ingest_request request = {.collection = "acme/default", .path = "broken.pdf"};
    struct tars_spool_file *file = NULL;
    const char *kept = NULL;
    struct tars_store_job job;
    int64_t id = 0;

    assert_int_equal(tars_spool_new(world->spool, 1 << 20, &file, NULL), TARS_OK);
    assert_int_equal(tars_spool_write(file, "%PDF-1.4 " SENT, strlen("%PDF-1.4 " SENT), NULL),
                     TARS_OK);
    assert_int_equal(tars_spool_commit(file, &kept, NULL), TARS_OK);
    request.spool = tars_arena_strdup(&world->arena, kept);
    tars_spool_free(file);
    assert_int_equal(tars_ingest_submit(world->ingest, &request, 1, &id, NULL), TARS_OK);
    assert_int_equal(tars_ingest_wait(world->ingest, id, WAIT_MS, &world->arena, &job, NULL),
                     TARS_OK);
    assert_int_equal(job.state, TARS_JOB_FAILED);
}

static void fill(struct world *world)
{
    take_ok(world, "acme/default", "a.txt", "The old words of this page are " OLD ".");
    take_ok(world, "acme/default", "a.txt", "The new words of this page are " NEW ".");
    take_ok(world, TARS_COLLECTION, "b.txt", "Somebody else wrote " OTHER ".");
    say(world);
    send_and_fail(world);
}

/* -------------------------------------------------------------------- tests */

static void nothing_of_a_removed_tenant_is_left(void **state)
{
    struct world *world = *state;
    struct tars_tenant_tally tally = {0};
    struct tars_access access;
    struct tars_store_job job;

    fill(world);
    assert_true(files_with(world->data, NEW) > 0);
    assert_true(files_with(world->data, SENT) > 0);
    assert_int_equal(tars_tenant_empty(&world->service, TARS_TENANT, &world->call, &tally, NULL),
                     TARS_EINVAL);
    assert_int_equal(tars_tenant_empty(&world->service, "nobody", &world->call, &tally, NULL),
                     TARS_ENOTFOUND);
    assert_int_equal(tars_tenant_empty(&world->service, "acme", &world->call, &tally, NULL),
                     TARS_OK);
    assert_int_equal(tally.documents, 1);
    assert_int_equal(tally.conversations, 1);
    /* Nothing comes in behind. */
    job = take(world, "acme/default", "late.txt", "Too late.");
    assert_int_equal(job.state, TARS_JOB_FAILED);
    assert_non_null(strstr(job.error, "disabled"));
    assert_int_equal(tars_accounts_tenant_remove(world->store, "acme", NULL), TARS_OK);
    assert_int_equal(tars_tenant_scrub(&world->service, NULL), TARS_OK);
    assert_int_equal(tars_store_check(world->store, NULL), TARS_OK);
    assert_int_equal(tars_accounts_load(world->store, &world->arena, &access, NULL), TARS_OK);
    assert_int_equal(access.tenant_count, 1);
    assert_int_equal(files_with(world->data, OLD), 0);
    assert_int_equal(files_with(world->data, NEW), 0);
    assert_int_equal(files_with(world->data, SAID), 0);
    assert_int_equal(files_with(world->data, SENT), 0);
    assert_true(files_with(world->data, OTHER) > 0);
    close_all(world);
    assert_int_equal(files_with(world->data, OLD), 0);
    assert_int_equal(files_with(world->data, NEW), 0);
}

/* The process dies after a step; the next one begins again. */
static void removal_can_be_repeated(void **state)
{
    struct world *world = *state;
    struct tars_tenant_tally tally = {0};
    struct tars_access access;

    fill(world);
    assert_int_equal(tars_tenant_empty(&world->service, "acme", &world->call, &tally, NULL),
                     TARS_OK);
    close_all(world);
    open_all(world);
    assert_int_equal(tars_accounts_load(world->store, &world->arena, &access, NULL), TARS_OK);
    assert_int_equal(access.tenant_count, 2);
    assert_true(access.tenants[1].disabled);
    assert_int_equal(tars_tenant_empty(&world->service, "acme", &world->call, &tally, NULL),
                     TARS_OK);
    assert_int_equal(tally.documents, 0);
    assert_int_equal(tars_accounts_tenant_remove(world->store, "acme", NULL), TARS_OK);
    close_all(world);
    open_all(world);
    assert_int_equal(tars_tenants_settle(&world->service, NULL), TARS_OK);
    assert_int_equal(files_with(world->data, NEW), 0);
    assert_int_equal(files_with(world->data, OLD), 0);
    assert_int_equal(tars_tenants_settle(&world->service, NULL), TARS_OK);
}

static void an_export_has_everything_but_secrets(void **state)
{
    static const char *const there[] = {
        "{\"type\":\"tenant\",\"name\":\"acme\"",
        "{\"type\":\"account\",\"name\":\"ann\"",
        "\"prefix\":\"tars_sk_ab\"",
        "{\"type\":\"collection\",\"name\":\"default\"",
        "{\"type\":\"document\",",
        NEW,
        SAID,
        "{\"type\":\"usage\",",
        "{\"type\":\"audit\",",
        "{\"type\":\"grant\",",
    };
    static const char *const absent[] = {OTHER, OLD, "argon2id", "cafe0123"};
    struct world *world = *state;
    struct tars_account ann = {.tenant = "acme",
                               .name = "ann",
                               .secret_hash = "$argon2id$v=19$secret",
                               .kind = TARS_ACCOUNT_USER,
                               .role = TARS_ROLE_WRITER};
    struct tars_api_key key = {.prefix = "tars_sk_ab", .hash = "cafe0123"};
    struct tars_audit_entry entry = {.tenant = "acme", .actor = "ann", .action = "sign-in"};
    struct tars_collection hr = {.tenant = "acme", .name = "hr", .restricted = true};
    struct tars_tenant_tally tally = {0};
    struct tars_grant grant = {0};
    char path[FILES_PATH_MAX + 16];

    fill(world);
    assert_int_equal(tars_accounts_add(world->store, &ann, NULL), TARS_OK);
    assert_int_equal(tars_accounts_collection_add(world->store, &hr, NULL), TARS_OK);
    grant = (struct tars_grant){.account_id = ann.id, .collection_id = hr.id};
    key.account_id = ann.id;
    assert_int_equal(tars_accounts_grant(world->store, &grant, NULL), TARS_OK);
    assert_int_equal(tars_accounts_key_add(world->store, &key, NULL), TARS_OK);
    assert_int_equal(tars_accounts_audit(world->store, &entry, NULL), TARS_OK);
    assert_int_equal(tars_accounts_count_usage(world->store, "acme",
                                               tars_clock_wall_us() / INT64_C(86400000000), 5,
                                               NULL),
                     TARS_OK);
    (void)snprintf(path, sizeof(path), "%s/acme.jsonl", world->docs);
    assert_int_equal(
        tars_tenant_export(&world->service, "nobody", path, &world->call, &tally, NULL),
        TARS_ENOTFOUND);
    assert_int_equal(tars_tenant_export(&world->service, "acme", path, &world->call, &tally, NULL),
                     TARS_OK);
    assert_int_equal(tars_tenant_export(&world->service, "acme", path, &world->call, &tally, NULL),
                     TARS_EEXIST);
    assert_int_equal(tally.documents, 1);
    assert_int_equal(tally.conversations, 1);
    (void)unlink(tars_arena_printf(&world->arena, "%s/a.txt", world->docs));
    (void)unlink(tars_arena_printf(&world->arena, "%s/b.txt", world->docs));
    for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
        assert_int_equal(files_with(world->docs, there[i]), 1);
    for (size_t i = 0; i < sizeof(absent) / sizeof(absent[0]); i++)
        assert_int_equal(files_with(world->docs, absent[i]), 0);
}

/* More documents than one transaction holds: what came in before there was no room goes again. */
static void a_large_file_is_taken_back(struct world *world)
{
    struct tars_tenant acme = {.name = "acme", .max_documents = TARS_INGEST_BATCH_DOCUMENTS + 10};
    size_t lines = TARS_INGEST_BATCH_DOCUMENTS * (size_t)2;
    size_t line = sizeof("{\"id\":\"000000\",\"text\":\"one\"}\n");
    char *text = tars_arena_alloc(&world->arena, lines * line);
    struct tars_store_stats stats;
    struct tars_store_job job;
    size_t len = 0;

    assert_int_equal(tars_accounts_tenant_set(world->store, &acme, NULL), TARS_OK);
    for (size_t i = 0; i < lines; i++) {
        len += (size_t)snprintf(text + len, line, "{\"id\":\"%06zu\",\"text\":\"one\"}\n", i);
    }
    job = take(world, "acme/default", "large.jsonl", text);
    assert_int_equal(job.state, TARS_JOB_FAILED);
    assert_non_null(strstr(job.error, "may hold"));
    assert_int_equal(tars_store_stats(world->store, &stats, NULL), TARS_OK);
    assert_int_equal(stats.documents, 1);
    assert_int_equal(tars_store_check(world->store, NULL), TARS_OK);
}

static void a_full_tenant_takes_nothing_more(void **state)
{
    struct world *world = *state;
    struct tars_tenant acme = {.name = "acme", .max_documents = 1, .max_bytes = 1000};
    struct tars_store_job job;
    static char large[1200];
    struct tars_collection_size *sizes;
    size_t n;

    memset(large, 'x', sizeof(large) - 1);
    assert_int_equal(tars_accounts_tenant_set(world->store, &acme, NULL), TARS_OK);
    take_ok(world, "acme/default", "a.txt", "The first page.");
    job = take(world, "acme/default", "b.txt", "The second page.");
    assert_int_equal(job.state, TARS_JOB_FAILED);
    assert_non_null(strstr(job.error, "may hold 1 documents"));
    /* What is there may change. */
    take_ok(world, "acme/default", "a.txt", "The first page, in other words.");
    job = take(world, "acme/default", "a.txt", large);
    assert_int_equal(job.state, TARS_JOB_FAILED);
    assert_non_null(strstr(job.error, "may hold 1000 bytes"));
    assert_int_equal(job.attempts, 1);
    /* Many documents in one file: none, not some. */
    job = take(world, "acme/default", "many.jsonl",
               "{\"id\":\"1\",\"text\":\"one\"}\n{\"id\":\"2\",\"text\":\"two\"}\n");
    assert_int_equal(job.state, TARS_JOB_FAILED);
    assert_int_equal(tars_accounts_sizes(world->store, &world->arena, &sizes, &n, NULL), TARS_OK);
    assert_int_equal(n, 1);
    assert_int_equal(sizes[0].documents, 1);
    a_large_file_is_taken_back(world);
    job = take(world, "acme/nowhere", "c.txt", "A page.");
    assert_int_equal(job.state, TARS_JOB_FAILED);
    assert_non_null(strstr(job.error, "no collection"));
}

#define ROW(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROW(nothing_of_a_removed_tenant_is_left),
        ROW(removal_can_be_repeated),
        ROW(an_export_has_everything_but_secrets),
        ROW(a_full_tenant_takes_nothing_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
