/* Any bytes, as blocks: a byte of kind and one of repetition, then text up to the next 0. Chunks
 * are in order and valid UTF-8, windows fit the encoder. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "text/chunk.h"
#include "text/normalize.h"

#define ARENA_MAX   ((size_t)512 << 20)
#define BLOCKS_MAX  16
#define WINDOW_MAX  64
#define REPEATS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char VOCAB[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\na\n##a\nb\n##b\nab\n##ing\nthe\n.\n|\n-\n";

static void must(bool holds)
{
    if (!holds)
        abort();
}

/* One block; returns the bytes that it took. */
static size_t read_block(struct tars_arena *arena, const uint8_t *data, size_t size,
                         struct tars_block *block)
{
    const uint8_t *end = size > 2 ? memchr(data + 2, 0, size - 2) : NULL;
    size_t len = end ? (size_t)(end - data) - 2 : size > 2 ? size - 2 : 0;
    size_t repeats = size > 1 ? data[1] % REPEATS_MAX + 1 : 1;
    char *text = tars_arena_alloc(arena, len * repeats + 1);
    struct tars_span valid;

    must(text != NULL);
    for (size_t i = 0; i < repeats && len; i++)
        memcpy(text + i * len, data + 2, len);
    must(tars_utf8_repair(arena, text, len * repeats, &valid) == TARS_OK);
    *block = (struct tars_block){.kind = (enum tars_block_kind)(data[0] % 6),
                                 .text = valid.ptr,
                                 .text_len = valid.len,
                                 .headings = data[0] & 64 ? "a > b" : ""};
    return len + 3 < size ? len + 3 : size;
}

static void check(const struct tars_chunk_config *config, struct tars_arena *arena,
                  const struct tars_chunk *chunk)
{
    must(tars_utf8_is_valid(chunk->text, chunk->text_len) && chunk->window_count >= 1);
    must(chunk->char_end > chunk->char_start);
    for (size_t i = 0; i < chunk->window_count; i++) {
        struct tars_span text;

        must(tars_chunk_window_text(config, arena, "a title", chunk, i, &text) == TARS_OK);
        must(tars_utf8_is_valid(text.ptr, text.len));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tars_wordpiece_config wp_config = {.vocab_txt = tars_span_of(VOCAB)};
    struct tars_chunk_config config = {.min_tokens = 16, .max_tokens = 32, .title = "a title"};
    struct tars_block blocks[BLOCKS_MAX];
    struct tars_document document = {.title = "a title", .blocks = blocks};
    struct tars_wordpiece *wordpiece = NULL;
    struct tars_chunks chunks;
    struct tars_arena arena;
    size_t place = 0;

    config.window_tokens = WINDOW_MAX;
    tars_arena_init(&arena, ARENA_MAX);
    must(tars_wordpiece_new(&wp_config, &wordpiece, NULL) == TARS_OK);
    config.wordpiece = wordpiece;
    while (size && document.block_count < BLOCKS_MAX) {
        struct tars_block *block = &blocks[document.block_count++];
        size_t took = read_block(&arena, data, size, block);

        block->char_start = place;
        block->char_end = place + tars_utf8_count(block->text, block->text_len);
        place = block->char_end + 1;
        data += took;
        size -= took;
    }
    must(tars_chunk_document(&config, &document, &arena, &chunks, NULL) == TARS_OK);
    for (size_t i = 0; i < chunks.count; i++) {
        check(&config, &arena, &chunks.items[i]);
        must(i == 0 || chunks.items[i].char_start >= chunks.items[i - 1].char_end);
    }
    tars_wordpiece_free(wordpiece);
    tars_arena_release(&arena);
    return 0;
}
