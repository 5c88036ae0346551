/* cmd_serve - the server: open everything, listen, say where, wait for a signal, stop cleanly. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "app/command.h"
#include "app/metrics_port.h"
#include "app/places.h"
#include "app/reload.h"
#include "app/wiring.h"
#include "base/sys/clock.h"
#include "base/sys/notify.h"
#include "net/server.h"

#define TEND_MS      3600000
#define LOOP_THREADS 2
#define BODIES_MAX   ((size_t)512 << 20)
#define HTTP_PLACES  4096 /* connections that are no WebSockets, where nothing else is set */
#define FILES_KEPT   512  /* open files that are no connections */

const struct tars_option tars_options_serve[] = {
    {"bind", 'b', "ADDRESS", "TARS_BIND", "Address to listen on (127.0.0.1)"},
    {"port", 'p', "PORT", "BACKEND_PORT", "Port to listen on; 0 picks a free one (8000)"},
    {"tls-cert", 0, "FILE", "TLS_CERT_PATH", "PEM certificate chain, for HTTPS"},
    {"tls-key", 0, "FILE", "TLS_KEY_PATH", "PEM key of the certificate"},
    {"watch", 'w', "DIR", "NAS_MOUNT_POINT", "Keep in step with this folder"},
    {NULL, 0, NULL, NULL, NULL},
};

static const char *text_or_null(const struct tars_settings *settings, enum tars_setting id)
{
    const char *text = tars_settings_text(settings, id);

    return text[0] ? text : NULL;
}

/* Open as many files as this process ever may: the limit that it is born with is meant for programs
 * that use select(), and each connection is a file. Returns the limit. */
static size_t raise_files(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 0;
    if (limit.rlim_cur < limit.rlim_max) {
        struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};

        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            limit = raised;
    }
    return limit.rlim_cur > SIZE_MAX / 2 ? SIZE_MAX / 2 : (size_t)limit.rlim_cur;
}

/* Connections that may be open at once. */
static size_t places(struct tars_cli *cli, const struct tars_settings *settings)
{
    size_t set = (size_t)tars_settings_int(settings, TARS_SET_TARS_MAX_CONNECTIONS);
    size_t sockets = (size_t)tars_settings_int(settings, TARS_SET_WS_MAX_CONNECTIONS);
    size_t wanted = set ? set : sockets + HTTP_PLACES;
    size_t files = raise_files();

    if (files == 0 || wanted + FILES_KEPT <= files)
        return wanted;
    tars_log_warning(
        cli->log, "app",
        "%zu connections need %zu open files, and the limit is %zu: raise it (ulimit -n, "
        "LimitNOFILE) or lower TARS_MAX_CONNECTIONS or WS_MAX_CONNECTIONS",
        wanted, wanted + FILES_KEPT, files);
    return files > 2 * (size_t)FILES_KEPT ? files - FILES_KEPT : files / 2;
}

/* Of a request: a file in its form, and some more of them. */
static size_t body_max(const struct tars_settings *settings)
{
    return 2 * ((size_t)tars_settings_int(settings, TARS_SET_MAX_FILE_SIZE_MB) << 20U) +
           ((size_t)1 << 20U);
}

/* Of all that are under way. */
static size_t bodies_max(const struct tars_settings *settings)
{
    return body_max(settings) > BODIES_MAX ? 2 * body_max(settings) : BODIES_MAX;
}

static tars_status open_server(struct tars_cli *cli, struct tars_wiring *wiring,
                               struct tars_server **server, struct tars_err *err)
{
    const struct tars_server_config config = {
        .bind = tars_wiring_bind(cli->settings),
        .port = (uint16_t)tars_settings_int(cli->settings, TARS_SET_BACKEND_PORT),
        .threads = LOOP_THREADS,
        .tls_cert = text_or_null(cli->settings, TARS_SET_TLS_CERT_PATH),
        .tls_key = text_or_null(cli->settings, TARS_SET_TLS_KEY_PATH),
        .handler = tars_api_handle,
        .ctx = tars_wiring_api(wiring),
        .body_limit = tars_api_body_limit,
        .refused = tars_api_refused,
        .max_connections = places(cli, cli->settings),
        .max_body_bytes = body_max(cli->settings),
        .max_bodies_bytes = bodies_max(cli->settings),
    };

