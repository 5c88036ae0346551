/* journal - see journal.h for the contract.
 *
 * LAYOUT (little-endian as the machine is: the file never leaves it)
 *
 *     0     magic "TARSJRN1" | ring bytes u64 | id u64 | head u64 | tail u64 | wiped u64 | zeros
 *     4096  ring: record | record | ...      position p lies at 4096 + p % bytes
 *
 *     record   length u32 | checksum u32 | payload | zeros up to a multiple of 8
 *
 * INVARIANTS
 *
 *   1. head <= tail <= head + bytes, all multiples of 8.
 *   2. Between head and tail lie whole records. The tail moves after the bytes of a record are
 *      there, the head before the bytes of a dropped one are overwritten.
 *   3. wiped <= head: what lies before wiped is zeros. Between the two lies what is being wiped, or
 *      what a process that died in the middle of that has left.
 *   4. Behind the tail lie zeros, or a record that is being written; what is left of one whose
 *      process died goes when the file is opened.
 */
#include "analytics/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analytics/journal_internal.h"
#include "base/crypto/digest.h"

#define HEADER_BYTES  TARS_JOURNAL_HEADER_BYTES
#define ALIGN         TARS_JOURNAL_ALIGN
#define RECORD_HEADER ((size_t)8)
#define SHARE         ((size_t)4) /* a record takes at most one part of so many */
#define RECORD_MAX    ((size_t)1 << 20)
#define ROOM_MAX      ((size_t)64 << 10)
#define AHEAD         ((size_t)128 << 10) /* rows of a moment, as many as come in a rush */
#define NEW_ENDING    ".new"

static const char magic[8] = TARS_JOURNAL_MAGIC;

struct tars_journal {
    struct tars_journal_header *header; /* (HEADER_BYTES,) mapped or allocated, then the ring */
    unsigned char *ring;                /* (bytes,) in the same piece */
    size_t bytes;
    size_t lost; /* records that the opening had no room for */
    bool is_mapped;
};

static size_t round_up(size_t n)
{
    return (n + ALIGN - 1) / ALIGN * ALIGN;
}

static uint32_t checksum(const unsigned char *ptr, size_t len)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ len;
    uint64_t word;

    for (; len >= sizeof(word); ptr += sizeof(word), len -= sizeof(word)) {
        memcpy(&word, ptr, sizeof(word));
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 29U;
    }
    word = 0;
    memcpy(&word, ptr, len);
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(hash >> 32U);
}

/* --------------------------------------------------------------- life cycle */

static void begin_anew(struct tars_journal *journal)
{
    struct tars_journal_header *header = journal->header;

    memset(header, 0, sizeof(*header));
    memcpy(header->magic, magic, sizeof(magic));
    header->bytes = journal->bytes;
    if (tars_random_bytes(&header->id, sizeof(header->id)) != TARS_OK)
        header->id = (uint64_t)(uintptr_t)journal;
    header->id >>= 1U; /* databases have signed numbers */
}

static bool is_ours(const struct tars_journal *journal)
{
    const struct tars_journal_header *header = journal->header;
    uint64_t head = header->head;
    uint64_t tail = header->tail;

    return memcmp(header->magic, magic, sizeof(magic)) == 0 && header->bytes == journal->bytes &&
           head % ALIGN == 0 && tail % ALIGN == 0 && head <= tail && tail - head <= journal->bytes;
}

static tars_status fail_file(const char *path, const char *what, int code, struct tars_err *err)
{
    return tars_fail(code == EACCES || code == EROFS ? TARS_EDENIED : TARS_EIO, err,
                     "cannot %s %s: %s", what, path, strerror(code));
}

tars_status tars_journal_look(const char *path, uint64_t *waiting_bytes, uint64_t *bytes,
                              struct tars_err *err)
{
    struct tars_journal_header header;
    uint64_t head;
    uint64_t tail;
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return TARS_ENOTFOUND;
    if (fd < 0)
        return fail_file(path, "open", errno, err);
    got = pread(fd, &header, sizeof(header), 0);
    (void)close(fd);
    if (got != (ssize_t)sizeof(header) || memcmp(header.magic, magic, sizeof(magic)) != 0)
        return tars_fail(TARS_EFORMAT, err, "%s is no file of waiting rows", path);
    head = atomic_load(&header.head);
    tail = atomic_load(&header.tail);
    *waiting_bytes = tail > head ? tail - head : 0;
    *bytes = header.bytes;
    return TARS_OK;
}

void tars_journal_close(struct tars_journal *journal)
{
    if (!journal)
        return;
    if (journal->is_mapped) {
        (void)munmap(journal->header, HEADER_BYTES + journal->bytes);
    } else {
        free(journal->header);
    }
    free(journal);
}

