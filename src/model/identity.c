/* identity - see identity.h for the contract. */
#include "model/identity.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem/buf.h"
#include "base/sys/file.h"

#define SIDE_NAME "weights.digest"
#define SIDE_MAX  8192 /* bytes */
#define TEXT_MAX  4096 /* bytes of what an identity is the digest of */

/* What the side file says behind the digest. The path comes last: it may hold anything. */
static void describe(const char *path, const struct stat *file, struct tars_buf *out)
{
    tars_buf_appendf(out, " %" PRIdMAX " %" PRIdMAX "%09ld %" PRIuMAX " %s\n",
                     (intmax_t)file->st_size, (intmax_t)file->st_mtim.tv_sec,
                     (long)file->st_mtim.tv_nsec, (uintmax_t)file->st_ino, path);
}

static bool is_hex(const char *text)
{
    return strspn(text, "0123456789abcdef") >= TARS_SHA256_HEX_BYTES - 1;
}

static const char head[] = "tars-weights-digest 1\n";

/* True when the side file knows this very file; its digest is in hex then. */
static bool recall(const char *side_path, const struct tars_buf *wanted, char *hex)
{
    const size_t digits = TARS_SHA256_HEX_BYTES - 1;
    struct tars_buf side;
    bool known;

    tars_buf_init(&side, SIDE_MAX);
    known = tars_file_read(side_path, &side, NULL) == TARS_OK &&
            side.len == sizeof(head) - 1 + digits + wanted->len &&
            memcmp(side.ptr, head, sizeof(head) - 1) == 0 && is_hex(side.ptr + sizeof(head) - 1) &&
            memcmp(side.ptr + sizeof(head) - 1 + digits, wanted->ptr, wanted->len) == 0;
    if (known) {
        memcpy(hex, side.ptr + sizeof(head) - 1, digits);
        hex[digits] = '\0';
    }
    tars_buf_release(&side);
    return known;
}

static void remember(const char *side_path, const struct tars_buf *about, const char *hex)
{
    struct tars_buf side;

    tars_buf_init(&side, SIDE_MAX);
    tars_buf_appendf(&side, "%s%s", head, hex);
    tars_buf_append(&side, about->ptr, about->len);
    /* Best effort: without it the next start computes the digest again. */
    if (side.status == TARS_OK && tars_file_replace(side_path, side.ptr, side.len, 0600, NULL) != 0)
        (void)unlink(side_path);
    tars_buf_release(&side);
}

tars_status tars_weights_digest(int fd, const char *path, const char *cache_dir, char *hex,
                                struct tars_err *err)
{
    struct tars_buf about;
    struct tars_buf side_path;
    struct stat file;
    tars_status status = TARS_OK;

    tars_buf_init(&about, SIDE_MAX / 2);
    tars_buf_init(&side_path, SIDE_MAX);
    if (fstat(fd, &file) != 0) {
        status = tars_fail(TARS_EIO, err, "%s: %s", path, strerror(errno));
        goto out;
    }
    if (cache_dir) {
        describe(path, &file, &about);
        tars_buf_appendf(&side_path, "%s/" SIDE_NAME, cache_dir);
    }
    if (about.status == TARS_OK && side_path.len > 0 && recall(side_path.ptr, &about, hex))
        goto out;
    status = tars_sha256_hex_fd(fd, hex);
    if (status != TARS_OK) {
        status = tars_fail(status, err, "%s: reading failed", path);
    } else if (about.status == TARS_OK && side_path.len > 0) {
        remember(side_path.ptr, &about, hex);
    }
out:
    tars_buf_release(&side_path);
    tars_buf_release(&about);
    return status;
}

bool tars_weights_recall(int fd, const char *path, const char *cache_dir, char *hex)
{
    struct tars_buf about;
    struct tars_buf side_path;
    struct stat file;
    bool known = false;

    tars_buf_init(&about, SIDE_MAX / 2);
    tars_buf_init(&side_path, SIDE_MAX);
    if (cache_dir && fstat(fd, &file) == 0) {
        describe(path, &file, &about);
        tars_buf_appendf(&side_path, "%s/" SIDE_NAME, cache_dir);
        known = about.status == TARS_OK && side_path.status == TARS_OK &&
                recall(side_path.ptr, &about, hex);
    }
    tars_buf_release(&side_path);
    tars_buf_release(&about);
    return known;
}

tars_status tars_model_identity(const struct tars_model_config *config, const char *weights_digest,
                                struct tars_span vocab, char *hex)
{
    char vocab_digest[TARS_SHA256_HEX_BYTES];
    struct tars_buf text;
    tars_status status = tars_sha256_hex(vocab.ptr, vocab.len, vocab_digest);

    if (status != TARS_OK)
        return status;
    tars_buf_init(&text, TEXT_MAX);
    /* Lengths stand before what is free text, so that no two models give the same bytes. */
    tars_buf_appendf(&text, "tars-encoder 1\nweights %s\nvocab %s\npooling %s\nmax_tokens %zu\n",
                     weights_digest, vocab_digest, tars_model_pooling_text(config->pooling),
                     config->max_tokens);
    tars_buf_appendf(&text, "cased %d\nquery %zu %s\npassage %zu %s\n", config->cased ? 1 : 0,
                     strlen(config->query_prefix), config->query_prefix,
                     strlen(config->passage_prefix), config->passage_prefix);
    status = text.status == TARS_OK ? tars_sha256_hex(text.ptr, text.len, hex) : text.status;
    tars_buf_release(&text);
    return status;
}
