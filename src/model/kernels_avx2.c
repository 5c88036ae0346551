/* kernels_avx2 - the kernels with vectors of 8 floats; see kernels_body.h. */
#if defined(__x86_64__)
#define KERNELS_WIDTH 8
#define KERNELS_ROWS  6
#define KERNELS_NAME  "avx2"
#define KERNELS_TABLE tars_kernels_avx2
#include "model/kernels_body.h"
#endif
