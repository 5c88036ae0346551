/* wiring - see wiring.h for the contract. */
#include "app/wiring.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "app/places.h"
#include "app/sampler.h"
#include "app/stores.h"
#include "app/tenants.h"
#include "app/wiring_internal.h"
#include "app/writer.h"
#include "base/crypto/digest.h"
#include "base/sys/file.h"
#include "extract/client.h"
#include "index/index.h"
#include "ingest/history.h"
#include "ingest/ingest.h"
#include "ingest/spool.h"
#include "ingest/watch.h"
#include "llm/llm_extract.h"
#include "model/encoder.h"
#include "rag/fetch.h"
#include "rag/rag.h"
#include "retrieve/reranker.h"
#include "retrieve/retrieve.h"
#include "store/epoch.h"
#include "text/wordpiece.h"
#include "vectors/vectors.h"

#define ARENA_MAX      ((size_t)1 << 20)
#define WARNINGS_MAX   ((size_t)16 << 10)
#define WAIT_THREADS   16
#define STATUS_THREADS 2
#define INGEST_THREADS 32 /* each waits for files to be taken in, and for nothing else */
#define ANSWER_THREADS 32 /* each may wait for a language model */

static size_t thread_count(const struct tars_settings *settings)
{
    int64_t wanted = tars_settings_int(settings, TARS_SET_TARS_THREADS);
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    if (wanted > 0)
        return (size_t)wanted;
    return processors > 0 ? (size_t)processors : 1;
}

void tars_wiring_warn(struct tars_wiring *w, const char *words)
{
    tars_buf_append_text(&w->warnings, words);
    tars_buf_append_char(&w->warnings, '\n');
    tars_log_warning(w->log, "app", "%s", words);
}

/* ------------------------------------------------------------------- health */

static tars_status check_store(void *ctx, struct tars_err *err)
{
    struct tars_wiring *w = ctx;
    struct tars_store_stats stats;

    /* What it knows costs nothing, and a server that hangs costs a wait. */
    return tars_wiring_replicas_health(w, err) == TARS_OK ? tars_store_stats(w->store, &stats, err)
                                                          : TARS_EUNAVAILABLE;
}

static tars_status check_encoder(void *ctx, struct tars_err *err)
{
    struct tars_wiring *w = ctx;

    if (!w->encoder)
        return tars_fail(TARS_EUNAVAILABLE, err, "no embedding model: words only");
    return TARS_OK;
}

static tars_status check_writer(void *ctx, struct tars_err *err)
{
    struct tars_wiring *w = ctx;

    return tars_writer_health(w->writer, err);
}

static tars_status check_watch(void *ctx, struct tars_err *err)
{
    struct tars_wiring *w = ctx;

    if (w->watch && !tars_wiring_leads(w))
        return TARS_OK; /* another server sees to it */
    if (!w->watch || !tars_watch_stats(w->watch).available)
        return tars_fail(TARS_EUNAVAILABLE, err, "no folder is watched");
    return TARS_OK;
}

static tars_status register_parts(struct tars_wiring *w)
{
    const struct tars_health_part parts[] = {
        {.name = "store", .check = check_store, .ctx = w, .slow = true},
        {.name = "embedding_model", .check = check_encoder, .ctx = w},
        {.name = "language_model", .optional = true, .check = check_writer, .ctx = w, .slow = true},
        {.name = "watcher", .optional = true, .check = check_watch, .ctx = w},
    };
    size_t count = sizeof(parts) / sizeof(parts[0]) - (w->watch ? 0 : 1);
    tars_status status = TARS_OK;

    for (size_t i = 0; i < count && status == TARS_OK; i++)
        status = tars_health_add(&w->health, &parts[i]);
    if (status == TARS_OK)
        status = tars_wiring_register_redis(w);
    if (status == TARS_OK)
        status = tars_wiring_register_vectors(w);
    return status == TARS_OK ? tars_wiring_register_reranker(w) : status;
}

/* ---------------------------------------------------------------- the parts */

