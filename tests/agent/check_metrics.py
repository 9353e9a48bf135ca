#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Reads Prometheus' text format (0.0.4) on standard input as its parser would, and says what is wrong:
each family told of once and before its samples, no series twice, histograms that add up."""
import re
import sys

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(r"^(%s)(?:\{(.*)\})? (\S+)$" % NAME)
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')
families, series, wrong = {}, {}, []
current = None


def family(name):
    for suffix in ("_bucket", "_sum", "_count"):
        base = name[: -len(suffix)]
        if name.endswith(suffix) and families.get(base) == "histogram":
            return base
    return name


text = sys.stdin.read()
if not text.endswith("\n"):
    wrong.append("no newline at the end")
for n, line in enumerate(text.splitlines(), 1):
    if line.startswith("# TYPE "):
        _, _, name, kind = line.split(" ")
        if name in families:
            wrong.append("%d: %s is told of twice" % (n, name))
        if kind not in ("counter", "gauge", "histogram"):
            wrong.append("%d: type %s" % (n, kind))
        families[name] = kind
        current = name
        continue
    if line.startswith("# HELP ") or not line:
        continue
    m = SAMPLE.match(line)
    if not m:
        wrong.append("%d: no sample: %s" % (n, line))
        continue
    name, labels, value = m.groups()
    pos, found = 0, []
    while labels and pos < len(labels):
        part = LABEL.match(labels, pos)
        if not part:
            wrong.append("%d: labels: %s" % (n, labels))
            break
        found.append(part.groups())
        pos = part.end()
    if len(dict(found)) != len(found):
        wrong.append("%d: a label twice" % n)
    if family(name) != current:
        wrong.append("%d: %s is not among its family" % (n, name))
    key = (name, tuple(sorted(found)))
    if key in series:
        wrong.append("%d: %s twice" % (n, key))
    series[key] = float(value)
    if families.get(family(name)) == "counter" and not name.endswith("_total"):
        wrong.append("%d: counter %s does not end in _total" % (n, name))
for base in [f for f, kind in families.items() if kind == "histogram"]:
    rows = {}
    for (name, labels), value in series.items():
        if name == base + "_bucket":
            rest = tuple(l for l in labels if l[0] != "le")
            rows.setdefault(rest, []).append((float(dict(labels)["le"]), value))
    for rest, buckets in rows.items():
        buckets.sort()
        values = [v for _, v in buckets]
        if values != sorted(values) or buckets[-1][0] != float("inf"):
            wrong.append("%s%s: buckets" % (base, rest))
        if values[-1] != series.get((base + "_count", rest)):
            wrong.append("%s%s: +Inf is not its count" % (base, rest))
for w in wrong:
    print(w)
print("%d series of %d families" % (len(series), len(families)))
sys.exit(bool(wrong or not series))
