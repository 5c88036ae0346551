/* faults - see faults.h. */
#include "support/faults.h"

#include <stddef.h>
#include <stdlib.h>

#define MOST_ALLOCATIONS 100000

/* The names are the linker's (--wrap), not ours. NOLINTBEGIN(bugprone-reserved-identifier) */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *ptr, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *ptr, size_t size);

static _Thread_local int before_failure = -1;
static _Thread_local bool happened;

static bool fails(void)
{
    if (before_failure < 0)
        return false;
    if (before_failure-- > 0)
        return false;
    happened = true;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *ptr, size_t size)
{
    return fails() ? NULL : __real_realloc(ptr, size);
}
/* NOLINTEND(bugprone-reserved-identifier) */

void faults_fail_after(int n)
{
    before_failure = n;
    happened = false;
}

bool faults_happened(void)
{
    return happened;
}

int faults_each(void (*body)(void *ctx), void *ctx)
{
    for (int n = 0; n < MOST_ALLOCATIONS; n++) {
        bool reached;

        faults_fail_after(n);
        body(ctx);
        reached = faults_happened();
        faults_fail_after(-1);
        if (!reached)
            return n;
    }
    return MOST_ALLOCATIONS;
}
