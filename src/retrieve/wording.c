/* wording - see wording.h. */
#include "retrieve/wording.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "text/analyzer.h"
#include "text/stop_words.h"

#define REST_WORDS 3 /* outside of quotes, that may make a sentence */

struct demand {
    struct tars_span words;
    enum tars_index_field field;
};

/* A question taken apart. text and rest have room for all of it. */
struct parsed {
    struct tars_span query;
    size_t at;
    char *text; /* without marks */
    size_t text_len;
    char *rest; /* without what the marks hold, too */
    size_t rest_len;
    struct demand demands[TARS_WORDING_MAX];
    size_t count;
};

/* ------------------------------------------------------------------- reading */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static char lower(char c)
{
    static const char capitals[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const char *at = c ? strchr(capitals, c) : NULL;

    if (at)
        c = "abcdefghijklmnopqrstuvwxyz"[at - capitals];
    return c;
}

/* Bytes of a quotation mark at ptr, or 0. */
static size_t quote_at(const char *ptr, size_t len)
{
    if (len > 0 && ptr[0] == '"')
        return 1;
    return len >= 3 && (memcmp(ptr, "\xe2\x80\x9c", 3) == 0 || memcmp(ptr, "\xe2\x80\x9d", 3) == 0)
               ? 3
               : 0;
}

/* What stands between the mark of width bytes at byte at and the next one; *end is behind that.
 * False: there is no next one, or nothing between. */
static bool quoted(struct tars_span query, size_t at, size_t width, struct tars_span *inner,
                   size_t *end)
{
    for (size_t i = at + width; i < query.len; i++) {
        size_t closing = quote_at(query.ptr + i, query.len - i);

        if (closing == 0)
            continue;
        *inner = tars_span(query.ptr + at + width, i - at - width);
        *end = i + closing;
        return inner->len > 0;
    }
    return false;
}

static bool bare(struct tars_span query, size_t at, struct tars_span *inner, size_t *end)
{
    *end = at;
    while (*end < query.len && !is_space(query.ptr[*end]))
        (*end)++;
    *inner = tars_span(query.ptr + at, *end - at);
    return inner->len > 0;
}

/* Whether a word may begin at byte at: 3" is inches. */
static bool begins(struct tars_span query, size_t at)
{
    return at == 0 || is_space(query.ptr[at - 1]) || query.ptr[at - 1] == '(';
}

/* The field whose name and colon stand at byte at; its bytes, or 0. */
static size_t field_at(struct tars_span query, size_t at, enum tars_index_field *field)
{
    static const struct {
        const char *name;
        enum tars_index_field field;
    } names[] = {{"title:", TARS_INDEX_TITLE}, {"heading:", TARS_INDEX_HEADING}};

    if (!begins(query, at))
        return 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        size_t len = strlen(names[i].name);

        if (query.len - at > len && strncasecmp(query.ptr + at, names[i].name, len) == 0) {
            *field = names[i].field;
            return len;
        }
    }
    return 0;
}

/* A demand that begins where the parser stands; *end is behind it. */
static bool demand_at(const struct parsed *parsed, struct demand *demand, size_t *end)
{
    struct tars_span query = parsed->query;
    size_t name = field_at(query, parsed->at, &demand->field);
    size_t at = parsed->at + name;
    size_t width = quote_at(query.ptr + at, query.len - at);

    if (name == 0)
        demand->field = TARS_INDEX_TEXT;
    if (width > 0 && begins(query, parsed->at) && quoted(query, at, width, &demand->words, end))
        return true;
    return name > 0 && bare(query, at, &demand->words, end);
}

static void parse(struct parsed *parsed)
{
    while (parsed->at < parsed->query.len) {
        struct demand demand;
        size_t end;

        if (parsed->count < TARS_WORDING_MAX && demand_at(parsed, &demand, &end)) {
            parsed->demands[parsed->count++] = demand;
            memcpy(parsed->text + parsed->text_len, demand.words.ptr, demand.words.len);
            parsed->text_len += demand.words.len;
            parsed->rest[parsed->rest_len++] = ' ';
            parsed->at = end;
        } else {
            parsed->text[parsed->text_len++] = parsed->query.ptr[parsed->at];
            parsed->rest[parsed->rest_len++] = parsed->query.ptr[parsed->at++];
        }
    }
}

