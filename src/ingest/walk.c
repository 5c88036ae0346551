/* walk - see walk.h for the contract. */
#include "ingest/walk.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ingest/ingest.h"
#include "ingest/ingest_internal.h"

#define TREE_BYTES     ((size_t)1 << 28)
#define SUBMIT_AT_ONCE 256

struct walk {
    tars_walk_fn *each;
    void *ctx;
    bool stopped;
};

static int is_shown(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static enum tars_walk_kind kind_of(const char *path)
{
    struct stat st;

    if (lstat(path, &st) != 0)
        return TARS_WALK_OTHER;
    if (S_ISDIR(st.st_mode))
        return TARS_WALK_FOLDER;
    return S_ISREG(st.st_mode) ? TARS_WALK_FILE : TARS_WALK_OTHER;
}

static void visit(struct walk *walk, const char *path, int depth);

/* What is in a folder. -1: it cannot be read. */
static int list(struct walk *walk, const char *path, int depth) /* NOLINT(misc-no-recursion) */
{
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, is_shown, alphasort);
    size_t path_len = strlen(path);

    for (int i = 0; i < n; i++) {
        size_t size = path_len + strlen(entries[i]->d_name) + 2;
        char *below = walk->stopped ? NULL : malloc(size);

        if (below) {
            (void)snprintf(below, size, "%s%s%s", path, path[path_len - 1] == '/' ? "" : "/",
                           entries[i]->d_name);
            visit(walk, below, depth + 1);
        }
        free(below);
        free(entries[i]);
    }
    free(entries);
    return n < 0 ? -1 : 0;
}

static void visit(struct walk *walk, const char *path, int depth) /* NOLINT(misc-no-recursion) */
{
    enum tars_walk_kind kind = kind_of(path);

    if (!walk->each(walk->ctx, path, kind)) {
        walk->stopped = true;
        return;
    }
    if (kind == TARS_WALK_FOLDER && depth < TARS_WALK_DEPTH_MAX)
        (void)list(walk, path, depth);
}

tars_status tars_walk(const char *path, tars_walk_fn *each, void *ctx, struct tars_err *err)
{
    struct walk walk = {.each = each, .ctx = ctx};

    if (!each(ctx, path, TARS_WALK_FOLDER))
        return TARS_OK;
    if (list(&walk, path, 0) == 0)
        return TARS_OK;
    if (errno == ENOENT || errno == ENOTDIR)
        return tars_fail(TARS_ENOTFOUND, err, "there is no folder %s", path);
    return tars_fail(errno == EACCES ? TARS_EDENIED : TARS_EIO, err, "cannot look into %s: %s",
                     path, strerror(errno));
}

/* --------------------------------------------------------- submitting a tree */

struct tree {
    struct tars_ingest *ingest;
    const struct tars_ingest_tree *config;
    struct tars_ingest_request requests[SUBMIT_AT_ONCE];
    size_t waiting; /* of requests; their paths are owned */
    size_t submitted;
    tars_status status;
    struct tars_err *err;
};

static void submit_waiting(struct tree *tree)
{
    if (tree->waiting && !tree->status) {
        tree->status =
            tars_ingest_submit(tree->ingest, tree->requests, tree->waiting, NULL, tree->err);
    }
    tree->submitted += tree->status ? 0 : tree->waiting;
    for (size_t i = 0; i < tree->waiting; i++)
        free((char *)tree->requests[i].path);
    tree->waiting = 0;
}

static void tell_skipped(struct tree *tree, const char *path, const char *format, const char *what)
{
    struct tars_err reason = {.text = ""};
    struct tars_ingest *ingest = tree->ingest;
    struct tars_ingest_event event = {.collection = tree->config->collection,
                                      .path = path,
                                      .outcome = TARS_INGEST_SKIPPED,
                                      .status = TARS_EUNSUPPORTED,
                                      .document_id = ""};

    (void)snprintf(reason.text, sizeof(reason.text), "%s%s", format, what);
    event.reason = reason.text;
    pthread_mutex_lock(&ingest->lock);
    ingest->stats.files_skipped++;
    pthread_mutex_unlock(&ingest->lock);
    tars_ingest_tell(ingest, &event);
}

