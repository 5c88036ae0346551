/* history - see history.h for the contract. */
#include "rag/history.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem/buf.h"
#include "base/sys/clock.h"
#include "rag/later.h"
#include "text/analyzer.h"
#include "text/normalize.h"
#include "text/sentences.h"

#define TURN_OVERHEAD 8 /* tokens of what stands around a turn in a prompt */
#define CONTEXT_SHARE 4 /* turns take at most this part of a model's context */
#define UNPAIRED      8 /* messages without a counterpart that are looked past */
#define WORDS_ALONE   2 /* words that say too little by themselves */
#define WORDS_SHORT   4 /* with a pronoun */
#define SEARCH_BYTES  8192

struct tars_history {
    struct tars_history_config config; /* with every default filled in */
    struct tars_later *later;
};

tars_status tars_history_new(const struct tars_history_config *config,
                             struct tars_history **history)
{
    struct tars_history *made;

    if (!config->store || config->turns > TARS_HISTORY_TURNS_MAX)
        return TARS_EINVAL;
    made = calloc(1, sizeof(*made));
    if (!made)
        return TARS_ENOMEM;
    made->config = *config;
    if (made->config.tokens == 0)
        made->config.tokens = TARS_HISTORY_TOKENS_DEFAULT;
    if (tars_later_new(config->store, config->waiting_dir, config->log, &made->later)) {
        free(made);
        return TARS_ENOMEM;
    }
    *history = made;
    return TARS_OK;
}

void tars_history_free(struct tars_history *history)
{
    if (!history)
        return;
    tars_later_free(history->later);
    free(history);
}

static const char *tenant_of(const struct tars_call *call)
{
    return call->tenant ? call->tenant : "default";
}

/* ---------------------------------------------------------------------- leaning */

/* A question that begins with one of these goes on with the one before. */
static const char *const openers[] = {
    "and",  "but",  "or",     "also", "then", "so",     "otherwise", "instead", "und",   "aber",
    "oder", "auch", "et",     "mais", "y",    "pero",   "e",         "ma",      "mas",   "maar",
    "och",  "men",  "ja",     "А",    "а",    "И",      "и",         "Но",      "но",    "那",
    "那么", "では", "じゃあ", "それ", "그럼", "그리고", "ve",        "peki",    "وماذا", "و",
};
static const char *const pairs[] = {"what about", "how about",    "what else",   "was ist mit",
                                    "und was",    "qu'en est-il", "qué pasa con"};
static const char *const pronouns[] = {
    "it",   "its",  "they", "them", "their", "theirs", "he",    "him",   "his",  "she",
    "her",  "hers", "this", "that", "these", "those",  "there", "one",   "ones", "same",
    "both", "such", "sie",  "ihre", "ihr",   "er",     "dies",  "diese", "dort", "elle",
    "il",   "ils",  "cela", "ça",   "ellos", "ellas",  "eso",   "esto",  "lo",   "su",
    "esso", "essi", "него", "они",  "их",    "это",    "他",    "它",    "他们", "它们",
};

#define COUNT(list) (sizeof(list) / sizeof((list)[0]))

static bool is_listed(const char *const *list, size_t count, struct tars_span word)
{
    for (size_t i = 0; i < count; i++) {
        if (strlen(list[i]) == word.len && strncasecmp(list[i], word.ptr, word.len) == 0)
            return true;
    }
    return false;
}

static bool is_word_byte(char c)
{
    unsigned char b = (unsigned char)c;

    return b >= 0x80 || (b >= '0' && b <= '9') || ((b | 0x20U) >= 'a' && (b | 0x20U) <= 'z') ||
           b == '\'';
}

/* The next run of letters; empty at the end. */
static struct tars_span next_word(const char **text)
{
    const char *start;

    while (**text && !is_word_byte(**text))
        (*text)++;
    start = *text;
    while (is_word_byte(**text))
        (*text)++;
    return tars_span(start, (size_t)(*text - start));
}

