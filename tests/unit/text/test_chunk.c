/* Unit tests of text/chunk: documents are made of rows of blocks, and what must hold for every
 * result is checked by one function. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/faults.h"
#include "text/chunk.h"
#include "text/normalize.h"

#define ARENA_MAX  ((size_t)512 << 20)
#define BLOCKS_MAX 64

static const char VOCAB[] =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\nword\nnot\n##her\nhead\n##er\n.\n|\n-\na\n##a\n"
    "the\ntitle\nsection\nrow\n1\n##1\n2\n##2\n,\n";

struct fixture {
    struct tars_arena arena;
    struct tars_wordpiece *wordpiece;
    struct tars_chunk_config config;
    struct tars_block blocks[BLOCKS_MAX];
    struct tars_document document;
    struct tars_chunks chunks;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct tars_wordpiece_config config = {.vocab_txt = tars_span_of(VOCAB)};

    assert_non_null(f);
    tars_arena_init(&f->arena, ARENA_MAX);
    assert_int_equal(tars_wordpiece_new(&config, &f->wordpiece, NULL), TARS_OK);
    f->config.wordpiece = f->wordpiece;
    f->document.title = "";
    f->document.format = "txt";
    f->document.blocks = f->blocks;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    tars_wordpiece_free(f->wordpiece);
    tars_arena_release(&f->arena);
    free(f);
    return 0;
}

/* unit, count times over. */
static char *repeat(struct fixture *f, const char *unit, size_t count)
{
    size_t len = strlen(unit);
    char *text = tars_arena_alloc(&f->arena, len * count + 1);

    assert_non_null(text);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * len, unit, len);
    text[len * count] = '\0';
    return text;
}

static void add_block(struct fixture *f, enum tars_block_kind kind, const char *headings, int page,
                      const char *text)
{
    struct tars_block *block = &f->blocks[f->document.block_count++];
    size_t at = f->document.char_count ? f->document.char_count + 1 : 0;

    assert_true(f->document.block_count <= BLOCKS_MAX);
    *block = (struct tars_block){.kind = kind,
                                 .level = kind == TARS_BLOCK_HEADING ? 1 : 0,
                                 .page = page,
                                 .text = text,
                                 .text_len = strlen(text),
                                 .headings = headings,
                                 .char_start = at};
    block->char_end = at + tars_utf8_count(text, block->text_len);
    f->document.char_count = block->char_end;
}

/* The document's text: blocks joined by one line feed. */
static char *document_text(struct fixture *f)
{
    char *text = tars_arena_strdup(&f->arena, "");

    for (size_t i = 0; i < f->document.block_count; i++)
        text = tars_arena_printf(&f->arena, "%s%s%s", text, i ? "\n" : "", f->blocks[i].text);
    assert_non_null(text);
    return text;
}

static void check_windows(struct fixture *f, const struct tars_chunk *chunk, const char *title)
{
    size_t most = f->config.window_tokens ? f->config.window_tokens : TARS_CHUNK_WINDOW_TOKENS;
    size_t reached = 0;

    assert_true(chunk->window_count >= 1);
    for (size_t i = 0; i < chunk->window_count; i++) {
        const struct tars_window *window = &chunk->windows[i];
        struct tars_span text;

        assert_true(window->len > 0 && window->start + window->len <= chunk->text_len);
        for (size_t k = reached; k < window->start; k++)
            assert_true(strchr(" \n\t", chunk->text[k]) != NULL);
        reached = window->start + window->len;
        assert_int_equal(tars_chunk_window_text(&f->config, &f->arena, title, chunk, i, &text),
                         TARS_OK);
        assert_true(tars_utf8_is_valid(text.ptr, text.len));
        assert_true(tars_wordpiece_count(f->wordpiece, text.ptr, text.len) + 2 <= most);
    }
}

