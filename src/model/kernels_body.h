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
#if defined(__x86_64__)
#include <immintrin.h>
#endif

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

/* The last n of a row, fewer than WIDTH. */
static inline vec load_part(const float *from, size_t n, float rest)
{
    vec v = (vec){0} + rest;

    memcpy(&v, from, n * sizeof(*from));
    return v;
}

static inline ivec load_sums(const int32_t *from, size_t n)
{
    ivec v = {0};

    memcpy(&v, from, n * sizeof(*from));
    return v;
}

static inline void store_part(float *to, vec v, size_t n)
{
    memcpy(to, &v, n * sizeof(*to));
}

static inline vec splat(float x)
{
    return (vec){0} + x;
}

/* The compiler does not find the one instruction in a comparison and a choice. Where one is no
 * number, both give b. */
static inline vec greater(vec a, vec b)
{
#if KERNELS_WIDTH == 16
    return (vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif KERNELS_WIDTH == 8
    return (vec)_mm256_max_ps((__m256)a, (__m256)b);
#elif defined(__x86_64__)
    return (vec)_mm_max_ps((__m128)a, (__m128)b);
#else
    ivec mask = a > b;

    return (vec)((mask & (ivec)a) | (~mask & (ivec)b));
#endif
}

static inline vec lesser(vec a, vec b)
{
#if KERNELS_WIDTH == 16
    return (vec)_mm512_min_ps((__m512)a, (__m512)b);
#elif KERNELS_WIDTH == 8
    return (vec)_mm256_min_ps((__m256)a, (__m256)b);
#else
    return -greater(-a, -b);
#endif
}

/* The halves of a vector, combined step by step: all places hold the result. */
#if KERNELS_WIDTH == 16
#define FOLD(v, with)                                                                              \
    (v) = with((v), __builtin_shufflevector((v), (v), 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, \
                                            5, 6, 7));                                             \
    (v) = with((v), __builtin_shufflevector((v), (v), 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8,   \
                                            9, 10, 11));                                           \
    (v) = with((v), __builtin_shufflevector((v), (v), 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14,    \
                                            15, 12, 13));                                          \
    (v) = with((v), __builtin_shufflevector((v), (v), 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13,    \
                                            12, 15, 14))
#elif KERNELS_WIDTH == 8
#define FOLD(v, with)                                                           \
    (v) = with((v), __builtin_shufflevector((v), (v), 4, 5, 6, 7, 0, 1, 2, 3)); \
    (v) = with((v), __builtin_shufflevector((v), (v), 2, 3, 0, 1, 6, 7, 4, 5)); \
    (v) = with((v), __builtin_shufflevector((v), (v), 1, 0, 3, 2, 5, 4, 7, 6))
#else
#define FOLD(v, with)                                               \
    (v) = with((v), __builtin_shufflevector((v), (v), 2, 3, 0, 1)); \
    (v) = with((v), __builtin_shufflevector((v), (v), 1, 0, 3, 2))
#endif

static inline vec plus(vec a, vec b)
{
    return a + b;
}

static inline float sum_of(vec v)
{
    FOLD(v, plus);
    return v[0];
}

static inline float greatest_of(vec v)
{
    FOLD(v, greater);
    return v[0];
}

/* The lowest byte of each number. Not the compiler's conversion, which it takes to pieces: with
 * vectors of 16 that made quantising, a third of all time, five times as slow. */
static inline bytes lowest_bytes(ivec v)
{
#if KERNELS_WIDTH == 16
    return (bytes)_mm512_cvtepi32_epi8((__m512i)v);
#elif KERNELS_WIDTH == 8
    return __builtin_shufflevector((all_bytes)v, (all_bytes)v, 0, 4, 8, 12, 16, 20, 24, 28);
#else
    return __builtin_shufflevector((all_bytes)v, (all_bytes)v, 0, 4, 8, 12);
#endif
}

/* The lower half of each number; as above. */
static inline halves lower_halves(uvec v)
{
#if KERNELS_WIDTH == 16
    return (halves)_mm512_cvtepi32_epi16((__m512i)v);
#else
    return __builtin_convertvector(v, halves);
#endif
}

/* 2^x for x <= 0; under -126 it is 2^-126, which is nothing beside the 1 of the greatest score. */
static inline vec exp2_of(vec x)
{
    const float to_int = 12582912.0F; /* 1.5 * 2^23: adding it leaves no room for a fraction */
    vec y = greater(x, splat(-126.0F));
    vec whole = y + to_int; /* its lowest bits are the integer */
    vec f = y - (whole - to_int);
    vec p = splat(1.326698e-3F);

    p = p * f + 9.6754694e-3F;
    p = p * f + 5.5507427e-2F;
    p = p * f + 2.4022122e-1F;
    p = p * f + 6.9314695e-1F;
    p = p * f + 1.0F;
    return (vec)((ivec)p + ((ivec)whole << 23));
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
    vec squared = u * u;
    vec p = splat(terms[0]); /* of even powers */
    vec q = splat(terms[1]); /* of odd ones: two chains, since each waits for its own */

    for (size_t i = 2; i < sizeof(terms) / sizeof(terms[0]); i += 2)
        p = p * squared + terms[i];
    for (size_t i = 3; i < sizeof(terms) / sizeof(terms[0]); i += 2)
        q = q * squared + terms[i];
    p = q * u + p;
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

/* What was left out of a row times WIDTH columns of its weights, but for the columns' scale. They
 * lie from weights on, but for the row's place. */
static inline vec left_out(const int8_t *weights, size_t at, float value)
{
    const size_t place = at % 4;
    uvec four; /* the weights of 4 k of each column */

    memcpy(&four, weights + (at - place) * PANEL, sizeof(four));
    return __builtin_convertvector((ivec)(four << (24 - 8 * (uint32_t)place)) >> 24, vec) * value;
}

/* WIDTH columns, or the last n, of all rows of a tile, from the tile's column i on. What lies
 * behind the pointers is read into locals first: the compiler cannot know that y is not there. */
static inline __attribute__((always_inline)) void finish_columns(const struct tars_finish *f,
                                                                 const struct tars_tile *tile,
                                                                 size_t i, size_t n, bool has_gelu)
{
    const size_t column = tile->column + i;
    const size_t n_all = f->n;
    const size_t step = tile->step;
    const size_t rows = tile->rows;
    const size_t k = f->weights ? f->k : 0; /* the first place that is none */
    const int8_t *weights =
        k ? f->weights + column / PANEL * f->panel_bytes + column % PANEL * 4 : NULL;
    const struct tars_quantised *how = f->rows + tile->first;
    const int32_t *sums = tile->sums + i;
    float *y = f->y + tile->first * n_all + column;
    const vec scale = load_part(f->scale + column, n, 0);
    const vec sum = load_part(f->sum + column, n, 0);
    const vec bias = load_part(f->bias + column, n, 0);

    for (size_t r = 0; r < rows; r++, how++, sums += step, y += n_all) {
        vec v = __builtin_convertvector(load_sums(sums, n), vec) * how->scale;

        if (how->place < k)
            v += left_out(weights, how->place, how->value);
        v = v * scale + (sum * how->zero + bias);
        if (has_gelu)
            v = gelu_of(v);
        store_part(y, v, n);
    }
}

static void finish(const struct tars_finish *f, const struct tars_tile *tile)
{
    const size_t columns = tile->columns;
    const bool has_gelu = f->has_gelu;
    size_t i = 0;

    if (has_gelu) {
        for (; i + WIDTH <= columns; i += WIDTH)
            finish_columns(f, tile, i, WIDTH, true);
    } else {
        for (; i + WIDTH <= columns; i += WIDTH)
            finish_columns(f, tile, i, WIDTH, false);
    }
    if (i < columns)
        finish_columns(f, tile, i, columns - i, has_gelu);
}

/* What a row of floats has in it. */
struct extent {
    float least, greatest;
    float squares; /* their sum */
};

static inline struct extent extent_of(const float *row, size_t n)
{
    vec most[2] = {splat(row[0]), splat(row[0])};
    vec least[2] = {splat(row[0]), splat(row[0])};
    vec squares[2] = {splat(0), splat(0)};
    size_t i = 0;

    for (; i + 2 * WIDTH <= n; i += 2 * WIDTH) {
        for (size_t j = 0; j < 2; j++) {
            vec v = load(row + i + j * WIDTH);

            most[j] = greater(v, most[j]);
            least[j] = lesser(v, least[j]);
            squares[j] += v * v;
        }
    }
    for (; i < n; i += WIDTH) {
        const size_t part = n - i < WIDTH ? n - i : WIDTH;
        vec v = load_part(row + i, part, row[0]);

        most[0] = greater(v, most[0]);
        least[0] = lesser(v, least[0]);
        v = load_part(row + i, part, 0);
        squares[0] += v * v;
    }
    return (struct extent){.least = -greatest_of(-lesser(least[0], least[1])),
                           .greatest = greatest_of(greater(most[0], most[1])),
                           .squares = sum_of(squares[0] + squares[1])};
}

static size_t farthest(const float *row, size_t n)
{
    size_t best = 0;

    for (size_t i = 1; i < n; i++)
        best = fabsf(row[i]) > fabsf(row[best]) ? i : best;
    return best;
}

static void to_steps(const float *row, size_t n, float least, float inverse, uint8_t *out)
{
    const float to_int = 12582912.0F;
    size_t i = 0;

    for (; i + WIDTH <= n; i += WIDTH) {
        vec steps = (load(row + i) - least) * inverse + to_int;
        bytes packed = lowest_bytes((ivec)steps);

        memcpy(out + i, &packed, sizeof(packed));
    }
    for (; i < n; i++)
        out[i] = (uint8_t)((row[i] - least) * inverse + 0.5F);
}

static void quantise(float *row, size_t n, int levels, float limit, uint8_t *out,
                     struct tars_quantised *how)
{
    struct extent extent = extent_of(row, n);
    float range = extent.greatest - extent.least;
    size_t place = n;
    float value = 0;

    if (range * range * (float)n > limit * limit * extent.squares && limit > 0) {
        place = farthest(row, n);
        value = row[place];
        row[place] = 0;
        extent = extent_of(row, n);
        range = extent.greatest - extent.least;
    }
    /* A row of equal numbers is all zero, and zero says what they are. */
    to_steps(row, n, extent.least, range > 0 ? (float)levels / range : 0.0F, out);
    *how = (struct tars_quantised){
        .scale = range / (float)levels, .zero = extent.least, .place = place};
    if (place < n) {
        row[place] = value;
        how->value = value - ((float)out[place] * how->scale + how->zero);
    }
}

static void to_bf16(const float *row, size_t n, uint16_t *out)
{
    for (size_t i = 0; i < n; i += WIDTH) {
        size_t part = n - i < WIDTH ? n - i : WIDTH;
        uvec bits = (uvec)load_part(row + i, part, 0.0F);
        halves packed = lower_halves((bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16);

        memcpy(out + i, &packed, part * sizeof(*out));
    }
}

static void gelu(float *row, size_t n)
{
    size_t i = 0;

    for (; i + WIDTH <= n; i += WIDTH)
        store(row + i, gelu_of(load(row + i)));
    if (i < n)
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
    if (i < n)
        sums += load_part(x + i, n - i, 0.0F);
    mean = sum_of(sums) / (float)n;
    for (i = 0; i + WIDTH <= n; i += WIDTH) {
        vec d = load(x + i) - mean;

        squares += d * d;
    }
    if (i < n) {
        vec d = load_part(x + i, n - i, mean) - mean;

        squares += d * d;
    }
    factor = 1.0F / sqrtf(sum_of(squares) / (float)n + eps);
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
 *     keys (head_dim, wide)   values (tokens, deep)   queries (ROWS, head_dim)
 *     scores (ROWS, wide), to the base 2
 */

#define AHEAD       ((size_t)12) /* tokens */
#define LINE_FLOATS 16           /* of a cache line */

struct head {
    size_t tokens, dim;
    size_t wide;     /* tokens, rounded up to TILE */
    size_t deep;     /* dim, rounded up to TILE */
    float *keys;     /* (dim, wide) */
    float *values;   /* (tokens, deep) */
    float *queries;  /* (ROWS, dim), for fewer than ROWS */
    float *scores;   /* (ROWS, wide) */
    float *weighted; /* (ROWS, deep), for fewer than ROWS or a dim that is no whole tiles */
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

/* What the head needs of a token, on its way to the cache: rows of qkv lie too far apart for the
 * processor to guess the next. */
static inline void fetch_token(const struct head *h, const float *qkv, size_t hidden)
{
    for (size_t part = 0; part < 3; part++) {
        for (size_t d = 0; d < h->dim; d += LINE_FLOATS)
            __builtin_prefetch(qkv + part * hidden + d);
    }
}

/* Token t's key into its column of keys, its value into its row of values. */
static inline void pack_token(const struct head *h, size_t t, const float *key, const float *value)
{
    float *to = h->values + t * h->deep;
    size_t d = 0;

    for (; d + WIDTH <= h->dim; d += WIDTH)
        store(to + d, load(value + d));
    for (; d < h->deep; d++)
        to[d] = d < h->dim ? value[d] : 0;
    for (d = 0; d < h->dim; d++)
        h->keys[d * h->wide + t] = key[d];
}

static void pack_head(const struct head *h, const float *qkv, size_t hidden)
{
    for (size_t t = 0; t < h->tokens && t < AHEAD; t++)
        fetch_token(h, qkv + t * 3 * hidden, hidden);
    for (size_t t = 0; t < h->tokens; t++) {
        const float *key = qkv + t * 3 * hidden + hidden;

        if (t + AHEAD < h->tokens)
            fetch_token(h, qkv + (t + AHEAD) * 3 * hidden, hidden);
        pack_token(h, t, key, key + hidden);
    }
    for (size_t d = 0; d < h->dim && h->tokens < h->wide; d++)
        memset(h->keys + d * h->wide + h->tokens, 0, (h->wide - h->tokens) * sizeof(float));
}

/* Rows that lie step floats apart. */
struct rows {
    float *at;
    size_t step;
};

/* out (ROWS, columns) = factors * left (ROWS, inner) * right (inner, columns); columns are whole
 * tiles. */
static void multiply(const float *left, size_t left_step, const float *right, size_t inner,
                     size_t columns, const float *factors, struct rows out)
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
            store(out.at + r * out.step + c, sums[r][0] * factors[r]);
            store(out.at + r * out.step + c + WIDTH, sums[r][1] * factors[r]);
        }
    }
}

/* Scores to 2^(score - greatest); returns one over their sum. */
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
        vec e = exp2_of(load(scores + i) - most);

        store(scores + i, e);
        sums += e;
    }
    return 1.0F / sum_of(sums);
}

