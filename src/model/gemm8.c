/* gemm8 - see gemm8.h for the contract.
 *
 * A tile is up to 6 rows by one panel. Its 12 vectors of 16-bit sums stay in registers, its sums of
 * 32 bits in the first-level cache: kept in registers too they would leave room for 2 rows only,
 * and each weight would be read three times as often. The compiler spills such a tile, so the loop
 * is written in its instructions:
 *
 *     ymm0..11  16-bit sums, two vectors a row      ymm12, ymm13  weights of 4 k, 16 columns
 *     ymm14     4 activations of a row, repeated    ymm15         what is added
 */
#include "model/gemm8.h"

#include <string.h>

#define TILE_ROWS 6
#define VECTOR    8 /* sums of 32 bits in a vector */

size_t tars_gemm8_padded(size_t k)
{
    return (k + TARS_GEMM8_DEPTH - 1) / TARS_GEMM8_DEPTH * TARS_GEMM8_DEPTH;
}

static size_t panels(size_t n)
{
    return (n + TARS_GEMM8_COLUMNS - 1) / TARS_GEMM8_COLUMNS;
}

size_t tars_gemm8_packed_bytes(size_t k, size_t n)
{
    return tars_gemm8_padded(k) * panels(n) * TARS_GEMM8_COLUMNS;
}

void tars_gemm8_pack(const int8_t *column, size_t k_padded, size_t i, int8_t *packed)
{
    int8_t *to = packed + i / TARS_GEMM8_COLUMNS * TARS_GEMM8_COLUMNS * k_padded +
                 i % TARS_GEMM8_COLUMNS * 4;

    for (size_t k = 0; k < k_padded; k += 4)
        memcpy(to + k * TARS_GEMM8_COLUMNS, column + k, 4);
}

typedef int32_t tile[TILE_ROWS * TARS_GEMM8_COLUMNS];

/* Where the sums of a tile go: rows [first, first + rows) of panel p. */
static void put_tile(const struct tars_gemm8 *product, const int32_t *sums, size_t first,
                     size_t rows, size_t p)
{
    const size_t column = p * TARS_GEMM8_COLUMNS;
    const struct tars_tile made = {.sums = sums,
                                   .step = TARS_GEMM8_COLUMNS,
                                   .first = first,
                                   .rows = rows,
                                   .column = column,
                                   .columns = product->n - column < TARS_GEMM8_COLUMNS
                                                  ? product->n - column
                                                  : TARS_GEMM8_COLUMNS};

    if (!product->y) {
        product->finish(product->to, &made);
        return;
    }
    for (size_t r = 0; r < rows; r++) {
        memcpy(product->y + (first + r) * product->n + column, sums + r * TARS_GEMM8_COLUMNS,
               made.columns * sizeof(*sums));
    }
}

static int32_t sum_of(const struct tars_gemm8 *product, size_t row, size_t column)
{
    const uint8_t *x = product->x + row * product->k_padded;
    const int8_t *w = product->packed +
                      column / TARS_GEMM8_COLUMNS * TARS_GEMM8_COLUMNS * product->k_padded +
                      column % TARS_GEMM8_COLUMNS * 4;
    int32_t sum = 0;

    for (size_t k = 0; k < product->k_padded; k++)
        sum += x[k] * w[k / 4 * 4 * TARS_GEMM8_COLUMNS + k % 4];
    return sum;
}

void tars_gemm8_scalar(const struct tars_gemm8 *product)
{
    for (size_t r = 0; r < product->rows; r++) {
        for (size_t p = 0; p < panels(product->n); p++) {
            tile sums = {0};

            for (size_t i = 0; i < TARS_GEMM8_COLUMNS; i++)
                sums[i] = sum_of(product, r, p * TARS_GEMM8_COLUMNS + i);
            put_tile(product, sums, r, 1, p);
        }
    }
}

#if defined(__x86_64__)

bool tars_gemm8_has_avx2(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}

