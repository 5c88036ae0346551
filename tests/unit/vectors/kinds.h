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
    bool is_slow;    /* it is filled with fewer passages and asked fewer questions */
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

extern const struct kind kind_embedded;
extern const struct kind kind_pgvector;
extern const struct kind kind_pgvector_pooled;
extern const struct kind kind_chroma_v2;
extern const struct kind kind_chroma_v1;

#endif
