/* cmd_import_chroma - tars import-chroma: the documents of another server's ChromaDB collection
 * into the store (chroma_import.h). Opens the store itself, so no server may be at work on it. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/chroma_conversations.h"
#include "app/chroma_import.h"
#include "app/chromas.h"
#include "app/command.h"
#include "app/places.h"
#include "app/stores.h"
#include "base/codec/json_write.h"
#include "base/sys/clock.h"
#include "model/encoder.h"
#include "store/accounts.h"
#include "store/epoch.h"

#define OUTPUT_MAX  ((size_t)64 << 10)
#define TOLD        20 /* of what is not taken, one by one */
#define DRAW_MS     100
#define WINDOW_MIN  64
#define WINDOW_PART 4 /* of a window may overlap */

const struct tars_option tars_options_import_chroma[] = {
    {"host", 0, "URL", "CHROMA_HOST", "Address of ChromaDB (CHROMA_HOST)"},
    {"collection", 'c', "NAME", "CHROMA_COLLECTION_NAME",
     "Its collection (CHROMA_COLLECTION_NAME)"},
    {"conversations", 0, "NAME", NULL,
     "Instead of documents, the conversations that are in the collection NAME"},
    {"into", 0, "NAME", NULL, "Collection of documents here (" TARS_COLLECTION ")"},
    {"dry-run", 'n', NULL, NULL, "Say what would be taken over, write nothing"},
    {"embed", 0, NULL, NULL, "Embed all texts anew, also those of the same model"},
    {"replace", 0, NULL, NULL, "Also documents that are here in another version"},
    {"quiet", 'q', NULL, NULL, "No progress, and not one by one what is left out"},
    {NULL, 0, NULL, NULL, NULL},
};

struct run {
    struct tars_cli *cli;
    struct tars_chroma *chroma;
    struct tars_store *store;
    struct tars_encoder *encoder;
    struct tars_chroma_import_sums sums;
    struct tars_chroma_conversations_sums talks;
    const char *conversations; /* collection of these; NULL: documents are imported */
    const char *name;          /* of the collection */
    bool is_drawn;             /* on a terminal */
    bool is_shown;             /* something is on the line */
    int64_t drawn_ms;
    long told;
};

static bool is_dry(const struct run *run)
{
    return tars_cli_value(run->cli, "dry-run") != NULL;
}

/* -------------------------------------------------------------------- progress */

static void hide(struct run *run)
{
    if (run->is_shown)
        (void)fputs("\r\033[K", stderr);
    run->is_shown = false;
}

static void show(void *ctx, int64_t done, int64_t total)
{
    struct run *run = ctx;
    int64_t now_ms = tars_clock_mono_ms();

    if (!run->is_drawn || (done < total && now_ms - run->drawn_ms < DRAW_MS))
        return;
    run->drawn_ms = now_ms;
    run->is_shown = true;
    (void)fprintf(stderr, "\r\033[K%lld of %lld documents", (long long)done, (long long)total);
}

static void tell(void *ctx, const char *what, const char *why)
{
    struct run *run = ctx;

    if (tars_cli_value(run->cli, "quiet") || run->told > TOLD)
        return;
    hide(run);
    if (run->told++ == TOLD) {
        (void)fputs("more is left out; it is counted, not named\n", stderr);
    } else {
        (void)fprintf(stderr, "%s: %s\n", what, why);
    }
}

/* ---------------------------------------------------------------------- output */

static void write_documents(struct tars_json *json, const struct tars_chroma_import_sums *sums)
{
    tars_json_int(json, "rows", sums->rows);
    tars_json_int(json, "documents", sums->documents);
    tars_json_int(json, "imported", sums->imported);
    tars_json_int(json, "unchanged", sums->unchanged);
    tars_json_int(json, "kept", sums->kept);
    tars_json_int(json, "passages", sums->passages);
    tars_json_int(json, "superseded", sums->superseded);
    tars_json_int(json, "unclear", sums->unclear);
    tars_json_int(json, "absent", sums->absent);
    tars_json_int(json, "refused", sums->refused);
    tars_json_bool(json, "same_model", sums->is_same_model);
    tars_json_double(json, "cosine", sums->cosine);
    tars_json_int(json, "vectors_taken", sums->taken);
    tars_json_int(json, "vectors_made", sums->made);
    tars_json_text(json, "sha256", sums->sha256);
}

