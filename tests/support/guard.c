/* guard - see guard.h. */
#include "support/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

struct guard guard_copy(const void *bytes, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t data = (len + page - 1) / page * page;
    struct guard guard = {.map_size = data + page};

    guard.map =
        mmap(NULL, guard.map_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (guard.map == MAP_FAILED)
        fail_msg("no memory for a guard page");
    if (mprotect((char *)guard.map + data, page, PROT_NONE) != 0)
        fail_msg("no guard page");
    guard.ptr = (char *)guard.map + data - len;
    if (len)
        memcpy(guard.ptr, bytes, len);
    return guard;
}

void guard_free(struct guard *guard)
{
    (void)munmap(guard->map, guard->map_size);
    *guard = (struct guard){0};
}
