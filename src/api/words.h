/* words - what a client is told of a failure.
 *
 * What another program said names machines, ports and users: of PostgreSQL ("PostgreSQL: ..."), of
 * a server asked by HTTP (with its address). That is for the log, /ops/summary and `tars doctor`;
 * a client is told what it means to it. What is ours passes as it is.
 */
#ifndef TARS_API_WORDS_H
#define TARS_API_WORDS_H

#include "base/status.h"

struct tars_api;
struct tars_call;

/* words, or static ones in their place. NULL gives NULL. */
const char *tars_words_told(const char *words);
/* What to tell of a failure: err's words, or the status's; those that are not told are logged. Lent
 * as long as err. */
const char *tars_words_of(const struct tars_api *api, const struct tars_call *call,
                          tars_status status, const struct tars_err *err);

#endif
