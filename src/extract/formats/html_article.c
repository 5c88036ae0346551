/* html_article - see html_article.h. */
#include "extract/formats/html_article.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#define SLUG_HYPHENS  3    /* words of an id that was made of a title */
#define SENTENCE      25   /* characters that a paragraph must have to vote */
#define ANCESTORS     5    /* that a vote reaches */
#define SIBLING_SHARE 0.2  /* of the winner's points that a neighbour needs */
#define ARTICLE_SHARE 0.55 /* of the winner's text that an <article> around it may add to it */
#define ENOUGH        140  /* characters of an article; less is no article */
#define ENOUGH_SHARE  0.22 /* of the page's text outside links and furniture */
#define MOST_OF_PAGE  0.6  /* an element with so much of the page's text is not furniture */

/* ------------------------------------------------------------------- furniture */

bool tars_html_is_never_read(const GumboNode *node)
{
    switch (node->v.element.tag) {
    case GUMBO_TAG_SCRIPT:
    case GUMBO_TAG_STYLE:
    case GUMBO_TAG_NOSCRIPT:
    case GUMBO_TAG_TEMPLATE:
    case GUMBO_TAG_IFRAME:
    case GUMBO_TAG_SVG:
    case GUMBO_TAG_MATH:
    case GUMBO_TAG_OBJECT:
    case GUMBO_TAG_EMBED:
    case GUMBO_TAG_SELECT:
    case GUMBO_TAG_BUTTON:
    case GUMBO_TAG_INPUT:
    case GUMBO_TAG_TEXTAREA:
    case GUMBO_TAG_CANVAS:
    case GUMBO_TAG_AUDIO:
    case GUMBO_TAG_VIDEO:
    case GUMBO_TAG_HEAD:
        return true;
    default:
        return false;
    }
}

static bool is_furniture_tag(GumboTag tag)
{
    return tag == GUMBO_TAG_NAV || tag == GUMBO_TAG_FOOTER || tag == GUMBO_TAG_ASIDE ||
           tag == GUMBO_TAG_FORM || tag == GUMBO_TAG_MENU;
}

/* True when (text) holds one of the words, upper and lower case alike. */
static bool has_any(const char *text, const char *const *words)
{
    for (size_t i = 0; words[i]; i++) {
        if (strcasestr(text, words[i]))
            return true;
    }
    return false;
}

static const char *const unlikely[] = {
    "-ad-",         "ad-break",     "advert",    "agegate",      "banner",       "breadcrumb",
    "byline",       "combx",        "comment",   "community",    "cookie",       "disqus",
    "dropdown",     "extra",        "footer",    "gdpr",         "legends",      "masthead",
    "menu",         "modal",        "navbar",    "newsletter",   "outbrain",     "pager",
    "pagination",   "popup",        "promo",     "read-more",    "readmore",     "recirc",
    "recommend",    "related",      "remark",    "replies",      "rss",          "share",
    "sharing",      "shoutbox",     "sidebar",   "signup",       "skip-link",    "skyscraper",
    "social",       "sponsor",      "subscribe", "supplemental", "taboola",      "tag-list",
    "toolbar",      "tooltip",      "trending",  "widget",       "yom-remote",   "navigation",
    "site-header",  "page-header",  "post-meta", "entry-meta",   "article-meta", "author-bio",
    "most-popular", "more-stories", NULL};

static const char *const likely[] = {"article", "body",  "column", "content",   "main",
                                     "shadow",  "story", "entry",  "post-text", NULL};

static const char *const positive[] = {"article", "body",  "content", "entry", "hentry",
                                       "h-entry", "main",  "page",    "post",  "text",
                                       "blog",    "story", NULL};
static const char *const negative[] = {"hidden",   "banner",   "combx",   "comment",    "com-",
                                       "contact",  "foot",     "gdpr",    "masthead",   "media",
                                       "meta",     "outbrain", "promo",   "related",    "scroll",
                                       "share",    "shoutbox", "sidebar", "skyscraper", "sponsor",
                                       "shopping", "tags",     "tool",    "widget",     NULL};

static const char *attribute(const GumboNode *node, const char *name)
{
    const GumboAttribute *found = gumbo_get_attribute(&node->v.element.attributes, name);

    return found ? found->value : "";
}

static bool is_hidden(const GumboNode *node)
{
    static const char *const styles[] = {"display:none", "display: none", "visibility:hidden",
                                         "visibility: hidden", NULL};

    return gumbo_get_attribute(&node->v.element.attributes, "hidden") ||
           strcasecmp(attribute(node, "aria-hidden"), "true") == 0 ||
           has_any(attribute(node, "style"), styles);
}

