"""The harness of the benchmarks: cases are measured, medians and ratios right, and nothing is left out unnamed."""

import datetime
import json
import subprocess
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
sys.path.append(str(BENCHMARKS))

from harness import Case, Cost, Recorded, Target  # noqa: E402
from harness.command import choose, run  # noqa: E402
from harness.measure import Row, read_rows  # noqa: E402
from harness.page import write_page  # noqa: E402
from harness.results import judge, summarise  # noqa: E402

SCRIPT = """
import sys
from pathlib import Path
from harness import Case, Cost, Target, clock, main, peak_mib, run_program

def make(path):
    path.write_text("3")

def work(folder):
    seconds, found = clock(lambda n: sum(i * i for i in range(n)), lambda: 10 ** int((folder / "n").read_text()))
    return Cost(seconds, peak_mib(), {"sum": float(found)})

def program(folder):
    return run_program([sys.executable, "-c", "print(7)"])

def endless(folder):
    while True:
        pass

def greedy(folder):
    return Cost(0.0, float(len(bytearray(2 ** 30))))

CASES = (
    Case("tiny/sum", "Tiny", "a sum", work, data=("n",), repeats=2, sets=("full",)),
    Case("tiny/program", "Tiny", "a program", program, repeats=1, sets=("full",)),
    Case("tiny/endless", "Tiny", "a sum", endless, "lifetimes", sets=("full",), limit=1.0),
    Case("tiny/greedy", "Tiny", "memory", greedy, sets=("full",), memory=0.5),
    Case("tiny/later", "Tiny", "later", endless, sets=("large",)),
)
DATA = {"n": make}
TARGETS = (Target("Tiny", "a sum: CPU", "tiny/sum", most=60.0, unit="s"),)
if __name__ == "__main__":
    sys.exit(main(sys.modules[__name__]))
"""

DECLARED = """
import json, sys
sys.path.insert(0, sys.argv[1])
import held, run
modules = run.load_scripts()
print(json.dumps({
    "heavy": sorted({"numpy", "pandas", "predclv", "duckdb"} & set(sys.modules)),
    "scripts": {module.__name__: {
        "cases": [[case.key, list(case.data), list(case.sets), case.who, case.repeats] for case in module.CASES],
        "data": list(module.DATA),
        "targets": [[target.of, target.per, target.least, target.most] for target in module.TARGETS],
    } for module in modules},
    "held": [one.test for one in held.HELD],
    "long": [[one.case, one.command, one.date] for one in (*held.LONG, *held.EARLIER)],
}))
"""


