/* bench_encoder_products - the matrix products of an encoder alone: the most that it could reach.
 *
 *     bench_encoder_products [int8|fp32] [HIDDEN INTERMEDIATE LAYERS] [SECONDS]
 *
 * All layers' weights (MiniLM's shapes unless others are given) times 128 rows, and times 16,
 * without what lies between them. Processor time, the best repetition; one JSON line.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model/linear.h"
#include "timing.h"

#define LAYERS_MAX 48

struct products {
    struct tars_linear_set *set;
    struct tars_linear_run *run;
    struct tars_linear linears[LAYERS_MAX][4];
    size_t hidden, intermediate, layers;
    void *x, *y;
};

static bool make(struct products *p, enum tars_linear_type type)
{
    const size_t most = p->intermediate * p->hidden + p->intermediate + 3 * p->hidden * p->hidden;
    float *weights = calloc(most, sizeof(*weights));
    const size_t shapes[4][2] = {{p->hidden, 3 * p->hidden},
                                 {p->hidden, p->hidden},
                                 {p->hidden, p->intermediate},
                                 {p->intermediate, p->hidden}};
    bool made = weights && tars_linear_set_new(type, &p->set, NULL) == TARS_OK &&
                tars_linear_run_new(p->set, &p->run, NULL) == TARS_OK;

    for (size_t i = 0; weights && i < most; i++)
        weights[i] = (float)((i * 2654435761U >> 7) % 255) - 127.0F;
    for (size_t l = 0; made && l < p->layers; l++) {
        for (size_t i = 0; made && i < 4; i++) {
            made = tars_linear_init(p->set, shapes[i][0], shapes[i][1], weights, weights,
                                    &p->linears[l][i], NULL) == TARS_OK;
        }
    }
    free(weights);
    return made;
}

/* Seconds of all products on that many rows, the best repetition. */
static double best(struct products *p, size_t rows, double seconds)
{
    double least = 1e9;

    for (double end = timing_cpu_s() + seconds; timing_cpu_s() < end;) {
        double start = timing_cpu_s();

        for (size_t l = 0; l < p->layers; l++) {
            for (size_t i = 0; i < 4; i++) {
                if (tars_linear_apply(p->run, &p->linears[l][i], p->x, rows, p->y, NULL) != TARS_OK)
                    return -1;
            }
        }
        least = timing_cpu_s() - start < least ? timing_cpu_s() - start : least;
    }
    return least;
}

int main(int argc, char **argv)
{
    static struct products p = {.hidden = 384, .intermediate = 1536, .layers = 6};
    const bool fp32 = argc > 1 && strcmp(argv[1], "fp32") == 0;
    const double seconds = argc > 5 ? strtod(argv[5], NULL) : 1;
    double passage;
    double query;

    if (argc > 4) {
        p.hidden = strtoul(argv[2], NULL, 10);
        p.intermediate = strtoul(argv[3], NULL, 10);
        p.layers = strtoul(argv[4], NULL, 10);
    }
    if (p.hidden == 0 || p.intermediate == 0 || p.layers == 0 || p.layers > LAYERS_MAX)
        return 2;
    tars_linear_one_thread();
    p.x = calloc(TARS_LINEAR_ROWS, (p.hidden + p.intermediate) * sizeof(float));
    p.y = calloc(TARS_LINEAR_ROWS, (3 * p.hidden + p.intermediate) * sizeof(float));
    if (!p.x || !p.y || !make(&p, fp32 ? TARS_LINEAR_FP32 : TARS_LINEAR_INT8))
        return 1;
    passage = best(&p, TARS_LINEAR_ROWS, seconds);
    query = best(&p, TARS_LINEAR_STEP, seconds);
    printf("{\"implementation\":\"%s\",\"tokens_per_s\":%.0f,\"query_ms\":%.3f}\n",
           tars_linear_set_implementation(p.set, p.hidden, p.hidden, TARS_LINEAR_ROWS),
           TARS_LINEAR_ROWS / passage, query * 1e3);
    return 0;
}
