/* Unit tests of llm/llm, llm_extract, llm_auto and the turnstile: no server, no model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <pthread.h>
#include <time.h>

#include "llm/llm_auto.h"
#include "llm/llm_extract.h"
#include "llm/turnstile.h"
#include "support/faults.h"

struct heard {
    char text[2048];
    size_t len;
};

static bool hear(void *ctx, const char *ptr, size_t len)
{
    struct heard *heard = ctx;

    assert_true(heard->len + len < sizeof(heard->text));
    memcpy(heard->text + heard->len, ptr, len);
    heard->len += len;
    heard->text[heard->len] = '\0';
    return true;
}

static bool refuse(void *ctx, const char *ptr, size_t len)
{
    (void)ctx;
    (void)ptr;
    (void)len;
    return false;
}

static int64_t clock_of(void *ctx)
{
    return *(int64_t *)ctx;
}

/* ------------------------------------------------------------------ extract */

static void extract_refuses_free_text(void **state)
{
    const struct tars_llm_request request = {.prompt = "q", .free_text = true};
    struct heard heard = {.len = 0};
    const struct tars_llm_sink sink = {hear, &heard};
    struct tars_llm_result result;
    struct tars_llm *llm = NULL;
    struct tars_call call = {.client_id = "test"};

    (void)state;
    assert_int_equal(tars_llm_extract_open(&llm, NULL), TARS_OK);
    assert_int_equal(tars_llm_generate(llm, &request, &call, &sink, &result, NULL),
                     TARS_EUNSUPPORTED);
    assert_false(result.started);
    assert_int_equal(heard.len, 0);
    tars_llm_free(llm);
}

static void extract_quotes_and_says_so(void **state)
{
    static const struct tars_llm_quote quotes[] = {
        {{"Staff may take 30 days.", 23}, 2},
        {{"Unused days expire.", 19}, 1},
    };
    const struct tars_llm_request request = {.prompt = "q", .quotes = quotes, .quote_count = 2};
    struct heard heard = {.len = 0};
    const struct tars_llm_sink sink = {hear, &heard};
    const struct tars_llm_sink deaf = {refuse, NULL};
    struct tars_llm_result result;
    struct tars_llm *llm;

    (void)state;
    assert_int_equal(tars_llm_extract_open(&llm, NULL), TARS_OK);
    assert_int_equal(tars_llm_health(llm, NULL, NULL), TARS_OK);
    assert_int_equal(tars_llm_generate(llm, &request, NULL, &sink, &result, NULL), TARS_OK);
    assert_string_equal(heard.text,
                        "No language model is answering; these passages of the documents are "
                        "quoted word for word:\n\n\"Staff may take 30 days.\" [2]\n\n"
                        "\"Unused days expire.\" [1]");
    assert_string_equal(result.model, "extract");
    assert_int_equal(result.tokens, 8);
    assert_true(result.started);
    assert_int_equal(tars_llm_generate(llm, &request, NULL, &deaf, &result, NULL), TARS_ECANCELED);
    tars_llm_free(llm);
    tars_llm_free(NULL);
}

static void requests_are_checked(void **state)
{
    static const struct {
        const char *name;
        struct tars_llm_request request;
    } rows[] = {
        {"no prompt", {.prompt = NULL}},
        {"negative tokens", {.prompt = "p", .max_tokens = -1}},
        {"negative top_k", {.prompt = "p", .top_k = -1}},
        {"top_p over one", {.prompt = "p", .top_p = 1.5F}},
        {"negative top_p", {.prompt = "p", .top_p = -0.5F}},
    };
    struct heard heard = {.len = 0};
    const struct tars_llm_sink sink = {hear, &heard};
    struct tars_llm_result result;
    struct tars_llm *llm;

    (void)state;
    assert_int_equal(tars_llm_extract_open(&llm, NULL), TARS_OK);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_err err;

        if (tars_llm_generate(llm, &rows[i].request, NULL, &sink, &result, &err) != TARS_EINVAL) {
            fail_msg("%s was accepted", rows[i].name);
        }
    }
    assert_int_equal(tars_llm_count_tokens(llm, "12345", 5), 2);
    tars_llm_free(llm);
}

static void names_are_cut_at_a_character(void **state)
{
    char name[TARS_LLM_NAME_BYTES * 2];
    char model[TARS_LLM_NAME_BYTES];

    (void)state;
    memset(name, 'x', sizeof(name));
    memcpy(name + TARS_LLM_NAME_BYTES - 2, "\xC3\xA9", 2);
    name[sizeof(name) - 1] = '\0';
    tars_llm_set_model(model, name);
    assert_int_equal(strlen(model), TARS_LLM_NAME_BYTES - 2);
    tars_llm_set_model(model, "m");
    assert_string_equal(model, "m");
}

