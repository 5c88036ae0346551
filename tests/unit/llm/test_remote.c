/* Unit tests of llm/remote: which server an address names, for traces. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "llm/remote.h"

struct place {
    const char *name; /* and the address */
    const char *host;
    int port;
};

static const struct place places[] = {
    {"http://ollama:11434", "ollama", 11434},
    {"http://ollama", "ollama", 80},
    {"https://models.example/v1", "models.example", 443},
    {"https://models.example:8443/v1:2", "models.example", 8443},
    {"http://user:secret@host:1234/v1", "host", 1234},
    {"http://[::1]:8080/v1", "[::1]", 8080},
    {"http://[::1]", "[::1]", 80},
    {"http://host:99999", "host", 80},
    {"http://host:", "host", 80},
    {"http://", "", 80},
    {"http://a-name-that-is-longer-than-its-room", "a-name-that-is-", 80},
};

static void place_is_found(void **state)
{
    const struct place *place = *state;
    char host[16];
    int port = -1;

    tars_remote_place(place->name, host, sizeof(host), &port);
    assert_string_equal(host, place->host);
    assert_int_equal(port, place->port);
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

int main(void)
{
    struct CMUnitTest tests[COUNT(places)];

    for (size_t i = 0; i < COUNT(places); i++) {
        tests[i] = (struct CMUnitTest){.name = places[i].name,
                                       .test_func = place_is_found,
                                       .initial_state = (void *)&places[i]};
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
