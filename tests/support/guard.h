/* guard - bytes that end where the mapped memory ends: one read too many is a crash. */
#ifndef TARS_TESTS_SUPPORT_GUARD_H
#define TARS_TESTS_SUPPORT_GUARD_H

#include <stddef.h>

struct guard {
    void *map;       /* owned mapping */
    size_t map_size; /* bytes */
    char *ptr;       /* (len,) bytes; ptr[len] faults */
};

/* A copy of (bytes, len) that ends at a page that nobody may touch. Fails the test on error. */
struct guard guard_copy(const void *bytes, size_t len);
void guard_free(struct guard *guard);

#endif
