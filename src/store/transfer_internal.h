/* transfer_internal - what the files of transfer share. Not for others. */
#ifndef TARS_STORE_TRANSFER_INTERNAL_H
#define TARS_STORE_TRANSFER_INTERNAL_H

#include "store/accounts.h"
#include "store/conversations.h"
#include "store/transfer.h"

#define TRANSFER_PARTIAL_KEY "embed.partial"   /* set: some passages lack vectors */
#define TRANSFER_ARENA_MAX   ((size_t)2 << 30) /* of the longest list */

/* transfer_accounts.c: tenants without their limits, so that all fits, accounts and the rest. */
TARS_MUST_USE tars_status tars_transfer_accounts(const struct tars_transfer_config *config,
                                                 struct tars_err *err);
/* The limits, and who is disabled; conversations and audit log. */
TARS_MUST_USE tars_status tars_transfer_rest(const struct tars_transfer_config *config,
                                             struct tars_err *err);

/* All entries, oldest first, in the arena. */
TARS_MUST_USE tars_status tars_transfer_audit(struct tars_store *store, struct tars_arena *arena,
                                              struct tars_audit_entry **entries, size_t *count,
                                              struct tars_err *err);

/* When it was last changed, as far as that goes over. */
int64_t tars_transfer_changed_us(const struct tars_conversation *said);

#endif
