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

"""Work through tokens in batches; a token that cannot be worked on is taken out and named."""

from collections.abc import Callable, Sequence
import sys

from tqdm import tqdm


def reason_of(error: Exception) -> str:
    """Say why something failed: the sentence of a ValueError, with its type for any other."""
    return str(error) if isinstance(error, ValueError) else f'{type(error).__name__}: {error}'


def work_in_batches(tokens: Sequence[str], size: int, work: Callable[[Sequence[str]], None],
                    title: str) -> dict[str, str]:
    """
    Call ``work`` with ``size`` tokens at a time, showing progress on stderr.

    When a batch fails its tokens are tried one by one, so ``work`` must bear being called again
    with tokens it has seen.

    :return: the reasons of the tokens that failed alone, too
    """
    failures = {}
    with tqdm(total=len(tokens), desc=title, unit='scene', file=sys.stderr) as progress:
        for first in range(0, len(tokens), size):
            batch = tokens[first:first + size]
            try:
                work(batch)
            except Exception:
                for token in batch:
                    try:
                        work([token])
                    except Exception as error:
                        failures[token] = reason_of(error)
            progress.update(len(batch))
    return failures
