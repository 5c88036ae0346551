/* ingest - a file from arrival to searchable, once, whatever happens on the way.
 *
 *     submit -> job row on disk -> reader thread: checks, SHA-256, extraction, chunks, terms
 *                                       |  a bounded hand-over, so that the next file is read
 *                                       v  while this one is embedded
 *                                  writer thread: vectors -> one transaction -> index -> event
 *
 * Model     Work is jobs in the store; nothing that was submitted is lost. A job that was running
 *           when the process died runs again, and finds what it had finished unchanged. A file that
 *           fails costs no other file anything. Faults that may pass (no memory, a disk error, a
 *           child that cannot start) are tried again, three times, with growing pauses.
 * Index     The writer thread is the only one that changes the index; forgetting goes through the
 *           same lock. Order: transaction, then index, then publish(seq), then the event.
 * Threads   Safe to share. Events come from ingest's threads, one at a time.
 * Bounds    About two batches of text and vectors (TARS_INGEST_BATCH_TOKENS tokens each) and one
 *           extracted document are in memory.
 */
#ifndef TARS_INGEST_INGEST_H
#define TARS_INGEST_INGEST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "obs/log.h"
#include "store/store.h"
#include "text/chunk.h"

#define TARS_INGEST_FILE_BYTES_DEFAULT INT64_C(52428800) /* 50 MB */
#define TARS_INGEST_BATCH_TOKENS       8192              /* tokens embedded at a time, about */
#define TARS_INGEST_BATCH_DOCUMENTS    512               /* in one transaction, at most */
#define TARS_INGEST_ATTEMPTS           3                 /* before a job fails for good */

struct tars_index;
struct tars_tracer;
struct tars_encoder;
struct tars_extract;
struct tars_follow;
struct tars_ingest;

/* How one file ended. Text in brackets is the word in `tars ingest --json`. */
enum tars_ingest_outcome {
    TARS_INGEST_INDEXED = 1,   /* "indexed": searchable, on disk */
    TARS_INGEST_UNCHANGED = 2, /* "unchanged": same bytes as last time */
    TARS_INGEST_FAILED = 3,    /* "failed": reason says why */
    TARS_INGEST_SKIPPED = 4,   /* "skipped": not a kind of file that is read, or cancelled */
    TARS_INGEST_FORGOTTEN = 5, /* "forgotten": gone from the folder, so gone from here */
};
const char *tars_ingest_outcome_text(enum tars_ingest_outcome outcome);

/* What is done with a document, in order. */
#define TARS_INGEST_STAGE_LIST(X)              \
    X(TARS_INGEST_STAGE_EXTRACT, 0, "extract") \
    X(TARS_INGEST_STAGE_CHUNK, 1, "chunk")     \
    X(TARS_INGEST_STAGE_EMBED, 2, "embed")     \
    X(TARS_INGEST_STAGE_STORE, 3, "store")     \
    X(TARS_INGEST_STAGE_INDEX, 4, "index")

enum tars_ingest_stage {
#define X(name, value, text) name = (value),
    TARS_INGEST_STAGE_LIST(X)
#undef X
        TARS_INGEST_STAGES
};
const char *tars_ingest_stage_text(enum tars_ingest_stage stage);

/* One file's end. Lent for the call. */
struct tars_ingest_event {
    int64_t job_id; /* 0 when there was no job (skipped while walking) */
    const char *collection;
    const char *path;
    enum tars_ingest_outcome outcome;
    tars_status status;      /* of a failure; TARS_OK else */
    const char *reason;      /* words for people; "" when indexed */
    const char *document_id; /* of a file with one document; "" else */
    int64_t documents;       /* in the file */
    int64_t chunks;          /* passages in the file */
    double ms;               /* from claim to acknowledgement */
    /* Of the file, without what it waited; embedding is done for several files at once and shared
     * out by windows. 0: the stage did not run. */
    double stage_ms[TARS_INGEST_STAGES];
};
typedef void tars_ingest_event_fn(void *ctx, const struct tars_ingest_event *event);

/* Hears of work as it is done, for the metrics, on any thread of ingest's or its callers; both are
 * required. */
struct tars_ingest_observer {
    /* A call of the encoder with passages' windows has ended. */
    void (*embedded)(void *ctx, size_t windows, double ms, tars_status status);
    /* Documents came into store and index, or went. */
    void (*changed)(void *ctx, int64_t added, int64_t removed);
    void *ctx;
};

