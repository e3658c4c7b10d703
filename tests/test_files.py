"""Files and folders are written whole or not at all, and nothing of somebody else's is lost."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from predclv.files import check_replaceable, replace_file, replace_folder, write_text

MANIFEST = "made.json"


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def fill(folder: Path, text: str, *files: str) -> None:
    for name in files:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    top = sorted({Path(name).parts[0] for name in files})
    (folder / MANIFEST).write_text(json.dumps({"files": top}))


def stop() -> None:
    raise RuntimeError("stop")


def test_a_file_appears_whole_and_its_folders_with_it(tmp_path):
    write_text(tmp_path / "a" / "b.txt", "zwölf\n")
    assert (tmp_path / "a" / "b.txt").read_bytes() == "zwölf\n".encode()
    assert names(tmp_path / "a") == ["b.txt"]


def test_a_failed_file_leaves_the_old_one(tmp_path):
    write_text(tmp_path / "b.txt", "old")
    with pytest.raises(RuntimeError, match="stop"), replace_file(tmp_path / "b.txt") as temporary:
        temporary.write_text("half")
        stop()
    assert names(tmp_path) == ["b.txt"]
    assert (tmp_path / "b.txt").read_text() == "old"


def test_a_temporary_file_has_the_suffix_of_its_target(tmp_path):
    with replace_file(tmp_path / "table.csv.gz") as temporary:
        assert temporary.suffix == ".gz"
        assert temporary.parent == tmp_path
        temporary.touch()


def test_a_folder_is_replaced_as_a_whole(tmp_path):
    out = tmp_path / "deep" / "out"
    with replace_folder(out, manifest=MANIFEST) as folder:
        fill(folder, "1", "a.txt", "sub/b.txt")
        assert not out.exists()
    with replace_folder(out, manifest=MANIFEST) as folder:
        fill(folder, "2", "sub/c.txt")
    assert names(out) == [MANIFEST, "sub"]
    assert names(out / "sub") == ["c.txt"]
    assert names(tmp_path / "deep") == ["out"]


def test_a_failed_folder_leaves_the_old_one(tmp_path):
    out = tmp_path / "out"
    with replace_folder(out) as folder:
        fill(folder, "old", "a.txt")
    with pytest.raises(RuntimeError, match="stop"), replace_folder(out, manifest=MANIFEST) as folder:
        fill(folder, "new", "a.txt")
        stop()
    assert (out / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["out"]


def test_a_swap_that_fails_half_way_is_undone(tmp_path, monkeypatch):
    out = tmp_path / "out"
    with replace_folder(out) as folder:
        fill(folder, "old", "a.txt")
    real, calls = os.replace, []

    def second_fails(source, target):
        calls.append(source)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")
        real(source, target)

    with pytest.raises(OSError, match="No space left"), replace_folder(out, manifest=MANIFEST) as folder:
        fill(folder, "new", "a.txt")
        monkeypatch.setattr(os, "replace", second_fails)
    assert (out / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("manifest", [None, MANIFEST])
def test_a_folder_with_other_things_in_it_is_refused(tmp_path, manifest):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(FileExistsError, match=r"1 entries .*'thesis\.txt'.*new or empty"):
        check_replaceable(tmp_path, manifest)
    with pytest.raises(FileExistsError, match=r"thesis\.txt"), replace_folder(tmp_path, manifest=manifest):
        pytest.fail("the block must not run")
    assert names(tmp_path) == ["thesis.txt"]


def test_a_file_added_to_our_folder_is_not_lost(tmp_path):
    out = tmp_path / "out"
    with replace_folder(out) as folder:
        fill(folder, "1", "a.txt")
    (out / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match=r"notes\.txt"):
        check_replaceable(out, MANIFEST)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"files": 3}', '{"other": []}', "\udcff"])
def test_a_damaged_manifest_protects_the_folder(tmp_path, text):
    (tmp_path / MANIFEST).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(FileExistsError):
        check_replaceable(tmp_path, MANIFEST)


def test_keep_others_replaces_namesakes_and_removes_what_it_wrote_before(tmp_path):
    fill(tmp_path, "1", "a.txt", "old.txt")
    (tmp_path / "notes.txt").write_text("mine")
    with replace_folder(tmp_path, manifest=MANIFEST, keep_others=True) as folder:
        fill(folder, "2", "a.txt", "new.txt")
    assert names(tmp_path) == ["a.txt", MANIFEST, "new.txt", "notes.txt"]
    assert (tmp_path / "a.txt").read_text() == "2"
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_manifest_cannot_name_a_file_elsewhere_for_removal(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "precious.txt").touch()
    (out / MANIFEST).write_text(json.dumps({"files": ["../precious.txt", "..", "."]}))
    with replace_folder(out, manifest=MANIFEST, keep_others=True) as folder:
        fill(folder, "2", "a.txt")
    assert names(tmp_path) == ["out", "precious.txt"]


def test_the_current_folder_is_filled_and_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inode = tmp_path.stat().st_ino
    for text in "12":
        with replace_folder(".", manifest=MANIFEST) as folder:
            fill(folder, text, "a.txt")
    assert tmp_path.stat().st_ino == inode
    assert names(tmp_path) == ["a.txt", MANIFEST]
    assert Path("a.txt").read_text() == "2"


def test_a_link_to_a_folder_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with replace_folder(tmp_path / "link") as folder:
        fill(folder, "1", "a.txt")
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path / "real") == ["a.txt", MANIFEST]


@pytest.mark.parametrize("path", ["file", "file/out", "file/deep/out"])
def test_a_file_in_the_way_is_named(tmp_path, path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file' is a file"):
        check_replaceable(tmp_path / path)


def test_a_folder_that_may_not_be_written_to_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(PermissionError, match="no permission to write in"):
        check_replaceable(tmp_path / "new" / "out")
    assert names(tmp_path) == []
