/* wordpiece - see wordpiece.h.
 *
 * DESIGN
 *
 * The vocabulary is a trie over bytes, laid out level by level, so that the children of a node are
 * neighbours and the children of the next node follow them:
 *
 *     node      0 (root)   1 'a'   2 'b'  ...   k "an"   k+1 "ar"
 *     first     1          k       ...          children of v: first[v] .. first[v + 1] - 1
 *     label     -          'a'     'b'          'n'      'r'       the byte that leads to a node
 *     id        -1         1037    1038         2019     -1        the piece that ends here, or -1
 *
 * A word is collected as UTF-8 with the place of every character; its pieces are then the deepest
 * nodes with an id, the first from the root, the others from the node of "##". ASCII goes from the
 * text straight into the word; all else through bert_scan.
 *
 * INVARIANTS
 *
 *   1. label[first[v] .. first[v + 1]) ascends for every v.
 *   2. A word holds at most max_chars characters; chars may be more, and then the word is [UNK].
 */
#include "text/wordpiece.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "text/bert_scan.h"
#include "text/normalize.h"

#define LITERALS 5 /* texts that are tokens by themselves */

struct literal {
    const char *text;
    size_t len;
    int32_t id; /* -1: not in this vocabulary */
};

struct tars_wordpiece {
    char *vocab;             /* owned copy of vocab_txt */
    struct tars_span *piece; /* (size,) into vocab, by id */
    size_t size;
    uint32_t *first; /* (nodes + 1,) */
    unsigned char *label;
    int32_t *id;
    size_t nodes;
    uint32_t continuation; /* node of "##", or 0 where no piece begins so */
    bool lowercase;
    size_t max_chars;
    struct tars_wordpiece_specials specials;
    struct literal literals[LITERALS];
};

/* ----------------------------------------------------------- vocabulary */

/* A piece while the trie is being built. */
struct entry {
    struct tars_span text;
    int32_t id;
};

/* Entries lo..hi-1 share their first depth bytes: the strings under one node. */
struct group {
    uint32_t lo, hi, depth;
};

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    size_t len = x->text.len < y->text.len ? x->text.len : y->text.len;
    int order = len ? memcmp(x->text.ptr, y->text.ptr, len) : 0;

    if (order)
        return order;
    if (x->text.len != y->text.len)
        return x->text.len < y->text.len ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static size_t count_lines(struct tars_span vocab)
{
    size_t lines = 0;

    for (size_t i = 0; i < vocab.len; i++)
        lines += vocab.ptr[i] == '\n';
    return lines + (vocab.len && vocab.ptr[vocab.len - 1] != '\n');
}

static void split_lines(struct tars_wordpiece *made, size_t vocab_len)
{
    size_t at = 0;

    for (size_t i = 0; i < made->size; i++) {
        const char *end = memchr(made->vocab + at, '\n', vocab_len - at);
        size_t len = end ? (size_t)(end - made->vocab) - at : vocab_len - at;

        made->piece[i] = tars_span(made->vocab + at, len);
        at += len + 1;
        while (made->piece[i].len && made->piece[i].ptr[made->piece[i].len - 1] == '\r')
            made->piece[i].len--;
    }
}

/* The children of one group become nodes, appended to the trie and, as groups, to the list. */
static void expand(struct tars_wordpiece *made, const struct entry *entries, struct group *groups,
                   size_t node)
{
    struct group group = groups[node];
    uint32_t i = group.lo;

    made->id[node] = -1;
    for (; i < group.hi && entries[i].text.len == group.depth; i++)
        made->id[node] = entries[i].id; /* a repeated line: the last one counts */
    made->first[node] = (uint32_t)made->nodes;
    while (i < group.hi) {
        char byte = entries[i].text.ptr[group.depth];
        uint32_t lo = i;

        while (i < group.hi && entries[i].text.ptr[group.depth] == byte)
            i++;
        made->label[made->nodes] = (unsigned char)byte;
        groups[made->nodes++] = (struct group){lo, i, group.depth + 1};
    }
}

static tars_status build_trie(struct tars_wordpiece *made)
{
    size_t bytes = 1;
    struct entry *entries = calloc(made->size, sizeof(*entries));
    struct group *groups = NULL;
    tars_status status = TARS_ENOMEM;

    if (!entries)
        goto out;
    for (size_t i = 0; i < made->size; i++) {
        entries[i] = (struct entry){made->piece[i], (int32_t)i};
        bytes += made->piece[i].len;
    }
    qsort(entries, made->size, sizeof(*entries), compare_entries);

    groups = calloc(bytes, sizeof(*groups));
    made->first = calloc(bytes + 1, sizeof(*made->first));
    made->label = calloc(bytes, sizeof(*made->label));
    made->id = calloc(bytes, sizeof(*made->id));
    if (!groups || !made->first || !made->label || !made->id)
        goto out;
    groups[0] = (struct group){0, (uint32_t)made->size, 0};
    made->nodes = 1;
    for (size_t node = 0; node < made->nodes; node++)
        expand(made, entries, groups, node);
    made->first[made->nodes] = (uint32_t)made->nodes;
    made->id[0] = -1; /* an empty line is no piece */
    status = TARS_OK;
out:
    free(entries);
    free(groups);
    return status;
}