/* Pointers are borrowed for the object's life. */
struct tars_ingest_config {
    struct tars_store *store;       /* required */
    struct tars_index *index;       /* required */
    struct tars_extract *extract;   /* required */
    struct tars_encoder *encoder;   /* NULL: words only, passages get no vectors */
    struct tars_chunk_config chunk; /* wordpiece is required; of the encoder where there is one */
    const char *extensions;         /* ".pdf,.md": what is taken in; NULL: whatever extract reads */
    int64_t max_file_bytes;         /* 0: TARS_INGEST_FILE_BYTES_DEFAULT */
    int64_t (*now_us)(void);        /* wall clock; NULL: tars_clock_wall_us */
    tars_ingest_event_fn *event;    /* NULL: nobody listens */
    void *event_ctx;
    const struct tars_ingest_observer *observer; /* NULL: nobody */
    struct tars_log *log;                        /* NULL: silent */
    struct tars_follow *follow; /* of vectors that are in a server (vectors/follow.h); or NULL */
    struct tars_tracer *tracer; /* NULL: jobs are not traced */
    bool leaves_jobs;           /* jobs are for other processes that share the store */
    bool no_index; /* no passage goes into index, which stays empty: others are searched */
    bool shares;   /* others write to the store, too: who waited for a job finds what it brought */
    /* Ends tars_ingest_open while it brings the index up to date (TARS_ECANCELED); what is in it by
     * then is kept, if the owner saves it. NULL: nothing does. */
    const atomic_bool *stopping;
    /* The index's folder, where the store may go back to an earlier state by itself: saves leave
     * marks (history.h). NULL: none. */
    const char *history_dir;
};

/* Check the store's model against the encoder's, bring the index up to date with the store (replay)
 * and queue again what a crash had interrupted. Starts no thread. An index that is far behind takes
 * a minute or so for 100,000 passages; the log says how far it is.
 *
 *   TARS_EMISMATCH  the store's vectors are of another model; err names the remedy. Everything that
 *                   needs no vectors still works if it is opened again without an encoder.
 *   TARS_EFORMAT    the index is not of this store (it is ahead): open it again with fresh set.
 */
TARS_MUST_USE tars_status tars_ingest_open(const struct tars_ingest_config *config,
                                           struct tars_ingest **ingest, struct tars_err *err);
/* Stops first, if need be. NULL is allowed. */
void tars_ingest_close(struct tars_ingest *ingest);

/* Start the two threads; before this, jobs only queue. */
TARS_MUST_USE tars_status tars_ingest_start(struct tars_ingest *ingest, struct tars_err *err);
/* Stop within a second or so: the running job goes back to the queue. */
void tars_ingest_stop(struct tars_ingest *ingest);
/* Wait until no job is queued or running; at most timeout_ms (negative: for ever). TARS_ETIMEOUT.
 */
TARS_MUST_USE tars_status tars_ingest_wait_idle(struct tars_ingest *ingest, int64_t timeout_ms);

struct tars_ingest_request {
    const char *collection; /* NULL: TARS_COLLECTION */
    const char *path;       /* what it is called; where it is, unless spool says */
    const char *spool;      /* from tars_spool_*(); deleted when the job ends well; NULL: none */
    int64_t bytes;          /* of spool */
    bool force;             /* also if unchanged */
    bool here;              /* for this process while it is alive, where several share the store */
};

/* Largest file from now on, as max_file_bytes of the configuration. Any thread. */
void tars_ingest_set_limit(struct tars_ingest *ingest, int64_t max_file_bytes);

/* Queue files; when it returns TARS_OK the jobs are on disk. ids: (n,), or NULL. */
TARS_MUST_USE tars_status tars_ingest_submit(struct tars_ingest *ingest,
                                             const struct tars_ingest_request *requests, size_t n,
                                             int64_t *ids, struct tars_err *err);
/* Queue a file, or every file below a folder whose name is one that is taken in; others and links
 * are told as skipped, hidden ones passed over. With forget_missing, files of the store
 * below the folder that are not there any more are forgotten. *submitted: jobs made. */
struct tars_ingest_tree {
    const char *collection; /* NULL: TARS_COLLECTION */
    const char *path;       /* file or folder; made absolute */
    bool force;
    bool forget_missing;
    bool here; /* as of a request */
};
TARS_MUST_USE tars_status tars_ingest_submit_tree(struct tars_ingest *ingest,
                                                  const struct tars_ingest_tree *tree,
                                                  size_t *submitted, struct tars_err *err);
/* Wait for a job's end and copy how it ended into *out, in arena. TARS_ETIMEOUT, TARS_ENOTFOUND:
 * *out is not to be read. */
TARS_MUST_USE tars_status tars_ingest_wait(struct tars_ingest *ingest, int64_t job_id,
                                           int64_t timeout_ms, struct tars_arena *arena,
                                           struct tars_store_job *out, struct tars_err *err);