/* A server waits for its database, within the bound of the settings. */
static tars_status open_store(struct tars_wiring *w, const struct tars_wiring_config *config,
                              struct tars_err *err)
{
    int64_t wait_s = tars_settings_int(w->settings, TARS_SET_START_WAIT_SECONDS);
    const struct tars_stores_config store = {
        .settings = w->settings,
        .data = w->data,
        .readers = thread_count(w->settings) + WAIT_THREADS / 4,
        .wait_ms = config->serves ? wait_s * 1000 : 0,
        .stopping = config->stopping,
    };

    return tars_stores_open(&store, &w->store, err);
}

static enum tars_encoder_precision precision_of(const char *text)
{
    if (strcmp(text, "fp32") == 0)
        return TARS_ENCODER_FP32;
    return strcmp(text, "bf16") == 0 ? TARS_ENCODER_BF16 : TARS_ENCODER_INT8;
}

static tars_status open_encoder(const struct tars_settings *settings, const char *data,
                                struct tars_arena *arena, struct tars_encoder **encoder,
                                struct tars_err *err)
{
    struct tars_encoder_config config = {
        .precision = precision_of(tars_settings_text(settings, TARS_SET_EMBED_PRECISION)),
        .threads = thread_count(settings),
        .max_tokens = (size_t)tars_settings_int(settings, TARS_SET_EMBED_MAX_SEQ_LENGTH),
        .cache_dir = data,
    };
    tars_status status = tars_places_model(settings, data, arena, &config.dir, err);

    if (status != TARS_OK)
        return status;
    return tars_encoder_open(&config, encoder, err);
}

/* Without a model there is no vocabulary either: then a word counts as one token. */
static tars_status open_plain(struct tars_wiring *w, struct tars_err *err)
{
    const struct tars_wordpiece_config config = {
        .vocab_txt = tars_span_of("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")};

    return tars_wordpiece_new(&config, &w->plain, err);
}

/* An older copy of the store was put back, or the index is another one's: it is closed. */
static tars_status check_past(struct tars_wiring *w, struct tars_err *err)
{
    struct tars_store_stats stats;
    uint64_t seq = tars_index_seq(w->index);
    tars_status status = TARS_OK;

    if (tars_store_stats(w->store, &stats, NULL) == TARS_OK && seq > stats.seq) {
        status = tars_fail(TARS_EFORMAT, err, "it is ahead of the store, so it is another one's");
    } else if (w->history_dir) {
        status = tars_history_check(w->store, w->history_dir, seq, err);
    }
    if (status != TARS_OK) {
        tars_index_close(w->index);
        w->index = NULL;
    }
    return status;
}

static tars_status open_model(struct tars_wiring *w, struct tars_err *err)
{
    struct tars_err why = {{0}};
    tars_status status = open_encoder(w->settings, w->data, &w->arena, &w->encoder, &why);
    const char *words;

    if (status == TARS_OK)
        return TARS_OK;
    if (status == TARS_ENOMEM)
        return tars_fail(status, err, "%s", why.text);
    status = tars_wiring_may_lack_model(w, &why, err);
    if (status != TARS_OK)
        return status;
    words = tars_arena_printf(&w->arena, "searching by words only: %s", why.text);
    tars_wiring_warn(w, words ? words : "searching by words only");
    return open_plain(w, err);
}

/* A snapshot that is damaged or of another model is only a shadow: it is built again. */
static tars_status open_index(struct tars_wiring *w, struct tars_err *err)
{
    /* With vectors in a server it has words only. */
    const struct tars_encoder_info *info =
        w->encoder && !w->vectors ? tars_encoder_info(w->encoder) : NULL;
    struct tars_index_config config = {
        .dim = info ? info->dim : 0,
        .identity = info ? info->identity : NULL,
    };
    struct tars_err why = {{0}};
    tars_status status =
        tars_stores_index_dir(w->settings, w->store, w->data, &w->arena, &config.dir, err);

    if (status == TARS_OK)
        status = tars_dir_make(config.dir, err);
    if (status != TARS_OK)
        return status;
    w->index_dir = config.dir;
    if (w->no_index) {
        config.dir = NULL;
        return tars_index_open(&config, &w->index, err);
    }
    status = tars_wiring_adopt_snapshot(w, &config, err);
    if (status != TARS_OK)
        return status;
    if (tars_stores_is_postgres(w->settings))
        w->history_dir = config.dir;
    status = tars_index_open(&config, &w->index, &why);
    if (status == TARS_OK)
        status = check_past(w, &why);
    if (status != TARS_EFORMAT && status != TARS_EMISMATCH)
        return status == TARS_OK ? status : tars_fail(status, err, "%s", why.text);
    tars_log_warning(w->log, "app", "the index is built again: %s", why.text);
    config.fresh = true;
    w->texts_anew = true;
    return tars_index_open(&config, &w->index, err);
}

