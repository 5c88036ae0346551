/* plot - see plot.h for the contract.
 *
 *     +--- title -----------------------------+
 *     | y  +------------------------+  names  |
 *     |    |  lines                 |         |
 *     |    +------------------------+         |
 *     |             x                         |
 *     +---------------------------------------+
 */
#include "eval/plot.h"

#include <math.h>
#include <stdint.h>

#define WIDTH    760
#define HEIGHT   400
#define LEFT     70
#define RIGHT    190
#define TOP      40
#define BOTTOM   55
#define MARKS    5   /* about, on a linear axis */
#define MARK_MAX 200 /* never more */

/* Told apart by people who see few colours too (Okabe and Ito 2008), and by dashes. */
static const char *const colours[] = {"#0072b2", "#d55e00", "#009e73", "#cc79a7",
                                      "#e69f00", "#56b4e9", "#000000", "#7f7f7f"};
static const char *const dashes[] = {"", "6 3", "2 3"};
#define COLOURS (sizeof(colours) / sizeof(colours[0]))
#define DASHES  (sizeof(dashes) / sizeof(dashes[0]))

struct axis {
    double low, high; /* logarithms on a logarithmic axis */
    bool is_log;
    double from, to; /* pixels */
};

static void escape(struct tars_buf *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == '&') {
            tars_buf_append_text(out, "&amp;");
        } else if (c == '<') {
            tars_buf_append_text(out, "&lt;");
        } else if (c == '>') {
            tars_buf_append_text(out, "&gt;");
        } else if (c == '"') {
            tars_buf_append_text(out, "&quot;");
        } else if (c < ' ' || c == 0x7f) {
            tars_buf_append_char(out, ' ');
        } else {
            tars_buf_append_char(out, *text);
        }
    }
}

static bool can_draw(const struct axis *axis, double value)
{
    return isfinite(value) && (!axis->is_log || value > 0);
}

static double scaled(const struct axis *axis, double value)
{
    return axis->is_log ? log10(value) : value;
}

static double place(const struct axis *axis, double value)
{
    double share = (scaled(axis, value) - axis->low) / (axis->high - axis->low);

    return axis->from + share * (axis->to - axis->from);
}

/* Widen the axis over values; low > high as long as it has none. */
static void cover(struct axis *axis, const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        double at;

        if (!can_draw(axis, values[i]))
            continue;
        at = scaled(axis, values[i]);
        axis->low = at < axis->low ? at : axis->low;
        axis->high = at > axis->high ? at : axis->high;
    }
}

/* Round to whole powers, or give a linear axis its zero. */
static void settle(struct axis *axis)
{
    if (axis->low > axis->high)
        axis->low = 0, axis->high = 1;
    if (axis->is_log) {
        axis->low = floor(axis->low);
        axis->high = ceil(axis->high);
    } else if (axis->low > 0) {
        axis->low = 0;
    }
    if (axis->high <= axis->low)
        axis->high = axis->low + 1;
}

static double step_of(const struct axis *axis)
{
    double rough = (axis->high - axis->low) / MARKS;
    double power = pow(10, floor(log10(rough)));
    double times = rough / power;

    if (axis->is_log)
        return 1;
    return power * (times < 1.5 ? 1 : times < 3.5 ? 2 : times < 7.5 ? 5 : 10);
}

static void mark(struct tars_buf *out, const struct axis *axis, double at, bool is_x)
{
    double value = axis->is_log ? pow(10, at) : at;
    double pixel = place(axis, value);

    if (is_x) {
        tars_buf_appendf(out,
                         "<path class=\"g\" d=\"M%.1f %dV%d\"/><text x=\"%.1f\" y=\"%d\" "
                         "text-anchor=\"middle\">%g</text>\n",
                         pixel, TOP, HEIGHT - BOTTOM, pixel, HEIGHT - BOTTOM + 18, value);
    } else {
        tars_buf_appendf(out,
                         "<path class=\"g\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" "
                         "text-anchor=\"end\">%g</text>\n",
                         LEFT, pixel, WIDTH - RIGHT, LEFT - 6, pixel + 4, value);
    }
}

static void draw_axis(struct tars_buf *out, const struct axis *axis, bool is_x)
{
    double step = step_of(axis);
    double at = ceil(axis->low / step - 1e-9) * step;

    for (int i = 0; i < MARK_MAX && at <= axis->high + step * 1e-9; i++, at += step)
        mark(out, axis, fabs(at) < step * 1e-9 ? 0 : at, is_x);
}

static void draw_series(struct tars_buf *out, const struct tars_plot_series *series, size_t number,
                        const struct axis *x, const struct axis *y)
{
    const char *colour = colours[number % COLOURS];
    const char *dash = dashes[number / COLOURS % DASHES];
    int at = TOP + 14 + 20 * (int)number;
    bool drawn = false;

    tars_buf_appendf(
        out, "<path fill=\"none\" stroke=\"%s\" stroke-width=\"2\" stroke-dasharray=\"%s\" d=\"",
        colour, dash);
    for (size_t i = 0; i < series->count; i++) {
        if (!can_draw(x, series->x[i]) || !can_draw(y, series->y[i]))
            continue;
        tars_buf_appendf(out, "%s%.1f %.1f", drawn ? "L" : "M", place(x, series->x[i]),
                         place(y, series->y[i]));
        drawn = true;
    }
    tars_buf_appendf(out,
                     "\"/>\n<path stroke=\"%s\" stroke-width=\"2\" stroke-dasharray=\"%s\" "
                     "d=\"M%d %dh22\"/><text x=\"%d\" y=\"%d\">",
                     colour, dash, WIDTH - RIGHT + 12, at - 4, WIDTH - RIGHT + 40, at);
    escape(out, series->name);
    tars_buf_append_text(out, "</text>\n");
}

static void draw_names(struct tars_buf *out, const struct tars_plot *plot)
{
    tars_buf_appendf(out, "<text x=\"%d\" y=\"22\" font-size=\"15\">", LEFT);
    escape(out, plot->title);
    tars_buf_appendf(out, "</text>\n<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">",
                     (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14);
    escape(out, plot->x_name);
    tars_buf_appendf(out, "</text>\n<text transform=\"translate(18 %d) rotate(-90)\" ",
                     (TOP + HEIGHT - BOTTOM) / 2);
    tars_buf_append_text(out, "text-anchor=\"middle\">");
    escape(out, plot->y_name);
    tars_buf_append_text(out, "</text>\n");
}

void tars_plot_svg(const struct tars_plot *plot, struct tars_buf *out)
{
    struct axis x = {INFINITY, -INFINITY, plot->log_x, LEFT, WIDTH - RIGHT};
    struct axis y = {INFINITY, -INFINITY, plot->log_y, HEIGHT - BOTTOM, TOP};
    size_t count =
        plot->series_count < TARS_PLOT_SERIES_MAX ? plot->series_count : TARS_PLOT_SERIES_MAX;

    for (size_t i = 0; i < count; i++) {
        cover(&x, plot->series[i].x, plot->series[i].count);
        cover(&y, plot->series[i].y, plot->series[i].count);
    }
    settle(&x);
    settle(&y);
    tars_buf_appendf(out,
                     "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
                     "height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n"
                     "<style>.g{stroke:#ddd;fill:none}</style>\n"
                     "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n",
                     WIDTH, HEIGHT, WIDTH, HEIGHT);
    draw_names(out, plot);
    draw_axis(out, &x, true);
    draw_axis(out, &y, false);
    for (size_t i = 0; i < count; i++)
        draw_series(out, &plot->series[i], i, &x, &y);
    tars_buf_append_text(out, "</svg>\n");
}