/* Whether what stands outside of demands is a sentence of a question. */
static bool is_sentence(const struct tars_wording_from *from, char *rest, size_t len)
{
    size_t words = 0;
    bool stops = false;

    for (size_t at = 0; at < len;) {
        size_t start = at;

        if (rest[at] == '?')
            return true;
        for (; at < len && !is_space(rest[at]) && rest[at] != '?'; at++)
            rest[at] = lower(rest[at]);
        words += at > start;
        for (size_t i = 0; i < from->lang_count; i++)
            stops = stops || tars_stop_word(from->langs[i], rest + start, at - start);
        at += at == start;
    }
    return stops && words >= REST_WORDS;
}

/* Keep those demands that ask for something. */
static void drop_quotes(struct parsed *parsed)
{
    size_t kept = 0;

    for (size_t i = 0; i < parsed->count; i++) {
        if (parsed->demands[i].field != TARS_INDEX_TEXT)
            parsed->demands[kept++] = parsed->demands[i];
    }
    parsed->count = kept;
}

const char *tars_wording_place(struct tars_span query, const char *unmet)
{
    static const char *const places[] = {[TARS_INDEX_TEXT] = "passage",
                                         [TARS_INDEX_TITLE] = "title",
                                         [TARS_INDEX_HEADING] = "heading"};
    struct parsed parsed = {.query = query};

    while (parsed.at < query.len) {
        struct demand demand;
        size_t end;
        bool demands = demand_at(&parsed, &demand, &end);

        if (demands && demand.words.len == strlen(unmet) &&
            memcmp(demand.words.ptr, unmet, demand.words.len) == 0)
            return places[demand.field];
        parsed.at = demands ? end : parsed.at + 1;
    }
    return places[TARS_INDEX_TEXT];
}

/* ------------------------------------------------------------------- finding */

/* Ids of passages, ascending. */
struct ids {
    uint64_t *items;
    size_t count;
};

/* The demand as one language has it; ids are given, to be freed. */
static tars_status find_in(const struct tars_wording_from *from, const struct demand *demand,
                           int lang, struct ids *found)
{
    struct tars_index_phrase_word *words;
    struct tars_terms terms;
    tars_status status = tars_analyze(from->analyzer, from->arena, lang, demand->words.ptr,
                                      demand->words.len, &terms);

    if (status != TARS_OK)
        return status;
    words = tars_arena_calloc(from->arena, terms.count + 1, sizeof(*words));
    if (!words)
        return TARS_ENOMEM;
    for (size_t i = 0; i < terms.count; i++) {
        words[i] = (struct tars_index_phrase_word){terms.items[i].ptr, terms.items[i].len,
                                                   terms.items[i].position};
    }
    return tars_index_find_phrase(from->index,
                                  &(struct tars_index_phrase){words, terms.count, demand->field},
                                  &found->items, &found->count);
}

/* Those of both, in arena. */
static tars_status join(struct tars_arena *arena, struct ids a, struct ids b, struct ids *out)
{
    uint64_t *items = tars_arena_calloc(arena, a.count + b.count + 1, sizeof(*items));
    size_t i = 0;
    size_t k = 0;
    size_t n = 0;

    if (!items)
        return TARS_ENOMEM;
    while (i < a.count || k < b.count) {
        if (k == b.count || (i < a.count && a.items[i] < b.items[k])) {
            items[n++] = a.items[i++];
        } else {
            i += i < a.count && a.items[i] == b.items[k];
            items[n++] = b.items[k++];
        }
    }
    *out = (struct ids){items, n};
    return TARS_OK;
}

/* Leave those that filter accepts. */
static void leave_visible(const struct tars_index_filter *filter, struct ids *ids)
{
    size_t kept = 0;

    for (size_t i = 0; i < ids->count; i++) {
        if (!filter || filter->accepts(filter->ctx, ids->items[i]))
            ids->items[kept++] = ids->items[i];
    }
    ids->count = kept;
}

