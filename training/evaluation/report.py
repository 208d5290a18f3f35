# Copyright 2026 The pair_drive_ros authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""The report of an evaluation: one page that needs no other file."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
import html
import io

from matplotlib.axes import Axes
from matplotlib.figure import Figure
import numpy as np
from pair_drive_ros.evaluation.plan_picture import BACKGROUND, CHOSEN, GRID, PANEL, TEXT
from pair_drive_ros.scoring.protocol import Protocol
from pair_drive_training.evaluation.bev_picture import draw_scene, legend, ScenePlans
from pair_drive_training.evaluation.one_stage import COLUMNS, Scores, TOTAL
from pair_drive_training.evaluation.summary import AUXILIARY, FAILURES_SHOWN, Summary, View

WORST, MEDIAN = 6, 3
BINS = 20
DPI = 110
MEANING = {
    'NC': 'no collision at fault', 'DAC': 'drivable area compliance',
    'DDC': 'driving direction compliance', 'TLC': 'traffic light compliance',
    'EP': 'ego progress', 'TTC': 'time to collision within bound', 'C': 'comfort',
    'LK': 'lane keeping', 'HC': 'history comfort', 'EC': 'extended comfort',
    'PDMS': 'the score', 'EPDMS': 'the score'}
FORGIVEN = {Protocol.NAVSIM_V1: '',
            Protocol.NAVSIM_V2: ', and forgives what the human driver did wrong as well'}
STYLE = f"""
body {{ background: {BACKGROUND}; color: {TEXT}; font: 16px/1.5 sans-serif; margin: 2rem auto;
        max-width: 75rem; padding: 0 1rem; }}
h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.15rem; margin-top: 2.2rem; }}
table {{ border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }}
th, td {{ border-bottom: 1px solid {GRID}; padding: .2rem 1.4rem .2rem 0; text-align: left; }}
th {{ color: #9aa4b2; font-weight: 400; }} tr.total td {{ color: {CHOSEN}; font-weight: 600; }}
.scenes {{ display: grid; grid-template-columns: repeat(auto-fill, minmax(21rem, 1fr));
           gap: 1rem; }}
figure {{ margin: 0; background: {PANEL}; padding: .6rem; }}
figcaption {{ font-size: .85rem; overflow-wrap: anywhere; }} img {{ max-width: 100%; }}
p {{ color: #9aa4b2; }} .legend span {{ margin-right: 1.2rem; white-space: nowrap; }}
.legend b {{ display: inline-block; height: .7rem; margin-right: .4rem; width: 1.4rem; }}
.headline {{ font-size: 2.2rem; color: {CHOSEN}; margin: .2rem 0; }}
"""


@dataclass(frozen=True)
class Example:
    """A scene to show: why it was chosen and which."""

    title: str
    token: str


