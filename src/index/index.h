/* index - near vectors and matching words: a shadow of the store that can always be built again.
 *
 *     writer (one)   open -> add/remove ... publish(seq) -> ... save -> close
 *     saver (one)    save_begin -> save_finish, while the writer goes on
 *     readers        search_vector, search_words, scores, stats: any thread, any time, no lock
 *
 * Model     Passages by the store's ids, which only ever grow. A passage has windows, each with a
 *           vector, and terms. A result is a passage; its vector score is that of its best window.
 *           What add and remove did is seen by readers at the next publish, all of it at once.
 * Replay    seq is the last change of the store that was published. After open, hand in the changes
 *           after it: what is there already is ignored, so replaying too much does no harm.
 * Snapshot  save() writes dir/index.tars as a whole or not at all, without removed passages, and
 *           goes on from it, so that memory held for removed passages is freed.
 * Memory    About 620 bytes a window at 384 dimensions, besides exact vectors: those are in the
 *           snapshot, of which only the pages in use are in memory (in memory until saved).
 * Threads   Readers are safe to share and never wait. add, remove, publish, save_begin and save
 *           belong to one writer at a time. save_finish may run beside it, in one thread at a time;
 *           it waits for readers that started before it.
 * Failure   A snapshot that is damaged, or of another model, is refused by open(); open again with
 *           fresh set and replay from 0.
 */
#ifndef TARS_INDEX_INDEX_H
#define TARS_INDEX_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define TARS_INDEX_DIM_MAX      4096
#define TARS_INDEX_IDENTITY_MAX 96   /* bytes of a model's identity, with its NUL */
#define TARS_INDEX_LANGUAGES    64   /* language ids are below this */
#define TARS_INDEX_EXACT_BELOW  8000 /* windows: fewer are all compared, which is exact */
#define TARS_INDEX_WINDOWS_MAX  4096 /* of one passage */
#define TARS_INDEX_K_MAX        100000

/* Where in a passage a term stands. Each field has words of its own: how often and how rare a word
 * is, and how long the field, is told apart. Text is what a question is asked of. */
enum tars_index_field {
    TARS_INDEX_TEXT = 0, /* all of it, title and heading included */
    TARS_INDEX_TITLE = 1,
    TARS_INDEX_HEADING = 2,
};
#define TARS_INDEX_FIELDS 3

struct tars_index;

/* A field left at zero takes the default that its comment names. Pointers are borrowed for the call
 * of open. */
struct tars_index_config {
    const char *dir;      /* where the snapshot is; NULL: in memory only, save does nothing */
    size_t dim;           /* floats in a vector; 0: words only, vectors are ignored */
    const char *identity; /* of the model that made the vectors; NULL: "" */
    bool fresh;           /* start empty, whatever the snapshot holds (it stays until save) */
    bool verify;          /* read the whole snapshot and check its digest: seconds, not ms */
    size_t ef;          /* candidates of a vector search, at least; 0: by the windows (nearest.h) */
    size_t exact_below; /* 0: TARS_INDEX_EXACT_BELOW */
    double k1;          /* of BM25; 0: 1.2 */
    double b;           /* of BM25; 0: 0.75; negative: none */
};

#define TARS_INDEX_GAP UINT32_MAX

/* A distinct term of a field of a passage. */
struct tars_index_term {
    const char *ptr; /* (len,) bytes */
    uint32_t len;    /* 1..255 */
    uint32_t tf;     /* how often, at least 1 */
    enum tars_index_field field;
};

struct tars_index_passage {
    uint64_t id;          /* over every id that was added before, or known already */
    const float *vectors; /* (vector_count, dim) of unit length; may be NULL when there are none */
    size_t vector_count;
    const struct tars_index_term *terms; /* (term_count,) */
    size_t term_count;
    /* The text's words in their order, so that phrases are found: numbers of terms, which are of
     * the text, or TARS_INDEX_GAP for a word that is no term. NULL: none are found in it. */
    const uint32_t *words;
    size_t word_count;
    uint32_t length;         /* words in the passage, as BM25 counts them: the sum of tf, usually */
    uint16_t title_length;   /* words of its title */
    uint16_t heading_length; /* words of its heading */
    int lang;                /* below TARS_INDEX_LANGUAGES */
};