static bool take(void *ctx, const char *path, enum tars_walk_kind kind)
{
    struct tree *tree = ctx;
    const char *dot = strrchr(path, '.');
    char *copy;

    if (kind == TARS_WALK_FOLDER)
        return true;
    if (kind == TARS_WALK_OTHER) {
        tell_skipped(tree, path, "Not a file: a link or a device", "");
        return true;
    }
    if (!tars_store_takes_path(tree->ingest->config.store, path)) {
        tell_skipped(tree, path, "Invalid file: its name is not UTF-8", "");
        return true;
    }
    if (!tars_ingest_takes(tree->ingest->config.extensions, path)) {
        tell_skipped(tree, path, "Invalid file: Unsupported file type: ",
                     dot && !strchr(dot, '/') ? dot : "(none)");
        return true;
    }
    copy = strdup(path);
    if (!copy) {
        tree->status = tars_fail(TARS_ENOMEM, tree->err, "no memory to look through a folder");
        return false;
    }
    tree->requests[tree->waiting++] =
        (struct tars_ingest_request){.collection = tree->config->collection,
                                     .path = copy,
                                     .force = tree->config->force,
                                     .here = tree->config->here};
    if (tree->waiting == SUBMIT_AT_ONCE)
        submit_waiting(tree);
    return tree->status == TARS_OK;
}

tars_status tars_ingest_forget_missing(struct tars_ingest *ingest, const char *collection,
                                       const char *path, int64_t *forgotten, struct tars_err *err)
{
    struct tars_store_file *files = NULL;
    struct tars_arena arena;
    size_t n = 0;
    tars_status status;

    tars_arena_init(&arena, TREE_BYTES);
    status = tars_store_files(ingest->config.store, collection, path, &arena, &files, &n, err);
    for (size_t i = 0; !status && i < n; i++) {
        struct tars_ingest_event event = {.collection = collection,
                                          .path = files[i].path,
                                          .outcome = TARS_INGEST_FORGOTTEN,
                                          .reason = "the file is gone",
                                          .document_id = ""};
        struct stat st;

        if (lstat(files[i].path, &st) == 0 || (errno != ENOENT && errno != ENOTDIR))
            continue;
        status = tars_ingest_forget_path(ingest, collection, files[i].path, &event.documents,
                                         &event.chunks, err);
        if (!status) {
            tars_ingest_tell(ingest, &event);
            ++*forgotten;
        }
    }
    tars_arena_release(&arena);
    return status;
}

static tars_status submit_path(struct tree *tree, char *path, bool is_folder)
{
    const struct tars_ingest_tree *config = tree->config;
    int64_t forgotten = 0;

    if (is_folder) {
        tree->status = tars_walk(path, take, tree, tree->err);
    } else {
        /* Named by hand: whatever it is, its job says how it ended. */
        tree->requests[tree->waiting++] =
            (struct tars_ingest_request){.collection = config->collection,
                                         .path = strdup(path),
                                         .force = config->force,
                                         .here = config->here};
    }
    submit_waiting(tree);
    if (!tree->status && is_folder && config->forget_missing) {
        tree->status = tars_ingest_forget_missing(
            tree->ingest, config->collection ? config->collection : TARS_COLLECTION, path,
            &forgotten, tree->err);
    }
    return tree->status;
}

tars_status tars_ingest_submit_tree(struct tars_ingest *ingest,
                                    const struct tars_ingest_tree *config, size_t *submitted,
                                    struct tars_err *err)
{
    char *path = realpath(config->path, NULL);
    struct tree *tree;
    struct stat st = {0};
    tars_status status;

    if (!path || stat(path, &st) != 0) {
        free(path);
        return tars_fail(TARS_ENOTFOUND, err, "Invalid file: File not found: %s", config->path);
    }
    tree = calloc(1, sizeof(*tree));
    if (!tree) {
        free(path);
        return tars_fail(TARS_ENOMEM, err, "no memory to look through a folder");
    }
    tree->ingest = ingest;
    tree->config = config;
    tree->err = err;
    status = submit_path(tree, path, S_ISDIR(st.st_mode));
    *submitted = tree->submitted;
    free(path);
    free(tree);
    return status;
}
