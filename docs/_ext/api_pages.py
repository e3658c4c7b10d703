"""Pages of the API from the names that modules declare public, so that a new name has its place by being exported.

A module has a page with its functions; a class has one of its own. What several modules export is told once, at the
first of them in `MODULES`.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.ext.napoleon import Config, NumpyDocstring
from sphinx.pycode import ModuleAnalyzer

#: In the order of the pages; a name belongs to the first that exports it.
MODULES = (
    "predclv",
    "predclv.checks",
    "predclv.plots",
    "predclv.backtesting",
    "predclv.comparison",
    "predclv.decisions",
    "predclv.datasets",
    "predclv.priors",
    "predclv.batch",
    "predclv.batch.spark",
    "predclv.batch.mlflow",
    "predclv.report",
    "predclv.errors",
)


#: Classes that public names return, or hold, and that no module exports; on one page, under these headings.
MET = {
    "Results": (
        "predclv.backtesting.blocks.Block",
        "predclv.backtesting.blocks.Cohort",
        "predclv.batch.manifest.Manifest",
        "predclv.batch.manifest.Part",
        "predclv.batch.rows.Needs",
        "predclv.data.durations.Horizon",
        "predclv.data.frames.Backend",
        "predclv.data.regularity.Regularity",
        "predclv.data.rfm.RepeatSpend",
        "predclv.decisions.experiments.arm_means.ArmMeans",
        "predclv.decisions.experiments.arm_means.Comparison",
        "predclv.decisions.luck.Newcomers",
        "predclv.decisions.monitor.calibration.Calibration",
        "predclv.decisions.report.writer.Decisions",
        "predclv.decisions.segments.tiers.Snapshot",
        "predclv.forecast.value_path.ValuePath",
        "predclv.inference.chains.Chains",
        "predclv.models.covariates.columns.Covariates",
        "predclv.models.fingerprint.Fingerprint",
        "predclv.models.gamma_gamma.Dependence",
        "predclv.parameters.Parameter",
    ),
    "Bases of the models": (
        "predclv.models.base.Model",
        "predclv.models.transactions.TransactionModel",
        "predclv.models.covariates.model.CovariateModel",
        "predclv.models.contracts.model.ContractModel",
    ),
    "Underneath, for who writes a model": (
        "predclv.forecast.bindings.TransactionBindings",
        "predclv.forecast.customers.Thetas",
        "predclv.inference.chains.Sampling",
        "predclv.inference.evidence.Evidence",
        "predclv.inference.evidence.Replicated",
        "predclv.inference.evidence.RowLikelihood",
        "predclv.inference.posterior.Draws",
        "predclv.kernels.collapse.Collapsed",
        "predclv.kernels.covariates.Link",
        "predclv.kernels.discounting.DiscountMoments",
        "predclv.models.base.Part",
        "predclv.models.bg_family.BGFamily",
        "predclv.models.contracts.base.ContractPart",
        "predclv.models.covariates.columns.Design",
        "predclv.models.covariates.encoding.Coefficient",
        "predclv.models.covariates.encoding.Encoder",
        "predclv.models.covariates.encoding.Levels",
        "predclv.models.covariates.encoding.Number",
        "predclv.models.covariates.patterns.PatternKernels",
        "predclv.report.blocks.Document",
        "predclv.report.blocks.Section",
        "predclv.report.blocks.Paragraph",
        "predclv.report.blocks.Cards",
        "predclv.report.blocks.Card",
        "predclv.report.blocks.Figures",
        "predclv.report.blocks.Figure",
        "predclv.report.blocks.Table",
        "predclv.report.blocks.Cell",
        "predclv.report.blocks.Findings",
        "predclv.report.blocks.Finding",
        "predclv.report.blocks.Details",
    ),
}


@dataclass(frozen=True)
class Entry:
    """A public name: where it is told, and what kind of thing it is."""

    name: str
    home: str
    kind: str

    @property
    def full_name(self) -> str:
        """As one writes it."""
        return f"{self.home}.{self.name}"


def public_names(module: ModuleType) -> list[str]:
    """`__all__`, or every class of the module's own where it declares none."""
    declared = getattr(module, "__all__", None)
    if declared is not None:
        return sorted(declared, key=str.lower)
    return [name for name, value in vars(module).items() if inspect.isclass(value) and not name.startswith("_")]