struct tars_index_query_term {
    const char *ptr; /* (len,) bytes */
    uint32_t len;
    float weight; /* of the term, 1 usually; not negative */
    double idf;   /* of tars_index_idf(); 0: as all passages have it */
    enum tars_index_field field;
};

/* Words that stand together: in the text at these places, counted from anywhere; in a title or a
 * heading all of them in any order. */
struct tars_index_phrase_word {
    const char *ptr; /* (len,) bytes */
    uint32_t len;
    uint32_t position; /* ascending */
};
struct tars_index_phrase {
    const struct tars_index_phrase_word *words; /* (count,) */
    size_t count;
    enum tars_index_field field;
};

/* Passage ids first..last, both included. */
struct tars_index_run {
    uint64_t first;
    uint64_t last;
};

/* Which passages may be found. accepts is called from the searching thread, may be called for any
 * passage, several times, and must not block. A search that gets NULL for it accepts all.
 * next, which may be NULL, says where to go on: the first run of accepted ids that holds from or
 * lies behind it, cut at from (longer runs are better, but need not be whole); false when there is
 * none. It makes a search quick that few passages are accepted for. */
struct tars_index_filter {
    bool (*accepts)(void *ctx, uint64_t id);
    void *ctx;
    bool (*next)(void *ctx, uint64_t from, struct tars_index_run *run);
};

struct tars_index_hit {
    uint64_t id;
    float score; /* cosine, or BM25 */
};

struct tars_index_stats {
    uint64_t seq;      /* last published change */
    uint64_t passages; /* that can be found */
    uint64_t removed;  /* passages whose memory waits for the next save */
    uint64_t windows;  /* vectors held, those of removed passages included */
    uint64_t terms;    /* distinct */
    uint64_t unsaved;  /* passages added or removed since the snapshot */
    uint64_t last_id;  /* greatest passage id held; 0: none */
    uint64_t by_language[TARS_INDEX_LANGUAGES]; /* passages that can be found */
    bool approximate; /* vector searches use the graph; false: they compare all */
};

/* Open the index in dir, or start an empty one where there is no snapshot. *index is only set on
 * success.
 *
 *   TARS_EMISMATCH  the snapshot is of another model or dimension
 *   TARS_EFORMAT    the snapshot is damaged or of another version
 *   TARS_EINVAL, TARS_EIO, TARS_ENOMEM
 */
TARS_MUST_USE tars_status tars_index_open(const struct tars_index_config *config,
                                          struct tars_index **index, struct tars_err *err);
/* The change that the snapshot in config->dir is as of, by its header, which alone is read: it may
 * lie on a network share. Without an identity it may be of any model. TARS_ENOTFOUND, and as above.
 */
TARS_MUST_USE tars_status tars_index_peek(const struct tars_index_config *config, uint64_t *seq,
                                          struct tars_err *err);
/* Does not save. No reader may be at work. NULL is allowed. */
void tars_index_close(struct tars_index *index);

/* --------------------------------------------------------------- the writer */

/* Add a passage. One whose id is not over every id so far is ignored: it was added before.
 *
 *   TARS_EINVAL  a term, a count or a language out of range, a vector with no finite length
 *   TARS_ENOMEM  no memory; the passage is not in the index and may be added again
 *   TARS_ETOOBIG no room for more passages (2^31) or windows
 */
TARS_MUST_USE tars_status tars_index_add(struct tars_index *index,
                                         const struct tars_index_passage *passage);
/* Remove the passages first..last, both included; unknown ids are fine. */
void tars_index_remove(struct tars_index *index, uint64_t first, uint64_t last);
/* Let readers see all that was done so far, as the state after change seq of the store. */
void tars_index_publish(struct tars_index *index, uint64_t seq);
/* Write the snapshot, as of the last publish: call it after one. Without dir: TARS_OK, nothing
 * done. On failure the old snapshot stays, and the index goes on as it is.
 *   TARS_EIO, TARS_ENOMEM, TARS_EBUSY (a save is under way) */
TARS_MUST_USE tars_status tars_index_save(struct tars_index *index, struct tars_err *err);
/* The same in two steps, so that the writer goes on meanwhile. Begin, in the writer's place, after
 * a publish: nothing that the writer does from now on is in the snapshot. False: there is no dir,
 * or a save is under way, so there is nothing to finish. */
