/* backups - what tars backup and tars restore share: whose key, a bar of progress, the note of the
 * last backup that tars doctor reads.
 *
 *     DATA/backup.last   {"id", "time_us", "folder"}
 */
#ifndef TARS_APP_BACKUPS_H
#define TARS_APP_BACKUPS_H

#include "app/command.h"
#include "backup/pack.h"

/* --key-file, --passphrase-file of the command. */
struct tars_key_source tars_backups_key(const struct tars_cli *cli);

struct tars_backups_bar {
    struct tars_pack_watch watch; /* stops with the lifecycle */
    const char *doing;            /* "backing up" */
    uint64_t total, done;         /* bytes */
    int64_t begun_ms, drawn_ms;
    bool is_drawn; /* on a terminal, and not with --json */
};
void tars_backups_bar_begin(struct tars_backups_bar *bar, const struct tars_cli *cli,
                            const char *doing, uint64_t total);
/* Remove it from the terminal. */
void tars_backups_bar_end(struct tars_backups_bar *bar);

/* Is it the name of a file that a backup of a data folder may hold? */
bool tars_backups_is_part(const char *name);
/* Is path, which may not be there yet, the folder root or below it? */
bool tars_backups_is_below(const char *path, const char *root);

/* "1.4 GB"; out has 32 bytes. */
const char *tars_backups_size(uint64_t bytes, char *out);

struct tars_backups_note {
    const char *id;
    const char *folder;
    int64_t time_us;
};
TARS_MUST_USE tars_status tars_backups_note_write(const char *data,
                                                  const struct tars_backups_note *note,
                                                  struct tars_err *err);
/* ENOTFOUND: none was made; texts are in the arena. */
TARS_MUST_USE tars_status tars_backups_note_read(const char *data, struct tars_arena *arena,
                                                 struct tars_backups_note *note);

#endif
