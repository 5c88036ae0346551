/* kinds - every vector back end with its real server, for one contract test.
 *
 * A new back end is one more struct in the list of test_contract.c.
 */
#ifndef TARS_TESTS_VECTORS_KINDS_H
#define TARS_TESTS_VECTORS_KINDS_H

#include "vectors/vectors.h"

struct kind {
    const char *name;
    bool is_variant; /* another way of asking the server of the one before: fewer tests */
    uint64_t
        passages; /* that it is filled with, and asked fewer questions; 0: as many as there are */
    /* Start the server; once a program. NULL: there is none. */
    void (*start)(void);
    void (*stop)(void);
    /* Forget all that was kept, so that open() gives one where nothing was ever written. */
    void (*clear)(void);
    /* Connect. The test closes it. */
    struct tars_vectors *(*open)(void);
    /* The server dies, and is there again (it answers when this returns). NULL: there is none. */
    void (*kill)(void);
    void (*revive)(void);
    /* Somebody takes a vector out behind the back end's back. NULL: that cannot be done. */
    void (*damage)(void);
};

/* Of unit length, another one for each seed: (dim,) */
void make_vector(uint64_t seed, size_t dim, float *out);
/* Each allocation fails in turn (contract_faults.c). Nothing was ever there, or anything. */
void check_faults(struct tars_vectors *vectors, const struct tars_vectors_of *of,
                  const struct tars_store_passage *passages, size_t count);

extern const struct kind kind_embedded;
extern const struct kind kind_pgvector;
extern const struct kind kind_pgvector_pooled;
extern const struct kind kind_chroma_v2;
extern const struct kind kind_chroma_v1;

#endif
