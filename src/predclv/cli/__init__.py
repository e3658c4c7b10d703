"""The commands `demo`, `run`, `decide`, `monitor`, `summarize`, `fit`, `predict`, `score`, `backtest`, `contracts`.

`doctor` looks at the installation. Exit codes: 0 done, 3 done with rows set aside (`score` alone), 4 done and found
what --fail-on asks for (`monitor` alone), 2 the input or an option is at fault (one readable line on stderr), 1 predclv
is, or its installation; 130 stopped by Ctrl-C, 143 by SIGTERM.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows the program's name; left out, that of this process.
    """
    if any(find_spec(tool) is None for tool in ("typer", "rich")):
        print("predclv: the command line needs typer and rich: pip install 'predclv[cli]'", file=sys.stderr)
        return 2
    from predclv.cli.app import execute

    return execute(list(sys.argv[1:] if arguments is None else arguments))
