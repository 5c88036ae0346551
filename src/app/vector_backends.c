/* vector_backends - see vector_backends.h. */
#include "app/vector_backends.h"

#include <string.h>

#include "app/chromas.h"
#include "app/postgres.h"
#include "app/stores.h"
#include "vectors/vectors.h"
#include "vectors/vectors_pgvector.h"

static const char *backend_of(const struct tars_settings *settings)
{
    return tars_settings_text(settings, TARS_SET_VECTOR_BACKEND);
}

bool tars_vector_backends_is_elsewhere(const struct tars_settings *settings)
{
    return strcmp(backend_of(settings), "embedded") != 0;
}

struct tars_pg_pool_config tars_vector_backends_postgres(const struct tars_settings *settings)
{
    struct tars_pg_pool_config config = tars_postgres_config(settings);
    const char *database = tars_settings_text(settings, TARS_SET_VECTOR_DB);
    const char *host = tars_settings_text(settings, TARS_SET_VECTOR_HOST);
    const char *user = tars_settings_text(settings, TARS_SET_VECTOR_USER);
    const char *password = tars_settings_text(settings, TARS_SET_VECTOR_PASSWORD);

    if (database[0]) {
        config.server.database = database;
    } else if (tars_stores_is_postgres(settings)) {
        config.server.database = tars_stores_postgres(settings).pool.server.database;
    }
    if (host[0]) {
        config.server.host = host;
        config.server.port = (uint16_t)tars_settings_int(settings, TARS_SET_VECTOR_PORT);
    }
    if (user[0])
        config.server.user = user;
    if (password[0])
        config.server.password = password;
    config.server.is_pooled = tars_settings_flag(settings, TARS_SET_STORE_POOLER);
    config.server.application = "tars-vectors";
    return config;
}

static tars_status open_pgvector(const struct tars_settings *settings,
                                 struct tars_vectors **vectors, struct tars_err *err)
{
    const struct tars_vectors_pgvector_config config = {
        .pool = tars_vector_backends_postgres(settings),
        .search_ms = tars_settings_int(settings, TARS_SET_VECTOR_TIMEOUT_MS),
    };

    return tars_vectors_pgvector_open(&config, vectors, err);
}

tars_status tars_vector_backends_open(const struct tars_settings *settings,
                                      struct tars_vectors **vectors, struct tars_err *err)
{
    return strcmp(backend_of(settings), "chroma") == 0
               ? tars_chromas_open_vectors(settings, vectors, err)
               : open_pgvector(settings, vectors, err);
}

tars_status tars_vector_backends_check(struct tars_vectors *vectors, struct tars_err *err)
{
    struct tars_vectors_state state;

    if (strcmp(vectors->ops->name, "pgvector") == 0)
        return tars_vectors_pgvector_prepare(vectors, err);
    return vectors->ops->state(vectors, false, &state, err);
}
