/* taken - how one file ended, as the contract shows it. */
#include <string.h>

#include "api/api_internal.h"
#include "api/words.h"

const char *tars_api_taken_status(enum tars_taken_outcome outcome)
{
    if (outcome == TARS_TAKEN_INDEXED)
        return "success";
    return outcome == TARS_TAKEN_UNCHANGED ? "already_indexed" : "failed";
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* What the web page of the contract wants to know of a document (1.9); null where there is none. */
static void write_metadata(struct tars_exchange *ex, const char *document_id)
{
    const struct tars_api_config *config = &ex->api->config;
    struct tars_json *json = &ex->json;
    struct tars_document_view view;

    if (!document_id[0] || config->service->document(config->service_ctx, document_id,
                                                     ex->call.arena, &view, NULL) != TARS_OK) {
        tars_json_null(json, "metadata");
        return;
    }
    tars_json_object(json, "metadata");
    tars_json_text(json, "document_id", view.document_id);
    tars_json_text(json, "file_name", view.file_name);
    tars_json_text(json, "file_path", view.path);
    tars_json_text(json, "file_type", view.file_type);
    tars_json_int(json, "file_size", view.file_size);
    tars_api_write_time(json, "indexed_at", view.indexed_us);
    tars_json_int(json, "chunk_count", view.chunks);
    tars_json_int(json, "token_count", view.tokens);
    if (view.pages > 0) {
        tars_json_int(json, "page_count", view.pages);
    } else {
        tars_json_null(json, "page_count");
    }
    tars_json_end(json);
}

void tars_api_write_taken(struct tars_exchange *ex, const struct tars_taken *taken)
{
    struct tars_json *json = &ex->json;
    bool failed = taken->outcome == TARS_TAKEN_FAILED || taken->outcome == TARS_TAKEN_SKIPPED;

    tars_json_text(json, "document_id", failed ? "" : taken->document_id);
    tars_json_text(json, "file_name", base_name(taken->path));
    tars_json_text(json, "status", tars_api_taken_status(taken->outcome));
    tars_json_int(json, "chunks_created", taken->outcome == TARS_TAKEN_INDEXED ? taken->chunks : 0);
    tars_json_fixed(json, "processing_time_ms", taken->ms, 2);
    tars_json_text(json, "message", taken->reason[0] ? tars_words_told(taken->reason) : NULL);
    tars_json_int(json, "job_id", taken->job_id);
    write_metadata(ex, failed ? "" : taken->document_id);
}
