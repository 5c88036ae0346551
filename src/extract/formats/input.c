/* input - see input.h. */
#include "extract/formats/input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#define PACKED_BYTES  ((size_t)64 * 1024)
#define GZIP_ANY_BITS (15 + 32) /* zlib's words for: find out whether zlib or gzip */

static tars_status read_raw(struct tars_input *input, char *bytes, size_t cap, size_t *n)
{
    ssize_t got;

    do {
        got = pread(input->fd, bytes, cap, (off_t)input->at);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return TARS_EIO;
    if (got == 0)
        return TARS_ENOTFOUND;
    input->at += (uint64_t)got;
    *n = (size_t)got;
    return TARS_OK;
}

static void close_stream(struct tars_input *input)
{
    if (input->inflate)
        (void)inflateEnd(input->inflate);
    free(input->inflate);
    free(input->packed);
    input->inflate = NULL;
    input->packed = NULL;
    input->at = 0;
}

static tars_status open_stream(struct tars_input *input)
{
    z_stream *stream = calloc(1, sizeof(*stream));

    input->packed = malloc(PACKED_BYTES);
    if (!stream || !input->packed || inflateInit2(stream, GZIP_ANY_BITS) != Z_OK) {
        free(stream);
        close_stream(input);
        return TARS_ENOMEM;
    }
    input->inflate = stream;
    return TARS_OK;
}

/* One member ended: another may follow, as with `cat a.gz b.gz`. */
static tars_status unpack_step(z_stream *stream)
{
    int rc = inflate(stream, Z_NO_FLUSH);

    if (rc == Z_STREAM_END)
        return inflateReset(stream) == Z_OK ? TARS_OK : TARS_EFORMAT;
    if (rc == Z_MEM_ERROR)
        return TARS_ENOMEM;
    return rc == Z_OK || rc == Z_BUF_ERROR ? TARS_OK : TARS_EFORMAT;
}

/* More packed bytes. The end of the file is fine between members only. */
static tars_status refill(struct tars_input *input, z_stream *stream)
{
    size_t got = 0;
    tars_status status = read_raw(input, input->packed, PACKED_BYTES, &got);

    if (status == TARS_ENOTFOUND)
        return stream->total_in == 0 ? TARS_ENOTFOUND : TARS_EFORMAT;
    stream->next_in = (Bytef *)input->packed;
    stream->avail_in = (uInt)got;
    return status;
}

static tars_status read_unpacked(struct tars_input *input, char *bytes, size_t cap, size_t *n)
{
    z_stream *stream = input->inflate;
    tars_status status = TARS_OK;

    stream->next_out = (Bytef *)bytes;
    stream->avail_out = cap > UINT32_MAX ? UINT32_MAX : (uInt)cap;
    while (status == TARS_OK && stream->next_out == (Bytef *)bytes) {
        if (stream->avail_in == 0)
            status = refill(input, stream);
        if (status == TARS_OK)
            status = unpack_step(stream);
    }
    *n = (size_t)((char *)stream->next_out - bytes);
    return status;
}

tars_status tars_input_read(struct tars_input *input, char *bytes, size_t cap, size_t *n)
{
    return input->inflate ? read_unpacked(input, bytes, cap, n) : read_raw(input, bytes, cap, n);
}

/* The first bytes of the stream; then the stream is at its start again. */
static tars_status read_head(struct tars_input *input, char *head)
{
    size_t len = 0;
    tars_status status = TARS_OK;

    while (status == TARS_OK && len < TARS_INPUT_HEAD_MAX) {
        size_t n = 0;

        status = tars_input_read(input, head + len, TARS_INPUT_HEAD_MAX - len, &n);
        if (status == TARS_OK)
            len += n;
    }
    input->head.len = len;
    if (status == TARS_ENOTFOUND || (status == TARS_EFORMAT && len > 0))
        status = TARS_OK;
    return status;
}

tars_status tars_input_open(struct tars_input *input, int fd, const char *name,
                            struct tars_charsets *charsets, struct tars_err *err)
{
    struct stat info;
    unsigned char magic[2] = {0, 0};
    char *head;
    tars_status status = TARS_OK;

    *input = (struct tars_input){.fd = fd, .name = name, .charsets = charsets};
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))
        return tars_fail(TARS_EIO, err, "not a regular file");
    input->size = (size_t)info.st_size;
    head = malloc(TARS_INPUT_HEAD_MAX);
    if (!head)
        return tars_fail(TARS_ENOMEM, err, "out of memory");
    input->head.ptr = head;
    input->is_gzip = pread(fd, magic, 2, 0) == 2 && magic[0] == 0x1F && magic[1] == 0x8B;
    if (input->is_gzip)
        status = open_stream(input);
    if (status == TARS_OK)
        status = read_head(input, head);
    close_stream(input);
    if (status == TARS_OK && input->is_gzip)
        status = open_stream(input);
    if (status == TARS_OK)
        return TARS_OK;
    tars_input_close(input);
    return tars_fail(status, err, "%s",
                     status == TARS_EFORMAT ? "damaged gzip data" : tars_status_text(status));
}

void tars_input_close(struct tars_input *input)
{
    close_stream(input);
    if (input->map)
        (void)munmap((void *)input->map, input->size);
    free((char *)input->head.ptr);
    input->map = NULL;
    input->head = tars_span(NULL, 0);
}

tars_status tars_input_whole(struct tars_input *input, struct tars_span *bytes,
                             struct tars_err *err)
{
    void *map;

    if (input->size > TARS_INPUT_WHOLE_MAX) {
        return tars_fail(TARS_ETOOBIG, err, "the file is larger than %zu MiB",
                         TARS_INPUT_WHOLE_MAX / ((size_t)1024 * 1024));
    }
    if (!input->map && input->size > 0) {
        map = mmap(NULL, input->size, PROT_READ, MAP_PRIVATE, input->fd, 0);
        if (map == MAP_FAILED) {
            return tars_fail(errno == ENOMEM ? TARS_ETOOBIG : TARS_EIO, err,
                             "the file does not fit into the memory limit");
        }
        input->map = map;
    }
    *bytes = tars_span(input->map, input->size);
    return TARS_OK;
}

bool tars_input_name_ends(const struct tars_input *input, const char *extensions)
{
    size_t name_len = strlen(input->name);

    while (*extensions) {
        size_t len = strcspn(extensions, " ");

        if (name_len > len && input->name[name_len - len - 1] == '.' &&
            strncasecmp(input->name + name_len - len, extensions, len) == 0)
            return true;
        extensions += len;
        extensions += strspn(extensions, " ");
    }
    return false;
}
