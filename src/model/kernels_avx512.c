/* kernels_avx512 - the kernels with vectors of 16 floats; see kernels_body.h. */
#if defined(__x86_64__)
#define KERNELS_WIDTH 16
#define KERNELS_ROWS  8
#define KERNELS_NAME  "avx512"
#define KERNELS_TABLE tars_kernels_avx512
#include "model/kernels_body.h"
#endif
