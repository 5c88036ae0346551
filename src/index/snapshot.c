/* snapshot - opening; see snapshot.h. Writing is in snapshot_write.c. */
#include "index/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto/digest.h"
#include "index/snapshot_internal.h"

tars_status tars_shadow_new(size_t dim, struct tars_shadow **shadow)
{
    struct tars_shadow *made = calloc(1, sizeof(*made));

    if (!made)
        return TARS_ENOMEM;
    made->dim = dim;
    tars_passages_init(&made->passages);
    tars_postings_init(&made->postings);
    tars_sequence_init(&made->sequence);
    if (dim > 0)
        tars_hnsw_init(&made->hnsw, dim);
    *shadow = made;
    return TARS_OK;
}

void tars_shadow_free(struct tars_shadow *shadow)
{
    if (!shadow)
        return;
    tars_passages_release(&shadow->passages);
    tars_postings_release(&shadow->postings);
    tars_sequence_release(&shadow->sequence);
    if (shadow->dim > 0)
        tars_hnsw_release(&shadow->hnsw);
    if (shadow->map)
        (void)munmap(shadow->map, shadow->map_len);
    free(shadow);
}

size_t tars_snapshot_elem(enum tars_snapshot_section section, size_t dim)
{
    switch (section) {
    case TARS_SNAPSHOT_PASSAGES:
        return sizeof(struct tars_passage);
    case TARS_SNAPSHOT_NODES:
        return sizeof(struct tars_hnsw_node) + tars_distance_stride(dim);
    case TARS_SNAPSHOT_EXACT:
        return dim > 0 ? dim * sizeof(float) : sizeof(float); /* words only: there are none */
    case TARS_SNAPSHOT_LINKS0:
        return sizeof(struct tars_hnsw_links0);
    case TARS_SNAPSHOT_UPPER:
        return sizeof(struct tars_hnsw_links);
    case TARS_SNAPSHOT_BLOCKS:
        return TARS_POSTINGS_UNIT;
    case TARS_SNAPSHOT_TEXTS:
    case TARS_SNAPSHOT_WORDS:
        return 1;
    case TARS_SNAPSHOT_TERMS:
        return sizeof(struct tars_postings_term);
    case TARS_SNAPSHOT_PLACES:
        return sizeof(struct tars_sequence_place);
    case TARS_SNAPSHOT_SLOTS:
        break;
    }
    return sizeof(uint32_t);
}

tars_status tars_snapshot_header_digest(const struct tars_snapshot_header *header, char *hex)
{
    struct tars_snapshot_header copy = *header;

    memset(copy.header_digest, 0, sizeof(copy.header_digest));
    return tars_sha256_hex(&copy, sizeof(copy), hex);
}

static double mean_length(const struct tars_snapshot_header *header, enum tars_index_field field)
{
    double count = (double)header->places[TARS_SNAPSHOT_PASSAGES].count;

    return header->lengths[field] > 0 && count > 0 ? (double)header->lengths[field] / count : 1;
}

uint8_t tars_snapshot_bound(const struct tars_snapshot_header *header, enum tars_index_field field,
                            uint32_t tf, uint32_t length)
{
    double norm = 1 - header->b + header->b * length / mean_length(header, field);
    double bound = ceil(UINT8_MAX * (double)tf / (tf + header->k1 * norm));

    return bound < UINT8_MAX ? (uint8_t)bound : UINT8_MAX;
}

/* ------------------------------------------------------------------- checks */

static tars_status damaged(const char *path, const char *what, struct tars_err *err)
{
    return tars_fail(TARS_EFORMAT, err, "the index %s is damaged (%s): it must be built again",
                     path, what);
}

static bool places_are_sound(const struct tars_snapshot_header *header)
{
    for (int i = 0; i < TARS_SNAPSHOT_SECTIONS; i++) {
        const struct tars_snapshot_place *place = &header->places[i];
        size_t elem = tars_snapshot_elem((enum tars_snapshot_section)i, header->dim);

        if (place->count > TARS_SNAPSHOT_ELEMENTS_MAX || place->offset % TARS_SNAPSHOT_ALIGN != 0 ||
            place->offset < TARS_SNAPSHOT_DATA || place->offset > header->size ||
            place->count * elem > header->size - place->offset)
            return false;
    }
    return true;
}