@pytest.fixture(scope="module")
def declared():
    command = [sys.executable, "-c", DECLARED, str(BENCHMARKS)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_every_script_declares_its_cases(declared):
    others = {"run", "held"}
    assert set(declared["scripts"]) == {path.stem for path in BENCHMARKS.glob("*.py")} - others
    keys = [case[0] for script in declared["scripts"].values() for case in script["cases"]]
    assert len(keys) == len(set(keys))
    for script in declared["scripts"].values():
        assert script["cases"]
        for _, data, sets, _, repeats in script["cases"]:
            assert set(data) <= set(script["data"])
            assert sets
            assert set(sets) <= {"quick", "full", "large"}
            assert repeats >= 1
        for of, per, least, most in script["targets"]:
            assert of in keys
            assert not per or per in keys
            assert (least is None) != (most is None)
    for case, command, date in declared["long"]:
        assert case in keys
        assert command
        assert date
    peers = {case[3] for script in declared["scripts"].values() for case in script["cases"]}
    assert peers == {"predclv", "lifetimes", "clvkit", "pymc-marketing", "query by hand"}
    # A process that measures begins small: nothing heavy is loaded where cases are only declared.
    assert declared["heavy"] == []


def test_figures_held_by_tests_name_tests_that_exist(declared):
    for test in declared["held"]:
        file, _, function = test.partition("::")
        text = (ROOT / file).read_text()
        assert not function or f"def {function}(" in text, test


@pytest.fixture
def script(tmp_path, monkeypatch):
    path = tmp_path / "tiny.py"
    path.write_text(SCRIPT)
    monkeypatch.setenv("PYTHONPATH", str(BENCHMARKS))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tiny", raising=False)
    import tiny

    yield tiny
    monkeypatch.delitem(sys.modules, "tiny", raising=False)


def ask(rows, **settings):
    return Namespace(**{"set": "full", "only": ["tiny"], "repeats": None, "rows": rows, "resume": False, **settings})


def test_cases_are_measured_each_in_a_process_and_a_run_goes_on_where_it_stopped(script, tmp_path, capsys):
    file = tmp_path / "rows.jsonl"
    rows = run([script], ask(file))
    assert [(row.case, row.status) for row in rows] == [
        ("tiny/sum", "ok"),
        ("tiny/sum", "ok"),
        ("tiny/program", "ok"),
        ("tiny/endless", "over"),
        ("tiny/greedy", "failed"),
    ]
    assert rows == read_rows(file)
    assert rows[0].found == {"sum": float(sum(i * i for i in range(1_000)))}
    assert 0 <= rows[0].cpu < 1
    assert 5 < rows[0].peak < 100
    assert rows[2].found["said"] == "7"
    assert 0 < rows[2].cpu < 5
    assert "MemoryError" in rows[4].note
    assert "ended after 1 s of CPU" in capsys.readouterr().out

    assert [case.repeats for case in choose([replace(script.CASES[0], sets=("quick",))], ask(None, set="quick"))] == [1]

    lines = file.read_text().splitlines()
    # Stopped while the second row was written.
    file.write_text(lines[0] + "\n" + lines[1][:10])
    again = run([script], ask(file, resume=True, only=["sum", "program"]))
    assert [(row.case, row.repeat) for row in again] == [("tiny/sum", 0), ("tiny/sum", 1), ("tiny/program", 0)]
    assert again[0] == rows[0]
    assert read_rows(file) == again


def ok(case, *seconds, peak=100.0, **found):
    return [Row(case, i, "ok", cpu, peak, found) for i, cpu in enumerate(seconds)]


ROWS = [
    *ok("fit/ours", 0.1, 0.5, 0.2, gain=1.0),
    *ok("fit/theirs", 6.0, 8.0, 10.0, peak=300.0, gain=1.002),
    Row("fit/slow", 0, "over", 60.0, note="ended after 60 s of CPU"),
    Row("fit/absent", 0, "missing", note="clvkit is not installed"),
]


@pytest.mark.parametrize(
    ("target", "measured", "verdict"),
    [
        (Target("Fits", "x", "fit/ours", most=0.2), "0.2", "met"),
        (Target("Fits", "x", "fit/ours", name="peak", most=99, unit="MiB"), "100 MiB", "MISSED"),
        (Target("Fits", "x", "fit/theirs", "fit/ours", least=40, unit="times"), "40.0 times", "met"),
        (Target("Fits", "x", "fit/theirs", "fit/ours", least=41), "40.0", "MISSED"),
        (Target("Fits", "x", "fit/theirs", "fit/ours", name="gain", most=0.01, gap=True), "0.002", "met"),
        # What was ended took more: enough for some targets, and for others it says nothing.
        (Target("Fits", "x", "fit/slow", "fit/ours", least=100), "more than 300", "met"),
        (Target("Fits", "x", "fit/slow", "fit/ours", least=301), "more than 300", "not measured"),
        (Target("Fits", "x", "fit/slow", most=59), "more than 60.0", "MISSED"),
        (Target("Fits", "x", "fit/absent", "fit/ours", least=1), "clvkit is not installed", "not measured"),
        (Target("Fits", "x", "fit/none", "fit/ours", least=1), "not in this run", "not measured"),
    ],
)
def test_targets_are_judged_by_medians_and_ratios(target, measured, verdict):
    found = judge(target, summarise(ROWS))
    assert found.measured == measured
    assert found.verdict == verdict


def test_the_page_names_what_is_missed_missing_and_not_measured(monkeypatch):
    monkeypatch.setitem(sys.modules["harness.cases"].PEERS, "clvkit", "a_package_that_is_not_there")

    def work(folder):
        return Cost(0.0, 0.0)

    cases = [
        Case("fit/ours", "Fits", "fit", work, customers=1_000),
        Case("fit/theirs", "Fits", "fit", work, "lifetimes", customers=1_000),
        Case("fit/slow", "Fits", "fit", work, "pymc-marketing", customers=1_000),
        Case("fit/absent", "Fits", "fit", work, "clvkit", customers=1_000),
    ]
    targets = [
        Target("Fits", "lifetimes over ours", "fit/theirs", "fit/ours", least=30, unit="times"),
        Target("Fits", "memory", "fit/ours", name="peak", most=99, unit="MiB", why="It holds two tables."),
        Target("Batch", "ten million", "score/long", most=30, unit="s"),
        Target("Batch", "never run", "score/never", most=30, unit="s"),
    ]
    held = [Recorded("Fits", "calibration", "90 %", "74 %", "tests/a.py::test_b", short="No model knows the season.")]
    long = [
        Recorded("Batch", "ten million: CPU", "at most 30 s", "13 s", command="run it", date="May", case="score/long")
    ]
    day = datetime.date(2026, 11, 2)
    page = write_page(cases, targets, held, long, summarise(ROWS), command="make bench", date=day)
    assert "; 2 November 2026." in page
    assert "| Fits | lifetimes over ours | at least 30 times | 40.0 times | met |" in page
    assert "| Fits | memory | at most 99 MiB | 100 MiB | **MISSED** |" in page
    assert "- **Fits, memory**: 100 MiB, wanted at most 99 MiB. It holds two tables." in page
    assert "No model knows the season." in page
    assert "| Batch | ten million: CPU | at most 30 s | 13 s | told: `run it`, May |" in page
    assert "- Batch, never run: not in this run" in page
    assert "Not installed here, and therefore not compared: clvkit" in page
    assert "| fit | 1,000 customers | 0.2 | 100 | lifetimes | 8 | 300 | 40.0 | 3 |" in page
    assert "| fit | 1,000 customers | 0.2 | 100 | pymc-marketing | > 60.0 | – | > 300 | – |" in page
    assert "clvkit is not installed" in page
    assert "0.2 (0.1 to 0.5)" in page
    # A figure that was measured is not told from memory.
    measured = write_page(
        cases, targets, (), [replace(long[0], case="fit/ours")], summarise(ROWS), command="x", date=day
    )
    assert "ten million: CPU" not in measured


def test_growth_is_drawn_on_log_axes_and_the_same_figures_are_the_same_file(tmp_path):
    from harness.plots import draw_growth

    def work(folder):
        return Cost(0.0, 0.0)

    sizes = (1_000, 10_000)
    cases = [
        Case(f"g/{who}/{n}", "Growth", "fit, of all", work, who, customers=n)
        for who in ("predclv", "lifetimes")
        for n in sizes
    ]
    rows = [row for case in cases[:3] for row in ok(case.key, 0.1, 0.2, 0.3)]
    rows.append(Row(cases[3].key, 0, "over", 60.0))
    pictures = draw_growth(cases, summarise(rows), tmp_path)
    assert [name for name, _ in pictures] == ["growth-cpu.png", "growth-memory.png"]
    first = (tmp_path / "growth-cpu.png").read_bytes()
    assert len(first) < 150_000
    draw_growth(cases, summarise(rows), tmp_path)
    assert (tmp_path / "growth-cpu.png").read_bytes() == first
