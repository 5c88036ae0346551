/* Unit tests of extract/client, with the real tars-extract and with children that misbehave. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem/buf.h"
#include "base/sys/clock.h"
#include "extract/client.h"
#include "support/faults.h"
#include "support/files.h"

#define PROGRAM TARS_BINARY_DIR "/tars-extract"

/* What each() saw. */
struct seen {
    size_t documents;
    struct tars_buf text;
    char id[64];
    char title[64];
    char metadata[256];
    tars_status answer; /* to give */
};

static tars_status each(void *ctx, const struct tars_document *document, struct tars_err *err)
{
    struct seen *seen = ctx;

    seen->documents++;
    for (size_t i = 0; i < document->block_count; i++) {
        tars_buf_append(&seen->text, document->blocks[i].text, document->blocks[i].text_len);
        tars_buf_append_char(&seen->text, '\n');
    }
    (void)snprintf(seen->id, sizeof(seen->id), "%s",
                   document->external_id ? document->external_id : "(none)");
    (void)snprintf(seen->title, sizeof(seen->title), "%s", document->title);
    (void)snprintf(seen->metadata, sizeof(seen->metadata), "%s",
                   document->metadata_json ? document->metadata_json : "(none)");
    if (seen->answer != TARS_OK)
        return tars_fail(seen->answer, err, "stopped");
    return TARS_OK;
}

struct run {
    struct tars_extract_config config;
    struct tars_extract_outcome outcome;
    struct tars_err err;
    struct seen seen;
    atomic_bool cancelled;
};

static void run_init(struct run *run)
{
    memset(run, 0, sizeof(*run));
    run->config.program = PROGRAM;
    tars_buf_init(&run->seen.text, 1 << 20);
}

