/* gpu - see gpu.h for the contract. */
#include "obs/gpu.h"

#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define NVML_OK          0
#define NVML_SENSOR_CORE 0

/* Shapes of the library's interface. */
typedef struct nvml_device *nvml_handle;
struct nvml_utilization {
    unsigned core, memory; /* percent of the last sample; memory: of its bandwidth */
};
struct nvml_memory {
    unsigned long long total, free, used; /* bytes */
};

/* The functions that are used: field, symbol, parameters. */
#define FUNCTIONS(X)                                                                        \
    X(init, "nvmlInit_v2", (void))                                                          \
    X(shut_down, "nvmlShutdown", (void))                                                    \
    X(count, "nvmlDeviceGetCount_v2", (unsigned *count))                                    \
    X(handle, "nvmlDeviceGetHandleByIndex_v2", (unsigned index, nvml_handle *device))       \
    X(name, "nvmlDeviceGetName", (nvml_handle device, char *name, unsigned size))           \
    X(utilization, "nvmlDeviceGetUtilizationRates",                                         \
      (nvml_handle device, struct nvml_utilization * use))                                  \
    X(memory, "nvmlDeviceGetMemoryInfo", (nvml_handle device, struct nvml_memory * memory)) \
    X(temperature, "nvmlDeviceGetTemperature", (nvml_handle device, int sensor, unsigned *celsius))

struct nvml {
#define X(field, symbol, parameters) \
    int(*field) parameters; /* NOLINT(bugprone-macro-parentheses) */
    FUNCTIONS(X)
#undef X
};

struct tars_gpu {
    void *library; /* of dlopen() */
    struct nvml nvml;
    pthread_mutex_t lock; /* guards the two below */
    struct tars_gpu_use last;
    bool is_known;
};

/* ------------------------------------------------------------------ reading */

static bool read_one(const struct nvml *nvml, unsigned index, struct tars_gpu_use *use)
{
    struct nvml_utilization busy;
    struct nvml_memory memory;
    nvml_handle device = NULL;
    unsigned celsius;

    *use = (struct tars_gpu_use){.percent = NAN,
                                 .memory_used = NAN,
                                 .memory_total = NAN,
                                 .memory_percent = NAN,
                                 .temperature_c = NAN};
    if (nvml->handle(index, &device) != NVML_OK)
        return false;
    if (nvml->name(device, use->name, sizeof(use->name)) != NVML_OK)
        use->name[0] = '\0';
    use->name[sizeof(use->name) - 1] = '\0';
    if (nvml->utilization(device, &busy) == NVML_OK)
        use->percent = busy.core;
    if (nvml->memory(device, &memory) == NVML_OK && memory.total > 0) {
        use->memory_used = (double)memory.used;
        use->memory_total = (double)memory.total;
        use->memory_percent = 100 * use->memory_used / use->memory_total;
    }
    if (nvml->temperature(device, NVML_SENSOR_CORE, &celsius) == NVML_OK)
        use->temperature_c = celsius;
    return !isnan(use->percent) || !isnan(use->memory_used) || !isnan(use->temperature_c);
}

/* The last one that answers. */
static bool read_last(const struct nvml *nvml, struct tars_gpu_use *use)
{
    unsigned count = 0;

    if (nvml->count(&count) != NVML_OK)
        return false;
    for (unsigned tried = 0; tried < TARS_GPU_MAX && tried < count; tried++) {
        if (read_one(nvml, count - 1 - tried, use))
            return true;
    }
    return false;
}

void tars_gpu_refresh(struct tars_gpu *gpu)
{
    struct tars_gpu_use use;
    bool is_known;

    if (!gpu)
        return;
    is_known = read_last(&gpu->nvml, &use);
    pthread_mutex_lock(&gpu->lock);
    gpu->is_known = is_known;
    if (is_known)
        gpu->last = use;
    pthread_mutex_unlock(&gpu->lock);
}

bool tars_gpu_last(struct tars_gpu *gpu, struct tars_gpu_use *use)
{
    bool is_known;

    if (!gpu)
        return false;
    pthread_mutex_lock(&gpu->lock);
    is_known = gpu->is_known;
    if (is_known)
        *use = gpu->last;
    pthread_mutex_unlock(&gpu->lock);
    return is_known;
}

/* --------------------------------------------------------------- life cycle */

/* POSIX lets a symbol's address be a function's; ISO C has no cast for it. */
static bool find(void *library, const char *symbol, void *function)
{
    void *found = dlsym(library, symbol);

    _Static_assert(sizeof(found) == sizeof(int (*)(void)), "functions are addressed as data is");
    memcpy(function, (const void *)&found, sizeof(found));
    return found != NULL;
}

static tars_status find_all(void *library, struct nvml *nvml, struct tars_err *err)
{
#define X(field, symbol, parameters)                  \
    if (!find(library, symbol, (void *)&nvml->field)) \
        return tars_fail(TARS_EUNSUPPORTED, err, "the GPU library has no " symbol);
    FUNCTIONS(X)
#undef X
    return TARS_OK;
}

static tars_status load(const char *library, struct tars_gpu *gpu, struct tars_err *err)
{
    tars_status status;

    gpu->library = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if (!gpu->library)
        return tars_fail(TARS_EUNAVAILABLE, err, "no GPU: %s is away", library);
    status = find_all(gpu->library, &gpu->nvml, err);
    if (status != TARS_OK) {
        gpu->nvml.shut_down = NULL;
        return status;
    }
    if (gpu->nvml.init() != NVML_OK) {
        gpu->nvml.shut_down = NULL; /* what did not begin needs no end */
        return tars_fail(TARS_EUNAVAILABLE, err, "no GPU: its driver does not answer");
    }
    tars_gpu_refresh(gpu);
    return gpu->is_known ? TARS_OK
                         : tars_fail(TARS_EUNAVAILABLE, err, "no GPU: none of them answers");
}

tars_status tars_gpu_open(const char *library, struct tars_gpu **gpu, struct tars_err *err)
{
    struct tars_gpu *made = calloc(1, sizeof(*made));
    tars_status status;

    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for the GPU");
    pthread_mutex_init(&made->lock, NULL);
    status = load(library, made, err);
    if (status != TARS_OK) {
        tars_gpu_close(made);
        return status;
    }
    *gpu = made;
    return TARS_OK;
}

void tars_gpu_close(struct tars_gpu *gpu)
{
    if (!gpu)
        return;
    if (gpu->nvml.shut_down)
        (void)gpu->nvml.shut_down();
    if (gpu->library)
        (void)dlclose(gpu->library);
    pthread_mutex_destroy(&gpu->lock);
    free(gpu);
}
