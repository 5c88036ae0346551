/* citation_check - reads cases as JSON lines, checks them with rag/cite, prints verdicts as lines.
 *
 *     < {"kind":"moved","answer":"...","sources":[{"text":"...","title":"..."}]}
 *     > {"kind":"moved","sentences":3,"unsupported":2,"verdicts":["covered","words","name"]}
 *
 * Used by citation_check.py, which makes the cases.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rag/cite.h"
#include "text/analyzer.h"

#define ARENA_BYTES ((size_t)256 << 20U)

static struct tars_span text_at(const json_t *object, const char *key)
{
    const json_t *text = json_object_get(object, key);

    return tars_span(json_string_value(text), json_string_length(text));
}

static void print_result(const char *kind, const struct tars_citations *found)
{
    json_t *out = json_object();
    json_t *verdicts = json_array();
    char *line;

    for (size_t i = 0; i < found->count; i++) {
        json_array_append_new(verdicts,
                              json_string(tars_cite_verdict_text(found->sentences[i].verdict)));
    }
    json_object_set_new(out, "kind", json_string(kind));
    json_object_set_new(out, "sentences", json_integer((json_int_t)found->count));
    json_object_set_new(out, "unsupported", json_integer((json_int_t)found->unsupported));
    json_object_set_new(out, "verdicts", verdicts);
    line = json_dumps(out, JSON_COMPACT);
    if (line)
        puts(line);
    free(line);
    json_decref(out);
}

static int check_case(struct tars_analyzer *analyzer, struct tars_arena *arena, const json_t *root)
{
    const json_t *list = json_object_get(root, "sources");
    size_t count = json_array_size(list);
    struct tars_cite_source *sources = tars_arena_calloc(arena, count + 1, sizeof(*sources));
    struct tars_citations found;

    if (!sources)
        return 1;
    for (size_t i = 0; i < count; i++) {
        sources[i].text = text_at(json_array_get(list, i), "text");
        sources[i].title = text_at(json_array_get(list, i), "title");
    }
    if (tars_cite_check(analyzer, arena, text_at(root, "answer"), sources, count, &found) !=
        TARS_OK)
        return 1;
    print_result(text_at(root, "kind").ptr, &found);
    return 0;
}

int main(void)
{
    struct tars_analyzer *analyzer = NULL;
    struct tars_arena arena;
    char *line = NULL;
    size_t cap = 0;
    int failed = 0;

    tars_arena_init(&arena, ARENA_BYTES);
    if (tars_analyzer_new(&analyzer) != TARS_OK)
        return 1;
    while (!failed && getline(&line, &cap, stdin) > 0) {
        json_t *root = json_loads(line, JSON_ALLOW_NUL, NULL);

        failed = root ? check_case(analyzer, &arena, root) : 1;
        json_decref(root);
        tars_arena_clear(&arena);
    }
    free(line);
    tars_analyzer_free(analyzer);
    tars_arena_release(&arena);
    return failed;
}
