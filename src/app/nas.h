/* nas - the watched folder in numbers: tars_service_ops.nas. */
#ifndef TARS_APP_NAS_H
#define TARS_APP_NAS_H

#include "api/service.h"

/* ctx is a struct tars_service *. */
void tars_nas(void *ctx, struct tars_nas_view *view);

#endif
