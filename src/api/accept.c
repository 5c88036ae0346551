/* accept - see accept.h for the contract.
 *
 *     application/openmetrics-text;version=1.0.0;q=0.8 , text/plain;version=0.0.4;q=0.5 , ...
 *     |--------- range ----------| |- parameters ----|   |---- next item
 */
#include "api/accept.h"

#include <string.h>
#include <strings.h>

#define QUALITY_FULL 1000

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

static struct tars_span trim(struct tars_span text)
{
    while (text.len > 0 && is_space(text.ptr[0]))
        text = tars_span(text.ptr + 1, text.len - 1);
    while (text.len > 0 && is_space(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

/* What stands before the next end that is not within quotes; *text is then what follows it. */
static struct tars_span cut(struct tars_span *text, char end)
{
    bool quoted = false;
    size_t i = 0;
    struct tars_span item;

    for (; i < text->len && (quoted || text->ptr[i] != end); i++) {
        if (text->ptr[i] == '"')
            quoted = !quoted;
        if (quoted && text->ptr[i] == '\\' && i + 1 < text->len)
            i++;
    }
    item = tars_span(text->ptr, i);
    *text = i < text->len ? tars_span(text->ptr + i + 1, text->len - i - 1)
                          : tars_span(text->ptr + text->len, 0);
    return trim(item);
}

static bool is_text(struct tars_span text, const char *other, size_t len)
{
    return text.len == len && (len == 0 || strncasecmp(text.ptr, other, len) == 0);
}

/* "0.125" in thousandths; what is not well formed is 0. */
static int read_quality(struct tars_span text)
{
    int quality = 0;
    int unit = QUALITY_FULL;

    for (size_t i = 0; i < text.len && i < 5; i++) {
        if (i == 1) {
            if (text.ptr[i] != '.')
                return 0;
            continue;
        }
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return 0;
        quality += (text.ptr[i] - '0') * unit;
        unit /= 10;
    }
    return text.len > 0 && text.len <= 5 && quality <= QUALITY_FULL ? quality : 0;
}

/* How closely range names type: 3 it does, 2 its first half, 1 anything goes, 0 not at all. */
static int closeness(struct tars_span range, const char *type, bool explicitly)
{
    size_t half = strcspn(type, "/") + 1;

    if (is_text(range, type, strlen(type)))
        return 3;
    if (explicitly)
        return 0;
    if (is_text(range, "*/*", 3))
        return 1;
    return range.len == half + 1 && range.ptr[half] == '*' &&
                   is_text(tars_span(range.ptr, half), type, half)
               ? 2
               : 0;
}

/* The quality in the parameters of an item; -1 if its version is another one. */
static int read_parameters(struct tars_span text, const char *version)
{
    int quality = QUALITY_FULL;

    while (text.len > 0) {
        struct tars_span value = cut(&text, ';');
        struct tars_span name = cut(&value, '=');

        value = trim(value);
        if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
            value = tars_span(value.ptr + 1, value.len - 2);
        if (is_text(name, "q", 1))
            quality = read_quality(value);
        if (version && is_text(name, "version", 7) && !is_text(value, version, strlen(version)))
            return -1;
    }
    return quality;
}

int tars_accept_quality(struct tars_span accept, const char *type, const char *version,
                        bool explicitly)
{
    int best = -1;
    int closest = 0;

    while (accept.len > 0) {
        struct tars_span item = cut(&accept, ',');
        struct tars_span range = cut(&item, ';');
        int close = closeness(range, type, explicitly);
        int quality = close > 0 && close >= closest ? read_parameters(item, version) : -1;

        if (quality < 0)
            continue;
        if (close > closest || quality > best)
            best = quality;
        closest = close;
    }
    return best;
}

bool tars_accept_is_openmetrics(struct tars_span accept)
{
    int wanted = tars_accept_quality(accept, "application/openmetrics-text", "1.0.0", true);

    return wanted > 0 && wanted >= tars_accept_quality(accept, "text/plain", "0.0.4", false);
}