/* The child of node by byte; 0 (the root is nobody's child) when there is none. */
static uint32_t child(const struct tars_wordpiece *wordpiece, uint32_t node, unsigned char byte)
{
    uint32_t from = wordpiece->first[node];
    size_t count = wordpiece->first[node + 1] - from;
    const unsigned char *found = memchr(wordpiece->label + from, byte, count);

    return found ? (uint32_t)(found - wordpiece->label) : 0;
}

static int32_t find_piece(const struct tars_wordpiece *wordpiece, const char *text)
{
    uint32_t node = 0;

    for (; *text; text++) {
        node = child(wordpiece, node, (unsigned char)*text);
        if (!node)
            return -1;
    }
    return wordpiece->id[node];
}

static tars_status find_specials(struct tars_wordpiece *made, struct tars_err *err)
{
    static const char *const NAMES[LITERALS] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    uint32_t hash = child(made, 0, '#');

    made->continuation = hash ? child(made, hash, '#') : 0;
    for (size_t i = 0; i < LITERALS; i++) {
        made->literals[i] =
            (struct literal){NAMES[i], strlen(NAMES[i]), find_piece(made, NAMES[i])};
        if (made->literals[i].id < 0 && i + 1 < LITERALS) {
            return tars_fail(TARS_EFORMAT, err,
                             "the vocabulary has no %s: it is not one of a BERT model; use the "
                             "vocab.txt that came with the model",
                             NAMES[i]);
        }
    }
    made->specials = (struct tars_wordpiece_specials){made->literals[0].id, made->literals[1].id,
                                                      made->literals[2].id, made->literals[3].id,
                                                      made->literals[4].id};
    return TARS_OK;
}

static tars_status load(struct tars_wordpiece *made, struct tars_span vocab, struct tars_err *err)
{
    tars_status status;

    made->size = count_lines(vocab);
    if (made->size == 0 || made->size > TARS_WORDPIECE_VOCAB_MAX || vocab.len >= UINT32_MAX) {
        return tars_fail(TARS_EFORMAT, err, "the vocabulary has %zu pieces; 1 to %d can be used",
                         made->size, TARS_WORDPIECE_VOCAB_MAX);
    }
    made->vocab = malloc(vocab.len);
    made->piece = calloc(made->size, sizeof(*made->piece));
    if (!made->vocab || !made->piece)
        return TARS_ENOMEM;
    memcpy(made->vocab, vocab.ptr, vocab.len);
    split_lines(made, vocab.len);
    status = build_trie(made);
    return status == TARS_OK ? find_specials(made, err) : status;
}

tars_status tars_wordpiece_new(const struct tars_wordpiece_config *config,
                               struct tars_wordpiece **wordpiece, struct tars_err *err)
{
    struct tars_wordpiece *made;
    tars_status status;

    if (config->max_word_chars > TARS_WORDPIECE_WORD_CHARS_MAX) {
        return tars_fail(TARS_EINVAL, err, "words of %zu characters were asked for; at most %d go",
                         config->max_word_chars, TARS_WORDPIECE_WORD_CHARS_MAX);
    }
    made = calloc(1, sizeof(*made));
    if (!made)
        return tars_fail(TARS_ENOMEM, err, "no memory for the tokenizer");
    made->lowercase = !config->cased;
    made->max_chars = config->max_word_chars ? config->max_word_chars : TARS_WORDPIECE_WORD_CHARS;
    status = load(made, config->vocab_txt, err);
    if (status != TARS_OK) {
        tars_wordpiece_free(made);
        return status == TARS_ENOMEM ? tars_fail(status, err, "no memory for the vocabulary")
                                     : status;
    }
    *wordpiece = made;
    return TARS_OK;
}

void tars_wordpiece_free(struct tars_wordpiece *wordpiece)
{
    if (!wordpiece)
        return;
    free(wordpiece->vocab);
    free(wordpiece->piece);
    free(wordpiece->first);
    free(wordpiece->label);
    free(wordpiece->id);
    free(wordpiece);
}

/* -------------------------------------------------------------- encoding */

