/* gpu - how busy the graphics processors are, through NVIDIA's management library (NVML).
 *
 * The library belongs to the driver, so it is looked for at run time: where it is away, lacks a
 * function, or finds no processor, there is none, and nothing else is lost. Its few functions that
 * are used have kept their shape since driver 367 (2016).
 *
 *     tars_gpu_open() --- reads once ---> tars_gpu_last() copies the reading, for any thread
 *     a thread that may wait --- tars_gpu_refresh(), now and then ---^
 *
 * Model     With several processors the last one that answers is the one that is told, as the
 *           contract has it (section 3). What a processor does not tell is NaN.
 * Bounds    TARS_GPU_MAX processors are asked at most, once a refresh.
 * Threads   Safe to share. tars_gpu_refresh() waits for the driver, some milliseconds; nothing else
 *           does.
 */
#ifndef TARS_OBS_GPU_H
#define TARS_OBS_GPU_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

#define TARS_GPU_LIBRARY    "libnvidia-ml.so.1"
#define TARS_GPU_MAX        16
#define TARS_GPU_NAME_BYTES 96 /* with its NUL, as the library has it */

/* A reading. NaN: not told. */
struct tars_gpu_use {
    char name[TARS_GPU_NAME_BYTES];
    double percent;        /* of the time since the driver's last sample it was busy */
    double memory_used;    /* bytes */
    double memory_total;   /* bytes */
    double memory_percent; /* used of total */
    double temperature_c;  /* degrees Celsius */
};

struct tars_gpu;

/* TARS_EUNAVAILABLE: the library is away, its driver does not answer, or there is no processor;
 * TARS_EUNSUPPORTED: it lacks a function; TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_gpu_open(const char *library, struct tars_gpu **gpu,
                                        struct tars_err *err);
/* No refresh may be under way. NULL is allowed. */
void tars_gpu_close(struct tars_gpu *gpu);

/* Take a reading. NULL is allowed. */
void tars_gpu_refresh(struct tars_gpu *gpu);
/* The last reading; false when gpu is NULL, or no processor answered then. */
bool tars_gpu_last(struct tars_gpu *gpu, struct tars_gpu_use *use);

#endif
