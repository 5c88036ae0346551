/* store - durable records behind one interface: documents, passages, vectors, jobs, settings.
 *
 * Model     A file (collection, path) holds documents; a document (collection, path, external_id)
 *           holds passages; a passage has text, a place and the vectors of its windows.
 *
 *               file a.jsonl -> document doc_51.. (external_id "7")  -> passages 901..903
 *                            -> document doc_9e.. (external_id "8")  -> passages 904..904
 *               file b.pdf   -> document doc_07.. (external_id "")   -> passages 905..951
 *
 *           A document keeps its id for ever: "doc_" and 16 hex digits of the SHA-256 of its key.
 *           Passage ids ascend, are contiguous within a document and are never used again: a
 *           document that is replaced gets new ones.
 * Changes   Whatever adds or removes passages writes a change with the next number (seq) in the
 *           same transaction. A reader that remembers the last seq it applied catches up by
 *           tars_store_changes(). An add may name passages that are gone again: skip those.
 * Durable   A function that says so has its effect on disk when it returns TARS_OK. The others
 *           survive a crash of the process, and a power cut may undo the newest of them, in order.
 * Threads   Safe to share. Readers do not wait for writers.
 * Failure   err names the store's file and the remedy where there is one. After any failure the
 *           store is as before the call.
 *
 * Strings in structs are terminated and, where a field's comment does not say otherwise, never
 * NULL in what the store gives, and NULL means "" in what it is given. What a function gives lives
 * in the arena that it was given.
 */
#ifndef TARS_STORE_STORE_H
#define TARS_STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem/arena.h"
#include "base/status.h"

#define TARS_DOCUMENT_ID_BYTES 24               /* "doc_", 16 hex digits, NUL, room */
#define TARS_STORE_SHA_BYTES   65               /* 64 hex digits and a NUL */
#define TARS_COLLECTION        "tars_documents" /* when none is named */

struct tars_store;

/* ------------------------------------------------------------------- records */

/* What tars_store_file_*() tells about one file. */
struct tars_store_file {
    const char *collection;
    const char *path;       /* absolute, or what an upload was called */
    const char *sha256;     /* of the file's bytes, hex; "" while it has never been taken in */
    int64_t size;           /* bytes */
    int64_t modified_us;    /* of the file, since 1970, UTC */
    int64_t indexed_us;     /* when it was acknowledged */
    int64_t document_count; /* set by the store */
    int64_t chunk_count;    /* set by the store */
};

struct tars_store_document {
    char document_id[TARS_DOCUMENT_ID_BYTES]; /* set by the store; see tars_document_id() */
    const char *collection;                   /* "": TARS_COLLECTION */
    const char *path;                         /* as file's */
    const char *external_id;                  /* the file's own id (JSONL), or "" */
    const char *file_name;
    const char *file_type; /* no dot: "pdf" */
    const char *title;     /* "" when unknown */
    int language;          /* enum tars_language of most of its text */
    int64_t file_size;     /* bytes */
    const char *sha256;    /* hex, of the content: same hash, same passages */
    int64_t created_us;
    int64_t modified_us;
    int64_t indexed_us;
    int64_t page_count; /* 0: no pages */
    int64_t word_count;
    int64_t char_count;
    const char *metadata_json; /* object of other fields; "" for none */
    uint64_t passage_first;    /* set by the store; 0 when it has none */
    int64_t chunk_count;       /* passages; their ids are passage_first .. + chunk_count - 1 */
};

struct tars_store_window {
    uint32_t start; /* first byte, in the passage's text */
    uint32_t len;   /* bytes */
};

