/* A passage that a call may not see never appears, whatever is asked and how; and what it may see
 * is found as well as if nothing else were there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "index/index.h"
#include "model/encoder.h"
#include "retrieve/retrieve.h"
#include "retrieve/scope.h"
#include "store/accounts.h"
#include "store/store_sqlite.h"
#include "support/files.h"
#include "text/analyzer.h"

#define PASSAGES    3000
#define PER_FILE    3 /* documents, of one passage each */
#define DIM_MAX     1024
#define WORDS_DIM   32 /* of made-up vectors, where there is no encoder */
#define COLLECTIONS 5
#define ARENA_BYTES ((size_t)256 << 20)

/* Which part of the passages is of each: 0.1 %, 1 %, 10 %, 38.9 %, 50 %. */
static const char *const keys[COLLECTIONS] = {"acme/a", "acme/b", "acme/c", "acme/d", "acme/e"};
static const size_t thousandths[COLLECTIONS] = {1, 10, 100, 389, 500};

static struct {
    char dir[FILES_PATH_MAX];
    struct tars_store *store;
    struct tars_index *index;
    struct tars_encoder *encoder; /* NULL: no weights on this machine */
    size_t dim;
    struct tars_arena arena;
    struct tars_retriever *retriever;
    uint64_t collection_of[PASSAGES + 1]; /* by passage id, as an index into keys */
} f;

/* ------------------------------------------------------------------ fixture */

static size_t pick_collection(size_t i)
{
    size_t at = (i * 617) % 1000; /* 617 and 1000 share no factor: every thousand has its shares */

    for (size_t c = 0; c < COLLECTIONS; c++) {
        if (at < thousandths[c])
            return c;
        at -= thousandths[c];
    }
    return COLLECTIONS - 1;
}

static void make_vector(uint64_t id, float *out)
{
    uint64_t state = (id + 1) * UINT64_C(0x9e3779b97f4a7c15);
    float norm = 0;

    for (size_t i = 0; i < f.dim; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out[i] = (float)(state >> 40) / 16777216.0F - 0.5F;
        norm += out[i] * out[i];
    }
    for (size_t i = 0; i < f.dim; i++)
        out[i] /= sqrtf(norm);
}

/* Every passage has "leave", and one word that every seventh has. */
static void index_passage(uint64_t id)
{
    float vector[DIM_MAX];
    char word[32];
    struct tars_index_term terms[2] = {{"leav", 4, 1, TARS_INDEX_TEXT},
                                       {word, 0, 1 + (uint32_t)(id % 3), TARS_INDEX_TEXT}};
    struct tars_index_passage add = {.id = id,
                                     .terms = terms,
                                     .term_count = 2,
                                     .vectors = vector,
                                     .vector_count = 1,
                                     .length = 2 + (uint32_t)(id % 11),
                                     .lang = TARS_LANG_ENGLISH};

    terms[1].len = (uint32_t)snprintf(word, sizeof(word), "zq%c", 'a' + (char)(id % 7));
    make_vector(id, vector);
    assert_int_equal(tars_index_add(f.index, &add), TARS_OK);
}

