/* plot - lines over two axes, as SVG that stands by itself: no script, no font, no address of
 * others.
 *
 * Logarithmic axes have a mark for each power of ten, others about five. Points that cannot be
 * drawn (not finite, or not above 0 on a logarithmic axis) are left out. Names are escaped, so that
 * text of anywhere is only text.
 *
 * Bounds    TARS_PLOT_SERIES_MAX series.
 */
#ifndef TARS_EVAL_PLOT_H
#define TARS_EVAL_PLOT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/mem/buf.h"

#define TARS_PLOT_SERIES_MAX 12

struct tars_plot_series {
    const char *name;
    const double *x, *y; /* (count,) */
    size_t count;
};

struct tars_plot {
    const char *title, *x_name, *y_name;
    bool log_x, log_y;
    const struct tars_plot_series *series; /* (series_count,) */
    size_t series_count;
};

/* Append the drawing to out; failures are remembered there. */
void tars_plot_svg(const struct tars_plot *plot, struct tars_buf *out);

#endif
