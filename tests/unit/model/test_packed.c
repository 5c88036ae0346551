/* Weights kept as packed: the same vectors with them and without, and damage refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model/encoder.h"
#include "model/linear.h"
#include "model/packed.h"
#include "support/faults.h"
#include "support/files.h"
#include "tiny_model.h"

#define LABEL    "a label"
#define BODY     1000
#define FILE_MAX 262144
#define TEXTS    3
#define FLOATS   (TEXTS * TINY_HIDDEN)

static struct tiny_model tiny;
static char dir[FILES_PATH_MAX];
static bool has_gemm8; /* whether int8 is computed by gemm8 here */

static int make_folder(void **state)
{
    (void)state;
    files_make_dir(dir);
    tiny_make(&tiny);
    tiny_write(&tiny, dir);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    files_remove_dir(dir);
    return 0;
}

static void path_of(char *path)
{
    (void)snprintf(path, FILES_PATH_MAX + 32, "%s/" TARS_PACKED_NAME, dir);
}

/* The bytes of the file; 0 when it is not there. */
static size_t read_kept(char *out)
{
    char path[FILES_PATH_MAX + 32];
    FILE *file;
    size_t len;

    path_of(path);
    file = fopen(path, "rb");
    if (!file)
        return 0;
    len = fread(out, 1, FILE_MAX, file);
    (void)fclose(file);
    assert_true(len < FILE_MAX);
    return len;
}

static void write_kept(const char *bytes, size_t len)
{
    char path[FILES_PATH_MAX];

    files_write(dir, TARS_PACKED_NAME, bytes, len, path);
}

static void forget_kept(void)
{
    char path[FILES_PATH_MAX + 32];

    path_of(path);
    (void)unlink(path);
}

static void forget_digest(void)
{
    char path[FILES_PATH_MAX + 32];

    (void)snprintf(path, sizeof(path), "%s/weights.digest", dir);
    assert_int_equal(unlink(path), 0);
}

/* ------------------------------------------------------------------- the file */

/* A body, filled and kept in folder; whether it was written. */
static bool keep(const char *folder, const char *label)
{
    struct tars_packed packed = {0};
    char *body = NULL;
    bool kept;

    assert_int_equal(tars_packed_new(BODY, &packed, &body), TARS_OK);
    assert_ptr_equal(packed.body, body);
    assert_int_equal((uintptr_t)body % TARS_LINEAR_ALIGN, 0);
    for (size_t i = 0; i < BODY; i++) {
        assert_int_equal(body[i], 0);
        body[i] = (char)(i * 7);
    }
    kept = tars_packed_keep(folder, label, &packed);
    tars_packed_release(&packed);
    assert_null(packed.body);
    tars_packed_release(&packed);
    return kept;
}

static bool is_found(const char *folder, const char *label, size_t len)
{
    struct tars_packed packed = {0};
    bool found = tars_packed_find(folder, label, len, &packed);

    if (!found) {
        assert_null(packed.body);
        return false;
    }
    assert_int_equal(packed.len, len);
    assert_int_equal((uintptr_t)packed.body % TARS_LINEAR_ALIGN, 0);
    for (size_t i = 0; i < len; i++)
        assert_int_equal(packed.body[i], (char)(i * 7));
    assert_false(tars_packed_keep(folder, label, &packed)); /* it is kept already */
    tars_packed_release(&packed);
    return true;
}

static void what_is_kept_is_found(void **state)
{
    (void)state;
    struct stat info;
    char path[FILES_PATH_MAX + 32];

    assert_false(is_found(dir, LABEL, BODY));
    assert_false(tars_packed_may_be_kept(dir, BODY));
    assert_true(keep(dir, LABEL));
    assert_true(tars_packed_may_be_kept(dir, BODY));
    assert_false(tars_packed_may_be_kept(dir, BODY + 1));
    assert_true(is_found(dir, LABEL, BODY));
    assert_false(is_found(dir, "another", BODY));
    assert_false(is_found(dir, "a labe", BODY));
    assert_false(is_found(dir, LABEL, BODY - 1));
    assert_false(is_found(dir, LABEL, BODY + 1));
    assert_false(is_found(dir, LABEL, 0));
    path_of(path);
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(info.st_size, TARS_PACKED_HEAD + BODY);
    assert_true(keep(dir, "another"));
    assert_false(is_found(dir, LABEL, BODY));
    assert_true(is_found(dir, "another", BODY));
}

