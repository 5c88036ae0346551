/* kernels_internal - the tables, one a source file. Only kernels.c may look at those that the
 * processor might not run. */
#ifndef TARS_MODEL_KERNELS_INTERNAL_H
#define TARS_MODEL_KERNELS_INTERNAL_H

#include "model/kernels.h"

extern const struct tars_kernels tars_kernels_generic;
#if defined(__x86_64__)
extern const struct tars_kernels tars_kernels_avx2;
extern const struct tars_kernels tars_kernels_avx512;
#endif

#endif
