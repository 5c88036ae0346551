/* bench_encoder - tokens a second of the encoder on one core, and what a question waits.
 *
 *     bench_encoder MODEL_FOLDER [int8|bf16|fp32] [SECONDS] [THREADS]
 *
 * Token ids are pseudo-random, since a product's speed does not depend on them. Times are of the
 * processor, not of the clock: the machine may be shared. wall_tokens_per_s alone is by the clock:
 * with it threads are compared. Prints one JSON line;
 * bench/encoder_peer.py runs it beside ONNX Runtime.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/encoder.h"
#include "timing.h"

#define PASSAGES       32
#define PASSAGE_TOKENS 128
#define QUERY_TOKENS   16
#define QUERIES_MAX    20000

static long resident_kb(void)
{
    char line[256];
    long kb = -1;
    FILE *file = fopen("/proc/self/status", "r");

    while (file && fgets(line, sizeof(line), file)) {
        if (strncmp(line, "VmRSS:", 6) == 0)
            kb = strtol(line + 6, NULL, 10);
    }
    if (file)
        (void)fclose(file);
    return kb;
}

static void fill(int32_t *ids, size_t *starts, size_t texts, size_t tokens)
{
    uint32_t state = 1;

    for (size_t i = 0; i < texts * tokens; i++) {
        state = state * 1664525U + 1013904223U;
        ids[i] = (int32_t)(1000 + (state >> 8) % 28000);
    }
    for (size_t i = 0; i <= texts; i++)
        starts[i] = i * tokens;
}

/* Tokens a second of the best repetition: the machine is shared, the code is not slower than it. */
struct speeds {
    double cpu, wall;
};

static bool passages(struct tars_encoder *encoder, double seconds, float *out, struct speeds *best)
{
    static int32_t ids[PASSAGES * PASSAGE_TOKENS];
    static size_t starts[PASSAGES + 1];
    const double tokens = PASSAGES * PASSAGE_TOKENS;
    double end = timing_cpu_s() + seconds;

    fill(ids, starts, PASSAGES, PASSAGE_TOKENS);
    while (timing_cpu_s() < end) {
        double wall = timing_wall_s();
        double cpu = timing_cpu_s();

        if (tars_encoder_embed_ids(encoder, ids, starts, PASSAGES, out, NULL) != TARS_OK)
            return false;
        cpu = tokens / (timing_cpu_s() - cpu);
        wall = tokens / (timing_wall_s() - wall);
        best->cpu = cpu > best->cpu ? cpu : best->cpu;
        best->wall = wall > best->wall ? wall : best->wall;
    }
    return true;
}

/* What a question waits, in milliseconds. */
struct waits {
    double best, p50, p95;
};

static bool queries(struct tars_encoder *encoder, double seconds, float *out, struct waits *waits)
{
    static int32_t ids[QUERY_TOKENS];
    static size_t starts[2];
    static double took[QUERIES_MAX];
    double end = timing_cpu_s() + seconds;
    size_t n = 0;

    fill(ids, starts, 1, QUERY_TOKENS);
    while (n < QUERIES_MAX && (timing_cpu_s() < end || n < 20)) {
        double start = timing_cpu_s();

        if (tars_encoder_embed_ids(encoder, ids, starts, 1, out, NULL) != TARS_OK)
            return false;
        took[n++] = (timing_cpu_s() - start) * 1e3;
    }
    qsort(took, n, sizeof(took[0]), timing_by_value);
    *waits = (struct waits){took[0], took[n / 2], took[n * 95 / 100]};
    return true;
}

/* What opening took, in milliseconds: of the processor, of all threads, and by the clock. */
struct opening {
    double cpu, wall;
};

static int measure(struct tars_encoder *encoder, const char *precision, double seconds,
                   const struct opening *opening)
{
    long loaded_kb = resident_kb();
    struct waits waits = {0};
    struct speeds speeds = {0};
    float *out = calloc(PASSAGES * tars_encoder_info(encoder)->dim, sizeof(*out));
    bool done;

    if (!out)
        return 1;
    done = passages(encoder, seconds, out, &speeds) && queries(encoder, seconds, out, &waits);
    if (done) {
        printf("{\"precision\":\"%s\",\"implementation\":\"%s\",\"tokens_per_s\":%.0f,"
               "\"wall_tokens_per_s\":%.0f,"
               "\"query_best_ms\":%.3f,\"query_p50_ms\":%.3f,\"query_p95_ms\":%.3f,\"open_ms\":%."
               "1f,\"open_wall_ms\":%.1f,\"loaded_kb\":%ld,"
               "\"resident_kb\":%ld}\n",
               precision, tars_encoder_info(encoder)->implementation, speeds.cpu, speeds.wall,
               waits.best, waits.p50, waits.p95, opening->cpu, opening->wall, loaded_kb,
               resident_kb());
    }
    free(out);
    return done ? 0 : 1;
}

int main(int argc, char **argv)
{
    const char *precision = argc > 2 ? argv[2] : "int8";
    struct tars_encoder_config config = {.dir = argc > 1 ? argv[1] : NULL,
                                         .cache_dir = getenv("TARS_BENCH_CACHE"),
                                         .threads = argc > 4 ? strtoul(argv[4], NULL, 10) : 1};
    struct tars_encoder *encoder = NULL;
    struct tars_err err = {""};
    const struct opening start = {timing_cpu_s(), timing_wall_s()};
    struct opening opening;
    int result;

    if (!config.dir) {
        (void)fprintf(stderr,
                      "usage: bench_encoder MODEL_FOLDER [int8|bf16|fp32] [SECONDS] [THREADS]\n");
        return 2;
    }
    if (strcmp(precision, "fp32") == 0) {
        config.precision = TARS_ENCODER_FP32;
    } else if (strcmp(precision, "bf16") == 0) {
        config.precision = TARS_ENCODER_BF16;
    }
    if (tars_encoder_open(&config, &encoder, &err) != TARS_OK) {
        (void)fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    opening =
        (struct opening){(timing_cpu_s() - start.cpu) * 1e3, (timing_wall_s() - start.wall) * 1e3};
    result = measure(encoder, precision, argc > 3 ? strtod(argv[3], NULL) : 3, &opening);
    tars_encoder_close(encoder);
    return result;
}