static bool begins_like_more(const char *question)
{
    const char *rest = question;
    struct tars_span first = next_word(&rest);

    if (is_listed(openers, COUNT(openers), first))
        return true;
    for (size_t i = 0; i < COUNT(pairs); i++) {
        if (strncasecmp(first.ptr, pairs[i], strlen(pairs[i])) == 0)
            return true;
    }
    return false;
}

static bool has_pronoun(const char *question)
{
    struct tars_span word = next_word(&question);

    for (; word.len; word = next_word(&question)) {
        if (is_listed(pronouns, COUNT(pronouns), word))
            return true;
    }
    return false;
}

/* Words that are no stop words. */
static tars_status count_content(struct tars_arena *arena, const char *text, int lang,
                                 size_t *count)
{
    struct tars_analyzer *analyzer = NULL;
    struct tars_terms terms = {0};
    tars_status status = tars_analyzer_new(&analyzer);

    if (status == TARS_OK)
        status = tars_analyze(analyzer, arena, lang, text, strlen(text), &terms);
    tars_analyzer_free(analyzer);
    *count = terms.count;
    return status;
}

tars_status tars_history_leans(struct tars_arena *arena, const char *question, int lang,
                               bool *leans)
{
    size_t content = 0;
    tars_status status = count_content(arena, question, lang, &content);

    *leans = content <= WORDS_ALONE || begins_like_more(question) ||
             (content <= WORDS_SHORT && has_pronoun(question));
    return status;
}

/* ------------------------------------------------------------------------ search */

static bool is_role(const struct tars_message *message, const char *role)
{
    return strcasecmp(message->role, role) == 0;
}

/* The language that the conversation is in: its questions together are easier to tell. */
static tars_status language_of(const struct tars_message *messages, size_t count,
                               const char *question, int *lang)
{
    struct tars_buf text;

    tars_buf_init(&text, SEARCH_BYTES);
    for (size_t i = 0; i < count; i++) {
        if (is_role(&messages[i], "user") && text.len + strlen(messages[i].content) < SEARCH_BYTES)
            tars_buf_appendf(&text, "%s\n", messages[i].content);
    }
    if (text.len + strlen(question) < SEARCH_BYTES)
        tars_buf_append_text(&text, question);
    if (text.status == TARS_ENOMEM) {
        tars_buf_release(&text);
        return TARS_ENOMEM;
    }
    *lang = text.len ? tars_language_detect(text.ptr, text.len) : TARS_LANG_ENGLISH;
    if (*lang == TARS_LANG_UNKNOWN)
        *lang = TARS_LANG_ENGLISH;
    tars_buf_release(&text);
    return TARS_OK;
}

static tars_status join(struct tars_arena *arena, const char *const *questions, size_t count,
                        const char **search)
{
    struct tars_buf text;
    tars_status status;

    tars_buf_init(&text, SEARCH_BYTES);
    while (count-- > 0)
        tars_buf_appendf(&text, "%s%s", text.len ? " " : "", questions[count]);
    status = text.status;
    if (status == TARS_OK) {
        *search = tars_arena_strndup(arena, text.ptr, text.len);
        status = *search ? TARS_OK : TARS_ENOMEM;
    }
    tars_buf_release(&text);
    /* Questions that are too long together are looked for one by one. */
    return status == TARS_ETOOBIG ? TARS_OK : status;
}

/* Go back from question until one does not lean. */
static tars_status make_whole(struct tars_arena *arena, const struct tars_message *messages,
                              size_t count, const char *question, const char **search)
{
    const char *questions[TARS_HISTORY_LEANING_MAX] = {question};
    size_t n = 1;
    bool leans = false;
    int lang = TARS_LANG_ENGLISH;
    tars_status status = language_of(messages, count, question, &lang);

    if (status == TARS_OK)
        status = tars_history_leans(arena, question, lang, &leans);
    for (size_t i = count; i > 0 && leans && status == TARS_OK && n < TARS_HISTORY_LEANING_MAX;
         i--) {
        if (!is_role(&messages[i - 1], "user"))
            continue;
        questions[n++] = messages[i - 1].content;
        status = tars_history_leans(arena, messages[i - 1].content, lang, &leans);
    }
    return status == TARS_OK && n > 1 ? join(arena, questions, n, search) : status;
}

