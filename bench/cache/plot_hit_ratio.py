#!/usr/bin/env python3
"""Draws the hit ratios of bench_cache as an SVG: docs/figures/hit_ratio.svg.

    cmake --preset bench && cmake --build --preset bench --target bench_cache
    build/bench/bin/bench/bench_cache --benchmark_filter=HitRatio --benchmark_format=json | bench/cache/plot_hit_ratio.py

One panel per skew of the traffic, one line per policy, over the size of the cache in percent of the corpus. Nothing but
Python's own library is needed.
"""

import argparse
import json
import math
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"HitRatio/zipf_([\d.]+)/size_(\d+)%/(\w+)")
POLICIES = {"s3fifo": ("S3-FIFO", "#0b63a5", ""), "lru": ("LRU", "#b34700", ' stroke-dasharray="6 4"')}
PANEL_WIDTH, PANEL_HEIGHT = 300, 240
LEFT, TOP, GAP, BOTTOM = 62, 64, 58, 60


def read(text):
    """{skew: {policy: [(percent of the corpus, hit ratio)]}}"""
    found = {}
    for row in json.loads(text)["benchmarks"]:
        match = NAME.match(row["name"])
        if match and row.get("run_type", "iteration") == "iteration":
            skew, percent, policy = match.groups()
            found.setdefault(float(skew), {}).setdefault(policy, []).append((int(percent), row["hits"]))
    return {skew: {policy: sorted(points) for policy, points in lines.items()} for skew, lines in sorted(found.items())}


class Panel:
    """Axes of one skew. Sizes go by their logarithm, ratios from 0 to 1."""

    def __init__(self, number, sizes):
        self.x0, self.y0 = LEFT + number * (PANEL_WIDTH + GAP), TOP
        self.sizes = sizes
        self.log_low, self.log_high = math.log(sizes[0]), math.log(sizes[-1])

    def x(self, percent):
        return self.x0 + PANEL_WIDTH * (math.log(percent) - self.log_low) / ((self.log_high - self.log_low) or 1)

    def y(self, ratio):
        return self.y0 + PANEL_HEIGHT * (1 - ratio)

    def axes(self, skew):
        right, bottom = self.x0 + PANEL_WIDTH, self.y0 + PANEL_HEIGHT
        for tenth in range(0, 11, 2):
            y = self.y(tenth / 10)
            yield f'<path class="grid" d="M{self.x0} {y:.1f}H{right}"/>'
            yield f'<text x="{self.x0 - 8}" y="{y + 4:.1f}" text-anchor="end">{tenth * 10} %</text>'
        for percent in self.sizes:
            x = self.x(percent)
            yield f'<path class="grid" d="M{x:.1f} {self.y0}V{bottom}"/>'
            yield f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{percent} %</text>'
        middle = (self.x0 + right) / 2
        yield f'<text x="{middle:.1f}" y="{self.y0 - 10}" text-anchor="middle">Zipf, exponent {skew}</text>'
        yield f'<text x="{middle:.1f}" y="{bottom + 40}" text-anchor="middle">size of the cache, of the corpus</text>'

    def line(self, policy, points):
        name, color, dashes = POLICIES[policy]
        path = "L".join(f"{self.x(percent):.1f} {self.y(ratio):.1f}" for percent, ratio in points)
        yield f'<path d="M{path}" fill="none" stroke="{color}" stroke-width="2"{dashes}/>'
        for percent, ratio in points:
            yield (f'<circle cx="{self.x(percent):.1f}" cy="{self.y(ratio):.1f}" r="3.5" fill="{color}">'
                   f"<title>{name}, {percent} %: {100 * ratio:.1f} %</title></circle>")


def legend():
    x = LEFT
    for name, color, dashes in POLICIES.values():
        yield f'<path d="M{x} 26h28" stroke="{color}" stroke-width="2"{dashes}/>'
        yield f'<text x="{x + 34}" y="30">{name}</text>'
        x += 120


def draw(found):
    width = LEFT + len(found) * PANEL_WIDTH + (len(found) - 1) * GAP + 24
    height = TOP + PANEL_HEIGHT + BOTTOM
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
           'font-family="sans-serif" font-size="12" role="img">',
           "<title>Hit ratio of the memory tier: S3-FIFO and LRU by the size of the cache</title>",
           "<style>.grid{stroke:#dddddd;fill:none} text{fill:#222222}</style>",
           f'<rect width="{width}" height="{height}" fill="#ffffff"/>', *legend()]
    for number, (skew, lines) in enumerate(found.items()):
        panel = Panel(number, sorted({percent for points in lines.values() for percent, _ in points}))
        out.extend(panel.axes(skew))
        for policy in POLICIES:
            out.extend(panel.line(policy, lines.get(policy, [])) if lines.get(policy) else ())
    return "\n".join([*out, "</svg>"]) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("json", nargs="?", help="what bench_cache printed; otherwise standard input")
    parser.add_argument("--svg", type=Path, default=ROOT / "docs/figures/hit_ratio.svg")
    args = parser.parse_args()
    found = read(Path(args.json).read_text() if args.json else sys.stdin.read())
    if not found:
        sys.exit("plot_hit_ratio: no row of HitRatio in it")
    args.svg.parent.mkdir(parents=True, exist_ok=True)
    args.svg.write_text(draw(found))
    for skew, lines in found.items():
        for policy, points in lines.items():
            print(f"zipf {skew} {policy:7}", *(f"{percent} %: {ratio:.3f}" for percent, ratio in points), sep="  ")


if __name__ == "__main__":
    main()
