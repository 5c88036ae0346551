/* machine - see machine.h for the contract. */
#include "base/sys/machine.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define TEXT_BYTES 4096 /* of /proc/stat only the first line is wanted */
#define KB_PER_MB  1024.0
#define CPU_FIELDS 8 /* user nice system idle iowait irq softirq steal; guests are in user */
#define CPU_IDLE   3
#define CPU_IOWAIT 4

/* The first bytes of a file, terminated; false when there are none. */
static int read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

tars_status tars_cpu_read(struct tars_cpu_ticks *ticks)
{
    char text[TEXT_BYTES];
    struct tars_cpu_ticks made = {0, 0};
    char *at = text + 4;

    if (!read_text("/proc/stat", text, sizeof(text)) || strncmp(text, "cpu ", 4) != 0)
        return TARS_EIO;
    for (int i = 0; i < CPU_FIELDS; i++) {
        uint64_t value = strtoull(at, &at, 10);

        made.total += value;
        if (i != CPU_IDLE && i != CPU_IOWAIT)
            made.busy += value;
    }
    *ticks = made;
    return TARS_OK;
}

double tars_cpu_percent(struct tars_cpu_ticks before, struct tars_cpu_ticks after)
{
    if (after.total <= before.total || after.busy < before.busy)
        return 0;
    return 100 * (double)(after.busy - before.busy) / (double)(after.total - before.total);
}

static double kilobytes(const char *text, const char *name)
{
    const char *at = strstr(text, name);

    return at ? (double)strtoull(at + strlen(name), NULL, 10) : 0;
}

tars_status tars_memory_read(struct tars_memory_use *use)
{
    char text[TEXT_BYTES];
    double total;
    double available;

    if (!read_text("/proc/meminfo", text, sizeof(text)))
        return TARS_EIO;
    total = kilobytes(text, "MemTotal:");
    available = kilobytes(text, "MemAvailable:");
    if (total <= 0)
        return TARS_EIO;
    if (available > total)
        available = total;
    *use = (struct tars_memory_use){
        .total_mb = total / KB_PER_MB,
        .used_mb = (total - available) / KB_PER_MB,
        .percent = 100 * (total - available) / total,
    };
    return TARS_OK;
}

tars_status tars_disk_read(const char *path, struct tars_disk_use *use)
{
    struct statvfs disk;

    if (statvfs(path, &disk) != 0)
        return TARS_EIO;
    *use = (struct tars_disk_use){
        .total_bytes = (double)disk.f_blocks * (double)disk.f_frsize,
        .free_bytes = (double)disk.f_bavail * (double)disk.f_frsize,
    };
    return TARS_OK;
}
