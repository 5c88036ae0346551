/* writer - see writer.h for the contract. */
#include "app/writer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/sys/clock.h"
#include "llm/llm_auto.h"
#include "llm/llm_extract.h"
#include "llm/llm_llama.h"
#include "llm/llm_ollama.h"
#include "llm/llm_openai.h"
#include "net/client.h"

#define HEALTH_MS  5000
#define RECHECK_MS 15000 /* between looks at who is well */

/* A look at a back end's health that is under way. */
struct probe {
    struct probe *next;
    struct tars_call call;
};

struct tars_writer {
    struct tars_client *client;
    struct tars_llm *llm;           /* owned */
    struct tars_llm *candidates[3]; /* (candidate_count,) those of auto, best first; lent by llm */
    size_t candidate_count;
    pthread_mutex_t lock;    /* guards all below */
    struct tars_llm *chosen; /* who writes now; NULL: not looked at yet */
    int64_t chosen_ms;       /* when that was found */
    struct probe *probes;
    bool is_stopped; /* probes end at once */
};

static tars_status open_llama(const struct tars_settings *s, struct tars_llm **llm,
                              struct tars_err *err)
{
    const char *path = tars_settings_text(s, TARS_SET_LLM_MODEL_PATH);

    if (!path[0])
        return tars_fail(TARS_EINVAL, err, "LLM_BACKEND=llama needs LLM_MODEL_PATH, a GGUF file");
#ifdef TARS_HAVE_LLAMA
    {
        const struct tars_llm_llama_config config = {
            .path = path,
            .context_tokens = (int)tars_settings_int(s, TARS_SET_OLLAMA_CONTEXT_LENGTH),
        };

        return tars_llm_llama_open(&config, llm, err);
    }
#else
    (void)llm;
    return tars_fail(TARS_EUNSUPPORTED, err,
                     "LLM_MODEL_PATH is set, but this program was built without llama.cpp; build "
                     "with TARS_LLAMA_DIR=$(scripts/llama)");
#endif
}

static int64_t timeout_ms(const struct tars_settings *s)
{
    return tars_settings_int(s, TARS_SET_LLM_TIMEOUT_SECONDS) * 1000;
}

static tars_status open_ollama(const struct tars_settings *s, struct tars_client *client,
                               struct tars_llm **llm, struct tars_err *err)
{
    const struct tars_llm_ollama_config config = {
        .client = client,
        .base_url = tars_settings_text(s, TARS_SET_OLLAMA_HOST),
        .model = tars_settings_text(s, TARS_SET_OLLAMA_MODEL),
        .timeout_ms = timeout_ms(s),
    };

    return tars_llm_ollama_open(&config, llm, err);
}

static tars_status open_openai(const struct tars_settings *s, struct tars_client *client,
                               struct tars_llm **llm, struct tars_err *err)
{
    const struct tars_llm_openai_config config = {
        .client = client,
        .base_url = tars_settings_text(s, TARS_SET_OPENAI_BASE_URL),
        .api_key = tars_settings_text(s, TARS_SET_OPENAI_API_KEY),
        .model = tars_settings_text(s, TARS_SET_OPENAI_MODEL),
        .timeout_ms = timeout_ms(s),
    };

    if (!config.base_url[0])
        return tars_fail(TARS_EINVAL, err, "LLM_BACKEND=openai needs OPENAI_BASE_URL");
    return tars_llm_openai_open(&config, llm, err);
}

/* A model file that cannot be used costs this candidate, with a warning. */
static tars_status open_auto(const struct tars_settings *s, struct tars_log *log,
                             struct tars_writer *writer, struct tars_err *err)
{
    struct tars_llm **candidates = writer->candidates;
    struct tars_llm_auto_config filled = {.candidates = candidates, .now_ms = tars_clock_mono};
    struct tars_err why = {{0}};
    tars_status status = TARS_OK;

    if (tars_settings_text(s, TARS_SET_LLM_MODEL_PATH)[0]) {
        if (open_llama(s, &candidates[filled.count], &why) == TARS_OK) {
            filled.count++;
        } else {
            tars_log_warning(log, "app", "%s", why.text);
        }
    }
    status = open_ollama(s, writer->client, &candidates[filled.count], err);
    if (status == TARS_OK) {
        filled.count++;
        status = tars_llm_extract_open(&candidates[filled.count], err);
    }
    if (status == TARS_OK) {
        filled.count++;
        status = tars_llm_auto_open(&filled, &writer->llm, err);
    }
    writer->candidate_count = status == TARS_OK ? filled.count : 0;
    for (size_t i = 0; i < filled.count && status != TARS_OK; i++)
        tars_llm_free(candidates[i]);
    return status;
}

static tars_status open_llm(const struct tars_settings *s, struct tars_log *log,
                            struct tars_writer *writer, struct tars_err *err)
{
    const char *backend = tars_settings_text(s, TARS_SET_LLM_BACKEND);

