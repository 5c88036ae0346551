/* packed - see packed.h for the contract. */
#include "model/packed.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto/digest.h"
#include "model/linear.h"

#define FILE_MODE 0600

_Static_assert(TARS_PACKED_HEAD % TARS_LINEAR_ALIGN == 0, "the body is aligned as the file is");
_Static_assert(TARS_PACKED_LABEL_MAX + TARS_SHA256_HEX_BYTES + 48 <= TARS_PACKED_HEAD,
               "the header has room for all that it tells");

static bool path_in(const char *cache_dir, char *path)
{
    int len = cache_dir ? snprintf(path, PATH_MAX, "%s/" TARS_PACKED_NAME, cache_dir) : -1;

    return len > 0 && len < PATH_MAX;
}

/* The header of that body into head, TARS_PACKED_HEAD bytes. */
static bool make_head(const char *label, const char *body, size_t len, char *head)
{
    char hex[TARS_SHA256_HEX_BYTES];
    int written;

    if (strlen(label) >= TARS_PACKED_LABEL_MAX || tars_sha256_hex(body, len, hex) != TARS_OK)
        return false;
    memset(head, 0, TARS_PACKED_HEAD);
    written =
        snprintf(head, TARS_PACKED_HEAD, "tars-packed-weights 1 %s %zu %s\n", label, len, hex);
    return written > 0 && written < TARS_PACKED_HEAD;
}

static bool fits(const struct tars_map *map, const char *label, size_t len)
{
    char head[TARS_PACKED_HEAD];

    return len > 0 && map->len >= TARS_PACKED_HEAD && map->len - TARS_PACKED_HEAD == len &&
           make_head(label, (const char *)map->ptr + TARS_PACKED_HEAD, len, head) &&
           memcmp(map->ptr, head, sizeof(head)) == 0;
}

bool tars_packed_find(const char *cache_dir, const char *label, size_t len,
                      struct tars_packed *packed)
{
    struct tars_map map = {0};
    char path[PATH_MAX];

    if (!path_in(cache_dir, path) || tars_map_open(path, &map, NULL) != TARS_OK)
        return false;
    if (!fits(&map, label, len)) {
        tars_map_close(&map);
        return false;
    }
    *packed = (struct tars_packed){
        .body = (const char *)map.ptr + TARS_PACKED_HEAD, .len = len, .map = map};
    return true;
}

bool tars_packed_may_be_kept(const char *cache_dir, size_t len)
{
    char path[PATH_MAX];
    struct stat file;

    return path_in(cache_dir, path) && stat(path, &file) == 0 && file.st_size > TARS_PACKED_HEAD &&
           (size_t)file.st_size - TARS_PACKED_HEAD == len;
}

tars_status tars_packed_new(size_t len, struct tars_packed *packed, char **body)
{
    const size_t more = TARS_PACKED_HEAD + TARS_LINEAR_ALIGN;
    struct tars_packed made = {.len = len};

    if (len > SIZE_MAX - more)
        return TARS_ENOMEM;
    made.room = calloc(1, len + more);
    if (!made.room)
        return TARS_ENOMEM;
    made.image = (char *)made.room +
                 (TARS_LINEAR_ALIGN - (uintptr_t)made.room % TARS_LINEAR_ALIGN) % TARS_LINEAR_ALIGN;
    *body = made.image + TARS_PACKED_HEAD;
    made.body = *body;
    *packed = made;
    return TARS_OK;
}

bool tars_packed_keep(const char *cache_dir, const char *label, struct tars_packed *packed)
{
    char path[PATH_MAX];

    return packed->image && path_in(cache_dir, path) &&
           make_head(label, packed->body, packed->len, packed->image) &&
           tars_file_replace(path, packed->image, TARS_PACKED_HEAD + packed->len, FILE_MODE,
                             NULL) == TARS_OK;
}

void tars_packed_release(struct tars_packed *packed)
{
    tars_map_close(&packed->map);
    free(packed->room);
    *packed = (struct tars_packed){0};
}
