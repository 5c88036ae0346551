/* key: which files are keys, which is the right one, and a folder that is sealed. */
#include "world.h"

#include "backup/key.h"
#include "base/sys/file.h"

#define HEX64 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const struct tars_key_stretch quick = {.salt = "salt", .memory_kib = 8, .passes = 1};

static void test_files(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *name, *bytes;
        size_t len;
        bool is_passphrase;
        tars_status status;
    } rows[] = {
        {"32 bytes", "0123456789abcdef\n123456789abcdef", 32, false, TARS_OK},
        {"hex", HEX64, 64, false, TARS_OK},
        {"hex and a line feed", HEX64 "\n", 65, false, TARS_OK},
        {"hex and more", HEX64 "\n\n", 66, false, TARS_EINVAL},
        {"31 bytes", "0123456789abcdef0123456789abcde", 31, false, TARS_EINVAL},
        {"64 others", "zz112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", 64, false,
         TARS_EINVAL},
        {"nothing", "", 0, false, TARS_EINVAL},
        {"a passphrase", "correct horse\nbattery", 21, true, TARS_OK},
        {"a short one", "horse\nbattery", 13, true, TARS_EINVAL},
        {"none", "", 0, true, TARS_EINVAL},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[FILES_PATH_MAX];
        struct tars_key_source source = {NULL, NULL};
        struct tars_object_keys keys;
        unsigned char check[TARS_KEY_CHECK_BYTES];
        struct tars_err err = {{0}};
        tars_status status;

        files_write(world->dir, "key", rows[i].bytes, rows[i].len, path);
        assert_int_equal(chmod(path, 0600), 0);
        *(rows[i].is_passphrase ? &source.passphrase_file : &source.key_file) = path;
        status = tars_key_load(&source, &quick, &keys, check, &err);
        if (status != rows[i].status)
            fail_msg("%s: %s %s", rows[i].name, tars_status_name(status), err.text);
        if (status == TARS_OK) {
            assert_true(keys.is_set);
            assert_memory_not_equal(keys.seal, keys.name, sizeof(keys.seal));
            assert_memory_not_equal(keys.seal, check, sizeof(check));
        }
        assert_int_equal(chmod(path, 0644), 0);
        assert_int_equal(tars_key_load(&source, &quick, &keys, check, NULL), TARS_EDENIED);
    }
}

/* Salt and passphrase both count; the end of the line does not. */
static void test_stretching(void **state)
{
    struct world *world = *state;
    static const struct {
        const char *text, *salt;
        bool same;
    } rows[] = {
        {"correct horse", "salt", true},    {"correct horse\r\n", "salt", true},
        {"correct horse\nx", "salt", true}, {"correct horsf", "salt", false},
        {"correct horse", "sult", false},
    };
    unsigned char first[TARS_KEY_CHECK_BYTES];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char path[FILES_PATH_MAX];
        struct tars_key_source source = {.passphrase_file = path};
        struct tars_key_stretch stretch = {.memory_kib = 8, .passes = 1};
        struct tars_object_keys keys;
        unsigned char check[TARS_KEY_CHECK_BYTES];

        (void)snprintf((char *)stretch.salt, sizeof(stretch.salt), "%s", rows[i].salt);
        files_write(world->dir, "key", rows[i].text, strlen(rows[i].text), path);
        assert_int_equal(chmod(path, 0600), 0);
        assert_int_equal(tars_key_load(&source, &stretch, &keys, check, NULL), TARS_OK);
        if (i == 0)
            memcpy(first, check, sizeof(first));
        assert_int_equal(memcmp(first, check, sizeof(first)) == 0, rows[i].same);
    }
}

static tars_status open_with(struct world *world, const char *key, const char *passphrase,
                             bool makes, struct tars_repo **repo, struct tars_err *err)
{
    const struct tars_repo_config config = {
        .dir = world->dest,
        .key = {.key_file = key, .passphrase_file = passphrase},
        .makes = makes,
        .writes = makes,
    };

    return tars_repo_open(&config, repo, err);
}

