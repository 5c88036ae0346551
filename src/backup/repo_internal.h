/* repo_internal - what the files of repo share. */
#ifndef TARS_BACKUP_REPO_INTERNAL_H
#define TARS_BACKUP_REPO_INTERNAL_H

#include <limits.h>

#include "backup/repo.h"

struct tars_repo {
    char dir[PATH_MAX - 256]; /* of the folder; names within it fit into PATH_MAX */
    struct tars_object_keys keys;
    struct tars_coder *coder;       /* owned */
    int lock_fd;                    /* -1: the medium cannot be written, so nobody else writes */
    int dir_fd;                     /* of dir; all else is opened below it */
    struct tars_buf object;         /* one object, as it is on disk */
    struct tars_object_name *batch; /* (batch_count,) in tmp, of TARS_REPO_BATCH */
    size_t batch_count;
    size_t batch_bytes;
    bool sets_aside;
    bool dirty[256]; /* folders of objects whose names are not on the disk yet */
    size_t dirty_count;
    struct tars_repo_counts counts;
};

/* repo_open.c: what tars-backup.json says, or making it. */
tars_status tars_repo_identify(struct tars_repo *repo, const struct tars_repo_config *config,
                               struct tars_err *err);
/* A file or a folder within the folder, onto the disk. */
tars_status tars_repo_sync(const struct tars_repo *repo, const char *name, struct tars_err *err);
/* Words for errno about a name within the folder. */
tars_status tars_repo_fail(const struct tars_repo *repo, const char *what, const char *name,
                           int code, struct tars_err *err);

#endif
