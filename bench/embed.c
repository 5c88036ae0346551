/* bench/embed - vectors of texts, for the measurements of the index.
 *
 *     embed MODEL_FOLDER query|passage TEXTS MAX_TOKENS
 *
 * TEXTS holds a text a line. Writes float (lines, dim) to stdout. One thread, fp32.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem/buf.h"
#include "base/sys/file.h"
#include "model/encoder.h"

#define CALL     256 /* texts in one call of the encoder */
#define FILE_MAX ((size_t)256 << 20U)

static void must(tars_status status, const char *what, const struct tars_err *err)
{
    if (status == TARS_OK)
        return;
    (void)fprintf(stderr, "%s: %s %s\n", what, tars_status_text(status), err ? err->text : "");
    exit(EXIT_FAILURE);
}

static void embed(struct tars_encoder *encoder, enum tars_embed_kind kind,
                  const struct tars_span *texts, size_t n)
{
    size_t dim = tars_encoder_info(encoder)->dim;
    float *out = malloc(n * dim * sizeof(*out));
    struct tars_err err = {""};

    must(out ? TARS_OK : TARS_ENOMEM, "vectors", NULL);
    must(tars_encoder_embed(encoder, kind, texts, n, out, &err), "embedding", &err);
    must(fwrite(out, dim * sizeof(*out), n, stdout) == n ? TARS_OK : TARS_EIO, "writing", NULL);
    free(out);
}

int main(int argc, char **argv)
{
    struct tars_encoder_config config = {.precision = TARS_ENCODER_FP32, .threads = 1};
    struct tars_encoder *encoder = NULL;
    struct tars_span texts[CALL];
    enum tars_embed_kind kind;
    struct tars_err err = {""};
    struct tars_buf buf;
    size_t n = 0;

    if (argc != 5) {
        (void)fprintf(stderr, "usage: embed MODEL_FOLDER query|passage TEXTS MAX_TOKENS\n");
        return EXIT_FAILURE;
    }
    config.dir = argv[1];
    config.max_tokens = strtoull(argv[4], NULL, 10);
    kind = strcmp(argv[2], "query") == 0 ? TARS_EMBED_QUERY : TARS_EMBED_PASSAGE;
    tars_buf_init(&buf, FILE_MAX);
    must(tars_file_read(argv[3], &buf, &err), argv[3], &err);
    must(tars_encoder_open(&config, &encoder, &err), "the model", &err);
    for (size_t at = 0; at < buf.len;) {
        const char *end = memchr(buf.ptr + at, '\n', buf.len - at);
        size_t len = end ? (size_t)(end - (buf.ptr + at)) : buf.len - at;

        texts[n++] = tars_span(buf.ptr + at, len);
        at += len + 1;
        if (n == CALL || at >= buf.len) {
            embed(encoder, kind, texts, n);
            n = 0;
        }
    }
    tars_encoder_close(encoder);
    tars_buf_release(&buf);
    return EXIT_SUCCESS;
}
