/* kernels_body - the code of kernels.h for one instruction set. Included once by each
 * kernels_<set>.c, which the build compiles with that set's flags and which defines
 *
 *     KERNELS_WIDTH  floats in a vector: 4, 8 or 16
 *     KERNELS_ROWS   rows of a register tile in the attention; ROWS * 2 sums stay in registers
 *     KERNELS_NAME, KERNELS_TABLE  the table's name and symbol
 *
 * Vectors are the compiler's own (vector_size), so one text serves all sets and no intrinsic is
 * needed. Rows need no alignment and may have any length: the last, partial vector goes through a
 * padded copy.
 *
 * The exponential and the error function are polynomials fitted for single precision (least
 * squares at Chebyshev nodes): relative error of exp under 1e-7 before rounding, absolute error of
 * gelu under 2e-6.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "model/gemm8.h"
#include "model/kernels_internal.h"

#define WIDTH ((size_t)KERNELS_WIDTH)
#define TILE  (2 * WIDTH) /* columns of a register tile */
#define ROWS  ((size_t)KERNELS_ROWS)
#define PANEL ((size_t)TARS_GEMM8_COLUMNS) /* a multiple of WIDTH */

typedef float vec __attribute__((vector_size(KERNELS_WIDTH * 4)));
typedef int32_t ivec __attribute__((vector_size(KERNELS_WIDTH * 4)));
typedef uint32_t uvec __attribute__((vector_size(KERNELS_WIDTH * 4)));
typedef uint8_t bytes __attribute__((vector_size(KERNELS_WIDTH)));
typedef uint8_t all_bytes __attribute__((vector_size(KERNELS_WIDTH * 4)));
typedef uint16_t halves __attribute__((vector_size(KERNELS_WIDTH * 2)));

/* ------------------------------------------------------------------ vectors */

static inline vec load(const float *from)
{
    vec v;

    memcpy(&v, from, sizeof(v));
    return v;
}

static inline void store(float *to, vec v)
{
    memcpy(to, &v, sizeof(v));
}

static inline vec load_part(const float *from, size_t n, float rest)
{
    float whole[KERNELS_WIDTH];

    for (size_t i = 0; i < WIDTH; i++)
        whole[i] = i < n ? from[i] : rest;
    return load(whole);
}

static inline void store_part(float *to, vec v, size_t n)
{
    memcpy(to, &v, n * sizeof(*to));
}

static inline vec splat(float x)
{
    return (vec){0} + x;
}

static inline vec choose(ivec mask, vec yes, vec no)
{
    return (vec)((mask & (ivec)yes) | (~mask & (ivec)no));
}

static inline vec greater(vec a, vec b)
{
    return choose(a > b, a, b);
}

static inline vec lesser(vec a, vec b)
{
    return choose(a < b, a, b);
}

static inline float sum_of(vec v)
{
    float sum = 0;

    for (size_t i = 0; i < WIDTH; i++)
        sum += v[i];
    return sum;
}

static inline float greatest_of(vec v)
{
    float most = v[0];

    for (size_t i = 1; i < WIDTH; i++)
        most = v[i] > most ? v[i] : most;
    return most;
}

/* The lowest byte of each number. Not a conversion, which the compiler takes to pieces where the
 * processor has none. */
static inline bytes lowest_bytes(ivec v)
{
#if KERNELS_WIDTH == 16
    return __builtin_convertvector(v, bytes);
#elif KERNELS_WIDTH == 8
    return __builtin_shufflevector((all_bytes)v, (all_bytes)v, 0, 4, 8, 12, 16, 20, 24, 28);
#else
    return __builtin_shufflevector((all_bytes)v, (all_bytes)v, 0, 4, 8, 12);
#endif
}

/* e^x for x <= 0; under -87 it is e^-87, which is nothing beside the 1 of the greatest score. */
static inline vec exp_of(vec x)
{
    const float to_int = 12582912.0F; /* 1.5 * 2^23: adding it leaves no room for a fraction */
    vec y = greater(x, splat(-87.0F)) * 1.44269504F;
    vec whole = (y + to_int) - to_int;
    vec f = y - whole;
    vec p = splat(1.326698e-3F);

    p = p * f + 9.6754694e-3F;
    p = p * f + 5.5507427e-2F;
    p = p * f + 2.4022122e-1F;
    p = p * f + 6.9314695e-1F;
    p = p * f + 1.0F;
    return p * (vec)((__builtin_convertvector(whole, ivec) + 127) << 23);
}

