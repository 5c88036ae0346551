/* absence - see absence.h. */
#include "rag/absence.h"

#include <math.h>
#include <string.h>

#include "base/mem/buf.h"

#define TEXT_MAX ((size_t)64 << 10)

static const char no_answer[] = "The documents do not answer this question.";

const char *tars_absence_reason(const struct tars_rag_absence *absence)
{
    if (!absence->searched)
        return "nothing_searched";
    if (absence->missing_count > 0)
        return "missing_words";
    return absence->nearest_file ? "too_far" : "nothing_found";
}

/* "a", "b" or "c" */
static void say_words(struct tars_buf *out, const struct tars_rag_absence *absence)
{
    for (size_t i = 0; i < absence->missing_count; i++) {
        if (i > 0)
            tars_buf_append_text(out, i + 1 == absence->missing_count ? " or " : ", ");
        tars_buf_appendf(out, "\"%s\"", absence->missing[i]);
    }
}

static const char *passages_of(const struct tars_rag_absence *absence)
{
    return absence->narrowed ? "passage that was searched" : "passage";
}

/* Rounded down, so that what is below the threshold looks it. */
static double two_places(double relevance)
{
    return floor(relevance * 100) / 100;
}

static void say_why(struct tars_buf *out, const struct tars_rag_absence *absence, const char *unmet)
{
    if (!absence->searched) {
        tars_buf_append_text(out, " There is no document that could be searched for it.");
        return;
    }
    if (absence->missing_count > 0) {
        tars_buf_appendf(out, " No %s holds ", passages_of(absence));
        say_words(out, absence);
        tars_buf_append_text(out, ".");
        return;
    }
    if (unmet)
        tars_buf_appendf(out, " No %s holds \"%s\" as it was asked.", passages_of(absence), unmet);
    if (absence->nearest_file) {
        tars_buf_appendf(out,
                         " The nearest passage, of %s, is too far from it: relevance %.2f, %g "
                         "asked.",
                         absence->nearest_file, two_places(absence->relevance), absence->threshold);
    }
}

const char *tars_absence_text(struct tars_arena *arena, const struct tars_rag_absence *absence,
                              const char *unmet)
{
    struct tars_buf text;
    const char *made = NULL;

    tars_buf_init(&text, TEXT_MAX);
    tars_buf_append_text(&text, no_answer);
    say_why(&text, absence, unmet);
    if (text.status == TARS_OK) {
        made = tars_arena_strndup(arena, text.ptr, text.len);
    } else if (text.status == TARS_ETOOBIG) {
        made = no_answer;
    }
    tars_buf_release(&text);
    return made;
}

void tars_absence_join(struct tars_rag_absence *absence, const struct tars_rag_absence *other)
{
    absence->searched = absence->searched || other->searched;
    if (!other->nearest_file || (absence->nearest_file && absence->relevance >= other->relevance))
        return;
    absence->nearest_file = other->nearest_file;
    absence->nearest_document = other->nearest_document;
    absence->relevance = other->relevance;
}
