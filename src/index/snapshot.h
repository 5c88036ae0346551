/* snapshot - one whole state of the index, and its file.
 *
 *     0      header (struct tars_snapshot_header), 4096 bytes with zeros behind
 *     4096   sections, each at a multiple of 64 bytes, in this order:
 *              passages  struct tars_passage[]
 *              nodes     (64 + stride) bytes each: struct tars_hnsw_node
 *              exact     float (windows, dim)
 *              links0    struct tars_hnsw_links0[]
 *              upper     struct tars_hnsw_links[]
 *              blocks    8 bytes each: the lists of terms (ranges.h)
 *              texts     the bytes of terms
 *              terms     struct tars_postings_term[]
 *              slots     uint32 (power of two,): the hash table of terms
 *              places    struct tars_sequence_place[], one a passage
 *              words     bytes: the words of passages in their order
 *
 * All numbers are little-endian, as on the machines that it runs on; the magic would not match on
 * another. The file is mapped privately and used in place: what the writer changes (links, deaths,
 * counts) is a private copy of a page, until the next save.
 *
 * Safety    open() checks the header's digest and each section's place and size, in microseconds.
 *           Damage inside sections cannot lead out of bounds: whoever reads an index compares it;
 *           it can make results worse. With verify, the SHA-256 of all sections is checked first.
 *
 * Writing   Removed passages are left out: passages and nodes are numbered anew, links to lost
 *           nodes are replaced by the heuristic from what those nodes linked to, postings packed.
 */
#ifndef TARS_INDEX_SNAPSHOT_H
#define TARS_INDEX_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "index/hnsw.h"
#include "index/index.h"
#include "index/passages.h"
#include "index/postings.h"
#include "index/sequence.h"

#define TARS_SNAPSHOT_VERSION 6

enum tars_snapshot_section {
    TARS_SNAPSHOT_PASSAGES = 0,
    TARS_SNAPSHOT_NODES = 1,
    TARS_SNAPSHOT_EXACT = 2,
    TARS_SNAPSHOT_LINKS0 = 3,
    TARS_SNAPSHOT_UPPER = 4,
    TARS_SNAPSHOT_BLOCKS = 5,
    TARS_SNAPSHOT_TEXTS = 6,
    TARS_SNAPSHOT_TERMS = 7,
    TARS_SNAPSHOT_SLOTS = 8,
    TARS_SNAPSHOT_PLACES = 9,
    TARS_SNAPSHOT_WORDS = 10,
};
#define TARS_SNAPSHOT_SECTIONS 11

struct tars_snapshot_place {
    uint64_t offset; /* bytes, from the start of the file */
    uint64_t count;  /* elements */
};

/* 64-bit fields first, so that there is no gap. */
struct tars_snapshot_header {
    char magic[8];                              /* "TARSIDX" and a NUL */
    uint64_t version;                           /* TARS_SNAPSHOT_VERSION */
    uint64_t dim;                               /* 0: no vectors */
    uint64_t seq;                               /* last change of the store in it */
    uint64_t last_id;                           /* greatest passage id ever added */
    uint64_t lengths[TARS_INDEX_FIELDS];        /* words in each field of all passages */
    double k1, b;                               /* that the bounds of the lists are for */
    uint64_t entry;                             /* of the graph: layer << 32 | node */
    uint64_t size;                              /* bytes of the file */
    uint64_t by_language[TARS_INDEX_LANGUAGES]; /* passages */
    struct tars_snapshot_place places[TARS_SNAPSHOT_SECTIONS];
    char identity[TARS_INDEX_IDENTITY_MAX]; /* of the model; terminated */
    char digest[72];        /* SHA-256 of everything from 4096 on, 64 hexadecimal digits, zeros */
    char header_digest[72]; /* likewise, of the header with this field zero */
};

/* One state: what readers search and the one writer grows. */
struct tars_shadow {
    void *map; /* (map_len,) bytes, private and writable, or NULL */
    size_t map_len;
    struct tars_passages passages;
    struct tars_hnsw hnsw; /* not initialised when dim is 0 */
    struct tars_postings postings;
    struct tars_sequence sequence;
    size_t dim;
};

TARS_MUST_USE tars_status tars_shadow_new(size_t dim, struct tars_shadow **shadow);
void tars_shadow_free(struct tars_shadow *shadow);

/* Map the file at path. *seq: the change that it is as of.
 *   TARS_ENOTFOUND, TARS_EFORMAT, TARS_EMISMATCH, TARS_EIO, TARS_ENOMEM */
TARS_MUST_USE tars_status tars_snapshot_open(const char *path, size_t dim, const char *identity,
                                             bool verify, struct tars_shadow **shadow,
                                             uint64_t *seq, struct tars_err *err);
/* What its header alone says, likewise; no more is read, and nothing mapped. identity NULL: of any
 * model. */
TARS_MUST_USE tars_status tars_snapshot_peek(const char *path, size_t dim, const char *identity,
                                             uint64_t *seq, struct tars_err *err);
/* How much of a shadow a snapshot has. */
struct tars_snapshot_mark {
    uint64_t seq;
    uint64_t last_id;
    uint32_t passages, nodes, terms; /* all before them */
    uint32_t epoch;                  /* without those that had died by then */
    const atomic_bool *given_up;     /* NULL, or looked at while it is written: TARS_ECANCELED */
};
/* Publish what is there and note it. The writer's. */
struct tars_snapshot_mark tars_snapshot_mark(struct tars_shadow *shadow, uint64_t seq);
/* Write the living passages of the shadow, as it was marked, to path, as a whole or not at all. In
 * any thread: the writer may go on, and nothing that it does since the mark is in it. */
TARS_MUST_USE tars_status tars_snapshot_write(const struct tars_shadow *shadow,
                                              const struct tars_snapshot_mark *mark,
                                              const char *path, const char *identity,
                                              struct tars_err *err);

#endif
