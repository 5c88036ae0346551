/* snapshot_write - writing the file; see snapshot.h.
 *
 * One pass a section, through a buffer, with a digest running along. What needs numbers that come
 * later is kept in memory: the new numbers of passages and nodes, and the terms.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crypto/digest.h"
#include "base/sys/file.h"
#include "index/snapshot_internal.h"

#define BUFFER_BYTES ((size_t)256 * 1024)
#define LOST         UINT32_MAX /* new number of what is left out */
#define REPAIR_MAX   256        /* candidates for the links of a node that lost some */

/* The file under way. Sticky: after a failure nothing more is written. */
struct sink {
    int fd;
    tars_status status;
    const atomic_bool *given_up; /* or NULL */
    uint64_t at;                 /* bytes put, from the start of the file */
    size_t fill;                 /* bytes in buffer */
    struct tars_sha256 *sha;
    char *buffer; /* (BUFFER_BYTES,) owned */
};

struct writer {
    const struct tars_shadow *shadow;
    const struct tars_snapshot_mark *mark;
    struct sink sink;
    struct tars_snapshot_header header;
    uint32_t *passage_to;             /* (passages,) new ordinals, or LOST */
    uint32_t *node_to;                /* (nodes,) new nodes, or LOST */
    struct tars_postings_term *terms; /* (term_count,) as they will be stored */
    uint32_t *term_order;             /* (old term_count,) old numbers, most frequent first */
    uint32_t *term_to;                /* (old term_count,) new numbers, or LOST */
    struct tars_sequence_place *word_places; /* (passages,) as they will be stored */
    uint32_t term_count;
    uint32_t passage_count; /* old ones */
    uint32_t node_count;    /* old ones */
};

/* --------------------------------------------------------------------- sink */

static void flush(struct sink *sink)
{
    size_t done = 0;

    if (sink->status == TARS_OK && sink->given_up && atomic_load(sink->given_up))
        sink->status = TARS_ECANCELED;
    if (sink->status == TARS_OK && sink->fill > 0)
        sink->status = tars_sha256_update(sink->sha, sink->buffer, sink->fill);
    while (sink->status == TARS_OK && done < sink->fill) {
        ssize_t put = write(sink->fd, sink->buffer + done, sink->fill - done);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0) {
            sink->status = TARS_EIO;
        } else {
            done += (size_t)put;
        }
    }
    sink->fill = 0;
}

static void put(struct sink *sink, const void *ptr, size_t len)
{
    const char *from = ptr;

    sink->at += len;
    while (len > 0) {
        size_t n = BUFFER_BYTES - sink->fill;

        n = n < len ? n : len;
        memcpy(sink->buffer + sink->fill, from, n);
        sink->fill += n;
        from += n;
        len -= n;
        if (sink->fill == BUFFER_BYTES)
            flush(sink);
    }
}

static void begin(struct writer *w, enum tars_snapshot_section section)
{
    static const char zeros[TARS_SNAPSHOT_ALIGN];
    size_t odd = w->sink.at % TARS_SNAPSHOT_ALIGN;

    if (odd > 0)
        put(&w->sink, zeros, TARS_SNAPSHOT_ALIGN - odd);
    w->header.places[section].offset = w->sink.at;
}

static void end(struct writer *w, enum tars_snapshot_section section)
{
    struct tars_snapshot_place *place = &w->header.places[section];

    place->count = (w->sink.at - place->offset) / tars_snapshot_elem(section, w->shadow->dim);
    if (place->count > TARS_SNAPSHOT_ELEMENTS_MAX && w->sink.status == TARS_OK)
        w->sink.status = TARS_ETOOBIG; /* it could not be opened */
}

static bool is_going(const struct writer *w)
{
    return w->sink.status == TARS_OK;
}

/* ----------------------------------------------------------------- passages */

static const struct tars_hnsw_node *node_of(const struct writer *w, uint32_t node)
{
    return tars_hnsw_node_at(&w->shadow->hnsw, node);
}

static void number_passages(struct writer *w)
{
    uint32_t next = 0;

    for (uint32_t i = 0; i < w->passage_count; i++) {
        const struct tars_passage *passage = tars_passages_at(&w->shadow->passages, i);
        uint32_t died = atomic_load_explicit(&passage->died, memory_order_relaxed);

        w->passage_to[i] = died == 0 || died > w->mark->epoch ? next++ : LOST;
    }
    next = 0;
    for (uint32_t i = 0; i < w->node_count; i++) {
        uint32_t owner = node_of(w, i)->owner;
        bool keeps = owner < w->passage_count && w->passage_to[owner] != LOST;

        w->node_to[i] = keeps ? next++ : LOST;
    }
}