static void damage_is_refused(void **state)
{
    (void)state;
    static char bytes[FILE_MAX];
    size_t len;

    assert_true(keep(dir, LABEL));
    len = read_kept(bytes);
    assert_int_equal(len, TARS_PACKED_HEAD + BODY);
    for (size_t i = 0; i < len; i += i < TARS_PACKED_HEAD ? 1 : 37) {
        bytes[i] ^= 4;
        write_kept(bytes, len);
        assert_false(is_found(dir, LABEL, BODY));
        bytes[i] ^= 4;
    }
    for (size_t cut = 0; cut < len; cut += cut < TARS_PACKED_HEAD ? 16 : 97) {
        write_kept(bytes, cut);
        assert_false(is_found(dir, LABEL, BODY));
        assert_false(is_found(dir, LABEL, cut < TARS_PACKED_HEAD ? 0 : cut - TARS_PACKED_HEAD));
    }
    write_kept(bytes, len + 1);
    assert_false(is_found(dir, LABEL, BODY));
    write_kept(bytes, len);
    assert_true(is_found(dir, LABEL, BODY));
}

static void useless_folders_do_no_harm(void **state)
{
    (void)state;
    static char longest[8192];
    char path[FILES_PATH_MAX + 32];
    char label[TARS_PACKED_LABEL_MAX + 1];
    const char *const folders[] = {NULL, "/nonexistent/folder", path, longest};

    memset(longest, 'x', sizeof(longest) - 1);
    path_of(path);
    assert_true(keep(dir, LABEL)); /* so that path names a file */
    for (size_t i = 0; i < sizeof(folders) / sizeof(folders[0]); i++) {
        assert_false(keep(folders[i], LABEL));
        assert_false(is_found(folders[i], LABEL, BODY));
    }
    memset(label, 'l', sizeof(label) - 1);
    label[sizeof(label) - 1] = '\0';
    assert_false(keep(dir, label));
    assert_false(is_found(dir, label, BODY));
    forget_kept();
    assert_int_equal(mkdir(path, 0700), 0); /* a folder where the file should be */
    assert_false(keep(dir, LABEL));
    assert_false(is_found(dir, LABEL, BODY));
    assert_int_equal(rmdir(path), 0);
}

/* ----------------------------------------------------------------- the encoder */

static tars_status embed(const char *cache_dir, enum tars_encoder_precision precision, float *out)
{
    static const char *const words[TEXTS] = {"the cat sat on the mat .", "a", "query : mats"};
    const struct tars_encoder_config config = {
        .dir = dir, .precision = precision, .cache_dir = cache_dir};
    struct tars_encoder *encoder = NULL;
    struct tars_span texts[TEXTS];
    tars_status status = tars_encoder_open(&config, &encoder, NULL);

    for (size_t i = 0; i < TEXTS; i++)
        texts[i] = tars_span_of(words[i]);
    if (status == TARS_OK) {
        has_gemm8 = strcmp(tars_encoder_info(encoder)->implementation, "gemm8:avx2") == 0;
        status = tars_encoder_embed(encoder, TARS_EMBED_PASSAGE, texts, TEXTS, out, NULL);
    }
    tars_encoder_close(encoder);
    return status;
}

static void check_embed(const char *cache_dir, const float *wanted)
{
    float out[FLOATS];

    assert_int_equal(embed(cache_dir, TARS_ENCODER_INT8, out), TARS_OK);
    assert_memory_equal(out, wanted, sizeof(out));
}

/* The file's inode: another one when it was written anew. */
static ino_t kept_inode(void)
{
    char path[FILES_PATH_MAX + 32];
    struct stat info;

    path_of(path);
    return stat(path, &info) == 0 ? info.st_ino : 0;
}