static bool has_furniture_role(const GumboNode *node)
{
    static const char *const roles[] = {"navigation", "complementary", "search",
                                        "banner",     "contentinfo",   "dialog",
                                        "alert",      "menu",          NULL};

    return has_any(attribute(node, "role"), roles);
}

/* Generators of documentation make ids of titles; these words say nothing about the element. */
static bool is_slug(const char *id)
{
    int hyphens = 0;

    for (; *id; id++)
        hyphens += *id == '-';
    return hyphens >= SLUG_HYPHENS;
}

static bool is_unlikely(const GumboNode *node)
{
    GumboTag tag = node->v.element.tag;
    const char *class = attribute(node, "class");
    const char *id = attribute(node, "id");

    if (tag == GUMBO_TAG_BODY || tag == GUMBO_TAG_HTML || tag == GUMBO_TAG_ARTICLE ||
        tag == GUMBO_TAG_MAIN || tag == GUMBO_TAG_A)
        return false;
    if (is_slug(id))
        id = "";
    return (has_any(class, unlikely) || has_any(id, unlikely)) && !has_any(class, likely) &&
           !has_any(id, likely);
}

/* --------------------------------------------------------------------- measure */

/* Characters, white space runs as one; commas of several scripts. */
static void measure_text(struct tars_html_note *note, const char *text, bool in_link)
{
    bool space = true;

    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if ((c & 0xC0) == 0x80)
            continue;
        if (isspace(c) && space)
            continue;
        space = isspace(c) != 0;
        note->text++;
        note->link_text += in_link;
        note->commas += c == ',' || strncmp(text, "\xEF\xBC\x8C", 3) == 0 ||
                        strncmp(text, "\xE3\x80\x81", 3) == 0 || strncmp(text, "\xD8\x8C", 2) == 0;
    }
}

struct measurer {
    struct tars_arena *arena;
    struct tars_html_page *page;
    bool failed;
};

static int add_note(struct measurer *measurer, const GumboNode *node, int parent)
{
    struct tars_html_page *page = measurer->page;
    void *notes = page->notes;

    if (tars_arena_grow(measurer->arena, &notes, &page->cap, page->count + 1,
                        sizeof(*page->notes)) != TARS_OK) {
        measurer->failed = true;
        return -1;
    }
    page->notes = notes;
    page->notes[page->count] =
        (struct tars_html_note){.node = node, .parent = parent, .last = (int)page->count};
    return (int)page->count++;
}

/* Add what a child holds to its parent. */
static void add_up(struct tars_html_page *page, int to, int from)
{
    struct tars_html_note *parent = &page->notes[to];
    const struct tars_html_note *child = &page->notes[from];

    parent->last = child->last;
    parent->text += child->text;
    parent->link_text += child->link_text;
    parent->commas += child->commas;
    parent->paragraphs += child->paragraphs;
}

static void measure(struct measurer *measurer, const GumboNode *node, int parent, int depth,
                    bool in_link);

/* NOLINTNEXTLINE(misc-no-recursion): TARS_HTML_DEPTH_MAX bounds it. */
static void measure_child(struct measurer *measurer, const GumboNode *child, int parent, int depth,
                          bool in_link)
{
    if (child->type == GUMBO_NODE_TEXT || child->type == GUMBO_NODE_WHITESPACE ||
        child->type == GUMBO_NODE_CDATA) {
        measure_text(&measurer->page->notes[parent], child->v.text.text, in_link);
    } else if (child->type == GUMBO_NODE_ELEMENT && depth < TARS_HTML_DEPTH_MAX) {
        int at = (int)measurer->page->count;

        measure(measurer, child, parent, depth + 1, in_link);
        if (!measurer->failed)
            add_up(measurer->page, parent, at);
    }
}

/* NOLINTNEXTLINE(misc-no-recursion): TARS_HTML_DEPTH_MAX bounds it. */
static void measure(struct measurer *measurer, const GumboNode *node, int parent, int depth,
                    bool in_link)
{
    int self = add_note(measurer, node, parent);
    const GumboVector *children = &node->v.element.children;

    if (self < 0)
        return;
    measurer->page->notes[self].dropped = tars_html_is_never_read(node) || is_hidden(node);
    if (measurer->page->notes[self].dropped)
        return;
    in_link = in_link || node->v.element.tag == GUMBO_TAG_A;
    for (unsigned i = 0; i < children->length && !measurer->failed; i++)
        measure_child(measurer, children->data[i], self, depth, in_link);
    if (!measurer->failed && node->v.element.tag == GUMBO_TAG_P &&
        measurer->page->notes[self].text > SENTENCE) {
        measurer->page->notes[self].paragraphs++;
    }
}

