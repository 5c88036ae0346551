/* bench_encoder_cosine - how far int8 and bf16 vectors are from float32 ones, over real texts.
 *
 *     bench_encoder_cosine MODEL_FOLDER [int8|bf16] < TEXTS
 *
 * A text a line; words past the model's limit are cut as always. Prints one JSON line with the
 * least, some low quantiles and the mean of the cosines, and the worst text's number.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/encoder.h"

#define TEXTS_MAX 100000

struct seen {
    float cosine;
    size_t text;
};

static int by_cosine(const void *a, const void *b)
{
    float x = ((const struct seen *)a)->cosine;
    float y = ((const struct seen *)b)->cosine;

    return x < y ? -1 : x > y;
}

static size_t read_texts(struct tars_span *texts)
{
    char *line = NULL;
    size_t room = 0;
    size_t n = 0;

    while (n < TEXTS_MAX) {
        ssize_t len = getline(&line, &room, stdin);

        if (len < 0)
            break;
        texts[n].ptr = strdup(line);
        texts[n++].len = (size_t)len;
    }
    free(line);
    return n;
}

static float *embed(const char *dir, enum tars_encoder_precision precision,
                    const struct tars_span *texts, size_t n, size_t *dim)
{
    const struct tars_encoder_config config = {
        .dir = dir, .precision = precision, .cache_dir = getenv("TARS_BENCH_CACHE")};
    struct tars_encoder *encoder = NULL;
    struct tars_err err = {""};
    float *out = NULL;

    if (tars_encoder_open(&config, &encoder, &err) != TARS_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return NULL;
    }
    *dim = tars_encoder_info(encoder)->dim;
    out = calloc(n * *dim, sizeof(*out));
    if (out && tars_encoder_embed(encoder, TARS_EMBED_PASSAGE, texts, n, out, &err) != TARS_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        free(out);
        out = NULL;
    }
    tars_encoder_close(encoder);
    return out;
}

static void report(struct seen *seen, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++)
        sum += (double)seen[i].cosine;
    qsort(seen, n, sizeof(*seen), by_cosine);
    printf("{\"texts\":%zu,\"least\":%.5f,\"p0.1\":%.5f,\"p1\":%.5f,\"p10\":%.5f,\"mean\":%.5f,"
           "\"under_0.99\":",
           n, (double)seen[0].cosine, (double)seen[n / 1000].cosine, (double)seen[n / 100].cosine,
           (double)seen[n / 10].cosine, sum / (double)n);
    for (size_t i = 0; i <= n; i++) {
        if (i == n || seen[i].cosine >= 0.99F) {
            printf("%zu,\"worst\":%zu}\n", i, seen[0].text + 1);
            return;
        }
    }
}

int main(int argc, char **argv)
{
    static struct tars_span texts[TEXTS_MAX];
    static struct seen seen[TEXTS_MAX];
    const char *name = argc > 2 ? argv[2] : "int8";
    size_t dim = 0;
    size_t n = read_texts(texts);
    float *exact;
    float *close;

    if (argc < 2 || n == 0) {
        (void)fprintf(stderr, "usage: bench_encoder_cosine MODEL_FOLDER [int8|bf16] < TEXTS\n");
        return 2;
    }
    exact = embed(argv[1], TARS_ENCODER_FP32, texts, n, &dim);
    close = embed(argv[1], strcmp(name, "bf16") == 0 ? TARS_ENCODER_BF16 : TARS_ENCODER_INT8, texts,
                  n, &dim);
    for (size_t i = 0; exact && close && i < n; i++) {
        double dot = 0;

        for (size_t d = 0; d < dim; d++)
            dot += (double)exact[i * dim + d] * (double)close[i * dim + d];
        seen[i] = (struct seen){(float)dot, i};
    }
    if (exact && close)
        report(seen, n);
    for (size_t i = 0; i < n; i++)
        free((void *)texts[i].ptr);
    free(exact);
    free(close);
    return exact && close ? 0 : 1;
}
