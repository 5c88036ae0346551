/* tenants - all of a tenant at once: out as a file, or gone for good.
 *
 * Export    one file of JSON lines, each with "type": tenant, account, key, collection, grant,
 *           document (with its passages' texts), conversation (with its messages), usage, audit.
 *           Secrets and their hashes are left out. What changes meanwhile may be in it or not.
 * Removal   _empty(), then tars_accounts_tenant_remove() (by way of auth/directory.h, which also
 *           notes it), then _scrub(). The tenant is disabled first, and the store takes nothing
 * into a disabled tenant, so nothing comes in behind; a crash at any point leaves a disabled
 *           tenant, or none, and all three may be repeated. _scrub() that was cut short is made up
 *           for at the next start.
 *
 * The functions are those of api/service.h; ctx is a struct tars_service.
 */
#ifndef TARS_APP_TENANTS_H
#define TARS_APP_TENANTS_H

#include "api/service.h"

struct tars_service;

tars_status tars_tenant_export(void *ctx, const char *tenant, const char *path,
                               struct tars_call *call, struct tars_tenant_tally *tally,
                               struct tars_err *err);
tars_status tars_tenant_empty(void *ctx, const char *tenant, struct tars_call *call,
                              struct tars_tenant_tally *tally, struct tars_err *err);
tars_status tars_tenant_scrub(void *ctx, struct tars_err *err);

/* At the start: the scrub that a removal still owes, if any. */
TARS_MUST_USE tars_status tars_tenants_settle(struct tars_service *service, struct tars_err *err);

#endif