bool tars_index_save_begin(struct tars_index *index);
/* In any thread: write the snapshot and go on from it. The writer never waits for it but for a
 * moment at the end, and while more than 256 MiB of changes wait. To be called once after each
 * begin that was true, before close. On failure the index goes on as it is; with TARS_ENOMEM or
 * TARS_ECANCELED the snapshot may be a new one all the same. */
TARS_MUST_USE tars_status tars_index_save_finish(struct tars_index *index, struct tars_err *err);
/* Any thread: let the save that is under way, if one is, end soon, with TARS_ECANCELED. */
void tars_index_save_give_up(struct tars_index *index);

/* ------------------------------------------------------------------ readers */

/* The last published change. */
uint64_t tars_index_seq(const struct tars_index *index);
void tars_index_stats(const struct tars_index *index, struct tars_index_stats *stats);

/* The k passages nearest to query (dim,), of unit length: best first, ties by ascending id; *n of
 * them in hits, which has room for k. filter may be NULL. Fewer than k only when fewer passages
 * with vectors are accepted. Scores are exact, the choice is approximate (recall@10 >= 0.98).
 *   TARS_ENOMEM, TARS_EINVAL (k over TARS_INDEX_K_MAX) */
TARS_MUST_USE tars_status tars_index_search_vector(const struct tars_index *index,
                                                   const float *query, size_t k,
                                                   const struct tars_index_filter *filter,
                                                   struct tars_index_hit *hits, size_t *n);
/* The k passages with the highest BM25, likewise; only those with a term of the query. Exact. A
 * term given twice counts twice. */
TARS_MUST_USE tars_status tars_index_search_words(const struct tars_index *index,
                                                  const struct tars_index_query_term *terms,
                                                  size_t n_terms, size_t k,
                                                  const struct tars_index_filter *filter,
                                                  struct tars_index_hit *hits, size_t *n);

/* The exact cosine of a passage's best window. TARS_ENOTFOUND: no such passage, or no vectors. */
TARS_MUST_USE tars_status tars_index_vector_score(const struct tars_index *index,
                                                  const float *query, uint64_t id, float *score);
/* Add weight times the exact vector of the passage's best window to sum (dim,). TARS_ENOTFOUND: no
 * such passage, or no vectors; sum is as it was. */
TARS_MUST_USE tars_status tars_index_vector_add(const struct tars_index *index, const float *query,
                                                uint64_t id, double weight, float *sum);
/* The BM25 of each of these passages (n,), 0 where it has none of the terms, NaN where there is no
 * such passage. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_index_words_scores(const struct tars_index *index,
                                                  const struct tars_index_query_term *terms,
                                                  size_t n_terms, const uint64_t *ids, size_t n,
                                                  float *scores);
/* Which of the terms (n_terms,) the passage has; none where there is no such passage. */
void tars_index_words_held(const struct tars_index *index,
                           const struct tars_index_query_term *terms, size_t n_terms, uint64_t id,
                           bool *held);
/* The passages that hold the phrase, by ascending id: *ids gives (n,) of them, to be freed; NULL
 * when there are none. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_index_find_phrase(const struct tars_index *index,
                                                 const struct tars_index_phrase *phrase,
                                                 uint64_t **ids, size_t *n);
/* A term of the text that is spelt nearly as another word. */
struct tars_index_similar {
    char text[256]; /* (len,) */
    uint32_t len;
    uint32_t distance; /* steps: a letter more, less, another, or two that changed places */
    uint32_t df;
};

/* The terms nearest to a word that is none: at most max, nearest first. Returns how many. */
size_t tars_index_similar_terms(const struct tars_index *index, const char *ptr, size_t len,
                                struct tars_index_similar *out, size_t max);
/* The idf that a term has among the n passages that filter accepts, so that scores say nothing of
 * the others. Exact for terms that few passages have; one that more than TARS_INDEX_IDF_EXACT have
 * is common, and has the idf of all passages. */
#define TARS_INDEX_IDF_EXACT 1024
double tars_index_idf(const struct tars_index *index, const struct tars_index_query_term *term,
                      const struct tars_index_filter *filter, uint64_t n);
/* What no BM25 of these terms can exceed: the sum of weight * idf * (k1 + 1). A term that no
 * passage has counts too, as the rarest possible, so that score / ceiling says how much of the
 * question a passage covers. */
double tars_index_words_ceiling(const struct tars_index *index,
                                const struct tars_index_query_term *terms, size_t n_terms);

#endif
