/* arena - memory that is freed all at once: of a request, of a job, of a batch.
 *
 * Model     Blocks in a list; an allocation moves a pointer in the newest block. Nothing is freed
 *           singly, so nothing can be forgotten.
 * Bounds    max_bytes in all, counted in whole blocks; past it an allocation fails.
 * Threads   Not safe to share.
 * Failure   NULL, and the arena stays usable; failed says that it happened.
 */
#ifndef TARS_BASE_MEM_ARENA_H
#define TARS_BASE_MEM_ARENA_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem/span.h"
#include "base/status.h"

struct tars_arena_block;

struct tars_arena {
    struct tars_arena_block *newest; /* owned list, or NULL */
    size_t used;                     /* bytes held in blocks */
    size_t max;                      /* ceiling of used */
    bool failed;                     /* some allocation has returned NULL */
};

void tars_arena_init(struct tars_arena *arena, size_t max_bytes);
void tars_arena_release(struct tars_arena *arena);
/* Forget every allocation; one block is kept for reuse. */
void tars_arena_clear(struct tars_arena *arena);

/* size bytes aligned for any type, not cleared. Lent until the arena is cleared or released. */
void *tars_arena_alloc(struct tars_arena *arena, size_t size);
/* count * size bytes, zeroed; NULL too when the product overflows. */
void *tars_arena_calloc(struct tars_arena *arena, size_t count, size_t size);
/* A terminated copy of (ptr, len). */
char *tars_arena_strndup(struct tars_arena *arena, const char *ptr, size_t len);
char *tars_arena_strdup(struct tars_arena *arena, const char *text);
__attribute__((format(printf, 2, 3))) char *tars_arena_printf(struct tars_arena *arena,
                                                              const char *format, ...);

/* Make *array, owned by the arena, hold need elements of elem bytes, moving it if it must. *cap is
 * its size in elements. The old copy stays in the arena: double, so that the waste is bounded. */
TARS_MUST_USE tars_status tars_arena_grow(struct tars_arena *arena, void **array, size_t *cap,
                                          size_t need, size_t elem);

#endif