struct tars_store_passage {
    uint64_t id;                                /* set by the store */
    const struct tars_store_document *document; /* given by the store, shared by its passages */
    char chunk_id[TARS_DOCUMENT_ID_BYTES + 24]; /* set by the store: "<document_id>_chunk_<i>" */
    int chunk_index;                            /* from 0; set by the store */
    int kind;                                   /* enum tars_block_kind */
    int language;                               /* enum tars_language */
    int page_first;                             /* 0: no pages */
    int page_last;
    int token_count;
    size_t char_start; /* characters in the document's text */
    size_t char_end;
    const char *section; /* headings, outermost first, " > " between */
    const char *text;    /* (text_len,) UTF-8, terminated when the store gives it */
    size_t text_len;     /* bytes */
    const struct tars_store_window *windows; /* (window_count,) */
    const float *vectors; /* (window_count, dim) of unit length; NULL when not embedded */
    size_t window_count;
    size_t dim; /* floats of each vector, set by the store when it gives them; else 0 */
};

struct tars_store_passages {
    struct tars_store_passage *items; /* (count,) */
    size_t count;
};

enum tars_change_op {
    TARS_CHANGE_ADD = 1,    /* passages first..last may be there now */
    TARS_CHANGE_REMOVE = 2, /* passages first..last are gone */
};

struct tars_store_change {
    uint64_t seq;
    enum tars_change_op op;
    char document_id[TARS_DOCUMENT_ID_BYTES];
    uint64_t first, last; /* passage ids, both included */
};

struct tars_store_changes {
    struct tars_store_change *items; /* (count,) by seq */
    size_t count;
};

/* ---------------------------------------------------------------------- jobs */

#define TARS_JOB_STATE_LIST(X)        \
    X(TARS_JOB_QUEUED, 1, "queued")   \
    X(TARS_JOB_RUNNING, 2, "running") \
    X(TARS_JOB_DONE, 3, "done")       \
    X(TARS_JOB_FAILED, 4, "failed")   \
    X(TARS_JOB_CANCELLED, 5, "cancelled")

enum tars_job_state {
#define X(name, value, text) name = (value),
    TARS_JOB_STATE_LIST(X)
#undef X
};

const char *tars_job_state_text(enum tars_job_state state);

struct tars_store_job {
    int64_t id;             /* set by the store, ascending */
    const char *kind;       /* "ingest", "forget", "reindex" */
    const char *collection; /* "": TARS_COLLECTION */
    const char *path;       /* what the document will be called */
    const char *spool;      /* where its bytes are, if not at path; "" else */
    int64_t bytes;          /* how many are there; not read back */
    const char *stage;      /* "waiting", "reading", "embedding", ... for people */
    const char *error;      /* why it failed; "" else */
    const char *result;     /* "indexed", "unchanged", "skipped", "failed"; "" before the end */
    double progress;        /* 0..1 */
    int64_t chunks;         /* passages made */
    int64_t not_before_us;  /* not claimed earlier (backoff) */
    int64_t created_us, updated_us, finished_us; /* finished_us is 0 before the end */
    char document_id[TARS_DOCUMENT_ID_BYTES];    /* of a file with one document; "" else */
    enum tars_job_state state;
    int attempts;       /* times it was claimed */
    bool force;         /* take it in even if unchanged */
    bool cancel_wanted; /* somebody asked a running job to stop */
    bool is_copy;       /* set by a claim: spool is a copy that goes when this attempt has ended */
    bool here;          /* while this process is alive no other takes it, where several share the
                           store; not read back */
};

struct tars_store_jobs {
    struct tars_store_job *items; /* (count,) */
    size_t count;
};

/* -------------------------------------------------------------- one batch in */

/* A document to be written. Of document, the fields "set by the store" are ignored. */
struct tars_store_put {
    const struct tars_store_document *document;
    const struct tars_store_passage *passages; /* (passage_count,) in order */
    size_t passage_count;
    bool unchanged; /* the document is there already and stays; passages are ignored */
    void *tag;      /* the caller's; the store does not look at it */
};

/* What one transaction writes. All documents of a batch belong to the file. Documents of the same
 * round (a number the caller picks, different for each pass over the file) are one version of the
 * file; with finish, those of other rounds are removed, and the file counts as taken in. */