/* Extract (bytes, len) under a name. */
static tars_status extract(struct run *run, const char *name, const void *bytes, size_t len)
{
    struct tars_extract *client = NULL;
    char dir[FILES_PATH_MAX];
    char path[FILES_PATH_MAX];
    tars_status status;
    int fd;

    files_make_dir(dir);
    files_write(dir, "file", bytes, len, path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(tars_extract_open(&run->config, &client, &run->err), TARS_OK);
    status = tars_extract_file(client, fd, name, &run->cancelled, each, &run->seen, &run->outcome,
                               &run->err);
    tars_extract_close(client);
    (void)close(fd);
    files_remove_dir(dir);
    return status;
}

static void documents_come_in_order(void **state)
{
    static const char lines[] = "{\"_id\":\"a\",\"title\":\"A\",\"text\":\"one\"}\n"
                                "not json\n"
                                "{\"id\":7,\"title\":\"B\",\"text\":\"two\",\"year\":1999}\n";
    struct run run;

    (void)state;
    run_init(&run);
    assert_int_equal(extract(&run, "c.jsonl", lines, sizeof(lines) - 1), TARS_OK);
    assert_int_equal(run.seen.documents, 2);
    assert_string_equal(run.seen.text.ptr, "one\ntwo\n");
    assert_string_equal(run.seen.id, "7");
    assert_string_equal(run.seen.title, "B");
    assert_string_equal(run.seen.metadata, "{\"year\":1999}");
    assert_int_equal(run.outcome.documents, 2);
    assert_int_equal(run.outcome.errors, 1);
    assert_non_null(strstr(run.outcome.first_error, "line 2"));
    assert_string_equal(run.outcome.format, "jsonl");
    assert_true(run.outcome.child_peak_bytes > 0);
    tars_buf_release(&run.seen.text);
}

static void each_failure_has_words(void **state)
{
    static const struct {
        const char *name;
        const char *bytes;
        size_t len;
        tars_status want;
        const char *words;
    } rows[] = {
        {"empty.txt", "", 0, TARS_ENOTEXT, "empty"},
        {"blank.txt", " \n \n", 4, TARS_ENOTEXT, "no text"},
        {"bad.pdf", "%PDF-1.4 and no more", 20, TARS_EFORMAT, "damaged"},
        {"bad.docx", "PK\3\4 and no more", 16, TARS_EFORMAT, "damaged"},
        {"picture.png", "\x89PNG\r\n\x1A\n\0\0\0\0", 12, TARS_EUNSUPPORTED, "picture"},
        {"x.docx",
         "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1 E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e\0", 41,
         TARS_EPASSWORD, "password"},
        {"x.doc", "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1        ", 16, TARS_EUNSUPPORTED, "old"},
        {"lines.jsonl", "1\n2\n", 4, TARS_ENOTEXT, "nothing"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct run run;
        tars_status status;

        run_init(&run);
        status = extract(&run, rows[i].name, rows[i].bytes, rows[i].len);
        if (status != rows[i].want || !strstr(run.err.text, rows[i].words) ||
            !strstr(run.err.text, rows[i].name)) {
            fail_msg("%s: %s: %s", rows[i].name, tars_status_text(status), run.err.text);
        }
        assert_int_equal(run.seen.documents, 0);
        tars_buf_release(&run.seen.text);
    }
}

static void the_caller_can_stop(void **state)
{
    struct run run;

    (void)state;
    run_init(&run);
    run.seen.answer = TARS_EBUSY;
    assert_int_equal(extract(&run, "a.txt", "text", 4), TARS_EBUSY);
    assert_string_equal(run.err.text, "stopped");
    assert_int_equal(run.outcome.documents, 0);
    tars_buf_release(&run.seen.text);
    run_init(&run);
    atomic_store(&run.cancelled, true);
    assert_int_equal(extract(&run, "a.txt", "text", 4), TARS_ECANCELED);
    tars_buf_release(&run.seen.text);
}

static void ceilings_hold(void **state)
{
    static const char lines[] = "{\"text\":\"one\"}\n{\"text\":\"two\"}\n{\"text\":\"three\"}\n";
    struct run run;

    (void)state;
    run_init(&run);
    run.config.max_documents = 2;
    assert_int_equal(extract(&run, "c.jsonl", lines, sizeof(lines) - 1), TARS_ETOOBIG);
    assert_int_equal(run.outcome.documents, 2);
    tars_buf_release(&run.seen.text);
    run_init(&run);
    run.config.max_document_bytes = 8;
    assert_int_equal(extract(&run, "a.txt", "more than eight bytes", 21), TARS_ETOOBIG);
    tars_buf_release(&run.seen.text);
}

/* A child that is a shell script. */
static tars_status extract_with_script(struct run *run, const char *script, int64_t timeout_ms)
{
    static char program[FILES_PATH_MAX];
    char dir[FILES_PATH_MAX];
    char text[2048];
    tars_status status;
    int len = snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", script);

    files_make_dir(dir);
    files_write(dir, "child", text, (size_t)len, program);
    assert_int_equal(chmod(program, 0700), 0);
    run_init(run);
    run->config.program = program;
    run->config.timeout_ms = timeout_ms;
    status = extract(run, "a.txt", "text", 4);
    files_remove_dir(dir);
    return status;
}

#define GREETING "printf 'TARSX01\\n';"

static void a_hostile_child_is_seen_through(void **state)
{
    static const struct {
        const char *name;
        const char *script;
        tars_status want;
        const char *words;
    } rows[] = {
        {"silent", "exit 0", TARS_EFORMAT, "without a word"},
        {"hanging", "exec sleep 60", TARS_ETIMEOUT, "longer than"},
        {"another program", "echo hello world", TARS_EFORMAT, "another version"},
        {"nonsense", GREETING "echo nonsense", TARS_EFORMAT, "broken frame"},
        {"endless length", GREETING "printf '\\377\\377\\377\\377B'", TARS_EFORMAT, "broken"},
        {"document without blocks",
         GREETING "printf '\\025\\0\\0\\0D'; head -c 21 /dev/zero; sleep 5", TARS_EFORMAT,
         "without text"},
        {"cut frame", GREETING "printf '\\007\\0\\0\\0B\\001'", TARS_EFORMAT, "without a word"},
        {"says ok, gives nothing", GREETING "printf '\\030\\0\\0\\0E'; head -c 24 /dev/zero",
         TARS_ENOTEXT, "no text"},
        {"talks after the end",
         GREETING "printf '\\030\\0\\0\\0E'; head -c 24 /dev/zero; printf '\\007\\0\\0\\0B\\001"
                  "\\0\\0\\0\\0\\0a'",
         TARS_EFORMAT, "after the last"},
        {"crashing", "kill -SEGV $$", TARS_EFORMAT, "crashed"},
        {"out of time", "kill -XCPU $$", TARS_ETIMEOUT, "processor"},
        {"killed", "kill -KILL $$", TARS_ETOOBIG, "memory"},
        {"filtered", "kill -SYS $$", TARS_EFORMAT, "attack"},
        {"floods", GREETING "while :; do printf '\\007\\0\\0\\0B\\001\\0\\0\\0\\0\\0a'; done",
         TARS_ETIMEOUT, "longer than"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct run run;
        int64_t began = tars_clock_mono_ms();
        /* Where its end is not awaited it has time, on a busy machine too. */
        bool is_too_long = strcmp(rows[i].words, "longer than") == 0;
        tars_status status = extract_with_script(&run, rows[i].script, is_too_long ? 400 : 60000);

        if (status != rows[i].want || !strstr(run.err.text, rows[i].words)) {
            fail_msg("%s: %s: %s", rows[i].name, tars_status_text(status), run.err.text);
        }
        assert_true(tars_clock_mono_ms() - began < 30000);
        tars_buf_release(&run.seen.text);
    }
}

static void a_missing_program_is_told_at_open(void **state)
{
    struct tars_extract_config config = {.program = "/nowhere/tars-extract"};
    struct tars_extract *client = NULL;
    struct tars_err err = {{0}};

    (void)state;
    assert_int_equal(tars_extract_open(&config, &client, &err), TARS_EUNAVAILABLE);
    assert_non_null(strstr(err.text, "/nowhere/tars-extract"));
    assert_null(client);
    tars_extract_close(NULL);
    /* Test programs lie beside it, as tars does. */
    config.program = NULL;
    assert_int_equal(tars_extract_open(&config, &client, &err), TARS_OK);
    tars_extract_close(client);
}

static void names_are_known(void **state)
{
    (void)state;
    assert_true(tars_extract_supports("a.PDF"));
    assert_true(tars_extract_supports("/x/corpus.jsonl.gz"));
    assert_true(tars_extract_supports("b.rst"));
    assert_false(tars_extract_supports("pdf"));
    assert_false(tars_extract_supports("a.png"));
    assert_false(tars_extract_supports("a.gz"));
    assert_false(tars_extract_supports(""));
}

static void fails_cleanly_body(void *ctx)
{
    struct tars_extract_config config = {.program = PROGRAM};
    struct tars_extract *client = NULL;
    struct seen seen = {0};
    struct tars_err err;
    int fd = *(const int *)ctx;
    tars_status status = tars_extract_open(&config, &client, &err);

    tars_buf_init(&seen.text, 1000);
    if (status == TARS_OK)
        status = tars_extract_file(client, fd, "a.txt", NULL, each, &seen, NULL, &err);
    assert_true(status == TARS_OK || status == TARS_ENOMEM || status == TARS_EUNAVAILABLE);
    tars_extract_close(client);
    tars_buf_release(&seen.text);
}

static void survives_failing_allocations(void **state)
{
    char dir[FILES_PATH_MAX];
    char path[FILES_PATH_MAX];
    int fd;

    (void)state;
    files_make_dir(dir);
    files_write(dir, "a.txt", "text", 4, path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(faults_each(fails_cleanly_body, &fd) > 0);
    (void)close(fd);
    files_remove_dir(dir);
}

/* Returns its argument when all went well. */
static void *extract_in_thread(void *ctx)
{
    struct tars_extract *client = ctx;
    char path[] = "/tmp/tars-client-XXXXXX";
    int fd = mkstemp(path);
    int bad = fd < 0;

    (void)unlink(path);
    bad += write(fd, "some text", 9) != 9;
    for (int i = 0; i < 10; i++) {
        struct seen seen = {0};
        tars_status status;

        tars_buf_init(&seen.text, 1000);
        status = tars_extract_file(client, fd, "a.txt", NULL, each, &seen, NULL, NULL);
        bad += status != TARS_OK || strcmp(seen.text.ptr, "some text\n") != 0;
        tars_buf_release(&seen.text);
    }
    (void)close(fd);
    return bad ? NULL : ctx;
}

static void threads_share_a_client(void **state)
{
    struct tars_extract_config config = {.program = PROGRAM};
    struct tars_extract *client = NULL;
    pthread_t threads[4];

    (void)state;
    assert_int_equal(tars_extract_open(&config, &client, NULL), TARS_OK);
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, extract_in_thread, client), 0);
    for (int i = 0; i < 4; i++) {
        void *good = NULL;

        assert_int_equal(pthread_join(threads[i], &good), 0);
        assert_ptr_equal(good, client);
    }
    tars_extract_close(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_come_in_order),
        cmocka_unit_test(each_failure_has_words),
        cmocka_unit_test(the_caller_can_stop),
        cmocka_unit_test(ceilings_hold),
        cmocka_unit_test(a_hostile_child_is_seen_through),
        cmocka_unit_test(a_missing_program_is_told_at_open),
        cmocka_unit_test(names_are_known),
        cmocka_unit_test(survives_failing_allocations),
        cmocka_unit_test(threads_share_a_client),
    };

    return cmocka_run_group_tests_name("extract/client", tests, NULL, NULL);
}
