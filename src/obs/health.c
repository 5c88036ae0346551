/* health - see health.h for the contract. */
#include "obs/health.h"

#include <string.h>

tars_status tars_health_add(struct tars_health *health, const struct tars_health_part *part)
{
    if (health->count == TARS_HEALTH_PARTS_MAX)
        return TARS_ETOOBIG;
    health->parts[health->count++] = *part;
    return TARS_OK;
}

tars_status tars_health_check(const struct tars_health *health, const char *name,
                              struct tars_err *err)
{
    for (size_t i = 0; i < health->count; i++) {
        const struct tars_health_part *part = &health->parts[i];

        if (strcmp(part->name, name) == 0)
            return part->check ? part->check(part->ctx, err) : TARS_OK;
    }
    return tars_fail(TARS_ENOTFOUND, err, "no part is called %s", name);
}
