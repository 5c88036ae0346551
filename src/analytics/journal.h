/* journal - rows that wait to be written: a ring of bytes, in a mapped file or in memory.
 *
 * Model     Records go in at the tail and out at the head; both are positions that only grow, so a
 *           position names a record for the life of the file. A writer reads records without taking
 *           them out, writes them elsewhere together with the position behind them, and only then
 *           moves the head: after a crash it compares and nothing is written twice.
 * Bounds    bytes, fixed at opening and allocated at once. A full ring drops its oldest records.
 * Privacy   What has been taken out or dropped is overwritten with zeros at once.
 * Crash     What was put survives the death of the process: the mapping is shared, and the tail
 *           moves last. A power cut may tear records; a checksum finds them and the rest is lost.
 * Threads   Not safe to share: the owner has a lock. tars_journal_prepare() alone needs none.
 */
#ifndef TARS_ANALYTICS_JOURNAL_H
#define TARS_ANALYTICS_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct tars_journal;

/* path NULL: memory only. bytes is a multiple of 8. A file that is none of ours or damaged is begun
 * anew. What waits in a file of another size moves into one of this size: positions and id stay,
 * and what has no room is dropped (tars_journal_lost); where no such file can be made, the old one
 * is gone on with. EIO, EDENIED, ENOMEM. */
TARS_MUST_USE tars_status tars_journal_open(const char *path, size_t bytes,
                                            struct tars_journal **journal, struct tars_err *err);
/* What waits in a file stays there. NULL is allowed. */
void tars_journal_close(struct tars_journal *journal);

/* How much waits in the file at path, and how much has room, without touching it: another process
 * may have it. ENOTFOUND: there is no file; EFORMAT: none of ours; EIO. */
TARS_MUST_USE tars_status tars_journal_look(const char *path, uint64_t *waiting_bytes,
                                            uint64_t *bytes, struct tars_err *err);

/* Which file this is; another number after a new beginning. */
uint64_t tars_journal_id(const struct tars_journal *journal);
uint64_t tars_journal_head(const struct tars_journal *journal);
uint64_t tars_journal_tail(const struct tars_journal *journal);
/* Bytes of the ring. */
size_t tars_journal_bytes(const struct tars_journal *journal);
/* Records that the opening had no room for. */
size_t tars_journal_lost(const struct tars_journal *journal);
/* Longest record that fits. */
size_t tars_journal_record_max(const struct tars_journal *journal);

/* Append a record of at most tars_journal_record_max() bytes. Returns how many records from
 * position kept_from on had to be dropped for it. */
size_t tars_journal_put(struct tars_journal *journal, const void *ptr, size_t len,
                        uint64_t kept_from);

/* The same without a copy: where the next record's bytes may be written, and in *max how many have
 * room there, 0 for none. Nothing has been put until _commit(), which is told how many they are;
 * who does not commit overwrites what it has written with zeros. */
unsigned char *tars_journal_room(struct tars_journal *journal, size_t *max);
void tars_journal_commit(struct tars_journal *journal, size_t len);

/* Have the pages ahead of the tail in memory and writable, so that who puts need not wait for the
 * kernel to fetch them or the file system to hear of them: once for new ones, and again after they
 * have been written to disk. For the thread that has time. Does nothing where Linux is older than
 * 5.14. */
void tars_journal_prepare(const struct tars_journal *journal);

/* Copy the record at position at into out, which has room for max bytes, and set *next to the
 * position behind it. Returns its length.
 *
 *   0 with *next > at     the record is damaged, and so is the rest: *next is the tail
 *   0 with *next == at    none is there, or it is longer than max
 */
size_t tars_journal_read(const struct tars_journal *journal, uint64_t at, void *out, size_t max,
                         uint64_t *next);
/* Forget what lies before position; earlier than the head is fine. */
void tars_journal_forget(struct tars_journal *journal, uint64_t position);
/* All is forgotten, and what is put next is at position. Does nothing where that is not behind the
 * tail, or is no position. */
void tars_journal_skip(struct tars_journal *journal, uint64_t position);

#endif