struct word {
    size_t chars;         /* more than max_chars: the rest was only counted */
    size_t len;           /* bytes */
    uint32_t first, last; /* its bytes in the text */
    char bytes[TARS_WORDPIECE_WORD_CHARS_MAX * TARS_UTF8_MAX];
    /* Of every character: first byte in bytes[] (one more entry for the end), place in the text. */
    uint16_t at[TARS_WORDPIECE_WORD_CHARS_MAX + 1];
    uint32_t start[TARS_WORDPIECE_WORD_CHARS_MAX];
    uint32_t end[TARS_WORDPIECE_WORD_CHARS_MAX];
};

struct encoder {
    const struct tars_wordpiece *wordpiece;
    struct tars_arena *arena; /* NULL: count only */
    struct tars_tokens out;
    size_t cap;
    tars_status status; /* sticky */
    struct word word;
    struct tars_bert_scan scan;
};

static void grow(struct encoder *enc)
{
    size_t cap = enc->cap * 2;
    int32_t *ids = tars_arena_alloc(enc->arena, cap * sizeof(*ids));
    uint32_t *start = tars_arena_alloc(enc->arena, cap * sizeof(*start));
    uint32_t *end = tars_arena_alloc(enc->arena, cap * sizeof(*end));

    if (!ids || !start || !end) {
        enc->status = TARS_ENOMEM;
        return;
    }
    if (enc->out.count && enc->out.ids) {
        memcpy(ids, enc->out.ids, enc->out.count * sizeof(*ids));
        memcpy(start, enc->out.start, enc->out.count * sizeof(*start));
        memcpy(end, enc->out.end, enc->out.count * sizeof(*end));
    }
    enc->out.ids = ids;
    enc->out.start = start;
    enc->out.end = end;
    enc->cap = cap;
}

static void emit(struct encoder *enc, int32_t id, uint32_t start, uint32_t end)
{
    if (enc->arena) {
        if (enc->out.count == enc->cap || !enc->out.ids)
            grow(enc);
        if (enc->status != TARS_OK)
            return;
        enc->out.ids[enc->out.count] = id;
        enc->out.start[enc->out.count] = start;
        enc->out.end[enc->out.count] = end;
    }
    enc->out.count++;
}

/* The longest piece at byte from of the word; *end is where it ends. -1 when there is none. */
static int32_t longest(const struct tars_wordpiece *wordpiece, const struct word *word, size_t from,
                       size_t *end)
{
    uint32_t node = from ? wordpiece->continuation : 0;
    int32_t best = -1;

    if (from && !node)
        return -1;
    for (size_t i = from; i < word->len; i++) {
        node = child(wordpiece, node, (unsigned char)word->bytes[i]);
        if (!node)
            break;
        if (wordpiece->id[node] >= 0) {
            best = wordpiece->id[node];
            *end = i + 1;
        }
    }
    return best;
}

static void emit_pieces(struct encoder *enc)
{
    const struct word *word = &enc->word;
    size_t before = enc->out.count;
    size_t c = 0; /* character at from */

    for (size_t from = 0; from < word->len && enc->status == TARS_OK;) {
        size_t end = from;
        size_t c_first = c;
        int32_t id = longest(enc->wordpiece, word, from, &end);

        while (c < word->chars && word->at[c] < end)
            c++;
        /* Pieces are whole characters in a vocabulary of valid UTF-8; in another one, none fits. */
        if (id < 0 || word->at[c] != end) {
            enc->out.count = before;
            emit(enc, enc->wordpiece->specials.unk, word->first, word->last);
            return;
        }
        emit(enc, id, word->start[c_first], word->end[c - 1]);
        from = end;
    }
}

static void end_word(struct encoder *enc)
{
    struct word *word = &enc->word;

    if (word->chars > enc->wordpiece->max_chars) {
        emit(enc, enc->wordpiece->specials.unk, word->first, word->last);
    } else if (word->chars) {
        emit_pieces(enc);
    }
    word->chars = 0;
    word->len = 0;
}

static void add_char(struct encoder *enc, uint32_t code, uint32_t start, uint32_t end)
{
    struct word *word = &enc->word;

    if (word->chars == 0) {
        word->first = start;
        word->last = end;
    }
    word->first = start < word->first ? start : word->first;
    word->last = end > word->last ? end : word->last;
    if (word->chars < enc->wordpiece->max_chars) {
        word->at[word->chars] = (uint16_t)word->len;
        word->start[word->chars] = start;
        word->end[word->chars] = end;
        if (code < 0x80) {
            word->bytes[word->len++] = (char)code;
        } else {
            word->len += tars_utf8_encode(code, word->bytes + word->len);
        }
        word->at[word->chars + 1] = (uint16_t)word->len;
    }
    word->chars++;
}

