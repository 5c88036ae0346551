/* wordpiece_dump VOCAB - for tests/golden/wordpiece_check.py: reads texts, each as a line with its
 * length in bytes and then the bytes, and prints a line "id:start-end ..." for each, places in
 * bytes.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/mem/arena.h"
#include "text/wordpiece.h"

#define TEXT_MAX  ((size_t)64 << 20)
#define ARENA_MAX ((size_t)4 << 30)

/* The whole of a file, terminated; NULL on any failure. The caller frees it. */
static char *slurp(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    char *bytes = malloc(TEXT_MAX);

    if (file && bytes) {
        *len = fread(bytes, 1, TEXT_MAX, file);
    } else {
        free(bytes);
        bytes = NULL;
    }
    if (file)
        (void)fclose(file);
    return bytes;
}

static int dump(const struct tars_wordpiece *wordpiece, struct tars_arena *arena, const char *text,
                size_t len)
{
    struct tars_tokens tokens;

    if (tars_wordpiece_encode(wordpiece, arena, text, len, &tokens) != TARS_OK)
        return 1;
    if (tars_wordpiece_count(wordpiece, text, len) != tokens.count)
        return 1;
    for (size_t i = 0; i < tokens.count; i++)
        printf("%s%d:%u-%u", i ? " " : "", tokens.ids[i], tokens.start[i], tokens.end[i]);
    putchar('\n');
    return 0;
}

int main(int argc, char **argv)
{
    struct tars_wordpiece_config config = {0};
    struct tars_wordpiece *wordpiece = NULL;
    struct tars_arena arena;
    struct tars_err err;
    char line[64];
    char *vocab = NULL;
    char *text = malloc(TEXT_MAX);
    int failed = 1;

    tars_arena_init(&arena, ARENA_MAX);
    if (argc == 2 && text)
        vocab = slurp(argv[1], &config.vocab_txt.len);
    config.vocab_txt.ptr = vocab;
    if (!vocab || tars_wordpiece_new(&config, &wordpiece, &err) != TARS_OK) {
        (void)fprintf(stderr, "wordpiece_dump: cannot read the vocabulary\n");
        goto out;
    }
    failed = 0;
    while (!failed && fgets(line, sizeof(line), stdin)) {
        size_t len = strtoul(line, NULL, 10);

        failed = len > TEXT_MAX || fread(text, 1, len, stdin) != len ||
                 dump(wordpiece, &arena, text, len);
        tars_arena_clear(&arena);
    }
out:
    tars_wordpiece_free(wordpiece);
    tars_arena_release(&arena);
    free(vocab);
    free(text);
    return failed;
}
