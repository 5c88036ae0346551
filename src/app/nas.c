/* nas - see nas.h. */
#include "app/nas.h"

#include "app/service.h"
#include "ingest/watch.h"

void tars_nas(void *ctx, struct tars_nas_view *view)
{
    const struct tars_service *service = ctx;
    struct tars_watch_stats stats = {0};

    if (service->watch)
        stats = tars_watch_stats(service->watch);
    *view = (struct tars_nas_view){
        .enabled = service->watch != NULL,
        .mounted = stats.available,
        .watch_path = service->watch_path,
        .files_detected = stats.files_detected,
        .files_indexed = stats.files_indexed,
        .files_failed = stats.files_failed,
        .files_skipped = stats.files_skipped,
        .pending_files = stats.pending_files,
        .processing_files = stats.processing_files,
        .indexed_files = stats.files_known + stats.files_indexed,
        .last_scan_us = stats.last_scan_us,
        .started_us = stats.started_us,
    };
}
