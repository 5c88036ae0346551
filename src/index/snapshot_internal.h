/* snapshot_internal - what snapshot.c (opening) and snapshot_write.c share. */
#ifndef TARS_INDEX_SNAPSHOT_INTERNAL_H
#define TARS_INDEX_SNAPSHOT_INTERNAL_H

#include "index/snapshot.h"

#define TARS_SNAPSHOT_MAGIC        "TARSIDX"
#define TARS_SNAPSHOT_DATA         4096                /* where sections begin */
#define TARS_SNAPSHOT_ALIGN        64                  /* of each section */
#define TARS_SNAPSHOT_ELEMENTS_MAX (UINT64_C(1) << 31) /* of each section */

_Static_assert(sizeof(struct tars_snapshot_header) <= TARS_SNAPSHOT_DATA,
               "the header has its place");

/* Bytes of one element. */
size_t tars_snapshot_elem(enum tars_snapshot_section section, size_t dim);
/* The bound of a posting (ranges.h) by the header's k1, b, lengths and count of passages. */
uint8_t tars_snapshot_bound(const struct tars_snapshot_header *header, enum tars_index_field field,
                            uint32_t tf, uint32_t length);
/* hex: TARS_SHA256_HEX_BYTES. */
TARS_MUST_USE tars_status tars_snapshot_header_digest(const struct tars_snapshot_header *header,
                                                      char *hex);

#endif
