/* bench_kernels - what lies between the encoder's matrix products, each step alone.
 *
 *     bench_kernels [SECONDS]
 *
 * For every table of kernels that the processor can run: nanoseconds a token and layer of
 * MiniLM-L6's shapes (384, 1,536, 12 heads of 32), a passage of 128 tokens and a question of 16.
 * Rows lie as the encoder has them, in blocks of 128. Processor time, the best repetition; one JSON
 * line a table. With the products alone (bench_encoder_products) this says where the time goes.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "model/kernels.h"
#include "timing.h"

#define HIDDEN 384
#define WIDE   1536
#define HEADS  12
#define ROWS   128
#define QUERY  16
#define LEVELS 255

struct room {
    int32_t *sums;
    float *y;
    float *qkv;
    float *scratch;
    float *out;
    uint8_t *bytes;
    float *columns; /* scales, sums, biases */
    struct tars_quantised how[ROWS];
};

struct step {
    const char *name;
    double (*run)(const struct tars_kernels *kernels, struct room *room, size_t rows);
};

/* Seconds of finishing n columns of all rows. */
static double finish(const struct tars_kernels *kernels, struct room *room, size_t rows, size_t n,
                     bool has_gelu)
{
    const struct tars_finish finish = {.scale = room->columns,
                                       .sum = room->columns + n,
                                       .bias = room->columns + 2 * n,
                                       .rows = room->how,
                                       .has_gelu = has_gelu,
                                       .y = room->y,
                                       .n = n};
    double start = timing_cpu_s();

    for (size_t r = 0; r < rows; r++) {
        const struct tars_tile tile = {
            .sums = room->sums + r * n, .step = n, .first = r, .rows = 1, .columns = n};

        kernels->finish(&finish, &tile);
    }
    return timing_cpu_s() - start;
}

static double finish_plain(const struct tars_kernels *kernels, struct room *room, size_t rows)
{
    return finish(kernels, room, rows, (size_t)3 * HIDDEN, false) +
           2 * finish(kernels, room, rows, HIDDEN, false);
}

static double finish_gelu(const struct tars_kernels *kernels, struct room *room, size_t rows)
{
    return finish(kernels, room, rows, WIDE, true);
}

static double quantise(const struct tars_kernels *kernels, struct room *room, size_t rows)
{
    double start = timing_cpu_s();

    for (size_t r = 0; r < rows; r++) {
        for (int times = 0; times < 3; times++) {
            kernels->quantise(room->qkv + r * HIDDEN, HIDDEN, LEVELS, 0, room->bytes + r * HIDDEN,
                              &room->how[r]);
        }
        kernels->quantise(room->qkv + r * WIDE, WIDE, LEVELS, 0, room->bytes + r * WIDE,
                          &room->how[r]);
    }
    return timing_cpu_s() - start;
}

static double layer_norm(const struct tars_kernels *kernels, struct room *room, size_t rows)
{
    double start = timing_cpu_s();

    for (size_t r = 0; r < rows; r++) {
        for (int twice = 0; twice < 2; twice++) {
            kernels->layer_norm(room->y + r * HIDDEN, room->out + r * HIDDEN, room->columns,
                                room->columns + HIDDEN, 1e-12F, HIDDEN);
        }
    }
    return timing_cpu_s() - start;
}

static double attention(const struct tars_kernels *kernels, struct room *room, size_t rows)
{
    const struct tars_attention attention = {.qkv = room->qkv,
                                             .tokens = rows,
                                             .heads = HEADS,
                                             .head_dim = HIDDEN / HEADS,
                                             .scratch = room->scratch,
                                             .out = room->out};
    double start = timing_cpu_s();

    kernels->attention(&attention);
    return timing_cpu_s() - start;
}

static void fill(struct room *room)
{
    uint32_t state = 1;

    for (size_t i = 0; i < (size_t)ROWS * WIDE; i++) {
        state = state * 1664525U + 1013904223U;
        room->sums[i] = (int32_t)(state >> 16) - 32768;
        room->qkv[i] = (float)(state >> 8) / 8388608.0F - 1;
    }
    for (size_t i = 0; i < (size_t)3 * WIDE; i++)
        room->columns[i] = 1e-3F * (float)(i % 97 + 1);
    for (size_t r = 0; r < ROWS; r++)
        room->how[r] = (struct tars_quantised){.scale = 1e-3F, .zero = -0.1F};
}

static double best_of(const struct step *step, const struct tars_kernels *kernels,
                      struct room *room, size_t rows, double seconds)
{
    double end = timing_cpu_s() + seconds;
    double best = 1e9;

    fill(room);
    while (timing_cpu_s() < end) {
        double took = step->run(kernels, room, rows);

        best = took < best ? took : best;
    }
    return best;
}

static bool make_room(struct room *room)
{
    const size_t most = (size_t)ROWS * WIDE;
    size_t scratch = 1;

    for (size_t i = 0; tars_kernels_at(i); i++) {
        size_t need = tars_kernels_at(i)->scratch_floats(ROWS, HIDDEN / HEADS);

        scratch = need > scratch ? need : scratch;
    }
    room->sums = calloc(most, sizeof(*room->sums));
    room->y = calloc(most, sizeof(*room->y));
    room->qkv = calloc(most, sizeof(*room->qkv));
    room->out = calloc(most, sizeof(*room->out));
    room->bytes = calloc(most, 1);
    room->columns = calloc((size_t)3 * WIDE, sizeof(*room->columns));
    room->scratch = calloc(scratch, sizeof(*room->scratch));
    return room->sums && room->y && room->qkv && room->out && room->bytes && room->columns &&
           room->scratch;
}

static void measure(const struct tars_kernels *kernels, struct room *room, double seconds)
{
    static const struct step steps[] = {{"finish", finish_plain},
                                        {"finish_gelu", finish_gelu},
                                        {"quantise", quantise},
                                        {"layer_norm", layer_norm},
                                        {"attention", attention}};
    static const size_t rows[] = {ROWS, QUERY};

    printf("{\"kernels\":\"%s\"", kernels->name);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        printf(",\"%zu\":{", rows[i]);
        for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
            double took = best_of(&steps[s], kernels, room, rows[i], seconds);

            printf("%s\"%s\":%.1f", s ? "," : "", steps[s].name, took / (double)rows[i] * 1e9);
        }
        printf("}");
    }
    printf("}\n");
}

int main(int argc, char **argv)
{
    static struct room room;
    double seconds = argc > 1 ? strtod(argv[1], NULL) : 0.2;

    if (!make_room(&room))
        return 1;
    for (size_t i = 0; tars_kernels_at(i); i++)
        measure(tars_kernels_at(i), &room, seconds);
    return 0;
}
