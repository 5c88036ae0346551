/* words - see words.h. */
#include "api/words.h"

#include <string.h>

#include "api/api_internal.h"

/* The first whose mark is in the words counts. */
static const struct {
    const char *mark, *told;
} foreign[] = {
    {"PostgreSQL: ", "The store is not reachable; try again in a moment"},
    {"://", "A server that this one needs does not answer; try again in a moment"},
};

const char *tars_words_told(const char *words)
{
    for (size_t i = 0; words && i < sizeof(foreign) / sizeof(foreign[0]); i++) {
        if (strstr(words, foreign[i].mark))
            return foreign[i].told;
    }
    return words;
}

/* What the caller gave is wrong, or there is no such thing: it may be quoted. */
static bool is_of_request(tars_status status)
{
    return status == TARS_EINVAL || status == TARS_ENOTFOUND || status == TARS_EEXIST ||
           status == TARS_ECONFLICT;
}

const char *tars_words_of(const struct tars_api *api, const struct tars_call *call,
                          tars_status status, const struct tars_err *err)
{
    const char *words = err && err->text[0] ? err->text : tars_status_text(status);
    const char *told = is_of_request(status) ? words : tars_words_told(words);

    if (told != words)
        tars_log_call(api->config.log, TARS_LOG_WARNING, "api", call, "%s", words);
    return told;
}
