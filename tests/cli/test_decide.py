"""`predclv decide`: the folder it writes, what it prints, and what it refuses."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from command_line import AS_OF, COLUMNS, check_refusal, shell
from predclv.cli import main
from predclv.cli.decide_values import read_amounts
from predclv.errors import DataError

MONEY = ["--margin", "0.4", "--horizon", "26 weeks", "--currency", "EUR"]
# Longer than the log, so that nothing can be tested, which takes no time.
UNTESTED = ["--backtest-horizon", "3 years"]
DECIDE = [*COLUMNS, *AS_OF, *MONEY]


@pytest.fixture(scope="module")
def decided(log, tmp_path_factory):
    """Standard output, as JSON, and the folder."""
    out = tmp_path_factory.mktemp("decide") / "out"
    asked = ["--by", "channel", "--cac", "web=30,shop=5", "--offer-cost", "2", "--lift", "0.2", "--top", "3"]
    ran = shell("decide", log, *DECIDE, *asked, "--out", str(out), "--json")
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout), out


@pytest.mark.slow
def test_the_folder_holds_page_tables_facts_and_model(decided):
    told, out = decided
    assert sorted(told["files"]) == sorted(entry.name for entry in out.iterdir())
    assert {"report.html", "decisions.json", "model", "acquisition.csv", "acquisition.parquet"} <= set(told["files"])
    facts = json.loads((out / "decisions.json").read_text(encoding="utf-8"))
    assert facts["decisions"] == told["decisions"]
    table = pd.read_parquet(out / "acquisition.parquet")
    assert [row["channel"] for row in facts["decisions"]["acquisition"]["channels"]] == table["channel"].tolist()
    assert "EUR" in (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_saved_model_gives_the_same(decided, log, tmp_path, capsys):
    told, out = decided
    cac = tmp_path / "cac.csv"
    cac.write_text("channel,cac\nweb,30\nshop,5\n", encoding="utf-8")
    model = ["--model", str(out / "model"), "--by", "channel", "--cac", str(cac), *UNTESTED]
    assert main(["decide", log, *DECIDE, *model, "--out", str(tmp_path / "out"), "--json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["decisions"]["acquisition"] == told["decisions"]["acquisition"]
    assert again["left_out"]["formulas"].startswith("not enough to say")


@pytest.mark.slow
def test_every_section_is_there(decided):
    told, out = decided
    assert {"acquisition", "retention", "formulas"} <= set(told["decisions"])
    assert set(told["decisions"]).isdisjoint(told["left_out"])
    methods = {row["method"]: row for row in told["decisions"]["formulas"]["methods"]}
    assert set(methods) == {"forecast", "past, carried on", "five-step formula", "retention formula"}
    assert methods["forecast"]["low"] < methods["forecast"]["clv"] < methods["forecast"]["high"]
    assert told["decisions"]["retention"]["offer"]["cost"] == 2
    assert len(pd.read_csv(out / "offers.csv")) == told["customers"]


def test_options_from_a_file(log, tmp_path, capsys):
    config = tmp_path / "decide.toml"
    config.write_text('margin = 0.4\nhorizon = "26 weeks"\ncac = "12"\ntarget = 2\n', encoding="utf-8")
    common = [*COLUMNS, *AS_OF, *UNTESTED, "--config", str(config), "--out", str(tmp_path / "out"), "--quiet"]
    assert main(["decide", log, *common]) == 0
    assert capsys.readouterr().out == ""
    facts = json.loads((tmp_path / "out" / "decisions.json").read_text(encoding="utf-8"))
    assert facts["decisions"]["acquisition"]["settings"]["target"] == 2
    assert [row["cac"] for row in facts["decisions"]["acquisition"]["channels"]] == [12]


def test_a_budget_from_a_file(log, tmp_path):
    curves = tmp_path / "curves.csv"
    curves.write_text("channel,most,half\nall,500,4000\n", encoding="utf-8")
    asked = ["--cac", "5", "--budget", "1000", "--curves", str(curves), *UNTESTED]
    assert main(["decide", log, *DECIDE, *asked, "--out", str(tmp_path / "out"), "--quiet"]) == 0
    facts = json.loads((tmp_path / "out" / "decisions.json").read_text(encoding="utf-8"))
    assert facts["decisions"]["budget"]["channels"][0]["channel"] == "all"


BAD_CURVES = {
    "channel,most\nall,500\n": "'half'",
    "channel,most,half\n": "no rows",
    "channel,most,half\nall,1,2\nall,1,2\n": "'all' twice",
    "channel,most,half\nall,many,2\n": "'many'",
    "channel,most,half\nall,0,2\n": "above 0",
    "channel;most;half\nall;500;4000\n": "its columns are 'channel;most;half'. It needs channel, most, half",
    "channel,most,half\nall,500,4000,5\n": "line 2: more values than columns, first for channel 'all'",
    "": "no column 'channel', nor any other",
    b"channel,most,half\nS\xfcd,500,4000\n": "no text in UTF-8",
}


@pytest.mark.parametrize("text", BAD_CURVES)
def test_bad_curves_are_refused(text, log, tmp_path, capsys):
    curves = tmp_path / "curves.csv"
    curves.write_bytes(text if isinstance(text, bytes) else text.encode())
    asked = ["--cac", "5", "--budget", "1000", "--curves", str(curves), "--out", str(tmp_path / "out")]
    check_refusal(main(["decide", log, *DECIDE, *asked]), capsys.readouterr(), [BAD_CURVES[text]])


def test_arrivals_and_costs_from_files_take_names_with_commas(tmp_path):
    text = 'channel,{}\n"paid, search",30\n<b>shop</b>,5.5\n'
    for option in ("--cac", "--arrivals"):
        path = tmp_path / f"{option}.csv"
        path.write_text(text.format(option.removeprefix("--")), encoding="utf-8")
        assert read_amounts(str(path), option) == {"paid, search": 30.0, "<b>shop</b>": 5.5}
    with pytest.raises(DataError, match="no column 'arrivals'"):
        read_amounts(str(tmp_path / "--cac.csv"), "--arrivals")
    # A decimal comma must not pass for two values, of which the second is dropped.
    path.write_text("channel,arrivals\nshop,1,5\n", encoding="utf-8")
    with pytest.raises(DataError, match="decimals"):
        read_amounts(str(path), "--arrivals")


REFUSED = {
    "channel without a cost": (["--by", "channel", "--cac", "web=30"], ["lacks 1 of 2 channels", "'shop'"]),
    "cost of zero": (["--by", "channel", "--cac", "web=0,shop=5"], ["'web'", "above 0"]),
    "one number of arrivals for channels": (["--by", "channel", "--arrivals", "100"], ["--arrivals", "each channel"]),
    "arrivals of channels nobody named": (["--arrivals", "web=100"], ["--arrivals", "without --by"]),
    "cost without bound": (["--cac", "inf"], ["inf", "a number above 0"]),
    "cost below zero": (["--cac", "-4"], ["-4", "above 0"]),
    "cost of no channel": (["--by", "channel", "--cac", "web=3,shop=5,mall=2"], ["'mall'"]),
    "cost that is no number": (["--by", "channel", "--cac", "web=much,shop=5"], ["'web'", "'much'"]),
    "cost without a channel": (["--cac", "=5"], ["--cac", "'=5'"]),
    "channel named twice": (["--cac", "web=5,web=6"], ["'web' twice"]),
    "costs by channel without channels": (["--cac", "web=5,shop=6"], ["no channels", "--by"]),
    "costs in no file": (["--cac", "nothing.csv"], ["nothing.csv"]),
    "margin above 1": (["--margin", "40"], ["margin", "0.40"]),
    "segment column that is missing": (["--by", "chanel"], ["--by chanel: ", "Did you mean 'channel'?"]),
    "arm column that is missing": (["--arm", "group"], ["--arm group: the log has no such column"]),
    "attribute that is missing": (["--drivers", "channel,pln"], ["--drivers pln: the log has no such column"]),
    "segment that changes within a customer": (["--by", "paid"], ["paid"]),
    "level in percent": (["--level", "95"], ["0.95"]),
    "confidence in percent": (["--cac", "5", "--confidence", "90"], ["confidence", "0.9"]),
    "target of nothing": (["--cac", "5", "--target", "0"], ["target"]),
    "curves of channels nobody named": (
        ["--cac", "5", "--budget", "100", "--curves", "CURVES"],
        ["'curves'", "first: 'web'", "'all'"],
    ),
    "budget of nothing": (["--cac", "5", "--budget", "0", "--curves", "CURVES"], ["'budget'", "above 0"]),
    "control of no experiment": (["--control", "A"], ["'control'", "give 'arm'"]),
    "control that is no arm": (["--arm", "channel", "--control", "mail"], ["'mail'", "'shop', 'web'"]),
    "start after the end": (["--arm", "channel", "--arm-start", "2030-01-01"], ["2030-01-01", "as-of date"]),
    "start before the first purchase": (["--arm", "channel", "--arm-start", "1990-01-01"], ["Nobody had bought"]),
    "difference below zero": (["--arm", "channel", "--detect", "-1"], ["'detect'", "above 0"]),
    "attribute named twice": (["--drivers", "channel,channel"], ["'channel'", "more than once"]),
    "offer without its lift": (["--offer-cost", "3"], ["'offer_lift'", "go together"]),
    "lift in percent": (["--offer-cost", "3", "--lift", "20"], ["did you mean 0.2?"]),
    "nothing on the lists": (["--top", "0"], ["'top'"]),
    "test of nothing": (["--backtest-horizon", "soon"], ["soon"]),
    "model and method": (["--model", "m", "--method", "map"], ["--method", "--model"]),
    "model that is not there": (["--model", "nowhere"], ["nowhere"]),
    "too little memory": (["--memory-limit", "3MB"], ["3MB"]),
    "no opportunities": (["--transactions", "bg_bb"], ["--opportunities"]),
    "channels by maximum likelihood": (["--by", "channel", "--method", "mle"], ["segment"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused(case, log, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    options, said = REFUSED[case]
    curves = tmp_path.parent / f"{tmp_path.name}.csv"
    curves.write_text("channel,most,half\nweb,500,4000\n", encoding="utf-8")
    options = [str(curves) if option == "CURVES" else option for option in options]
    code = main(["decide", log, *DECIDE, *options, "--out", "out"])
    check_refusal(code, capsys.readouterr(), said)
    assert list(tmp_path.iterdir()) == []


def test_a_log_without_money_is_told_where_to_go(log, tmp_path, capsys):
    columns = COLUMNS[: COLUMNS.index("--amount")]
    code = main(["decide", log, *columns, "--out", str(tmp_path / "out")])
    check_refusal(code, capsys.readouterr(), ["--amount", "predclv score"])


def test_a_folder_of_others_is_left_alone(log, tmp_path, capsys):
    (tmp_path / "mine.txt").write_text("mine", encoding="utf-8")
    assert main(["decide", log, *DECIDE, "--out", str(tmp_path)]) == 2
    assert "mine.txt" in capsys.readouterr().err
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.txt"]
