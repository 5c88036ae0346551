/* Tests of accept: which format a scrape gets, whatever its header says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/accept.h"
#include "support/guard.h"

#define OPEN "application/openmetrics-text"

struct row {
    const char *name;
    const char *accept;
    bool is_open;
};

static const struct row rows[] = {
    {"nothing is said", "", false},
    {"anything", "*/*", false},
    {"any of its kind", "application/*", false},
    {"Prometheus 2.42",
     OPEN ";version=1.0.0," OPEN ";version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
     true},
    {"Prometheus without OpenMetrics", "text/plain;version=0.0.4;q=1,*/*;q=0.1", false},
    {"Prometheus 3",
     OPEN ";version=1.0.0;escaping=allow-utf-8;q=0.6," OPEN ";version=0.0.1;q=0.5,"
          "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,"
          "*/*;q=0.2",
     true},
    {"a browser", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false},
    {"by name", OPEN, true},
    {"by version", OPEN "; version=1.0.0", true},
    {"by version in quotes", OPEN "; version=\"1.0.0\"; charset=utf-8", true},
    {"by another version", OPEN "; version=2.0.0", false},
    {"in capitals", "Application/OpenMetrics-Text; Version=1.0.0", true},
    {"as much as text", "text/plain, " OPEN, true},
    {"less than text", "text/plain, " OPEN ";q=0.9", false},
    {"less than anything", "*/*, " OPEN ";q=0.9", false},
    {"more than text", "text/plain;q=0.89," OPEN ";q=0.9", true},
    {"text of another version", "text/plain;version=1.0.0," OPEN ";q=0.5", true},
    {"any text", "text/*;q=0.8," OPEN ";q=0.7", false},
    {"not at all", OPEN ";q=0", false},
    {"not at all, spelled out", OPEN ";q=0.000,*/*", false},
    {"the closest item counts", "*/*;q=0.1,text/plain;q=0.2," OPEN ";q=0.3", true},
    {"space around", " \t" OPEN " ; q = 0.5 , text/plain ; q=0.4 ", true},
    {"a quality that is none", OPEN ";q=high", false},
    {"a quality over one", OPEN ";q=1.5", false},
    {"a quality too long", OPEN ";q=0.55555", false},
    {"empty items", ",, ;," OPEN ",,", true},
    {"a comma in quotes", "text/plain;a=\"," OPEN ",\"", false},
    {"a quote that does not end", OPEN ";a=\"", true},
    {"a quote that does not end, before", "text/plain;a=\"," OPEN, false},
    {"a backslash at the end", "text/plain;a=\"\\", false},
    {"only a slash", "/", false},
    {"cut", "application/openmetrics-tex", false},
    {"longer", OPEN "s", false},
};

static void row_holds(void **state)
{
    const struct row *row = *state;
    size_t len = strlen(row->accept);
    struct guard guard = guard_copy(row->accept, len);

    assert_int_equal(tars_accept_is_openmetrics(tars_span(guard.ptr, len)), row->is_open);
    guard_free(&guard);
}

static void qualities(void **state)
{
    static const struct {
        const char *accept;
        const char *type;
        int quality;
    } asked[] = {
        {"a/b;q=0.125", "a/b", 125},
        {"a/b;q=1.000", "a/b", 1000},
        {"a/*;q=0.2,*/*", "a/b", 200},
        {"*/*;q=0.3", "a/b", 300},
        {"c/d", "a/b", -1},
        {"a/b;q=0.2,a/b;q=0.4", "a/b", 400},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
        assert_int_equal(
            tars_accept_quality(tars_span_of(asked[i].accept), asked[i].type, NULL, false),
            asked[i].quality);
    }
}

int main(void)
{
    struct CMUnitTest tests[sizeof(rows) / sizeof(rows[0]) + 1];
    size_t n = 0;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        tests[n++] = (struct CMUnitTest){rows[i].name, row_holds, NULL, NULL, (void *)&rows[i]};
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(qualities);
    return _cmocka_run_group_tests("api/accept", tests, n, NULL, NULL);
}
