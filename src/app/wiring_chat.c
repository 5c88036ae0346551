/* wiring_chat - conversations: their memory, and questions in other words. */
#include <string.h>

#include "app/wiring_internal.h"
#include "app/writer.h"
#include "rag/expand.h"
#include "rag/history.h"

/* Both switches; a model that only quotes is asked once in a while and gives none. */
static tars_status open_expander(struct tars_wiring *w, struct tars_err *err)
{
    const struct tars_settings *s = w->settings;
    struct tars_expander_config config = {
        .llm = tars_writer_llm(w->writer),
        .max = (size_t)tars_settings_int(s, TARS_SET_QUERY_EXPANSION_MAX),
    };

    if (!tars_settings_flag(s, TARS_SET_USE_QUERY_EXPANSION) ||
        !tars_settings_flag(s, TARS_SET_QUERY_EXPANSION_ENABLED))
        return TARS_OK;
    (void)tars_expand_strategy_parse(tars_settings_text(s, TARS_SET_QUERY_EXPANSION_STRATEGY),
                                     &config.strategy);
    if (tars_expander_new(&config, &w->expander) != TARS_OK)
        return tars_fail(TARS_ENOMEM, err, "no memory to expand questions");
    return TARS_OK;
}

/* DATA/turns, with the end that the index's folder has: of one store. NULL without memory. */
static const char *waiting_dir(struct tars_wiring *w)
{
    const char *name = w->index_dir ? strrchr(w->index_dir, '/') : NULL;

    name = name && strncmp(name, "/index", 6) == 0 ? name + 6 : "";
    return tars_arena_printf(&w->arena, "%s/turns%s", w->data, name);
}

static tars_status open_history(struct tars_wiring *w, struct tars_err *err)
{
    const struct tars_settings *s = w->settings;
    bool remembers = tars_settings_flag(s, TARS_SET_CONVERSATION_MEMORY);
    const struct tars_history_config config = {
        .store = w->store,
        .llm = tars_writer_llm(w->writer),
        .turns = remembers ? (size_t)tars_settings_int(s, TARS_SET_CONVERSATION_MEMORY_TURNS) : 0,
        .tokens = (size_t)tars_settings_int(s, TARS_SET_CONVERSATION_MEMORY_TOKENS),
        .keeps = remembers,
        .log = w->log,
        .waiting_dir = w->serves && remembers ? waiting_dir(w) : NULL,
    };

    if (tars_history_new(&config, &w->history) != TARS_OK)
        return tars_fail(TARS_ENOMEM, err, "no memory for conversations");
    return TARS_OK;
}

tars_status tars_wiring_open_chat(struct tars_wiring *w, struct tars_err *err)
{
    tars_status status = open_expander(w, err);

    return status == TARS_OK ? open_history(w, err) : status;
}

void tars_wiring_close_chat(struct tars_wiring *w)
{
    tars_history_free(w->history);
    tars_expander_free(w->expander);
}

void tars_wiring_fill_chat(const struct tars_wiring *w, struct tars_api_config *config)
{
    const struct tars_settings *s = w->settings;

    config->history = w->history;
    config->conversation_name = tars_settings_text(s, TARS_SET_CHROMA_CONVERSATION_COLLECTION);
    config->llm = tars_writer_llm(w->writer);
    config->max_tokens = (int)tars_settings_int(s, TARS_SET_MODEL_MAX_TOKENS);
    config->temperature = tars_wiring_temperature(s);
    config->top_p = (float)tars_settings_real(s, TARS_SET_MODEL_TOP_P);
    config->top_k = (int)tars_settings_int(s, TARS_SET_MODEL_TOP_K);
}
