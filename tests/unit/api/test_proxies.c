/* Tests of proxies: whose addresses are believed. Inputs of X-Forwarded-For end at a guard page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "api/proxies.h"
#include "support/faults.h"
#include "support/guard.h"

#define ROWS(a) (sizeof(a) / sizeof((a)[0]))

struct list_row {
    const char *name, *list;
    tars_status expected;
};

static const struct list_row lists[] = {
    {"none", "", TARS_OK},
    {"only separators", " , ,", TARS_OK},
    {"an address", "10.1.2.3", TARS_OK},
    {"networks of both kinds", "10.0.0.0/8, 192.168.0.0/16,::1,fd00::/8", TARS_OK},
    {"everybody", "0.0.0.0/0,::/0", TARS_OK},
    {"too many bits", "10.0.0.0/33", TARS_EINVAL},
    {"too many bits, IPv6", "::/129", TARS_EINVAL},
    {"no bits", "10.0.0.0/", TARS_EINVAL},
    {"bits that are none", "10.0.0.0/8x", TARS_EINVAL},
    {"a name", "proxy.example", TARS_EINVAL},
    {"half an address", "10.0.0", TARS_EINVAL},
};

static void list_holds(void **state)
{
    const struct list_row *row = *state;
    struct tars_proxies *proxies = NULL;
    struct tars_err err = {{0}};
    tars_status status = tars_proxies_new(row->list, &proxies, &err);

    assert_int_equal(status, row->expected);
    assert_int_equal(err.text[0] != '\0', status != TARS_OK);
    tars_proxies_free(proxies);
}

static void too_many(void **state)
{
    char list[(TARS_PROXIES_MAX + 1) * 8 + 1] = "";
    struct tars_proxies *proxies = NULL;

    (void)state;
    for (int i = 0; i <= TARS_PROXIES_MAX; i++)
        memcpy(list + (size_t)i * 8, "1.1.1.1,", 9);
    assert_int_equal(tars_proxies_new(list, &proxies, NULL), TARS_EINVAL);
    list[(size_t)TARS_PROXIES_MAX * 8] = '\0';
    assert_int_equal(tars_proxies_new(list, &proxies, NULL), TARS_OK);
    tars_proxies_free(proxies);
}

struct row {
    const char *name;
    const char *trusted;
    const char *peer;
    const char *lines[3]; /* of X-Forwarded-For */
    const char *expected;
};

