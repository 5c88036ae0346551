/* fake_nvml - stands in for NVIDIA's management library: test machines have no such processor.
 *
 * FAKE_NVML_COUNT processors (2); number i (from 0) is "Fake GPU i", 10 + i percent busy, has used
 * 1 + i of 8 GiB, and is 40 + i degrees warm. Calls named in FAKE_NVML_FAILS, joined by commas
 * ("init", "count", "handle1", "utilization", "memory", "temperature", "name"), fail. Built with
 * FAKE_NVML_OLD it lacks a function, as another library would. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAILURE 999
#define GIB     (1ULL << 30)

struct utilization {
    unsigned core, memory;
};
struct memory {
    unsigned long long total, free, used;
};

int nvmlInit_v2(void);
int nvmlShutdown(void);
int nvmlDeviceGetCount_v2(unsigned *count);
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device);
int nvmlDeviceGetName(void *device, char *name, unsigned size);
int nvmlDeviceGetUtilizationRates(void *device, struct utilization *use);
int nvmlDeviceGetMemoryInfo(void *device, struct memory *memory);
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *celsius);

static char devices[64]; /* the address of number i stands for it */

static int result(const char *call)
{
    const char *fails = getenv("FAKE_NVML_FAILS");
    size_t len = strlen(call);

    while (fails && *fails) {
        size_t name = strcspn(fails, ",");

        if (name == len && strncmp(fails, call, len) == 0)
            return FAILURE;
        fails += name + (fails[name] == ',');
    }
    return 0;
}

static unsigned number(const void *device)
{
    return (unsigned)((const char *)device - devices);
}

int nvmlInit_v2(void)
{
    return result("init");
}

int nvmlShutdown(void)
{
    return 0;
}

int nvmlDeviceGetCount_v2(unsigned *count)
{
    const char *set = getenv("FAKE_NVML_COUNT");

    *count = set ? (unsigned)strtoul(set, NULL, 10) : 2;
    return result("count");
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device)
{
    char call[32];

    (void)snprintf(call, sizeof(call), "handle%u", index);
    *device = &devices[index % sizeof(devices)];
    return result(call);
}

int nvmlDeviceGetName(void *device, char *name, unsigned size)
{
    (void)snprintf(name, size, "Fake GPU %u", number(device));
    return result("name");
}

int nvmlDeviceGetUtilizationRates(void *device, struct utilization *use)
{
    *use = (struct utilization){10 + number(device), 5};
    return result("utilization");
}

int nvmlDeviceGetMemoryInfo(void *device, struct memory *memory)
{
    *memory = (struct memory){8 * GIB, (7 - number(device)) * GIB, (1 + number(device)) * GIB};
    return result("memory");
}

#ifndef FAKE_NVML_OLD
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *celsius)
{
    *celsius = sensor == 0 ? 40 + number(device) : 0;
    return result("temperature");
}
#endif
