"""The report on decisions: a page of sections, each a question of a manager's with its answer.

`predclv decide` and `write_decision_report` put it together. What is where:

- `inputs.py`: `DecisionInputs`, what every section is given: fitted `clv`, customers, log, `given.terms` (how value is
  counted, to be passed on), and words: `given.money(12.5)`, `given.span(low, high)`, `given.sure`, `given.within`; and
  `Asked`, the sections' own options, at `given.asked`.
- `customers.py`: the customers. `given.chunks()` yields them as summaries of at most `CHUNK` rows, whatever their
  number; `given.summary` is all of them at once. Both carry the column `given.by` and those of `Asked.carry`.
- `parts.py`: `Part`, what a section returns, and `LeftOut`, what it returns instead where its input is missing.
- `sections.py`: `SECTIONS`, in the order of the page.
- `writer.py`: runs the sections, and writes page, tables and decisions.json.
- `acquisition.py`: an example to follow; `retention.py` with `survey.py`: one that adds up over chunks of customers.

To add a section:

1. Write `decisions/report/<name>.py` with `def <name>(given: DecisionInputs) -> Part | LeftOut`. It calls the public
   function of `predclv.decisions`, and returns `Part(section, tables, facts)`: `predclv.report.blocks.Section` with the
   finding as its `title` (a plain sentence with its number) and a word or two as `short`; frames by name, which become
   <name>.parquet and <name>.csv; and what decisions.json says of it. Pictures come from `predclv.report.figures.draw`.
   Names from the data go through `plots.style.printable` or `shorten`; the template escapes all text.
2. Where it needs an option, add a field with a default to `Asked`, and return `LeftOut("reason; give --option")` where
   it was not given. An option that cannot be meant raises DataError or ValueError, which ends the run; too little data
   returns `LeftOut("not enough to say: ...")`, or says so in the section.
3. Add its line to `SECTIONS`, and its option to `decide` in `cli/decide_app.py` and `cli/decide_options.py`.
4. Never make arrays of customers × draws for all customers: go through `given.chunks()`.
"""

from __future__ import annotations

from predclv.decisions.report.writer import write_decision_report

__all__ = ["write_decision_report"]
