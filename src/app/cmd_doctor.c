/* cmd_doctor - what is wrong, and how it is mended. This file has what is on this machine;
 * doctor_servers.c asks those elsewhere. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "app/alike.h"
#include "app/backups.h"
#include "app/doctor_internal.h"
#include "app/places.h"
#include "app/rerankers.h"
#include "app/stores.h"
#include "app/writer.h"
#include "base/sys/clock.h"
#include "base/sys/file.h"
#include "extract/client.h"
#include "model/encoder.h"
#include "net/client.h"
#include "net/server.h"
#include "retrieve/reranker.h"
#include "store/store.h"

#define OUTPUT_MAX    ((size_t)1 << 20)
#define DISK_LOW      ((unsigned long long)1 << 30) /* bytes */
#define BACKUP_OLD_S  ((int64_t)7 * 24 * 3600)
#define PROBE_PATTERN "/tars-doctor-XXXXXX"

const struct tars_option tars_options_doctor[] = {{NULL, 0, NULL, NULL, NULL}};

void tars_doctor_find(struct tars_doctor *doctor, enum tars_verdict verdict, const char *what,
                      const char *remedy, const char *format, ...)
{
    static const char *const words[] = {"ok", "warning", "error"};
    static const char *const marks[] = {"  ok  ", " warn ", " FAIL "};
    char finding[TARS_ERR_TEXT_MAX];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(finding, sizeof(finding), format, args);
    va_end(args);
    doctor->counts[verdict]++;
    tars_json_object(&doctor->json, NULL);
    tars_json_text(&doctor->json, "check", what);
    tars_json_text(&doctor->json, "status", words[verdict]);
    tars_json_text(&doctor->json, "finding", finding);
    tars_json_text(&doctor->json, "remedy", verdict == TARS_DOCTOR_WELL ? NULL : remedy);
    tars_json_end(&doctor->json);
    if (doctor->cli->json)
        return;
    printf("[%s] %-16s %s\n", marks[verdict], what, finding);
    if (verdict != TARS_DOCTOR_WELL && remedy)
        printf("         %-16s -> %s\n", "", remedy);
}

static void check_folder(struct tars_doctor *doctor)
{
    struct tars_err err = {{0}};
    struct statvfs disk;
    unsigned long long free_bytes;

    if (tars_dir_make(doctor->data, &err) != TARS_OK ||
        access(doctor->data, R_OK | W_OK | X_OK) != 0) {
        tars_doctor_find(doctor, TARS_DOCTOR_BAD, "data folder",
                         "make it writable, or choose another with --data", "%s: %s", doctor->data,
                         err.text[0] ? err.text : strerror(errno));
        return;
    }
    tars_doctor_find(doctor, TARS_DOCTOR_WELL, "data folder", NULL, "%s", doctor->data);
    if (statvfs(doctor->data, &disk) != 0)
        return;
    free_bytes = (unsigned long long)disk.f_bavail * disk.f_frsize;
    tars_doctor_find(doctor, free_bytes < DISK_LOW ? TARS_DOCTOR_POOR : TARS_DOCTOR_WELL, "disk",
                     "free some space, or move the data folder", "%.1f GB free",
                     (double)free_bytes / 1073741824);
}

static void check_model_fits(struct tars_doctor *doctor, struct tars_store *store)
{
    struct tars_store_model held;
    struct tars_encoder *encoder = NULL;
    struct tars_encoder_config config = {.cache_dir = doctor->data};
    struct tars_err err = {{0}};
    tars_status status = tars_places_model(doctor->cli->settings, doctor->data, &doctor->cli->arena,
                                           &config.dir, &err);

    config.max_tokens =
        (size_t)tars_settings_int(doctor->cli->settings, TARS_SET_EMBED_MAX_SEQ_LENGTH);
    if (status == TARS_OK)
        status = tars_encoder_open(&config, &encoder, &err);
    if (status != TARS_OK) {
        tars_doctor_find(doctor, TARS_DOCTOR_POOR, "embedding model",
                         "run scripts/deps, or set EMBED_MODEL to a folder",
                         "%s; search is by words only", err.text);
        return;
    }
    tars_doctor_find(doctor, TARS_DOCTOR_WELL, "embedding model", NULL, "%s, %zu dimensions, %s",
                     config.dir, tars_encoder_info(encoder)->dim,
                     tars_encoder_info(encoder)->implementation);
    if (store && tars_store_model(store, &held, NULL) == TARS_OK && held.identity[0]) {
        bool same = strcmp(held.identity, tars_encoder_info(encoder)->identity) == 0;

        tars_doctor_find(doctor, same ? TARS_DOCTOR_WELL : TARS_DOCTOR_BAD, "vectors",
                         "run tars reindex, or set EMBED_MODEL back", "made by %s%s", held.name,
                         same ? "" : ", which is not the model of the settings");
    }
    tars_encoder_close(encoder);
}