static tars_status open_extract(struct tars_wiring *w, struct tars_err *err)
{
    const struct tars_extract_config config = {
        .program = tars_settings_text(w->settings, TARS_SET_TARS_EXTRACT),
        .memory_bytes = (size_t)tars_settings_int(w->settings, TARS_SET_TARS_EXTRACT_MEMORY_MB)
                        << 20U,
        .timeout_ms = tars_settings_int(w->settings, TARS_SET_TARS_EXTRACT_SECONDS) * 1000,
    };

    return tars_extract_open(&config, &w->extract, err);
}

static struct tars_chunk_config chunk_config(const struct tars_settings *settings,
                                             const struct tars_wordpiece *wordpiece,
                                             size_t max_tokens)
{
    bool semantic = tars_settings_flag(settings, TARS_SET_USE_SEMANTIC_CHUNKING);
    size_t min = (size_t)tars_settings_int(settings, TARS_SET_SEMANTIC_CHUNK_MIN);
    size_t max = (size_t)tars_settings_int(settings, TARS_SET_SEMANTIC_CHUNK_MAX);
    size_t window = (size_t)tars_settings_int(settings, TARS_SET_EMBED_MAX_SEQ_LENGTH);
    size_t overlap = (size_t)tars_settings_int(settings, TARS_SET_CHUNK_OVERLAP);

    if (!semantic)
        min = max = (size_t)tars_settings_int(settings, TARS_SET_CHUNK_SIZE);
    if (max_tokens && window > max_tokens)
        window = max_tokens;
    if (window < 64)
        window = 64;
    return (struct tars_chunk_config){
        .wordpiece = wordpiece,
        .min_tokens = min < max ? min : max,
        .max_tokens = max,
        .window_tokens = window,
        .overlap_tokens = overlap < window / 4 ? overlap : window / 4,
    };
}

/* How a file ended: into the metrics, whoever had it taken in, and to who waits for it. */
static void on_event(void *ctx, const struct tars_ingest_event *event)
{
    struct tars_wiring *w = ctx;

    tars_wiring_count_event(w, event);
    tars_events_post(w->events, event);
}

static tars_status open_ingest(struct tars_wiring *w, struct tars_err *err)
{
    const struct tars_wordpiece *wordpiece =
        w->encoder ? tars_encoder_wordpiece(w->encoder) : w->plain;
    size_t max_tokens = w->encoder ? tars_encoder_info(w->encoder)->max_tokens : 0;
    const struct tars_ingest_config config = {
        .store = w->store,
        .index = w->index,
        .extract = w->extract,
        .encoder = w->encoder,
        .chunk = chunk_config(w->settings, wordpiece, max_tokens),
        .extensions = tars_settings_text(w->settings, TARS_SET_ALLOWED_EXTENSIONS),
        .max_file_bytes = tars_settings_int(w->settings, TARS_SET_MAX_FILE_SIZE_MB) << 20U,
        .event = on_event,
        .event_ctx = w,
        .tracer = w->tracer,
        .observer = &w->ingest_observer,
        .log = w->log,
        .follow = w->follow,
        .shares = tars_stores_is_shared(w->settings),
        .leaves_jobs = !tars_wiring_takes_jobs(w),
        .no_index = w->no_index,
        .stopping = w->stopping,
        .history_dir = w->history_dir,
    };

    w->ingest_observer = tars_wiring_ingest_observer(w->metrics);
    return tars_ingest_open(&config, &w->ingest, err);
}

