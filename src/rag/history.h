/* history - what was said before: the conversations that clients keep, and what of them a question
 * is asked with.
 *
 *     question, conversation -> recall -> turns for the prompt, words for the search
 *     question, answer       -> keep   -> two messages in the store
 *
 * Turns      The newest that fit: at most config.turns of them within config.tokens of the writer's
 *            own tokens, and a quarter of its context. Of the newest turn, if it alone is too long,
 *            the answer is cut at a sentence. A small writer (tars_llm_is_small) gets none: it
 *            answers the earlier question again. A message without its counterpart is no turn.
 * Search     A question that leans on those before it ("And for part-time staff?") names too little
 *            to be searched for. It leans when it has at most two words that are no stop words,
 *            when it begins like a continuation, or when a short one has a pronoun. Then search is
 *            the last question that does not lean, those after it, and this one; retrieval asks for
 *            both wordings (gather.h), so that one that was taken to lean by mistake loses nothing.
 * Rights     Whoever the call is of (client and tenant): another client's conversation is
 *            TARS_EDENIED, another tenant's is not there.
 * Outage     A turn that the store does not take waits (later.h), and those of its conversation
 *            behind it.
 * Threads    Safe to share.
 */
#ifndef TARS_RAG_HISTORY_H
#define TARS_RAG_HISTORY_H

#include "llm/llm.h"
#include "obs/call.h"
#include "store/conversations.h"

#define TARS_HISTORY_TURNS_DEFAULT  5
#define TARS_HISTORY_TURNS_MAX      50
#define TARS_HISTORY_TOKENS_DEFAULT 1024
#define TARS_HISTORY_LEANING_MAX    3 /* questions joined for a search, this one included */

struct tars_history;

struct tars_history_config {
    struct tars_store *store; /* required; borrowed */
    struct tars_llm *llm;     /* who the turns are for; NULL: nobody; borrowed */
    size_t turns;             /* fed at most; 0: none */
    size_t tokens;            /* of them; 0: TARS_HISTORY_TOKENS_DEFAULT */
    bool keeps;               /* questions and answers are kept */
    struct tars_log *log;     /* of turns that are lost; NULL: none; borrowed */
    /* Of turns that the store does not take; of this process alone. NULL: they are in memory. */
    const char *waiting_dir;
};

TARS_MUST_USE tars_status tars_history_new(const struct tars_history_config *config,
                                           struct tars_history **history);
/* NULL is allowed. */
void tars_history_free(struct tars_history *history);

/* What a question is asked with; in the call's arena. */
struct tars_remembered {
    const struct tars_llm_turn *turns; /* (count,) oldest first */
    size_t count;
    const char *search; /* the question made whole; NULL: it stands by itself */
};

/* Nothing (TARS_OK) when history or conversation_id is NULL, or there is no such conversation. */
TARS_MUST_USE tars_status tars_history_recall(const struct tars_history *history,
                                              struct tars_call *call, const char *conversation_id,
                                              const char *question, struct tars_remembered *out,
                                              struct tars_err *err);

struct tars_history_turn {
    const char *question;
    const char *answer;
    const char *sources_json;  /* array, or NULL */
    const char *metadata_json; /* object, or NULL */
    int64_t asked_us;          /* wall clock */
};

/* Both messages or none; survives the process. Nothing when history keeps none, or history or
 * conversation_id is NULL. EAGAIN: the store is away; the turn is kept as soon as it is back
 * (later.h says when even that fails). */
TARS_MUST_USE tars_status tars_history_keep(const struct tars_history *history,
                                            const struct tars_call *call,
                                            const char *conversation_id,
                                            const struct tars_history_turn *turn,
                                            struct tars_err *err);

/* May id name a conversation? 1 to TARS_CONVERSATION_ID_CHARS characters of UTF-8. */
bool tars_history_id_is_good(const char *id);

/* ---- what clients do with their conversations; see store/conversations.h */

TARS_MUST_USE tars_status tars_history_append(const struct tars_history *history,
                                              const struct tars_call *call,
                                              const char *conversation_id,
                                              const struct tars_message *message,
                                              struct tars_err *err);
TARS_MUST_USE tars_status tars_history_get(const struct tars_history *history,
                                           const struct tars_call *call,
                                           const char *conversation_id,
                                           struct tars_conversation *out, struct tars_err *err);
TARS_MUST_USE tars_status tars_history_list(const struct tars_history *history,
                                            const struct tars_call *call, size_t limit,
                                            struct tars_conversation **out, size_t *count,
                                            struct tars_err *err);
TARS_MUST_USE tars_status tars_history_delete(const struct tars_history *history,
                                              const struct tars_call *call,
                                              const char *conversation_id, struct tars_err *err);
/* Of the call's tenant. */
TARS_MUST_USE tars_status tars_history_stats(const struct tars_history *history,
                                             const struct tars_call *call,
                                             struct tars_conversation_stats *out,
                                             struct tars_err *err);

/* Does question lean on those before it? lang is that of the conversation. For tests. */
TARS_MUST_USE tars_status tars_history_leans(struct tars_arena *arena, const char *question,
                                             int lang, bool *leans);

#endif