/* A damaged mapped snapshot may have given it windows of others. */
static uint32_t windows_of(const struct writer *w, uint32_t ordinal,
                           const struct tars_passage *passage)
{
    uint32_t count = 0;

    while (count < passage->window_count && passage->window_first < w->node_count &&
           count < w->node_count - passage->window_first &&
           node_of(w, passage->window_first + count)->owner == ordinal)
        count++;
    return count;
}

static void put_passages(struct writer *w)
{
    begin(w, TARS_SNAPSHOT_PASSAGES);
    for (uint32_t i = 0; i < w->passage_count; i++) {
        const struct tars_passage *passage = tars_passages_at(&w->shadow->passages, i);
        struct tars_passage made = {.id = passage->id,
                                    .length = passage->length,
                                    .lang = passage->lang,
                                    .title_length = passage->title_length,
                                    .heading_length = passage->heading_length};

        if (w->passage_to[i] == LOST)
            continue;
        made.window_count = (uint16_t)windows_of(w, i, passage);
        if (made.window_count > 0)
            made.window_first = w->node_to[passage->window_first];
        put(&w->sink, &made, sizeof(made));
        for (int field = 0; field < TARS_INDEX_FIELDS; field++)
            w->header.lengths[field] += tars_passages_length(&made, field);
        if (made.lang < TARS_INDEX_LANGUAGES)
            w->header.by_language[made.lang]++;
    }
    end(w, TARS_SNAPSHOT_PASSAGES);
}

/* -------------------------------------------------------------------- graph */

static void put_nodes(struct writer *w)
{
    const struct tars_hnsw *hnsw = &w->shadow->hnsw;
    uint32_t upper = 0;
    uint32_t best_layer = 0;

    begin(w, TARS_SNAPSHOT_NODES);
    for (uint32_t i = 0; i < w->node_count && is_going(w); i++) {
        const struct tars_hnsw_node *node = node_of(w, i);
        struct tars_hnsw_node made = *node;

        if (w->node_to[i] == LOST)
            continue;
        made.owner = w->passage_to[node->owner];
        made.layer = node->layer < TARS_HNSW_LAYERS ? node->layer : TARS_HNSW_LAYERS;
        made.upper = upper;
        upper += made.layer;
        put(&w->sink, &made, sizeof(made));
        put(&w->sink, node->codes, hnsw->stride);
        if (w->node_to[i] == 0 || made.layer > best_layer) {
            best_layer = made.layer;
            w->header.entry = (uint64_t)made.layer << 32 | w->node_to[i];
        }
    }
    end(w, TARS_SNAPSHOT_NODES);
    begin(w, TARS_SNAPSHOT_EXACT);
    for (uint32_t i = 0; i < w->node_count && is_going(w); i++) {
        if (w->node_to[i] != LOST)
            put(&w->sink, tars_column_at(&hnsw->exact, i), hnsw->dim * sizeof(float));
    }
    end(w, TARS_SNAPSHOT_EXACT);
}

struct repair {
    struct tars_hnsw_found found[REPAIR_MAX]; /* living candidates; then, sorted, the links */
    size_t count;
    uint32_t lost[REPAIR_MAX]; /* lost nodes whose links stand for them */
    size_t lost_count;
};

static bool holds(const struct repair *repair, uint32_t node, bool is_lost)
{
    size_t n = is_lost ? repair->lost_count : repair->count;

    for (size_t i = 0; i < n; i++) {
        if ((is_lost ? repair->lost[i] : repair->found[i].node) == node)
            return true;
    }
    return false;
}

/* Take what `from` links to, for the node that is mended. */
static void gather(const struct writer *w, struct repair *repair, uint32_t mended, uint32_t from,
                   uint32_t layer)
{
    uint32_t count = atomic_load_explicit(&w->shadow->hnsw.count, memory_order_acquire);
    uint32_t max = 0;
    _Atomic uint32_t *ids = tars_hnsw_links(&w->shadow->hnsw, from, layer, &max);

    for (uint32_t i = 0; ids && i < max; i++) {
        uint32_t node = atomic_load_explicit(&ids[i], memory_order_relaxed);
        bool is_lost;

        if (node >= count || node == mended)
            continue;
        is_lost = node >= w->node_count || w->node_to[node] == LOST;
        if (holds(repair, node, is_lost))
            continue;
        if (is_lost && repair->lost_count < REPAIR_MAX)
            repair->lost[repair->lost_count++] = node;
        if (!is_lost && repair->count < REPAIR_MAX) {
            repair->found[repair->count++] =
                (struct tars_hnsw_found){tars_hnsw_between(&w->shadow->hnsw, mended, node), node};
        }
    }
}