static void take_char(struct encoder *enc, uint32_t code, uint32_t start, uint32_t end)
{
    if (tars_char_is_space(code)) {
        end_word(enc);
    } else if (tars_bert_is_punctuation(code)) {
        end_word(enc);
        add_char(enc, code, start, end);
        end_word(enc);
    } else {
        add_char(enc, code, start, end);
    }
}

/* ASCII from byte at on, up to end: letters and digits without the scan. Returns where it stopped.
 * What is left there, control characters included, is for the scan. */
static size_t take_ascii(struct encoder *enc, const char *text, size_t at, size_t end)
{
    bool lowercase = enc->wordpiece->lowercase;

    for (; at < end; at++) {
        unsigned char c = (unsigned char)text[at];

        if (c >= 'A' && c <= 'Z' && lowercase)
            c |= 32;
        if ((c < ' ' && c != '\t' && c != '\n' && c != '\r') || c >= 0x7F)
            break;
        take_char(enc, c, (uint32_t)at, (uint32_t)at + 1);
    }
    return at;
}

/* The text between two literal tokens: normalised by itself, as the reference does. */
static void encode_segment(struct encoder *enc, const char *text, size_t from, size_t to)
{
    struct tars_bert_scan *scan = &enc->scan;
    struct tars_bert_char c;

    tars_bert_scan_init(scan, text, to, from, enc->wordpiece->lowercase);
    while (enc->status == TARS_OK) {
        if (scan->head == scan->count)
            scan->at = take_ascii(enc, text, scan->at, to);
        if (!tars_bert_scan_next(scan, &c))
            break;
        take_char(enc, c.code, c.start, c.end);
    }
    end_word(enc);
}

/* The literal token that begins at (ptr, len), or NULL. */
static const struct literal *literal_at(const struct tars_wordpiece *wordpiece, const char *ptr,
                                        size_t len)
{
    for (size_t i = 0; i < LITERALS; i++) {
        const struct literal *literal = &wordpiece->literals[i];

        if (literal->id >= 0 && literal->len <= len &&
            memcmp(ptr, literal->text, literal->len) == 0)
            return literal;
    }
    return NULL;
}

static void encode_text(struct encoder *enc, const char *text, size_t len)
{
    size_t from = 0;

    for (size_t at = 0; at < len && enc->status == TARS_OK;) {
        const char *bracket = memchr(text + at, '[', len - at);
        const struct literal *literal;

        if (!bracket)
            break;
        at = (size_t)(bracket - text);
        literal = literal_at(enc->wordpiece, bracket, len - at);
        if (!literal) {
            at++;
            continue;
        }
        encode_segment(enc, text, from, at);
        emit(enc, literal->id, (uint32_t)at, (uint32_t)(at + literal->len));
        at += literal->len;
        from = at;
    }
    if (from < len)
        encode_segment(enc, text, from, len);
}

tars_status tars_wordpiece_encode(const struct tars_wordpiece *wordpiece, struct tars_arena *arena,
                                  const char *text, size_t len, struct tars_tokens *out)
{
    struct encoder enc;

    if (len >= UINT32_MAX)
        return TARS_ETOOBIG;
    enc.wordpiece = wordpiece;
    enc.arena = arena;
    enc.out = (struct tars_tokens){0};
    enc.cap = len / 8 + 8; /* grow() doubles it */
    enc.status = TARS_OK;
    enc.word.chars = 0;
    enc.word.len = 0;
    encode_text(&enc, text, len);
    if (enc.status == TARS_OK)
        *out = enc.out;
    return enc.status;
}

size_t tars_wordpiece_count(const struct tars_wordpiece *wordpiece, const char *text, size_t len)
{
    struct encoder enc;

    if (len >= UINT32_MAX)
        len = UINT32_MAX - 1;
    enc.wordpiece = wordpiece;
    enc.arena = NULL;
    enc.out = (struct tars_tokens){0};
    enc.cap = 0;
    enc.status = TARS_OK;
    enc.word.chars = 0;
    enc.word.len = 0;
    encode_text(&enc, text, len);
    return enc.out.count;
}

struct tars_wordpiece_specials tars_wordpiece_specials(const struct tars_wordpiece *wordpiece)
{
    return wordpiece->specials;
}

size_t tars_wordpiece_vocab_size(const struct tars_wordpiece *wordpiece)
{
    return wordpiece->size;
}

struct tars_span tars_wordpiece_piece(const struct tars_wordpiece *wordpiece, int32_t id)
{
    if (id < 0 || (size_t)id >= wordpiece->size)
        return tars_span(NULL, 0);
    return wordpiece->piece[id];
}
