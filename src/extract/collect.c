/* collect - see collect.h. */
#include "extract/collect.h"

#include <string.h>

#include <jansson.h>

#include "text/normalize.h"

#define COLLECT_HEADING_BYTES 240 /* of a heading, in paths */

void tars_collect_init(struct tars_collect *collect, size_t max_bytes)
{
    *collect = (struct tars_collect){.max_bytes = max_bytes, .path = ""};
    /* bytes below counts what the arena is asked for; the growing array wastes at most as much
     * again, and the arena's blocks round up. So its own ceiling is never what stops a document. */
    tars_arena_init(&collect->arena, SIZE_MAX / 4);
}

void tars_collect_release(struct tars_collect *collect)
{
    tars_arena_release(&collect->arena);
    tars_collect_init(collect, collect->max_bytes);
}

void tars_collect_clear(struct tars_collect *collect)
{
    struct tars_arena arena;

    tars_arena_clear(&collect->arena);
    arena = collect->arena;
    tars_collect_init(collect, collect->max_bytes);
    collect->arena = arena;
}

/* A heading as it appears in paths: one line, cut at a character. NULL: no memory. */
static const char *short_heading(struct tars_arena *arena, struct tars_span text)
{
    size_t len = text.len;
    char *copy;

    if (len > COLLECT_HEADING_BYTES)
        len = tars_utf8_floor(text.ptr, len, COLLECT_HEADING_BYTES);
    copy = tars_arena_strndup(arena, text.ptr, len);
    for (char *at = copy; at && *at; at++) {
        if (*at == '\n' || *at == '\t')
            *at = ' ';
    }
    return copy;
}

/* The headings of levels 1..level, joined. */
static const char *join_open(struct tars_collect *collect, int level)
{
    const char *path = "";

    for (int i = 1; i <= level; i++) {
        if (!collect->open[i])
            continue;
        path = *path ? tars_arena_printf(&collect->arena, "%s > %s", path, collect->open[i])
                     : collect->open[i];
        if (!path)
            return NULL;
        collect->bytes += strlen(path) + 1;
    }
    return path;
}

/* Set what stands above the block, and if it is a heading, what stands above the next ones. */
static tars_status place(struct tars_collect *collect, struct tars_block *block)
{
    if (block->kind != TARS_BLOCK_HEADING) {
        block->headings = collect->path;
        return TARS_OK;
    }
    block->headings = join_open(collect, block->level - 1);
    for (int i = block->level; i <= TARS_HEADING_LEVEL_MAX; i++)
        collect->open[i] = NULL;
    collect->open[block->level] =
        short_heading(&collect->arena, tars_span(block->text, block->text_len));
    if (!block->headings || !collect->open[block->level])
        return TARS_ENOMEM;
    collect->path = join_open(collect, block->level);
    if (!collect->path) {
        collect->path = "";
        return TARS_ENOMEM;
    }
    return TARS_OK;
}

tars_status tars_collect_block(struct tars_collect *collect,
                               const struct tars_protocol_block *block)
{
    struct tars_block *made;
    void *blocks = collect->blocks;
    tars_status status;

    if (block->text.len + sizeof(*made) > collect->max_bytes - collect->bytes)
        return TARS_ETOOBIG;
    status =
        tars_arena_grow(&collect->arena, &blocks, &collect->cap, collect->count + 1, sizeof(*made));
    if (status != TARS_OK)
        return status;
    collect->blocks = blocks;
    made = &collect->blocks[collect->count];
    *made = (struct tars_block){
        .kind = block->kind,
        .level = block->level,
        .page = block->page,
        .text = tars_arena_strndup(&collect->arena, block->text.ptr, block->text.len),
        .text_len = block->text.len,
        .char_start = collect->char_count + (collect->count > 0),
    };
    if (!made->text)
        return TARS_ENOMEM;
    collect->bytes += block->text.len + sizeof(*made);
    status = place(collect, made);
    if (status != TARS_OK)
        return status;
    if (collect->bytes > collect->max_bytes)
        return TARS_ETOOBIG;
    made->char_end = made->char_start + tars_utf8_count(made->text, made->text_len);
    collect->char_count = made->char_end;
    collect->count++;
    return TARS_OK;
}

/* Metadata goes into answers as it is, so that it must be one whole object. */
static tars_status check_metadata(struct tars_span text)
{
    json_error_t error = {0};
    json_t *root = text.len ? json_loadb(text.ptr, text.len, 0, &error) : NULL;
    tars_status status = TARS_OK;

    if (text.len && !json_is_object(root))
        status = TARS_EFORMAT;
    if (text.len && !root && json_error_code(&error) == json_error_out_of_memory)
        status = TARS_ENOMEM;
    json_decref(root);
    return status;
}

tars_status tars_collect_document(struct tars_collect *collect,
                                  const struct tars_protocol_document *frame,
                                  struct tars_document *document)
{
    struct tars_arena *arena = &collect->arena;
    const char *external_id = NULL;
    const char *metadata = NULL;
    const char *title = tars_arena_strndup(arena, frame->title.ptr, frame->title.len);
    const char *format = tars_arena_strndup(arena, frame->format.ptr, frame->format.len);
    tars_status status = check_metadata(frame->metadata);

    if (status != TARS_OK)
        return status;
    if (frame->has_id)
        external_id = tars_arena_strndup(arena, frame->external_id.ptr, frame->external_id.len);
    if (frame->metadata.len)
        metadata = tars_arena_strndup(arena, frame->metadata.ptr, frame->metadata.len);
    if (!title || !format || (frame->has_id && !external_id) || (frame->metadata.len && !metadata))
        return TARS_ENOMEM;
    *document = (struct tars_document){
        .external_id = external_id,
        .title = title,
        .format = format,
        .metadata_json = metadata,
        .page_count = frame->page_count,
        .blocks = collect->blocks,
        .block_count = collect->count,
        .char_count = collect->char_count,
    };
    return TARS_OK;
}