struct tars_store_batch {
    const struct tars_store_file *file; /* required; its counts are ignored */
    const struct tars_store_put *puts;  /* (put_count,) */
    size_t put_count;
    int64_t round;
    bool finish;
    size_t dim;                       /* floats in a vector; 0 when no passage has any */
    const struct tars_store_job *job; /* as it was claimed: nothing is written once another has
                                         taken it over; NULL: none */
};

/* -------------------------------------------------------------------- others */

struct tars_store_stats {
    int64_t files;
    int64_t documents;
    int64_t passages;
    int64_t file_bytes;      /* of all files taken in */
    int64_t store_bytes;     /* on disk */
    int64_t last_indexed_us; /* 0: nothing yet */
    uint64_t seq;            /* of the newest change; 0: none */
    int64_t jobs_queued, jobs_running, jobs_failed;
};

/* Which vectors the store holds. */
struct tars_store_model {
    char identity[TARS_STORE_SHA_BYTES]; /* "" when passages have no vectors */
    char name[128];
    int64_t dim;
};

/* Passages first..last, both included, are documents of the collection. */
struct tars_store_run {
    uint64_t first, last;
    const char *collection; /* lent for the call that tells it */
};
/* false: stop. */
typedef bool tars_store_run_fn(void *ctx, const struct tars_store_run *run);

/* Jobs of a collection that are not done. */
struct tars_store_job_count {
    const char *collection;
    int64_t queued, running, failed;
    int64_t oldest_us; /* when the oldest that waits or runs was made; 0: none */
};

enum tars_store_load {
    TARS_LOAD_TEXT = 1,    /* text, section, document */
    TARS_LOAD_VECTORS = 2, /* windows and vectors */
};

/* false: stop. */
typedef bool tars_store_document_fn(void *ctx, const struct tars_store_document *document);

/* Which documents tars_store_documents() gives, by collection, path, external id. */
struct tars_store_document_filter {
    const char *collection; /* NULL: all */
    const char *path;       /* exactly; NULL: all */
    const char *under;      /* path is this folder or below it; NULL: all */
    const char *sha256;     /* NULL: all */
    uint64_t after_passage; /* its passages have ids over this; 0: all, also without passages */
    size_t limit;           /* 0: no limit */
    size_t offset;
};

