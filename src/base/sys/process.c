/* process - see process.h. */
#include "base/sys/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static double count_entries(const char *path)
{
    DIR *dir = opendir(path);
    double count = 0;

    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count > 2 ? count - 2 : 0; /* "." and ".." */
}

static void read_memory(struct tars_process_use *use)
{
    FILE *file = fopen("/proc/self/statm", "re");
    unsigned long total = 0;
    unsigned long resident = 0;
    double page = (double)sysconf(_SC_PAGESIZE);

    if (file && fscanf(file, "%lu %lu", &total, &resident) != 2) /* NOLINT(cert-err34-c) */
        total = resident = 0;
    if (file)
        (void)fclose(file);
    use->virtual_bytes = (double)total * page;
    use->resident_bytes = (double)resident * page;
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

void tars_process_read(struct tars_process_use *use)
{
    double fds = count_entries("/proc/self/fd");
    struct rusage usage;
    struct rlimit limit;

    *use = (struct tars_process_use){
        .open_fds = fds > 1 ? fds - 1 : 0, /* the folder that was open meanwhile */
        .threads = count_entries("/proc/self/task"),
    };
    read_memory(use);
    if (getrusage(RUSAGE_SELF, &usage) == 0)
        use->cpu_s = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        use->max_fds = (double)limit.rlim_cur;
}