/* What meets the demand in any language of the index. */
static tars_status find(const struct tars_wording_from *from, const struct demand *demand,
                        struct ids *out)
{
    tars_status status = TARS_OK;

    *out = (struct ids){NULL, 0};
    for (size_t i = 0; i < from->lang_count && status == TARS_OK; i++) {
        struct ids found = {NULL, 0};

        status = find_in(from, demand, from->langs[i], &found);
        if (status == TARS_OK)
            status = join(from->arena, *out, found, out);
        free(found.items);
    }
    if (status == TARS_OK)
        leave_visible(from->visible, out);
    return status;
}

static size_t lower_bound(const struct tars_wording *wording, uint64_t id)
{
    size_t low = 0;
    size_t high = wording->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (wording->ids[middle] < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

bool tars_wording_accepts(const struct tars_wording *wording, uint64_t id)
{
    size_t at = lower_bound(wording, id);

    return at < wording->count && wording->ids[at] == id;
}

static bool meets(void *ctx, uint64_t id)
{
    const struct tars_wording *wording = ctx;

    return tars_wording_accepts(wording, id) &&
           (!wording->scope || wording->scope->accepts(wording->scope->ctx, id));
}

/* The next passage, alone, that meets the demands. */
static bool next_met(void *ctx, uint64_t from, struct tars_index_run *run)
{
    const struct tars_wording *wording = ctx;

    for (size_t i = lower_bound(wording, from); i < wording->count; i++) {
        if (meets(ctx, wording->ids[i])) {
            *run = (struct tars_index_run){wording->ids[i], wording->ids[i]};
            return true;
        }
    }
    return false;
}

const struct tars_index_filter *tars_wording_filter(struct tars_wording *wording,
                                                    const struct tars_index_filter *scope)
{
    if (!wording->binds)
        return scope;
    wording->scope = scope;
    wording->filter = (struct tars_index_filter){meets, wording, next_met};
    return &wording->filter;
}

/* Leave those of what was found that meet this demand too. */
static void narrow(struct tars_wording *out, struct ids found)
{
    const struct tars_wording before = *out;
    size_t kept = 0;

    for (size_t i = 0; i < found.count; i++) {
        if (!before.binds || tars_wording_accepts(&before, found.items[i]))
            found.items[kept++] = found.items[i];
    }
    out->binds = true;
    out->ids = found.items;
    out->count = kept;
}

static tars_status meet(const struct tars_wording_from *from, const struct parsed *parsed,
                        struct tars_wording *out)
{
    for (size_t i = 0; i < parsed->count; i++) {
        const struct demand *demand = &parsed->demands[i];
        struct ids found;
        tars_status status = find(from, demand, &found);

        if (status != TARS_OK)
            return status;
        if (found.count > 0) {
            narrow(out, found);
        } else if (!out->unmet) {
            out->unmet = tars_arena_strndup(from->arena, demand->words.ptr, demand->words.len);
            if (!out->unmet)
                return TARS_ENOMEM;
        }
    }
    if (out->binds && out->count == 0) { /* each is met, but nowhere together */
        out->binds = false;
        out->unmet = tars_arena_strndup(from->arena, parsed->query.ptr, parsed->query.len);
        return out->unmet ? TARS_OK : TARS_ENOMEM;
    }
    return TARS_OK;
}

tars_status tars_wording_read(const struct tars_wording_from *from, struct tars_span query,
                              struct tars_wording *out)
{
    struct parsed parsed = {.query = query};

    *out = (struct tars_wording){.text = query};
    parsed.text = tars_arena_alloc(from->arena, query.len + 1);
    parsed.rest = tars_arena_alloc(from->arena, query.len + 1);
    if (!parsed.text || !parsed.rest)
        return TARS_ENOMEM;
    parse(&parsed);
    if (is_sentence(from, parsed.rest, parsed.rest_len))
        drop_quotes(&parsed);
    if (parsed.count == 0)
        return TARS_OK;
    out->text = tars_span(parsed.text, parsed.text_len);
    return meet(from, &parsed, out);
}
