/* confine - gives up, for good, all that reading a document does not need.
 *
 * After tars_confine() the process can read what is open, allocate, write to standard output and
 * error, and exit. It can open only files that were given with tars_confine_keep(), read-only: the
 * filter turns each open into a signal, whose handler looks the path up in a list and hands out a
 * copy of a descriptor. So no kernel feature beyond seccomp is needed, and no path is trusted.
 *
 * Limits    address space, processor time, descriptors, no core file.
 * Relaxed   With TARS_RELAXED_LIMITS (sanitizers, coverage) neither the memory limit nor the filter
 *           is installed: the sanitizers reserve terabytes and open files when they report.
 * State     One list in file scope, because a signal handler has no argument; written before
 *           tars_confine() only.
 */
#ifndef TARS_EXTRACT_CONFINE_H
#define TARS_EXTRACT_CONFINE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"

#define TARS_CONFINE_FILES_MAX 1024 /* kept files */

struct tars_confine_config {
    size_t memory_bytes;  /* of address space; 0: no limit */
    unsigned cpu_seconds; /* 0: no limit */
};

/* Open every file below the folder, so that its path can still be opened later. A folder that is
 * not there is passed over; so is what does not fit. */
void tars_confine_keep(const char *folder);

/* TARS_EDENIED with words when the kernel refuses: do not go on then. */
TARS_MUST_USE tars_status tars_confine(const struct tars_confine_config *config,
                                       struct tars_err *err);

/* False where memory limit and filter are left out; see Relaxed above. */
bool tars_confine_is_strict(void);

/* Try what must not work, once confined, and write a line "denied NAME" or "ALLOWED NAME" for each
 * to standard output. True when all was denied. */
bool tars_confine_self_test(void);

#endif