static void write_conversations(struct tars_json *json,
                                const struct tars_chroma_conversations_sums *sums)
{
    tars_json_int(json, "rows", sums->rows);
    tars_json_int(json, "imported", sums->imported);
    tars_json_int(json, "unchanged", sums->unchanged);
    tars_json_int(json, "kept", sums->kept);
    tars_json_int(json, "refused", sums->refused);
    tars_json_int(json, "messages", sums->messages);
}

static void print_json(const struct run *run)
{
    struct tars_buf text;
    struct tars_json json;

    tars_buf_init(&text, OUTPUT_MAX);
    tars_json_init(&json, &text);
    tars_json_object(&json, NULL);
    tars_json_text(&json, "host", tars_chroma_url(run->chroma));
    if (!run->conversations)
        tars_json_text(&json, "api", tars_chroma_api_text(run->sums.api));
    tars_json_text(&json, "collection", run->conversations ? run->conversations : run->name);
    tars_json_bool(&json, "dry_run", is_dry(run));
    if (run->conversations) {
        write_conversations(&json, &run->talks);
    } else {
        write_documents(&json, &run->sums);
    }
    tars_json_end(&json);
    printf("%s\n", text.status == TARS_OK ? text.ptr : "{}");
    tars_buf_release(&text);
}

static void print_text(const struct run *run)
{
    const struct tars_chroma_import_sums *sums = &run->sums;

    printf("%lld rows, %lld documents: %lld %s, %lld unchanged, %lld kept as they are here\n",
           (long long)sums->rows, (long long)sums->documents, (long long)sums->imported,
           is_dry(run) ? "to import" : "imported", (long long)sums->unchanged,
           (long long)sums->kept);
    if (sums->superseded || sums->refused) {
        printf("%lld rows of older versions, %lld that cannot be taken\n",
               (long long)sums->superseded, (long long)sums->refused);
    }
    if (sums->unclear) {
        printf("Of %lld of these rows nothing says that they are older: look at their paths.\n",
               (long long)sums->unclear);
    }
    if (sums->absent) {
        printf("%lld documents are of files that are not below NAS_MOUNT_POINT, where they should "
               "be: a server\nthat watches it (NAS_WATCH_ENABLED) forgets them.\n",
               (long long)sums->absent);
    }
    if (isnan(sums->cosine)) {
        printf("The vectors are of another model: the texts are embedded anew.\n");
    } else {
        printf("The vectors are of %s model (cosine %.4f in nine of ten): %s.\n",
               sums->is_same_model ? "the same" : "another", sums->cosine,
               sums->is_same_model && !tars_cli_value(run->cli, "embed") ? "taken as they are"
                                                                         : "embedded anew");
    }
    if (sums->sha256[0]) {
        printf("%lld passages, %lld vectors taken, %lld made; read back, SHA-256 %.16s...\n",
               (long long)sums->passages, (long long)sums->taken, (long long)sums->made,
               sums->sha256);
    }
}

static void print_conversations(const struct run *run)
{
    const struct tars_chroma_conversations_sums *sums = &run->talks;

    printf("%lld conversations: %lld %s, with %lld messages; %lld unchanged, %lld kept as they are "
           "here, %lld that cannot be taken\n",
           (long long)sums->rows, (long long)sums->imported,
           is_dry(run) ? "to import" : "imported and read back", (long long)sums->messages,
           (long long)sums->unchanged, (long long)sums->kept, (long long)sums->refused);
}

/* ----------------------------------------------------------------------- set-up */

/* Who writes, and reads back what was written, has the store alone. */
static tars_status open_store(struct run *run, const char *data, struct tars_err *err)
{
    const struct tars_stores_config config = {
        .settings = run->cli->settings, .data = data, .readers = 2, .alone = !is_dry(run)};
    tars_status status = tars_stores_open(&config, &run->store, err);

    return status || is_dry(run) ? status : tars_epoch_forget(run->store, err);
}

/* In full precision, which is what vectors are compared in. */
static tars_status open_encoder(struct run *run, const char *data, struct tars_err *err)
{
    const struct tars_settings *settings = run->cli->settings;
    struct tars_encoder_config config = {
        .precision = TARS_ENCODER_FP32,
        .threads = 1,
        .max_tokens = (size_t)tars_settings_int(settings, TARS_SET_EMBED_MAX_SEQ_LENGTH),
        .cache_dir = data,
    };
    tars_status status = tars_places_model(settings, data, &run->cli->arena, &config.dir, err);

    return status ? status : tars_encoder_open(&config, &run->encoder, err);
}