/* Drop furniture. What holds most of the page's text is no furniture whatever it is called. */
static void drop_furniture(struct tars_html_page *page)
{
    double all = (double)(page->notes[0].text - page->notes[0].link_text) + 1;

    for (size_t i = 0; i < page->count; i++) {
        struct tars_html_note *note = &page->notes[i];
        double share = (double)(note->text - note->link_text) / all;

        if (note->parent >= 0 && page->notes[note->parent].dropped) {
            note->dropped = true;
            continue;
        }
        if (note->dropped || share > MOST_OF_PAGE)
            continue;
        note->dropped = is_furniture_tag(note->node->v.element.tag) ||
                        has_furniture_role(note->node) || is_unlikely(note->node);
    }
}

/* ------------------------------------------------------------------------ vote */

static double link_density(const struct tars_html_note *note)
{
    return note->text ? (double)note->link_text / (double)note->text : 0;
}

static double class_weight(const GumboNode *node)
{
    const char *class = attribute(node, "class");
    const char *id = attribute(node, "id");
    double weight = 0;

    weight -= has_any(class, negative) ? 25 : 0;
    weight += has_any(class, positive) ? 25 : 0;
    weight -= has_any(id, negative) ? 25 : 0;
    weight += has_any(id, positive) ? 25 : 0;
    return weight;
}

static double first_points(const GumboNode *node)
{
    double points = 0;

    switch (node->v.element.tag) {
    case GUMBO_TAG_ARTICLE:
        points = 15;
        break;
    case GUMBO_TAG_MAIN:
    case GUMBO_TAG_DIV:
        points = 5;
        break;
    case GUMBO_TAG_PRE:
    case GUMBO_TAG_TD:
    case GUMBO_TAG_BLOCKQUOTE:
        points = 3;
        break;
    case GUMBO_TAG_ADDRESS:
    case GUMBO_TAG_OL:
    case GUMBO_TAG_UL:
    case GUMBO_TAG_DL:
    case GUMBO_TAG_LI:
        points = -3;
        break;
    default:
        break;
    }
    return points + class_weight(node);
}

/* Text that stands in the element itself, not in elements below it that are blocks. */
static bool votes(const struct tars_html_page *page, size_t i)
{
    const struct tars_html_note *note = &page->notes[i];
    GumboTag tag = note->node->v.element.tag;

    if (note->text < SENTENCE)
        return false;
    if (tag == GUMBO_TAG_P || tag == GUMBO_TAG_PRE || tag == GUMBO_TAG_TD)
        return true;
    if (tag != GUMBO_TAG_DIV && tag != GUMBO_TAG_SECTION && tag != GUMBO_TAG_LI &&
        tag != GUMBO_TAG_BLOCKQUOTE && tag != GUMBO_TAG_DD)
        return false;
    for (int k = (int)i + 1; k <= note->last; k++) {
        switch (page->notes[k].node->v.element.tag) {
        case GUMBO_TAG_P:
        case GUMBO_TAG_DIV:
        case GUMBO_TAG_SECTION:
        case GUMBO_TAG_ARTICLE:
        case GUMBO_TAG_UL:
        case GUMBO_TAG_OL:
        case GUMBO_TAG_DL:
        case GUMBO_TAG_TABLE:
        case GUMBO_TAG_BLOCKQUOTE:
        case GUMBO_TAG_PRE:
            return false;
        default:
            break;
        }
    }
    return true;
}

static void cast_vote(struct tars_html_page *page, const struct tars_html_note *voter)
{
    double points = 1 + (double)voter->commas + fmin((double)voter->text / 100, 3);
    int at = voter->parent;

    points *= 1 - link_density(voter);
    for (int level = 0; at >= 0 && level < ANCESTORS; level++) {
        struct tars_html_note *note = &page->notes[at];
        double divider = level == 0 ? 1 : level == 1 ? 2 : level * 3;

        if (note->node->v.element.tag == GUMBO_TAG_HTML)
            break;
        if (note->score == 0)
            note->score = first_points(note->node);
        note->score += points / divider;
        at = note->parent;
    }
}

