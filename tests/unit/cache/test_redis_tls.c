/* Redis behind TLS: certificates are checked, in both directions, and failures are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sys/clock.h"
#include "cache/cache_redis.h"
#include "support/redis.h"

#define MIB     ((size_t)1 << 20)
#define LONG_MS 20000

static char dir[FILES_PATH_MAX];
static struct redis server;   /* wants no certificate of clients */
static struct redis strict;   /* wants one */
static struct redis in_clear; /* knows no TLS */

/* The path of a file of dir; a few are lent at a time. */
static const char *at(const char *name)
{
    static char paths[8][FILES_PATH_MAX + 64];
    static int turn;

    turn = (turn + 1) % 8;
    (void)snprintf(paths[turn], sizeof(paths[turn]), "%s/%s", dir, name);
    return paths[turn];
}

static void openssl(const char *const *words)
{
    static char out[PROCESS_OUTPUT_MAX];
    const char *argv[32] = {"openssl"};

    for (size_t i = 0; i < 30 && words[i]; i++)
        argv[i + 1] = words[i];
    if (process_run(argv, out) != 0)
        fail_msg("openssl %s fails", words[0]);
}
#define OPENSSL(...) openssl((const char *const[]){__VA_ARGS__, NULL})

static void make_authority(const char *key, const char *cert)
{
    OPENSSL("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-days", "2", "-subj", "/CN=authority", "-keyout", at(key), "-out", at(cert));
}

/* A certificate for name, which is "IP:..." or "DNS:...", signed by the authority. */
static void make_cert(const char *key, const char *cert, const char *name)
{
    char extension[128];
    char path[FILES_PATH_MAX];
    int len = snprintf(extension, sizeof(extension), "subjectAltName=%s\n", name);

    files_write(dir, "extension", extension, (size_t)len, path);
    OPENSSL("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
            "/CN=tars", "-keyout", at(key), "-out", at("request"));
    OPENSSL("x509", "-req", "-in", at("request"), "-CA", at("ca.pem"), "-CAkey", at("ca.key"),
            "-CAcreateserial", "-days", "2", "-extfile", path, "-out", at(cert));
}

static void start_server(struct redis *redis, const char *auth_clients)
{
    static char cert[FILES_PATH_MAX + 64];
    static char key[FILES_PATH_MAX + 64];
    static char ca[FILES_PATH_MAX + 64];

    (void)snprintf(cert, sizeof(cert), "%s/server.pem", dir);
    (void)snprintf(key, sizeof(key), "%s/server.key", dir);
    (void)snprintf(ca, sizeof(ca), "%s/ca.pem", dir);
    redis_start(redis, (const char *const[]){"--tls-cert-file", cert, "--tls-key-file", key,
                                             "--tls-ca-cert-file", ca, "--tls-auth-clients",
                                             auth_clients, NULL});
}

static struct tars_cache_redis_config config_of(const struct redis *redis)
{
    return (struct tars_cache_redis_config){.host = "127.0.0.1",
                                            .port = redis->port,
                                            .timeout_ms = LONG_MS,
                                            .tls = true,
                                            .tls_ca = at("ca.pem")};
}

static struct tars_cache *open_config(const struct tars_cache_redis_config *config)
{
    struct tars_cache *cache = NULL;
    struct tars_err err = {""};

    if (tars_cache_redis_open(config, &cache, &err) != TARS_OK ||
        tars_cache_redis_wait(cache, LONG_MS, &err) != TARS_OK)
        fail_msg("%s", err.text);
    return cache;
}

/* Waits until another one finds a value there. */
static void await(const struct tars_cache_redis_config *config, struct tars_arena *arena, char key)
{
    int64_t until_ms = tars_clock_mono_ms() + LONG_MS;
    struct tars_cache *other = open_config(config);
    struct tars_span value;

    while (tars_cache_get(other, TARS_CACHE_RESULT, tars_span(&key, 1), arena, &value) != TARS_OK) {
        assert_true(tars_clock_mono_ms() < until_ms);
        (void)usleep(1000);
    }
    tars_cache_free(other);
}

static void values_pass(void **state)
{
    struct tars_cache_redis_config config = config_of(&server);
    static char large[1 << 20];
    struct tars_arena arena;
    struct tars_span value;
    struct tars_cache *cache = open_config(&config);

    (void)state;
    for (size_t i = 0; i < sizeof(large); i++)
        large[i] = (char)(i * 7);
    for (int i = 0; i < 8; i++) {
        char key = (char)('a' + i);

        tars_cache_set(cache, TARS_CACHE_RESULT, tars_span(&key, 1),
                       tars_span(large, sizeof(large)));
    }
    tars_arena_init(&arena, 32 * MIB);
    await(&config, &arena, 'h'); /* the last; _free() waits half a second for it, at most */
    tars_cache_free(cache);
    cache = open_config(&config);
    for (int i = 0; i < 8; i++) {
        char key = (char)('a' + i);

        assert_int_equal(
            tars_cache_get(cache, TARS_CACHE_RESULT, tars_span(&key, 1), &arena, &value), TARS_OK);
        assert_true(tars_span_equal(value, tars_span(large, sizeof(large))));
    }
    assert_int_equal(tars_cache_clear(cache, TARS_CACHE_RESULT), 8);
    tars_arena_release(&arena);
    tars_cache_free(cache);
}

