/* machine - how busy the machine is, for routes: a sample that is at most MACHINE_FRESH_MS old.
 *
 * Use of the processors is since the sample before; where that is long ago, over a moment that the
 * caller waits for (so never on a loop thread).
 *
 * The graphics processor's numbers are the last that whoever refreshes them has read (obs/gpu.h).
 *
 * Threads   Safe to share.
 */
#ifndef TARS_API_MACHINE_H
#define TARS_API_MACHINE_H

#include "base/sys/machine.h"
#include "obs/gpu.h"

struct tars_api;
struct tars_machine_watch; /* the last sample */

struct tars_machine {
    double cpu_percent;
    struct tars_memory_use memory;
    bool has_gpu; /* the next is told */
    struct tars_gpu_use gpu;
};

TARS_MUST_USE tars_status tars_machine_watch_new(struct tars_machine_watch **watch);
/* NULL is allowed. */
void tars_machine_watch_free(struct tars_machine_watch *watch);
/* EIO when the machine does not tell. */
TARS_MUST_USE tars_status tars_api_machine(const struct tars_api *api, struct tars_machine *out);

#endif