/* The links that node will have in layer, in repair->found, by old numbers. Nodes that are left
 * out, because they are gone or newer than the mark, are stood in for by what they linked to,
 * through further lost ones if need be. */
static void mend(const struct writer *w, struct repair *repair, uint32_t node, uint32_t layer)
{
    size_t max = layer == 0 ? TARS_HNSW_M0 : TARS_HNSW_M;

    repair->count = 0;
    repair->lost_count = 0;
    gather(w, repair, node, node, layer);
    if (repair->lost_count == 0)
        return;
    for (size_t i = 0; i < repair->lost_count && repair->count < REPAIR_MAX; i++)
        gather(w, repair, node, repair->lost[i], layer);
    qsort(repair->found, repair->count, sizeof(repair->found[0]), tars_hnsw_found_order);
    repair->count = tars_hnsw_pick(&w->shadow->hnsw, repair->found, repair->count, max);
}

static void put_links(struct writer *w, struct repair *repair, uint32_t node, uint32_t layer)
{
    uint32_t made[TARS_HNSW_M0];
    size_t max = layer == 0 ? TARS_HNSW_M0 : TARS_HNSW_M;

    mend(w, repair, node, layer);
    for (size_t i = 0; i < max; i++)
        made[i] = i < repair->count ? w->node_to[repair->found[i].node] : TARS_HNSW_NONE;
    put(&w->sink, made, max * sizeof(made[0]));
}

static void put_graph(struct writer *w, struct repair *repair)
{
    put_nodes(w);
    begin(w, TARS_SNAPSHOT_LINKS0);
    for (uint32_t i = 0; i < w->node_count && is_going(w); i++) {
        if (w->node_to[i] != LOST)
            put_links(w, repair, i, 0);
    }
    end(w, TARS_SNAPSHOT_LINKS0);
    begin(w, TARS_SNAPSHOT_UPPER);
    for (uint32_t i = 0; i < w->node_count && is_going(w); i++) {
        if (w->node_to[i] == LOST)
            continue;
        for (uint32_t l = 1; l <= node_of(w, i)->layer && l <= TARS_HNSW_LAYERS; l++)
            put_links(w, repair, i, l);
    }
    end(w, TARS_SNAPSHOT_UPPER);
}

/* -------------------------------------------------------------------- words */

/* The postings of one term on their way. */
struct packed {
    struct tars_ranges_posting *postings; /* (cap,) owned */
    uint8_t *bounds;                      /* (cap,) owned */
    size_t count, cap;
    uint8_t *room; /* (room_len,) owned */
    size_t room_len;
};

static uint32_t unit_of(const struct writer *w)
{
    return (uint32_t)((w->sink.at - w->header.places[TARS_SNAPSHOT_BLOCKS].offset) /
                      TARS_POSTINGS_UNIT);
}

static bool grow(void **items, size_t *have, size_t want, size_t elem)
{
    void *made;

    if (want <= *have)
        return true;
    made = realloc(*items, want * elem);
    if (!made)
        return false;
    *items = made;
    *have = want;
    return true;
}

static bool grow_packed(struct packed *packed, size_t count)
{
    size_t cap = packed->cap;
    void *postings = packed->postings;
    void *bounds = packed->bounds;
    size_t want = count > 2 * cap ? count : 2 * cap;
    bool grown;

    if (count <= cap)
        return true;
    grown = grow(&postings, &cap, want, sizeof(*packed->postings));
    packed->postings = postings;
    cap = packed->cap;
    grown = grown && grow(&bounds, &cap, want, 1);
    packed->bounds = bounds;
    packed->cap = grown ? want : packed->cap;
    return grown;
}

/* Gather the living postings of a term by their new ordinals. */
static void gather_postings(struct writer *w, struct tars_postings_cursor *cursor,
                            struct packed *packed, uint32_t number, struct tars_postings_term *made)
{
    uint32_t bound = 0;

