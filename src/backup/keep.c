/* keep - see keep.h for the contract. */
#include "backup/keep.h"

#include "backup/names.h"

#define ARENA_MAX ((size_t)256 << 20)

static tars_status check_stop(const struct tars_pack_watch *watch, struct tars_err *err)
{
    return watch->stop && atomic_load_explicit(watch->stop, memory_order_relaxed)
               ? tars_fail(TARS_ECANCELED, err, "stopped")
               : TARS_OK;
}

/* ---------------------------------------------------------------- verifying */

struct verify {
    struct tars_repo *repo;
    const struct tars_pack_watch *watch;
    tars_keep_finding_fn *finding;
    void *ctx;
    const char *backup; /* the one that is looked at */
    bool is_bad;        /* it is */
    struct tars_names seen;
    struct tars_buf plain;
    struct tars_keep_verified counts;
};

static bool is_finding(tars_status status)
{
    return status == TARS_EFORMAT || status == TARS_EDENIED || status == TARS_ENOTFOUND ||
           status == TARS_EUNSUPPORTED || status == TARS_ETOOBIG || status == TARS_EIO;
}

static void find(struct verify *verify, const char *words)
{
    verify->is_bad = true;
    verify->finding(verify->ctx, verify->backup, words);
}

/* A tars_pack_each_fn. An object that is damaged is told once, and its other backups are bad too.
 */
static tars_status verify_one(void *ctx, const struct tars_object_name *name, size_t bytes,
                              struct tars_err *err)
{
    struct verify *verify = ctx;
    struct tars_names_entry *entry;
    struct tars_err why = {{0}};
    bool is_new = false;
    tars_status status = tars_names_add(&verify->seen, name, &entry, &is_new);

    if (status != TARS_OK)
        return tars_fail(status, err, "no memory for the names of objects");
    if (is_new) {
        tars_buf_clear(&verify->plain);
        status = tars_repo_get(verify->repo, name, &verify->plain, &why);
        if (status != TARS_OK && !is_finding(status))
            return tars_fail(status, err, "%s", why.text);
        entry->is_bad = status != TARS_OK;
        entry->bytes = (uint32_t)verify->plain.len;
        verify->counts.objects++;
        verify->counts.bytes += verify->plain.len;
        verify->counts.bad_objects += entry->is_bad;
        if (entry->is_bad)
            find(verify, why.text);
        if (verify->watch->step)
            verify->watch->step(verify->watch->ctx, bytes);
    } else if (entry->is_bad) {
        verify->is_bad = true;
    }
    if (!entry->is_bad && entry->bytes != bytes)
        find(verify, "an object has another length than the manifest says");
    return check_stop(verify->watch, err);
}

static tars_status verify_backup(struct verify *verify, struct tars_arena *arena,
                                 struct tars_err *err)
{
    struct tars_manifest manifest;
    struct tars_err why = {{0}};
    tars_status status = tars_repo_manifest(verify->repo, verify->backup, arena, &manifest, &why);

    if (is_finding(status)) {
        verify->counts.bad_objects++;
        find(verify, why.text);
        return TARS_OK;
    }
    for (size_t i = 0; status == TARS_OK && i < manifest.file_count; i++) {
        why.text[0] = '\0';
        status = tars_pack_each(verify->repo, &manifest.files[i], verify_one, verify, &why);
        if (is_finding(status)) { /* of a list: its chunks are not known */
            verify->counts.bad_objects++;
            find(verify, why.text);
            status = TARS_OK;
        }
    }
    return status == TARS_OK ? TARS_OK : tars_fail(status, err, "%s", why.text);
}

tars_status tars_keep_verify(struct tars_repo *repo, tars_keep_finding_fn *finding, void *ctx,
                             const struct tars_pack_watch *watch, struct tars_keep_verified *out,
                             struct tars_err *err)
{
    struct verify verify = {.repo = repo, .watch = watch, .finding = finding, .ctx = ctx};
    struct tars_arena names;
    struct tars_arena arena;
    const char **ids = NULL;
    size_t count = 0;
    tars_status status;