/* A file with n documents of one passage each. */
static void put_file(const char *key, const char *path, const char *type, size_t n)
{
    struct tars_store_document documents[PER_FILE] = {{.path = NULL}};
    struct tars_store_passage passages[PER_FILE] = {{0}};
    struct tars_store_put puts[PER_FILE] = {{0}};
    struct tars_store_file file = {
        .collection = key, .path = path, .sha256 = "00", .size = 1, .indexed_us = 1};
    struct tars_store_batch batch = {.file = &file, .puts = puts, .put_count = n, .finish = true};
    struct tars_store_changes changes;
    char ids[PER_FILE][24];
    struct tars_err err = {.text = ""};

    for (size_t i = 0; i < n; i++) {
        (void)snprintf(ids[i], sizeof(ids[i]), "%zu", i);
        documents[i] = (struct tars_store_document){.path = path,
                                                    .external_id = ids[i],
                                                    .file_name = "file",
                                                    .file_type = type,
                                                    .language = TARS_LANG_ENGLISH};
        passages[i].text = "leave";
        passages[i].text_len = 5;
        puts[i] = (struct tars_store_put){&documents[i], &passages[i], 1, false, NULL};
    }
    if (tars_store_put(f.store, &batch, &f.arena, &changes, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < changes.count; i++) {
        for (uint64_t id = changes.items[i].first; id <= changes.items[i].last; id++)
            index_passage(id);
    }
    tars_index_publish(f.index, changes.items[changes.count - 1].seq);
    tars_arena_clear(&f.arena);
}

static void add_rights(void)
{
    struct tars_tenant acme = {.name = "acme"};

    assert_int_equal(tars_accounts_tenant_add(f.store, &acme, NULL), TARS_OK);
    for (size_t i = 0; i < COLLECTIONS; i++) {
        struct tars_collection collection = {.tenant = "acme", .name = keys[i] + 5};

        assert_int_equal(tars_accounts_collection_add(f.store, &collection, NULL), TARS_OK);
    }
    {
        struct tars_collection late = {.tenant = "acme", .name = "late"};

        assert_int_equal(tars_accounts_collection_add(f.store, &late, NULL), TARS_OK);
    }
}

static void open_encoder(void)
{
    char path[FILES_PATH_MAX];
    const struct tars_encoder_config config = {.dir = path};

    if (files_model(path))
        assert_int_equal(tars_encoder_open(&config, &f.encoder, NULL), TARS_OK);
    f.dim = f.encoder ? tars_encoder_info(f.encoder)->dim : WORDS_DIM;
}

static int open_library(void **state)
{
    struct tars_store_sqlite_config store = {.dir = f.dir};
    struct tars_index_config index = {.exact_below = 1};
    struct tars_retriever_config retriever = {.alpha = -1};
    char path[32];

    (void)state;
    tars_arena_init(&f.arena, ARENA_BYTES);
    files_make_dir(f.dir);
    open_encoder();
    index.dim = f.dim;
    assert_int_equal(tars_store_sqlite_open(&store, &f.store, NULL), TARS_OK);
    assert_int_equal(tars_index_open(&index, &f.index, NULL), TARS_OK);
    add_rights();
    for (size_t i = 0; i < PASSAGES / PER_FILE; i++) {
        size_t c = pick_collection(i);

        for (size_t k = 1; k <= PER_FILE; k++)
            f.collection_of[i * PER_FILE + k] = c;
        (void)snprintf(path, sizeof(path), "/d/%zu", i);
        put_file(keys[c], path, i % 2 ? "pdf" : "txt", PER_FILE);
    }
    retriever.store = f.store;
    retriever.index = f.index;
    retriever.encoder = f.encoder;
    assert_int_equal(tars_retriever_new(&retriever, &f.retriever), TARS_OK);
    return 0;
}

static int close_library(void **state)
{
    (void)state;
    tars_retriever_free(f.retriever);
    tars_index_close(f.index);
    tars_store_close(f.store);
    tars_encoder_close(f.encoder);
    tars_arena_release(&f.arena);
    files_remove_dir(f.dir);
    return 0;
}

/* -------------------------------------------------------------------- rights */

static bool is_pdf(uint64_t id)
{
    return (id - 1) / PER_FILE % 2 == 1;
}

static bool shows(const struct tars_visible *visible, uint64_t id)
{
    return id <= PASSAGES && tars_visible_has(visible, keys[f.collection_of[id]]);
}

/* Passages that may be found, by what was asked. */
static size_t visible_count(const struct tars_visible *visible, const char *one, bool pdf)
{
    size_t count = 0;

    for (uint64_t id = 1; id <= PASSAGES; id++) {
        count += shows(visible, id) && (!one || strcmp(keys[f.collection_of[id]], one) == 0) &&
                 (!pdf || is_pdf(id));
    }
    return count;
}

struct asked {
    const struct tars_visible *visible;
    const char *one;
    bool pdf;
    enum tars_retrieve_mode mode;
    bool distinct;
};

/* The share of what comparing every visible passage would have found among the first found. */
static double recall_of(const struct asked *asked, const struct tars_retrieved *got)
{
    struct tars_span text = tars_span_of("leave zqa");
    float vector[DIM_MAX];
    size_t right = 0;

    assert_int_equal(tars_encoder_embed(f.encoder, TARS_EMBED_QUERY, &text, 1, vector, NULL),
                     TARS_OK);
    for (size_t i = 0; i < got->count; i++) {
        size_t better = 0;

        for (uint64_t id = 1; id <= PASSAGES; id++) {
            float score = -1;

            if (!shows(asked->visible, id) || (asked->pdf && !is_pdf(id)) ||
                (asked->one && strcmp(keys[f.collection_of[id]], asked->one) != 0))
                continue;
            assert_int_equal(tars_index_vector_score(f.index, vector, id, &score), TARS_OK);
            better += score > got->found[i].vector_score;
        }
        right += better < got->count;
    }
    return got->count ? (double)right / (double)got->count : 1;
}

static void ask(const struct asked *asked)
{
    struct tars_arena arena;
    struct tars_call call = {.arena = &arena, .client_id = "test", .visible = asked->visible};
    struct tars_retrieve_request request = {.query = tars_span_of("leave zqa"),
                                            .top_k = 20,
                                            .threshold = -1,
                                            .filters_json =
                                                asked->pdf ? "{\"file_type\":\"pdf\"}" : NULL,
                                            .collection = asked->one,
                                            .mode = asked->mode,
                                            .distinct_documents = asked->distinct};
    struct tars_retrieved got = {0};
    struct tars_err err = {.text = ""};
    size_t there = visible_count(asked->visible, asked->one, asked->pdf);

    tars_arena_init(&arena, ARENA_BYTES);
    if (tars_retrieve(f.retriever, &request, &call, &got, &err))
        fail_msg("%s", err.text);
    assert_int_equal(got.count, there < 20 ? there : 20);
    for (size_t i = 0; i < got.count; i++) {
        assert_true(shows(asked->visible, got.found[i].passage_id));
        if (asked->one)
            assert_string_equal(got.found[i].passage->document->collection, asked->one);
        if (asked->pdf)
            assert_string_equal(got.found[i].passage->document->file_type, "pdf");
    }
    if (f.encoder && asked->mode == TARS_RETRIEVE_VECTORS)
        assert_true(recall_of(asked, &got) >= 0.9);
    tars_arena_release(&arena);
}

static void hidden_passages_never_appear(void **state)
{
    static const char *const unknown[] = {"acme/none", "nobody/a"};
    static const char *const two[] = {"acme/a", "acme/e"};
    const struct tars_visible rows[] = {
        {.count = 0},
        {.keys = &keys[0], .count = 1},
        {.keys = &keys[1], .count = 1},
        {.keys = &keys[2], .count = 1},
        {.keys = &keys[3], .count = 1},
        {.keys = &keys[4], .count = 1},
        {.keys = two, .count = 2},
        {.keys = keys, .count = COLLECTIONS - 1},
        {.keys = keys, .count = COLLECTIONS},
        {.keys = unknown, .count = 2},
        {.all = true},
    };
    static const char *const ones[] = {NULL, "acme/b", "acme/e", "acme/none"};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t k = 0; k < 48; k++) {
            const struct asked asked = {&rows[i], ones[k % 4], k / 4 % 2,
                                        (enum tars_retrieve_mode)(k / 8 % 3), k / 24 % 2};

            print_message("set %zu, %s, pdf %d, mode %d, distinct %d\n", i,
                          asked.one ? asked.one : "all", asked.pdf, asked.mode, asked.distinct);
            ask(&asked);
        }
    }
}