    packed->count = 0;
    tars_postings_cursor_init(cursor, &w->shadow->postings, number);
    while (cursor->ordinal < w->passage_count) {
        uint32_t ordinal = cursor->ordinal;

        if (w->passage_to[ordinal] != LOST) {
            uint32_t length =
                tars_passages_length(tars_passages_at(&w->shadow->passages, ordinal), made->field);

            if (!grow_packed(packed, packed->count + 1)) {
                w->sink.status = TARS_ENOMEM;
                return;
            }
            packed->bounds[packed->count] =
                tars_snapshot_bound(&w->header, made->field, cursor->tf, length);
            packed->postings[packed->count++] =
                (struct tars_ranges_posting){w->passage_to[ordinal], cursor->tf};
            bound = tars_postings_bound(bound, cursor->tf, length);
        }
        tars_postings_seek(cursor, ordinal + 1);
    }
    atomic_store_explicit(&made->df, (uint32_t)packed->count, memory_order_relaxed);
    atomic_store_explicit(&made->bound, bound, memory_order_relaxed);
}

/* Write the living postings of a term; the term as it will be stored, with df 0 when none. */
static void put_term(struct writer *w, struct tars_postings_cursor *cursor, struct packed *packed,
                     uint32_t number, struct tars_postings_term *made)
{
    void *room = packed->room;
    uint32_t living = (uint32_t)w->header.places[TARS_SNAPSHOT_PASSAGES].count;

    made->first = unit_of(w);
    gather_postings(w, cursor, packed, number, made);
    if (packed->count == 0 || w->sink.status != TARS_OK)
        return;
    if (!grow(&room, &packed->room_len, tars_ranges_room(packed->count, living), 1)) {
        w->sink.status = TARS_ENOMEM;
        return;
    }
    packed->room = room;
    put(&w->sink, packed->room,
        tars_ranges_make(packed->postings, packed->bounds, packed->count, living, packed->room));
}

static bool term_is_sound(const struct writer *w, uint32_t number)
{
    const struct tars_postings *postings = &w->shadow->postings;
    const struct tars_postings_term *term = tars_postings_term_at(postings, number);

    return term->len > 0 && term->len <= TARS_POSTINGS_TERM_MAX &&
           term->field < TARS_INDEX_FIELDS &&
           (number >= postings->terms.base_count || term->text < postings->texts.base_count) &&
           tars_postings_text(postings, term);
}

static int most_frequent_first(const void *a, const void *b)
{
    const uint64_t *left = a;
    const uint64_t *right = b;

    return (*left < *right) - (*left > *right);
}

/* The old terms by how many passages have them, so that the numbers of frequent ones are short. */
static void order_terms(struct writer *w, uint32_t count)
{
    uint64_t *keys = calloc((size_t)count + 1, sizeof(*keys)); /* df, and the number turned over */

    if (!keys) {
        w->sink.status = TARS_ENOMEM;
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct tars_postings_term *term = tars_postings_term_at(&w->shadow->postings, i);

        keys[i] = (uint64_t)atomic_load_explicit(&term->df, memory_order_relaxed) << 32 |
                  (UINT32_MAX - i);
        w->term_to[i] = LOST;
    }
    qsort(keys, count, sizeof(*keys), most_frequent_first);
    for (uint32_t i = 0; i < count; i++)
        w->term_order[i] = UINT32_MAX - (uint32_t)keys[i];
    free(keys);
}

static void put_blocks(struct writer *w, struct tars_postings_cursor *cursor, struct packed *packed)
{
    uint32_t count = w->term_count;

    begin(w, TARS_SNAPSHOT_BLOCKS);
    w->term_count = 0;
    order_terms(w, count);
    for (uint32_t at = 0; at < count && is_going(w); at++) {
        uint32_t i = w->term_order[at];
        const struct tars_postings_term *term = tars_postings_term_at(&w->shadow->postings, i);
        struct tars_postings_term *made = &w->terms[w->term_count];

        if (!term_is_sound(w, i))
            continue;
        *made = (struct tars_postings_term){.hash = term->hash,
                                            .text = term->text,
                                            .len = term->len,
                                            .field = term->field,
                                            .letters = i};
        put_term(w, cursor, packed, i, made);
        if (atomic_load_explicit(&made->df, memory_order_relaxed) > 0)
            w->term_to[i] = w->term_count++;
    }
    end(w, TARS_SNAPSHOT_BLOCKS);
}

