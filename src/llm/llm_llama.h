/* llm_llama - writes with a GGUF model in this process, through llama.cpp's C library.
 *
 * Compiled only where the build is given the library (TARS_LLAMA_DIR, see scripts/llama); the
 * application's code asks for TARS_HAVE_LLAMA.
 */
#ifndef TARS_LLM_LLM_LLAMA_H
#define TARS_LLM_LLM_LLAMA_H

#include <stdbool.h>

#include "llm/llm.h"

#define TARS_LLM_LLAMA_CONTEXT_DEFAULT                                                    \
    4096                             /* tokens; never more than the model was trained for \
                                      */
#define TARS_LLM_LLAMA_THREADS_MAX 4 /* of the default */

struct tars_llm_llama_config {
    const char *path;   /* GGUF file; required, borrowed for the call */
    int context_tokens; /* prompt and answer together; 0: TARS_LLM_LLAMA_CONTEXT_DEFAULT */
    int threads;        /* 0: half the processors, 1 to TARS_LLM_LLAMA_THREADS_MAX: threads that
                           share a busy processor wait for each other in a spin */
    bool load_at_start; /* false: the first use loads it; the file is looked at in both cases */
};

/* ENOTFOUND, EDENIED, EFORMAT (not a GGUF), ENOMEM. */
TARS_MUST_USE tars_status tars_llm_llama_open(const struct tars_llm_llama_config *config,
                                              struct tars_llm **llm, struct tars_err *err);

#endif
