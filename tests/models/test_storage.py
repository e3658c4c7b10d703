"""Saved models: exact round trip, clear refusal, nothing run."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest

import predclv as pc
from predclv.errors import ModelFileError


@pytest.fixture
def saved(clv, tmp_path):
    clv.save(tmp_path / "model")
    return tmp_path / "model"


def edit(folder, **changes):
    manifest = json.loads((folder / "model.json").read_text())
    manifest.update(changes)
    (folder / "model.json").write_text(json.dumps(manifest))


def test_round_trip_is_exact(clv, cdnow, saved):
    again = pc.load(saved)
    assert isinstance(again, pc.CLV)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pd.testing.assert_frame_equal(again.predict(cdnow, "1 year"), clv.predict(cdnow, "1 year"))
    for mine, theirs in ((again.transactions_, clv.transactions_), (again.spend_, clv.spend_)):
        np.testing.assert_array_equal(mine.posterior_.draws_array(), theirs.posterior_.draws_array())
        np.testing.assert_array_equal(mine.posterior_.point_array, theirs.posterior_.point_array)
        assert mine.fingerprint_ == theirs.fingerprint_
        assert mine.posterior_.diagnostics == theirs.posterior_.diagnostics
    pd.testing.assert_frame_equal(again.summary, clv.summary)


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="counts threads where the system lists them")
def test_reading_starts_no_threads(saved):
    """A thread that is at work when a short program ends aborts it, and the exit code is lost."""
    count = "len(os.listdir('/proc/self/task'))"
    read = "storage._read_draws(path, sha)"
    said = f"import os; from predclv.models import storage; n = {count}; {read}; print({count} - n)"
    path = next(saved.glob("*.parquet"))
    given = (
        f"from pathlib import Path; path = Path({str(path)!r}); sha = {hashlib.sha256(path.read_bytes()).hexdigest()!r}"
    )
    run = subprocess.run([sys.executable, "-c", f"{given}; {said}"], capture_output=True, text=True, check=True)
    assert run.stdout == "0\n"


def test_single_models_too(bg, cdnow, tmp_path):
    bg.save(tmp_path / "bg")
    again = pc.load(tmp_path / "bg")
    assert isinstance(again, pc.BGNBD)
    pd.testing.assert_frame_equal(again.predict(cdnow, 39), bg.predict(cdnow, 39))
    again.save(tmp_path / "again")
    assert (tmp_path / "again" / "model.json").read_bytes() == (tmp_path / "bg" / "model.json").read_bytes()


def test_holds_parameters_and_no_customers(saved, cdnow):
    assert sorted(p.name for p in saved.iterdir()) == ["model.json", "spend.parquet", "transactions.parquet"]
    assert sum(p.stat().st_size for p in saved.iterdir()) < 200_000
    manifest = json.loads((saved / "model.json").read_text())
    assert manifest["schema_version"] == 1
    fingerprint = manifest["models"]["transactions"]["fingerprint"]
    assert fingerprint["n_customers"] == len(cdnow) == 2357
    assert fingerprint["time_unit"] == "week"
    assert fingerprint["observation_end"] == "1997-09-30"


def test_saving_again_replaces_a_model_and_nothing_else(clv, saved, tmp_path):
    clv.save(saved)
    other = tmp_path / "other"
    other.mkdir()
    (other / "thesis.txt").write_text("years of work")
    with pytest.raises(ModelFileError, match="did not write there"):
        clv.save(other)
    assert (other / "thesis.txt").read_text() == "years of work"
    (saved / "notes.txt").write_text("mine")
    with pytest.raises(ModelFileError, match=r"first: 'notes\.txt'"):
        clv.save(saved)
    assert sorted(os.listdir(saved)) == ["model.json", "notes.txt", "spend.parquet", "transactions.parquet"]
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelFileError, match="is a file"):
        clv.save(tmp_path / "file")
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".")]


def missing(folder):
    (folder / "model.json").unlink()


def no_draws(folder):
    (folder / "spend.parquet").unlink()


def altered_draws(folder):
    content = bytearray((folder / "spend.parquet").read_bytes())
    content[200] ^= 1
    (folder / "spend.parquet").write_bytes(content)


def truncated_manifest(folder):
    text = (folder / "model.json").read_text()
    (folder / "model.json").write_text(text[: len(text) // 2])


def a_list(folder):
    (folder / "model.json").write_text("[]")


def deep(folder):
    (folder / "model.json").write_text("[" * 100_000)


def newer(folder):
    edit(folder, schema_version=2, package_version="9.0")


def no_version(folder):
    edit(folder, schema_version="1")


def foreign(folder):
    edit(folder, package="lifetimes")


def unknown_model(folder):
    manifest = json.loads((folder / "model.json").read_text())
    manifest["models"]["spend"]["key"] = "os.system"
    edit(folder, models=manifest["models"])


def wrong_point(folder):
    manifest = json.loads((folder / "model.json").read_text())
    manifest["models"]["spend"]["posterior"]["point"][0] = -1.0
    edit(folder, models=manifest["models"])


def swapped(folder):
    manifest = json.loads((folder / "model.json").read_text())
    manifest["models"]["spend"] = manifest["models"]["transactions"]
    edit(folder, models=manifest["models"])


def no_models(folder):
    edit(folder, models=None)


def climbing(folder):
    (folder.parent / "secret.parquet").write_bytes(b"")
    edit(folder, files={"../secret.parquet": "0"})


def a_link(folder):
    target = folder.parent / "elsewhere.parquet"
    (folder / "spend.parquet").rename(target)
    (folder / "spend.parquet").symlink_to(target)


def a_linked_manifest(folder):
    target = folder.parent / "elsewhere.json"
    (folder / "model.json").rename(target)
    (folder / "model.json").symlink_to(target)


def a_pickle(folder):
    (folder / "spend.parquet").write_bytes(pickle.dumps({"draws": 1}))


def setting(*path, to):
    """Damage that puts a value into the transaction model's part of the manifest, or into another's."""

    def damage(folder):
        manifest = json.loads((folder / "model.json").read_text())
        inner = manifest["models"]
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = to
        edit(folder, models=manifest["models"])

    return damage


def draws(change):
    """Damage to the table of draws, checksum and all."""

    def damage(folder):
        change(pd.read_parquet(folder / "spend.parquet")).to_parquet(folder / "spend.parquet")
        digest = hashlib.sha256((folder / "spend.parquet").read_bytes()).hexdigest()
        files = json.loads((folder / "model.json").read_text())["files"]
        edit(folder, files={**files, "spend.parquet": digest})

    return damage


def other_unit(folder):
    setting("spend", "fingerprint", "time_unit", to="day")(folder)


def true_version(folder):
    edit(folder, schema_version=True)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (missing, "holds no model"),
        (no_draws, "missing or cannot be read"),
        (altered_draws, "checksum"),
        (truncated_manifest, "cannot be read"),
        (a_list, "not written by predclv"),
        (deep, "cannot be read"),
        (newer, r"written by predclv 9.0 in schema 2.*Upgrade"),
        (no_version, "schema_version is '1'"),
        (foreign, "not written by predclv"),
        (unknown_model, r"unknown kind: 'os.system'"),
        (wrong_point, "damaged"),
        (swapped, "damaged"),
        (no_models, "damaged"),
        (climbing, "outside its folder"),
        (a_link, "symbolic link"),
        (a_linked_manifest, "symbolic link"),
        (a_pickle, "checksum"),
        (true_version, "schema_version is True"),
        (other_unit, "time_unit = 'week', the spend model with 'day'"),
        (draws(lambda table: table.astype({"p": str})), "floating-point"),
        (draws(lambda table: table.head(10)), "10 draws; forecasts need 1,024"),
        (draws(lambda table: table.assign(p=np.nan)), "outside the parameters' domain"),
        (draws(lambda table: table.rename(columns={"p": "z"})), r"draws are of \['z', 'q', 'gamma'\]"),
        (setting("transactions", "fingerprint", "longest_age", to="x"), "'longest_age' .* is 'x'"),
        (setting("transactions", "fingerprint", "longest_age", to=None), "'longest_age' .* is None"),
        (setting("transactions", "fingerprint", "n_customers", to=True), "'n_customers' .* is True"),
        (setting("transactions", "fingerprint", "time_unit", to="fortnight"), "Got 'fortnight'"),
        (setting("transactions", "fingerprint", "observation_end", to="soon"), "soon"),
        (setting("transactions", "settings", "method", to="bogus"), "'method' .*Got 'bogus'"),
        (setting("transactions", "settings", "random_state", to="x"), "'random_state' .*Got 'x'"),
        (setting("transactions", "posterior", "method", to="bogus"), "unknown method, 'bogus'"),
        (setting("transactions", "posterior", "point", to=["1", "2", "3", "4"]), "'point' holds no finite numbers"),
        (setting("transactions", "posterior", "covariance_unconstrained", to=(-np.eye(4)).tolist()), "no covariance"),
        (setting("transactions", "posterior", "diagnostics", to=[]), "'diagnostics' is no mapping"),
        (setting("transactions", "posterior", "diagnostics", "runaway", to={"a": "up"}), "'runaway'"),
        (setting("spend", "posterior", "diagnostics", to={}), "lacks 'dependence'"),
        (setting("spend", "posterior", "diagnostics", "n_left_out", to="2"), "no finite number"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_damage_is_named(saved, damage, message):
    damage(saved)
    with pytest.raises(ModelFileError, match=message):
        pc.load(saved)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ModelFileError, match="holds no model"):
        pc.load(tmp_path / "nowhere")
