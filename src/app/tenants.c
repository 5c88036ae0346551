/* tenants - see tenants.h. Removal; the export is in tenant_export.c. */
#include "app/tenants.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "analytics/analytics.h"
#include "app/service.h"
#include "base/sys/clock.h"
#include "cache/cache.h"
#include "ingest/ingest.h"
#include "store/accounts.h"
#include "store/conversations.h"

#define SCRUB_OWED                                                                \
    "tenants.scrub" /* in the store: a removal has begun and nothing was scrubbed \
                     */
#define PAGE        256
#define WAIT_MS     60000 /* for a running job to stop */
#define STEP_MS     20
#define NS_PER_MS   INT64_C(1000000)
#define ARENA_BYTES ((size_t)1 << 30)

struct removal {
    const struct tars_service *service;
    const char *tenant;
    struct tars_call *call;
    struct tars_arena *arena; /* cleared by each step */
    struct tars_tenant_tally tally;
    struct tars_err *err;
};

static void nap(void)
{
    const struct timespec step = {.tv_nsec = STEP_MS * NS_PER_MS};

    (void)nanosleep(&step, NULL);
}

/* ------------------------------------------------------------------ disable */

static tars_status disable(struct removal *removal)
{
    struct tars_store *store = removal->service->store;
    struct tars_access access = {0};
    tars_status status = tars_accounts_load(store, removal->arena, &access, removal->err);

    for (size_t i = 0; status == TARS_OK && i < access.tenant_count; i++) {
        if (strcmp(access.tenants[i].name, removal->tenant) != 0)
            continue;
        access.tenants[i].disabled = true;
        return tars_accounts_tenant_set(store, &access.tenants[i], removal->err);
    }
    if (status != TARS_OK)
        return status;
    return tars_fail(TARS_ENOTFOUND, removal->err, "there is no tenant %s", removal->tenant);
}

/* --------------------------------------------------------------------- jobs */

/* Stop what waits or runs. One that has ended meanwhile cannot be stopped, which is as good. */
static tars_status cancel_jobs(struct removal *removal, const char *key, bool *running)
{
    static const int states[] = {TARS_JOB_QUEUED, TARS_JOB_RUNNING};
    const struct tars_service *service = removal->service;
    tars_status status = TARS_OK;

    *running = false;
    for (size_t s = 0; s < 2; s++) {
        struct tars_store_jobs jobs = {0};
        int64_t before = 0;

        do {
            tars_arena_clear(removal->arena);
            status = tars_store_jobs_of(service->store, key, states[s], before, PAGE,
                                        removal->arena, &jobs, removal->err);
            for (size_t i = 0; status == TARS_OK && i < jobs.count; i++) {
                before = jobs.items[i].id;
                removal->tally.jobs++;
                (void)!tars_ingest_cancel(service->ingest, before, NULL);
            }
            *running = *running || (status == TARS_OK && jobs.count > 0);
        } while (status == TARS_OK && jobs.count > 0);
    }
    return status;
}

static tars_status stop_jobs(struct removal *removal, const char *key)
{
    int64_t deadline = tars_clock_mono_ms() + WAIT_MS;
    bool running = true;
    tars_status status = TARS_OK;

    while (status == TARS_OK && running) {
        status = cancel_jobs(removal, key, &running);
        if (status == TARS_OK && running && tars_clock_mono_ms() > deadline) {
            return tars_fail(TARS_EBUSY, removal->err,
                             "a job of tenant %s does not stop; try again", removal->tenant);
        }
        if (running)
            nap();
    }
    return status;
}

/* Bytes of uploads whose jobs failed or were cancelled. */
static tars_status remove_uploads(struct removal *removal, const char *key)
{
    struct tars_store_jobs jobs = {0};
    int64_t before = 0;
    tars_status status;

    do {
        tars_arena_clear(removal->arena);
        status = tars_store_jobs_of(removal->service->store, key, 0, before, PAGE, removal->arena,
                                    &jobs, removal->err);
        for (size_t i = 0; status == TARS_OK && i < jobs.count; i++) {
            before = jobs.items[i].id;
            if (jobs.items[i].spool[0])
                (void)unlink(jobs.items[i].spool);
        }
    } while (status == TARS_OK && jobs.count > 0);
    return status;
}

/* ---------------------------------------------------------------- documents */

struct ids {
    char (*items)[TARS_DOCUMENT_ID_BYTES]; /* (PAGE,) */
    size_t count;
};

static bool note_id(void *ctx, const struct tars_store_document *document)
{
    struct ids *ids = ctx;

    memcpy(ids->items[ids->count++], document->document_id, TARS_DOCUMENT_ID_BYTES);
    return ids->count < PAGE;
}

