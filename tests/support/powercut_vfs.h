/* powercut_vfs - an SQLite VFS over which the power can fail.
 *
 * Every write goes to the real file, and to a list of what is not synced yet. A sync moves that
 * file's list to a shadow, which is what a disk would hold. When the power fails, a random part of
 * what was not synced still arrives (a disk may write early), torn in places, and every later call
 * fails. The shadow is then written out, for a look at what a machine would find at its next start.
 *
 * For one process, one database at a time; tests only.
 */
#ifndef TARS_TESTS_SUPPORT_POWERCUT_VFS_H
#define TARS_TESTS_SUPPORT_POWERCUT_VFS_H

#include <stdbool.h>
#include <stdint.h>

#define POWERCUT_VFS "powercut"

/* Register the VFS (once), and begin anew: the power fails at the operation (write, sync, truncate
 * or delete) number cut_at, from 0; negative: never. lies: syncs do nothing, as on a disk that does
 * not keep its word. */
void powercut_begin(int64_t cut_at, uint64_t seed, bool lies);
/* Operations so far. */
int64_t powercut_operations(void);
/* True when the power has failed. */
bool powercut_happened(void);
/* Write what is on the disk to dir, by the files' names, and forget everything. */
void powercut_end(const char *dir);

#endif