/* Can it be read in the file of the object? */
static bool is_in_object(const struct world *world, const struct tars_object_name *name,
                         const char *needle)
{
    char hex[TARS_OBJECT_HEX_BYTES];
    char path[FILES_PATH_MAX + 128];
    struct tars_buf bytes;
    bool found;

    tars_object_hex(name, hex);
    (void)snprintf(path, sizeof(path), "%s/objects/%.2s/%s", world->dest, hex, hex);
    tars_buf_init(&bytes, TARS_OBJECT_MAX);
    assert_int_equal(tars_file_read(path, &bytes, NULL), TARS_OK);
    found = memmem(bytes.ptr, bytes.len, needle, strlen(needle)) != NULL;
    tars_buf_release(&bytes);
    return found;
}

static void test_sealed_folder(void **state)
{
    struct world *world = *state;
    char key[FILES_PATH_MAX];
    char other[FILES_PATH_MAX];
    char words[FILES_PATH_MAX];
    struct tars_repo *repo = NULL;
    struct tars_object_name name;
    struct tars_buf out;
    const struct {
        const char *name, *key, *passphrase;
        tars_status status;
        const char *words;
    } rows[] = {
        {"the key", key, NULL, TARS_OK, ""},
        {"another key", other, NULL, TARS_EDENIED, "not the key"},
        {"a passphrase", NULL, words, TARS_EDENIED, "--key-file"},
        {"none", NULL, NULL, TARS_EDENIED, "--key-file"},
        {"both", key, words, TARS_EDENIED, ""},
    };

    files_write(world->dir, "key", HEX64, 64, key);
    files_write(world->dir, "other", "f" HEX64, 64, other);
    files_write(world->dir, "words", "correct horse", 13, words);
    assert_int_equal(chmod(key, 0600) | chmod(other, 0600) | chmod(words, 0600), 0);
    assert_int_equal(open_with(world, key, NULL, true, &repo, NULL), TARS_OK);
    assert_true(tars_repo_is_sealed(repo));
    assert_int_equal(tars_repo_put(repo, tars_span_of("a plain secret"), &name, NULL), TARS_OK);
    assert_int_equal(tars_repo_flush(repo, NULL), TARS_OK);
    tars_repo_close(repo);
    assert_false(is_in_object(world, &name, "a plain secret"));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct tars_err err = {{0}};
        tars_status status = open_with(world, rows[i].key, rows[i].passphrase, false, &repo, &err);

        if (status != rows[i].status || !strstr(err.text, rows[i].words))
            fail_msg("%s: %s \"%s\"", rows[i].name, tars_status_name(status), err.text);
        if (status != TARS_OK)
            continue;
        tars_buf_init(&out, TARS_OBJECT_PLAIN_MAX);
        assert_int_equal(tars_repo_get(repo, &name, &out, NULL), TARS_OK);
        assert_true(tars_span_is(tars_buf_span(&out), "a plain secret"));
        tars_buf_release(&out);
        tars_repo_close(repo);
    }
}

static void test_not_sealed_folder(void **state)
{
    struct world *world = *state;
    char key[FILES_PATH_MAX];
    struct tars_repo *repo = NULL;
    struct tars_object_name name;
    struct tars_err err = {{0}};

    files_write(world->dir, "key", HEX64, 64, key);
    assert_int_equal(chmod(key, 0600), 0);
    repo = world_open(world, true);
    assert_int_equal(tars_repo_put(repo, tars_span_of("plain text"), &name, NULL), TARS_OK);
    assert_int_equal(tars_repo_flush(repo, NULL), TARS_OK);
    tars_repo_close(repo);
    assert_true(is_in_object(world, &name, "plain text"));
    assert_int_equal(open_with(world, key, NULL, false, &repo, &err), TARS_EDENIED);
    assert_non_null(strstr(err.text, "give no key"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_files),
        TEST(test_stretching),
        TEST(test_sealed_folder),
        TEST(test_not_sealed_folder),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