static void certificates_are_checked(void **state)
{
    static const struct {
        const char *name;
        const struct redis *redis;
        const char *host, *ca, *cert, *key, *words;
        bool in_clear;
    } rows[] = {
        {"right", &server, "127.0.0.1", "ca.pem", NULL, NULL, NULL, false},
        {"right, with one of ours", &strict, "127.0.0.1", "ca.pem", "client.pem", "client.key",
         NULL, false},
        {"made out to another", &server, "localhost", "ca.pem", NULL, NULL, "mismatch", false},
        {"of another authority", &server, "127.0.0.1", "other.pem", NULL, NULL, "certificate",
         false},
        {"of none that the system knows", &server, "127.0.0.1", NULL, NULL, NULL, "certificate",
         false},
        {"none of ours, though one is wanted", &strict, "127.0.0.1", "ca.pem", NULL, NULL,
         "does it want a certificate?", false},
        {"TLS with a server that has none", &in_clear, "127.0.0.1", "ca.pem", NULL, NULL, "TLS",
         false},
        {"none with a server that has TLS", &server, "127.0.0.1", NULL, NULL, NULL,
         "does it want TLS?", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_cache_redis_config config = config_of(rows[i].redis);
        int64_t until_ms = tars_clock_mono_ms() + LONG_MS;
        struct tars_cache *cache = NULL;
        struct tars_err err = {""};
        tars_status status;

        print_message("  %s\n", rows[i].name);
        config.host = rows[i].host;
        config.tls = !rows[i].in_clear;
        config.tls_ca = rows[i].ca ? at(rows[i].ca) : NULL;
        config.tls_cert = rows[i].cert ? at(rows[i].cert) : NULL;
        config.tls_key = rows[i].key ? at(rows[i].key) : NULL;
        assert_int_equal(tars_cache_redis_open(&config, &cache, &err), TARS_OK);
        do {
            status = tars_cache_redis_wait(cache, 50, &err);
        } while (status != TARS_OK && tars_clock_mono_ms() < until_ms &&
                 !(rows[i].words && strstr(err.text, rows[i].words)));
        if (rows[i].words) {
            print_message("    %s\n", err.text);
            assert_int_equal(status, TARS_EUNAVAILABLE);
            assert_non_null(strstr(err.text, rows[i].words));
        } else {
            assert_int_equal(status, TARS_OK);
        }
        tars_cache_free(cache);
    }
}

static void files_are_checked_at_the_start(void **state)
{
    static const struct {
        const char *name, *ca, *cert, *key, *words;
    } rows[] = {
        {"no authorities", "missing.pem", NULL, NULL, "missing.pem"},
        {"authorities that are a key", "ca.key", NULL, NULL, "ca.key"},
        {"no certificate", "ca.pem", "missing.pem", "client.key", "no such file"},
        {"the key of another", "ca.pem", "client.pem", "server.key", "server.key"},
        {"no key", "ca.pem", "client.pem", NULL, "needed together"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_cache_redis_config config = config_of(&server);
        struct tars_cache *cache = NULL;
        struct tars_err err = {""};

        print_message("  %s\n", rows[i].name);
        config.tls_ca = at(rows[i].ca);
        config.tls_cert = rows[i].cert ? at(rows[i].cert) : NULL;
        config.tls_key = rows[i].key ? at(rows[i].key) : NULL;
        assert_true(tars_cache_redis_open(&config, &cache, &err) != TARS_OK);
        assert_non_null(strstr(err.text, rows[i].words));
    }
}

static void a_killed_server_is_found_again(void **state)
{
    struct tars_cache_redis_config config = config_of(&server);
    int64_t until_ms = tars_clock_mono_ms() + LONG_MS;
    struct tars_arena arena;
    struct tars_span value;
    struct tars_cache *cache;
    tars_status status;

    (void)state;
    config.timeout_ms = 500;
    cache = open_config(&config);
    tars_arena_init(&arena, MIB);
    redis_restart(&server);
    do {
        status = cache->ops->get(cache, TARS_CACHE_RESULT, tars_span_of("none"), &arena, &value);
    } while (status != TARS_ENOTFOUND && tars_clock_mono_ms() < until_ms);
    assert_int_equal(status, TARS_ENOTFOUND);
    tars_arena_release(&arena);
    tars_cache_free(cache);
}

static int start(void **state)
{
    (void)state;
    files_make_dir(dir);
    make_authority("ca.key", "ca.pem");
    make_authority("other.key", "other.pem");
    make_cert("server.key", "server.pem", "IP:127.0.0.1");
    make_cert("client.key", "client.pem", "DNS:client");
    start_server(&server, "no");
    start_server(&strict, "yes");
    redis_start(&in_clear, NULL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    redis_stop(&server);
    redis_stop(&strict);
    redis_stop(&in_clear);
    files_remove_dir(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_pass),
        cmocka_unit_test(certificates_are_checked),
        cmocka_unit_test(files_are_checked_at_the_start),
        cmocka_unit_test(a_killed_server_is_found_again),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