static void put_terms(struct writer *w)
{
    uint32_t at = 0;

    begin(w, TARS_SNAPSHOT_TEXTS);
    for (uint32_t i = 0; i < w->term_count; i++) {
        struct tars_postings_term *term = &w->terms[i];
        const struct tars_postings_term *old =
            tars_postings_term_at(&w->shadow->postings, term->letters);

        put(&w->sink, tars_postings_text(&w->shadow->postings, old), term->len);
        term->text = at;
        term->letters = old->letters;
        at += term->len;
    }
    end(w, TARS_SNAPSHOT_TEXTS);
    begin(w, TARS_SNAPSHOT_TERMS);
    put(&w->sink, w->terms, w->term_count * sizeof(*w->terms));
    end(w, TARS_SNAPSHOT_TERMS);
}

/* The words of the living passages, by the new numbers of terms; then where they are. */
static void put_sequence(struct writer *w, uint32_t old_terms)
{
    uint32_t next = 0;
    uint64_t at = 0;

    begin(w, TARS_SNAPSHOT_WORDS);
    for (uint32_t i = 0; i < w->passage_count && w->sink.status == TARS_OK; i++) {
        struct tars_sequence_reader reader = tars_sequence_read(&w->shadow->sequence, i);
        struct tars_sequence_place *place = &w->word_places[next];
        uint32_t gaps = 0;
        uint32_t word;

        if (w->passage_to[i] == LOST)
            continue;
        *place = (struct tars_sequence_place){(uint32_t)at, 0};
        while (tars_sequence_next(&reader, &word)) {
            uint8_t encoded[TARS_SEQUENCE_BYTES];
            size_t n = tars_sequence_encode(
                encoded, &gaps, word < old_terms ? w->term_to[word] : TARS_SEQUENCE_GAP);

            put(&w->sink, encoded, n);
            place->len += (uint32_t)n;
        }
        at += place->len;
        next++;
        if (at > TARS_SNAPSHOT_ELEMENTS_MAX && w->sink.status == TARS_OK)
            w->sink.status = TARS_ETOOBIG;
    }
    end(w, TARS_SNAPSHOT_WORDS);
    begin(w, TARS_SNAPSHOT_PLACES);
    put(&w->sink, w->word_places, next * sizeof(*w->word_places));
    end(w, TARS_SNAPSHOT_PLACES);
}

static void put_slots(struct writer *w)
{
    size_t size = 16;
    uint32_t *slots;

    while (size < (size_t)w->term_count * 2)
        size *= 2;
    slots = calloc(size, sizeof(*slots));
    if (!slots) {
        w->sink.status = TARS_ENOMEM;
        return;
    }
    for (uint32_t i = 0; i < w->term_count; i++) {
        size_t at = w->terms[i].hash & (size - 1);

        while (slots[at] != 0)
            at = (at + 1) & (size - 1);
        slots[at] = i + 1;
    }
    begin(w, TARS_SNAPSHOT_SLOTS);
    put(&w->sink, slots, size * sizeof(*slots));
    end(w, TARS_SNAPSHOT_SLOTS);
    free(slots);
}

/* ------------------------------------------------------------------ writing */

static tars_status put_all(struct writer *w)
{
    struct repair *repair = malloc(sizeof(*repair));
    struct packed *packed = calloc(1, sizeof(*packed));
    struct tars_postings_cursor *cursor = malloc(sizeof(*cursor));
    uint32_t old_terms = w->term_count;

    if (!repair || !packed || !cursor) {
        w->sink.status = TARS_ENOMEM;
    } else {
        number_passages(w);
        put_passages(w);
        put_graph(w, repair);
        put_blocks(w, cursor, packed);
        put_sequence(w, old_terms);
        put_terms(w);
        put_slots(w);
        flush(&w->sink);
    }
    free(repair);
    if (packed) {
        free(packed->postings);
        free(packed->bounds);
        free(packed->room);
    }
    free(packed);
    free(cursor);
    return w->sink.status;
}

static tars_status put_header(struct writer *w)
{
    struct tars_snapshot_header *header = &w->header;
    char block[TARS_SNAPSHOT_DATA] = {0};
    tars_status status = tars_sha256_final_hex(w->sink.sha, header->digest);

    header->size = w->sink.at;
    if (status == TARS_OK)
        status = tars_snapshot_header_digest(header, header->header_digest);
    if (status != TARS_OK)
        return status;
    memcpy(block, header, sizeof(*header));
    if (pwrite(w->sink.fd, block, sizeof(block), 0) != (ssize_t)sizeof(block))
        return TARS_EIO;
    return fsync(w->sink.fd) == 0 ? TARS_OK : TARS_EIO;
}