/* --------------------------------------------------------------------- auto */

/* A back end that does what the test says. */
struct puppet {
    struct tars_llm base;
    bool well;
    tars_status status;
    const char *says;
    int asked;
    int checked;
    bool *freed;
};

static tars_status puppet_generate(struct tars_llm *llm, const struct tars_llm_request *request,
                                   struct tars_call *call, const struct tars_llm_sink *sink,
                                   struct tars_llm_result *result, struct tars_err *err)
{
    struct puppet *me = (struct puppet *)llm;

    (void)request;
    (void)call;
    me->asked++;
    if (me->says) {
        result->started = true;
        (void)sink->token(sink->ctx, me->says, strlen(me->says));
    }
    return me->status == TARS_OK ? TARS_OK : tars_fail(me->status, err, "puppet failed");
}

static tars_status puppet_health(struct tars_llm *llm, struct tars_call *call, struct tars_err *err)
{
    struct puppet *me = (struct puppet *)llm;

    (void)call;
    (void)err;
    me->checked++;
    return me->well ? TARS_OK : TARS_EUNAVAILABLE;
}

static void puppet_free(struct tars_llm *llm)
{
    free(llm);
}

static const struct tars_llm_ops puppet_ops = {
    .name = "puppet",
    .generate = puppet_generate,
    .health = puppet_health,
    .free = puppet_free,
};

static struct puppet *puppet_new(bool well, tars_status status, const char *says)
{
    struct puppet *made = calloc(1, sizeof(*made));

    assert_non_null(made);
    made->base.ops = &puppet_ops;
    tars_llm_set_model(made->base.model, says ? says : "silent");
    made->well = well;
    made->status = status;
    made->says = says;
    return made;
}

static const struct {
    const char *name;
    bool first_well;
    tars_status first_status;
    const char *first_says;
    tars_status status;
    const char *text;
} auto_rows[] = {
    {"first is well", true, TARS_OK, "one", TARS_OK, "one"},
    {"first is away", false, TARS_OK, "one", TARS_OK, "two"},
    {"first fails before a token", true, TARS_EUNAVAILABLE, NULL, TARS_OK, "two"},
    {"first fails after a token", true, TARS_EUNAVAILABLE, "on", TARS_EUNAVAILABLE, "on"},
    {"prompt too large for the first", true, TARS_ETOOBIG, NULL, TARS_OK, "two"},
};

static void auto_takes_the_first_that_is_well(void **state)
{
    (void)state;
    for (size_t r = 0; r < sizeof(auto_rows) / sizeof(auto_rows[0]); r++) {
        int64_t now = 1000;
        struct puppet *first =
            puppet_new(auto_rows[r].first_well, auto_rows[r].first_status, auto_rows[r].first_says);
        struct puppet *second = puppet_new(true, TARS_OK, "two");
        struct tars_llm *const both[] = {&first->base, &second->base};
        const struct tars_llm_auto_config config = {both, 2, clock_of, &now};
        const struct tars_llm_request request = {.prompt = "p"};
        struct heard heard = {.len = 0};
        const struct tars_llm_sink sink = {hear, &heard};
        struct tars_llm_result result;
        struct tars_llm *llm;
        tars_status status;

        assert_int_equal(tars_llm_auto_open(&config, &llm, NULL), TARS_OK);
        status = tars_llm_generate(llm, &request, NULL, &sink, &result, NULL);
        if (status != auto_rows[r].status || strcmp(heard.text, auto_rows[r].text) != 0) {
            fail_msg("%s: %d \"%s\"", auto_rows[r].name, (int)status, heard.text);
        }
        assert_int_equal(tars_llm_health(llm, NULL, NULL), TARS_OK);
        tars_llm_free(llm);
    }
}

static void auto_remembers_health_for_a_while(void **state)
{
    int64_t now = 1000;
    struct puppet *only = puppet_new(false, TARS_OK, "one");
    struct tars_llm *const one[] = {&only->base};
    const struct tars_llm_auto_config config = {one, 1, clock_of, &now};
    struct tars_llm_auto_config bad = {one, 0, clock_of, &now};
    struct tars_llm *llm;

    (void)state;
    assert_int_equal(tars_llm_auto_open(&bad, &llm, NULL), TARS_EINVAL);
    assert_int_equal(tars_llm_auto_open(&config, &llm, NULL), TARS_OK);
    assert_int_equal(tars_llm_health(llm, NULL, NULL), TARS_EUNAVAILABLE);
    only->well = true;
    assert_int_equal(tars_llm_health(llm, NULL, NULL), TARS_EUNAVAILABLE);
    assert_int_equal(only->checked, 1);
    now += TARS_LLM_AUTO_RECHECK_MS;
    assert_int_equal(tars_llm_health(llm, NULL, NULL), TARS_OK);
    assert_int_equal(tars_llm_count_tokens(llm, "12345678", 8), 2);
    tars_llm_free(llm);
}

