/* expand - see expand.h for the contract.
 *
 * The cache is a ring: a slot is written over by the newest answer when its turn comes. A look-up
 * compares hashes of at most TARS_EXPAND_CACHE slots, a microsecond beside a model's seconds.
 *
 *     slot: hash | "question:strategy\0" "variant\0" "variant\0" ... | count
 */
#include "rag/expand.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem/buf.h"
#include "text/normalize.h"

#define MAX_DEFAULT  3
#define CHARS_MIN    5
#define OUTPUT_BYTES ((size_t)16 << 10) /* what is read of the model's text */

struct slot {
    uint64_t hash;
    char *texts; /* owned; the key and the variants, each terminated; NULL: free */
    size_t count;
};

struct tars_expander {
    struct tars_expander_config config; /* with every default filled in */
    atomic_llong rest_until_ms;         /* the model failed: not asked before */
    pthread_mutex_t lock;               /* guards the two below */
    struct slot slots[TARS_EXPAND_CACHE];
    size_t next; /* slot that is written next */
};

static const struct {
    const char *name;
    const char *words;
} strategies[] = {
#define X(name, value, text, words) [value] = {text, words},
    TARS_EXPAND_STRATEGIES(X)
#undef X
};

#define STRATEGIES (sizeof(strategies) / sizeof(strategies[0]))

bool tars_expand_strategy_parse(const char *text, enum tars_expand_strategy *strategy)
{
    for (size_t i = 0; i < STRATEGIES; i++) {
        if (strcasecmp(text, strategies[i].name) == 0) {
            *strategy = (enum tars_expand_strategy)i;
            return true;
        }
    }
    return false;
}

/* ---------------------------------------------------------------- life cycle */

tars_status tars_expander_new(const struct tars_expander_config *config,
                              struct tars_expander **expander)
{
    struct tars_expander *made;

    if (!config->llm || config->max > TARS_EXPAND_MAX || (size_t)config->strategy >= STRATEGIES)
        return TARS_EINVAL;
    made = calloc(1, sizeof(*made));
    if (!made || pthread_mutex_init(&made->lock, NULL) != 0) {
        free(made);
        return TARS_ENOMEM;
    }
    made->config = *config;
    if (made->config.max == 0)
        made->config.max = MAX_DEFAULT;
    if (!made->config.now_ms)
        made->config.now_ms = tars_clock_mono;
    *expander = made;
    return TARS_OK;
}

void tars_expander_free(struct tars_expander *expander)
{
    if (!expander)
        return;
    for (size_t i = 0; i < TARS_EXPAND_CACHE; i++)
        free(expander->slots[i].texts);
    pthread_mutex_destroy(&expander->lock);
    free(expander);
}

