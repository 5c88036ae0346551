/* alike - see alike.h for the contract. */
#include "app/alike.h"

#include <string.h>

#include "base/mem/buf.h"
#include "store/store_postgres.h"

#define TEXT_MAX ((size_t)4 << 10)

static const char *finish(struct tars_buf *text, struct tars_arena *arena)
{
    const char *made = text->status == TARS_OK
                           ? tars_arena_strndup(arena, text->ptr ? text->ptr : "", text->len)
                           : NULL;

    tars_buf_release(text);
    return made;
}

static void say_int(struct tars_buf *text, const struct tars_settings *settings,
                    enum tars_setting id)
{
    tars_buf_appendf(text, "%s=%lld\n", tars_settings_info(settings, id).name,
                     (long long)tars_settings_int(settings, id));
}

const char *tars_alike_text(const struct tars_settings *settings, struct tars_arena *arena)
{
    bool by_meaning = tars_settings_flag(settings, TARS_SET_USE_SEMANTIC_CHUNKING);
    struct tars_buf text;

    tars_buf_init(&text, TEXT_MAX);
    tars_buf_appendf(&text, "EMBED_PRECISION=%s\n",
                     tars_settings_text(settings, TARS_SET_EMBED_PRECISION));
    say_int(&text, settings, TARS_SET_EMBED_MAX_SEQ_LENGTH);
    tars_buf_appendf(&text, "USE_SEMANTIC_CHUNKING=%s\n", by_meaning ? "true" : "false");
    if (by_meaning) {
        say_int(&text, settings, TARS_SET_SEMANTIC_CHUNK_MIN);
        say_int(&text, settings, TARS_SET_SEMANTIC_CHUNK_MAX);
    } else {
        say_int(&text, settings, TARS_SET_CHUNK_SIZE);
    }
    say_int(&text, settings, TARS_SET_CHUNK_OVERLAP);
    return finish(&text, arena);
}

/* The value that text has for the name that a line of another begins with; NULL: none. */
static const char *value_in(const char *text, const char *line, size_t name_len)
{
    while (*text) {
        if (strncmp(text, line, name_len + 1) == 0) /* with its "=" */
            return text + name_len + 1;
        text += strcspn(text, "\n");
        text += *text == '\n';
    }
    return NULL;
}

const char *tars_alike_differences(const char *ours, const char *theirs, const char *host,
                                   struct tars_arena *arena)
{
    struct tars_buf text;

    tars_buf_init(&text, TEXT_MAX);
    for (const char *line = ours; *line;) {
        size_t line_len = strcspn(line, "\n");
        size_t name_len = strcspn(line, "=\n");
        const char *value = line[name_len] == '=' ? value_in(theirs, line, name_len) : NULL;
        size_t len = value ? strcspn(value, "\n") : 0;
        const char *own = line + name_len + 1;
        size_t own_len = line_len - name_len - 1;

        if (value && (len != own_len || memcmp(value, own, len) != 0)) {
            tars_buf_appendf(&text, "%s%.*s is %.*s on %s and %.*s here", text.len ? ", " : "",
                             (int)name_len, line, (int)len, value, host, (int)own_len, own);
        }
        line += line_len + (line[line_len] == '\n');
    }
    return finish(&text, arena);
}

tars_status tars_alike_check(const struct tars_settings *settings, struct tars_store *store,
                             struct tars_arena *arena, const char **differences,
                             struct tars_err *err)
{
    const char *ours = tars_alike_text(settings, arena);
    struct tars_store_sharer *others = NULL;
    size_t count = 0;
    const char *found = "";
    tars_status status = tars_store_postgres_unlike(store, arena, &others, &count, err);

    if (status != TARS_OK)
        return status;
    for (size_t i = 0; ours && found && i < count && !found[0]; i++)
        found = tars_alike_differences(ours, others[i].settings, others[i].host, arena);
    if (!ours || !found)
        return tars_fail(TARS_ENOMEM, err, "no memory for what other servers say");
    *differences = found;
    return TARS_OK;
}
