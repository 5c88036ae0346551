/* kernels - see kernels.h for the contract. */
#include "model/kernels.h"

#include <oneapi/dnnl/dnnl.h>
#include <stdbool.h>

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

#if defined(__x86_64__)
/* Whether DNNL_MAX_CPU_ISA lets the products be computed with the vectors of that table. */
static bool is_allowed(const struct tars_kernels *kernels)
{
    const int isa = (int)dnnl_get_effective_cpu_isa();
    const int avx512 = (int)dnnl_cpu_isa_avx512_core;
    const int avx2 = (int)dnnl_cpu_isa_avx2;

    if (kernels == &tars_kernels_avx512)
        return (isa & avx512) == avx512;
    return kernels != &tars_kernels_avx2 || (isa & avx2) == avx2;
}
#endif

const struct tars_kernels *tars_kernels(void)
{
    size_t i = 0;

#if defined(__x86_64__)
    while (!is_allowed(tars_kernels_at(i)))
        i++;
#endif
    return tars_kernels_at(i);
}