/* ------------------------------------------------------------------ records */

uint64_t tars_journal_id(const struct tars_journal *journal)
{
    return journal->header->id;
}

uint64_t tars_journal_head(const struct tars_journal *journal)
{
    return atomic_load_explicit(&journal->header->head, memory_order_relaxed);
}

uint64_t tars_journal_tail(const struct tars_journal *journal)
{
    return atomic_load_explicit(&journal->header->tail, memory_order_relaxed);
}

size_t tars_journal_bytes(const struct tars_journal *journal)
{
    return journal->bytes;
}

size_t tars_journal_lost(const struct tars_journal *journal)
{
    return journal->lost;
}

size_t tars_journal_record_max(const struct tars_journal *journal)
{
    size_t share = journal->bytes / SHARE;

    return (share < RECORD_MAX ? share : RECORD_MAX) - RECORD_HEADER;
}

static void copy_in(struct tars_journal *journal, uint64_t at, const void *ptr, size_t len)
{
    size_t offset = (size_t)(at % journal->bytes);
    size_t first = len < journal->bytes - offset ? len : journal->bytes - offset;

    memcpy(journal->ring + offset, ptr, first);
    memcpy(journal->ring, (const unsigned char *)ptr + first, len - first);
}

static void copy_out(const struct tars_journal *journal, uint64_t at, void *ptr, size_t len)
{
    size_t offset = (size_t)(at % journal->bytes);
    size_t first = len < journal->bytes - offset ? len : journal->bytes - offset;

    memcpy(ptr, journal->ring + offset, first);
    memcpy((unsigned char *)ptr + first, journal->ring, len - first);
}

/* What the record at position at takes; 0 when its length cannot be true. */
static size_t record_size(const struct tars_journal *journal, uint64_t at, uint32_t header[2])
{
    uint64_t left = tars_journal_tail(journal) - at;

    if (left < RECORD_HEADER)
        return 0;
    copy_out(journal, at, header, RECORD_HEADER);
    if (header[0] > tars_journal_record_max(journal) || RECORD_HEADER + round_up(header[0]) > left)
        return 0;
    return RECORD_HEADER + round_up(header[0]);
}

/* Overwrite what lies before the head. */
static void wipe(struct tars_journal *journal)
{
    struct tars_journal_header *header = journal->header;
    uint64_t head = tars_journal_head(journal);
    uint64_t tail = tars_journal_tail(journal);
    uint64_t from = header->wiped < head ? header->wiped : head;

    /* A file of an older program says nothing of it; and what lies a ring before the tail has been
     * written over. */
    if (tail > journal->bytes && from < tail - journal->bytes)
        from = tail - journal->bytes;
    while (from < head) {
        size_t offset = (size_t)(from % journal->bytes);
        size_t len = journal->bytes - offset;

        if (len > head - from)
            len = (size_t)(head - from);
        memset(journal->ring + offset, 0, len);
        from += len;
    }
    header->wiped = head;
}

/* Overwrite what a process that died has left of the record that it was writing: none is longer. */
static void wipe_unfinished(struct tars_journal *journal)
{
    uint64_t tail = tars_journal_tail(journal);
    size_t unused = journal->bytes - (size_t)(tail - tars_journal_head(journal));
    size_t most = RECORD_HEADER + round_up(tars_journal_record_max(journal));
    size_t len = unused < most ? unused : most;
    size_t offset = (size_t)(tail % journal->bytes);
    size_t first = len < journal->bytes - offset ? len : journal->bytes - offset;

    memset(journal->ring + offset, 0, first);
    memset(journal->ring, 0, len - first);
}

static void set_head(struct tars_journal *journal, uint64_t head)
{
    atomic_store_explicit(&journal->header->head, head, memory_order_release);
    wipe(journal);
}

size_t tars_journal_put(struct tars_journal *journal, const void *ptr, size_t len,
                        uint64_t kept_from)
{
    const uint32_t header[2] = {(uint32_t)len, checksum(ptr, len)};
    size_t size = RECORD_HEADER + round_up(len);
    uint64_t tail = tars_journal_tail(journal);
    uint64_t head = tars_journal_head(journal);
    size_t dropped = 0;

    assert(len <= tars_journal_record_max(journal));
    while (tail + size - head > journal->bytes) {
        uint32_t oldest[2];
        size_t taken = record_size(journal, head, oldest);

        dropped += head >= kept_from;
        head = taken ? head + taken : tail;
        set_head(journal, head);
    }
    copy_in(journal, tail, header, RECORD_HEADER);
    copy_in(journal, tail + RECORD_HEADER, ptr, len);
    atomic_store_explicit(&journal->header->tail, tail + size, memory_order_release);
    return dropped;
}