/* What every result must hold. */
static void check_all(struct fixture *f)
{
    size_t most = f->config.max_tokens ? f->config.max_tokens : TARS_CHUNK_MAX_TOKENS;
    const char *title = f->config.title ? f->config.title : f->document.title;
    char *whole = document_text(f);
    size_t len = strlen(whole);
    size_t reached = 0;

    for (size_t i = 0; i < f->chunks.count; i++) {
        const struct tars_chunk *chunk = &f->chunks.items[i];
        size_t gap = tars_utf8_offset(whole, len, reached);
        size_t start = tars_utf8_offset(whole, len, chunk->char_start);

        assert_true(chunk->char_start >= reached && chunk->char_end > chunk->char_start);
        assert_true(chunk->char_end <= f->document.char_count);
        for (; gap < start; gap++)
            assert_true(strchr(" \n\t", whole[gap]) != NULL);
        reached = chunk->char_end;
        assert_true(tars_utf8_is_valid(chunk->text, chunk->text_len));
        assert_int_equal(chunk->text[chunk->text_len], '\0');
        assert_true(chunk->token_count >= 0 && (size_t)chunk->token_count <= most);
        assert_int_equal(chunk->token_count,
                         tars_wordpiece_count(f->wordpiece, chunk->text, chunk->text_len));
        check_windows(f, chunk, title);
    }
    for (size_t at = tars_utf8_offset(whole, len, reached); at < len; at++)
        assert_true(strchr(" \n\t", whole[at]) != NULL);
}

static void run(struct fixture *f)
{
    assert_int_equal(tars_chunk_document(&f->config, &f->document, &f->arena, &f->chunks, NULL),
                     TARS_OK);
    check_all(f);
}

static void test_short_document_is_one_chunk(void **state)
{
    struct fixture *f = *state;

    add_block(f, TARS_BLOCK_HEADING, "", 1, "head");
    add_block(f, TARS_BLOCK_PARAGRAPH, "head", 1, repeat(f, "word ", 450));
    add_block(f, TARS_BLOCK_HEADING, "", 2, "section");
    add_block(f, TARS_BLOCK_PARAGRAPH, "section", 2, "the word.");
    run(f);
    assert_int_equal(f->chunks.count, 1);
    assert_string_equal(f->chunks.items[0].section, "head");
    assert_int_equal(f->chunks.items[0].page_first, 1);
    assert_int_equal(f->chunks.items[0].page_last, 2);
    assert_int_equal(f->chunks.items[0].kind, TARS_BLOCK_PARAGRAPH);
    assert_true(f->chunks.items[0].window_count >= 2);
    assert_true(strstr(f->chunks.items[0].text, "head\nword") == f->chunks.items[0].text);
}

static void test_heading_begins_a_chunk(void **state)
{
    struct fixture *f = *state;

    add_block(f, TARS_BLOCK_HEADING, "", 1, "head");
    add_block(f, TARS_BLOCK_PARAGRAPH, "head", 1, repeat(f, "word ", 500));
    add_block(f, TARS_BLOCK_HEADING, "head", 2, "section");
    add_block(f, TARS_BLOCK_PARAGRAPH, "head > section", 3, repeat(f, "not ", 500));
    run(f);
    assert_int_equal(f->chunks.count, 2);
    assert_string_equal(f->chunks.items[1].section, "head > section");
    assert_memory_equal(f->chunks.items[1].text, "section\nnot", 11);
    assert_int_equal(f->chunks.items[1].page_first, 2);
    assert_int_equal(f->chunks.items[1].page_last, 3);
}

static void test_small_sections_share(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 10; i++) {
        add_block(f, TARS_BLOCK_HEADING, "", 0, "head");
        add_block(f, TARS_BLOCK_PARAGRAPH, "head", 0, repeat(f, "word ", 149));
    }
    run(f);
    assert_int_equal(f->chunks.count, 4); /* 450, 450, 450, 150 */
    assert_int_equal(f->chunks.items[0].token_count, 450);
    assert_int_equal(f->chunks.items[0].page_first, 0);
}

static void test_heading_never_ends_a_chunk(void **state)
{
    struct fixture *f = *state;

    add_block(f, TARS_BLOCK_PARAGRAPH, "", 0, repeat(f, "word ", 390));
    add_block(f, TARS_BLOCK_HEADING, "", 0, "section");
    add_block(f, TARS_BLOCK_PARAGRAPH, "section", 0, repeat(f, "not ", 790));
    run(f);
    assert_int_equal(f->chunks.count, 2);
    assert_memory_equal(f->chunks.items[1].text, "section\nnot", 11);
}

static void test_headings_only(void **state)
{
    struct fixture *f = *state;

    add_block(f, TARS_BLOCK_HEADING, "head", 0, "section");
    run(f);
    assert_int_equal(f->chunks.count, 1);
    assert_string_equal(f->chunks.items[0].section, "head > section");
    assert_int_equal(f->chunks.items[0].kind, TARS_BLOCK_HEADING);
    f->document.block_count = 0;
    f->document.char_count = 0;
    add_block(f, TARS_BLOCK_HEADING, "", 0, repeat(f, "head ", 700));
    add_block(f, TARS_BLOCK_HEADING, "", 0, repeat(f, "head ", 700));
    run(f);
    assert_int_equal(f->chunks.count, 2);
}