static tars_status open_retriever(struct tars_wiring *w, struct tars_err *err)
{
    bool is_rrf = strcmp(tars_settings_text(w->settings, TARS_SET_HYBRID_FUSION), "rrf") == 0;
    const struct tars_retriever_config config = {
        .store = w->store,
        .index = w->index,
        .vectors = w->vectors,
        .encoder = w->encoder,
        .cache = w->cache,
        .epoch = w->epoch,
        .ranking = w->ranking,
        .alpha = tars_settings_real(w->settings, TARS_SET_HYBRID_ALPHA),
        .fusion = is_rrf ? TARS_FUSION_RRF : TARS_FUSION_LINEAR,
        .rerank = tars_wiring_rerank_config(w),
        .typos = tars_settings_flag(w->settings, TARS_SET_WORDS_TYPOS),
        .observe = tars_wiring_count_search,
        .observe_ctx = w->metrics,
    };
    tars_status status = tars_retriever_new(&config, &w->retriever);

    return status == TARS_OK ? status : tars_fail(status, err, "the retriever cannot be made");
}

/* Below 0 where nobody set one: the back end may then choose for its model. */
float tars_wiring_temperature(const struct tars_settings *settings)
{
    return tars_settings_origin(settings, TARS_SET_MODEL_TEMPERATURE) == TARS_ORIGIN_DEFAULT
               ? -1.0F
               : (float)tars_settings_real(settings, TARS_SET_MODEL_TEMPERATURE);
}

static tars_status open_rag(struct tars_wiring *w, struct tars_err *err)
{
    struct tars_rag_config config = {
        .fetch = tars_rag_fetch,
        .fetch_ctx = w->retriever,
        .max_context_tokens =
            (size_t)tars_settings_int(w->settings, TARS_SET_RAG_MAX_CONTEXT_TOKENS),
        .max_tokens = (int)tars_settings_int(w->settings, TARS_SET_MODEL_MAX_TOKENS),
        .temperature = tars_wiring_temperature(w->settings),
        .top_p = (float)tars_settings_real(w->settings, TARS_SET_MODEL_TOP_P),
        .top_k = (int)tars_settings_int(w->settings, TARS_SET_MODEL_TOP_K),
    };
    tars_status status = tars_writer_open(w->settings, w->log, &w->writer, err);

    if (status == TARS_OK)
        status = tars_llm_extract_open(&w->quoter, err);
    if (status == TARS_OK)
        status = tars_wiring_open_chat(w, err);
    if (status != TARS_OK)
        return status;
    tars_writer_observe(w->writer, tars_wiring_count_generation, w->metrics);
    w->quoter->observe = tars_wiring_count_generation;
    w->quoter->observe_ctx = w->metrics;
    config.expander = w->expander;
    config.llm = tars_writer_llm(w->writer);
    config.quoter = w->quoter;
    return tars_rag_new(&config, &w->rag, err);
}

static tars_status open_service(struct tars_wiring *w, struct tars_err *err)
{
    const struct tars_encoder_info *info = w->encoder ? tars_encoder_info(w->encoder) : NULL;

    w->service = (struct tars_service){
        .store = w->store,
        .retriever = w->retriever,
        .index = w->index,
        .follow = w->follow,
        .cache = w->cache,
        .ranking = w->ranking,
        .settings = w->settings,
        .ingest = w->ingest,
        .events = w->events,
        .data = w->data,
        .spool_dir = tars_arena_printf(&w->arena, "%s/spool", w->data),
        .max_upload_bytes = tars_settings_int(w->settings, TARS_SET_MAX_FILE_SIZE_MB) << 20U,
        .dimension = info ? (int64_t)info->dim : 0,
        .embedding_model = info ? info->name : "",
        .reranker = w->reranker ? w->reranker->model : "",
        .writer = w->writer,
        .metrics = w->metrics,
        .analytics = w->analytics,
        .leaves_jobs = !tars_wiring_takes_jobs(w),
        .watch_path = tars_settings_text(w->settings, TARS_SET_NAS_MOUNT_POINT),
    };
    return w->service.spool_dir ? TARS_OK : tars_fail(TARS_ENOMEM, err, "no memory");
}

/* --------------------------------------------------------------------------------- for a server */

static bool is_ours(void *ctx)
{
    return tars_wiring_leads(ctx);
}

