/* pdf_layout - see pdf_layout.h. */
#include "extract/formats/pdf_layout.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define WORD_GAP_EM   1.0F     /* a wider gap between words begins another segment */
#define SAME_LINE     0.5F     /* share of the lower height by which neighbours overlap */
#define COLUMN_FILL   0.55F    /* a line of prose fills at least so much of its column */
#define COLUMN_PROSE  0.6F     /* share of such lines in a column of prose */
#define COLUMN_LINES  5        /* lines on each side of a gutter */
#define GUTTER_STEP   3.0F     /* points between places that are tried */
#define WIDTH_MAX     20000.0F /* points; PDF allows 14,400 */
#define COLUMN_SPLITS 3        /* depth: up to eight columns */
#define CELLS_MAX     64       /* of one row; further ones join the last */

struct segment {
    float x0, y0, x1, y1;
    size_t first; /* word */
    size_t count;
};

struct layout {
    struct tars_arena *arena;
    struct tars_pdf_word *words;
    struct tars_pdf_rows *rows;
    int page;
    bool new_column; /* the next row begins one */
};

/* -------------------------------------------------------------------- segments */

static bool is_same_line(float a0, float a1, float b0, float b1)
{
    float overlap = fminf(a1, b1) - fmaxf(a0, b0);
    float height = fminf(a1 - a0, b1 - b0);

    return overlap > SAME_LINE * height;
}

static int by_top(const void *a, const void *b)
{
    const struct tars_pdf_word *one = a;
    const struct tars_pdf_word *two = b;

    if (one->y1 != two->y1)
        return one->y1 < two->y1 ? -1 : 1;
    return one->x0 < two->x0 ? -1 : one->x0 > two->x0;
}

static int by_left(const void *a, const void *b)
{
    const struct tars_pdf_word *one = a;
    const struct tars_pdf_word *two = b;

    return one->x0 < two->x0 ? -1 : one->x0 > two->x0;
}

/* Words first..end are one line, left to right: cut it at the wide gaps. */
static size_t cut_line(const struct tars_pdf_word *words, size_t first, size_t end,
                       struct segment *out)
{
    size_t made = 0;

    for (size_t i = first; i < end; i++) {
        struct segment *last = made ? &out[made - 1] : NULL;
        float em = fmaxf(words[i].size, 4.0F);

        if (last && words[i].x0 - last->x1 < WORD_GAP_EM * em) {
            last->x1 = fmaxf(last->x1, words[i].x1);
            last->y0 = fminf(last->y0, words[i].y0);
            last->y1 = fmaxf(last->y1, words[i].y1);
            last->count++;
        } else {
            out[made++] =
                (struct segment){words[i].x0, words[i].y0, words[i].x1, words[i].y1, i, 1};
        }
    }
    return made;
}

static size_t make_segments(struct tars_pdf_word *words, size_t count, struct segment *out)
{
    size_t made = 0;

    qsort(words, count, sizeof(*words), by_top);
    for (size_t first = 0; first < count;) {
        size_t end = first + 1;
        float y0 = words[first].y0;
        float y1 = words[first].y1;

        while (end < count && is_same_line(y0, y1, words[end].y0, words[end].y1))
            end++;
        qsort(words + first, end - first, sizeof(*words), by_left);
        made += cut_line(words, first, end, out + made);
        first = end;
    }
    return made;
}

/* --------------------------------------------------------------------- columns */

struct side {
    size_t lines;
    size_t full; /* lines that fill the column */
    float outer; /* the far edge of the text */
};

static bool is_prose(const struct side *side)
{
    return side->lines >= COLUMN_LINES && (float)side->full >= COLUMN_PROSE * (float)side->lines;
}

/* The segments first.. up to the next one that crosses x. */
static size_t zone_end(const struct segment *segments, size_t first, size_t count, float x)
{
    size_t end = first;

    while (end < count && (segments[end].x1 <= x || segments[end].x0 >= x))
        end++;
    return end;
}