def choose_examples(scores: Scores) -> list[Example]:
    """Pick the worst scenes and those around the median, by the first plan's total."""
    totals = first_totals(scores)
    tokens = [list(scores.tables)[index] for index in np.argsort(totals, kind='stable')]
    middle = max(min(WORST, len(tokens)), len(tokens) // 2 - MEDIAN // 2)
    return [*(Example(f'worst {rank}', token) for rank, token in enumerate(tokens[:WORST], 1)),
            *(Example('median', token) for token in tokens[middle:middle + MEDIAN])]


def first_totals(scores: Scores) -> np.ndarray:
    """Totals of the first plans of all scored scenes."""
    return np.array([table[0, scores.total_column] for table in scores.tables.values()])


def page(scores: Scores, summary: Summary, picture_of: Callable[[str], ScenePlans]) -> str:
    """
    Write the whole page.

    :param picture_of: gives what to draw of a token's scene
    """
    title = f'{summary.protocol.title}: {summary.subject}'
    mean, low, high = summary.total
    views = '\n'.join(_view_table(view, TOTAL[summary.protocol]) for view in summary.views)
    colours = '\n'.join(f'<span><b style="background: {colour}"></b>{html.escape(meaning)}</span>'
                        for meaning, colour in legend().items())
    scenes = '\n'.join(_example(example, scores, picture_of(example.token))
                       for example in choose_examples(scores))
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title>
<style>{STYLE}</style></head><body>
<h1>{html.escape(title)}</h1>
<p class="headline">{TOTAL[summary.protocol]} {mean:.4f}</p>
<p>95 % interval [{low:.4f}, {high:.4f}]; {html.escape(summary.setting)};
{html.escape(summary.counts)}.<br>Intervals: {html.escape(summary.resampled)}.</p>
{views}
{_failures(summary)}
<h2>Distribution</h2>
<img alt="histogram of the totals and mean of every sub-score"
     src="{_data_url(_distribution(scores, summary))}">
<h2>Scenes</h2>
<p>Worst and median scenes by the total of the first plan, seen from above, metres from the rear
axle. The score judges the simulated drive{FORGIVEN[summary.protocol]}.</p>
<p class="legend">{colours}</p>
<div class="scenes">
{scenes}
</div>
</body></html>
"""


def _view_table(view: View, total: str) -> str:
    rows = []
    for name, mean, low, high, valid in zip(view.columns, *view.intervals, view.over_valid,
                                            strict=True):
        if name in AUXILIARY:
            continue
        style = ' class="total"' if name == total else ''
        rows.append(f'<tr{style}><td>{name}</td><td>{MEANING[name]}</td><td>{_text(mean)}</td>'
                    f'<td>[{_text(low)}, {_text(high)}]</td><td>{_text(valid)}</td></tr>')
    return (f'<h2>{html.escape(view.name[0].upper() + view.name[1:])}</h2>\n<table><tr><th></th>'
            '<th></th><th>mean</th><th>95 % interval</th><th>over valid scenes only</th></tr>\n'
            + '\n'.join(rows) + '</table>')


def _failures(summary: Summary) -> str:
    if not summary.failures:
        return ''
    rows = '\n'.join(f'<tr><td>{html.escape(token)}</td><td>{html.escape(reason)}</td></tr>'
                     for token, reason in list(summary.failures.items())[:FAILURES_SHOWN])
    return (f'<h2>Failures</h2>\n<p>{len(summary.failures)} scenes failed and count as 0; the '
            f'first ones:</p>\n<table>{rows}</table>')


def _example(example: Example, scores: Scores, shown: ScenePlans) -> str:
    columns = COLUMNS[scores.protocol]
    row = scores.tables[example.token][0]
    lost = ', '.join(f'{name} {value:.2f}' for name, value in zip(columns, row, strict=True)
                     if name not in (*AUXILIARY, TOTAL[scores.protocol]) and value < 1.0)
    figure = Figure(figsize=(4.4, 4.4), dpi=DPI, facecolor=PANEL, layout='constrained')
    draw_scene(figure.add_subplot(), shown)
    caption = (f'{example.title}: <b>{row[scores.total_column]:.3f}</b>, '
               f'{html.escape(example.token)}<br>{lost or "nothing lost"}')
    return (f'<figure><img alt="scene {html.escape(example.token)} from above" '
            f'src="{_data_url(figure)}"><figcaption>{caption}</figcaption></figure>')


def _distribution(scores: Scores, summary: Summary) -> Figure:
    figure = Figure(figsize=(11.0, 3.4), dpi=DPI, facecolor=BACKGROUND, layout='constrained')
    histogram, bars = figure.subplots(1, 2)
    total = TOTAL[scores.protocol]
    histogram.hist(first_totals(scores), bins=BINS, range=(0.0, 1.0), color=CHOSEN, alpha=0.85)
    histogram.set_xlabel(f'{total} of the first plan (failed scenes left out)')
    histogram.set_ylabel('scenes')
    view = summary.views[0]
    shown = [index for index, name in enumerate(view.columns) if name not in AUXILIARY]
    mean, low, high = view.intervals[:, shown]
    names = [view.columns[index] for index in shown]
    bars.bar(names, mean, color=[CHOSEN if name == total else '#5b8def' for name in names],
             yerr=np.clip([mean - low, high - mean], 0.0, None), ecolor=TEXT, capsize=3)
    bars.set_ylim(0.0, 1.05)
    bars.set_ylabel('mean')
    for axes in (histogram, bars):
        _dress(axes)
    return figure


def _dress(axes: Axes) -> None:
    axes.set_facecolor(PANEL)
    axes.tick_params(colors=TEXT, labelsize=8)
    axes.xaxis.label.set_color(TEXT)
    axes.yaxis.label.set_color(TEXT)
    axes.grid(axis='y', color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in axes.spines.values():
        spine.set_color(GRID)


def _data_url(figure: Figure) -> str:
    image = io.BytesIO()
    figure.savefig(image, format='png', facecolor=figure.get_facecolor())
    return f'data:image/png;base64,{base64.b64encode(image.getvalue()).decode()}'


def _text(value: float) -> str:
    return f'{value:.4f}' if np.isfinite(value) else '&ndash;'
