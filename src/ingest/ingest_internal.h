/* ingest_internal - what the files of this room share. Not for others.
 *
 *     reader thread                      hand-over              writer thread
 *     claim, check, hash, extract,   ->  one batch waits,   ->  embed, store, index,
 *     chunk, analyse                     one is worked on       finish, tell
 *
 * A run is one job under way. Its documents come in parts, in order, spread over batches; the last
 * part ends the run. The reader makes runs and parts, the writer frees them: after a hand-over the
 * reader touches of a run only what is marked "reader". A third thread, the saver, saves the index
 * when the writer says so, and the writer goes on meanwhile.
 */
#ifndef TARS_INGEST_INGEST_INTERNAL_H
#define TARS_INGEST_INGEST_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/mem/arena.h"
#include "base/mem/span.h"
#include "base/sys/clock.h"
#include "index/index.h"
#include "ingest/ingest.h"
#include "obs/trace.h"
#include "text/analyzer.h"

#define TARS_INGEST_RUN_BYTES   ((size_t)1 << 20) /* arena of a job's strings */
#define TARS_INGEST_BATCH_BYTES ((size_t)2 << 30) /* arena of a batch */

/* A job under way. */
struct tars_ingest_run {
    struct tars_ingest_run *next; /* in the list of those under way; guarded by lock */
    struct tars_arena arena;      /* of the strings of job and file */
    struct tars_store_job job;
    struct tars_store_file file;
    const char *file_name;
    const char *file_type;
    int64_t created_us; /* of the file */
    int64_t started_ns;
    int64_t round;         /* of the store's batch */
    atomic_bool cancelled; /* somebody does not want it any more */
    atomic_bool halted;    /* cancelled, or ingest stops: give up soon */
    bool has_ended; /* but the store does not know it yet: to be tried again; guarded by lock */
    uint64_t read;  /* reader: documents that were extracted */
    bool is_new;    /* reader: the file has never been taken in as a whole */
    /* Stages up to chunk are the reader's, the others the writer's; all are read at the end. */
    double stage_ms[TARS_INGEST_STAGES];
    struct tars_trace read_trace; /* reader: a copy of trace */
    /* The writer's: */
    tars_status status; /* the first failure of a part */
    struct tars_err err;
    bool stored;                 /* a part of it */
    size_t parts;                /* that have come */
    struct tars_trace trace;     /* of the job */
    struct tars_trace_span span; /* of all of it */
    int64_t documents;
    int64_t chunks;
    char document_id[TARS_DOCUMENT_ID_BYTES]; /* of the only document */
};

/* What the index needs of a passage, besides vectors. */
struct tars_ingest_words {
    struct tars_index_term *terms; /* (count,) */
    size_t count;
    uint32_t *order; /* (order_count,) the text's words: numbers of terms, or TARS_INDEX_GAP */
    size_t order_count;
    uint32_t length; /* words of the text */
    uint16_t title_length, heading_length;
};

/* What the tag of a struct tars_store_put points to. */
struct tars_ingest_extra {
    struct tars_store_passage *passages; /* those of the put, to be given vectors */
    struct tars_ingest_words *words;     /* (passage_count,) */
};

/* Documents of one run in one batch. */
struct tars_ingest_part {
    struct tars_ingest_run *run;
    struct tars_store_put *puts; /* (put_count,) */
    size_t put_count, put_cap;
    bool last;          /* ends the run */
    bool unchanged;     /* the file was taken in before, as it is */
    tars_status status; /* of reading, when last */
    struct tars_err err;
    struct tars_ingest_part *next;
};

/* A window to be embedded. */
struct tars_ingest_window {
    struct tars_span text;
    struct tars_ingest_run *run;
};

struct tars_ingest_batch {
    struct tars_arena arena; /* of all that hangs on it */
    struct tars_ingest_part *first, *newest;
    struct tars_ingest_window *windows; /* (window_count,) of all parts in order */
    size_t window_count, window_cap;
    size_t tokens; /* about, of the windows */
};

enum tars_ingest_save { TARS_SAVE_BUSY, TARS_SAVE_IDLE, TARS_SAVE_SETTLED, TARS_SAVE_END };

struct tars_ingest {
    struct tars_ingest_config config;
    size_t dim; /* of the encoder; 0: none */
    int64_t (*now_us)(void);

    uint64_t vectors_missed; /* writer: a change whose vectors were waited for in vain; 0: none */

    pthread_t reader, writer, saver;
    bool is_started;
    bool may_hold_unknown; /* reader: a job is running in the store that no run is of */
    atomic_bool stopping;
    atomic_bool saves_held;
    _Atomic int64_t max_file_bytes; /* as it is now */

    pthread_mutex_t lock;              /* guards the fields down to saver_done */
    pthread_cond_t changed;            /* any of them has */
    struct tars_ingest_batch *waiting; /* handed over, not taken yet; or NULL */
    bool writer_idle;                  /* the writer waits for a batch */
    bool reader_done;                  /* no batch will come any more */
    bool queue_empty;                  /* the reader found no queued job since the last submit */
    uint64_t submits;                  /* counts what may have made a job due */
    struct tars_ingest_run *runs;      /* under way */
    struct tars_ingest_stats stats;
    bool save_wanted; /* the saver should look whether the index is worth saving, as by save_when */
    enum tars_ingest_save save_when;
    bool saver_done; /* nothing more will be saved by it */

