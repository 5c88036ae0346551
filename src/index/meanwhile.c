/* meanwhile - see meanwhile.h. */
#include "index/meanwhile.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN ((size_t)8)

static size_t padded(size_t len)
{
    return (len + ALIGN - 1) / ALIGN * ALIGN;
}

static struct tars_meanwhile_entry *make(enum tars_meanwhile_kind kind, size_t more)
{
    size_t bytes = padded(sizeof(struct tars_meanwhile_entry)) + more;
    struct tars_meanwhile_entry *entry = malloc(bytes);

    if (entry)
        *entry = (struct tars_meanwhile_entry){.kind = kind, .bytes = bytes};
    return entry;
}

static void append(struct tars_meanwhile *journal, struct tars_meanwhile_entry *entry)
{
    if (journal->newest) {
        journal->newest->next = entry;
    } else {
        journal->first = entry;
    }
    journal->newest = entry;
    journal->count++;
    journal->bytes += entry->bytes;
}

/* Copy len bytes to *at, which goes behind; returns the copy. */
static void *copy(char **at, const void *from, size_t len)
{
    void *made = *at;

    if (len > 0)
        memcpy(made, from, len);
    *at += padded(len);
    return made;
}

static size_t texts_of(const struct tars_index_passage *passage)
{
    size_t len = 0;

    for (size_t i = 0; i < passage->term_count; i++)
        len += passage->terms[i].len;
    return len;
}

tars_status tars_meanwhile_add(struct tars_meanwhile *journal,
                               const struct tars_index_passage *passage, size_t dim)
{
    size_t vectors = dim > 0 ? passage->vector_count * dim * sizeof(float) : 0;
    size_t terms = passage->term_count * sizeof(*passage->terms);
    size_t words = passage->words ? passage->word_count * sizeof(*passage->words) : 0;
    struct tars_meanwhile_entry *entry =
        make(TARS_MEANWHILE_ADD,
             padded(vectors) + padded(terms) + padded(words) + padded(texts_of(passage)));
    struct tars_index_term *made;
    char *at;

    if (!entry)
        return TARS_ENOMEM;
    at = (char *)entry + padded(sizeof(*entry));
    entry->passage = *passage;
    entry->passage.vectors = copy(&at, passage->vectors, vectors);
    made = copy(&at, passage->terms, terms);
    entry->passage.terms = made;
    if (passage->words)
        entry->passage.words = copy(&at, passage->words, words);
    for (size_t i = 0; i < passage->term_count; i++) {
        memcpy(at, made[i].ptr, made[i].len);
        made[i].ptr = at;
        at += made[i].len;
    }
    append(journal, entry);
    return TARS_OK;
}

tars_status tars_meanwhile_remove(struct tars_meanwhile *journal, uint64_t first, uint64_t last)
{
    struct tars_meanwhile_entry *entry = make(TARS_MEANWHILE_REMOVE, 0);

    if (!entry)
        return TARS_ENOMEM;
    entry->first = first;
    entry->last = last;
    append(journal, entry);
    return TARS_OK;
}

tars_status tars_meanwhile_publish(struct tars_meanwhile *journal)
{
    struct tars_meanwhile_entry *entry = make(TARS_MEANWHILE_PUBLISH, 0);

    if (!entry)
        return TARS_ENOMEM;
    append(journal, entry);
    return TARS_OK;
}

struct tars_meanwhile_entry *tars_meanwhile_take(struct tars_meanwhile *journal)
{
    struct tars_meanwhile_entry *entry = journal->first;

    if (!entry)
        return NULL;
    journal->first = entry->next;
    if (!journal->first)
        journal->newest = NULL;
    journal->bytes -= entry->bytes;
    return entry;
}

void tars_meanwhile_done(struct tars_meanwhile *journal)
{
    assert(journal->count > 0);
    journal->count--;
}

void tars_meanwhile_clear(struct tars_meanwhile *journal)
{
    struct tars_meanwhile_entry *entry;

    while ((entry = tars_meanwhile_take(journal)))
        free(entry);
    *journal = (struct tars_meanwhile){0};
}
