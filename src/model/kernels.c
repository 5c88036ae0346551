/* kernels - see kernels.h for the contract. */
#include "model/kernels.h"

#include "model/kernels_internal.h"

const struct tars_kernels *tars_kernels_at(size_t i)
{
    const struct tars_kernels *tables[4] = {0};
    size_t count = 0;

#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        tables[count++] = &tars_kernels_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        tables[count++] = &tars_kernels_avx2;
#endif
    tables[count++] = &tars_kernels_generic;
    return i < count ? tables[i] : NULL;
}

const struct tars_kernels *tars_kernels(void)
{
    return tars_kernels_at(0);
}
