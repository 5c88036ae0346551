/* llm_auto - the first of several back ends that is well; the setting LLM_BACKEND=auto.
 *
 * The usual order: the in-process model if a GGUF is configured, a reachable Ollama, quotations.
 * Health is asked for at most every TARS_LLM_AUTO_RECHECK_MS, so a server that comes up later is
 * found, and one that is away costs a question nothing. One that fails before its first token is
 * passed over for that question and marked unwell.
 */
#ifndef TARS_LLM_LLM_AUTO_H
#define TARS_LLM_LLM_AUTO_H

#include "base/sys/clock.h"
#include "llm/llm.h"

#define TARS_LLM_AUTO_MAX        8
#define TARS_LLM_AUTO_RECHECK_MS 15000

struct tars_llm_auto_config {
    struct tars_llm *const *candidates; /* (count,) in order of preference; taken: freed with it */
    size_t count;                       /* 1..TARS_LLM_AUTO_MAX */
    tars_clock_fn *now_ms;              /* required */
    void *now_ctx;
};

/* On failure the candidates stay the caller's. */
TARS_MUST_USE tars_status tars_llm_auto_open(const struct tars_llm_auto_config *config,
                                             struct tars_llm **llm, struct tars_err *err);

#endif