static void nothing_is_seen_without_rights(void **state)
{
    struct asked asked = {.visible = NULL};

    (void)state;
    for (int mode = 0; mode < 3; mode++) {
        asked.mode = (enum tars_retrieve_mode)mode;
        ask(&asked);
    }
}

/* ------------------------------------------------------------------- scopes */

static struct tars_scope *scope_of(struct tars_scopes *scopes, const struct tars_visible *visible,
                                   const char *filters)
{
    struct tars_scope_wish wish = {
        .visible = visible, .filters_json = filters, .seq = tars_index_seq(f.index)};
    struct tars_scope *scope = NULL;

    assert_int_equal(tars_scope_new(scopes, &wish, &f.arena, &scope, NULL), TARS_OK);
    return scope;
}

static void all_there_is_needs_no_filter_until_more_comes(void **state)
{
    static const char *const more[] = {"acme/a", "acme/b", "acme/c", "acme/d", "acme/e", "zeta"};
    const struct tars_visible some = {.keys = keys, .count = COLLECTIONS - 1};
    const struct tars_visible all = {.keys = keys, .count = COLLECTIONS};
    const struct tars_visible beyond = {.keys = more, .count = COLLECTIONS + 1};
    struct tars_scopes *scopes = NULL;
    struct tars_scope *scope;
    struct tars_scope *filtered;

    (void)state;
    assert_int_equal(tars_scopes_new(f.store, &scopes), TARS_OK);
    assert_non_null(tars_scope_filter(scope_of(scopes, &some, NULL)));
    assert_null(tars_scope_filter(scope_of(scopes, &beyond, NULL)));
    scope = scope_of(scopes, &all, NULL);
    assert_null(tars_scope_filter(scope));
    assert_false(tars_scope_has_expired(scope, tars_index_seq(f.index)));
    filtered = scope_of(scopes, &all, "{\"file_type\":\"pdf\"}");
    tars_scope_release(filtered);

    put_file("acme/late", "/late", "pdf", 3);
    assert_true(tars_scope_has_expired(scope, tars_index_seq(f.index)));
    tars_scope_release(scope);
    scope = scope_of(scopes, &all, NULL);
    assert_non_null(tars_scope_filter(scope));
    assert_false(tars_scope_shows(scope, "acme/late"));
    assert_false(tars_scope_filter(scope)->accepts(scope, PASSAGES + 1));
    assert_false(tars_scope_filter(scope)->accepts(scope, UINT64_MAX));
    assert_true(tars_scope_filter(scope)->accepts(scope, PASSAGES));
    tars_scope_release(scope);
    tars_scopes_free(scopes);
}