/* Where rows 0 to 5 are: x, its third row x3, and the step s between rows. */
#define AT0 "(%[x])"
#define AT1 "(%[x],%[s])"
#define AT2 "(%[x],%[s],2)"
#define AT3 "(%[x3])"
#define AT4 "(%[x3],%[s])"
#define AT5 "(%[x3],%[s],2)"

/* The same weights of the next panel, on their way to the cache. */
#define AHEAD_0
#define AHEAD_1                         \
    "prefetcht0 (%[w],%[ahead])\n\t"    \
    "prefetcht0 64(%[w],%[ahead])\n\t"  \
    "prefetcht0 128(%[w],%[ahead])\n\t" \
    "prefetcht0 192(%[w],%[ahead])\n\t"

#define WEIGHTS(a, b) "vmovdqa " a "(%[w]), %%ymm12\n\tvmovdqa " b "(%[w]), %%ymm13\n\t"

/* The products of 4 k of a row; sums are vectors a and b. */
#define FIRST(k, at, a, b, to_a, to_b)            \
    "vpbroadcastd " k at ", %%ymm14\n\t"          \
    "vpmaddubsw %%ymm12, %%ymm14, %%ymm" a "\n\t" \
    "vpmaddubsw %%ymm13, %%ymm14, %%ymm" b "\n\t"
#define NEXT(k, at, a, b, to_a, to_b)            \
    "vpbroadcastd " k at ", %%ymm14\n\t"         \
    "vpmaddubsw %%ymm12, %%ymm14, %%ymm15\n\t"   \
    "vpmaddubsw %%ymm13, %%ymm14, %%ymm14\n\t"   \
    "vpaddw %%ymm15, %%ymm" a ", %%ymm" a "\n\t" \
    "vpaddw %%ymm14, %%ymm" b ", %%ymm" b "\n\t"
/* The same, and the sums go to the tile. ones: where sixteen of them are; with 6 rows no register
 * is left for them. */
#define LAST_BY(ones, k, at, a, b, to_a, to_b)          \
    NEXT(k, at, a, b, to_a, to_b)                       \
    "vpmaddwd " ones ", %%ymm" a ", %%ymm" a "\n\t"     \
    "vpmaddwd " ones ", %%ymm" b ", %%ymm" b "\n\t"     \
    "vpaddd " to_a "(%[t]), %%ymm" a ", %%ymm" a "\n\t" \
    "vpaddd " to_b "(%[t]), %%ymm" b ", %%ymm" b "\n\t" \
    "vmovdqa %%ymm" a ", " to_a "(%[t])\n\t"            \
    "vmovdqa %%ymm" b ", " to_b "(%[t])\n\t"

#define LAST(k, at, a, b, to_a, to_b)  LAST_BY("%%ymm11", k, at, a, b, to_a, to_b)
#define LAST6(k, at, a, b, to_a, to_b) LAST_BY("%[ones]", k, at, a, b, to_a, to_b)

#define ZERO(k, at, a, b, to_a, to_b) \
    "vmovdqa %%ymm0, " to_a "(%[t])\n\tvmovdqa %%ymm0, " to_b "(%[t])\n\t"

#define ROWS1(DO, k) DO(k, AT0, "0", "1", "0", "32")
#define ROWS2(DO, k) ROWS1(DO, k) DO(k, AT1, "2", "3", "64", "96")
#define ROWS3(DO, k) ROWS2(DO, k) DO(k, AT2, "4", "5", "128", "160")
#define ROWS4(DO, k) ROWS3(DO, k) DO(k, AT3, "6", "7", "192", "224")
#define ROWS5(DO, k) ROWS4(DO, k) DO(k, AT4, "8", "9", "256", "288")
#define ROWS6(DO, k) ROWS5(DO, k) DO(k, AT5, "10", "11", "320", "352")