unsigned char *tars_journal_room(struct tars_journal *journal, size_t *max)
{
    uint64_t tail = tars_journal_tail(journal);
    size_t unused = journal->bytes - (size_t)(tail - tars_journal_head(journal));
    size_t offset = (size_t)(tail % journal->bytes);
    size_t room = journal->bytes - offset < unused ? journal->bytes - offset : unused;
    size_t most = tars_journal_record_max(journal);

    room = room < RECORD_HEADER ? 0 : room - RECORD_HEADER;
    most = most < ROOM_MAX ? most : ROOM_MAX;
    *max = room < most ? room : most;
    return journal->ring + offset + RECORD_HEADER;
}

void tars_journal_commit(struct tars_journal *journal, size_t len)
{
    uint64_t tail = tars_journal_tail(journal);
    unsigned char *at = journal->ring + (size_t)(tail % journal->bytes);
    const uint32_t header[2] = {(uint32_t)len, checksum(at + RECORD_HEADER, len)};

    assert(len > 0 && len <= tars_journal_record_max(journal));
    memcpy(at, header, RECORD_HEADER);
    atomic_store_explicit(&journal->header->tail, tail + RECORD_HEADER + round_up(len),
                          memory_order_release);
}

#ifdef MADV_POPULATE_WRITE
/* The pages that hold len bytes of the ring from offset on. */
static void populate(const struct tars_journal *journal, size_t offset, size_t len)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t first = (HEADER_BYTES + offset) / page * page;

    /* A disk that fails, or an older kernel: whoever puts has the page brought then, as ever. */
    (void)madvise((unsigned char *)journal->header + first, HEADER_BYTES + offset + len - first,
                  MADV_POPULATE_WRITE);
}
#endif

void tars_journal_prepare(const struct tars_journal *journal)
{
#ifdef MADV_POPULATE_WRITE
    size_t offset = (size_t)(tars_journal_tail(journal) % journal->bytes);
    size_t ahead = AHEAD < journal->bytes ? AHEAD : journal->bytes;
    size_t first = ahead < journal->bytes - offset ? ahead : journal->bytes - offset;

    if (!journal->is_mapped)
        return;
    populate(journal, offset, first);
    if (first < ahead)
        populate(journal, 0, ahead - first);
#else
    (void)journal;
#endif
}

size_t tars_journal_read(const struct tars_journal *journal, uint64_t at, void *out, size_t max,
                         uint64_t *next)
{
    uint32_t header[2];
    size_t size;

    *next = at;
    if (at >= tars_journal_tail(journal))
        return 0;
    size = record_size(journal, at, header);
    if (size && header[0] > max)
        return 0;
    if (size)
        copy_out(journal, at + RECORD_HEADER, out, header[0]);
    if (!size || !header[0] || checksum(out, header[0]) != header[1]) {
        *next = tars_journal_tail(journal);
        return 0;
    }
    *next = at + size;
    return header[0];
}

void tars_journal_forget(struct tars_journal *journal, uint64_t position)
{
    uint64_t tail = tars_journal_tail(journal);

    if (position > tail)
        position = tail;
    if (position > tars_journal_head(journal))
        set_head(journal, position);
}

void tars_journal_skip(struct tars_journal *journal, uint64_t position)
{
    uint64_t tail = tars_journal_tail(journal);

    if (position <= tail || position % ALIGN != 0)
        return;
    tars_journal_forget(journal, tail);
    /* A process that dies here leaves zeros between the two, which are no records. */
    atomic_store_explicit(&journal->header->tail, position, memory_order_release);
    set_head(journal, position);
}

/* ------------------------------------------------------------------ opening */

/* A file of the size that the ring needs, mapped. */
static tars_status map_file(struct tars_journal *journal, const char *path, struct tars_err *err)
{
    size_t size = HEADER_BYTES + journal->bytes;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat st;
    void *ptr;
    int rc;

    if (fd < 0)
        return fail_file(path, "open", errno, err);
    /* Of another size and without rows: nothing of it is needed. */
    rc = fstat(fd, &st) || (st.st_size != (off_t)size && ftruncate(fd, 0)) ? errno : 0;
    /* All blocks at once: a full disk must not become a SIGBUS later. */
    if (!rc)
        rc = posix_fallocate(fd, 0, (off_t)size);
    ptr = rc ? MAP_FAILED : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (!rc && ptr == MAP_FAILED)
        rc = errno;
    close(fd);
    if (rc)
        return fail_file(path, "map", rc, err);
    journal->header = ptr;
    journal->ring = (unsigned char *)ptr + HEADER_BYTES;
    journal->is_mapped = true;
    return TARS_OK;
}

