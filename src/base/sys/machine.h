/* machine - how busy the machine is: processors and memory, from /proc, and room on a disk.
 *
 * Processor use is a difference: of two readings of /proc/stat, time that was not idle over all
 * time. Who asks keeps the earlier reading.
 */
#ifndef TARS_BASE_SYS_MACHINE_H
#define TARS_BASE_SYS_MACHINE_H

#include <stdint.h>

#include "base/status.h"

/* Ticks since the start of the machine, over all processors. */
struct tars_cpu_ticks {
    uint64_t busy, total;
};

struct tars_memory_use {
    double total_mb, used_mb; /* MiB; used: what could not be had without swapping */
    double percent;           /* used of total */
};

struct tars_disk_use {
    double total_bytes, free_bytes; /* free: for who is not root */
};

/* EIO when /proc does not tell. */
TARS_MUST_USE tars_status tars_cpu_read(struct tars_cpu_ticks *ticks);
/* 0..100 between two readings; 0 when no time has passed. */
double tars_cpu_percent(struct tars_cpu_ticks before, struct tars_cpu_ticks after);
TARS_MUST_USE tars_status tars_memory_read(struct tars_memory_use *use);
/* Of the disk that path is on. EIO. */
TARS_MUST_USE tars_status tars_disk_read(const char *path, struct tars_disk_use *use);

#endif
