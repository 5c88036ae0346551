/* Any bytes as a manifest. What is taken is written and read again the same, its names stay within
 * the folder that they are restored into, and nobody else gets rights. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "backup/manifest.h"

#define ARENA_MAX ((size_t)64 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_files(const struct tars_manifest *manifest)
{
    for (size_t i = 0; i < manifest->file_count; i++) {
        const struct tars_manifest_file *file = &manifest->files[i];

        if (file->name[0] == '/' || file->name[0] == '.' || !file->name[0] ||
            strstr(file->name, "/.") || (file->mode & 07077U) ||
            file->list_count != tars_backup_lists(file->bytes))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tars_arena arena;
    struct tars_manifest manifest;
    struct tars_manifest again;
    struct tars_buf text;
    struct tars_buf twice;

    tars_arena_init(&arena, ARENA_MAX);
    tars_buf_init(&text, TARS_MANIFEST_BYTES_MAX);
    tars_buf_init(&twice, TARS_MANIFEST_BYTES_MAX);
    if (tars_manifest_parse(tars_span((const char *)data, size), &arena, &manifest, NULL) ==
        TARS_OK) {
        check_files(&manifest);
        tars_manifest_write(&manifest, &text);
        if (text.status != TARS_OK ||
            tars_manifest_parse(tars_buf_span(&text), &arena, &again, NULL) != TARS_OK)
            abort();
        tars_manifest_write(&again, &twice);
        if (!tars_span_equal(tars_buf_span(&text), tars_buf_span(&twice)))
            abort();
    }
    tars_buf_release(&twice);
    tars_buf_release(&text);
    tars_arena_release(&arena);
    return 0;
}