static void open_auto(void *ctx)
{
    int64_t now = 0;
    struct tars_llm *llm = NULL;
    struct tars_llm *extract = NULL;
    struct tars_err err;

    (void)ctx;
    if (tars_llm_extract_open(&extract, &err) == TARS_OK) {
        const struct tars_llm_auto_config config = {&extract, 1, clock_of, &now};

        if (tars_llm_auto_open(&config, &llm, &err) != TARS_OK)
            tars_llm_free(extract);
    }
    assert_true((llm != NULL) != faults_happened());
    tars_llm_free(llm);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    assert_int_equal(faults_each(open_auto, NULL), 2);
}

/* ---------------------------------------------------------------- turnstile */

#define VISITORS  8
#define QUEUED_MS 1000 /* after which all are in the queue, and one of them has waited too long */

struct visit {
    struct tars_turnstile *turnstile;
    struct tars_call call;
    atomic_int *inside;
    atomic_int *order;
    int place;
    tars_status status;
};

static void nap(long ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000L};

    (void)nanosleep(&time, NULL);
}

static void *visit(void *ctx)
{
    struct visit *me = ctx;

    me->status = tars_turnstile_enter(me->turnstile, &me->call);
    if (me->status != TARS_OK)
        return NULL;
    if (atomic_fetch_add(me->inside, 1) != 0)
        me->status = TARS_EBUSY;
    me->place = atomic_fetch_add(me->order, 1);
    nap(2);
    atomic_fetch_sub(me->inside, 1);
    tars_turnstile_leave(me->turnstile);
    return NULL;
}

/* So many stand in the queue; or until_ms, when one of them has left it. */
static void await_waiting(struct tars_turnstile *turnstile, int wanted, int64_t until_ms)
{
    int waiting;

    do {
        nap(1);
        pthread_mutex_lock(&turnstile->lock);
        waiting = turnstile->waiting;
        pthread_mutex_unlock(&turnstile->lock);
    } while (waiting != wanted && tars_clock_mono_ms() < until_ms);
}

static void one_at_a_time_in_order(void **state)
{
    int64_t until_ms = tars_clock_mono_ms() + QUEUED_MS;
    struct tars_turnstile turnstile;
    struct visit visits[VISITORS] = {{NULL}};
    pthread_t threads[VISITORS];
    atomic_int inside = 0;
    atomic_int order = 0;

    (void)state;
    assert_int_equal(tars_turnstile_init(&turnstile), TARS_OK);
    assert_int_equal(tars_turnstile_enter(&turnstile, NULL), TARS_OK);
    for (int i = 0; i < VISITORS; i++) {
        visits[i] = (struct visit){.turnstile = &turnstile, .inside = &inside, .order = &order};
        if (i == 2)
            visits[i].call.deadline_ms = until_ms;
        assert_int_equal(pthread_create(&threads[i], NULL, visit, &visits[i]), 0);
        await_waiting(&turnstile, i + 1, until_ms);
    }
    atomic_store(&visits[4].call.cancelled, true);
    await_waiting(&turnstile, VISITORS - 2, INT64_MAX); /* one was cancelled, one is too late */
    tars_turnstile_leave(&turnstile);
    for (int i = 0; i < VISITORS; i++)
        (void)pthread_join(threads[i], NULL);
    assert_int_equal(visits[2].status, TARS_ETIMEOUT);
    assert_int_equal(visits[4].status, TARS_ECANCELED);
    for (int i = 0, place = 0; i < VISITORS; i++) {
        if (i == 2 || i == 4)
            continue;
        assert_int_equal(visits[i].status, TARS_OK);
        assert_int_equal(visits[i].place, place);
        place++;
    }
    tars_turnstile_release(&turnstile);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(extract_quotes_and_says_so),
        cmocka_unit_test(extract_refuses_free_text),
        cmocka_unit_test(requests_are_checked),
        cmocka_unit_test(names_are_cut_at_a_character),
        cmocka_unit_test(auto_takes_the_first_that_is_well),
        cmocka_unit_test(auto_remembers_health_for_a_while),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(one_at_a_time_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