    pthread_mutex_t save_lock;  /* held for a whole save of the index; taken before index_lock */
    pthread_mutex_t event_lock; /* held while config.event runs */

    pthread_mutex_t index_lock; /* guards writing to store documents and index, and the two below */
    struct tars_analyzer *replay_analyzer;
    /* While tars_ingest_open replays: how far it is to go. 0: it does not. */
    uint64_t opening_to;
    int64_t opening_told_ms; /* when the log last said how far it is */
    /* An apply failed, or it is not known whether a commit was done: replay before the next. Read
     * without lock. */
    atomic_bool index_is_behind;
    bool partial_noted; /* the store knows that some passages lack vectors */
    int64_t last_round;
};

/* ingest.c */
void tars_ingest_tell(struct tars_ingest *ingest, const struct tars_ingest_event *event);
void tars_ingest_wake(struct tars_ingest *ingest);
/* Tell the observer, if there is one and something has changed. */
void tars_ingest_note_changed(struct tars_ingest *ingest, int64_t added, int64_t removed);
static inline double tars_ingest_ms_since(int64_t start_ns)
{
    return (double)(tars_clock_mono_ns() - start_ns) / 1e6;
}

/* traced.c: the spans of a run, and which trace the stages of its present part belong to; NULL: to
 * none. */
void tars_ingest_trace_begin(struct tars_ingest *ingest, struct tars_ingest_run *run);
void tars_ingest_trace_end(struct tars_ingest_run *run, const char *outcome);
struct tars_trace *tars_ingest_trace_of(struct tars_ingest_run *run);
/* Embedding the batch began then and has ended now. */
void tars_ingest_trace_embedded(struct tars_ingest *ingest, const struct tars_ingest_batch *batch,
                                int64_t start_ns);

/* walk.c: forget files of the store below path that are not on disk any more; counts into
 * *forgotten. */
TARS_MUST_USE tars_status tars_ingest_forget_missing(struct tars_ingest *ingest,
                                                     const char *collection, const char *path,
                                                     int64_t *forgotten, struct tars_err *err);

/* read.c: the reader thread; ctx is the ingest. */
void *tars_ingest_reader(void *ctx);
/* prepare.c: append a document to the newest part of the batch: chunks, windows, terms. */
TARS_MUST_USE tars_status tars_ingest_prepare(
    struct tars_ingest *ingest, struct tars_analyzer *analyzer, struct tars_ingest_batch *batch,
    struct tars_ingest_run *run, const struct tars_document *document, struct tars_err *err);
/* What is put before each passage of a document where it is embedded and where its words are
 * indexed: its title and, where the file is one document, the words of the file's name, since
 * people name files for what is in them and ask by it. In arena, or lent by document; NULL when
 * there is no memory. */
const char *tars_ingest_label(struct tars_arena *arena, const struct tars_store_document *document);

/* The terms of a passage as the index wants them; label is its document's. In arena. */
TARS_MUST_USE tars_status tars_ingest_tally(struct tars_analyzer *analyzer,
                                            struct tars_arena *arena, const char *label,
                                            const struct tars_store_passage *passage,
                                            struct tars_ingest_words *out);
void tars_ingest_batch_free(struct tars_ingest_batch *batch);

/* write.c: the writer thread. */
void *tars_ingest_writer(void *ctx);
/* Another attempt may help. */
bool tars_ingest_may_pass(tars_status status);
/* Runs that have ended, which the store would not note when they did, once more. False: some are
 * left. */
bool tars_ingest_write_ends(struct tars_ingest *ingest);
void tars_ingest_run_free(struct tars_ingest *ingest, struct tars_ingest_run *run);

/* apply.c, with index_lock held: changes that were just committed, with the passages at hand. */
void tars_ingest_apply(struct tars_ingest *ingest, const struct tars_store_changes *changes,
                       const struct tars_ingest_part *part);
/* With index_lock held: writing documents ended so. Where that leaves open whether they were, the
 * index is behind until a replay. */
void tars_ingest_note_write(struct tars_ingest *ingest, tars_status status);
/* Replay if the index is behind. Without index_lock. */
TARS_MUST_USE tars_status tars_ingest_catch_up(struct tars_ingest *ingest, struct tars_err *err);
TARS_MUST_USE tars_status tars_ingest_replay_locked(struct tars_ingest *ingest,
                                                    struct tars_err *err);
/* Out of store and index with all of one file, whether it was complete or not. */
TARS_MUST_USE tars_status tars_ingest_forget_file(struct tars_ingest *ingest,
                                                  const char *collection, const char *path,
                                                  struct tars_err *err);

/* Let the saver save the index if enough has changed: when idle sooner than when busy. Does not
 * wait. */
void tars_ingest_want_save(struct tars_ingest *ingest, enum tars_ingest_save when);
/* The saver thread; ctx is the ingest. */
void *tars_ingest_saver(void *ctx);
/* Save the index if enough has changed; at the end always. */
void tars_ingest_save(struct tars_ingest *ingest, enum tars_ingest_save when);

#endif
