/* cld2_shim - the language detector, which is C++ only, behind one C function. */
#ifndef TARS_TEXT_CLD2_SHIM_H
#define TARS_TEXT_CLD2_SHIM_H

#ifdef __cplusplus
extern "C" {
#endif

/* ISO 639 code of the language of most of (text, len), static; NULL when the text has none or is
 * not valid UTF-8. *reliable is 1 when the detector stands by it, else 0. */
const char *tars_cld2_detect(const char *text, int len, int *reliable);

#ifdef __cplusplus
}
#endif

#endif
