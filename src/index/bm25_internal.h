/* bm25_internal - what bm25.c and bm25_ranges.c share: a question's terms, and what is found. */
#ifndef TARS_INDEX_BM25_INTERNAL_H
#define TARS_INDEX_BM25_INTERNAL_H

#include "index/bm25.h"
#include "index/top.h"

/* Where a sparse list has a range. */
struct tars_bm25_entry {
    uint32_t range;
    uint32_t len; /* bytes of postings */
    const uint8_t *ptr;
};

/* A term of the question, with postings. */
struct tars_bm25_list {
    struct tars_postings_cursor cursor;
    double factor;   /* weight * idf * (k1 + 1) */
    double per_word; /* k1 * b / mean length of the field */
    double bound;    /* what it can add at most */
    double score;    /* what it adds to the passage at hand */
    size_t in_query; /* place among the query's terms */
    uint32_t number;
    enum tars_index_field field;
    /* Of bm25_ranges.c. */
    struct tars_ranges ranges;
    bool mapped;                     /* ranges is a list */
    bool more;                       /* sparse: span is a range that was not looked at yet;
                                        scoring passages apart: cursor stands in the tail */
    struct tars_ranges_span span;    /* sparse */
    uint32_t at;                     /* the entry behind span; dense: the next bound; apart: the
                                        ordinal that cursor was sent to */
    uint32_t weight;                 /* of a bound, in 256ths of a step of the sums */
    struct tars_bm25_entry *entries; /* sparse: (entry_cap,) owned; those of the window at hand */
    size_t entry_count, entry_cap;
};

struct tars_bm25_scorer {
    const struct tars_bm25 *bm25;
    const struct tars_index_filter *filter;
    double norm;                        /* k1 * (1 - b) */
    double per_word[TARS_INDEX_FIELDS]; /* k1 * b / mean length */
    struct tars_bm25_list **lists;      /* (count,) those with postings, weakest first */
    struct tars_bm25_list **query;      /* (count,) the same in the order of the query */
    double *reach; /* (count + 1,) reach[i]: what lists 0 .. i - 1 can add together */
    size_t count;
    struct tars_top top;
};

/* What a posting adds. One expression, so that every way of searching gives the same bits. */
static inline double tars_bm25_part(const struct tars_bm25_list *list, double tf, double norm)
{
    return list->factor * tf / (tf + norm);
}

/* What is added to tf there: by the length of the list's field. */
static inline double tars_bm25_norm(const struct tars_bm25_scorer *scorer,
                                    const struct tars_bm25_list *list, double length)
{
    return scorer->norm + list->per_word * length;
}

/* The mean length of a field, as the searches of this moment see it. */
double tars_bm25_mean(const struct tars_bm25 *bm25, enum tars_index_field field);
/* Keep the passage if the view has it and the filter accepts it. */
void tars_bm25_offer(struct tars_bm25_scorer *scorer, uint32_t ordinal, double score);

/* Whether the bounds of the mapped lists are for this k1 and b. */
bool tars_bm25_ranges_fit(const struct tars_bm25 *bm25);
/* Find the best of the mapped passages. TARS_ENOMEM. */
TARS_MUST_USE tars_status tars_bm25_ranges_run(struct tars_bm25_scorer *scorer);

#endif
