/* Unit tests of retrieve/wording: what a question demands, and what meets it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "retrieve/wording.h"
#include "support/faults.h"
#include "text/analyzer.h"

#define ARENA_BYTES ((size_t)1 << 20)

static const struct {
    const char *title;
    const char *text;
} PASSAGES[] = {
    {"Staff handbook", "The notice period is four weeks, and the works council is heard."},
    {"Staff handbook", "A period of notice of four weeks; the council works."},
    {"Travel", "Notice: the period of travel ends with the works."},
    {"Travel", "War and Peace is a novel."},
    {"Travel", "War, peace and trains."},
};
#define PASSAGE_COUNT (sizeof(PASSAGES) / sizeof(PASSAGES[0]))

static const int LANGS[] = {TARS_LANG_ENGLISH};

static size_t take(struct tars_arena *arena, const struct tars_terms *terms,
                   enum tars_index_field field, struct tars_index_term *out)
{
    struct tars_term_count *counts;
    size_t count;

    assert_int_equal(tars_terms_tally(arena, terms, &counts, &count), TARS_OK);
    for (size_t i = 0; i < count; i++)
        out[i] = (struct tars_index_term){counts[i].ptr, counts[i].len, counts[i].tf, field};
    return count;
}

static struct tars_index *make_index(struct tars_analyzer *analyzer, struct tars_arena *arena)
{
    const struct tars_index_config config = {.dim = 0};
    struct tars_index *index = NULL;

    assert_int_equal(tars_index_open(&config, &index, NULL), TARS_OK);
    for (size_t i = 0; i < PASSAGE_COUNT; i++) {
        struct tars_index_term terms[64];
        struct tars_terms title;
        struct tars_terms text;
        uint32_t *order;
        size_t places;
        size_t count;

        assert_int_equal(tars_analyze(analyzer, arena, TARS_LANG_ENGLISH, PASSAGES[i].text,
                                      strlen(PASSAGES[i].text), &text),
                         TARS_OK);
        assert_int_equal(tars_analyze(analyzer, arena, TARS_LANG_ENGLISH, PASSAGES[i].title,
                                      strlen(PASSAGES[i].title), &title),
                         TARS_OK);
        assert_int_equal(tars_terms_order(arena, &text, &order, &places), TARS_OK);
        count = take(arena, &text, TARS_INDEX_TEXT, terms);
        count += take(arena, &title, TARS_INDEX_TITLE, terms + count);
        assert_int_equal(
            tars_index_add(index,
                           &(struct tars_index_passage){.id = i + 1,
                                                        .terms = terms,
                                                        .term_count = count,
                                                        .words = order,
                                                        .word_count = places,
                                                        .length = (uint32_t)text.count,
                                                        .title_length = (uint16_t)title.count,
                                                        .lang = TARS_LANG_ENGLISH}),
            TARS_OK);
    }
    tars_index_publish(index, 1);
    return index;
}

struct fixture {
    struct tars_arena arena;
    struct tars_analyzer *analyzer;
    struct tars_index *index;
    struct tars_wording_from from;
};

static int set_up(void **state)
{
    struct fixture *made = calloc(1, sizeof(*made));

    assert_non_null(made);
    tars_arena_init(&made->arena, ARENA_BYTES);
    assert_int_equal(tars_analyzer_new(&made->analyzer), TARS_OK);
    made->index = make_index(made->analyzer, &made->arena);
    made->from =
        (struct tars_wording_from){&made->arena, made->analyzer, made->index, NULL, LANGS, 1};
    *state = made;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *made = *state;

    tars_index_close(made->index);
    tars_analyzer_free(made->analyzer);
    tars_arena_release(&made->arena);
    free(made);
    return 0;
}

static struct tars_wording read(const struct tars_wording_from *from, const char *query)
{
    struct tars_wording wording;

    assert_int_equal(tars_wording_read(from, tars_span(query, strlen(query)), &wording), TARS_OK);
    return wording;
}

static uint32_t bits_of(const struct tars_wording *wording)
{
    uint32_t bits = 0;

    for (uint64_t id = 1; id <= PASSAGE_COUNT; id++)
        bits |= (uint32_t)tars_wording_accepts(wording, id) << (id - 1);
    return bits;
}

static void demands(void **state)
{
    static const struct {
        const char *query;
        const char *text;
        uint32_t found; /* 0: it does not bind */
        const char *unmet;
    } rows[] = {
        {"notice period", "notice period", 0, NULL},
        {"\"notice period\"", "notice period", 0x01, NULL},
        {"\"Notice periods\" weeks", "Notice periods weeks", 0x01, NULL},
        {"\xe2\x80\x9cnotice period\xe2\x80\x9d", "notice period", 0x01, NULL},
        {"\"notice\"", "notice", 0x07, NULL},
        {"\"war and peace\"", "war and peace", 0x08, NULL},
        {"\"war peace\"", "war peace", 0x10, NULL},
        {"\"period notice\"", "period notice", 0, "period notice"},
        {"\"works council\" \"notice period\"", "works council notice period", 0x01, NULL},
        {"\"works council\" \"council works\"", "works council council works", 0,
         "\"works council\" \"council works\""},
        {"\"works council\" \"no such words\"", "works council no such words", 0x01,
         "no such words"},
        {"title:travel notice", "travel notice", 0x1c, NULL},
        {"TITLE:\"handbook staff\"", "handbook staff", 0x03, NULL},
        {"title:travel \"war and peace\"", "travel war and peace", 0x08, NULL},
        {"title:novel", "novel", 0, "novel"},
        {"heading:travel", "travel", 0, "travel"},
        {"subtitle:travel", "subtitle:travel", 0, NULL},
        {"title: travel", "title: travel", 0, NULL},
        {"title:", "title:", 0, NULL},
        /* Ordinary questions stay as they are. */
        {"Who wrote \"War and Peace\"?", "Who wrote \"War and Peace\"?", 0, NULL},
        {"tell me who wrote \"War and Peace\"", "tell me who wrote \"War and Peace\"", 0, NULL},
        {"who is in title:travel \"war\"?", "who is in travel war?", 0x1c, NULL},
        /* Marks that are none. */
        {"\"", "\"", 0, NULL},
        {"\"\"", "\"\"", 0, NULL},
        {"a 3\" pipe", "a 3\" pipe", 0, NULL},
        {"3\" pipe 4\" pipe", "3\" pipe 4\" pipe", 0, NULL},
        {"", "", 0, NULL},
    };
    const struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_wording wording = read(&fixture->from, rows[i].query);

        print_message("%s\n", rows[i].query);
        assert_int_equal(wording.text.len, strlen(rows[i].text));
        assert_memory_equal(wording.text.ptr, rows[i].text, wording.text.len);
        assert_int_equal(wording.binds, rows[i].found != 0);
        assert_int_equal(bits_of(&wording), rows[i].found);
        assert_int_equal(wording.unmet != NULL, rows[i].unmet != NULL);
        if (rows[i].unmet)
            assert_string_equal(wording.unmet, rows[i].unmet);
    }
}

