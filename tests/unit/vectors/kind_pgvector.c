/* kind_pgvector - a PostgreSQL that has pgvector (tests/support/pgvector), on a free port. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kinds.h"
#include "support/postgres.h"
#include "vectors/vectors_pgvector.h"

#define PATIENCE_MS 60000 /* for machines that are busy */

static struct postgres server;

static void start(void)
{
    postgres_open(&server, "--vectors", "yes");
}

static void stop(void)
{
    postgres_close(&server);
}

static void clear(void)
{
    postgres_do(&server, "query tars_analytics DROP SCHEMA IF EXISTS tars_vectors CASCADE");
}

static struct tars_vectors *open_with(bool is_pooled)
{
    struct tars_vectors_pgvector_config config = {
        .pool = {.server = postgres_config(&server, "tars_analytics"), .size = 2},
        .search_ms = PATIENCE_MS};
    struct tars_vectors *vectors = NULL;

    config.pool.server.is_pooled = is_pooled;
    assert_int_equal(tars_vectors_pgvector_open(&config, &vectors, NULL), TARS_OK);
    return vectors;
}

static struct tars_vectors *open_it(void)
{
    return open_with(false);
}

static struct tars_vectors *open_pooled(void)
{
    return open_with(true);
}

static void kill_it(void)
{
    postgres_do(&server, "kill");
}

static void revive(void)
{
    postgres_do(&server, "start");
}

static void damage(void)
{
    postgres_do(&server, "query tars_analytics DELETE FROM tars_vectors.windows "
                         "WHERE passage = 7");
}

const struct kind kind_pgvector = {.name = "pgvector",
                                   .passages = 300,
                                   .start = start,
                                   .clear = clear,
                                   .open = open_it,
                                   .kill = kill_it,
                                   .revive = revive,
                                   .damage = damage};

/* As through a pooler: nothing is left in a session. */
const struct kind kind_pgvector_pooled = {.name = "pgvector, pooled",
                                          .passages = 300,
                                          .stop = stop,
                                          .clear = clear,
                                          .open = open_pooled,
                                          .is_variant = true};
