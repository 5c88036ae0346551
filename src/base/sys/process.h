/* process - what this process uses, from /proc and getrusage. */
#ifndef TARS_BASE_SYS_PROCESS_H
#define TARS_BASE_SYS_PROCESS_H

/* What is not told is 0. */
struct tars_process_use {
    double cpu_s; /* user and system, all threads */
    double resident_bytes;
    double virtual_bytes;
    double open_fds;
    double max_fds; /* soft limit */
    double threads;
};

/* Reads two files of /proc, and lists /proc/self/fd. Any thread. */
void tars_process_read(struct tars_process_use *use);

#endif
