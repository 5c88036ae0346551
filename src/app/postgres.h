/* postgres - POSTGRES_* of the settings, as the pool takes them, and whether they work. */
#ifndef TARS_APP_POSTGRES_H
#define TARS_APP_POSTGRES_H

#include "app/settings.h"
#include "store/postgres_pool.h"

/* Its texts are lent by settings. */
struct tars_pg_pool_config tars_postgres_config(const struct tars_settings *settings);

#endif