/* The store is looked at only when no server has it. */
/* Other servers on the store, besides this command. */
static void check_sharers(struct tars_doctor *doctor, struct tars_store *store)
{
    struct tars_err err = {{0}};
    int64_t count = 0;

    if (!tars_stores_is_shared(doctor->cli->settings))
        return;
    if (tars_store_postgres_sharers(store, &count, &err) != TARS_OK) {
        tars_doctor_find(doctor, TARS_DOCTOR_BAD, "shared store", "see docs/replicas.md", "%s",
                         err.text);
    } else {
        tars_doctor_find(doctor, TARS_DOCTOR_WELL, "shared store", NULL,
                         "%lld other servers use it", (long long)(count - 1));
    }
}

/* Do they make documents as these settings do? */
static void check_alike(struct tars_doctor *doctor, struct tars_store *store)
{
    struct tars_err err = {{0}};
    const char *found = "";

    if (!tars_stores_is_shared(doctor->cli->settings))
        return;
    if (tars_alike_check(doctor->cli->settings, store, &doctor->cli->arena, &found, &err) !=
        TARS_OK) {
        tars_doctor_find(doctor, TARS_DOCTOR_BAD, "settings of all", "see docs/replicas.md", "%s",
                         err.text);
    } else if (found[0]) {
        tars_doctor_find(doctor, TARS_DOCTOR_POOR, "settings of all",
                         "give all servers on the store the same, and take in again what differs",
                         "%s", found);
    }
}

/* What may help where the store cannot be opened. */
static const char *store_remedy(const struct tars_doctor *doctor, tars_status status)
{
    if (status == TARS_EBUSY)
        return "wait for the other process, or stop it";
    if (tars_stores_is_postgres(doctor->cli->settings)) {
        return "look at POSTGRES_HOST, STORE_DB, POSTGRES_USER and what that role may do: "
               "docs/postgresql.md";
    }
    return "restore a copy of the data folder, or choose another";
}

static void check_store(struct tars_doctor *doctor)
{
    const struct tars_stores_config config = {
        .settings = doctor->cli->settings, .data = doctor->data, .readers = 1};
    struct tars_store *store = NULL;
    struct tars_store_stats stats;
    struct tars_err err = {{0}};
    tars_status status;

    if (doctor->server_runs) {
        tars_doctor_find(doctor, TARS_DOCTOR_WELL, "store", NULL, "in use by the running server");
        check_model_fits(doctor, NULL);
        return;
    }
    status = tars_stores_open(&config, &store, &err);
    if (status == TARS_OK)
        status = tars_store_stats(store, &stats, &err);
    if (status == TARS_OK)
        check_sharers(doctor, store);
    if (status == TARS_OK)
        check_alike(doctor, store);
    if (status != TARS_OK) {
        tars_doctor_find(doctor, TARS_DOCTOR_BAD, "store", store_remedy(doctor, status), "%s",
                         err.text);
    } else {
        tars_doctor_find(doctor, stats.jobs_failed ? TARS_DOCTOR_POOR : TARS_DOCTOR_WELL, "store",
                         "tars jobs --state failed says why; tars jobs retry ID tries again",
                         "%lld documents, %lld passages, %lld failed jobs",
                         (long long)stats.documents, (long long)stats.passages,
                         (long long)stats.jobs_failed);
    }
    check_model_fits(doctor, store);
    tars_store_close(store);
}

static tars_status count_document(void *ctx, const struct tars_document *document,
                                  struct tars_err *err)
{
    size_t *blocks = ctx;

    (void)err;
    *blocks += document->block_count;
    return TARS_OK;
}