static tars_status open_watch(struct tars_wiring *w, struct tars_err *err)
{
    const struct tars_watch_config config = {
        .ingest = w->ingest,
        .path = tars_settings_text(w->settings, TARS_SET_NAS_MOUNT_POINT),
        .scan_interval_ms = tars_settings_int(w->settings, TARS_SET_NAS_SCAN_INTERVAL) * 1000,
        .log = w->log,
        .is_ours = is_ours,
        .is_ours_ctx = w,
    };
    tars_status status;

    /* `tars serve --watch DIR` names the folder because it is to be watched. */
    if (!tars_settings_flag(w->settings, TARS_SET_NAS_WATCH_ENABLED) &&
        tars_settings_origin(w->settings, TARS_SET_NAS_MOUNT_POINT) != TARS_ORIGIN_COMMAND_LINE)
        return TARS_OK;
    status = tars_watch_open(&config, &w->watch, err);
    w->service.watch = w->watch;
    return status;
}

static tars_status open_pools(struct tars_wiring *w, struct tars_err *err)
{
    const struct tars_pool_config compute = {.name = "tars-compute",
                                             .threads = thread_count(w->settings)};
    const struct tars_pool_config answer = {.name = "tars-answer", .threads = ANSWER_THREADS};
    const struct tars_pool_config wait = {.name = "tars-wait", .threads = WAIT_THREADS};
    const struct tars_pool_config ingest = {.name = "tars-takes-in", .threads = INGEST_THREADS};
    const struct tars_pool_config state = {.name = "tars-status", .threads = STATUS_THREADS};
    tars_status status = tars_pool_new(&compute, &w->compute);

    if (status == TARS_OK)
        status = tars_pool_new(&answer, &w->answer);
    if (status == TARS_OK)
        status = tars_pool_new(&wait, &w->wait);
    if (status == TARS_OK)
        status = tars_pool_new(&ingest, &w->takes_in);
    if (status == TARS_OK)
        status = tars_pool_new(&state, &w->status);
    if (status == TARS_OK)
        status = tars_random_hex(w->token, TARS_OWNER_TOKEN_BYTES);
    return status == TARS_OK ? status : tars_fail(status, err, "no threads for requests");
}

static const char *first_of(const char *a, const char *b)
{
    return a[0] ? a : b;
}

static tars_status open_api(struct tars_wiring *w, const struct tars_wiring_config *wanted,
                            struct tars_err *err)
{
    const struct tars_settings *s = w->settings;
    struct tars_api_config config = {
        .service = &tars_service_ops,
        .service_ctx = &w->service,
        .rag = w->rag,
        .compute = w->compute,
        .answer = w->answer,
        .wait = w->wait,
        .ingest = w->takes_in,
        .status = w->status,
        .metrics = w->metrics,
        .log = w->log,
        .tracer = w->tracer,
        .health = &w->health,
        .gpu = w->gpu,
        .only_ingests = w->no_index,
        .needs_store = tars_stores_is_shared(s),
        .may_answer = tars_wiring_may_answer,
        .may_answer_ctx = w,
        .collection_name = tars_settings_text(s, TARS_SET_CHROMA_COLLECTION_NAME),
        .roots = first_of(tars_settings_text(s, TARS_SET_TARS_ROOTS),
                          tars_settings_text(s, TARS_SET_NAS_MOUNT_POINT)),
        .owner_token = w->token,
        .environment = tars_settings_text(s, TARS_SET_FASTAPI_ENV),
        .default_top_k = (int)tars_settings_int(s, TARS_SET_RAG_TOP_K),
        .default_threshold = tars_settings_real(s, TARS_SET_RAG_RELEVANCE_THRESHOLD),
        .rerank = tars_settings_flag(s, TARS_SET_RAG_RERANK_ENABLED),
        .search_waits =
            (w->reranker && w->reranker->waits) || (w->vectors && w->vectors->ops->waits),
        .include_sources = tars_settings_flag(s, TARS_SET_RAG_INCLUDE_SOURCES),
        .prometheus = tars_settings_flag(s, TARS_SET_PROMETHEUS_ENABLED),
        .connections = wanted->connections,
        .connections_ctx = wanted->connections_ctx,
    };
    tars_status status;

    tars_wiring_fill_live(s, &config);
    tars_wiring_fill_access(w, &config);
    tars_wiring_fill_chat(w, &config);
    status = tars_wiring_fill_analytics(w, &config, err);
    return status == TARS_OK ? tars_api_new(&config, &w->api, err) : status;
}