/* True when what lies in the zone is prose on both sides of x. */
static bool zone_has_columns(const struct segment *segments, size_t first, size_t end, float x)
{
    struct side left = {.outer = x};
    struct side right = {.outer = x};

    for (size_t i = first; i < end; i++) {
        left.outer = fminf(left.outer, segments[i].x0);
        right.outer = fmaxf(right.outer, segments[i].x1);
    }
    for (size_t i = first; i < end; i++) {
        float width = segments[i].x1 - segments[i].x0;

        if (segments[i].x1 <= x) {
            left.lines++;
            left.full += width >= COLUMN_FILL * (x - left.outer);
        } else {
            right.lines++;
            right.full += width >= COLUMN_FILL * (right.outer - x);
        }
    }
    return is_prose(&left) && is_prose(&right);
}

/* Segments that lie in columns if x is the gutter. */
static size_t rate_gutter(const struct segment *segments, size_t count, float x)
{
    size_t rating = 0;

    for (size_t first = 0; first < count;) {
        size_t end = zone_end(segments, first, count, x);

        if (end > first && zone_has_columns(segments, first, end, x))
            rating += end - first;
        first = end > first ? end : first + 1;
    }
    return rating;
}

static float find_gutter(const struct segment *segments, size_t count)
{
    float x0 = segments[0].x0;
    float x1 = segments[0].x1;
    size_t best = 0;
    float best_from = 0;
    float best_to = 0;

    for (size_t i = 1; i < count; i++) {
        x0 = fminf(x0, segments[i].x0);
        x1 = fmaxf(x1, segments[i].x1);
    }
    for (int i = 0; i < (int)(fminf(x1 - x0, WIDTH_MAX) * 0.6F / GUTTER_STEP); i++) {
        float x = x0 + (x1 - x0) * 0.2F + (float)i * GUTTER_STEP;
        size_t rating = rate_gutter(segments, count, x);

        if (rating > best) {
            best = rating;
            best_from = x;
        }
        if (rating == best)
            best_to = x;
    }
    return best ? (best_from + best_to) / 2 > best_from + 30 ? best_from : (best_from + best_to) / 2
                : 0;
}

/* ------------------------------------------------------------------------ rows */

static int by_segment_left(const void *a, const void *b)
{
    const struct segment *one = a;
    const struct segment *two = b;

    return one->x0 < two->x0 ? -1 : one->x0 > two->x0;
}

static bool begins_like_number(const char *text, size_t len)
{
    size_t i = 0;

    while (i < len && strchr("($-+% ", text[i]))
        i++;
    return i < len && text[i] >= '0' && text[i] <= '9';
}

/* Facts about the row that come from its words. */
struct voice {
    float size; /* of the longest word so far */
    size_t longest;
    bool bold;
};

static bool is_currency(const char *text, size_t len)
{
    return (len == 1 && text[0] == '$') || (len == 3 && memcmp(text, "\xE2\x82\xAC", 3) == 0) ||
           (len == 2 && memcmp(text, "\xC2\xA3", 2) == 0);
}

static char *append_segment(const struct layout *layout, const struct segment *segment, char *at,
                            struct voice *voice)
{
    for (size_t i = segment->first; i < segment->first + segment->count; i++) {
        const struct tars_pdf_word *word = &layout->words[i];
        const struct tars_pdf_word *before = i > segment->first ? word - 1 : NULL;

        /* Pieces of a word that touch were one word with two fonts. */
        if (before && !is_currency(before->text, before->len) &&
            word->x0 - before->x1 > 0.1F * fmaxf(word->size, 1.0F))
            *at++ = ' ';
        memcpy(at, word->text, word->len);
        at += word->len;
        if (word->len > voice->longest) {
            voice->longest = word->len;
            voice->size = word->size;
        }
        voice->bold = voice->bold && word->bold;
    }
    return at;
}

static size_t text_room(const struct layout *layout, const struct segment *segments, size_t count)
{
    size_t room = 1;

    for (size_t i = 0; i < count; i++) {
        room += 3;
        for (size_t k = 0; k < segments[i].count; k++)
            room += layout->words[segments[i].first + k].len + 1;
    }
    return room;
}

