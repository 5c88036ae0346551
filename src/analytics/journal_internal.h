/* journal_internal - the beginning of a journal's file; journal.c tells the layout. */
#ifndef TARS_ANALYTICS_JOURNAL_INTERNAL_H
#define TARS_ANALYTICS_JOURNAL_INTERNAL_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define TARS_JOURNAL_HEADER_BYTES ((size_t)4096)
#define TARS_JOURNAL_ALIGN        8
/* For an array of 8 characters. */
#define TARS_JOURNAL_MAGIC                     \
    {                                          \
        'T', 'A', 'R', 'S', 'J', 'R', 'N', '1' \
    }

struct tars_journal_header {
    char magic[8];
    uint64_t bytes; /* of the ring */
    uint64_t id;
    atomic_uint_fast64_t head;
    atomic_uint_fast64_t tail;
    uint64_t wiped;
};

#endif
