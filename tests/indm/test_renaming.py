"""A finished file gets its name, even if another program has it open on Windows."""

from pathlib import Path

import pytest

from dmlink.indm import renaming


@pytest.fixture
def held(monkeypatch):
    """Return a function that makes renaming fail for a number of attempts."""

    def held(times):
        attempts = []
        for name in ("rename", "replace"):
            real = getattr(Path, name)

            def refusing(path, to, real=real):
                attempts.append(path)
                if len(attempts) <= times:
                    raise PermissionError(13, "somebody has it open", str(path))
                return real(path, to)

            monkeypatch.setattr(Path, name, refusing)
        return attempts

    return held


@pytest.mark.parametrize("overwrite", [True, False])
def test_held_file_is_renamed_later(tmp_path, monkeypatch, held, overwrite):
    monkeypatch.setattr(renaming, "HELD_SECONDS", 60.0)
    (tmp_path / "made").write_text("new", "utf-8")
    attempts = held(3)
    renaming.give_name(tmp_path / "made", tmp_path / "name", overwrite=overwrite)
    assert len(attempts) == 4
    assert (tmp_path / "name").read_text("utf-8") == "new"


def test_held_for_too_long_is_an_error(tmp_path, monkeypatch, held):
    monkeypatch.setattr(renaming, "HELD_SECONDS", 0.1)
    held(10**9)
    with pytest.raises(PermissionError, match="somebody has it open"):
        renaming.give_name(tmp_path / "made", tmp_path / "name")
