/* analyzer_dump LANG|auto [QUERY_LANGS] - for tests/golden/analyzer_bm25.py: reads texts, each as a
 * line with its length in bytes and then the bytes, and prints a line for each: its language, then
 * its terms, tabs between, each as often as it counts. With QUERY_LANGS (codes, commas between)
 * texts are taken for questions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem/arena.h"
#include "text/analyzer.h"

#define TEXT_MAX  ((size_t)64 << 20)
#define ARENA_MAX ((size_t)4 << 30)

static size_t parse_langs(const char *list, int *langs)
{
    size_t count = 0;

    while (list && *list && count < TARS_LANGUAGE_COUNT) {
        char name[8] = "";
        size_t len = strcspn(list, ",");

        (void)snprintf(name, sizeof(name), "%.*s", (int)len, list);
        langs[count++] = tars_language_of(name);
        list += len + (list[len] == ',');
    }
    return count;
}

static int read_text(char *text, size_t *len)
{
    char line[64];

    if (!fgets(line, sizeof(line), stdin))
        return 0;
    *len = strtoul(line, NULL, 10);
    return *len <= TEXT_MAX && fread(text, 1, *len, stdin) == *len;
}

int main(int argc, char **argv)
{
    struct tars_analyzer *analyzer = NULL;
    struct tars_terms terms;
    struct tars_arena arena;
    int langs[TARS_LANGUAGE_COUNT];
    size_t n_langs = parse_langs(argc > 2 ? argv[2] : NULL, langs);
    char *text = malloc(TEXT_MAX);
    size_t len = 0;
    int failed = argc < 2 || !text || tars_analyzer_new(&analyzer) != TARS_OK;

    tars_arena_init(&arena, ARENA_MAX);
    while (!failed && read_text(text, &len)) {
        int lang = strcmp(argv[1], "auto") == 0 ? tars_language_detect(text, len)
                                                : tars_language_of(argv[1]);

        if (n_langs) {
            failed = tars_analyze_query(analyzer, &arena, langs, n_langs, text, len, &terms) != 0;
        } else {
            failed = tars_analyze(analyzer, &arena, lang, text, len, &terms) != 0;
        }
        printf("%s", tars_language_name(lang));
        for (size_t i = 0; !failed && i < terms.count; i++) {
            for (uint32_t k = 0; k < terms.items[i].count; k++)
                printf("\t%.*s", (int)terms.items[i].len, terms.items[i].ptr);
        }
        putchar('\n');
        tars_arena_clear(&arena);
    }
    tars_analyzer_free(analyzer);
    tars_arena_release(&arena);
    free(text);
    return failed;
}