    if (strcmp(backend, "llama") == 0)
        return open_llama(s, &writer->llm, err);
    if (strcmp(backend, "ollama") == 0)
        return open_ollama(s, writer->client, &writer->llm, err);
    if (strcmp(backend, "openai") == 0)
        return open_openai(s, writer->client, &writer->llm, err);
    if (strcmp(backend, "extract") == 0)
        return tars_llm_extract_open(&writer->llm, err);
    return open_auto(s, log, writer, err);
}

tars_status tars_writer_open(const struct tars_settings *settings, struct tars_log *log,
                             struct tars_writer **writer, struct tars_err *err)
{
    const struct tars_client_config config = {0};
    struct tars_writer *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for the language model");
    pthread_mutex_init(&made->lock, NULL);
    status = tars_client_new(&config, &made->client);
    if (status == TARS_OK) {
        status = open_llm(settings, log, made, err);
    } else {
        status = tars_fail(status, err, "the HTTP client cannot be made");
    }
    if (status != TARS_OK) {
        tars_writer_close(made);
        return status;
    }
    *writer = made;
    return TARS_OK;
}

void tars_writer_close(struct tars_writer *writer)
{
    if (!writer)
        return;
    tars_llm_free(writer->llm);
    tars_client_free(writer->client);
    pthread_mutex_destroy(&writer->lock);
    free(writer);
}

/* auto hands each question on to one of its candidates, so they are those to be heard. */
void tars_writer_observe(struct tars_writer *writer, tars_llm_observe_fn *observe, void *ctx)
{
    for (size_t i = 0; i < writer->candidate_count; i++) {
        writer->candidates[i]->observe = observe;
        writer->candidates[i]->observe_ctx = ctx;
    }
    if (writer->candidate_count == 0) {
        writer->llm->observe = observe;
        writer->llm->observe_ctx = ctx;
    }
}

struct tars_llm *tars_writer_llm(struct tars_writer *writer)
{
    return writer->llm;
}

static void link_in(struct tars_writer *writer, struct probe *probe)
{
    pthread_mutex_lock(&writer->lock);
    atomic_init(&probe->call.cancelled, writer->is_stopped);
    probe->next = writer->probes;
    writer->probes = probe;
    pthread_mutex_unlock(&writer->lock);
}

static void link_out(struct tars_writer *writer, const struct probe *probe)
{
    struct probe **link;

    pthread_mutex_lock(&writer->lock);
    for (link = &writer->probes; *link != probe; link = &(*link)->next) {
    }
    *link = probe->next;
    pthread_mutex_unlock(&writer->lock);
}

static tars_status health_of(struct tars_writer *writer, struct tars_llm *llm, struct tars_err *err)
{
    struct probe probe = {.call = {.client_id = "health"}};
    struct tars_arena arena;
    tars_status status;

    tars_arena_init(&arena, (size_t)1 << 20);
    probe.call.arena = &arena;
    probe.call.deadline_ms = tars_clock_mono_ms() + HEALTH_MS;
    link_in(writer, &probe);
    status = tars_llm_health(llm, &probe.call, err);
    link_out(writer, &probe);
    tars_arena_release(&arena);
    return status;
}

tars_status tars_writer_health(struct tars_writer *writer, struct tars_err *err)
{
    return health_of(writer, writer->llm, err);
}

void tars_writer_stop(struct tars_writer *writer)
{
    if (!writer)
        return;
    pthread_mutex_lock(&writer->lock);
    writer->is_stopped = true;
    for (struct probe *probe = writer->probes; probe; probe = probe->next)
        atomic_store(&probe->call.cancelled, true);
    pthread_mutex_unlock(&writer->lock);
}

/* Who would write now. The last candidate quotes, and is always well. */
static struct tars_llm *choose(struct tars_writer *writer)
{
    for (size_t i = 0; i + 1 < writer->candidate_count; i++) {
        if (health_of(writer, writer->candidates[i], NULL) == TARS_OK)
            return writer->candidates[i];
    }
    return writer->candidate_count ? writer->candidates[writer->candidate_count - 1] : writer->llm;
}

const char *tars_writer_name(struct tars_writer *writer)
{
    int64_t now = tars_clock_mono_ms();
    struct tars_llm *chosen;

    pthread_mutex_lock(&writer->lock);
    chosen = now - writer->chosen_ms < RECHECK_MS ? writer->chosen : NULL;
    pthread_mutex_unlock(&writer->lock);
    if (chosen)
        return chosen->model;
    chosen = choose(writer);
    pthread_mutex_lock(&writer->lock);
    writer->chosen = chosen;
    writer->chosen_ms = now;
    pthread_mutex_unlock(&writer->lock);
    return chosen->model;
}