/* ------------------------------------------------------------------------- turns */

static size_t tokens_of(const struct tars_history *history, const char *text, size_t len)
{
    return tars_llm_count_tokens(history->config.llm, text, len);
}

static size_t budget_of(const struct tars_history *history)
{
    size_t share = history->config.llm->context_tokens / CONTEXT_SHARE;

    return share && share < history->config.tokens ? share : history->config.tokens;
}

/* The sentences of text that have at most tokens tokens; NULL: not even the first, or no memory. */
static const char *cut(const struct tars_history *history, struct tars_arena *arena,
                       const char *text, size_t tokens)
{
    struct tars_sentences sentences;
    size_t end = 0;

    if (tars_sentences_split(arena, text, strlen(text), &sentences) != TARS_OK)
        return NULL;
    for (size_t i = 0; i < sentences.count; i++) {
        if (tokens_of(history, text, sentences.items[i].end) > tokens)
            break;
        end = sentences.items[i].end;
    }
    return end ? tars_arena_strndup(arena, text, end) : NULL;
}

/* Put a turn in front of those chosen, if it fits into *left. */
static bool choose(const struct tars_history *history, struct tars_arena *arena,
                   struct tars_llm_turn turn, struct tars_llm_turn *slot, size_t *left,
                   bool is_newest)
{
    size_t user = TURN_OVERHEAD + tokens_of(history, turn.user, strlen(turn.user));
    size_t all = user + tokens_of(history, turn.assistant, strlen(turn.assistant));

    if (all > *left) {
        if (!is_newest || user >= *left)
            return false;
        turn.assistant = cut(history, arena, turn.assistant, *left - user);
        all = *left;
        if (!turn.assistant)
            return false;
    }
    *slot = turn;
    *left -= all;
    return true;
}

static tars_status choose_turns(const struct tars_history *history, struct tars_arena *arena,
                                const struct tars_message *messages, size_t count,
                                struct tars_remembered *out)
{
    size_t max = history->config.turns;
    struct tars_llm_turn *turns = tars_arena_calloc(arena, max + 1, sizeof(*turns));
    size_t left = history->config.llm ? budget_of(history) : 0;
    size_t first = max; /* turns fill up from the end */

    if (!turns)
        return TARS_ENOMEM;
    for (size_t i = count; i > 1 && left && first > 0; i--) {
        const struct tars_llm_turn turn = {messages[i - 2].content, messages[i - 1].content};

        if (!is_role(&messages[i - 1], "assistant") || !is_role(&messages[i - 2], "user"))
            continue;
        if (!choose(history, arena, turn, &turns[first - 1], &left, first == max))
            break;
        first--;
    }
    out->turns = turns + first;
    out->count = max - first;
    return TARS_OK;
}

/* ------------------------------------------------------------------------ recall */

tars_status tars_history_recall(const struct tars_history *history, struct tars_call *call,
                                const char *conversation_id, const char *question,
                                struct tars_remembered *out, struct tars_err *err)
{
    struct tars_message *messages = NULL;
    struct tars_remembered made = {NULL, 0, NULL};
    size_t count = 0;
    tars_status status;

    *out = made;
    if (!history || !conversation_id || history->config.turns == 0)
        return TARS_OK;
    status = tars_conversation_recent(history->config.store, tenant_of(call), call->client_id,
                                      conversation_id, 2 * history->config.turns + UNPAIRED,
                                      call->arena, &messages, &count, err);
    if (status != TARS_OK)
        return status;
    status = make_whole(call->arena, messages, count, question, &made.search);
    if (status == TARS_OK && history->config.llm && !tars_llm_is_small(history->config.llm))
        status = choose_turns(history, call->arena, messages, count, &made);
    if (status != TARS_OK)
        return tars_fail(status, err, "the conversation does not fit into memory");
    *out = made;
    return TARS_OK;
}

/* -------------------------------------------------------------------------- keep */

static tars_status append(const struct tars_history *history, const struct tars_later_turn *turn,
                          struct tars_err *err)
{
    tars_status status;

