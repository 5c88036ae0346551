/* Any bytes: tokens in order of their places, which lie in the text and between characters; the
 * count agrees; normal forms are valid UTF-8; sentences cover the text. */
#include <stdint.h>
#include <stdlib.h>

#include "text/analyzer.h"
#include "text/normalize.h"
#include "text/sentences.h"
#include "text/wordpiece.h"

#define ARENA_MAX ((size_t)256 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char VOCAB[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##a\nb\n##b\nab\n##ing\nthe\n.\n"
    "\xC3\x9F\n##\xC3\x9F\n\xE4\xB8\xAD\n\xE1\x84\x80\n##\xE1\x85\xA1\n";

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_tokens(const struct tars_wordpiece *wordpiece, struct tars_arena *arena,
                         const char *text, size_t len)
{
    struct tars_tokens tokens;

    must(tars_wordpiece_encode(wordpiece, arena, text, len, &tokens) == TARS_OK);
    must(tars_wordpiece_count(wordpiece, text, len) == tokens.count);
    for (size_t i = 0; i < tokens.count; i++) {
        must(tokens.start[i] < tokens.end[i] && tokens.end[i] <= len);
        must(tars_wordpiece_piece(wordpiece, tokens.ids[i]).len > 0);
    }
}

static void check_sentences(struct tars_arena *arena, struct tars_span text)
{
    struct tars_sentences sentences;
    size_t at = 0;

    must(tars_sentences_split(arena, text.ptr, text.len, &sentences) == TARS_OK);
    for (size_t i = 0; i < sentences.count; i++) {
        must(sentences.items[i].start >= at && sentences.items[i].end > sentences.items[i].start);
        at = sentences.items[i].end;
        must(
            tars_utf8_is_valid(text.ptr + sentences.items[i].start, at - sentences.items[i].start));
    }
    must(at <= text.len);
}

static void check_terms(struct tars_arena *arena, const char *text, size_t len)
{
    static const int LANGS[] = {TARS_LANG_ENGLISH, TARS_LANG_TURKISH, TARS_LANG_ARABIC};
    struct tars_analyzer *analyzer = NULL;
    struct tars_terms terms;

    must(tars_analyzer_new(&analyzer) == TARS_OK);
    must(tars_analyze_query(analyzer, arena, LANGS, 3, text, len, &terms) == TARS_OK);
    must(tars_analyze(analyzer, arena, tars_language_detect(text, len), text, len, &terms) ==
         TARS_OK);
    for (size_t i = 0; i < terms.count; i++)
        must(terms.items[i].len > 0 && terms.items[i].len <= TARS_TERM_BYTES_MAX &&
             tars_utf8_is_valid(terms.items[i].ptr, terms.items[i].len));
    tars_analyzer_free(analyzer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct tars_wordpiece_config config = {.vocab_txt = tars_span_of(VOCAB)};
    struct tars_wordpiece *wordpiece = NULL;
    struct tars_arena arena;
    struct tars_span out;

    tars_arena_init(&arena, ARENA_MAX);
    must(tars_wordpiece_new(&config, &wordpiece, NULL) == TARS_OK);
    check_tokens(wordpiece, &arena, text, size);
    for (int form = TARS_NFC; form <= TARS_NFKC_LOW_TURKISH; form++) {
        must(tars_normalize(&arena, (enum tars_normal_form)form, text, size, &out) == TARS_OK);
        must(tars_utf8_is_valid(out.ptr, out.len));
    }
    must(tars_normalize_bert(&arena, text, size, true, &out) == TARS_OK);
    must(tars_utf8_repair(&arena, text, size, &out) == TARS_OK);
    check_sentences(&arena, out);
    check_terms(&arena, text, size);
    tars_wordpiece_free(wordpiece);
    tars_arena_release(&arena);
    return 0;
}
