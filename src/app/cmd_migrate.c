/* cmd_migrate - the tables of the log of questions in PostgreSQL: which changes they have had, and
 * those that are missing; and all of a store from one kind to another (store_move.h). The SQLite
 * files of the data folder bring themselves up to date. */
#include <stdio.h>
#include <string.h>

#include "analytics/sink_postgres.h"
#include "app/command.h"
#include "app/postgres.h"
#include "app/store_move.h"
#include "base/codec/json_write.h"
#include "store/migrate.h"

#define OUTPUT_MAX   ((size_t)1 << 20)
#define VERSION_STEP 10000

const struct tars_option tars_options_migrate[] = {
    {"from", 0, "KIND", NULL, "Move all documents and accounts: sqlite or postgres"},
    {"to", 0, "KIND", NULL, "Where to: postgres or sqlite"},
    {NULL, 0, NULL, NULL, NULL},
};

static void print_text(const struct tars_pg_config *server,
                       const struct tars_sink_postgres_look *look)
{
    printf("%s at %s:%u, PostgreSQL %d.%d, %s\n", look->database, server->host,
           (unsigned)server->port, look->server_version / VERSION_STEP,
           look->server_version % VERSION_STEP, look->encoding);
    for (const struct tars_migration *m = tars_migrations_postgres_analytics; m->version; m++)
        printf("  %-9s %s\n", m->version <= look->version ? "applied" : "pending", m->name);
    if (look->version > look->latest) {
        printf("The database has schema %d: a newer program made it.\n", look->version);
    } else if (look->version < look->latest) {
        printf("%d to apply: tars migrate apply\n", look->latest - look->version);
    } else {
        printf("Up to date.\n");
    }
}

static void print_json(const struct tars_pg_config *server,
                       const struct tars_sink_postgres_look *look, int applied)
{
    struct tars_buf text;
    struct tars_json json;

    tars_buf_init(&text, OUTPUT_MAX);
    tars_json_init(&json, &text);
    tars_json_object(&json, NULL);
    tars_json_text(&json, "host", server->host);
    tars_json_int(&json, "port", server->port);
    tars_json_text(&json, "database", look->database);
    tars_json_text(&json, "user", look->user);
    tars_json_int(&json, "server_version", look->server_version);
    tars_json_text(&json, "encoding", look->encoding);
    tars_json_int(&json, "schema", look->version);
    tars_json_int(&json, "latest", look->latest);
    tars_json_int(&json, "applied", applied);
    tars_json_array(&json, "migrations");
    for (const struct tars_migration *m = tars_migrations_postgres_analytics; m->version; m++) {
        tars_json_object(&json, NULL);
        tars_json_int(&json, "version", m->version);
        tars_json_text(&json, "name", m->name);
        tars_json_bool(&json, "applied", m->version <= look->version);
        tars_json_end(&json);
    }
    tars_json_end(&json);
    tars_json_end(&json);
    printf("%s\n", text.status == TARS_OK ? text.ptr : "{}");
    tars_buf_release(&text);
}

/* As a server does at its start; several at once wait for each other. */
static tars_status apply(const struct tars_cli *cli, const struct tars_pg_pool_config *pool,
                         struct tars_err *err)
{
    struct tars_sink_postgres_config config = {
        .pool = *pool,
        .partition = tars_settings_flag(cli->settings, TARS_SET_ANALYTICS_PARTITION),
        .log = cli->log,
    };
    struct tars_analytics_sink *sink = NULL;
    tars_status status;

    config.pool.size = 1;
    config.pool.overflow = 0;
    config.pool.ping_ms = -1;
    config.pool.server.statement_timeout_ms = 0; /* indexes on large tables take their time */
    status = tars_sink_postgres_open(&config, &sink, err);
    if (status != TARS_OK)
        return status;
    status = tars_sink_postgres_prepare(sink, err);
    sink->ops->close(sink);
    return status;
}

int tars_cmd_migrate(struct tars_cli *cli)
{
    const struct tars_pg_pool_config config = tars_postgres_config(cli->settings);
    const char *verb = cli->argument_count > 0 ? cli->arguments[0] : "status";
    bool applies = strcmp(verb, "apply") == 0;
    struct tars_sink_postgres_look look;
    struct tars_err err = {{0}};
    tars_status status;
    int before;

    if (tars_cli_value(cli, "from") || tars_cli_value(cli, "to"))
        return tars_store_move(cli, tars_cli_value(cli, "from"), tars_cli_value(cli, "to"));
    if (cli->argument_count > 1 || (!applies && strcmp(verb, "status") != 0)) {
        tars_cli_complain("usage: tars migrate [status|apply], or --from KIND --to KIND");
        return TARS_EXIT_USAGE;
    }
    status = tars_sink_postgres_look(&config.server, &cli->arena, &look, &err);
    before = status == TARS_OK ? look.version : 0;
    if (status == TARS_OK && applies) {
        status = apply(cli, &config, &err);
        if (status == TARS_OK)
            status = tars_sink_postgres_look(&config.server, &cli->arena, &look, &err);
    }
    if (status != TARS_OK) {
        tars_cli_complain("%s", err.text);
        return TARS_EXIT_FAILED;
    }
    if (cli->json) {
        print_json(&config.server, &look, look.version - before);
    } else {
        print_text(&config.server, &look);
    }
    return look.version == look.latest ? TARS_EXIT_OK : TARS_EXIT_PARTLY;
}
