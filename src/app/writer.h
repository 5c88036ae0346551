/* writer - the language model that the settings ask for, with what it needs (an HTTP client). */
#ifndef TARS_APP_WRITER_H
#define TARS_APP_WRITER_H

#include "app/settings.h"
#include "base/status.h"
#include "llm/llm.h"
#include "obs/log.h"

struct tars_writer;

/* LLM_BACKEND=auto is the first of these that is well: the GGUF of LLM_MODEL_PATH, Ollama,
 * quotations. A model file that cannot be opened stops the start when it was asked for by name. */
TARS_MUST_USE tars_status tars_writer_open(const struct tars_settings *settings,
                                           struct tars_log *log, struct tars_writer **writer,
                                           struct tars_err *err);
/* NULL is allowed. */
void tars_writer_close(struct tars_writer *writer);

/* Hear of every generation, whichever back end made it; before anyone generates. */
void tars_writer_observe(struct tars_writer *writer, tars_llm_observe_fn *observe, void *ctx);
/* Lent for the writer's life. */
struct tars_llm *tars_writer_llm(struct tars_writer *writer);
/* The model that would write now; may ask for its health, at most every 15 seconds. */
const char *tars_writer_name(struct tars_writer *writer);
/* TARS_OK when it could write now, within 5 seconds. */
TARS_MUST_USE tars_status tars_writer_health(struct tars_writer *writer, struct tars_err *err);
/* Looks at its health end soon, those under way and those to come. Any thread; NULL is allowed. */
void tars_writer_stop(struct tars_writer *writer);

#endif
