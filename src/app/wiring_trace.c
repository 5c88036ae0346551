/* wiring_trace - traces of requests and of files, for a server: recorded once somebody says where
 * they are to go. */
#include "app/trace_export.h"
#include "app/wiring_internal.h"

tars_status tars_wiring_open_trace(struct tars_wiring *w, bool serves, struct tars_err *err)
{
    const struct tars_settings *s = w->settings;
    const struct tars_tracer_config tracer = {
        .ratio = tars_settings_real(s, TARS_SET_OTEL_TRACES_SAMPLER_ARG),
        .content = tars_settings_flag(s, TARS_SET_TRACE_CONTENT),
        .dropped = tars_metrics_series(w->metrics, TARS_METRIC_RAG_SPANS, "dropped"),
    };
    struct tars_trace_export_config config = {
        .endpoint = tars_settings_text(s, TARS_SET_OTEL_EXPORTER_OTLP_ENDPOINT),
        .headers = tars_settings_text(s, TARS_SET_OTEL_EXPORTER_OTLP_HEADERS),
        .service = tars_settings_text(s, TARS_SET_OTEL_SERVICE_NAME),
        .environment = tars_settings_text(s, TARS_SET_FASTAPI_ENV),
        .metrics = w->metrics,
        .log = w->log,
        .delay_ms = tars_settings_int(s, TARS_SET_OTEL_BSP_SCHEDULE_DELAY),
        .timeout_ms = tars_settings_int(s, TARS_SET_OTEL_EXPORTER_OTLP_TIMEOUT),
    };
    tars_status status;

    if (!serves || !config.endpoint[0])
        return TARS_OK;
    status = tars_tracer_new(&tracer, &w->tracer);
    if (status != TARS_OK)
        return tars_fail(status, err, "no memory for traces");
    config.tracer = w->tracer;
    return tars_trace_export_open(&config, &w->trace_export, err);
}

void tars_wiring_close_trace(struct tars_wiring *w)
{
    tars_trace_export_close(w->trace_export);
    tars_tracer_free(w->tracer);
    w->trace_export = NULL;
    w->tracer = NULL;
}