/* Stop a job: at once when queued, within a second when running. As tars_store_job_cancel(). */
TARS_MUST_USE tars_status tars_ingest_cancel(struct tars_ingest *ingest, int64_t job_id,
                                             struct tars_err *err);
/* The index must not be saved any more: the store went back behind it. */
void tars_ingest_hold_saves(struct tars_ingest *ingest);
/* A job that may run here was cancelled by another process that shares the store. */
void tars_ingest_heard_cancel(struct tars_ingest *ingest, int64_t job_id);
/* Queue a failed or cancelled job again. As tars_store_job_retry(). */
TARS_MUST_USE tars_status tars_ingest_retry(struct tars_ingest *ingest, int64_t job_id,
                                            struct tars_err *err);

/* Remove a document, or a file (or all files below a folder; path NULL: all of the collection),
 * from store and index, durably. chunks may be NULL. ENOTFOUND. */
TARS_MUST_USE tars_status tars_ingest_forget(struct tars_ingest *ingest, const char *document_id,
                                             int64_t *chunks, struct tars_err *err);
TARS_MUST_USE tars_status tars_ingest_forget_path(struct tars_ingest *ingest,
                                                  const char *collection, const char *path,
                                                  int64_t *documents, int64_t *chunks,
                                                  struct tars_err *err);

/* Write the index's snapshot now, without what was removed. */
TARS_MUST_USE tars_status tars_ingest_save_now(struct tars_ingest *ingest, struct tars_err *err);
/* The same soon, in a thread of its own, if enough has changed since the last one: with settled a
 * part of 500 of all passages is, otherwise a part of 50. For snapshots that others begin with. */
void tars_ingest_save_soon(struct tars_ingest *ingest, bool settled);
/* The index could not follow the last changes of the store, for want of memory, and will try again:
 * what it finds may be gone. Any thread; takes no lock. */
bool tars_ingest_is_behind(const struct tars_ingest *ingest);

/* Apply to the index what the store has and it has not. tars_ingest_open() does it too. */
TARS_MUST_USE tars_status tars_ingest_replay(struct tars_ingest *ingest, struct tars_err *err);

/* Embed every passage again with another model and swap at the end; searching goes on with the old
 * vectors meanwhile. Can be interrupted and started again. The index is left as it is: open it
 * again for the new model and it fills itself by replay. Needs no tars_ingest, since one with this
 * encoder would not open. */
struct tars_reembed_config {
    struct tars_store *store;       /* required */
    struct tars_encoder *encoder;   /* required */
    struct tars_chunk_config chunk; /* wordpiece of the encoder is required */
    bool beside;                    /* leave the swap to tars_ingest_open() of who has the folder */
    atomic_bool *cancelled;         /* NULL: cannot be */
    void (*progress)(void *ctx, int64_t done, int64_t total); /* may be NULL */
    void *progress_ctx;
};
TARS_MUST_USE tars_status tars_ingest_reembed(const struct tars_reembed_config *config,
                                              struct tars_err *err);

/* Windows and vectors of passages that have a text and a document, all of it in arena: what is
 * there of them already is left out of account. For what comes with its passages, from elsewhere.
 */
TARS_MUST_USE tars_status tars_ingest_embed(struct tars_encoder *encoder,
                                            const struct tars_chunk_config *chunk,
                                            struct tars_arena *arena,
                                            struct tars_store_passages *passages,
                                            struct tars_err *err);

/* Checks of a file's name and size, words as in the wire contract (7.1). extensions as in the
 * config, NULL: all. When path is name it is a file of somebody's: it must be resolved, and a link
 * in it is "Not a file"; else it is ours (an upload of that name). *fd is the caller's.
 *
 *   TARS_ENOTFOUND "File not found: P"; TARS_EINVAL "Not a file: P", "File is empty";
 *   TARS_EUNSUPPORTED "Unsupported file type: .x"; TARS_ETOOBIG "File too large: 51.2MB (max
 *   50.0MB)"; TARS_EDENIED, TARS_EIO
 */
TARS_MUST_USE tars_status tars_ingest_open_file(const char *path, const char *name,
                                                const char *extensions, int64_t max_bytes, int *fd,
                                                int64_t *size, int64_t *modified_us,
                                                struct tars_err *err);
/* True when name ends in one of the extensions, in any case. */
bool tars_ingest_takes(const char *extensions, const char *name);

struct tars_ingest_stats {
    int64_t jobs_waiting;  /* queued or running */
    int64_t files_indexed; /* since the start */
    int64_t files_unchanged;
    int64_t files_failed;
    int64_t files_skipped;
    int64_t chunks_made;
    int64_t tokens_embedded;
};
struct tars_ingest_stats tars_ingest_stats(struct tars_ingest *ingest);

#endif