static tars_status open_all(struct run *run, struct tars_err *err)
{
    const char *data;
    tars_status status = tars_places_data(run->cli->settings, &run->cli->arena, &data, err);

    if (status == TARS_OK)
        status = tars_chromas_open(run->cli->settings, &run->chroma, err);
    if (status == TARS_OK && !run->conversations)
        status = open_encoder(run, data, err);
    return status ? status : open_store(run, data, err);
}

static tars_status import(struct run *run, struct tars_err *err)
{
    const struct tars_encoder_info *info = tars_encoder_info(run->encoder);
    size_t window = info->max_tokens < WINDOW_MIN ? WINDOW_MIN : info->max_tokens;
    size_t overlap = (size_t)tars_settings_int(run->cli->settings, TARS_SET_CHUNK_OVERLAP);
    const struct tars_chunk_config chunk = {
        .wordpiece = tars_encoder_wordpiece(run->encoder),
        .window_tokens = window < TARS_CHUNK_WINDOW_TOKENS ? window : TARS_CHUNK_WINDOW_TOKENS,
        .overlap_tokens = overlap < window / WINDOW_PART ? overlap : window / WINDOW_PART,
    };
    const char *into = tars_cli_value(run->cli, "into");
    const struct tars_chroma_import_config config = {
        .chroma = run->chroma,
        .name = run->name,
        .store = run->store,
        .encoder = run->encoder,
        .chunk = &chunk,
        .into = into ? into : TARS_COLLECTION,
        .watched = tars_settings_flag(run->cli->settings, TARS_SET_NAS_WATCH_ENABLED)
                       ? tars_settings_text(run->cli->settings, TARS_SET_NAS_MOUNT_POINT)
                       : NULL,
        .dry_run = is_dry(run),
        .embed = tars_cli_value(run->cli, "embed") != NULL,
        .replace = tars_cli_value(run->cli, "replace") != NULL,
        .stop = tars_lifecycle_flag(run->cli->lifecycle),
        .progress = show,
        .tell = tell,
        .ctx = run,
    };

    return tars_chroma_import(&config, &run->sums, err);
}

static tars_status import_conversations(struct run *run, struct tars_err *err)
{
    const struct tars_chroma_conversations_config config = {
        .chroma = run->chroma,
        .name = run->conversations,
        .store = run->store,
        .tenant = TARS_TENANT,
        .dry_run = is_dry(run),
        .replace = tars_cli_value(run->cli, "replace") != NULL,
        .stop = tars_lifecycle_flag(run->cli->lifecycle),
        .tell = tell,
        .ctx = run,
    };

    return tars_chroma_conversations(&config, &run->talks, err);
}

static bool is_partly(const struct run *run)
{
    return run->sums.refused > 0 || run->sums.kept > 0 || run->sums.unclear > 0 ||
           run->talks.refused > 0 || run->talks.kept > 0;
}

static void close_all(struct run *run)
{
    tars_store_close(run->store);
    tars_encoder_close(run->encoder);
    tars_chroma_free(run->chroma);
}

int tars_cmd_import_chroma(struct tars_cli *cli)
{
    struct run run = {
        .cli = cli,
        .conversations = tars_cli_value(cli, "conversations"),
        .name = tars_settings_text(cli->settings, TARS_SET_CHROMA_COLLECTION_NAME),
        .is_drawn = !cli->json && isatty(STDERR_FILENO) && !tars_cli_value(cli, "quiet"),
    };
    struct tars_err err = {{0}};
    tars_status status;

    if (cli->argument_count > 0) {
        tars_cli_complain("usage: tars import-chroma [--host URL] [--collection NAME]");
        return TARS_EXIT_USAGE;
    }
    status = open_all(&run, &err);
    if (status == TARS_OK)
        status = run.conversations ? import_conversations(&run, &err) : import(&run, &err);
    hide(&run);
    if (status != TARS_OK) {
        tars_cli_complain("%s", err.text[0] ? err.text : tars_status_text(status));
    } else if (cli->json) {
        print_json(&run);
    } else if (run.conversations) {
        print_conversations(&run);
    } else {
        print_text(&run);
    }
    close_all(&run);
    if (status == TARS_OK && is_partly(&run))
        return TARS_EXIT_PARTLY;
    return tars_cli_exit(cli, status);
}
