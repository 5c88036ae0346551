/* timing - what the measurements of bench/ share: a clock and an order. */
#ifndef TARS_BENCH_TIMING_H
#define TARS_BENCH_TIMING_H

#include <time.h>

/* Seconds of processor time of this process, all its threads. */
static inline double timing_cpu_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Seconds by the clock, from anywhere. */
static inline double timing_wall_s(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* For qsort() of doubles. */
static inline int timing_by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return x < y ? -1 : x > y;
}

#endif