/* Have it read a small document: that it starts, under its limits, is what matters. */
static tars_status try_extract(struct tars_extract *extract, size_t *blocks, struct tars_err *err)
{
    static const char text[] = "# Probe\n\nA paragraph that must come back.\n";
    char path[] = "/tmp" PROBE_PATTERN;
    int fd = mkstemp(path);
    tars_status status = TARS_EIO;

    if (fd < 0)
        return tars_fail(TARS_EIO, err, "no temporary file in /tmp: %s", strerror(errno));
    (void)unlink(path);
    if (write(fd, text, sizeof(text) - 1) == (ssize_t)sizeof(text) - 1) {
        status =
            tars_extract_file(extract, fd, "probe.md", NULL, count_document, blocks, NULL, err);
    }
    close(fd);
    return status;
}

static void check_extract(struct tars_doctor *doctor)
{
    const struct tars_extract_config config = {
        .program = tars_settings_text(doctor->cli->settings, TARS_SET_TARS_EXTRACT)};
    struct tars_extract *extract = NULL;
    struct tars_err err = {{0}};
    size_t blocks = 0;
    tars_status status = tars_extract_open(&config, &extract, &err);

    if (status == TARS_OK)
        status = try_extract(extract, &blocks, &err);
    if (status == TARS_OK && blocks > 0) {
        tars_doctor_find(doctor, TARS_DOCTOR_WELL, "tars-extract", NULL,
                         "reads documents in its confinement");
    } else {
        tars_doctor_find(doctor, TARS_DOCTOR_BAD, "tars-extract",
                         "build it (scripts/build) and keep it beside tars, or set TARS_EXTRACT",
                         "%s", err.text[0] ? err.text : "gave nothing back");
    }
    tars_extract_close(extract);
}

static void check_writer(struct tars_doctor *doctor)
{
    struct tars_writer *writer = NULL;
    struct tars_err err = {{0}};
    tars_status status = tars_writer_open(doctor->cli->settings, NULL, &writer, &err);

    if (status == TARS_OK)
        status = tars_writer_health(writer, &err);
    if (status != TARS_OK) {
        tars_doctor_find(
            doctor, TARS_DOCTOR_POOR, "language model",
            "set LLM_MODEL_PATH to a GGUF file, or start Ollama at OLLAMA_HOST; until then "
            "answers are quotations",
            "%s", err.text);
    } else if (strcmp(tars_writer_name(writer), "extract") == 0) {
        tars_doctor_find(doctor, TARS_DOCTOR_POOR, "language model",
                         "set LLM_MODEL_PATH to a GGUF file, or start Ollama at OLLAMA_HOST",
                         "none: answers are quotations");
    } else {
        tars_doctor_find(doctor, TARS_DOCTOR_WELL, "language model", NULL, "%s",
                         tars_writer_name(writer));
    }
    tars_writer_close(writer);
}

/* One that nobody asked for is missed by nobody. A server is not asked: each request may cost. */
static void check_reranker(struct tars_doctor *doctor)
{
    const struct tars_settings *settings = doctor->cli->settings;
    const struct tars_client_config config = {0};
    struct tars_client *client = NULL;
    struct tars_reranker *reranker = NULL;
    struct tars_err err = {{0}};
    tars_status status = tars_client_new(&config, &client);

    if (status == TARS_OK) {
        status = tars_rerankers_open(settings, doctor->data, client, &doctor->cli->arena, &reranker,
                                     &err);
    }
    if (status == TARS_OK) {
        tars_doctor_find(doctor, TARS_DOCTOR_WELL, "reranker", NULL, "%s (%s)", reranker->model,
                         reranker->kind);
    } else {
        tars_doctor_find(
            doctor, tars_rerankers_was_asked_for(settings) ? TARS_DOCTOR_POOR : TARS_DOCTOR_WELL,
            "reranker", "mend RERANK_*; until then results keep the order of the search",
            "none: %s", err.text[0] ? err.text : tars_status_text(status));
    }
    tars_reranker_close(reranker);
    tars_client_free(client);
}

static void handle_nothing(void *ctx, const struct tars_http_request *request,
                           struct tars_http_reply *reply)
{
    (void)ctx;
    (void)request;
    tars_http_reply_send_text(reply, 503, "text/plain", "", 0);
}