static bool not_the_first(void *ctx, uint64_t id)
{
    (void)ctx;
    return id != 1;
}

/* As a filter: of what the scope accepts, one passage after another. */
static void check_filter(const struct fixture *fixture)
{
    const struct tars_index_filter scope = {not_the_first, NULL, NULL};
    struct tars_wording wording = read(&fixture->from, "\"notice\"");
    const struct tars_index_filter *filter = tars_wording_filter(&wording, &scope);
    struct tars_index_run run;

    assert_false(filter->accepts(filter->ctx, 1));
    assert_true(filter->accepts(filter->ctx, 3));
    assert_false(filter->accepts(filter->ctx, 4));
    assert_true(filter->next(filter->ctx, 0, &run));
    assert_true(run.first == 2 && run.last == 2);
    assert_true(filter->next(filter->ctx, 3, &run));
    assert_true(run.first == 3 && run.last == 3);
    assert_false(filter->next(filter->ctx, 4, &run));
    wording = read(&fixture->from, "notice");
    assert_ptr_equal(tars_wording_filter(&wording, &scope), &scope);
}

/* What is not visible does not meet a demand, and is not told apart from what is not there. */
static void only_what_is_visible(void **state)
{
    const struct fixture *fixture = *state;
    const struct tars_index_filter filter = {not_the_first, NULL, NULL};
    struct tars_wording_from from = fixture->from;
    struct tars_wording wording;

    from.visible = &filter;
    wording = read(&from, "\"notice period\"");
    assert_false(wording.binds);
    assert_string_equal(wording.unmet, "notice period");
    wording = read(&from, "\"notice\"");
    assert_int_equal(bits_of(&wording), 0x06);
    check_filter(fixture);
}

static void unmet_words_have_a_place(void **state)
{
    static const struct {
        const char *query, *unmet, *place;
    } rows[] = {
        {"\"no such words\"", "no such words", "passage"},
        {"title:nothing", "nothing", "title"},
        {"weeks Title:nothing more", "nothing", "title"},
        {"title:\"two words\" weeks", "two words", "title"},
        {"heading:nothing \"title:nothing\"", "nothing", "heading"},
        {"\"title:nothing\" heading:nothing", "title:nothing", "passage"},
        {"title:travel \"nothing\"", "nothing", "passage"},
        {"title:travel heading:notice", "title:travel heading:notice", "passage"},
        {"", "", "passage"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_string_equal(
            tars_wording_place(tars_span(rows[i].query, strlen(rows[i].query)), rows[i].unmet),
            rows[i].place);
    }
}

static void work(void *ctx)
{
    const struct fixture *fixture = ctx;
    struct tars_wording_from from = fixture->from;
    const char *query = "title:travel \"war and peace\" \"no such words\"";
    struct tars_wording wording;
    struct tars_arena arena;

    tars_arena_init(&arena, ARENA_BYTES);
    from.arena = &arena;
    (void)!tars_wording_read(&from, tars_span(query, strlen(query)), &wording);
    tars_arena_release(&arena);
}

static void every_allocation_may_fail(void **state)
{
    assert_true(faults_each(work, *state) > 5);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(demands),
        cmocka_unit_test(only_what_is_visible),
        cmocka_unit_test(unmet_words_have_a_place),
        cmocka_unit_test(every_allocation_may_fail),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