/* One tile: sums (rows, 16) = x (rows, k) * panel. */
/* A line a step. */
/* clang-format off */
#define TILE(ROWS, AHEAD, LAST)                                                                         \
    static void tile_##ROWS##AHEAD(const uint8_t *x, size_t step, const int8_t *w, void *sums)       \
    {                                                                                         \
        static const int16_t ones[16]                                                         \
            __attribute__((aligned(32))) = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};  \
        const uint8_t *x3 = x + 3 * step;                                                     \
        const size_t ahead = step * TARS_GEMM8_COLUMNS;\
        size_t count = step / TARS_GEMM8_DEPTH;                                               \
                                                                                              \
        __asm__ volatile(                                                                     \
            "vpxor %%xmm0, %%xmm0, %%xmm0\n\t" ROWS(ZERO, "") "vmovdqa %[ones], %%ymm11\n\t"                                 \
            ".p2align 5\n"                                                                    \
            "1:\n\t" AHEAD WEIGHTS("0", "32") ROWS(FIRST, "0")                                      \
            WEIGHTS("64", "96") ROWS(NEXT, "4")                                               \
            WEIGHTS("128", "160") ROWS(NEXT, "8")                                             \
            WEIGHTS("192", "224") ROWS(LAST, "12")                                            \
            "add $16, %[x]\n\t"                                                               \
            "add $16, %[x3]\n\t"                                                              \
            "add $256, %[w]\n\t"                                                              \
            "dec %[count]\n\t"                                                                \
            "jnz 1b\n\t"                                                                      \
            "vzeroupper"                                                                      \
            : [x] "+r"(x), [x3] "+r"(x3), [w] "+r"(w), [count] "+r"(count)                    \
            : [s] "r"(step), [t] "r"(sums), [ahead] "r"(ahead), [ones] "m"(*(const int16_t(*)[16])ones)           \
            : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", \
              "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");          \
    }
/* clang-format on */

TILE(ROWS1, AHEAD_0, LAST)
TILE(ROWS1, AHEAD_1, LAST)
TILE(ROWS2, AHEAD_0, LAST)
TILE(ROWS2, AHEAD_1, LAST)
TILE(ROWS3, AHEAD_0, LAST)
TILE(ROWS3, AHEAD_1, LAST)
TILE(ROWS4, AHEAD_0, LAST)
TILE(ROWS4, AHEAD_1, LAST)
TILE(ROWS5, AHEAD_0, LAST)
TILE(ROWS5, AHEAD_1, LAST)
TILE(ROWS6, AHEAD_0, LAST6)
TILE(ROWS6, AHEAD_1, LAST6)

/* Rows [first, first + rows) of panel p. */
static void run_tile(const struct tars_gemm8 *product, size_t first, size_t rows, size_t p)
{
    static void (*const tiles[2][TILE_ROWS])(const uint8_t *, size_t, const int8_t *, void *) = {
        {tile_ROWS1AHEAD_0, tile_ROWS2AHEAD_0, tile_ROWS3AHEAD_0, tile_ROWS4AHEAD_0,
         tile_ROWS5AHEAD_0, tile_ROWS6AHEAD_0},
        {tile_ROWS1AHEAD_1, tile_ROWS2AHEAD_1, tile_ROWS3AHEAD_1, tile_ROWS4AHEAD_1,
         tile_ROWS5AHEAD_1, tile_ROWS6AHEAD_1}};
    const size_t ahead = first == 0;
    tile sums __attribute__((aligned(32)));

    tiles[ahead][rows - 1](product->x + first * product->k_padded, product->k_padded,
                           product->packed + p * TARS_GEMM8_COLUMNS * product->k_padded, sums);
    put_tile(product, sums, first, rows, p);
}

/* A panel stays in the first-level cache while all rows pass it. Rows are shared out evenly among
 * the fewest tiles: 16 are 6, 5 and 5. */
void tars_gemm8_avx2(const struct tars_gemm8 *product)
{
    const size_t tiles = (product->rows + TILE_ROWS - 1) / TILE_ROWS;

    for (size_t p = 0; p < panels(product->n); p++) {
        for (size_t t = 0; t < tiles; t++) {
            size_t first = t * product->rows / tiles;

            run_tile(product, first, (t + 1) * product->rows / tiles - first, p);
        }
    }
}

#else

bool tars_gemm8_has_avx2(void)
{
    return false;
}

void tars_gemm8_avx2(const struct tars_gemm8 *product)
{
    tars_gemm8_scalar(product);
}

#endif