static void unmap(struct tars_journal *journal)
{
    if (journal->header)
        (void)munmap(journal->header, HEADER_BYTES + journal->bytes);
    journal->header = NULL;
}

/* Bytes of the ring in a file of another size that has rows; 0: there is nothing to be kept. */
static size_t other_ring(const char *path, size_t bytes)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct tars_journal_header header;
    struct stat st;
    uint64_t used;
    size_t found = 0;

    if (fd < 0)
        return 0;
    if (fstat(fd, &st) == 0 && pread(fd, &header, sizeof(header), 0) == (ssize_t)sizeof(header) &&
        memcmp(header.magic, magic, sizeof(magic)) == 0 && header.bytes != bytes &&
        st.st_size > (off_t)HEADER_BYTES && header.bytes == (uint64_t)st.st_size - HEADER_BYTES &&
        header.bytes % ALIGN == 0 && header.bytes >= SHARE * RECORD_HEADER) {
        used = header.tail - header.head;
        found = used > 0 && used <= header.bytes ? (size_t)header.bytes : 0;
    }
    close(fd);
    return found;
}

/* Copy what waits in old to the same positions of fresh, the oldest of which may have to go. */
static void move_records(const struct tars_journal *old, struct tars_journal *fresh,
                         unsigned char *record)
{
    struct tars_journal_header *header = fresh->header;
    uint64_t at = tars_journal_head(old);
    uint64_t next;
    size_t seen = 0;
    size_t kept = 0;
    size_t len;

    header->id = tars_journal_id(old);
    header->head = header->tail = header->wiped = at;
    for (; (len = tars_journal_read(old, at, record, RECORD_MAX, &next)) > 0; at = next) {
        seen++;
        if (len <= tars_journal_record_max(fresh)) {
            kept = kept + 1 - tars_journal_put(fresh, record, len, 0);
        } else {
            /* Positions must not shift: what is kept begins behind it. */
            header->head = header->tail = header->wiped = next;
            kept = 0;
        }
    }
    fresh->lost = seen - kept;
}

/* Make path a ring of journal's size with the rows of the one of old_bytes that is there. */
static tars_status move_file(struct tars_journal *journal, const char *path, size_t old_bytes,
                             struct tars_err *err)
{
    struct tars_journal old = {.bytes = old_bytes};
    size_t size = strlen(path) + sizeof(NEW_ENDING);
    char *beside = malloc(size);
    unsigned char *record = malloc(RECORD_MAX);
    tars_status status = beside && record
                             ? map_file(&old, path, err)
                             : tars_fail(TARS_ENOMEM, err, "no memory for the journal");

    if (status != TARS_OK || !beside) {
        free(record);
        free(beside);
        return status;
    }
    (void)snprintf(beside, size, "%s" NEW_ENDING, path);
    (void)unlink(beside);
    status = old.header && is_ours(&old) ? map_file(journal, beside, err) : TARS_OK;
    if (status == TARS_OK && journal->header) {
        begin_anew(journal);
        move_records(&old, journal, record);
        if (msync(journal->header, HEADER_BYTES + journal->bytes, MS_SYNC) || rename(beside, path))
            status = fail_file(path, "replace", errno, err);
        unmap(journal); /* it is opened like any other */
    }
    if (status != TARS_OK)
        (void)unlink(beside);
    unmap(&old);
    free(record);
    free(beside);
    return status;
}

static tars_status open_file(struct tars_journal *journal, const char *path, struct tars_err *err)
{
    size_t other = other_ring(path, journal->bytes);

    if (other && move_file(journal, path, other, NULL) != TARS_OK) {
        journal->bytes = other; /* no room on the disk: better small than empty */
        journal->lost = 0;
    }
    return map_file(journal, path, err);
}

tars_status tars_journal_open(const char *path, size_t bytes, struct tars_journal **journal,
                              struct tars_err *err)
{
    struct tars_journal *made = calloc(1, sizeof(*made));
    tars_status status = TARS_OK;

    assert(bytes % ALIGN == 0 && bytes >= SHARE * RECORD_HEADER);
    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for the journal");
    made->bytes = bytes;
    if (path) {
        status = open_file(made, path, err);
    } else {
        made->header = calloc(1, HEADER_BYTES + bytes);
        status = made->header ? TARS_OK : tars_fail(TARS_ENOMEM, err, "no memory for the journal");
    }
    if (status != TARS_OK || !made->header) {
        free(made);
        return status;
    }
    made->ring = (unsigned char *)made->header + HEADER_BYTES;
    if (!is_ours(made))
        begin_anew(made);
    wipe(made);
    if (path)
        wipe_unfinished(made);
    *journal = made;
    return TARS_OK;
}