static const struct row rows[] = {
    {"nobody is trusted", "", "10.0.0.1", {"1.1.1.1"}, "10.0.0.1"},
    {"the peer is no proxy", "10.0.0.0/8", "11.0.0.1", {"1.1.1.1"}, "11.0.0.1"},
    {"no header", "10.0.0.0/8", "10.0.0.1", {NULL}, "10.0.0.1"},
    {"an empty one", "10.0.0.0/8", "10.0.0.1", {""}, "10.0.0.1"},
    {"one client", "10.0.0.0/8", "10.0.0.1", {"1.1.1.1"}, "1.1.1.1"},
    {"what the client made up is passed over",
     "10.0.0.0/8",
     "10.0.0.1",
     {"9.9.9.9, 1.1.1.1"},
     "1.1.1.1"},
    {"a chain of proxies",
     "10.0.0.0/8",
     "10.0.0.1",
     {"9.9.9.9, 1.1.1.1 ,10.0.0.3,10.0.0.2"},
     "1.1.1.1"},
    {"nothing but proxies", "10.0.0.0/8", "10.0.0.1", {"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
    {"several lines are one list",
     "10.0.0.0/8",
     "10.0.0.1",
     {"9.9.9.9", "1.1.1.1", "10.0.0.2"},
     "1.1.1.1"},
    {"nonsense ends the walk", "10.0.0.0/8", "10.0.0.1", {"1.1.1.1, x, 10.0.0.2"}, "10.0.0.2"},
    {"an empty entry ends the walk", "10.0.0.0/8", "10.0.0.1", {"1.1.1.1,,"}, "10.0.0.1"},
    {"with a port", "10.0.0.0/8", "10.0.0.1", {"1.1.1.1:5678"}, "1.1.1.1"},
    {"IPv6", "::1", "::1", {"2001:db8::7"}, "2001:db8::7"},
    {"IPv6 in brackets", "::1", "::1", {"[2001:DB8::7]:443"}, "2001:db8::7"},
    {"brackets that do not end", "::1", "::1", {"[2001:db8::7"}, "::1"},
    {"IPv4 within IPv6 is IPv4", "10.0.0.0/8", "::ffff:10.0.0.1", {"::ffff:1.1.1.1"}, "1.1.1.1"},
    {"a network of IPv6 has no IPv4", "::/64", "10.0.0.1", {"1.1.1.1"}, "10.0.0.1"},
    {"bits within a byte", "10.0.0.128/25", "10.0.0.129", {"1.1.1.1"}, "1.1.1.1"},
    {"just outside them", "10.0.0.128/25", "10.0.0.127", {"1.1.1.1"}, "10.0.0.127"},
    {"longer than any address",
     "10.0.0.1",
     "10.0.0.1",
     {"1111111111111111111111111111111111111111111111111111111111111111111"},
     "10.0.0.1"},
};

static void row_holds(void **state)
{
    const struct row *row = *state;
    struct tars_http_header headers[ROWS(row->lines)];
    struct tars_http_request request = {.headers = headers};
    struct tars_proxies *proxies = NULL;
    struct guard pages[ROWS(row->lines)];
    char found[TARS_HTTP_PEER_BYTES];

    (void)snprintf(request.peer, sizeof(request.peer), "%s", row->peer);
    for (size_t i = 0; i < ROWS(row->lines) && row->lines[i]; i++) {
        size_t len = strlen(row->lines[i]);

        pages[i] = guard_copy(row->lines[i], len);
        headers[i] = (struct tars_http_header){tars_span_of("X-Forwarded-For"),
                                               tars_span(pages[i].ptr, len)};
        request.header_count++;
    }
    assert_int_equal(tars_proxies_new(row->trusted, &proxies, NULL), TARS_OK);
    tars_proxies_client(proxies, &request, found);
    assert_string_equal(found, row->expected);
    for (size_t i = 0; i < request.header_count; i++)
        guard_free(&pages[i]);
    tars_proxies_free(proxies);
}

static void https_is_what_a_proxy_says(void **state)
{
    static const struct {
        const char *peer, *value;
        bool is_tls, expected;
    } asks[] = {
        {"1.1.1.1", NULL, false, false},      {"1.1.1.1", NULL, true, true},
        {"1.1.1.1", "https", false, false},   {"10.0.0.1", NULL, false, false},
        {"10.0.0.1", "https", false, true},   {"10.0.0.1", "HTTPS", false, true},
        {"10.0.0.1", "http", false, false},   {"10.0.0.1", "https, http", false, false},
        {"10.0.0.1", "httpsx", false, false}, {"10.0.0.1", "", false, false},
    };
    struct tars_proxies *proxies = NULL;

    (void)state;
    assert_int_equal(tars_proxies_new("10.0.0.0/8", &proxies, NULL), TARS_OK);
    for (size_t i = 0; i < ROWS(asks); i++) {
        const char *value = asks[i].value ? asks[i].value : "";
        const struct tars_http_header header = {tars_span_of("x-forwarded-proto"),
                                                tars_span_of(value)};
        struct tars_http_request request = {
            .headers = &header, .header_count = asks[i].value ? 1 : 0, .is_tls = asks[i].is_tls};

        (void)snprintf(request.peer, sizeof(request.peer), "%s", asks[i].peer);
        assert_int_equal(tars_proxies_is_https(proxies, &request), asks[i].expected);
    }
    tars_proxies_free(proxies);
}

static void memory_may_fail(void **state)
{
    struct tars_proxies *proxies = NULL;

    (void)state;
    faults_fail_after(0);
    assert_int_equal(tars_proxies_new("::1", &proxies, NULL), TARS_ENOMEM);
    assert_true(faults_happened());
    assert_null(proxies);
}

int main(void)
{
    struct CMUnitTest tests[ROWS(lists) + ROWS(rows) + 3];
    size_t count = 0;

    for (size_t i = 0; i < ROWS(lists); i++) {
        tests[count++] =
            (struct CMUnitTest){lists[i].name, list_holds, NULL, NULL, (void *)&lists[i]};
    }
    for (size_t i = 0; i < ROWS(rows); i++) {
        tests[count++] = (struct CMUnitTest){rows[i].name, row_holds, NULL, NULL, (void *)&rows[i]};
    }
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(too_many);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(https_is_what_a_proxy_says);
    tests[count++] = (struct CMUnitTest)cmocka_unit_test(memory_may_fail);
    return _cmocka_run_group_tests("api/proxies", tests, count, NULL, NULL);
}
