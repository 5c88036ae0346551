/* postgres - see postgres.h for the contract. */
#include "app/postgres.h"

struct tars_pg_pool_config tars_postgres_config(const struct tars_settings *settings)
{
    return (struct tars_pg_pool_config){
        .server =
            {
                .host = tars_settings_text(settings, TARS_SET_POSTGRES_HOST),
                .port = (uint16_t)tars_settings_int(settings, TARS_SET_POSTGRES_PORT),
                .database = tars_settings_text(settings, TARS_SET_POSTGRES_DB),
                .user = tars_settings_text(settings, TARS_SET_POSTGRES_USER),
                .password = tars_settings_text(settings, TARS_SET_POSTGRES_PASSWORD),
                .sslmode = tars_settings_text(settings, TARS_SET_POSTGRES_SSLMODE),
                .sslrootcert = tars_settings_text(settings, TARS_SET_POSTGRES_SSLROOTCERT),
                .sslcert = tars_settings_text(settings, TARS_SET_POSTGRES_SSLCERT),
                .sslkey = tars_settings_text(settings, TARS_SET_POSTGRES_SSLKEY),
                .application = "tars",
                .timeout_ms = tars_settings_int(settings, TARS_SET_POSTGRES_TIMEOUT_MS),
                .statement_timeout_ms =
                    tars_settings_int(settings, TARS_SET_POSTGRES_STATEMENT_TIMEOUT_MS),
            },
        .size = (size_t)tars_settings_int(settings, TARS_SET_POSTGRES_POOL_SIZE),
        .overflow = (size_t)tars_settings_int(settings, TARS_SET_POSTGRES_MAX_OVERFLOW),
        .hang_ms = tars_settings_int(settings, TARS_SET_POSTGRES_PING_TIMEOUT_MS),
    };
}
