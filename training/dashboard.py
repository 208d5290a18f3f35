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

"""One page for the runs of a folder: what each has measured last, and its curves."""

import base64
from collections.abc import Sequence
import html
from pathlib import Path

from pair_drive_training.learning_curves import METRICS_FILE, read_rows

_REFRESH_S = 30


def dashboard(runs: Sequence[tuple[str, Path]]) -> str:
    """
    Return a page that stands alone and reloads itself.

    :param runs: name and folder of each run; a run that has measured nothing yet says so
    """
    parts = ''.join(_run(name, folder) for name, folder in runs)
    return (f'<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" '
            f'content="{_REFRESH_S}"><title>PaIR-Drive training</title><style>'
            'body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:75em;'
            'padding:0 1em;color:#222}h2{margin:1.6em 0 .3em}table{border-collapse:collapse}'
            'td,th{padding:.15em .8em .15em 0;text-align:right}td:first-child{text-align:left}'
            'img{max-width:100%}</style><h1>PaIR-Drive: both branches</h1>' + parts)


def _run(name: str, folder: Path) -> str:
    title = f'<h2>{html.escape(name)}</h2>'
    rows = read_rows(folder / METRICS_FILE)
    if not rows:
        return title + '<p>No epoch is complete yet.</p>'
    last = rows[-1]
    cells = ''.join(f'<tr><td>{html.escape(key)}</td><td>{value:.4g}</td></tr>'
                    for key, value in last.items() if key.startswith('val/'))
    facts = (f'<p>{last["epoch"]} epochs, {last["seconds"] / 60.0:.1f} minutes of training</p>'
             f'<table>{cells}</table>')
    curves = folder / 'curves.png'
    picture = ''
    if curves.exists():
        picture = ('<p><img alt="curves" src="data:image/png;base64,'
                   f'{base64.b64encode(curves.read_bytes()).decode()}"></p>')
    return title + facts + picture
