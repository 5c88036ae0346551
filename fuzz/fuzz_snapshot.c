/* Fuzz target: a snapshot's bytes, opened, searched, changed and saved again.
 *
 * The header's digest is made right first, so that what lies behind it is reached; a byte flip in
 * the sections is what the bounds are for. dim is 8.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "index/bm25.h"
#include "index/nearest.h"
#include "index/phrases.h"
#include "index/snapshot_internal.h"
#include "index/typos.h"

#define DIM 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool write_file(const char *path, const uint8_t *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    bool written;

    if (!file)
        return false;
    written = fwrite(data, 1, size, file) == size;
    return fclose(file) == 0 && written;
}

/* Let the header pass, so that its fields are what is tried. */
static void mend_header(uint8_t *data, size_t size)
{
    struct tars_snapshot_header header;
    char hex[65];

    if (size < sizeof(header))
        return;
    memcpy(&header, data, sizeof(header));
    memset(header.header_digest, 0, sizeof(header.header_digest));
    header.size = size;
    if (tars_snapshot_header_digest(&header, hex) == TARS_OK)
        memcpy(header.header_digest, hex, sizeof(hex));
    memcpy(data, &header, sizeof(header));
}

static bool third(void *ctx, uint64_t id)
{
    (void)ctx;
    return id % 3 == 0;
}

static bool third_runs(void *ctx, uint64_t from, struct tars_index_run *run)
{
    (void)ctx;
    *run = (struct tars_index_run){from / 3 * 3 + (from % 3 ? 3 : 0), from / 3 * 3 + 3};
    run->last = run->first;
    return run->first >= from;
}

/* Words in their order, and words nearly spelt. */
static void use_words(const struct tars_shadow *shadow)
{
    static const struct tars_index_phrase_word words[2] = {{"alpha", 5, 0}, {"alpha", 5, 2}};
    const struct tars_index_phrase phrase = {words, 2, TARS_INDEX_TEXT};
    struct tars_phrases phrases = {&shadow->postings, &shadow->passages, &shadow->sequence,
                                   tars_passages_look(&shadow->passages)};
    struct tars_index_similar similar[3];
    uint64_t *ids = NULL;
    size_t n;

    if (tars_phrases_find(&phrases, &phrase, &ids, &n) == TARS_OK)
        free(ids);
    (void)tars_typos_find(&shadow->postings, "alpah", 5, similar, 3);
}

static void use(struct tars_shadow *shadow, const char *path)
{
    const float query[DIM] = {0.5F, 0.5F, 0.5F, 0.5F};
    const struct tars_index_query_term terms[2] = {{"alpha", 5, 1, 0, TARS_INDEX_TEXT},
                                                   {"beta", 4, 1, 0, TARS_INDEX_TITLE}};
    struct tars_bm25 bm25 = {&shadow->postings, &shadow->passages,
                             tars_passages_look(&shadow->passages), 1.2, 0.75};
    struct tars_nearest nearest = {shadow, tars_passages_look(&shadow->passages), 20, 1};
    const struct tars_index_filter filters[2] = {{third, NULL, third_runs}, {third, NULL, NULL}};
    struct tars_index_hit hits[10];
    const struct tars_index_passage passage = {.id = UINT64_MAX, .length = 3};
    const struct tars_index_term alpha = {"alpha", 5, 2, TARS_INDEX_TEXT};
    const struct tars_index_term new = {"new", 3, 1, TARS_INDEX_TITLE};
    struct tars_snapshot_mark mark;
    uint32_t ordinal;
    size_t n;

    (void)!tars_nearest_search(&nearest, query, 10, NULL, hits, &n);
    for (size_t i = 0; i < 2; i++) {
        (void)!tars_nearest_search(&nearest, query, 10, &filters[i], hits, &n);
        nearest.exact_below = SIZE_MAX;
    }
    (void)!tars_bm25_search(&bm25, terms, 2, 10, NULL, hits, &n);
    (void)!tars_bm25_search_all(&bm25, terms, 2, 10, NULL, hits, &n);
    use_words(shadow);
    if (tars_passages_prepare(&shadow->passages) == TARS_OK) {
        ordinal = tars_passages_take(&shadow->passages, &passage);
        (void)!tars_postings_add(&shadow->postings, &alpha, ordinal, 3);
        (void)!tars_postings_add(&shadow->postings, &new, ordinal, 3);
        (void)!tars_hnsw_add(&shadow->hnsw, query, ordinal, 0);
    }
    (void)tars_passages_remove(&shadow->passages, 2, 4);
    tars_passages_publish(&shadow->passages);
    mark = tars_snapshot_mark(shadow, 7);
    (void)!tars_snapshot_write(shadow, &mark, path, "model", NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[64];
    uint8_t *copy = malloc(size + 1);
    struct tars_shadow *shadow = NULL;
    uint64_t seq;

    if (!copy)
        return 0;
    memcpy(copy, data, size);
    mend_header(copy, size);
    (void)snprintf(path, sizeof(path), "/dev/shm/fuzz-snapshot-%ld", (long)getpid());
    if (write_file(path, copy, size) &&
        tars_snapshot_open(path, DIM, "model", false, &shadow, &seq, NULL) == TARS_OK)
        use(shadow, path);
    tars_shadow_free(shadow);
    (void)unlink(path);
    free(copy);
    return 0;
}
