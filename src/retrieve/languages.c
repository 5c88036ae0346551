/* languages - see languages.h. */
#include "retrieve/languages.h"

#include "text/analyzer.h"

#define LANG_SHARE 0.05 /* of the index, to be asked in */

size_t tars_languages_held(const struct tars_index_stats *stats, int *langs)
{
    size_t count = 0;

    for (int lang = 0; lang < TARS_LANGUAGE_COUNT; lang++) {
        size_t at;

        if ((double)stats->by_language[lang] < LANG_SHARE * (double)stats->passages ||
            stats->by_language[lang] == 0)
            continue;
        if (count == TARS_LANGUAGES_ASKED &&
            stats->by_language[langs[count - 1]] >= stats->by_language[lang])
            continue;
        at = count < TARS_LANGUAGES_ASKED ? count++ : count - 1;
        for (; at > 0 && stats->by_language[langs[at - 1]] < stats->by_language[lang]; at--)
            langs[at] = langs[at - 1];
        langs[at] = lang;
    }
    return count;
}

double tars_languages_english_share(const struct tars_index_stats *stats)
{
    uint64_t known = 0;

    for (int lang = 1; lang < TARS_LANGUAGE_COUNT; lang++)
        known += stats->by_language[lang];
    return known ? (double)stats->by_language[TARS_LANG_ENGLISH] / (double)known : 1;
}
