/* bench_rerank - milliseconds that a cross-encoder takes for the passages of one question, on one
 * core.
 *
 *     bench_rerank MODEL_FOLDER [int8|bf16|fp32] [SECONDS] [PASSAGES] [WORDS]
 *
 * The passages are WORDS words of one piece each, drawn from a short list: a product's speed does
 * not depend on them. Times are of the processor, not of the clock: the machine may be shared.
 * Prints one JSON line; bench/rows/rerank.py runs it beside ONNX Runtime.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/cross_encoder.h"
#include "timing.h"

#define PASSAGES_MAX 100
#define WORDS_MAX    2000
#define ROUNDS_MAX   1000

static const char question[] = "what do the people of this city say of the water and the light";

static void write_passage(char *to, size_t size, size_t words, uint32_t *state)
{
    static const char *const list[] = {"the",  "water", "city", "people", "light", "state",
                                       "year", "first", "work", "war",    "house", "school"};
    size_t at = 0;

    for (size_t i = 0; i < words; i++) {
        *state = *state * 1664525U + 1013904223U;
        at += (size_t)snprintf(to + at, size - at, "%s ",
                               list[(*state >> 16) % (sizeof(list) / sizeof(list[0]))]);
    }
}

static enum tars_encoder_precision precision_of(const char *text)
{
    if (strcmp(text, "fp32") == 0)
        return TARS_ENCODER_FP32;
    return strcmp(text, "bf16") == 0 ? TARS_ENCODER_BF16 : TARS_ENCODER_INT8;
}

static int measure(struct tars_cross_encoder *encoder, const struct tars_cross_encoder_wish *wish,
                   double seconds)
{
    static double took[ROUNDS_MAX];
    static float scores[PASSAGES_MAX];
    size_t rounds = 0;
    double end;

    for (int warm = 0; warm < 2; warm++) {
        size_t scored = 0;

        if (tars_cross_encoder_score(encoder, wish, scores, &scored, NULL) != TARS_OK)
            return 1;
    }
    end = timing_cpu_s() + seconds;
    while (rounds < 3 || (timing_cpu_s() < end && rounds < ROUNDS_MAX)) {
        size_t scored = 0;
        double start = timing_cpu_s();

        if (tars_cross_encoder_score(encoder, wish, scores, &scored, NULL) != TARS_OK)
            return 1;
        took[rounds++] = (timing_cpu_s() - start) * 1e3;
    }
    qsort(took, rounds, sizeof(took[0]), timing_by_value);
    printf("{\"ms\":%.2f,\"best_ms\":%.2f,\"rounds\":%zu,\"implementation\":\"%s\"}\n",
           took[rounds / 2], took[0], rounds, tars_cross_encoder_info(encoder)->implementation);
    return 0;
}

int main(int argc, char **argv)
{
    struct tars_cross_encoder_config config = {.precision =
                                                   precision_of(argc > 2 ? argv[2] : "int8")};
    static struct tars_span passages[PASSAGES_MAX];
    size_t n = argc > 4 ? (size_t)strtoul(argv[4], NULL, 10) : 10;
    size_t words = argc > 5 ? (size_t)strtoul(argv[5], NULL, 10) : 200;
    const struct tars_cross_encoder_wish wish = {
        .question = tars_span_of(question), .passages = passages, .n = n};
    struct tars_cross_encoder *encoder = NULL;
    struct tars_err err = {""};
    uint32_t state = 1;
    int failed;

    if (argc < 2 || n < 1 || n > PASSAGES_MAX || words > WORDS_MAX) {
        (void)fprintf(stderr,
                      "usage: bench_rerank FOLDER [PRECISION] [SECONDS] [PASSAGES] [WORDS]\n");
        return 2;
    }
    for (size_t i = 0; i < n; i++) {
        size_t size = words * 8 + 1;
        char *text = calloc(1, size);

        if (!text)
            return 1;
        write_passage(text, size, words, &state);
        passages[i] = tars_span_of(text);
    }
    config.dir = argv[1];
    if (tars_cross_encoder_open(&config, &encoder, &err) != TARS_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    failed = measure(encoder, &wish, argc > 3 ? strtod(argv[3], NULL) : 2);
    tars_cross_encoder_close(encoder);
    for (size_t i = 0; i < n; i++)
        free((void *)(uintptr_t)passages[i].ptr);
    return failed;
}
