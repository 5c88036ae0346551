/* cld2_shim - see cld2_shim.h. */
#include "text/cld2_shim.h"

#include <cstdio> /* the next one needs FILE */

#include <cld2/public/compact_lang_det.h>
#include <cld2/public/encodings.h>

const char *tars_cld2_detect(const char *text, int len, int *reliable)
{
    const CLD2::CLDHints hints = {nullptr, nullptr, CLD2::UNKNOWN_ENCODING, CLD2::UNKNOWN_LANGUAGE};
    const int flags = CLD2::kCLDFlagBestEffort;
    CLD2::Language top[3] = {CLD2::UNKNOWN_LANGUAGE, CLD2::UNKNOWN_LANGUAGE,
                             CLD2::UNKNOWN_LANGUAGE};
    int percent[3] = {0, 0, 0};
    double score[3] = {0, 0, 0};
    int text_bytes = 0;
    int valid_bytes = 0;
    bool is_reliable = false;
    const CLD2::Language found =
        CLD2::ExtDetectLanguageSummaryCheckUTF8(text, len, true, &hints, flags, top, percent, score,
                                                nullptr, &text_bytes, &is_reliable, &valid_bytes);

    *reliable = is_reliable ? 1 : 0;
    if (valid_bytes < len || found == CLD2::UNKNOWN_LANGUAGE || found == CLD2::TG_UNKNOWN_LANGUAGE)
        return nullptr;
    return CLD2::LanguageCode(found);
}