/* A back end is one const struct of these; see the functions below for what each promises. */
struct tars_store_ops {
    const char *name;  /* "sqlite" */
    bool is_utf8_only; /* in texts and names */
    void (*close)(struct tars_store *store);
    tars_status (*put)(struct tars_store *store, const struct tars_store_batch *batch,
                       struct tars_arena *arena, struct tars_store_changes *changes,
                       struct tars_err *err);
    tars_status (*forget_document)(struct tars_store *store, const char *document_id,
                                   struct tars_arena *arena, struct tars_store_changes *changes,
                                   struct tars_err *err);
    tars_status (*forget_file)(struct tars_store *store, const char *collection, const char *path,
                               struct tars_arena *arena, struct tars_store_changes *changes,
                               struct tars_err *err);
    tars_status (*changes)(struct tars_store *store, uint64_t after, size_t max,
                           struct tars_arena *arena, struct tars_store_changes *out,
                           struct tars_err *err);
    tars_status (*passages)(struct tars_store *store, const uint64_t *ids, size_t n, unsigned load,
                            struct tars_arena *arena, struct tars_store_passages *out,
                            struct tars_err *err);
    tars_status (*passage_range)(struct tars_store *store, uint64_t first, uint64_t last,
                                 size_t max, unsigned load, struct tars_arena *arena,
                                 struct tars_store_passages *out, struct tars_err *err);
    tars_status (*file)(struct tars_store *store, const char *collection, const char *path,
                        struct tars_arena *arena, struct tars_store_file *out,
                        struct tars_err *err);
    tars_status (*files)(struct tars_store *store, const char *collection, const char *under,
                         struct tars_arena *arena, struct tars_store_file **out, size_t *count,
                         struct tars_err *err);
    tars_status (*document)(struct tars_store *store, const char *document_id,
                            struct tars_arena *arena, struct tars_store_document *out,
                            struct tars_err *err);
    tars_status (*documents)(struct tars_store *store,
                             const struct tars_store_document_filter *filter,
                             tars_store_document_fn *each, void *ctx, struct tars_err *err);
    tars_status (*runs)(struct tars_store *store, uint64_t after, tars_store_run_fn *each,
                        void *ctx, struct tars_err *err);
    tars_status (*stats)(struct tars_store *store, struct tars_store_stats *out,
                         struct tars_err *err);
    tars_status (*meta_get)(struct tars_store *store, const char *key, struct tars_arena *arena,
                            const char **value, struct tars_err *err);
    tars_status (*meta_set)(struct tars_store *store, const char *key, const char *value,
                            struct tars_err *err);
    tars_status (*revector)(struct tars_store *store, const struct tars_store_passage *passages,
                            size_t n, size_t dim, struct tars_err *err);
    tars_status (*revector_pending)(struct tars_store *store, uint64_t after, size_t max,
                                    struct tars_arena *arena, struct tars_store_passages *out,
                                    struct tars_err *err);
    tars_status (*revector_swap)(struct tars_store *store, const struct tars_store_model *model,
                                 struct tars_err *err);
    tars_status (*revector_drop)(struct tars_store *store, struct tars_err *err);
    tars_status (*jobs_add)(struct tars_store *store, struct tars_store_job *jobs, size_t n,
                            struct tars_err *err);
    tars_status (*job_claim)(struct tars_store *store, int64_t now_us, struct tars_arena *arena,
                             struct tars_store_job *out, struct tars_err *err);
    tars_status (*job_update)(struct tars_store *store, const struct tars_store_job *job,
                              struct tars_err *err);
    tars_status (*job)(struct tars_store *store, int64_t id, struct tars_arena *arena,
                       struct tars_store_job *out, struct tars_err *err);
    tars_status (*jobs)(struct tars_store *store, int state, int64_t before_id, size_t limit,
                        struct tars_arena *arena, struct tars_store_jobs *out,
                        struct tars_err *err);
    tars_status (*job_cancel)(struct tars_store *store, int64_t id, int64_t now_us,
                              struct tars_err *err);
    tars_status (*job_retry)(struct tars_store *store, int64_t id, int64_t now_us,
                             struct tars_err *err);
    tars_status (*jobs_resume)(struct tars_store *store, size_t *resumed, struct tars_err *err);
    tars_status (*job_release)(struct tars_store *store, int64_t id, struct tars_err *err);
    tars_status (*jobs_prune)(struct tars_store *store, size_t keep, struct tars_err *err);
    tars_status (*jobs_of)(struct tars_store *store, const char *collection, int state,
                           int64_t before_id, size_t limit, struct tars_arena *arena,
                           struct tars_store_jobs *out, struct tars_err *err);
    tars_status (*job_counts)(struct tars_store *store, struct tars_arena *arena,
                              struct tars_store_job_count **counts, size_t *count,
                              struct tars_err *err);
    tars_status (*scrub)(struct tars_store *store, struct tars_err *err);
    tars_status (*checkpoint)(struct tars_store *store, struct tars_err *err);
    tars_status (*backup)(struct tars_store *store, const char *path, struct tars_err *err);
    tars_status (*check)(struct tars_store *store, struct tars_err *err);
    uint64_t (*partial)(struct tars_store *store);      /* NULL: 0 */
    const struct tars_accounts_ops *accounts;           /* accounts.h */
    const struct tars_conversations_ops *conversations; /* conversations.h */
};