/* x * Phi(x), with Phi(x) = 1/2 + x P(x^2) on [-5, 5]. */
static inline vec gelu_of(vec x)
{
    static const float terms[] = {
        9.694176696939394e-05F, -0.00029299824382178485F, 0.00039119296707212925F,
        -0.000722100492566824F, 0.0018546211067587137F,   -0.0037232099566608667F,
        0.006434583105146885F,  -0.010587532073259354F,   0.01635391265153885F,
        -0.023423543199896812F, 0.0314568467438221F,      -0.04042491316795349F,
        0.05151919275522232F,   -0.07029685378074646F,    0.14136379957199097F};
    vec near = lesser(greater(x, splat(-5.0F)), splat(5.0F));
    vec u = near * near * 0.08F - 1.0F;
    vec p = splat(terms[0]);

    for (size_t i = 1; i < sizeof(terms) / sizeof(terms[0]); i++)
        p = p * u + terms[i];
    return x * (near * p + 0.5F);
}

/* --------------------------------------------------------------------- rows */

static void add(float *row, const float *bias, size_t n)
{
    size_t i = 0;

    for (; i + WIDTH <= n; i += WIDTH)
        store(row + i, load(row + i) + load(bias + i));
    for (; i < n; i++)
        row[i] += bias[i];
}

static void dequantise(const struct tars_dequantise *from, float *out, size_t n)
{
    size_t i = 0;

    for (; i + WIDTH <= n; i += WIDTH) {
        ivec acc;

        memcpy(&acc, from->acc + i, sizeof(acc));
        store(out + i,
              __builtin_convertvector(acc, vec) * (load(from->scale + i) * from->row_scale) +
                  (load(from->sum + i) * from->row_zero + load(from->bias + i)));
    }
    for (; i < n; i++) {
        out[i] = (float)from->acc[i] * (from->scale[i] * from->row_scale) +
                 (from->sum[i] * from->row_zero + from->bias[i]);
    }
}

static void quantise(const float *row, size_t n, int levels, uint8_t *out, float *scale,
                     float *zero)
{
    vec most = splat(row[0]);
    vec least = most;
    float low;
    float range;
    float inverse;
    size_t i = 0;

    for (; i + WIDTH <= n; i += WIDTH) {
        most = greater(load(row + i), most);
        least = lesser(load(row + i), least);
    }
    most = greater(load_part(row + i, n - i, row[0]), most);
    least = lesser(load_part(row + i, n - i, row[0]), least);
    low = -greatest_of(-least);
    range = greatest_of(most) - low;
    /* A row of equal numbers is all zero, and low says what they are. */
    inverse = range > 0 ? (float)levels / range : 0.0F;
    for (i = 0; i + WIDTH <= n; i += WIDTH) {
        vec steps = (load(row + i) - low) * inverse + 0.5F;
        bytes packed = lowest_bytes(__builtin_convertvector(steps, ivec));

        memcpy(out + i, &packed, sizeof(packed));
    }
    for (; i < n; i++)
        out[i] = (uint8_t)((row[i] - low) * inverse + 0.5F);
    *scale = range / (float)levels;
    *zero = low;
}

static size_t farthest(const float *row, size_t n)
{
    size_t best = 0;

    for (size_t i = 1; i < n; i++)
        best = fabsf(row[i]) > fabsf(row[best]) ? i : best;
    return best;
}

static size_t outlier(const float *row, size_t n, float limit)
{
    vec most = splat(row[0]);
    vec least = most;
    vec squares = splat(0);
    vec last;
    float range;
    size_t i = 0;

    for (; i + WIDTH <= n; i += WIDTH) {
        vec v = load(row + i);

        most = greater(v, most);
        least = lesser(v, least);
        squares += v * v;
    }
    last = load_part(row + i, n - i, row[0]);
    range = greatest_of(greater(last, most)) + greatest_of(-lesser(last, least));
    last = load_part(row + i, n - i, 0.0F);
    squares += last * last;
    return range * range * (float)n > limit * limit * sum_of(squares) ? farthest(row, n) : n;
}