static bool counts_are_sound(const struct tars_snapshot_header *header)
{
    uint64_t nodes = header->places[TARS_SNAPSHOT_NODES].count;
    uint64_t slots = header->places[TARS_SNAPSHOT_SLOTS].count;

    if (header->places[TARS_SNAPSHOT_EXACT].count != nodes ||
        header->places[TARS_SNAPSHOT_LINKS0].count != nodes ||
        header->places[TARS_SNAPSHOT_PLACES].count !=
            header->places[TARS_SNAPSHOT_PASSAGES].count ||
        (header->dim == 0 && nodes > 0))
        return false;
    if (nodes > 0 && ((header->entry >> 32) > TARS_HNSW_LAYERS || (uint32_t)header->entry >= nodes))
        return false;
    return slots > 0 && (slots & (slots - 1)) == 0;
}

static tars_status check(const struct tars_snapshot_header *header, const char *path, size_t len,
                         struct tars_err *err)
{
    char hex[TARS_SHA256_HEX_BYTES];
    tars_status status;

    if (len < TARS_SNAPSHOT_DATA || memcmp(header->magic, TARS_SNAPSHOT_MAGIC, 8) != 0)
        return damaged(path, "not an index", err);
    if (header->version != TARS_SNAPSHOT_VERSION)
        return tars_fail(TARS_EFORMAT, err, "the index %s is of another version", path);
    status = tars_snapshot_header_digest(header, hex);
    if (status != TARS_OK)
        return status;
    if (memcmp(hex, header->header_digest, sizeof(hex)) != 0)
        return damaged(path, "header", err);
    if (header->size != len || header->dim > TARS_INDEX_DIM_MAX ||
        memchr(header->identity, 0, sizeof(header->identity)) == NULL)
        return damaged(path, "size", err);
    if (!places_are_sound(header) || !counts_are_sound(header))
        return damaged(path, "places", err);
    return TARS_OK;
}

static tars_status check_model(const struct tars_snapshot_header *header, const char *path,
                               size_t dim, const char *identity, struct tars_err *err)
{
    if (header->dim == dim && strcmp(header->identity, identity) == 0)
        return TARS_OK;
    return tars_fail(TARS_EMISMATCH, err,
                     "the index %s was made with the model \"%s\", not \"%s\": it must be "
                     "built again",
                     path, header->identity, identity);
}

static tars_status check_data(const struct tars_snapshot_header *header, const char *path,
                              size_t len, struct tars_err *err)
{
    char hex[TARS_SHA256_HEX_BYTES];
    tars_status status =
        tars_sha256_hex((const char *)header + TARS_SNAPSHOT_DATA, len - TARS_SNAPSHOT_DATA, hex);

    if (status != TARS_OK)
        return status;
    return memcmp(hex, header->digest, sizeof(hex)) == 0 ? TARS_OK : damaged(path, "digest", err);
}

/* ------------------------------------------------------------------ opening */

static tars_status no_file(const char *path, struct tars_err *err)
{
    return tars_fail(errno == ENOENT ? TARS_ENOTFOUND : TARS_EIO, err, "cannot open %s: %s", path,
                     strerror(errno)); /* NOLINT(concurrency-mt-unsafe) */
}

static bool is_long_enough(int fd, struct stat *info)
{
    return fstat(fd, info) == 0 && S_ISREG(info->st_mode) && info->st_size >= TARS_SNAPSHOT_DATA;
}

static tars_status map_file(const char *path, void **map, size_t *len, struct tars_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    tars_status status = TARS_OK;
    void *ptr;

    if (fd < 0)
        return no_file(path, err);
    if (!is_long_enough(fd, &info)) {
        status = damaged(path, "too short", err);
        goto out;
    }
    ptr = mmap(NULL, (size_t)info.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, fd,
               0);
    if (ptr == MAP_FAILED) {
        status = tars_fail(TARS_EIO, err, "cannot map %s", path);
        goto out;
    }
    *map = ptr;
    *len = (size_t)info.st_size;
out:
    (void)close(fd);
    return status;
}

static void lend(struct tars_shadow *shadow, struct tars_column *column,
                 enum tars_snapshot_section section)
{
    const struct tars_snapshot_header *header = shadow->map;
    const struct tars_snapshot_place *place = &header->places[section];

    tars_column_set_base(column, (char *)shadow->map + place->offset, (uint32_t)place->count);
}

