/* recall - rendered results of searches, kept in the cache and given again.
 *
 * They are kept in this process only: the text of documents does not go to a cache that others can
 * read. What was found, without its text, is kept by retrieve (retrieve/kept.h), there too.
 *
 * Nothing stale and nothing strange can be given: a key holds the number of the last change that
 * the index has seen, the collections that the caller may read, the settings of ranking, and every
 * field of the request. A result is kept only if the index is still at that number when it is
 * ready. While the index could not follow the store, nothing is kept nor given: what was deleted
 * may still be under the number that the index has.
 */
#ifndef TARS_APP_RECALL_H
#define TARS_APP_RECALL_H

#include "app/service.h"

/* As the ops of api/service.h say. */
TARS_MUST_USE tars_status tars_recall(const struct tars_service *service,
                                      const struct tars_search_request *request,
                                      struct tars_call *call, struct tars_recalled *recalled);
void tars_recall_keep(const struct tars_service *service, const struct tars_search_request *request,
                      struct tars_call *call, const struct tars_search_reply *reply,
                      struct tars_span results);

#endif
