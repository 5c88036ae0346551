/* owners - which collection each passage is of, in memory: what rights ask for every candidate.
 *
 *     passage id -> page (id / 65,536) -> number of its collection, 2 bytes; 0: not known
 *
 * A passage's collection never changes and ids only ascend, so the map is never wrong, only behind:
 * _refresh() reads what is new since the last time. What is not in it belongs to nobody.
 *
 * Cost      Two loads an answer. 2 bytes for each passage id that was in the store at the first
 *           refresh or later, in pages of 128 KiB; 512 KiB of page table.
 * Threads   Safe to share. _of() takes no lock.
 */
#ifndef TARS_RETRIEVE_OWNERS_H
#define TARS_RETRIEVE_OWNERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define TARS_OWNERS_COLLECTIONS_MAX 65535

struct tars_store;
struct tars_owners;

TARS_MUST_USE tars_status tars_owners_new(struct tars_store *store, struct tars_owners **owners);
/* NULL is allowed. */
void tars_owners_free(struct tars_owners *owners);

/* Know at least what the index knew at seq; *last: the newest passage id that is known then,
 * *count: collections that have a number, 1..count. */
TARS_MUST_USE tars_status tars_owners_refresh(struct tars_owners *owners, uint64_t seq,
                                              uint64_t *last, size_t *count, struct tars_err *err);
/* The number of a collection; 0: it has no passages. */
unsigned tars_owners_number(struct tars_owners *owners, const char *key);
/* The number of the passage's collection; 0: not known. */
unsigned tars_owners_of(const struct tars_owners *owners, uint64_t passage_id);
/* The first run of passages at or behind from whose collections have their bit in allowed, numbers
 * up to count (0 is none); within one page of the map. False when there is none. */
bool tars_owners_next(const struct tars_owners *owners, const uint64_t *allowed, size_t count,
                      uint64_t from, uint64_t *first, uint64_t *last);

#endif
