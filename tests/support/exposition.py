"""What a scrape said, read strictly: text 0.0.4 and OpenMetrics 1.0.0. Whatever the formats forbid is an AssertionError.

    families = read(text, openmetrics=True)
    families["tars_errors"].kind               # "counter"
    value(families, "tars_errors_total")       # the sample of that name and those labels
    value(families, "tars_http_requests_total", method="GET", endpoint="/health", status="200")
"""
import math
import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)$")
EXEMPLAR = re.compile(r'\{trace_id="([0-9a-f]{1,32})"\} (\S+) (\d+\.\d{6})$')
SUFFIXES = {"counter": ("_total", "_created"), "histogram": ("_bucket", "_count", "_sum", "_created"),
            "gauge": ("",), "info": ("_info",)}
KINDS = {False: {"counter", "gauge", "histogram"}, True: set(SUFFIXES)}
FLOAT = re.compile(r"[-+]?(\d+\.\d+|\d+(\.\d+)?e[-+]?\d+|Inf)$|NaN$")


class Family:
    def __init__(self, name):
        self.name, self.kind, self.help, self.unit = name, None, None, None
        self.samples = []    # (name, labels, value)
        self.exemplars = []  # (name, labels, trace_id, value, time)

    def __repr__(self):
        return f"Family({self.name}, {self.kind}, {len(self.samples)} samples)"


def number(text):
    assert FLOAT.match(text), f"{text} is not written as a float"
    return float(text.replace("Inf", "inf"))


def read_labels(text):
    labels, at = {}, 0
    while at < len(text or ""):
        found = LABEL.match(text, at)
        assert found, f"labels {text!r}"
        assert found.group(1) not in labels, f"label {found.group(1)} twice in {text!r}"
        labels[found.group(1)] = re.sub(r"\\(.)", lambda m: "\n" if m.group(1) == "n" else m.group(1), found.group(2))
        at = found.end()
    return labels


def read_meta(families, family, line, openmetrics):
    found = re.match(rf"# (HELP|TYPE|UNIT) ({NAME}) (.*)$", line)
    assert found, f"comment {line!r}"
    what, name, rest = found.groups()
    if family is None or family.name != name:
        assert name not in families, f"{name} is told of in two places"
        family = families[name] = Family(name)
    assert not family.samples, f"{what} of {name} comes after its samples"
    field = {"HELP": "help", "TYPE": "kind", "UNIT": "unit"}[what]
    assert getattr(family, field) is None, f"{what} of {name} twice"
    setattr(family, field, rest)
    if what == "TYPE":
        assert rest in KINDS[openmetrics], line
    if what == "UNIT":
        assert openmetrics and name.endswith("_" + rest), line
    if what == "HELP":
        assert re.fullmatch(r'([^"\\]|\\["\\n])*' if openmetrics else r"([^\\]|\\[\\n])*", rest), line
    return family


def belongs(family, name, openmetrics):
    if not openmetrics and family.kind in ("counter", "gauge"):
        return name == family.name
    return name.startswith(family.name) and name[len(family.name):] in SUFFIXES[family.kind]


def read_sample(family, line, openmetrics):
    exemplar = None
    if " # " in line:
        line, told = line.split(" # ", 1)
        exemplar = EXEMPLAR.match(told)
        assert openmetrics and exemplar, f"exemplar {told!r}"
    found = SAMPLE.match(line)
    assert found, f"sample {line!r}"
    name, labels = found.group(1), read_labels(found.group(2))
    assert family and belongs(family, name, openmetrics), f"{name} within {family}"
    assert all(s[:2] != (name, labels) for s in family.samples[-2000:]), f"{line} twice"
    family.samples.append((name, labels, number(found.group(3))))
    if exemplar:
        assert name.endswith(("_bucket", "_total")), line
        value = number(exemplar.group(2))
        if "le" in labels:
            assert value <= float(labels["le"]), f"{line}: its exemplar {value} is of another bucket"
        family.exemplars.append((name, labels, exemplar.group(1), value, float(exemplar.group(3))))


def check_histogram(family, openmetrics):
    series = {}
    for name, labels, amount in family.samples:
        rest = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
        series.setdefault(rest, {}).setdefault(name[len(family.name):], []).append((labels.get("le"), amount))
    for rest, found in series.items():
        buckets = found["_bucket"]
        bounds = [float(le) for le, _ in buckets]
        assert all(FLOAT.match(le) for le, _ in buckets), f"{family.name}{rest}: le {buckets}"
        assert bounds == sorted(set(bounds)) and bounds[-1] == math.inf, f"{family.name}{rest}: le {bounds}"
        counts = [count for _, count in buckets]
        assert counts == sorted(counts), f"{family.name}{rest}: buckets fall"
        assert len(found["_count"]) == len(found["_sum"]) == 1
        assert found["_count"][0][1] == counts[-1], f"{family.name}{rest}: _count is not +Inf"
        assert ("_created" in found) == openmetrics


def read(text, openmetrics=False):
    assert text.endswith("\n") and "\r" not in text
    lines = text[:-1].split("\n")
    families, family = {}, None
    if openmetrics:
        assert lines.pop() == "# EOF"
    for line in lines:
        if line.startswith("#"):
            family = read_meta(families, family, line, openmetrics)
        else:
            read_sample(family, line, openmetrics)
    for family in families.values():
        assert family.kind and family.help, f"{family.name} lacks TYPE or HELP"
        if family.kind == "counter":
            assert family.name.endswith("_total") != openmetrics, f"the counter {family.name}"
            assert all(value >= 0 for _, _, value in family.samples), family.name
        if family.kind == "histogram":
            check_histogram(family, openmetrics)
    return families


def value(families, name, **labels):
    """Of the one sample; None if it is not there."""
    for family in families.values():
        if name.startswith(family.name):
            for found, those, amount in family.samples:
                if found == name and those == labels:
                    return amount
    return None