/* What every back end's object begins with. */
struct tars_store {
    const struct tars_store_ops *ops;
};

/* out: TARS_DOCUMENT_ID_BYTES. The same key always gives the same id. */
TARS_MUST_USE tars_status tars_document_id(const char *collection, const char *path,
                                           const char *external_id, char *out);

/* False: the store can hold no file of this path, since it is not UTF-8. */
bool tars_store_takes_path(const struct tars_store *store, const char *path);

/* How many reads were answered from less than all that there may be, since the server is away and a
 * copy beside it is not whole. One that is the same before and after lacked nothing. */
uint64_t tars_store_partial(struct tars_store *store);

/* Back ends open themselves (store_sqlite.h); this closes any. NULL is allowed. */
void tars_store_close(struct tars_store *store);

/* Write a batch, durably, and tell the changes it made (in arena, by seq): for each put that is not
 * unchanged a remove of its older version if there was one, then an add if it has passages; with
 * finish, a remove for each document that vanished.
 *
 *   TARS_EINVAL    no file, an unchanged document that is not there, vectors without dim
 *   TARS_ENOTFOUND there is no such collection (accounts.h)
 *   TARS_EDENIED   its tenant is disabled
 *   TARS_EQUOTA    its tenant would hold more documents or bytes than it may, and more than before
 *   TARS_ECANCELED the batch's job is another server's by now
 *   TARS_EBUSY     an earlier job of the file is at work
 *   TARS_ETOOBIG   a text or metadata past 1 GB
 *   TARS_EIO       disk full or broken
 */
TARS_MUST_USE tars_status tars_store_put(struct tars_store *store,
                                         const struct tars_store_batch *batch,
                                         struct tars_arena *arena,
                                         struct tars_store_changes *changes, struct tars_err *err);

/* Remove a document, or a file with all its documents, durably. ENOTFOUND. */
TARS_MUST_USE tars_status tars_store_forget_document(struct tars_store *store,
                                                     const char *document_id,
                                                     struct tars_arena *arena,
                                                     struct tars_store_changes *changes,
                                                     struct tars_err *err);
TARS_MUST_USE tars_status tars_store_forget_file(struct tars_store *store, const char *collection,
                                                 const char *path, struct tars_arena *arena,
                                                 struct tars_store_changes *changes,
                                                 struct tars_err *err);

/* The changes after seq, at most max, oldest first; none left: count 0. */
TARS_MUST_USE tars_status tars_store_changes(struct tars_store *store, uint64_t after, size_t max,
                                             struct tars_arena *arena,
                                             struct tars_store_changes *out, struct tars_err *err);

/* The passages of ids, in the order of ids; those that are gone are left out. load is a sum of enum
 * tars_store_load. */
TARS_MUST_USE tars_status tars_store_passages(struct tars_store *store, const uint64_t *ids,
                                              size_t n, unsigned load, struct tars_arena *arena,
                                              struct tars_store_passages *out,
                                              struct tars_err *err);
/* Passages first..last that are there, ascending, at most max. */
TARS_MUST_USE tars_status tars_store_passage_range(struct tars_store *store, uint64_t first,
                                                   uint64_t last, size_t max, unsigned load,
                                                   struct tars_arena *arena,
                                                   struct tars_store_passages *out,
                                                   struct tars_err *err);

/* A file that was taken in as a whole. ENOTFOUND. */
TARS_MUST_USE tars_status tars_store_file(struct tars_store *store, const char *collection,
                                          const char *path, struct tars_arena *arena,
                                          struct tars_store_file *out, struct tars_err *err);
/* Files, by path. collection NULL: of all; under NULL: anywhere, else a folder (or file). */
TARS_MUST_USE tars_status tars_store_files(struct tars_store *store, const char *collection,
                                           const char *under, struct tars_arena *arena,
                                           struct tars_store_file **out, size_t *count,
                                           struct tars_err *err);