def list_entries() -> dict[str, list[Entry]]:
    """Entries of each module, each with the module where it is told."""
    homes: dict[Any, str] = {}
    entries: dict[str, list[Entry]] = {}
    for path in MODULES:
        module = import_module(path)
        entries[path] = []
        for name in public_names(module):
            value = getattr(module, name)
            if inspect.ismodule(value):
                continue
            # The same constant under two names would be one; an object is known by what it is and how it is called.
            home = homes.setdefault((name, id(value)), path)
            entries[path].append(Entry(name, home, _kind(value)))
    return entries


def list_met() -> dict[str, list[Entry]]:
    """Entries of `MET`, by heading."""
    return {heading: [Entry(*name.rsplit(".", 1)[::-1], "class") for name in names] for heading, names in MET.items()}


def _kind(value: object) -> str:
    if inspect.isclass(value):
        return "exception" if issubclass(value, BaseException) else "class"
    return "function" if inspect.isroutine(value) else "data"


def write_pages(folder: Path) -> None:
    """Write the pages that are to be, and remove those that are not."""
    pages = dict(_pages(list_entries()))
    for path in set(folder.glob("*.rst")) - {folder / name for name in pages}:
        path.unlink()
    for name, text in pages.items():
        path = folder / name
        # What has not changed keeps its date, and Sphinx leaves it alone.
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _pages(entries: dict[str, list[Entry]]) -> Iterator[tuple[str, str]]:
    for module, found in entries.items():
        yield f"{module}.rst", _module_page(module, found)
        for entry in found:
            if entry.kind == "class" and entry.home == module:
                yield f"{entry.full_name}.rst", _class_page(entry)
    met = list_met()
    yield "met.rst", _met_page(met)
    for entry in (entry for found in met.values() for entry in found):
        yield f"{entry.full_name}.rst", _class_page(entry)


def _module_page(module: str, entries: list[Entry]) -> str:
    own = [entry for entry in entries if entry.home == module]
    classes = [entry for entry in own if entry.kind == "class"]
    lines = [_title(module), f".. automodule:: {module}\n   :no-members:\n"]
    for heading, kinds in (("Classes", ("class",)), ("Functions", ("function",)), ("Data", ("data",))):
        listed = [entry for entry in entries if entry.kind in kinds]
        if listed:
            lines.append(_title(heading, "-"))
            lines.append(_table(listed))
            lines += [
                _function(entry) if heading == "Functions" else _data(entry)
                for entry in listed
                if entry in own and heading != "Classes"
            ]
    failures = [entry for entry in own if entry.kind == "exception"]
    if failures:
        lines.append(_title("Errors and warnings", "-"))
        lines += [f".. autoexception:: {entry.full_name}\n   :show-inheritance:\n" for entry in failures]
    if classes:
        lines.append(".. toctree::\n   :hidden:\n\n" + "".join(f"   {entry.full_name}\n" for entry in classes))
    return "\n".join(lines)


def _met_page(entries: dict[str, list[Entry]]) -> str:
    lines = [
        _title("Classes met on the way"),
        "What functions and methods return, and what results hold, without being exported by a module: made by the "
        "package, read by you.\n",
    ]
    for heading, found in entries.items():
        names = "".join(f"   {entry.full_name}\n" for entry in found)
        lines += [_title(heading, "-"), _table(found), f".. toctree::\n   :hidden:\n\n{names}"]
    return "\n".join(lines)