/* WIDTH columns, from the i-th on. */
static inline vec left_out_weights(const struct tars_left_out *from, size_t i)
{
    uvec four;

    memcpy(&four, from->weights + i / PANEL * from->panel_bytes + i % PANEL * 4, sizeof(four));
    return __builtin_convertvector((ivec)(four << (24 - 8 * from->place)) >> 24, vec);
}

static void add_left_out(const struct tars_left_out *from, float *out, size_t n)
{
    size_t i = 0;

    for (; i + WIDTH <= n; i += WIDTH) {
        store(out + i,
              load(out + i) + left_out_weights(from, i) * (load(from->scale + i) * from->value));
    }
    if (i < n) {
        store_part(out + i,
                   load_part(out + i, n - i, 0) +
                       left_out_weights(from, i) *
                           (load_part(from->scale + i, n - i, 0) * from->value),
                   n - i);
    }
}

static void to_bf16(const float *row, size_t n, uint16_t *out)
{
    for (size_t i = 0; i < n; i += WIDTH) {
        size_t part = n - i < WIDTH ? n - i : WIDTH;
        uvec bits = (uvec)load_part(row + i, part, 0.0F);
        halves packed = __builtin_convertvector((bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16, halves);

        memcpy(out + i, &packed, part * sizeof(*out));
    }
}

static void gelu(float *row, size_t n)
{
    size_t i = 0;

    for (; i + WIDTH <= n; i += WIDTH)
        store(row + i, gelu_of(load(row + i)));
    store_part(row + i, gelu_of(load_part(row + i, n - i, 0.0F)), n - i);
}

static void layer_norm(float *x, const float *other, const float *gain, const float *bias,
                       float eps, size_t n)
{
    vec sums = splat(0);
    vec squares = splat(0);
    float mean;
    float factor;
    size_t i = 0;

    if (other)
        add(x, other, n);
    for (; i + WIDTH <= n; i += WIDTH)
        sums += load(x + i);
    mean = (sum_of(sums) + sum_of(load_part(x + i, n - i, 0.0F))) / (float)n;
    for (i = 0; i + WIDTH <= n; i += WIDTH) {
        vec d = load(x + i) - mean;

        squares += d * d;
    }
    sums = load_part(x + i, n - i, mean) - mean;
    factor = 1.0F / sqrtf((sum_of(squares) + sum_of(sums * sums)) / (float)n + eps);
    for (i = 0; i + WIDTH <= n; i += WIDTH)
        store(x + i, (load(x + i) - mean) * (load(gain + i) * factor) + load(bias + i));
    for (; i < n; i++)
        x[i] = (x[i] - mean) * (gain[i] * factor) + bias[i];
}

/* ---------------------------------------------------------------- attention
 *
 * Head by head: keys transposed and values packed, both padded to whole tiles, then ROWS queries at
 * a time against all keys. A tile of ROWS x TILE sums stays in registers.
 *
 *     keys (head_dim, wide)   values (tokens, deep)   queries (ROWS, head_dim)   scores (ROWS,
 * wide)
 */

struct head {
    size_t tokens, dim;
    size_t wide;     /* tokens, rounded up to TILE */
    size_t deep;     /* dim, rounded up to TILE */
    float *keys;     /* (dim, wide), scaled by 1 / sqrt(dim) */
    float *values;   /* (tokens, deep) */
    float *queries;  /* (ROWS, dim) */
    float *scores;   /* (ROWS, wide) */
    float *weighted; /* (ROWS, deep) */
};

static size_t round_up(size_t n)
{
    return (n + TILE - 1) / TILE * TILE;
}

static size_t scratch_floats(size_t tokens, size_t head_dim)
{
    size_t wide = round_up(tokens);
    size_t deep = round_up(head_dim);

    return head_dim * wide + tokens * deep + ROWS * (head_dim + wide + deep);
}

static struct head head_at(const struct tars_attention *a)
{
    struct head h = {.tokens = a->tokens, .dim = a->head_dim};

    h.wide = round_up(h.tokens);
    h.deep = round_up(h.dim);
    h.keys = a->scratch;
    h.values = h.keys + h.dim * h.wide;
    h.queries = h.values + h.tokens * h.deep;
    h.scores = h.queries + ROWS * h.dim;
    h.weighted = h.scores + ROWS * h.wide;
    return h;
}

static void pack_head(const struct head *h, const float *qkv, size_t hidden)
{
    const float scale = 1.0F / sqrtf((float)h->dim);

    for (size_t t = 0; t < h->tokens; t++) {
        const float *key = qkv + t * 3 * hidden + hidden;

        for (size_t d = 0; d < h->dim; d++)
            h->keys[d * h->wide + t] = key[d] * scale;
        memcpy(h->values + t * h->deep, key + hidden, h->dim * sizeof(float));
        memset(h->values + t * h->deep + h->dim, 0, (h->deep - h->dim) * sizeof(float));
    }
    for (size_t d = 0; d < h->dim; d++)
        memset(h->keys + d * h->wide + h->tokens, 0, (h->wide - h->tokens) * sizeof(float));
}

/* out (ROWS, columns) = left (ROWS, inner) * right (inner, columns); columns are whole tiles. */
static void multiply(const float *left, size_t left_step, const float *right, size_t inner,
                     size_t columns, float *out)
{
    for (size_t c = 0; c < columns; c += TILE) {
        vec sums[KERNELS_ROWS][2] = {0};

        for (size_t k = 0; k < inner; k++) {
            vec a = load(right + k * columns + c);
            vec b = load(right + k * columns + c + WIDTH);

#pragma GCC unroll 8
            for (size_t r = 0; r < ROWS; r++) {
                sums[r][0] += a * left[r * left_step + k];
                sums[r][1] += b * left[r * left_step + k];
            }
        }
#pragma GCC unroll 8
        for (size_t r = 0; r < ROWS; r++) {
            store(out + r * columns + c, sums[r][0]);
            store(out + r * columns + c + WIDTH, sums[r][1]);
        }
    }
}

/* Scores to e^(score - greatest); returns one over their sum. */
static float soften(float *scores, size_t tokens, size_t wide)
{
    vec most = splat(-1e30F);
    vec sums = splat(0);

    for (size_t i = tokens; i < wide; i++)
        scores[i] = -1e30F;
    for (size_t i = 0; i < wide; i += WIDTH)
        most = greater(load(scores + i), most);
    most = splat(greatest_of(most));
    for (size_t i = 0; i < wide; i += WIDTH) {
        vec e = exp_of(load(scores + i) - most);

        store(scores + i, e);
        sums += e;
    }
    return 1.0F / sum_of(sums);
}

static void attend_rows(const struct head *h, const float *qkv, size_t hidden, size_t rows,
                        float *out)
{
    float inverse[KERNELS_ROWS];

    for (size_t r = 0; r < ROWS; r++) {
        if (r < rows) {
            memcpy(h->queries + r * h->dim, qkv + r * 3 * hidden, h->dim * sizeof(float));
        } else {
            memset(h->queries + r * h->dim, 0, h->dim * sizeof(float));
        }
    }
    multiply(h->queries, h->dim, h->keys, h->dim, h->wide, h->scores);
    for (size_t r = 0; r < ROWS; r++)
        inverse[r] = soften(h->scores + r * h->wide, h->tokens, h->wide);
    multiply(h->scores, h->wide, h->values, h->tokens, h->deep, h->weighted);
    for (size_t r = 0; r < rows; r++) {
        for (size_t d = 0; d < h->dim; d++)
            out[r * hidden + d] = h->weighted[r * h->deep + d] * inverse[r];
    }
}

static void attention(const struct tars_attention *a)
{
    const struct head h = head_at(a);
    const size_t hidden = a->heads * a->head_dim;

    for (size_t i = 0; i < a->heads; i++) {
        const float *qkv = a->qkv + i * h.dim;

        pack_head(&h, qkv, hidden);
        for (size_t t = 0; t < h.tokens; t += ROWS) {
            size_t rows = h.tokens - t < ROWS ? h.tokens - t : ROWS;

            attend_rows(&h, qkv + t * 3 * hidden, hidden, rows, a->out + t * hidden + i * h.dim);
        }
    }
}

const struct tars_kernels KERNELS_TABLE = {
    .name = KERNELS_NAME,
    .add = add,
    .dequantise = dequantise,
    .quantise = quantise,
    .outlier = outlier,
    .add_left_out = add_left_out,
    .to_bf16 = to_bf16,
    .gelu = gelu,
    .layer_norm = layer_norm,
    .attention = attention,
    .scratch_floats = scratch_floats,
};