/* --------------------------------------------------------------- life cycle */

static tars_status open_rooms(struct tars_wiring *w, const struct tars_wiring_config *config,
                              struct tars_err *err)
{
    static tars_status (*const steps[])(struct tars_wiring *, struct tars_err *) = {
        tars_wiring_open_role,
        tars_wiring_open_epoch,
        open_model,
        tars_wiring_open_vectors,
        open_index,
        tars_wiring_open_texts,
        open_extract,
        tars_wiring_open_analytics,
        tars_wiring_open_follow,
        open_ingest,
        tars_wiring_open_reranker,
        tars_wiring_open_cache,
        open_retriever,
        open_rag,
        open_service,
    };
    tars_status status = open_store(w, config, err);

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && status == TARS_OK; i++)
        status = steps[i](w, err);
    return status;
}

/* What an earlier process left behind. */
static tars_status clean_up(struct tars_wiring *w, struct tars_err *err)
{
    tars_status status = tars_spool_sweep(w->service.spool_dir, w->store, err);

    return status == TARS_OK ? tars_tenants_settle(&w->service, err) : status;
}

/* What only a server has. */
static tars_status open_served(struct tars_wiring *w, struct tars_err *err)
{
    tars_status status = clean_up(w, err);

    if (status == TARS_OK)
        status = tars_wiring_open_gpu(w, err);
    if (status == TARS_OK)
        status = open_pools(w, err);
    return status;
}

/* Who asks, the other servers on the store, and what only one of these does. */
static tars_status open_among_others(struct tars_wiring *w, const struct tars_wiring_config *config,
                                     struct tars_err *err)
{
    tars_status status = tars_wiring_open_access(w, config->serves, err);

    if (status == TARS_OK)
        status = tars_wiring_open_replicas(w, config, err);
    if (status == TARS_OK)
        status = tars_wiring_start_follow(w, config, err);
    if (status == TARS_OK && config->serves)
        status = open_watch(w, err);
    return status == TARS_OK ? register_parts(w) : status;
}

static tars_status open_all(struct tars_wiring *w, const struct tars_wiring_config *config,
                            struct tars_err *err)
{
    tars_status status = tars_places_data(w->settings, &w->arena, &w->data, err);

    w->serves = config->serves;
    if (status == TARS_OK)
        status = tars_metrics_new(&w->metrics);
    if (status == TARS_OK)
        status = tars_wiring_open_trace(w, config->serves, err);
    if (status == TARS_OK)
        status = tars_events_new(&w->events);
    if (status == TARS_OK)
        status = open_rooms(w, config, err);
    if (status == TARS_OK && config->serves)
        status = open_served(w, err);
    if (status == TARS_OK)
        status = open_among_others(w, config, err);
    if (status == TARS_OK)
        status = open_api(w, config, err);
    if (status == TARS_OK && config->serves)
        status = tars_wiring_open_sampler(w, config, err);
    if (status == TARS_OK && config->ingests)
        status = tars_ingest_start(w->ingest, err);
    if (status == TARS_OK && config->serves)
        tars_wiring_await(w, config);
    return status;
}

tars_status tars_wiring_open(const struct tars_wiring_config *config, struct tars_wiring **wiring,
                             struct tars_err *err)
{
    struct tars_wiring *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory");
    tars_arena_init(&made->arena, ARENA_MAX);
    tars_buf_init(&made->warnings, WARNINGS_MAX);
    made->settings = config->settings;
    made->log = config->log;
    made->stopping = config->stopping;
    status = open_all(made, config, err);
    if (status != TARS_OK) {
        tars_wiring_close(made);
        return status;
    }
    tars_series_set(tars_metrics_series(made->metrics, TARS_METRIC_APPLICATION_INFO,
                                        TARS_SERVICE_VERSION,
                                        tars_settings_text(made->settings, TARS_SET_FASTAPI_ENV),
                                        tars_writer_llm(made->writer)->model),
                    1);
    *wiring = made;
    return TARS_OK;
}