static int find_winner(struct tars_html_page *page)
{
    double best = 0;
    int winner = -1;

    for (size_t i = 0; i < page->count; i++) {
        if (!page->notes[i].dropped && votes(page, i))
            cast_vote(page, &page->notes[i]);
    }
    for (size_t i = 0; i < page->count; i++) {
        struct tars_html_note *note = &page->notes[i];

        note->score *= 1 - link_density(note);
        if (!note->dropped && note->score > best) {
            best = note->score;
            winner = (int)i;
        }
    }
    return winner;
}

/* ------------------------------------------------------------------------ parts */

static size_t own_text(const struct tars_html_note *note)
{
    return note->text - note->link_text;
}

/* If what lies around the winner is an <article> or <main> with not much more in it, that is the
 * article: titles and first paragraphs often stand beside the winner. Likewise a parent with other
 * strong candidates in it. */
static int widen(const struct tars_html_page *page, int winner)
{
    int at = page->notes[winner].parent;
    double parts = (double)own_text(&page->notes[winner]);

    for (; at >= 0; at = page->notes[at].parent) {
        const struct tars_html_note *note = &page->notes[at];
        GumboTag tag = note->node->v.element.tag;

        if (tag == GUMBO_TAG_BODY || tag == GUMBO_TAG_HTML)
            break;
        if ((tag == GUMBO_TAG_ARTICLE || tag == GUMBO_TAG_MAIN) &&
            parts >= ARTICLE_SHARE * (double)own_text(note))
            return at;
    }
    return winner;
}

static bool is_like_winner(const struct tars_html_note *note, const struct tars_html_note *winner)
{
    double bonus = 0;
    const char *class = attribute(note->node, "class");
    double density = link_density(note);

    if (*class && strcmp(class, attribute(winner->node, "class")) == 0)
        bonus = winner->score * SIBLING_SHARE;
    if (note->score + bonus >= fmax(10, winner->score * SIBLING_SHARE))
        return true;
    if (note->node->v.element.tag == GUMBO_TAG_P)
        return (note->text > 80 && density < 0.25) || (note->text > SENTENCE && density == 0);
    return false;
}

static void choose_parts(struct tars_html_page *page, int winner)
{
    struct tars_html_note *chosen = &page->notes[winner];
    int parent = chosen->parent;
    int i;

    chosen->chosen = true;
    if (parent < 0)
        return;
    for (i = parent + 1; i <= page->notes[parent].last; i = page->notes[i].last + 1) {
        struct tars_html_note *note = &page->notes[i];

        if (i != winner && !note->dropped && is_like_winner(note, chosen))
            note->chosen = true;
    }
}

static size_t chosen_text(const struct tars_html_page *page)
{
    size_t sum = 0;

    for (size_t i = 0; i < page->count; i++)
        sum += page->notes[i].chosen ? own_text(&page->notes[i]) : 0;
    return sum;
}

static size_t kept_text(const struct tars_html_page *page)
{
    size_t sum = 0;

    for (size_t i = 0; i < page->count;) {
        const struct tars_html_note *note = &page->notes[i];

        if (note->dropped) {
            sum += own_text(note);
            i = (size_t)note->last + 1;
        } else {
            i++;
        }
    }
    return own_text(&page->notes[0]) > sum ? own_text(&page->notes[0]) - sum : 0;
}

bool tars_html_choose(struct tars_arena *arena, const GumboNode *root, struct tars_html_page *page)
{
    struct measurer measurer = {.arena = arena, .page = page};
    int winner;

    *page = (struct tars_html_page){0};
    measure(&measurer, root, -1, 0, false);
    if (measurer.failed || page->count == 0)
        return !measurer.failed;
    drop_furniture(page);
    winner = find_winner(page);
    if (winner >= 0)
        choose_parts(page, widen(page, winner));
    if (winner < 0 || chosen_text(page) < ENOUGH ||
        (double)chosen_text(page) < ENOUGH_SHARE * (double)kept_text(page)) {
        for (size_t i = 0; i < page->count; i++)
            page->notes[i].chosen = false;
        page->notes[0].chosen = true;
    }
    return true;
}

const struct tars_html_note *tars_html_find(const struct tars_html_page *page,
                                            const GumboNode *node, size_t *hint)
{
    for (size_t n = 0; n < page->count; n++) {
        size_t i = (*hint + n) % page->count;

        if (page->notes[i].node == node) {
            *hint = i;
            return &page->notes[i];
        }
    }
    return NULL;
}
