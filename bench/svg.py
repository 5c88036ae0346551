"""Drawings for docs/benchmarks.md: lines over two axes, and bars. Plain SVG, text escaped, nothing from elsewhere."""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 400, 70, 200, 40, 55
# Told apart by people who see few colours too (Okabe and Ito 2008).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f7f7f")


def page(body, height=HEIGHT):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
            f'font-family="sans-serif" font-size="12">\n<rect width="100%" height="100%" fill="#fff"/>\n'
            + "\n".join(body) + "\n</svg>\n")


def text(x, y, words, anchor="start", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(words)}</text>'


class Axis:
    """Values to pixels, with marks at powers of ten or about five round steps."""

    def __init__(self, values, is_log, start, end):
        values = [value for value in values if math.isfinite(value) and (value > 0 or not is_log)] or [1.0]
        self.is_log, self.start, self.end = is_log, start, end
        low, high = min(values), max(values)
        if is_log:
            self.low, self.high = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
            self.step = 1.0
        else:
            rough = ((high - low) or abs(high) or 1.0) / 5
            power = 10 ** math.floor(math.log10(rough))
            self.step = power * min((1, 2, 5, 10), key=lambda times: abs(times - rough / power))
            self.low, self.high = math.floor(low / self.step) * self.step, math.ceil(high / self.step) * self.step
        if self.high <= self.low:
            self.high = self.low + self.step

    def place(self, value):
        at = math.log10(value) if self.is_log else value
        return self.start + (at - self.low) / (self.high - self.low) * (self.end - self.start)

    def marks(self):
        for i in range(round((self.high - self.low) / self.step) + 1):
            at = self.low + i * self.step
            yield 10 ** at if self.is_log else at


def label(value):
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def lines(plot):
    """plot: {"title", "x", "y", "log_x", "log_y", "series": {name: [[x, y], ...]}}."""
    points = [point for some in plot["series"].values() for point in some]
    x = Axis([point[0] for point in points], plot.get("log_x", False), LEFT, WIDTH - RIGHT)
    y = Axis([point[1] for point in points], plot.get("log_y", False), HEIGHT - BOTTOM, TOP)
    body = [text(LEFT, 22, plot["title"], more=' font-size="15"'),
            text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, plot["x"], "middle"),
            f'<text transform="translate(18 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">'
            f'{escape(plot["y"])}</text>']
    for value in x.marks():
        at = x.place(value)
        body += [f'<path stroke="#ddd" d="M{at:.1f} {TOP}V{HEIGHT - BOTTOM}"/>',
                 text(at, HEIGHT - BOTTOM + 18, label(value), "middle")]
    for value in y.marks():
        at = y.place(value)
        body += [f'<path stroke="#ddd" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>', text(LEFT - 6, at + 4, label(value), "end")]
    for number, (name, some) in enumerate(plot["series"].items()):
        colour, at = COLOURS[number % len(COLOURS)], TOP + 14 + 20 * number
        places = [(x.place(point[0]), y.place(point[1])) for point in some
                  if (point[0] > 0 or not x.is_log) and (point[1] > 0 or not y.is_log)]
        path = "L".join(f"{a:.1f} {b:.1f}" for a, b in places)
        body += [f'<path fill="none" stroke="{colour}" stroke-width="2" d="M{path}"/>'] if places else []
        body += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in places]
        body += [f'<path stroke="{colour}" stroke-width="2" d="M{WIDTH - RIGHT + 12} {at - 4}h22"/>',
                 text(WIDTH - RIGHT + 40, at, name)]
    return page(body)


def bars(title, values, line):
    """values: [(name, above 0)], on a logarithmic axis; line: where one is drawn through."""
    height = TOP + 22 * len(values) + BOTTOM
    axis = Axis([value for _, value in values] + [line], True, 190, WIDTH - 70)
    body = [text(20, 22, title, more=' font-size="15"')]
    for value in axis.marks():
        at = axis.place(value)
        body += [f'<path stroke="#ddd" d="M{at:.1f} {TOP}V{height - BOTTOM + 6}"/>',
                 text(at, height - BOTTOM + 22, label(value), "middle")]
    start = axis.place(line)
    for number, (name, value) in enumerate(values):
        at, end = TOP + 22 * number, axis.place(value)
        body += [f'<rect x="{min(start, end):.1f}" y="{at + 3}" width="{abs(end - start):.1f}" height="15" '
                 f'fill="{COLOURS[0] if value >= line else COLOURS[1]}"/>',
                 text(180, at + 15, name, "end"), text(max(start, end) + 6, at + 15, f"{value:.2f}")]
    body.append(f'<path stroke="#000" d="M{start:.1f} {TOP}V{height - BOTTOM + 6}"/>')
    return page(body, height)


def write(path, drawing):
    with open(path, "w", encoding="utf-8") as file:
        file.write(drawing)
