"""What `import predclv` and the first use of a model cost, in CPU seconds of a fresh interpreter.

`import predclv` loads names only and must stay under 0.7 s; the first `pc.BGNBD` loads scikit-learn, pandas, numba.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from harness import Case, Cost, Target, main, run_program

SUBJECT = "Start"
CODE = {
    "python": "pass",
    "import": "import predclv",
    "model": "import predclv as pc; pc.BGNBD",
    "help": "from predclv.cli import main; main(['--help'])",
}
WHAT = {
    "python": "python alone",
    "import": "import predclv",
    "model": "first access of pc.BGNBD",
    "help": "predclv --help",
}


def start(code: str, folder: Path) -> Cost:
    """Run a fresh interpreter; the whole of it counts."""
    return Cost((cost := run_program([sys.executable, "-c", code])).cpu, cost.peak)


CASES = tuple(
    Case(f"start/{name}", SUBJECT, WHAT[name], partial(start, code), repeats=5, sets=("full", "quick"))
    for name, code in CODE.items()
)
DATA: dict[str, object] = {}
TARGETS = (Target(SUBJECT, "import predclv: CPU of a fresh interpreter", "start/import", most=0.7, unit="s"),)

if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
