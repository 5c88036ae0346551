/* file - whole files in and out, and mapped ones. Messages name the path and the system's reason.
 */
#ifndef TARS_BASE_SYS_FILE_H
#define TARS_BASE_SYS_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem/buf.h"
#include "base/status.h"

/* Append the whole file to out. ENOTFOUND, EDENIED, ETOOBIG (past out's ceiling), EIO, ENOMEM. */
TARS_MUST_USE tars_status tars_file_read(const char *path, struct tars_buf *out,
                                         struct tars_err *err);

/* Replace the file by (ptr, len) as a whole or not at all, also across a power cut: temporary file
 * beside it, fsync, rename, fsync of the folder. mode as for open(2). */
TARS_MUST_USE tars_status tars_file_replace(const char *path, const void *ptr, size_t len,
                                            unsigned mode, struct tars_err *err);

/* fsync the folder at path, so that a rename in it lasts. */
TARS_MUST_USE tars_status tars_dir_sync(const char *path, struct tars_err *err);

/* Make the folder and those above it, 0700 where they are new. Fine if it is there. */
TARS_MUST_USE tars_status tars_dir_make(const char *path, struct tars_err *err);

/* True when path is root or lies below it, by their names alone. */
bool tars_path_is_below(const char *path, const char *root);

/* A file mapped read-only and shared. Nobody may truncate it meanwhile (replace it by rename). */
struct tars_map {
    const void *ptr; /* (len,) bytes, or NULL when len is 0 */
    size_t len;
};
TARS_MUST_USE tars_status tars_map_open(const char *path, struct tars_map *map,
                                        struct tars_err *err);
/* The same, with the file left open in *fd, the caller's to close: what is read from it is what is
 * mapped, whatever path names by then. */
TARS_MUST_USE tars_status tars_map_open_fd(const char *path, struct tars_map *map, int *fd,
                                           struct tars_err *err);
void tars_map_close(struct tars_map *map);

#endif