def _class_page(entry: Entry) -> str:
    return (
        f"{_title(entry.name)}\n.. autoclass:: {entry.full_name}\n   :members:\n"
        # What scikit-learn adds is scikit-learn's to explain.
        "   :inherited-members: BaseEstimator, tuple\n"
        "   :exclude-members: set_fit_request, set_predict_request, set_score_request, get_metadata_routing\n"
    )


def _table(entries: list[Entry]) -> str:
    rows = []
    for entry in entries:
        role = {"class": "class", "function": "func", "data": "data"}[entry.kind]
        rows.append(f"   * - :py:{role}:`~{entry.full_name}`\n     - {_first_line(entry)}\n")
    return ".. list-table::\n   :widths: 30 70\n   :class: names\n\n" + "".join(rows)


def _first_line(entry: Entry) -> str:
    value = getattr(import_module(entry.home), entry.name)
    text = _comment(entry) if entry.kind == "data" else inspect.getdoc(value) or ""
    paragraph = " ".join(text.split("\n\n")[0].split())
    # A row of a table has no place for a list or a code block.
    return re.sub(r":+$", ".", paragraph)


def _function(entry: Entry) -> str:
    return f".. autofunction:: {entry.full_name}\n"


def _data(entry: Entry) -> str:
    value = getattr(import_module(entry.home), entry.name)
    items = value if isinstance(value, Iterable) and not isinstance(value, str) else [repr(value)]
    shown = ", ".join(f"``{item}``" for item in items)
    about = f"   {_first_line(entry)}\n\n" if _first_line(entry) else ""
    # In full it would stand below the module that the page is about once more.
    return f".. py:data:: {entry.name}\n   :module: {entry.home}\n\n{about}   {shown}\n"


def _comment(entry: Entry) -> str:
    """The comment at a constant's definition, looked for in the modules of its package."""
    package = Path(str(import_module(entry.home).__file__)).parent
    for path in sorted(package.rglob("*.py")):
        # To take a file apart takes long.
        if not re.search(rf"^{entry.name}\b", path.read_text(encoding="utf-8"), flags=re.MULTILINE):
            continue
        # Read, not imported: a program's file would begin to work.
        comments = ModuleAnalyzer.for_file(str(path), path.stem).find_attr_docs()
        if ("", entry.name) in comments:
            return "\n".join(comments["", entry.name]).strip()
    return ""


def _title(text: str, line: str = "=") -> str:
    return f"{text}\n{line * len(text)}\n"


#: Types are words, not links; exceptions and attributes are listed as parameters are.
_STYLE = Config(
    napoleon_use_param=False,
    napoleon_use_rtype=False,
    napoleon_custom_sections=[("Attributes", "params_style"), ("Raises", "returns_style"), ("Warns", "returns_style")],
)


def _read_docstring(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    # As napoleon would; but of a property it takes what stands before a colon for a type.
    kind = "method" if what in {"property", "attribute", "data"} else what
    read = NumpyDocstring([_spare_names(line) for line in lines], _STYLE, app, kind, name, obj, options).lines()
    lines[:] = [line.replace(" -- ", " – ") for line in read]


def _spare_names(line: str) -> str:
    """Names that end in an underscore are names, not links, also where a docstring has them without backticks."""
    parts = line.split("`")
    parts[::2] = [re.sub(r"(\w)_(?!\w)", r"\1\\_", part) for part in parts[::2]]
    return "`".join(parts)


def _leave_types_as_words(app: Sphinx, env: object, node: pending_xref, content: nodes.Node) -> nodes.Node | None:
    """A property's type need not be a class of ours; what pages refer to must exist."""
    return content if str(node.get("refdoc", "")).startswith("api/") and node.get("reftype") == "class" else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Write the pages before Sphinx looks for them."""
    folder = Path(app.srcdir) / "api"
    folder.mkdir(exist_ok=True)
    write_pages(folder)
    app.connect("autodoc-process-docstring", _read_docstring)
    app.connect("missing-reference", _leave_types_as_words)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