    return tars_server_open(&config, server, err);
}

/* The address under which this machine reaches the server: a wildcard is no address. */
static const char *reachable(const char *bind)
{
    if (strcmp(bind, "0.0.0.0") == 0)
        return "127.0.0.1";
    return strcmp(bind, "::") == 0 ? "::1" : bind;
}

static const char *url_of(struct tars_cli *cli, const struct tars_server *server, const char *name)
{
    bool is_six = strchr(name, ':') != NULL;

    return tars_arena_printf(
        &cli->arena, "%s://%s%s%s:%u",
        tars_settings_text(cli->settings, TARS_SET_TLS_CERT_PATH)[0] ? "https" : "http",
        is_six ? "[" : "", name, is_six ? "]" : "", (unsigned)tars_server_port(server));
}

static void announce(struct tars_cli *cli, const char *url, const char *data, int64_t start_ms)
{
    int64_t took = tars_clock_mono_ms() - start_ms;

    tars_log_info(cli->log, "app", "listening at %s, data in %s, ready in %lld ms", url, data,
                  (long long)took);
    if (cli->json) {
        printf("{\"url\":\"%s\",\"pid\":%ld,\"ready_ms\":%lld}\n", url, (long)getpid(),
               (long long)took);
    } else {
        printf("T.A.R.S. is ready at %s (Ctrl-C stops it)\n", url);
    }
    (void)fflush(stdout);
}

/* The server is opened after the parts that ask for its numbers. */
struct running {
    pthread_mutex_t lock;       /* guards server, and that it is there while it is asked */
    struct tars_server *server; /* NULL before and after it runs */
};

static double count_connections(void *ctx)
{
    struct running *running = ctx;
    double count = 0;

    pthread_mutex_lock(&running->lock);
    if (running->server)
        count = (double)tars_server_stats(running->server).connections;
    pthread_mutex_unlock(&running->lock);
    return count;
}

static void set_running(struct running *running, struct tars_server *server)
{
    pthread_mutex_lock(&running->lock);
    running->server = server;
    pthread_mutex_unlock(&running->lock);
}

/* ------------------------------------------------------------------- running */

/* A server that runs. */
struct life {
    struct tars_cli *cli;
    struct tars_wiring *wiring;
    struct tars_server *server;
    struct tars_reload *reload;
};

/* To who started us, if they want to know. */
static void tell(const struct tars_cli *cli, const char *lines)
{
    if (tars_notify(getenv("NOTIFY_SOCKET"), lines) != TARS_OK) /* NOLINT(concurrency-mt-unsafe) */
        tars_log_warning(cli->log, "app", "NOTIFY_SOCKET: nobody listens there");
}

static void set_connections(void *ctx, const struct tars_settings *settings)
{
    struct life *life = ctx;

    tars_server_set_connections(life->server, places(life->cli, settings));
    tars_server_set_bodies(life->server, body_max(settings), bodies_max(settings));
}

static tars_status open_reload(struct life *life, struct tars_err *err)
{
    const struct tars_reload_config config = {
        .sources = &life->cli->sources,
        .needs_file = life->cli->names_file,
        .settings = life->cli->settings,
        .wiring = life->wiring,
        .server = life->server,
        .log = life->cli->log,
        .connections = set_connections,
        .connections_ctx = life,
    };

    return tars_reload_new(&config, &life->reload) == TARS_OK
               ? TARS_OK
               : tars_fail(TARS_ENOMEM, err, "no memory to reload settings");
}

static void reload(struct life *life)
{
    char lines[96];

    (void)snprintf(lines, sizeof(lines), "RELOADING=1\nMONOTONIC_USEC=%lld\n",
                   (long long)(tars_clock_mono_ns() / 1000));
    tell(life->cli, lines);
    (void)tars_reload_run(life->reload); /* the log has said what was wrong */
    tell(life->cli, "READY=1\n");
}