static void test_long_paragraph_is_cut_at_sentences(void **state)
{
    struct fixture *f = *state;

    add_block(f, TARS_BLOCK_PARAGRAPH, "", 1, repeat(f, "The word not a word a title. ", 1000));
    run(f);
    assert_true(f->chunks.count >= 10);
    for (size_t i = 0; i < f->chunks.count; i++) {
        const struct tars_chunk *chunk = &f->chunks.items[i];

        assert_memory_equal(chunk->text, "The word", 8);
        assert_int_equal(chunk->text[chunk->text_len - 1], '.');
        assert_true(i + 1 == f->chunks.count || chunk->token_count >= 700);
    }
}

static void test_table_repeats_its_header(void **state)
{
    struct fixture *f = *state;
    char *rows = repeat(f, "| row | 1 | 2 |\n", 300);

    add_block(f, TARS_BLOCK_PARAGRAPH, "", 1, repeat(f, "word ", 700));
    add_block(f, TARS_BLOCK_TABLE, "", 1,
              tars_arena_printf(&f->arena, "| head | a | title |\n|---|---|---|\n%s", rows));
    run(f);
    assert_true(f->chunks.count >= 4);
    for (size_t i = 1; i < f->chunks.count; i++) {
        const struct tars_chunk *chunk = &f->chunks.items[i];
        const char *again;

        assert_memory_equal(chunk->text, "| head | a | title |\n|---|---|---|\n| row", 40);
        again = strstr(chunk->text + 10, "head");
        assert_null(again);
        assert_int_equal(chunk->kind, TARS_BLOCK_TABLE);
    }
}

static void test_table_without_rule_and_wide_header(void **state)
{
    struct fixture *f = *state;
    const char *wide = repeat(f, "head ", 300);

    add_block(f, TARS_BLOCK_TABLE, "", 1,
              tars_arena_printf(&f->arena, "the head\n%s", repeat(f, "row 1 , 2\n", 400)));
    add_block(f, TARS_BLOCK_TABLE, "", 1,
              tars_arena_printf(&f->arena, "%s\n%s", wide, repeat(f, "row 1 , 2\n", 400)));
    run(f);
    assert_memory_equal(f->chunks.items[1].text, "the head\nrow", 12);
    assert_memory_equal(f->chunks.items[f->chunks.count - 1].text, "row", 3);
}

static void test_code_is_cut_at_lines(void **state)
{
    struct fixture *f = *state;

    add_block(f, TARS_BLOCK_CODE, "", 0, repeat(f, "    word word. word\n", 1000));
    run(f);
    assert_true(f->chunks.count > 3);
    assert_int_equal(f->chunks.items[0].kind, TARS_BLOCK_CODE);
    assert_memory_equal(f->chunks.items[1].text, "word word. word\n", 16);
}

/* Text that offers no good place to cut. */
static const struct huge {
    const char *name;
    const char *unit;
    size_t count;
} HUGE[] = {
    {"words", "word ", 200000},
    {"a word", "x", 1000000},
    {"a word of ideographs", "각", 300000},
    {"ideographs", "中", 100000},
    {"pieces", "a", 90},
    {"signs", ".", 300000},
    {"blanks", "word                                                                  ", 20000},
    {"lines", "word\n", 200000},
    {"accents", "\xCC\x81", 100000},
    {"a word with accents", "a\xCC\x81\xCC\x81\xCC\x81\xCC\x81\xCC\x81", 20000},
};

static void test_huge(void **state)
{
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(HUGE) / sizeof(HUGE[0]); i++) {
        print_message("  %s\n", HUGE[i].name);
        f->document.block_count = 0;
        f->document.char_count = 0;
        f->config.title = i % 2 ? "the title" : NULL;
        add_block(f, i % 3 == 0 ? TARS_BLOCK_LIST : TARS_BLOCK_PARAGRAPH, "", 0,
                  repeat(f, HUGE[i].unit, HUGE[i].count));
        assert_int_equal(tars_chunk_document(&f->config, &f->document, &f->arena, &f->chunks, NULL),
                         TARS_OK);
        if (f->chunks.count) {
            check_all(f);
            assert_true(f->chunks.items[0].text_len < 60000);
        }
    }
}