    tars_names_init(&verify.seen);
    tars_buf_init(&verify.plain, TARS_OBJECT_PLAIN_MAX + 1);
    tars_arena_init(&names, ARENA_MAX);
    tars_arena_init(&arena, ARENA_MAX);
    status = tars_repo_ids(repo, &names, &ids, &count, err);
    for (size_t i = 0; status == TARS_OK && i < count; i++) {
        tars_arena_clear(&arena);
        verify.backup = ids[i];
        verify.is_bad = false;
        status = verify_backup(&verify, &arena, err);
        verify.counts.backups++;
        verify.counts.bad_backups += verify.is_bad;
    }
    tars_arena_release(&arena);
    tars_arena_release(&names);
    tars_buf_release(&verify.plain);
    tars_names_release(&verify.seen);
    if (status == TARS_OK)
        *out = verify.counts;
    return status;
}

/* ------------------------------------------------------------------ pruning */

struct prune {
    struct tars_repo *repo;
    const struct tars_pack_watch *watch;
    struct tars_names needed;
    struct tars_keep_pruned counts;
    struct tars_err *err;
    tars_status status;
};

/* A tars_pack_each_fn. */
static tars_status need(void *ctx, const struct tars_object_name *name, size_t bytes,
                        struct tars_err *err)
{
    struct prune *prune = ctx;
    struct tars_names_entry *entry;
    bool is_new;
    tars_status status = tars_names_add(&prune->needed, name, &entry, &is_new);

    (void)bytes;
    return status == TARS_OK ? check_stop(prune->watch, err)
                             : tars_fail(status, err, "no memory for the names of objects");
}

static tars_status need_backup(struct prune *prune, const char *id, struct tars_arena *arena,
                               struct tars_err *err)
{
    struct tars_manifest manifest;
    tars_status status = tars_repo_manifest(prune->repo, id, arena, &manifest, err);

    for (size_t i = 0; status == TARS_OK && i < manifest.file_count; i++)
        status = tars_pack_each(prune->repo, &manifest.files[i], need, prune, err);
    return status;
}

/* A tars_repo_each_fn. */
static bool sweep_one(void *ctx, const struct tars_repo_object *object)
{
    struct prune *prune = ctx;
    bool is_needed = tars_names_find(&prune->needed, &object->name) != NULL;

    /* A bad one stays while it is all that there is. */
    if (is_needed && (!object->is_bad || !tars_repo_has(prune->repo, &object->name)))
        return true;
    prune->status = tars_repo_drop(prune->repo, object, prune->err);
    if (prune->status == TARS_OK) {
        prune->counts.removed_objects++;
        prune->counts.freed_bytes += object->bytes;
        prune->status = check_stop(prune->watch, prune->err);
    }
    return prune->status == TARS_OK;
}

static tars_status prune_all(struct prune *prune, const char **ids, size_t count, size_t keep,
                             struct tars_err *err)
{
    size_t first = count > keep ? count - keep : 0;
    struct tars_arena arena;
    tars_status status = TARS_OK;

    tars_arena_init(&arena, ARENA_MAX);
    for (size_t i = first; status == TARS_OK && i < count; i++) {
        tars_arena_clear(&arena);
        status = need_backup(prune, ids[i], &arena, err);
    }
    tars_arena_release(&arena);
    for (size_t i = 0; status == TARS_OK && i < first; i++) {
        status = tars_repo_remove(prune->repo, ids[i], err);
        prune->counts.removed += status == TARS_OK;
    }
    prune->counts.kept = count - first;
    if (status == TARS_OK)
        status = tars_repo_tidy(prune->repo, err);
    if (status == TARS_OK)
        status = tars_repo_each(prune->repo, sweep_one, prune, err);
    return status == TARS_OK ? prune->status : status;
}

tars_status tars_keep_prune(struct tars_repo *repo, size_t keep,
                            const struct tars_pack_watch *watch, struct tars_keep_pruned *out,
                            struct tars_err *err)
{
    struct prune prune = {.repo = repo, .watch = watch, .err = err};
    struct tars_arena names;
    const char **ids = NULL;
    size_t count = 0;
    tars_status status;

    if (keep == 0)
        return tars_fail(TARS_EINVAL, err, "at least one backup is kept");
    tars_names_init(&prune.needed);
    tars_arena_init(&names, ARENA_MAX);
    status = tars_repo_ids(repo, &names, &ids, &count, err);
    if (status == TARS_OK)
        status = prune_all(&prune, ids, count, keep, err);
    tars_arena_release(&names);
    tars_names_release(&prune.needed);
    if (status == TARS_OK)
        *out = prune.counts;
    return status;
}