/* Point everything into the map, whose header was checked. */
static tars_status adopt(struct tars_shadow *shadow)
{
    const struct tars_snapshot_header *header = shadow->map;
    const struct tars_snapshot_place *slots = &header->places[TARS_SNAPSHOT_SLOTS];
    struct tars_passages *passages = &shadow->passages;
    tars_status status;

    lend(shadow, &passages->column, TARS_SNAPSHOT_PASSAGES);
    passages->last_id = header->last_id;
    atomic_store(&passages->living, passages->column.count);
    for (int i = 0; i < TARS_INDEX_FIELDS; i++)
        atomic_store(&passages->lengths[i], header->lengths[i]);
    for (int i = 0; i < TARS_INDEX_LANGUAGES; i++)
        atomic_store(&passages->by_language[i], header->by_language[i]);
    tars_passages_publish(passages);
    if (shadow->dim > 0) {
        lend(shadow, &shadow->hnsw.nodes, TARS_SNAPSHOT_NODES);
        lend(shadow, &shadow->hnsw.exact, TARS_SNAPSHOT_EXACT);
        lend(shadow, &shadow->hnsw.links0, TARS_SNAPSHOT_LINKS0);
        lend(shadow, &shadow->hnsw.upper, TARS_SNAPSHOT_UPPER);
        status = tars_hnsw_adopt(&shadow->hnsw);
        if (status != TARS_OK)
            return status;
        atomic_store(&shadow->hnsw.entry, header->entry);
        atomic_store(&shadow->hnsw.count, shadow->hnsw.nodes.count);
    }
    shadow->postings.base_k1 = header->k1;
    shadow->postings.base_b = header->b;
    shadow->postings.base_passages = passages->column.base_count;
    for (int i = 0; i < TARS_INDEX_FIELDS; i++)
        shadow->postings.base_means[i] = mean_length(header, i);
    lend(shadow, &shadow->postings.blocks, TARS_SNAPSHOT_BLOCKS);
    lend(shadow, &shadow->postings.texts, TARS_SNAPSHOT_TEXTS);
    lend(shadow, &shadow->postings.terms, TARS_SNAPSHOT_TERMS);
    lend(shadow, &shadow->sequence.places, TARS_SNAPSHOT_PLACES);
    lend(shadow, &shadow->sequence.bytes, TARS_SNAPSHOT_WORDS);
    tars_sequence_adopt(&shadow->sequence);
    return tars_postings_set_slots(
        &shadow->postings, (_Atomic uint32_t *)(void *)((char *)shadow->map + slots->offset),
        (uint32_t)(slots->count - 1));
}

tars_status tars_snapshot_open(const char *path, size_t dim, const char *identity, bool verify,
                               struct tars_shadow **shadow, uint64_t *seq, struct tars_err *err)
{
    const struct tars_snapshot_header *header;
    struct tars_shadow *made = NULL;
    tars_status status = tars_shadow_new(dim, &made);

    if (status != TARS_OK)
        return status;
    status = map_file(path, &made->map, &made->map_len, err);
    if (status != TARS_OK)
        goto out;
    header = made->map;
    status = check(header, path, made->map_len, err);
    if (status == TARS_OK)
        status = check_model(header, path, dim, identity, err);
    if (status == TARS_OK && verify)
        status = check_data(header, path, made->map_len, err);
    if (status == TARS_OK)
        status = adopt(made);
    if (status == TARS_OK) {
        *seq = header->seq;
        *shadow = made;
        made = NULL;
    }
out:
    tars_shadow_free(made);
    return status;
}

/* By reading, since of a mapped file that another machine replaces the pages go away. */
tars_status tars_snapshot_peek(const char *path, size_t dim, const char *identity, uint64_t *seq,
                               struct tars_err *err)
{
    struct tars_snapshot_header header = {.version = 0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat info;
    tars_status status;

    if (fd < 0)
        return no_file(path, err);
    if (!is_long_enough(fd, &info) ||
        pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header)) {
        status = damaged(path, "too short", err);
    } else {
        status = check(&header, path, (size_t)info.st_size, err);
    }
    (void)close(fd);
    if (status == TARS_OK && identity)
        status = check_model(&header, path, dim, identity, err);
    if (status == TARS_OK)
        *seq = header.seq;
    return status;
}
