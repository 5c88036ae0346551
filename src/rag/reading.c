/* reading - see reading.h. */
#include "rag/reading.h"

tars_status tars_reading_new(struct tars_analyzer *analyzer, struct tars_arena *arena,
                             struct tars_span text, int otherwise,
                             const struct tars_reading **reading)
{
    struct tars_reading *made = tars_arena_calloc(arena, 1, sizeof(*made));
    tars_status status;

    if (!made)
        return TARS_ENOMEM;
    made->text = text;
    made->lang = tars_language_detect(text.ptr, text.len);
    made->certain = made->lang != TARS_LANG_UNKNOWN;
    if (!made->certain)
        made->lang = otherwise;
    status = tars_sentences_split(arena, text.ptr, text.len, &made->sentences);
    if (status == TARS_OK) {
        status = tars_words_scan(analyzer, arena, made->lang, text, &made->sentences, &made->words);
    }
    if (status == TARS_OK)
        *reading = made;
    return status;
}

tars_status tars_reading_beside(struct tars_analyzer *analyzer, struct tars_arena *arena,
                                struct tars_span text, struct tars_span beside,
                                const struct tars_reading *made,
                                const struct tars_reading **reading)
{
    tars_status status = TARS_OK;
    int otherwise;

    if (!made)
        status = tars_reading_new(analyzer, arena, text, TARS_LANG_ENGLISH, &made);
    if (status != TARS_OK)
        return status;
    otherwise = made->certain ? made->lang : tars_language_detect(beside.ptr, beside.len);
    if (otherwise == TARS_LANG_UNKNOWN)
        otherwise = TARS_LANG_ENGLISH;
    if (made->lang != otherwise)
        return tars_reading_new(analyzer, arena, text, otherwise, reading);
    *reading = made;
    return TARS_OK;
}
