/* faults - makes allocations fail, at link time, so that the product carries no test hook. */
#ifndef TARS_TESTS_SUPPORT_FAULTS_H
#define TARS_TESTS_SUPPORT_FAULTS_H

#include <stdbool.h>

/* The allocation after n more (0: the next one) returns NULL, once. Negative: none fails. The count
 * is of the calling thread only. */
void faults_fail_after(int n);
/* True when the failure that was asked for has happened. */
bool faults_happened(void);

/* Calls body(ctx) again and again, with the first allocation failing, then the second, ..., until
 * it runs through without reaching the failing one. body must clean up after itself each time and
 * may assert what it likes. Returns how many allocations were made to fail. */
int faults_each(void (*body)(void *ctx), void *ctx);

#endif