/* --------------------------------------------------------------------- lines */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static struct tars_span trim(struct tars_span text)
{
    while (text.len && is_space(text.ptr[0]))
        text = tars_span(text.ptr + 1, text.len - 1);
    while (text.len && is_space(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

/* "1. ", "12) ", "-) ": a marker ends in '.' or ')'. */
static struct tars_span without_marker(struct tars_span line)
{
    size_t len = 0;

    while (len < line.len && strchr("0123456789-*+", line.ptr[len]))
        len++;
    if (len == 0 || len == line.len || (line.ptr[len] != '.' && line.ptr[len] != ')'))
        return line;
    return trim(tars_span(line.ptr + len + 1, line.len - len - 1));
}

static struct tars_span without_quotes(struct tars_span line)
{
    while (line.len && (line.ptr[0] == '"' || line.ptr[0] == '\''))
        line = tars_span(line.ptr + 1, line.len - 1);
    while (line.len && (line.ptr[line.len - 1] == '"' || line.ptr[line.len - 1] == '\''))
        line.len--;
    return trim(line);
}

static bool is_same(struct tars_span line, const char *text)
{
    return strlen(text) == line.len && strncasecmp(text, line.ptr, line.len) == 0;
}

static bool is_news(struct tars_span line, const char *query, const char *const *known,
                    size_t count)
{
    if (tars_utf8_count(line.ptr, line.len) < CHARS_MIN || is_same(line, query))
        return false;
    for (size_t i = 0; i < count; i++) {
        if (is_same(line, known[i]))
            return false;
    }
    return true;
}

tars_status tars_expand_lines(struct tars_arena *arena, const char *query, struct tars_span text,
                              size_t max, const char *const **variants, size_t *count)
{
    const char **made = tars_arena_calloc(arena, max + 1, sizeof(*made));
    size_t n = 0;

    if (!made)
        return TARS_ENOMEM;
    while (text.len && n < max) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t len = end ? (size_t)(end - text.ptr) : text.len;
        struct tars_span line = without_quotes(without_marker(trim(tars_span(text.ptr, len))));

        if (is_news(line, query, made, n)) {
            made[n] = tars_arena_strndup(arena, line.ptr, line.len);
            if (!made[n])
                return TARS_ENOMEM;
            n++;
        }
        len += end ? 1 : 0;
        text = tars_span(text.ptr + len, text.len - len);
    }
    *variants = made;
    *count = n;
    return TARS_OK;
}

/* --------------------------------------------------------------------- cache */

static uint64_t hash_of(const char *text)
{
    uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return hash;
}

static const char *key_of(const struct tars_expander *expander, struct tars_arena *arena,
                          const char *query)
{
    return tars_arena_printf(arena, "%s:%s", query, strategies[expander->config.strategy].name);
}

static const struct slot *find(const struct tars_expander *expander, const char *key, uint64_t hash)
{
    for (size_t i = 0; i < TARS_EXPAND_CACHE; i++) {
        const struct slot *slot = &expander->slots[i];

        if (slot->texts && slot->hash == hash && strcmp(slot->texts, key) == 0)
            return slot;
    }
    return NULL;
}

static tars_status copy_slot(struct tars_arena *arena, const struct slot *slot,
                             const char *const **variants, size_t *count)
{
    const char **made = tars_arena_calloc(arena, slot->count + 1, sizeof(*made));
    const char *text = slot->texts + strlen(slot->texts) + 1;

    for (size_t i = 0; made && i < slot->count; i++) {
        made[i] = tars_arena_strdup(arena, text);
        if (!made[i])
            return TARS_ENOMEM;
        text += strlen(text) + 1;
    }
    if (!made)
        return TARS_ENOMEM;
    *variants = made;
    *count = slot->count;
    return TARS_OK;
}

/* TARS_ENOTFOUND: not kept. */
static tars_status look_up(struct tars_expander *expander, struct tars_arena *arena,
                           const char *key, const char *const **variants, size_t *count)
{
    tars_status status = TARS_ENOTFOUND;
    const struct slot *slot;

    pthread_mutex_lock(&expander->lock);
    slot = find(expander, key, hash_of(key));
    if (slot)
        status = copy_slot(arena, slot, variants, count);
    pthread_mutex_unlock(&expander->lock);
    return status;
}

/* Without memory nothing is kept, which costs the next one a call. */
static void keep(struct tars_expander *expander, const char *key, const char *const *variants,
                 size_t count)
{
    uint64_t hash = hash_of(key);
    struct tars_buf texts;

    tars_buf_init(&texts, TARS_EXPAND_QUERY_MAX + OUTPUT_BYTES + 64);
    tars_buf_append(&texts, key, strlen(key) + 1);
    for (size_t i = 0; i < count; i++)
        tars_buf_append(&texts, variants[i], strlen(variants[i]) + 1);
    pthread_mutex_lock(&expander->lock);
    if (texts.status == TARS_OK && !find(expander, key, hash)) {
        struct slot *slot = &expander->slots[expander->next];

        free(slot->texts);
        *slot = (struct slot){hash, tars_buf_detach(&texts), count};
        expander->next = (expander->next + 1) % TARS_EXPAND_CACHE;
    }
    pthread_mutex_unlock(&expander->lock);
    tars_buf_release(&texts);
}

/* --------------------------------------------------------------------- model */

static bool take(void *ctx, const char *ptr, size_t len)
{
    struct tars_buf *text = ctx;

    tars_buf_append(text, ptr, len);
    return text->status == TARS_OK;
}

static int64_t earlier(int64_t deadline_ms, int64_t other_ms)
{
    return deadline_ms && deadline_ms < other_ms ? deadline_ms : other_ms;
}

/* Let the model write; it may not take the whole of the call's time. */
static tars_status ask(struct tars_expander *expander, const char *query, struct tars_call *call,
                       struct tars_buf *text)
{
    const struct tars_llm_sink sink = {take, text};
    struct tars_llm_result result = {.started = false};
    struct tars_llm_request request = {
        .prompt = tars_arena_printf(
            call->arena,
            "Write %d %s, one on each line, without numbers or remarks.\n\nQuestion: %s",
            (int)expander->config.max, strategies[expander->config.strategy].words, query),
        .max_tokens = TARS_EXPAND_TOKENS,
        .temperature = TARS_EXPAND_TEMPERATURE,
        .free_text = true,
    };
    int64_t deadline_ms = call->deadline_ms;
    tars_status status;

    if (!request.prompt)
        return TARS_ENOMEM;
    call->deadline_ms = earlier(deadline_ms, tars_clock_mono_ms() + TARS_EXPAND_MS);
    status = tars_llm_generate(expander->config.llm, &request, call, &sink, &result, NULL);
    call->deadline_ms = deadline_ms;
    return text->status == TARS_ENOMEM ? TARS_ENOMEM : status;
}

static tars_status over(struct tars_call *call)
{
    if (!tars_call_is_over(call))
        return TARS_OK;
    return atomic_load(&call->cancelled) ? TARS_ECANCELED : TARS_ETIMEOUT;
}

tars_status tars_expand(struct tars_expander *expander, const char *query, struct tars_call *call,
                        const char *const **variants, size_t *count)
{
    const char *key = NULL;
    struct tars_buf text;
    tars_status status;

    *variants = NULL;
    *count = 0;
    if (strlen(query) > TARS_EXPAND_QUERY_MAX)
        return TARS_OK;
    key = key_of(expander, call->arena, query);
    if (!key)
        return TARS_ENOMEM;
    status = look_up(expander, call->arena, key, variants, count);
    if (status != TARS_ENOTFOUND)
        return status;
    if (expander->config.now_ms(expander->config.now_ctx) < atomic_load(&expander->rest_until_ms))
        return TARS_OK;
    tars_buf_init(&text, OUTPUT_BYTES);
    status = ask(expander, query, call, &text);
    /* Lines beyond OUTPUT_BYTES were not wanted: what is there is the answer. */
    if (status == TARS_OK || text.status == TARS_ETOOBIG) {
        status = tars_expand_lines(call->arena, query, tars_buf_span(&text), expander->config.max,
                                   variants, count);
        if (status == TARS_OK)
            keep(expander, key, *variants, *count);
    } else if (status != TARS_ENOMEM) {
        status = over(call);
        if (status == TARS_OK) {
            atomic_store(&expander->rest_until_ms,
                         expander->config.now_ms(expander->config.now_ctx) + TARS_EXPAND_REST_MS);
        }
    }
    tars_buf_release(&text);
    return status;
}