static void kept_filters_follow_the_documents(void **state)
{
    static const char *const late[] = {"acme/late"};
    const struct tars_visible visible = {.keys = late, .count = 1};
    const char *filters = "{\"file_type\":\"pdf\"}";
    struct tars_scopes *scopes = NULL;
    struct tars_store_changes changes;
    struct tars_scope *before;
    struct tars_scope *after;

    (void)state;
    assert_int_equal(tars_scopes_new(f.store, &scopes), TARS_OK);
    before = scope_of(scopes, &visible, filters);
    put_file("acme/late", "/later", "pdf", 2);
    put_file("acme/late", "/latest", "txt", 2);
    after = scope_of(scopes, &visible, filters);
    assert_true(tars_scope_filter(before)->accepts(before, PASSAGES + 3));
    assert_false(tars_scope_filter(before)->accepts(before, PASSAGES + 4));
    assert_true(tars_scope_filter(after)->accepts(after, PASSAGES + 3));
    assert_true(tars_scope_filter(after)->accepts(after, PASSAGES + 5));
    assert_false(tars_scope_filter(after)->accepts(after, PASSAGES + 6));
    tars_scope_release(before);
    tars_scope_release(after);
    /* Many filters: the oldest go, those in use stay. */
    before = scope_of(scopes, &visible, filters);
    for (int i = 0; i < 3 * TARS_SCOPES_KEPT; i++) {
        char other[64];

        (void)snprintf(other, sizeof(other), "{\"page_count\":%d}", i);
        tars_scope_release(scope_of(scopes, &visible, other));
    }
    assert_true(tars_scope_filter(before)->accepts(before, PASSAGES + 3));
    tars_scope_release(before);
    assert_int_equal(
        tars_store_forget_file(f.store, "acme/late", "/late", &f.arena, &changes, NULL), TARS_OK);
    tars_scopes_free(scopes);
}

/* ------------------------------------------------- answers that lack something */

static struct {
    const struct tars_store_ops *whole;
    uint64_t count;
    bool lacks;
} partly;

static uint64_t count_partial(struct tars_store *store)
{
    (void)store;
    return partly.count;
}