/* What belongs to files that never were complete. */
static tars_status forget_rest(struct removal *removal, const char *key)
{
    const struct tars_service *service = removal->service;
    const struct tars_store_document_filter filter = {.collection = key, .limit = PAGE};
    struct ids ids = {0};
    tars_status status;

    tars_arena_clear(removal->arena);
    ids.items = tars_arena_calloc(removal->arena, PAGE, sizeof(*ids.items));
    if (!ids.items)
        return tars_fail(TARS_ENOMEM, removal->err, "no memory to forget documents");
    do {
        ids.count = 0;
        status = tars_store_documents(service->store, &filter, note_id, &ids, removal->err);
        for (size_t i = 0; status == TARS_OK && i < ids.count; i++) {
            int64_t chunks = 0;

            status = tars_ingest_forget(service->ingest, ids.items[i], &chunks, removal->err);
            removal->tally.documents += status == TARS_OK;
            removal->tally.chunks += chunks;
        }
    } while (status == TARS_OK && ids.count > 0);
    return status;
}

static tars_status empty_collection(struct removal *removal, const char *key)
{
    int64_t documents = 0;
    int64_t chunks = 0;
    tars_status status = stop_jobs(removal, key);

    if (status == TARS_OK)
        status = remove_uploads(removal, key);
    if (status == TARS_OK) {
        status = tars_ingest_forget_path(removal->service->ingest, key, NULL, &documents, &chunks,
                                         removal->err);
    }
    if (status != TARS_OK && status != TARS_ENOTFOUND)
        return status;
    removal->tally.documents += documents;
    removal->tally.chunks += chunks;
    return forget_rest(removal, key);
}

static tars_status empty_all(struct removal *removal)
{
    struct tars_access access = {0};
    struct tars_arena arena;
    tars_status status;

    tars_arena_init(&arena, ARENA_BYTES);
    status = tars_accounts_load(removal->service->store, &arena, &access, removal->err);
    for (size_t i = 0; status == TARS_OK && i < access.collection_count; i++) {
        if (strcmp(access.collections[i].tenant, removal->tenant) == 0)
            status = empty_collection(removal, access.collections[i].key);
    }
    tars_arena_release(&arena);
    return status;
}

/* ------------------------------------------------------------------ in order */

tars_status tars_tenant_empty(void *ctx, const char *tenant, struct tars_call *call,
                              struct tars_tenant_tally *tally, struct tars_err *err)
{
    const struct tars_service *service = ctx;
    struct tars_arena arena;
    struct removal removal = {
        .service = service, .tenant = tenant, .call = call, .arena = &arena, .err = err};
    struct tars_conversation_stats stats = {0};
    tars_status status;

    if (strcmp(tenant, TARS_TENANT) == 0)
        return tars_fail(TARS_EINVAL, err, "tenant %s cannot be removed", TARS_TENANT);
    tars_arena_init(&arena, ARENA_BYTES);
    status = disable(&removal);
    if (status == TARS_OK)
        status = tars_store_meta_set(service->store, SCRUB_OWED, "1", err);
    if (status == TARS_OK)
        status = tars_conversation_stats(service->store, tenant, &stats, err);
    if (status == TARS_OK)
        status = empty_all(&removal);
    if (status == TARS_OK)
        status = tars_analytics_clear(service->analytics, tenant, err);
    tars_arena_release(&arena);
    if (status != TARS_OK)
        return status;
    (void)tars_cache_clear(service->cache, TARS_CACHE_KINDS);
    removal.tally.conversations = stats.conversations;
    *tally = removal.tally;
    return TARS_OK;
}

tars_status tars_tenant_scrub(void *ctx, struct tars_err *err)
{
    const struct tars_service *service = ctx;
    tars_status status = tars_ingest_save_now(service->ingest, err);

    if (status == TARS_OK)
        status = tars_store_scrub(service->store, err);
    if (status == TARS_OK)
        status = tars_store_meta_set(service->store, SCRUB_OWED, NULL, err);
    return status;
}

tars_status tars_tenants_settle(struct tars_service *service, struct tars_err *err)
{
    struct tars_arena arena;
    const char *owed;
    tars_status status;

    tars_arena_init(&arena, (size_t)1 << 16);
    status = tars_store_meta_get(service->store, SCRUB_OWED, &arena, &owed, NULL);
    tars_arena_release(&arena);
    if (status == TARS_ENOTFOUND)
        return TARS_OK;
    return status == TARS_OK ? tars_tenant_scrub(service, err) : status;
}
