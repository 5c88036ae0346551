/* manifest - what one backup consists of, and its JSON. Pure.
 *
 *     {"format": "tars-backup", "version": 1, "chunk_bytes": 65536,
 *      "id": "20261126T153024.123456Z-1a2b3c4d",
 *      "time": "2026-11-26T15:30:24.123456", "time_us": ...,     the point that it is of
 *      "program": "0.5.0", "data": "/var/lib/tars", "sequence": 4711,
 *      "bytes": ..., "new_bytes": ..., "new_objects": ..., "took_ms": ...,
 *      "files": [{"name": "tars.db", "mode": 384, "bytes": ..., "sha256": "...",
 *                 "lists": ["<name of an object>", ...]}, ...],
 *      "tables": [{"file": "tars.db", "name": "documents", "rows": 812}, ...]}
 *
 * A file is cut into chunks of 64 KiB, the last may be shorter. The names of its chunks, 32 bytes
 * each, are the plain bytes of its lists, TARS_LIST_NAMES in each but the last: so a file of which
 * a little has changed has mostly old lists of mostly old chunks, and a manifest stays small.
 *
 * Safety    A manifest may come from a stranger's disk: a name is a plain one or of one folder
 * below, never absolute, hidden or "..", each once; a mode gives rights to nobody but the owner;
 *           lengths and counts fit each other; everything has a bound.
 */
#ifndef TARS_BACKUP_MANIFEST_H
#define TARS_BACKUP_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "backup/object.h"
#include "base/mem/arena.h"
#include "base/mem/buf.h"
#include "base/mem/span.h"
#include "base/status.h"

#define TARS_CHUNK_BYTES         ((size_t)65536)
#define TARS_LIST_NAMES          2048 /* in one list: 64 KiB of them */
#define TARS_MANIFEST_FILES_MAX  65536
#define TARS_MANIFEST_TABLES_MAX 256
#define TARS_MANIFEST_BYTES_MAX  TARS_OBJECT_PLAIN_MAX /* of the JSON */
#define TARS_BACKUP_FILE_MAX     ((uint64_t)1 << 44)   /* bytes of a file: 16 TiB */
#define TARS_BACKUP_ID_BYTES     40

struct tars_manifest_file {
    const char *name; /* below the data folder: "tars.db", "index/index.tars" */
    unsigned mode;    /* 0600, 0400 */
    uint64_t bytes;
    char sha256[TARS_OBJECT_HEX_BYTES];   /* of all of it */
    const struct tars_object_name *lists; /* (list_count,) */
    size_t list_count;
};

/* How many rows a table had. */
struct tars_manifest_table {
    const char *file; /* "tars.db" */
    const char *name;
    int64_t rows;
};

struct tars_manifest {
    char id[TARS_BACKUP_ID_BYTES];
    int64_t time_us;     /* the point: what was acknowledged before it is in */
    const char *program; /* version that made it */
    const char *data;    /* the data folder it is of */
    uint64_t sequence;   /* the store's last change */
    uint64_t bytes;      /* of all files */
    uint64_t new_bytes;  /* that this backup added to its folder */
    uint64_t new_objects;
    int64_t took_ms;
    const struct tars_manifest_file *files; /* (file_count,) */
    size_t file_count;
    const struct tars_manifest_table *tables; /* (table_count,) */
    size_t table_count;
};

/* id of a backup of the point time_us; out: TARS_BACKUP_ID_BYTES. random: four bytes. */
void tars_backup_id(int64_t time_us, const unsigned char *random, char *out);
/* False for what is no id, and could be another file's name. */
bool tars_backup_id_is_valid(const char *id);
/* Chunks of a file of so many bytes, and lists of so many chunks. */
uint64_t tars_backup_chunks(uint64_t bytes);
size_t tars_backup_lists(uint64_t bytes);

/* Append the JSON, with a line feed. */
void tars_manifest_write(const struct tars_manifest *manifest, struct tars_buf *out);
/* The reverse; texts and arrays are in the arena.
 *
 *   TARS_EFORMAT       no manifest, or one that contradicts itself or is out of bounds; err says
 * why TARS_EUNSUPPORTED  a newer program's
 */
TARS_MUST_USE tars_status tars_manifest_parse(struct tars_span text, struct tars_arena *arena,
                                              struct tars_manifest *manifest, struct tars_err *err);
/* NULL when there is no file of this name. */
const struct tars_manifest_file *tars_manifest_file(const struct tars_manifest *manifest,
                                                    const char *name);

#endif
