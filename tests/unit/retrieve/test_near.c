/* Unit tests of retrieve/near: what a server of vectors says of a search costs its half of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "retrieve/near.h"

#define DIM 2

struct server {
    struct tars_vectors base;
    tars_status says;
};

static tars_status search(struct tars_vectors *vectors, const struct tars_vectors_ask *ask,
                          struct tars_index_hit *hits, size_t *n, struct tars_err *err)
{
    const struct server *server = (const struct server *)vectors;

    (void)ask;
    (void)hits;
    *n = 0;
    return tars_fail(server->says, err, "it says so");
}

static void what_a_server_says(void **state)
{
    static const struct {
        tars_status says, expected;
        size_t k;
        bool waits, is_away;
    } rows[] = {
        {TARS_EUNAVAILABLE, TARS_OK, 3, true, true},
        {TARS_ETIMEOUT, TARS_OK, 3, true, true},
        {TARS_EINVAL, TARS_OK, 3, true, true},
        {TARS_ENOMEM, TARS_OK, 3, true, true},
        {TARS_EFORMAT, TARS_OK, 3, true, true},
        {TARS_EMISMATCH, TARS_OK, 3, true, true},
        {TARS_EAGAIN, TARS_OK, 3, true, true},
        {TARS_ECANCELED, TARS_ECANCELED, 3, true, false},
        {TARS_EINVAL, TARS_EINVAL, TARS_INDEX_K_MAX + 1, true, false},
        {TARS_EINVAL, TARS_EINVAL, 3, false, false},
        {TARS_ENOMEM, TARS_ENOMEM, 3, false, false},
    };
    static const struct tars_visible everything = {.all = true};
    static const float query[DIM] = {1, 0};
    struct tars_index_hit hits[3];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct tars_vectors_ops ops = {
            .name = "server", .waits = rows[i].waits, .search = search};
        struct server server = {.base = {.ops = &ops}, .says = rows[i].says};
        struct tars_arena arena;
        struct tars_call call = {.arena = &arena};
        const struct tars_vectors_wish wish = {
            .query = query, .dim = DIM, .k = rows[i].k, .visible = &everything, .call = &call};
        struct tars_err err = {{0}};
        bool is_away = false;
        size_t n = 9;

        tars_arena_init(&arena, (size_t)16 << 20);
        assert_int_equal(tars_near_search(&server.base, &wish, hits, &n, &is_away, &err),
                         rows[i].expected);
        assert_int_equal(is_away, rows[i].is_away);
        assert_int_equal(n, 0);
        tars_arena_release(&arena);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_server_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
