/* later - turns of conversations that the store would not take, since it was away, until it does.
 *
 *     add -> a list, oldest first -> one thread, every RETRY_MS -> the store
 *
 * A turn whose commit was not answered may be in the store: it is looked for first, so none is
 * there twice. None brings back a conversation that was deleted meanwhile, by whatever server. What
 * the store refuses for good is dropped, and told in the log. With a folder each is also in a file
 * there (later_file.h) until it is written, so it outlives the process: the next one that has the
 * folder goes on. One that has no room there is in memory alone.
 *
 * Bounds     TARS_LATER_TURNS turns, TARS_LATER_BYTES of their texts.
 * Threads    Safe to share.
 */
#ifndef TARS_RAG_LATER_H
#define TARS_RAG_LATER_H

#include <stdbool.h>

#include "obs/log.h"
#include "store/conversations.h"

#define TARS_LATER_TURNS    1000
#define TARS_LATER_BYTES    ((size_t)16 << 20)
#define TARS_LATER_MESSAGES 2 /* of a turn */

struct tars_later;

struct tars_later_turn {
    const char *tenant;
    const char *client;
    const char *conversation;
    struct tars_message messages[TARS_LATER_MESSAGES];
    int64_t now_us;
};

/* store, and log, which may be NULL, are borrowed. dir: of this process alone; NULL: none. */
TARS_MUST_USE tars_status tars_later_new(struct tars_store *store, const char *dir,
                                         struct tars_log *log, struct tars_later **later);
/* NULL is allowed. */
void tars_later_free(struct tars_later *later);

/* Does the store not take it now, but perhaps later? */
bool tars_later_may_pass(tars_status status);
/* Does one of the conversation wait? What comes after it is to wait, too. */
bool tars_later_has(struct tars_later *later, const char *tenant, const char *conversation);
/* Copies the turn. ENOMEM; EBUSY: as many wait as may. */
TARS_MUST_USE tars_status tars_later_add(struct tars_later *later,
                                         const struct tars_later_turn *turn);
/* The conversation was deleted. client NULL: whoever's. Waits for one that is being written; did
 * one wait that will never be? */
bool tars_later_forget(struct tars_later *later, const char *tenant, const char *client,
                       const char *conversation);

#endif