/* As a copy that has nothing yet. */
static tars_status tell_some(struct tars_store *store,
                             const struct tars_store_document_filter *filter,
                             tars_store_document_fn *each, void *ctx, struct tars_err *err)
{
    if (!partly.lacks)
        return partly.whole->documents(store, filter, each, ctx, err);
    partly.count++;
    return TARS_OK;
}

static uint64_t newest(void)
{
    struct tars_index_stats stats;

    tars_index_stats(f.index, &stats);
    return stats.last_id;
}

static void a_filter_that_may_lack_something_is_not_kept(void **state)
{
    const struct tars_visible visible = {.all = true};
    const char *filters = "{\"file_type\":\"pdf\"}";
    struct tars_store_ops ops = *f.store->ops;
    struct tars_scopes *scopes = NULL;
    struct tars_scope *before;
    struct tars_scope *after;

    (void)state;
    partly.whole = f.store->ops;
    partly.lacks = true;
    ops.partial = count_partial;
    ops.documents = tell_some;
    f.store->ops = &ops;
    assert_int_equal(tars_scopes_new(f.store, &scopes), TARS_OK);
    put_file("acme/late", "/found", "pdf", 1);
    before = scope_of(scopes, &visible, filters);
    partly.lacks = false;
    after = scope_of(scopes, &visible, filters);
    f.store->ops = partly.whole;
    assert_true(partly.count > 0);
    assert_false(tars_scope_filter(before)->accepts(before, newest()));
    assert_true(tars_scope_filter(after)->accepts(after, newest()));
    tars_scope_release(before);
    tars_scope_release(after);
    tars_scopes_free(scopes);
}

/* ------------------------------------------------------------------ threads */

#define ROUNDS 40

struct searcher {
    atomic_bool *stop;
    size_t seen;
};

static void *search_on(void *ctx)
{
    const struct tars_visible visible = {.keys = keys, .count = COLLECTIONS};
    struct searcher *searcher = ctx;

    while (!atomic_load(searcher->stop)) {
        struct tars_arena arena;
        struct tars_call call = {.arena = &arena, .client_id = "test", .visible = &visible};
        struct tars_retrieve_request request = {.query = tars_span_of("leave zqa"),
                                                .top_k = 50,
                                                .threshold = -1,
                                                .mode = TARS_RETRIEVE_WORDS};
        struct tars_retrieved got = {0};

        tars_arena_init(&arena, ARENA_BYTES);
        assert_int_equal(tars_retrieve(f.retriever, &request, &call, &got, NULL), TARS_OK);
        assert_int_equal(got.count, 50);
        for (size_t i = 0; i < got.count; i++)
            searcher->seen += got.found[i].passage_id > PASSAGES;
        tars_arena_release(&arena);
    }
    return NULL;
}

/* Documents of a hidden collection come and go while others search, who would need no filter but
 * for them. */
static void what_comes_meanwhile_is_hidden(void **state)
{
    atomic_bool stop = false;
    struct searcher searchers[2] = {{&stop, 0}, {&stop, 0}};
    pthread_t threads[2];

    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, search_on, &searchers[i]), 0);
    for (int i = 0; i < ROUNDS; i++) {
        struct tars_store_changes changes = {0};
        char path[32];

        (void)snprintf(path, sizeof(path), "/round/%d", i);
        put_file("acme/late", path, "txt", 3);
        assert_int_equal(
            tars_store_forget_file(f.store, "acme/late", path, &f.arena, &changes, NULL), TARS_OK);
        tars_index_remove(f.index, changes.items[0].first, changes.items[changes.count - 1].last);
        tars_index_publish(f.index, changes.items[changes.count - 1].seq);
    }
    atomic_store(&stop, true);
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(searchers[i].seen, 0);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(hidden_passages_never_appear),
        cmocka_unit_test(nothing_is_seen_without_rights),
        cmocka_unit_test(all_there_is_needs_no_filter_until_more_comes),
        cmocka_unit_test(kept_filters_follow_the_documents),
        cmocka_unit_test(a_filter_that_may_lack_something_is_not_kept),
        cmocka_unit_test(what_comes_meanwhile_is_hidden),
    };

    return cmocka_run_group_tests(tests, open_library, close_library);
}