/* Until a signal says stop. */
static void live(struct life *life)
{
    int64_t tend_ms = tars_clock_mono_ms() + TEND_MS;

    tell(life->cli, "READY=1\n");
    while (!tars_lifecycle_wait(life->cli->lifecycle, tend_ms - tars_clock_mono_ms())) {
        if (tars_lifecycle_take_reload(life->cli->lifecycle))
            reload(life);
        if (tars_clock_mono_ms() >= tend_ms) {
            tars_wiring_tend(life->wiring);
            tend_ms = tars_clock_mono_ms() + TEND_MS;
        }
    }
}

/* Nobody comes in any more; who is there gets an answer. */
static void drain(struct life *life)
{
    const struct tars_settings *settings = tars_reload_settings(life->reload);
    int64_t seconds = tars_settings_int(settings, TARS_SET_DRAIN_SECONDS);

    tell(life->cli, "STOPPING=1\n");
    tars_log_info(life->cli->log, "app", "stopping: what is under way gets %lld s to end",
                  (long long)seconds);
    tars_api_drain(tars_wiring_api(life->wiring));
    if (tars_server_stop(life->server, seconds * 1000) != TARS_OK) {
        tars_log_warning(life->cli->log, "app", "some requests did not end in %lld s and were cut",
                         (long long)seconds);
    }
}

static tars_status serve(struct tars_cli *cli, struct tars_wiring *wiring, struct running *running,
                         int64_t start_ms, struct tars_err *err)
{
    struct life life = {.cli = cli, .wiring = wiring};
    struct tars_server_note note = {.token = tars_wiring_token(wiring), .pid = getpid()};
    const char *data = tars_wiring_data(wiring);
    const char *bind = tars_settings_text(cli->settings, TARS_SET_TARS_BIND);
    const char *url;
    tars_status status = open_server(cli, wiring, &life.server, err);

    if (status == TARS_OK)
        status = open_reload(&life, err);
    if (status != TARS_OK) {
        tars_server_close(life.server);
        return status;
    }
    set_running(running, life.server);
    note.url = url_of(cli, life.server, reachable(bind));
    url = url_of(cli, life.server, bind);
    status = note.url && url ? tars_note_write(data, &note, err) : TARS_ENOMEM;
    if (status == TARS_OK) {
        announce(cli, url, data, start_ms);
        live(&life);
    }
    tars_note_remove(data);
    drain(&life);
    set_running(running, NULL);
    tars_server_close(life.server);
    tars_reload_free(life.reload);
    return status;
}

int tars_cmd_serve(struct tars_cli *cli)
{
    struct running running = {PTHREAD_MUTEX_INITIALIZER, NULL};
    const struct tars_wiring_config config = {.settings = cli->settings,
                                              .log = cli->log,
                                              .serves = true,
                                              .ingests = true,
                                              .stopping = tars_lifecycle_flag(cli->lifecycle),
                                              .connections = count_connections,
                                              .connections_ctx = &running};
    int64_t start_ms = tars_clock_mono_ms();
    struct tars_wiring *wiring = NULL;
    struct tars_server *metrics = NULL; /* answers until the server has stopped */
    struct tars_err err = {{0}};
    tars_status status;

    tars_lifecycle_reloads(cli->lifecycle);
    status = tars_wiring_open(&config, &wiring, &err);
    if (status == TARS_OK) {
        status = tars_metrics_port_open(cli->settings, cli->log, tars_wiring_api(wiring), &metrics,
                                        &err);
    }
    if (status == TARS_OK)
        status = serve(cli, wiring, &running, start_ms, &err);
    tars_metrics_port_close(metrics);
    tars_wiring_close(wiring);
    if (status == TARS_ECANCELED && atomic_load(config.stopping)) {
        tars_log_info(cli->log, "app", "%s: the next start goes on", err.text);
        status = TARS_OK;
    }
    if (status == TARS_OK) {
        tars_log_info(cli->log, "app", "stopped");
        return TARS_EXIT_OK; /* being told to stop is how a server ends well */
    }
    tars_cli_complain("%s", err.text[0] ? err.text : tars_status_text(status));
    return status == TARS_EINVAL ? TARS_EXIT_USAGE : TARS_EXIT_FAILED;
}