/* A sign of a currency or a bracket that stands apart belongs to the number beside it. */
static bool joins_next(const char *cell, size_t len)
{
    return is_currency(cell, len) || (len == 1 && cell[0] == '(') ||
           (len == 2 && cell[0] == '$' && cell[1] == '(');
}

/* The number of a section or note, or a bullet, belongs to the words beside it. */
static bool is_label(const struct layout *layout, const struct segment *segment)
{
    const struct tars_pdf_word *word = &layout->words[segment->first];

    if (segment->count != 1 || word->len > 6)
        return false;
    if (word->len == 3 && ((unsigned char)word->text[0] == 0xE2))
        return true; /* bullets and dashes */
    for (size_t i = 0; i < word->len; i++) {
        if (!strchr("0123456789.()abcdivx", word->text[i]))
            return false;
    }
    return true;
}

static bool begins_with_letter(const struct layout *layout, const struct segment *segment)
{
    unsigned char c = (unsigned char)layout->words[segment->first].text[0];

    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c >= 0xC3;
}

static bool joins_previous(const struct layout *layout, const struct segment *segment)
{
    const struct tars_pdf_word *word = &layout->words[segment->first];

    return segment->count == 1 && word->len == 1 && strchr(")%", word->text[0]);
}

/* Segments of one line, left to right, as a row. */
static tars_status write_row(struct layout *layout, struct segment *segments, size_t count)
{
    char *text = tars_arena_alloc(layout->arena, text_room(layout, segments, count));
    void *rows = layout->rows->rows;
    struct tars_pdf_row row = {.page = layout->page, .cells = 0, .new_column = layout->new_column};
    struct voice voice = {.bold = true};
    char *at = text;
    char *cell = text;
    tars_status status = tars_arena_grow(layout->arena, &rows, &layout->rows->cap,
                                         layout->rows->count + 1, sizeof(row));

    if (!text || status != TARS_OK)
        return TARS_ENOMEM;
    layout->rows->rows = rows;
    row.x0 = segments[0].x0;
    row.y0 = segments[0].y0;
    row.x1 = segments[count - 1].x1;
    row.y1 = segments[0].y1;
    for (size_t i = 0; i < count; i++) {
        bool labelled = i == 1 && count == 2 && is_label(layout, &segments[0]) &&
                        begins_with_letter(layout, &segments[1]);
        bool joins = i > 0 && (labelled || joins_next(cell, (size_t)(at - cell)) ||
                               joins_previous(layout, &segments[i]) || row.cells >= CELLS_MAX);

        if (i > 0 && !joins) {
            row.numbers += begins_like_number(cell, (size_t)(at - cell));
            memcpy(at, " | ", 3);
            at += 3;
            cell = at;
        }
        row.cells += !joins;
        if (labelled)
            *at++ = ' ';
        at = append_segment(layout, &segments[i], at, &voice);
        row.y0 = fminf(row.y0, segments[i].y0);
        row.y1 = fmaxf(row.y1, segments[i].y1);
    }
    row.numbers += begins_like_number(cell, (size_t)(at - cell));
    *at = '\0';
    row.text = text;
    row.len = (size_t)(at - text);
    row.size = voice.size;
    row.bold = voice.bold;
    row.turned = layout->words[segments[0].first].turn != 0;
    layout->rows->rows[layout->rows->count++] = row;
    layout->new_column = false;
    return TARS_OK;
}

/* Segments that were read by lines, sorted by their lower edge. */
static tars_status write_rows(struct layout *layout, struct segment *segments, size_t count)
{
    tars_status status = TARS_OK;

    for (size_t first = 0; first < count && status == TARS_OK;) {
        size_t end = first + 1;

        while (end < count && is_same_line(segments[first].y0, segments[first].y1, segments[end].y0,
                                           segments[end].y1))
            end++;
        qsort(segments + first, end - first, sizeof(*segments), by_segment_left);
        status = write_row(layout, segments + first, end - first);
        first = end;
    }
    return status;
}