    if (tars_later_has(history->later, turn->tenant, turn->conversation))
        return tars_later_add(history->later, turn) ? TARS_EUNAVAILABLE : TARS_EAGAIN;
    status = tars_conversation_append(history->config.store, turn->tenant, turn->client,
                                      turn->conversation, turn->messages, TARS_LATER_MESSAGES,
                                      false, turn->now_us, err);
    if (tars_later_may_pass(status) && !tars_later_add(history->later, turn))
        status = TARS_EAGAIN;
    return status;
}

tars_status tars_history_keep(const struct tars_history *history, const struct tars_call *call,
                              const char *conversation_id, const struct tars_history_turn *turn,
                              struct tars_err *err)
{
    char asked[TARS_ISO8601_BYTES];
    char answered[TARS_ISO8601_BYTES];
    int64_t now_us = tars_clock_wall_us();
    struct tars_later_turn kept = {
        .conversation = conversation_id,
        .messages = {{.id = "", .role = "user", .content = turn->question, .timestamp = asked},
                     {.id = "",
                      .role = "assistant",
                      .content = turn->answer,
                      .timestamp = answered,
                      .sources_json = turn->sources_json,
                      .metadata_json = turn->metadata_json}},
        .now_us = now_us,
    };

    if (!history || !conversation_id || !history->config.keeps)
        return TARS_OK;
    tars_clock_iso8601(turn->asked_us, asked);
    tars_clock_iso8601(now_us, answered);
    kept.tenant = tenant_of(call);
    kept.client = call->client_id;
    return append(history, &kept, err);
}

/* ----------------------------------------------------------------------- clients */

bool tars_history_id_is_good(const char *id)
{
    size_t len = strlen(id);

    return len > 0 && len <= TARS_CONVERSATION_ID_MAX && tars_utf8_is_valid(id, len) &&
           tars_utf8_count(id, len) <= TARS_CONVERSATION_ID_CHARS;
}

tars_status tars_history_append(const struct tars_history *history, const struct tars_call *call,
                                const char *conversation_id, const struct tars_message *message,
                                struct tars_err *err)
{
    return tars_conversation_append(history->config.store, tenant_of(call), call->client_id,
                                    conversation_id, message, 1, true, tars_clock_wall_us(), err);
}

tars_status tars_history_get(const struct tars_history *history, const struct tars_call *call,
                             const char *conversation_id, struct tars_conversation *out,
                             struct tars_err *err)
{
    return tars_conversation_get(history->config.store, tenant_of(call), call->client_id,
                                 conversation_id, call->arena, out, err);
}

tars_status tars_history_list(const struct tars_history *history, const struct tars_call *call,
                              size_t limit, struct tars_conversation **out, size_t *count,
                              struct tars_err *err)
{
    return tars_conversation_list(history->config.store, tenant_of(call), call->client_id, limit,
                                  call->arena, out, count, err);
}

static tars_status delete_kept(const struct tars_history *history, const struct tars_call *call,
                               const char *conversation_id, struct tars_err *err)
{
    return tars_conversation_delete(history->config.store, tenant_of(call), call->client_id,
                                    conversation_id, err);
}

tars_status tars_history_delete(const struct tars_history *history, const struct tars_call *call,
                                const char *conversation_id, struct tars_err *err)
{
    struct tars_err why = {.text = ""};
    tars_status status = delete_kept(history, call, conversation_id, &why);

    if (status == TARS_OK) {
        (void)tars_later_forget(history->later, tenant_of(call), NULL, conversation_id);
    } else if (status == TARS_ENOTFOUND) {
        /* It may be that all of it waits; what was being written meanwhile is there now. */
        bool waited =
            tars_later_forget(history->later, tenant_of(call), call->client_id, conversation_id);

        status = delete_kept(history, call, conversation_id, &why);
        if (status == TARS_ENOTFOUND && waited)
            status = TARS_OK;
    }
    return status == TARS_OK ? TARS_OK : tars_fail(status, err, "%s", why.text);
}

tars_status tars_history_stats(const struct tars_history *history, const struct tars_call *call,
                               struct tars_conversation_stats *out, struct tars_err *err)
{
    return tars_conversation_stats(history->config.store, tenant_of(call), out, err);
}
