"""A test suite that pytest itself runs in the guest."""

import importlib.metadata
import os

import pytest


def test_temporary_folder_is_ours(tmp_path, tmp_path_factory):
    (tmp_path / "file").write_text("text")
    assert (tmp_path / "file").read_text() == "text"
    for folder in [tmp_path, tmp_path_factory.getbasetemp()]:
        assert folder.stat().st_uid == os.getuid()


def test_next_one_has_a_folder_of_its_own(tmp_path):
    assert list(tmp_path.iterdir()) == []


def test_scripts_of_a_package_lie_outside_of_its_folder():
    # pip's RECORD names them by `../../bin/`, which is in no granted folder.
    distribution = importlib.metadata.distribution("pytest")
    assert "../../bin/pytest," in distribution.read_text("RECORD")
    assert not distribution.locate_file("../../bin/pytest").exists()
    names = {str(file) for file in distribution.files}
    assert "pytest/__init__.py" in names and "../../bin/pytest" not in names


@pytest.mark.parametrize("number", range(3))
def test_parameters(number, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"{number}").touch()
    assert os.listdir(".") == [f"{number}"]


@pytest.mark.xfail(strict=True)
def test_assertions_are_rewritten():
    assert [1, 2] == [1, 3]
