/* store_move - see store_move.h for the contract. */
#include "app/store_move.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/places.h"
#include "app/stores.h"
#include "base/codec/json_write.h"
#include "base/sys/clock.h"
#include "store/store_postgres.h"
#include "store/store_sqlite.h"
#include "store/transfer.h"

#define OUTPUT_MAX ((size_t)64 << 10)

struct move {
    struct tars_cli *cli;
    const char *data;
    struct tars_store *sqlite, *postgres;
    bool to_postgres;
    bool is_drawn; /* on a terminal */
    struct tars_store_sums sums;
};

static void show(void *ctx, int64_t files, int64_t total)
{
    const struct move *move = ctx;

    if (move->is_drawn)
        (void)fprintf(stderr, "\r\033[K%lld of %lld files", (long long)files, (long long)total);
}

/* The file locks the data folder, so the server needs no lock of its own there. */
static tars_status open_both(struct move *move, struct tars_err *err)
{
    const struct tars_store_sqlite_config sqlite = {.dir = move->data};
    struct tars_store_postgres_config postgres = tars_stores_postgres(move->cli->settings);
    tars_status status = tars_store_sqlite_open(&sqlite, &move->sqlite, err);

    return status ? status : tars_store_postgres_open(&postgres, &move->postgres, err);
}

/* The index beside a file that is filled now is of what it held before. */
static tars_status drop_index(void *ctx, struct tars_err *err)
{
    const struct move *move = ctx;
    char path[PATH_MAX];

    if (move->to_postgres)
        return TARS_OK;
    (void)snprintf(path, sizeof(path), "%s/index/index.tars", move->data);
    if (unlink(path) == 0 || access(path, F_OK) != 0)
        return TARS_OK;
    return tars_fail(TARS_EIO, err, "cannot remove %s, which is no longer true", path);
}

static tars_status run(struct move *move, struct tars_err *err)
{
    const struct tars_transfer_config config = {
        .from = move->to_postgres ? move->sqlite : move->postgres,
        .to = move->to_postgres ? move->postgres : move->sqlite,
        .now_us = tars_clock_wall_us(),
        .stop = tars_lifecycle_flag(move->cli->lifecycle),
        .progress = show,
        .begin = drop_index,
        .ctx = move,
    };
    tars_status status = tars_store_transfer(&config, &move->sums, err);

    if (move->is_drawn)
        (void)fputs("\r\033[K", stderr);
    return status;
}

static void print_json(const struct tars_store_sums *sums)
{
    struct tars_buf text;
    struct tars_json json;

    tars_buf_init(&text, OUTPUT_MAX);
    tars_json_init(&json, &text);
    tars_json_object(&json, NULL);
    tars_json_text(&json, "status", "success");
    tars_json_int(&json, "tenants", sums->tenants);
    tars_json_int(&json, "accounts", sums->accounts);
    tars_json_int(&json, "files", sums->files);
    tars_json_int(&json, "documents", sums->documents);
    tars_json_int(&json, "passages", sums->passages);
    tars_json_int(&json, "vectors", sums->vectors);
    tars_json_int(&json, "conversations", sums->conversations);
    tars_json_int(&json, "messages", sums->messages);
    tars_json_int(&json, "audit", sums->audit);
    tars_json_text(&json, "sha256", sums->sha256);
    tars_json_end(&json);
    printf("%s\n", text.status == TARS_OK ? text.ptr : "{}");
    tars_buf_release(&text);
}

static void print_text(const struct move *move)
{
    const struct tars_store_sums *sums = &move->sums;

    printf("%lld files, %lld documents, %lld passages, %lld vectors, %lld accounts, %lld "
           "conversations with %lld messages: the same in both, SHA-256 %.16s...\n"
           "Set STORE=%s now.\n",
           (long long)sums->files, (long long)sums->documents, (long long)sums->passages,
           (long long)sums->vectors, (long long)sums->accounts, (long long)sums->conversations,
           (long long)sums->messages, sums->sha256, move->to_postgres ? "postgres" : "sqlite");
}

int tars_store_move(struct tars_cli *cli, const char *from, const char *to)
{
    struct move move = {.cli = cli, .is_drawn = !cli->json && isatty(STDERR_FILENO)};
    struct tars_err err = {{0}};
    tars_status status;

    move.to_postgres = to && strcmp(to, "postgres") == 0;
    if (!from || !to || strcmp(from, move.to_postgres ? "sqlite" : "postgres") != 0 ||
        (!move.to_postgres && strcmp(to, "sqlite") != 0)) {
        tars_cli_complain("usage: tars migrate --from sqlite --to postgres, or the other way");
        return TARS_EXIT_USAGE;
    }
    status = tars_places_data(cli->settings, &cli->arena, &move.data, &err);
    if (status == TARS_OK)
        status = open_both(&move, &err);
    if (status == TARS_OK)
        status = run(&move, &err);
    tars_store_close(move.postgres);
    tars_store_close(move.sqlite);
    if (status != TARS_OK) {
        tars_cli_complain("%s", err.text);
        return tars_cli_exit(cli, status);
    }
    if (cli->json) {
        print_json(&move.sums);
    } else {
        print_text(&move);
    }
    return TARS_EXIT_OK;
}