/* ENOTFOUND. */
TARS_MUST_USE tars_status tars_store_document(struct tars_store *store, const char *document_id,
                                              struct tars_arena *arena,
                                              struct tars_store_document *out,
                                              struct tars_err *err);
/* Calls each(ctx, document) by path and external id; the document is lent for the call. Do not call
 * the store from each for long: the read transaction stays open. filter NULL: all. */
TARS_MUST_USE tars_status tars_store_documents(struct tars_store *store,
                                               const struct tars_store_document_filter *filter,
                                               tars_store_document_fn *each, void *ctx,
                                               struct tars_err *err);

/* Which collection each passage with an id over after is of, ascending, a document at a time,
 * without a look into the documents. A passage's collection never changes. */
TARS_MUST_USE tars_status tars_store_runs(struct tars_store *store, uint64_t after,
                                          tars_store_run_fn *each, void *ctx, struct tars_err *err);

TARS_MUST_USE tars_status tars_store_stats(struct tars_store *store, struct tars_store_stats *out,
                                           struct tars_err *err);

/* A small setting of the store. ENOTFOUND. Keys with a dot are the program's ("embed.identity"). */
TARS_MUST_USE tars_status tars_store_meta_get(struct tars_store *store, const char *key,
                                              struct tars_arena *arena, const char **value,
                                              struct tars_err *err);
/* Durable. value NULL removes it. */
TARS_MUST_USE tars_status tars_store_meta_set(struct tars_store *store, const char *key,
                                              const char *value, struct tars_err *err);

/* For back ends: vectors of so many bytes were read; what is not a vector for each window is none.
 */
void tars_store_measure(struct tars_store_passage *passage, size_t vectors_len);

/* The model of the vectors. TARS_OK with identity "" when there are none yet. */
TARS_MUST_USE tars_status tars_store_model(struct tars_store *store, struct tars_store_model *out,
                                           struct tars_err *err);
/* Say which model vectors will be of, when the store holds none; or check it against what it holds.
 *
 *   TARS_EMISMATCH   the store holds vectors of another model, or passages without vectors; err
 *                    names both and the remedy (tars reindex)
 */
TARS_MUST_USE tars_status tars_store_model_claim(struct tars_store *store,
                                                 const struct tars_store_model *model,
                                                 struct tars_err *err);

/* Vectors of another model, in three steps: write them beside the present ones (id, windows,
 * vectors of each passage; again and again, resumable), ask which passages still lack one, then
 * swap all at once, durably. Swapping fails with TARS_EAGAIN while a passage lacks one. */
TARS_MUST_USE tars_status tars_store_revector(struct tars_store *store,
                                              const struct tars_store_passage *passages, size_t n,
                                              size_t dim, struct tars_err *err);
/* Passages with an id over after that lack a new vector, with their text, at most max. */
TARS_MUST_USE tars_status tars_store_revector_pending(struct tars_store *store, uint64_t after,
                                                      size_t max, struct tars_arena *arena,
                                                      struct tars_store_passages *out,
                                                      struct tars_err *err);
TARS_MUST_USE tars_status tars_store_revector_swap(struct tars_store *store,
                                                   const struct tars_store_model *model,
                                                   struct tars_err *err);
/* Throw the new vectors away. */
TARS_MUST_USE tars_status tars_store_revector_drop(struct tars_store *store, struct tars_err *err);

/* Queue jobs, durably, all or none: of each, kind, collection, path, spool, bytes, force, here and
 * not_before_us are read; id, state and times (created_us is read) are set. With a spool it is an
 * upload, which counts against the limits of its tenant from now on: EQUOTA, EDENIED (the tenant
 * is disabled), ENOTFOUND (no such collection). */
TARS_MUST_USE tars_status tars_store_jobs_add(struct tars_store *store, struct tars_store_job *jobs,
                                              size_t n, struct tars_err *err);
