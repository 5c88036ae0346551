/* journal_copy - see journal_copy.h for the contract.
 *
 * The owner moves the tail after the bytes of a record are there, and the head before those of one
 * that goes are overwritten. So what lies between a head that is read after the bytes and a tail
 * that is read before them is whole.
 */
#include "analytics/journal_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "analytics/journal_internal.h"

#define STEP  ((size_t)64 * 1024)
#define LOOKS 3 /* at a header that makes no sense: the owner may have been writing it */

static const char magic[8] = TARS_JOURNAL_MAGIC;

static tars_status fail(const char *what, struct tars_err *err)
{
    return tars_fail(errno == ENOMEM ? TARS_ENOMEM : TARS_EIO, err, "cannot %s waiting rows: %s",
                     what, strerror(errno));
}

static tars_status read_at(int fd, void *to, size_t len, uint64_t at, struct tars_err *err)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = pread(fd, (char *)to + done, len - done, (off_t)(at + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return fail("read", err);
        if (n == 0)
            return tars_fail(TARS_EFORMAT, err, "the file of waiting rows is cut short");
        done += (size_t)n;
    }
    return TARS_OK;
}

static tars_status write_at(int fd, const void *from, size_t len, uint64_t at, struct tars_err *err)
{
    size_t done = 0;

    while (done < len) {
        ssize_t n = pwrite(fd, (const char *)from + done, len - done, (off_t)(at + done));

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fail("copy", err);
        done += (size_t)n;
    }
    return TARS_OK;
}

static bool is_sound(const struct tars_journal_header *header, uint64_t file_bytes)
{
    uint64_t head = atomic_load(&header->head);
    uint64_t tail = atomic_load(&header->tail);

    return memcmp(header->magic, magic, sizeof(magic)) == 0 && header->bytes > 0 &&
           header->bytes + TARS_JOURNAL_HEADER_BYTES == file_bytes &&
           header->bytes % TARS_JOURNAL_ALIGN == 0 && head % TARS_JOURNAL_ALIGN == 0 &&
           tail % TARS_JOURNAL_ALIGN == 0 && head <= tail && tail - head <= header->bytes;
}

/* Head and tail are not read in one moment: where they do not fit together, again. */
static tars_status read_header(int fd, struct tars_journal_header *header, struct tars_err *err)
{
    struct stat about;

    for (int i = 0; i < LOOKS; i++) {
        tars_status status = read_at(fd, header, sizeof(*header), 0, err);

        if (status != TARS_OK)
            return status;
        if (fstat(fd, &about) != 0)
            return fail("read", err);
        if (is_sound(header, (uint64_t)about.st_size))
            return TARS_OK;
    }
    return tars_fail(TARS_EFORMAT, err, "the file of waiting rows is none of ours");
}

/* Positions from..to of the ring, from one file to the other, or zeros where source is -1. */
static tars_status copy_ring(int source, int fd, uint64_t bytes, uint64_t from, uint64_t to,
                             struct tars_err *err)
{
    char *step = calloc(1, STEP);
    tars_status status = step ? TARS_OK : tars_fail(TARS_ENOMEM, err, "no memory to copy rows");

    while (status == TARS_OK && from < to) {
        uint64_t offset = from % bytes;
        uint64_t len = to - from < STEP ? to - from : STEP;

        if (len > bytes - offset)
            len = bytes - offset;
        if (source >= 0) {
            status = read_at(source, step, (size_t)len, TARS_JOURNAL_HEADER_BYTES + offset, err);
        }
        if (status == TARS_OK)
            status = write_at(fd, step, (size_t)len, TARS_JOURNAL_HEADER_BYTES + offset, err);
        from += len;
    }
    free(step);
    return status;
}

/* Rows before head are no longer in the copy: zeros where they were, and the header says so. */
static tars_status cut(int fd, struct tars_journal_header *header, uint64_t head,
                       struct tars_err *err)
{
    uint64_t from = atomic_load(&header->head);
    uint64_t tail = atomic_load(&header->tail);
    uint64_t until = head < tail ? head : tail;
    tars_status status = copy_ring(-1, fd, header->bytes, from, until, err);

    if (head > tail)
        atomic_store(&header->tail, head);
    atomic_store(&header->head, head);
    header->wiped = head;
    return status == TARS_OK ? write_at(fd, header, sizeof(*header), 0, err) : status;
}

static tars_status take(int source, int fd, uint64_t *journal, struct tars_err *err)
{
    struct tars_journal_header first;
    struct tars_journal_header later;
    uint64_t head;
    tars_status status = read_header(source, &first, err);

    if (status == TARS_OK && ftruncate(fd, (off_t)(TARS_JOURNAL_HEADER_BYTES + first.bytes)) != 0)
        status = fail("copy", err);
    if (status == TARS_OK) {
        status = copy_ring(source, fd, first.bytes, atomic_load(&first.head),
                           atomic_load(&first.tail), err);
    }
    if (status == TARS_OK)
        status = read_header(source, &later, err);
    if (status != TARS_OK)
        return status;
    head = atomic_load(&later.head);
    if (later.id != first.id || later.bytes != first.bytes)
        return tars_fail(TARS_EFORMAT, err, "the file of waiting rows was begun anew meanwhile");
    if (head > atomic_load(&first.tail))
        head = atomic_load(&first.tail);
    *journal = first.id;
    return cut(fd, &first, head, err);
}

tars_status tars_journal_take(const char *path, int fd, uint64_t *journal, struct tars_err *err)
{
    int source = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    tars_status status;

    if (source < 0 && errno == ENOENT)
        return tars_fail(TARS_ENOTFOUND, err, "there is no %s", path);
    if (source < 0)
        return fail("open", err);
    status = take(source, fd, journal, err);
    close(source);
    return status;
}

tars_status tars_journal_settle(int fd, uint64_t position, struct tars_err *err)
{
    struct tars_journal_header header;
    tars_status status = read_header(fd, &header, err);

    if (status != TARS_OK || position <= atomic_load(&header.head))
        return status;
    if (position % TARS_JOURNAL_ALIGN != 0)
        return tars_fail(TARS_EFORMAT, err, "the position of waiting rows is none");
    return cut(fd, &header, position, err);
}
