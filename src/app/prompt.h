/* prompt - a secret from the one who runs the program: typed at the terminal, where it is not
 * shown, or the first line of standard input where that is none. Never an argument: those are in
 * the list of processes, and in the history of the shell.
 */
#ifndef TARS_APP_PROMPT_H
#define TARS_APP_PROMPT_H

#include "base/mem/arena.h"
#include "base/status.h"

#define TARS_PROMPT_BYTES_MAX 1024

/* what: "Secret for office". At a terminal it is asked for twice. EINVAL: empty, too long, or the
 * two differ; ECANCELED: Ctrl-C, or the input ended. */
TARS_MUST_USE tars_status tars_prompt_secret(const char *what, struct tars_arena *arena,
                                             const char **secret, struct tars_err *err);

#endif
