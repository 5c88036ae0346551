/* distance - see distance.h. */
#include "index/distance.h"

#include <math.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define HAVE_X86 1
#endif

/* ------------------------------------------------------------------- scalar */

static int32_t dot_codes_scalar(const int8_t *a, const int8_t *b, size_t stride, int32_t sum_b)
{
    int32_t sum = 0;

    (void)sum_b;
    for (size_t i = 0; i < stride; i++)
        sum += (int32_t)a[i] * b[i];
    return sum;
}

static float dot_scalar(const float *a, const float *b, size_t dim)
{
    float sum = 0;

    for (size_t i = 0; i < dim; i++)
        sum += a[i] * b[i];
    return sum;
}

static const struct tars_distance scalar = {"scalar", dot_codes_scalar, dot_scalar};

/* ---------------------------------------------------------------------- x86 */

#ifdef HAVE_X86
__attribute__((target("avx2"))) static int32_t add_lanes(__m256i sum)
{
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));

    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1));
    return _mm_cvtsi128_si32(half);
}

/* Bytes are multiplied as |a| * (b with the sign of a), unsigned by signed; two products fit into
 * 16 bits, as codes are within -127 and 127. */
__attribute__((target("avx2"))) static int32_t dot_codes_avx2(const int8_t *a, const int8_t *b,
                                                              size_t stride, int32_t sum_b)
{
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sums[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};

    (void)sum_b;
    for (size_t i = 0; i < stride; i += 64) {
        for (size_t half = 0; half < 2; half++) {
            __m256i x = _mm256_loadu_si256((const __m256i *)(a + i + half * 32));
            __m256i y = _mm256_loadu_si256((const __m256i *)(b + i + half * 32));
            __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(x), _mm256_sign_epi8(y, x));

            sums[half] = _mm256_add_epi32(sums[half], _mm256_madd_epi16(pairs, ones));
        }
    }
    return add_lanes(_mm256_add_epi32(sums[0], sums[1]));
}

__attribute__((target("avx2,fma"))) static float dot_avx2(const float *a, const float *b,
                                                          size_t dim)
{
    __m256 sums[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
    float lanes[8];
    float sum = 0;
    size_t i = 0;

    for (; i + 16 <= dim; i += 16) {
        sums[0] = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), sums[0]);
        sums[1] = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), sums[1]);
    }
    _mm256_storeu_ps(lanes, _mm256_add_ps(sums[0], sums[1]));
    for (size_t lane = 0; lane < 8; lane++)
        sum += lanes[lane];
    for (; i < dim; i++)
        sum += a[i] * b[i];
    return sum;
}

static const struct tars_distance avx2 = {"avx2", dot_codes_avx2, dot_avx2};

#define VNNI "avx512f,avx512bw,avx512vl,avx512vnni"

__attribute__((target(VNNI))) static int32_t dot_codes_vnni(const int8_t *a, const int8_t *b,
                                                            size_t stride, int32_t sum_b)
{
    const __m512i flip = _mm512_set1_epi8((char)0x80);
    __m512i even = _mm512_setzero_si512();
    __m512i odd = _mm512_setzero_si512();
    size_t i = 0;

    for (; i + 128 <= stride; i += 128) {
        even = _mm512_dpbusd_epi32(even, _mm512_xor_si512(_mm512_loadu_si512(a + i), flip),
                                   _mm512_loadu_si512(b + i));
        odd = _mm512_dpbusd_epi32(odd, _mm512_xor_si512(_mm512_loadu_si512(a + i + 64), flip),
                                  _mm512_loadu_si512(b + i + 64));
    }
    if (i < stride) {
        even = _mm512_dpbusd_epi32(even, _mm512_xor_si512(_mm512_loadu_si512(a + i), flip),
                                   _mm512_loadu_si512(b + i));
    }
    /* Unsigned, because a damaged sum may be anything. */
    return (int32_t)((uint32_t)_mm512_reduce_add_epi32(_mm512_add_epi32(even, odd)) -
                     128U * (uint32_t)sum_b);
}

static const struct tars_distance vnni = {"avx512-vnni", dot_codes_vnni, dot_avx2};
static const struct tars_distance *const from_vnni[] = {&vnni, &avx2, &scalar};

static size_t usable_from(void)
{
    bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");

    if (has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni"))
        return 0;
    return has_avx2 ? 1 : 2;
}

const struct tars_distance *const *tars_distance_all(size_t *count)
{
    size_t from = usable_from();

    *count = sizeof(from_vnni) / sizeof(from_vnni[0]) - from;
    return from_vnni + from;
}
#else
static const struct tars_distance *const only_scalar[] = {&scalar};

const struct tars_distance *const *tars_distance_all(size_t *count)
{
    *count = 1;
    return only_scalar;
}
#endif

const struct tars_distance *tars_distance_best(void)
{
    size_t count;

    return tars_distance_all(&count)[0];
}

/* -------------------------------------------------------------------- codes */

bool tars_distance_quantise(const float *vector, size_t dim, int8_t *codes, float *scale,
                            int32_t *sum)
{
    float greatest = 0;
    float inverse;
    int32_t total = 0;

    for (size_t i = 0; i < dim; i++) {
        if (!isfinite(vector[i]))
            return false;
        greatest = fmaxf(greatest, fabsf(vector[i]));
    }
    inverse = greatest > 1e-30F ? 127.0F / greatest : 0;
    memset(codes, 0, tars_distance_stride(dim));
    for (size_t i = 0; i < dim; i++) {
        codes[i] = (int8_t)lrintf(vector[i] * inverse);
        total += codes[i];
    }
    *scale = inverse > 0 ? greatest / 127.0F : 0;
    *sum = total;
    return true;
}
