/* kernels_generic - the kernels with vectors of 4 floats; see kernels_body.h. */
#define KERNELS_WIDTH 4
#define KERNELS_ROWS  4
#define KERNELS_NAME  "generic"
#define KERNELS_TABLE tars_kernels_generic
#include "model/kernels_body.h"