/* The queries of ROWS tokens, or of the last few. */
static void attend_rows(const struct head *h, const float *qkv, size_t hidden, size_t rows,
                        float *out)
{
    const bool is_whole = rows == ROWS;
    const bool is_direct = is_whole && h->deep == h->dim;
    const float scale = 1.44269504F / sqrtf((float)h->dim); /* to the base 2 */
    float factors[KERNELS_ROWS];

    for (size_t r = 0; r < ROWS && !is_whole; r++) {
        if (r < rows) {
            memcpy(h->queries + r * h->dim, qkv + r * 3 * hidden, h->dim * sizeof(float));
        } else {
            memset(h->queries + r * h->dim, 0, h->dim * sizeof(float));
        }
    }
    for (size_t r = 0; r < ROWS; r++)
        factors[r] = scale;
    multiply(is_whole ? qkv : h->queries, is_whole ? 3 * hidden : h->dim, h->keys, h->dim, h->wide,
             factors, (struct rows){h->scores, h->wide});
    for (size_t r = 0; r < ROWS; r++)
        factors[r] = r < rows ? soften(h->scores + r * h->wide, h->tokens, h->wide) : 0;
    multiply(h->scores, h->wide, h->values, h->tokens, h->deep, factors,
             is_direct ? (struct rows){out, hidden} : (struct rows){h->weighted, h->deep});
    for (size_t r = 0; r < rows && !is_direct; r++)
        memcpy(out + r * hidden, h->weighted + r * h->deep, h->dim * sizeof(float));
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
    .finish = finish,
    .quantise = quantise,
    .to_bf16 = to_bf16,
    .gelu = gelu,
    .layer_norm = layer_norm,
    .attention = attention,
    .scratch_floats = scratch_floats,
};
