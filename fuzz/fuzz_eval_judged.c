/* Three files of a judged folder, with a NUL byte between: questions, judgements, answers. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "eval/judged.h"

static struct tars_span take(struct tars_span *rest)
{
    const char *end = rest->len ? memchr(rest->ptr, '\0', rest->len) : NULL;
    size_t len = end ? (size_t)(end - rest->ptr) : rest->len;
    struct tars_span part = tars_span(rest->ptr, len);

    *rest = tars_span(rest->ptr + len + (end != NULL), rest->len - len - (end != NULL));
    return part;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct tars_span rest = tars_span((const char *)data, size);
    struct tars_judged_files files;
    struct tars_judged judged;
    struct tars_arena arena;

    files.queries = take(&rest);
    files.qrels = take(&rest);
    files.qa = take(&rest);
    tars_arena_init(&arena, (size_t)64 << 20);
    if (tars_judged_parse(&files, &arena, &judged, NULL) == TARS_OK) {
        for (size_t i = 0; i < judged.count; i++) {
            const struct tars_judged_query *query = &judged.queries[i];

            for (size_t j = 0; j < query->judgement_count; j++) {
                if (tars_judged_grade(query, query->judgements[j].document) !=
                    query->judgements[j].grade)
                    abort();
            }
            (void)tars_judged_is_context(query, query->id);
        }
    }
    tars_arena_release(&arena);
    return 0;
}