static tars_status setup(struct writer *w, const char *identity)
{
    const struct tars_shadow *shadow = w->shadow;

    w->passage_count = w->mark->passages;
    w->node_count = w->mark->nodes;
    w->term_count = w->mark->terms;
    memcpy(w->header.magic, TARS_SNAPSHOT_MAGIC, sizeof(w->header.magic));
    w->header.version = TARS_SNAPSHOT_VERSION;
    w->header.dim = shadow->dim;
    w->header.seq = w->mark->seq;
    w->header.last_id = w->mark->last_id;
    w->header.k1 = shadow->postings.k1;
    w->header.b = shadow->postings.b;
    (void)snprintf(w->header.identity, sizeof(w->header.identity), "%s", identity);
    w->passage_to = calloc((size_t)w->passage_count + 1, sizeof(*w->passage_to));
    w->node_to = calloc((size_t)w->node_count + 1, sizeof(*w->node_to));
    w->terms = calloc((size_t)w->term_count + 1, sizeof(*w->terms));
    w->term_order = calloc((size_t)w->term_count + 1, sizeof(*w->term_order));
    w->term_to = calloc((size_t)w->term_count + 1, sizeof(*w->term_to));
    w->word_places = calloc((size_t)w->passage_count + 1, sizeof(*w->word_places));
    w->sink.buffer = malloc(BUFFER_BYTES);
    w->sink.at = TARS_SNAPSHOT_DATA;
    if (!w->passage_to || !w->node_to || !w->terms || !w->term_order || !w->term_to ||
        !w->word_places || !w->sink.buffer)
        return TARS_ENOMEM;
    return tars_sha256_new(&w->sink.sha);
}

static void teardown(struct writer *w)
{
    free(w->passage_to);
    free(w->node_to);
    free(w->terms);
    free(w->term_order);
    free(w->term_to);
    free(w->word_places);
    free(w->sink.buffer);
    tars_sha256_free(w->sink.sha);
}

static tars_status write_to(struct writer *w, const char *temporary)
{
    tars_status status = TARS_EIO;

    w->sink.fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (w->sink.fd < 0)
        return TARS_EIO;
    if (lseek(w->sink.fd, TARS_SNAPSHOT_DATA, SEEK_SET) == TARS_SNAPSHOT_DATA)
        status = put_all(w);
    if (status == TARS_OK)
        status = put_header(w);
    if (close(w->sink.fd) != 0 && status == TARS_OK)
        status = TARS_EIO;
    return status;
}

struct tars_snapshot_mark tars_snapshot_mark(struct tars_shadow *shadow, uint64_t seq)
{
    tars_passages_publish(&shadow->passages);
    return (struct tars_snapshot_mark){
        .seq = seq,
        .last_id = shadow->passages.last_id,
        .passages = shadow->passages.column.count,
        .nodes = shadow->dim > 0 ? atomic_load(&shadow->hnsw.count) : 0,
        .terms = atomic_load(&shadow->postings.term_count),
        .epoch = tars_passages_look(&shadow->passages).epoch,
    };
}

tars_status tars_snapshot_write(const struct tars_shadow *shadow,
                                const struct tars_snapshot_mark *mark, const char *path,
                                const char *identity, struct tars_err *err)
{
    struct writer w = {
        .shadow = shadow, .mark = mark, .sink = {.fd = -1, .given_up = mark->given_up}};
    char temporary[PATH_MAX];
    char folder[PATH_MAX];
    tars_status status = setup(&w, identity);

    if (snprintf(temporary, sizeof(temporary), "%s.tmp", path) >= (int)sizeof(temporary))
        status = TARS_EINVAL;
    if (status == TARS_OK)
        status = write_to(&w, temporary);
    if (status == TARS_OK && rename(temporary, path) != 0)
        status = TARS_EIO;
    teardown(&w);
    if (status != TARS_OK) {
        (void)unlink(temporary);
        return tars_fail(status, err, "cannot write the index %s: %s", path,
                         status == TARS_EIO ? "is the disk full?" : tars_status_text(status));
    }
    (void)snprintf(folder, sizeof(folder), "%s", path);
    *strrchr(folder, '/') = '\0';
    return tars_dir_sync(folder, err);
}
