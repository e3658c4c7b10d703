"""What `import predclv` and the first use of a model cost, in CPU seconds of a fresh interpreter.

`import predclv` loads names only and must stay under 0.7 s; the first `pc.BGNBD` loads scikit-learn, pandas, numba.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

RUNS = 7
LIMIT = 0.7
CASES = {
    "python alone": "pass",
    "import predclv": "import predclv",
    "first access of pc.BGNBD": "import predclv as pc; pc.BGNBD",
    "predclv --help": "from predclv.cli import main; main(['--help'])",
}
TIMER = "import sys, time; print(time.process_time(), file=sys.stderr)"  # since the process began


def cpu_seconds(code: str) -> float:
    done = subprocess.run([sys.executable, "-c", f"{code}\n{TIMER}"], capture_output=True, text=True, check=True)
    return float(done.stderr.split()[-1])


def main() -> int:
    medians = {}
    for name, code in CASES.items():
        cpu_seconds(code)  # writes bytecode
        medians[name] = statistics.median(cpu_seconds(code) for _ in range(RUNS))
        print(f"{name:26} {medians[name]:6.3f} s CPU (median of {RUNS})")
    cost = medians["import predclv"] - medians["python alone"]
    print(f"import predclv adds {cost:.3f} s; the limit is {LIMIT} s")
    return int(medians["import predclv"] >= LIMIT)


if __name__ == "__main__":
    sys.exit(main())