/* The oldest queued job that is due becomes running, attempts + 1; none while an earlier one of the
 * same file waits or runs. ENOTFOUND when none is. */
TARS_MUST_USE tars_status tars_store_job_claim(struct tars_store *store, int64_t now_us,
                                               struct tars_arena *arena, struct tars_store_job *out,
                                               struct tars_err *err);
/* Write state, stage, progress, error, result, document_id, chunks, not_before_us, updated_us,
 * finished_us of job->id. A job that was cancelled meanwhile while queued is left alone. ECANCELED:
 * so is, where processes share the store, one that was claimed again since. Durable for an upload
 * that is done, since its bytes may go then. */
TARS_MUST_USE tars_status tars_store_job_update(struct tars_store *store,
                                                const struct tars_store_job *job,
                                                struct tars_err *err);
/* ENOTFOUND. */
TARS_MUST_USE tars_status tars_store_job(struct tars_store *store, int64_t id,
                                         struct tars_arena *arena, struct tars_store_job *out,
                                         struct tars_err *err);
/* Newest first. state 0: all; before_id 0: from the newest. */
TARS_MUST_USE tars_status tars_store_jobs(struct tars_store *store, int state, int64_t before_id,
                                          size_t limit, struct tars_arena *arena,
                                          struct tars_store_jobs *out, struct tars_err *err);
/* Likewise, of one collection. */
TARS_MUST_USE tars_status tars_store_jobs_of(struct tars_store *store, const char *collection,
                                             int state, int64_t before_id, size_t limit,
                                             struct tars_arena *arena, struct tars_store_jobs *out,
                                             struct tars_err *err);
/* Of each collection that has any. */
TARS_MUST_USE tars_status tars_store_job_counts(struct tars_store *store, struct tars_arena *arena,
                                                struct tars_store_job_count **counts, size_t *count,
                                                struct tars_err *err);
/* A queued job becomes cancelled; a running one gets cancel_wanted. Durable.
 * ENOTFOUND; EINVAL when it has ended already. */
TARS_MUST_USE tars_status tars_store_job_cancel(struct tars_store *store, int64_t id,
                                                int64_t now_us, struct tars_err *err);
/* A failed or cancelled job is queued again, attempts from 0. Durable. ENOTFOUND, EINVAL. */
TARS_MUST_USE tars_status tars_store_job_retry(struct tars_store *store, int64_t id, int64_t now_us,
                                               struct tars_err *err);
/* At start: what was running when the process died is queued again. */
TARS_MUST_USE tars_status tars_store_jobs_resume(struct tars_store *store, size_t *resumed,
                                                 struct tars_err *err);
/* A job that this process claimed is queued again, if it is running: nobody knows of it, since the
 * answer to the claim was lost. One of another process is left alone. */
TARS_MUST_USE tars_status tars_store_job_release(struct tars_store *store, int64_t id,
                                                 struct tars_err *err);
/* Forget ended jobs but the newest keep. */
TARS_MUST_USE tars_status tars_store_jobs_prune(struct tars_store *store, size_t keep,
                                                struct tars_err *err);

/* Housekeeping off the request path: move the log into the main file. Never waits for readers. */
TARS_MUST_USE tars_status tars_store_checkpoint(struct tars_store *store, struct tars_err *err);
/* Write the files anew, so that what was removed cannot be read from them any more. Slow; writers
 * wait meanwhile; needs as much room again on the disk. TARS_EBUSY: a reader was at it for too
 * long. */
TARS_MUST_USE tars_status tars_store_scrub(struct tars_store *store, struct tars_err *err);
/* A consistent copy while others read and write. EEXIST when path is there. */
TARS_MUST_USE tars_status tars_store_backup(struct tars_store *store, const char *path,
                                            struct tars_err *err);
/* Read everything and check that it hangs together; EFORMAT with the first finding. Slow. */
TARS_MUST_USE tars_status tars_store_check(struct tars_store *store, struct tars_err *err);

#endif