static tars_status write_area(struct layout *layout, struct segment *segments, size_t count,
                              int splits);

/* A zone with a gutter: its left side, then its right side. */
/* NOLINTNEXTLINE(misc-no-recursion): COLUMN_SPLITS bounds it. */
static tars_status write_columns(struct layout *layout, const struct segment *segments,
                                 size_t count, float x, int splits)
{
    struct segment *sides = tars_arena_calloc(layout->arena, count, sizeof(*sides));
    size_t left = 0;
    size_t made;
    tars_status status;

    if (!sides)
        return TARS_ENOMEM;
    for (size_t i = 0; i < count; i++) {
        if (segments[i].x1 <= x)
            sides[left++] = segments[i];
    }
    made = left;
    for (size_t i = 0; i < count; i++) {
        if (segments[i].x1 > x)
            sides[made++] = segments[i];
    }
    layout->new_column = true;
    status = write_area(layout, sides, left, splits - 1);
    layout->new_column = true;
    if (status == TARS_OK)
        status = write_area(layout, sides + left, count - left, splits - 1);
    layout->new_column = true;
    return status;
}

/* NOLINTNEXTLINE(misc-no-recursion): COLUMN_SPLITS bounds it. */
static tars_status write_area(struct layout *layout, struct segment *segments, size_t count,
                              int splits)
{
    float x = splits > 0 && count > 2 * (size_t)COLUMN_LINES ? find_gutter(segments, count) : 0;
    tars_status status = TARS_OK;
    size_t plain = 0; /* start of what is read by lines */

    for (size_t first = 0; x > 0 && first < count && status == TARS_OK;) {
        size_t end = zone_end(segments, first, count, x);

        if (end > first && zone_has_columns(segments, first, end, x)) {
            status = write_rows(layout, segments + plain, first - plain);
            if (status == TARS_OK)
                status = write_columns(layout, segments + first, end - first, x, splits);
            plain = end;
        }
        first = end > first ? end : first + 1;
    }
    return status == TARS_OK ? write_rows(layout, segments + plain, count - plain) : status;
}

/* Turn the page, so that the word is upright. */
static void turn_upright(struct tars_pdf_word *word)
{
    struct tars_pdf_word old = *word;

    if (word->turn < 0) {
        word->x0 = -old.y1;
        word->x1 = -old.y0;
        word->y0 = old.x0;
        word->y1 = old.x1;
    } else if (word->turn > 0) {
        word->x0 = old.y0;
        word->x1 = old.y1;
        word->y0 = -old.x1;
        word->y1 = -old.x0;
    }
}

/* The words of one turn. */
static tars_status layout_turn(struct layout *layout, size_t count)
{
    struct segment *segments;
    size_t made;

    if (count == 0)
        return TARS_OK;
    segments = tars_arena_calloc(layout->arena, count, sizeof(*segments));
    if (!segments)
        return TARS_ENOMEM;
    for (size_t i = 0; i < count; i++)
        turn_upright(&layout->words[i]);
    layout->new_column = true;
    made = make_segments(layout->words, count, segments);
    return write_area(layout, segments, made, COLUMN_SPLITS);
}

tars_status tars_pdf_layout(struct tars_arena *arena, struct tars_pdf_word *words, size_t count,
                            int page, struct tars_pdf_rows *rows)
{
    static const int turns[] = {0, -1, 1};
    struct layout layout = {.arena = arena, .words = words, .rows = rows, .page = page};
    tars_status status = TARS_OK;

    for (size_t t = 0; t < 3 && status == TARS_OK; t++) {
        size_t taken = 0;

        for (size_t i = 0; i < count; i++) {
            if (layout.words[i].turn == turns[t]) {
                struct tars_pdf_word word = layout.words[i];

                layout.words[i] = layout.words[taken];
                layout.words[taken++] = word;
            }
        }
        status = layout_turn(&layout, taken);
        layout.words += taken;
        count -= taken;
    }
    return status;
}