static void check_port(struct tars_doctor *doctor)
{
    const struct tars_server_config config = {
        .bind = tars_settings_text(doctor->cli->settings, TARS_SET_TARS_BIND),
        .port = (uint16_t)tars_settings_int(doctor->cli->settings, TARS_SET_BACKEND_PORT),
        .handler = handle_nothing,
    };
    struct tars_server *server = NULL;
    struct tars_err err = {{0}};

    if (doctor->server_runs)
        return;
    if (tars_server_open(&config, &server, &err) == TARS_OK) {
        tars_doctor_find(doctor, TARS_DOCTOR_WELL, "port", NULL, "%s:%u is free", config.bind,
                         (unsigned)config.port);
    } else {
        tars_doctor_find(doctor, TARS_DOCTOR_POOR, "port",
                         "choose another with --port or BACKEND_PORT", "%s", err.text);
    }
    tars_server_close(server);
}

static void look_for_server(struct tars_doctor *doctor)
{
    struct tars_server_note note;

    doctor->server_runs = tars_note_read(doctor->data, &doctor->cli->arena, &note, NULL) == TARS_OK;
    if (doctor->server_runs) {
        tars_doctor_find(doctor, TARS_DOCTOR_WELL, "server", NULL, "%s, pid %lld", note.url,
                         (long long)note.pid);
    } else {
        tars_doctor_find(doctor, TARS_DOCTOR_WELL, "server", NULL, "not running");
    }
}

/* Nobody need make backups of a folder that can be made again: none is no fault. */
static void check_backup(struct tars_doctor *doctor)
{
    struct tars_backups_note note;
    int64_t age_s;

    if (tars_backups_note_read(doctor->data, &doctor->cli->arena, &note) != TARS_OK) {
        tars_doctor_find(doctor, TARS_DOCTOR_WELL, "backup", NULL,
                         "none was made yet (tars backup)");
        return;
    }
    age_s = (tars_clock_wall_us() - note.time_us) / 1000000;
    tars_doctor_find(doctor, age_s > BACKUP_OLD_S ? TARS_DOCTOR_POOR : TARS_DOCTOR_WELL, "backup",
                     "tars backup DEST, from a timer", "%lld h %lld min old, in %s",
                     (long long)age_s / 3600, (long long)age_s / 60 % 60, note.folder);
}

static void summarize(struct tars_doctor *doctor)
{
    tars_json_end(&doctor->json);
    tars_json_int(&doctor->json, "errors", doctor->counts[TARS_DOCTOR_BAD]);
    tars_json_int(&doctor->json, "warnings", doctor->counts[TARS_DOCTOR_POOR]);
    tars_json_end(&doctor->json);
    if (doctor->cli->json) {
        printf("%s\n", doctor->text.status == TARS_OK ? doctor->text.ptr : "{}");
    } else if (doctor->counts[TARS_DOCTOR_BAD] + doctor->counts[TARS_DOCTOR_POOR] == 0) {
        printf("All is well.\n");
    } else {
        printf("%d errors, %d warnings.\n", doctor->counts[TARS_DOCTOR_BAD],
               doctor->counts[TARS_DOCTOR_POOR]);
    }
}

int tars_cmd_doctor(struct tars_cli *cli)
{
    struct tars_doctor doctor = {.cli = cli};
    struct tars_err err = {{0}};

    if (tars_places_data(cli->settings, &cli->arena, &doctor.data, &err) != TARS_OK) {
        tars_cli_complain("%s", err.text);
        return TARS_EXIT_USAGE;
    }
    tars_buf_init(&doctor.text, OUTPUT_MAX);
    tars_json_init(&doctor.json, &doctor.text);
    tars_json_object(&doctor.json, NULL);
    tars_json_array(&doctor.json, "checks");
    check_folder(&doctor);
    look_for_server(&doctor);
    check_store(&doctor);
    check_backup(&doctor);
    check_extract(&doctor);
    check_writer(&doctor);
    check_reranker(&doctor);
    tars_doctor_vectors(&doctor);
    tars_doctor_redis(&doctor);
    tars_doctor_postgres(&doctor);
    tars_doctor_chroma(&doctor);
    check_port(&doctor);
    summarize(&doctor);
    tars_buf_release(&doctor.text);
    return doctor.counts[TARS_DOCTOR_BAD] > 0 ? TARS_EXIT_PARTLY : TARS_EXIT_OK;
}
