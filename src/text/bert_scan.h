/* bert_scan - the characters of a text as BERT's tokenizer sees them, one after the other, each
 * with the bytes that it came from.
 *
 *     text    É  t  é  U+200B  中        "Été<zero width space>中"
 *     scan    e  t  e  ' '  中  ' '
 *
 * Order of the steps, as in the reference: control characters out and white space to U+0020; spaces
 * round ideographs; canonical decomposition with its reordering, non-spacing marks out, lower case.
 *
 * Invariant Characters come in order of their places, except marks that decomposition reorders.
 * Limits    Marks are put in canonical order over runs of at most TARS_BERT_RUN_MAX survivors, more
 *           than a word may have characters.
 * Threads   A scan belongs to one thread.
 */
#ifndef TARS_TEXT_BERT_SCAN_H
#define TARS_TEXT_BERT_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TARS_BERT_RUN_MAX   240
#define TARS_BERT_QUEUE_MAX (TARS_BERT_RUN_MAX + 16) /* a run and one decomposition */

struct tars_bert_char {
    uint32_t code;
    uint32_t start; /* bytes of the text */
    uint32_t end;
};

struct tars_bert_scan {
    const char *text; /* (len,) borrowed */
    size_t len;
    size_t at;      /* next byte to decode */
    bool lowercase; /* also takes accents off */
    size_t head;    /* next of the queue to give */
    size_t count;   /* end of the queue */
    size_t run;     /* where the open run of marks begins in the queue */
    struct tars_bert_char queue[TARS_BERT_QUEUE_MAX];
    uint8_t ccc[TARS_BERT_QUEUE_MAX]; /* combining class of each */
};

/* Begin at byte from of (text, len); offsets count from the beginning of text. */
void tars_bert_scan_init(struct tars_bert_scan *scan, const char *text, size_t len, size_t from,
                         bool lowercase);
/* The next character; false at the end. */
bool tars_bert_scan_next(struct tars_bert_scan *scan, struct tars_bert_char *out);

/* Punctuation in BERT's sense: that of Unicode, and every ASCII sign that is no letter, digit or
 * space. */
bool tars_bert_is_punctuation(uint32_t code);

#endif