static void save_index(struct tars_wiring *w)
{
    struct tars_index_stats stats;
    struct tars_err err = {{0}};
    tars_status status = TARS_OK;

    if (!w->index || w->is_past)
        return;
    tars_index_stats(w->index, &stats);
    if (stats.unsaved == 0)
        return;
    if (w->history_dir)
        status = tars_history_mark(w->store, w->history_dir, stats.seq, &err);
    if (status == TARS_OK)
        status = tars_index_save(w->index, &err);
    /* Not saved is not lost: the next start replays it. */
    if (status != TARS_OK)
        tars_log_warning(w->log, "app", "the index was not saved: %s", err.text);
}

void tars_wiring_close(struct tars_wiring *wiring)
{
    struct tars_wiring *w = wiring;

    if (!w)
        return;
    tars_writer_stop(w->writer);
    tars_sampler_close(w->sampler);
    if (w->ingest)
        tars_ingest_stop(w->ingest);
    tars_pool_free(w->wait);
    tars_pool_free(w->takes_in);
    tars_pool_free(w->answer);
    tars_pool_free(w->compute);
    tars_pool_free(w->status);
    tars_health_release(&w->health);
    /* Tasks of the pools, and checks that a reply no longer waits for, ask these until now. */
    tars_watch_close(w->watch);
    tars_wiring_close_follow(w);
    tars_wiring_close_replicas(w);
    tars_api_free(w->api);
    tars_wiring_close_access(w);
    tars_rag_free(w->rag);
    tars_wiring_close_chat(w);
    tars_writer_close(w->writer);
    tars_llm_free(w->quoter);
    tars_retriever_free(w->retriever);
    tars_wiring_close_reranker(w);
    tars_ingest_close(w->ingest);
    tars_wiring_close_cache(w);
    tars_wiring_close_analytics(w);
    save_index(w);
    tars_extract_close(w->extract);
    tars_index_close(w->index);
    tars_wiring_close_vectors(w);
    tars_wordpiece_free(w->plain);
    tars_encoder_close(w->encoder);
    tars_store_close(w->store);
    tars_events_free(w->events);
    tars_gpu_close(w->gpu);
    tars_wiring_close_trace(w);
    tars_metrics_free(w->metrics);
    tars_buf_release(&w->warnings);
    tars_arena_release(&w->arena);
    free(w);
}

struct tars_api *tars_wiring_api(struct tars_wiring *wiring)
{
    return wiring->api;
}

const char *tars_wiring_data(const struct tars_wiring *wiring)
{
    return wiring->data;
}

const char *tars_wiring_token(const struct tars_wiring *wiring)
{
    return wiring->token;
}

const char *tars_wiring_warnings(const struct tars_wiring *wiring)
{
    return wiring->warnings.ptr ? wiring->warnings.ptr : "";
}

/* ------------------------------------------------------------------ reindex */

tars_status tars_wiring_reindex(const struct tars_settings *settings, bool beside,
                                atomic_bool *cancelled,
                                void (*progress)(void *ctx, int64_t done, int64_t total),
                                void *progress_ctx, struct tars_err *err)
{
    struct tars_store *store = NULL;
    struct tars_encoder *encoder = NULL;
    struct tars_arena arena;
    const char *data;
    tars_status status;

    tars_arena_init(&arena, ARENA_MAX);
    status = tars_places_data(settings, &arena, &data, err);
    if (status == TARS_OK) {
        const struct tars_stores_config config = {
            .settings = settings, .data = data, .readers = 2, .beside = beside, .alone = true};

        status = tars_stores_open(&config, &store, err);
    }
    if (status == TARS_OK)
        status = tars_epoch_forget(store, err);
    if (status == TARS_OK)
        status = open_encoder(settings, data, &arena, &encoder, err);
    if (status == TARS_OK) {
        const struct tars_reembed_config config = {
            .store = store,
            .encoder = encoder,
            .chunk = chunk_config(settings, tars_encoder_wordpiece(encoder),
                                  tars_encoder_info(encoder)->max_tokens),
            .beside = beside,
            .cancelled = cancelled,
            .progress = progress,
            .progress_ctx = progress_ctx,
        };

        status = tars_ingest_reembed(&config, err);
    }
    tars_encoder_close(encoder);
    tars_store_close(store);
    tars_arena_release(&arena);
    return status;
}
