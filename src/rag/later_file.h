/* later_file - turns that wait, in a folder: a file of JSON each, so that they outlive the process
 * and a loss of power.
 *
 *     DIR/NAME   {"version":1,"tenant","client","conversation","now_us","messages":[{"id","role",
 *                "content","timestamp","sources","metadata"} x TARS_LATER_MESSAGES]}; 0600
 *
 * NAME is 20 digits of microseconds since 1970 and 6 of a number, so names ascend as turns came. A
 * file is there whole or not at all.
 *
 * Threads   Safe to share, for different names.
 */
#ifndef TARS_RAG_LATER_FILE_H
#define TARS_RAG_LATER_FILE_H

#include "base/mem/arena.h"
#include "rag/later.h"

#define TARS_LATER_NAME_BYTES 28 /* with its NUL */

void tars_later_file_name(char *name, int64_t now_us, unsigned number);

/* The folder is made where it is not there. EIO, EDENIED, ETOOBIG, ENOMEM. */
TARS_MUST_USE tars_status tars_later_file_write(const char *dir, const char *name,
                                                const struct tars_later_turn *turn,
                                                struct tars_err *err);
/* turn is in the arena. EFORMAT: it is none of ours, or damaged. EIO, ENOMEM. */
TARS_MUST_USE tars_status tars_later_file_read(const char *dir, const char *name,
                                               struct tars_arena *arena,
                                               struct tars_later_turn *turn, struct tars_err *err);
/* Names of what is there, ascending, in the arena; none (TARS_OK) where there is no folder. What a
 * write that was broken off has left is removed. EIO, ENOMEM. */
TARS_MUST_USE tars_status tars_later_file_list(const char *dir, struct tars_arena *arena,
                                               char (**names)[TARS_LATER_NAME_BYTES], size_t *count,
                                               struct tars_err *err);
void tars_later_file_remove(const char *dir, const char *name);

#endif
