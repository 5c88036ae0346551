/* arena - see arena.h. */
#include "base/mem/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_BYTES ((size_t)16 * 1024) /* a block, unless one allocation needs more */
#define ALIGN       (_Alignof(max_align_t))

struct tars_arena_block {
    struct tars_arena_block *older;
    size_t size;                       /* bytes in data */
    size_t used;                       /* bytes given out */
    _Alignas(max_align_t) char data[]; /* (size,) */
};

void tars_arena_init(struct tars_arena *arena, size_t max_bytes)
{
    *arena = (struct tars_arena){.max = max_bytes};
}

static void free_blocks(struct tars_arena_block *block)
{
    while (block) {
        struct tars_arena_block *older = block->older;

        free(block);
        block = older;
    }
}

void tars_arena_release(struct tars_arena *arena)
{
    free_blocks(arena->newest);
    tars_arena_init(arena, arena->max);
}

void tars_arena_clear(struct tars_arena *arena)
{
    struct tars_arena_block *kept = arena->newest;

    arena->failed = false;
    if (!kept)
        return;
    free_blocks(kept->older);
    kept->older = NULL;
    kept->used = 0;
    arena->used = kept->size;
}

static struct tars_arena_block *add_block(struct tars_arena *arena, size_t size)
{
    size_t want = size > BLOCK_BYTES ? size : BLOCK_BYTES;
    struct tars_arena_block *block;

    if (want > arena->max - arena->used)
        want = size;
    if (want > arena->max - arena->used)
        return NULL;
    block = malloc(sizeof(*block) + want);
    if (!block)
        return NULL;
    block->older = arena->newest;
    block->size = want;
    block->used = 0;
    arena->newest = block;
    arena->used += want;
    return block;
}

void *tars_arena_alloc(struct tars_arena *arena, size_t size)
{
    struct tars_arena_block *block = arena->newest;
    size_t rounded = (size + ALIGN - 1) / ALIGN * ALIGN;
    void *ptr;

    if (size > SIZE_MAX / 2) {
        arena->failed = true;
        return NULL;
    }
    if (!block || block->size - block->used < rounded)
        block = add_block(arena, rounded);
    if (!block) {
        arena->failed = true;
        return NULL;
    }
    ptr = block->data + block->used;
    block->used += rounded;
    return ptr;
}

void *tars_arena_calloc(struct tars_arena *arena, size_t count, size_t size)
{
    void *ptr;

    if (size && count > SIZE_MAX / 2 / size) {
        arena->failed = true;
        return NULL;
    }
    ptr = tars_arena_alloc(arena, count * size);
    if (ptr)
        memset(ptr, 0, count * size);
    return ptr;
}

char *tars_arena_strndup(struct tars_arena *arena, const char *ptr, size_t len)
{
    char *copy = len < SIZE_MAX / 2 ? tars_arena_alloc(arena, len + 1) : NULL;

    if (!copy)
        return NULL;
    if (len)
        memcpy(copy, ptr, len);
    copy[len] = '\0';
    return copy;
}

char *tars_arena_strdup(struct tars_arena *arena, const char *text)
{
    return tars_arena_strndup(arena, text, strlen(text));
}

char *tars_arena_printf(struct tars_arena *arena, const char *format, ...)
{
    va_list args;
    va_list again;
    char *text = NULL;
    int len;

    va_start(args, format);
    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len >= 0)
        text = tars_arena_alloc(arena, (size_t)len + 1);
    if (text)
        (void)vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return text;
}

tars_status tars_arena_grow(struct tars_arena *arena, void **array, size_t *cap, size_t need,
                            size_t elem)
{
    size_t want = *cap ? *cap : 8;
    void *grown;

    if (need <= *cap)
        return TARS_OK;
    while (want < need)
        want = want > SIZE_MAX / 4 ? need : want * 2;
    if (want > SIZE_MAX / 2 / elem)
        return TARS_ETOOBIG;
    grown = tars_arena_alloc(arena, want * elem);
    if (!grown)
        return TARS_ENOMEM;
    if (*cap)
        memcpy(grown, *array, *cap * elem);
    *array = grown;
    *cap = want;
    return TARS_OK;
}
