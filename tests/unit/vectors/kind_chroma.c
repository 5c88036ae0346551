/* kind_chroma - a collection of ChromaDB: 1.x by way of the v2 API, and 0.5.x by way of v1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem/arena.h"
#include "kinds.h"
#include "net/client.h"
#include "support/chroma_server.h"
#include "vectors/chroma.h"
#include "vectors/vectors_chroma.h"

#define COLLECTION "tars_documents"
#define BATCH      2000
/* More windows than it keeps outside of its graph; twice as many take twice the time. */
#define SOME 180
#define FEW  140 /* for one that takes four times the time */

static struct chroma_server server;
static struct tars_client *client;

static void start_version(const char *version)
{
    const struct tars_client_config config = {0};

    chroma_server_open(&server, version, "");
    assert_int_equal(tars_client_global_init(), TARS_OK);
    assert_int_equal(tars_client_new(&config, &client), TARS_OK);
}

static void start_v2(void)
{
    start_version("1.5.9");
}

static void start_v1(void)
{
    start_version("0.5.23");
}

static void stop(void)
{
    tars_client_free(client);
    tars_client_global_cleanup();
    chroma_server_close(&server);
}

static struct tars_chroma *connect_to(void)
{
    const struct tars_chroma_config config = {
        .client = client, .url = server.url, .batch_rows = BATCH};
    struct tars_chroma *chroma = NULL;

    assert_int_equal(tars_chroma_new(&config, &chroma, NULL), TARS_OK);
    return chroma;
}

static void clear(void)
{
    struct tars_chroma *chroma = connect_to();
    struct tars_err err = {{0}};
    tars_status status = tars_chroma_drop(chroma, COLLECTION, &err);

    if (status != TARS_OK && status != TARS_ENOTFOUND)
        fail_msg("%s", err.text);
    tars_chroma_free(chroma);
}

static struct tars_vectors *open_it(void)
{
    const struct tars_vectors_chroma_config config = {
        .chroma = connect_to(), .collection = COLLECTION, .query_ms = 20000};
    struct tars_vectors *vectors = NULL;

    assert_int_equal(tars_vectors_chroma_open(&config, &vectors, NULL), TARS_OK);
    return vectors;
}

static void kill_it(void)
{
    chroma_server_do(&server, "kill");
}

static void revive(void)
{
    chroma_server_do(&server, "restart");
}

static void damage(void)
{
    struct tars_chroma *chroma = connect_to();
    struct tars_chroma_collection collection;
    struct tars_arena arena;

    tars_arena_init(&arena, (size_t)1 << 20);
    assert_int_equal(tars_chroma_find(chroma, COLLECTION, &arena, &collection, NULL), TARS_OK);
    assert_int_equal(tars_chroma_delete(chroma, collection.id, "{\"passage\":{\"$eq\":5}}", NULL),
                     TARS_OK);
    tars_arena_release(&arena);
    tars_chroma_free(chroma);
}

const struct kind kind_chroma_v2 = {.name = "chroma 1.x",
                                    .passages = SOME,
                                    .start = start_v2,
                                    .stop = stop,
                                    .clear = clear,
                                    .open = open_it,
                                    .kill = kill_it,
                                    .revive = revive,
                                    .damage = damage};

const struct kind kind_chroma_v1 = {.name = "chroma 0.5.x",
                                    .passages = FEW,
                                    .start = start_v1,
                                    .stop = stop,
                                    .clear = clear,
                                    .open = open_it,
                                    .kill = kill_it,
                                    .revive = revive,
                                    .damage = damage};