static void vectors_are_the_same_bit_by_bit(void **state)
{
    (void)state;
    static char first[FILE_MAX];
    static char then[FILE_MAX];
    float wanted[FLOATS];
    size_t len;
    ino_t inode;

    assert_int_equal(embed(NULL, TARS_ENCODER_INT8, wanted), TARS_OK);
    assert_int_equal(read_kept(first), 0);
    check_embed(dir, wanted);
    if (!has_gemm8) {
        assert_int_equal(read_kept(first), 0);
        print_message("  gemm8 is not used here: nothing is kept\n");
        return;
    }
    len = read_kept(first);
    inode = kept_inode();
    assert_true(len > TARS_PACKED_HEAD);
    check_embed(dir, wanted);
    assert_int_equal(kept_inode(), inode); /* it was believed */
    /* And is where the digest has to be computed anew. */
    forget_digest();
    check_embed(dir, wanted);
    assert_int_equal(kept_inode(), inode);
    /* Damaged: refused, and made as it was. */
    first[len - 200] ^= 1;
    write_kept(first, len);
    check_embed(dir, wanted);
    first[len - 200] ^= 1;
    assert_int_equal(read_kept(then), len);
    assert_memory_equal(first, then, len);
    check_embed("/nonexistent/folder", wanted);
}

static void what_is_kept_is_what_is_used(void **state)
{
    (void)state;
    static char bytes[FILE_MAX];
    struct tars_packed packed = {0};
    char label[TARS_PACKED_LABEL_MAX] = "";
    float wanted[FLOATS];
    float out[FLOATS];
    char *body = NULL;
    size_t len;
    int got;

    assert_int_equal(embed(dir, TARS_ENCODER_INT8, wanted), TARS_OK);
    if (!has_gemm8)
        return;
    /* Zeros under the same label make other vectors. */
    len = read_kept(bytes);
    got = sscanf(bytes, "tars-packed-weights 1 %127[^\n]", label);
    assert_int_equal(got, 1);
    *strrchr(label, ' ') = '\0';
    *strrchr(label, ' ') = '\0';
    assert_int_equal(tars_packed_new(len - TARS_PACKED_HEAD, &packed, &body), TARS_OK);
    assert_true(tars_packed_keep(dir, label, &packed));
    tars_packed_release(&packed);
    assert_int_equal(embed(dir, TARS_ENCODER_INT8, out), TARS_OK);
    assert_memory_not_equal(out, wanted, sizeof(out));
}

static void other_weights_are_packed_anew(void **state)
{
    (void)state;
    float wanted[FLOATS];
    float other[FLOATS];

    assert_int_equal(embed(dir, TARS_ENCODER_INT8, wanted), TARS_OK);
    for (size_t i = 0; i < tiny.used; i++)
        tiny.floats[i] = -tiny.floats[i];
    tiny_write(&tiny, dir);
    assert_int_equal(embed(NULL, TARS_ENCODER_INT8, other), TARS_OK);
    assert_memory_not_equal(other, wanted, sizeof(other));
    check_embed(dir, other);
    check_embed(dir, other);
}

static void fp32_keeps_nothing(void **state)
{
    (void)state;
    static char bytes[FILE_MAX];
    float out[FLOATS];

    assert_int_equal(embed(dir, TARS_ENCODER_FP32, out), TARS_OK);
    assert_int_equal(read_kept(bytes), 0);
}

static void embed_or_fail(void *ctx)
{
    float out[FLOATS];
    tars_status status = embed(dir, TARS_ENCODER_INT8, out);

    assert_true(status == TARS_OK || faults_happened());
    if (status == TARS_OK)
        assert_memory_equal(out, ctx, sizeof(out));
}

static void embed_anew_or_fail(void *ctx)
{
    forget_kept();
    embed_or_fail(ctx);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    float wanted[FLOATS];

    assert_int_equal(embed(NULL, TARS_ENCODER_INT8, wanted), TARS_OK);
    assert_true(faults_each(embed_anew_or_fail, wanted) > 20);
    assert_true(faults_each(embed_or_fail, wanted) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_kept_is_found, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(damage_is_refused, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(useless_folders_do_no_harm, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(vectors_are_the_same_bit_by_bit, make_folder,
                                        remove_folder),
        cmocka_unit_test_setup_teardown(what_is_kept_is_what_is_used, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(other_weights_are_packed_anew, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(fp32_keeps_nothing, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(every_allocation_may_fail, make_folder, remove_folder),
    };

    /* A processor with VNNI takes the road of one without, too. */
    (void)setenv("DNNL_MAX_CPU_ISA", "AVX2", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