static void test_titles(void **state)
{
    struct fixture *f = *state;
    struct tars_span text;

    f->document.title = "the title";
    add_block(f, TARS_BLOCK_PARAGRAPH, "section", 0, "the title word word");
    add_block(f, TARS_BLOCK_PARAGRAPH, "section", 0, repeat(f, "word ", 600));
    run(f);
    assert_int_equal(
        tars_chunk_window_text(&f->config, &f->arena, "the title", &f->chunks.items[0], 0, &text),
        TARS_OK);
    assert_memory_equal(text.ptr, "the title word", 14);
    assert_int_equal(
        tars_chunk_window_text(&f->config, &f->arena, "the title", &f->chunks.items[0], 1, &text),
        TARS_OK);
    assert_memory_equal(text.ptr, "the title\nword", 14);
    assert_int_equal(tars_chunk_terms_text(&f->arena, "the title", &f->chunks.items[0], &text),
                     TARS_OK);
    assert_memory_equal(text.ptr, "section\nthe title word", 22);
    assert_int_equal(tars_chunk_terms_text(&f->arena, "a title", &f->chunks.items[0], &text),
                     TARS_OK);
    assert_memory_equal(text.ptr, "a title\nsection\nthe title", 25);
    f->config.title = repeat(f, "title ", 500);
    run(f);
    f->config.title = repeat(f, "x", 5000);
    run(f);
    f->config.title = "...";
    run(f);
}

static void test_no_text(void **state)
{
    struct fixture *f = *state;

    run(f);
    assert_int_equal(f->chunks.count, 0);
    add_block(f, TARS_BLOCK_PARAGRAPH, "", 0, " \n\t ");
    run(f);
    assert_int_equal(f->chunks.count, 0);
}

static void test_bad_configs(void **state)
{
    static const struct {
        size_t min, max, window, overlap;
    } BAD[] = {{0, 15, 0, 0}, {900, 0, 0, 0}, {0, 500, 63, 0}, {0, 0, 0, 65}, {0, SIZE_MAX, 0, 0}};
    struct fixture *f = *state;
    struct tars_err err;

    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        struct tars_chunk_config config = {.wordpiece = f->wordpiece,
                                           .min_tokens = BAD[i].min,
                                           .max_tokens = BAD[i].max,
                                           .window_tokens = BAD[i].window,
                                           .overlap_tokens = BAD[i].overlap};

        assert_int_equal(tars_chunk_document(&config, &f->document, &f->arena, &f->chunks, &err),
                         TARS_EINVAL);
        config.wordpiece = NULL;
        assert_int_equal(tars_chunk_document(&config, &f->document, &f->arena, &f->chunks, &err),
                         TARS_EINVAL);
    }
}

static void test_small_sizes(void **state)
{
    struct fixture *f = *state;

    f->config.min_tokens = 8;
    f->config.max_tokens = 16;
    f->config.window_tokens = 64;
    f->config.title = repeat(f, "title ", 60);
    add_block(f, TARS_BLOCK_HEADING, "", 0, repeat(f, "head ", 12));
    add_block(f, TARS_BLOCK_PARAGRAPH, "", 0, repeat(f, "word not. Title a. ", 50));
    add_block(f, TARS_BLOCK_TABLE, "", 0, repeat(f, "row 1\n", 50));
    run(f);
    assert_true(f->chunks.count > 15);
}

static void body_with_faults(void *ctx)
{
    struct fixture *f = ctx;
    struct tars_arena arena;
    struct tars_chunks chunks;
    tars_status status;

    tars_arena_init(&arena, ARENA_MAX);
    status = tars_chunk_document(&f->config, &f->document, &arena, &chunks, NULL);
    assert_true(status == TARS_OK || status == TARS_ENOMEM);
    tars_arena_release(&arena);
}

static void test_no_memory(void **state)
{
    struct fixture *f = *state;

    add_block(f, TARS_BLOCK_HEADING, "", 0, "head");
    add_block(f, TARS_BLOCK_PARAGRAPH, "head", 0, repeat(f, "word not. Title a. ", 2000));
    add_block(f, TARS_BLOCK_TABLE, "head", 0, repeat(f, "row 1\n", 1000));
    assert_true(faults_each(body_with_faults, f) > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(test_short_document_is_one_chunk),
        T(test_heading_begins_a_chunk),
        T(test_small_sections_share),
        T(test_heading_never_ends_a_chunk),
        T(test_headings_only),
        T(test_long_paragraph_is_cut_at_sentences),
        T(test_table_repeats_its_header),
        T(test_table_without_rule_and_wide_header),
        T(test_code_is_cut_at_lines),
        T(test_huge),
        T(test_titles),
        T(test_no_text),
        T(test_bad_configs),
        T(test_small_sizes),
        T(test_no_memory),
#undef T
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
