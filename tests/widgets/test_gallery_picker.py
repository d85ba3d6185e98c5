"""The gallery as pictures, without a browser: each cell has a sentence and runs on its demo recording."""

from __future__ import annotations

import io

import PIL.Image
import pytest
from dmlink_widgets.panels.gallery_picker import THUMBNAILS, GalleryPicker
from microscopes import until

from dmlink import gallery


@pytest.mark.parametrize("name", gallery.names())
def test_each_cell_has_a_sentence_and_a_thumbnail(name):
    sentence = gallery.sentence(name)
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert 20 < len(sentence) < 320
    data = (THUMBNAILS / f"{name}.png").read_bytes()
    assert len(data) < 40_000
    assert PIL.Image.open(io.BytesIO(data)).size == (220, 150)


def test_cell_tried_replaces_the_previous_one(tmp_path, monkeypatch):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path))
    picker = GalleryPicker()
    picker.try_out("running_difference")
    first = picker.cell
    until(first.link, lambda: first.latest is not None)
    picker.try_out("denoise")
    assert not first.running
    assert first.link.closed
    assert picker.cell.running
    assert "%live load gallery/denoise" in picker._message.value
    last = picker.cell
    picker.close()
    assert not last.running
    assert last.link.closed


def test_recording_that_cannot_be_made_is_reported(monkeypatch):
    def full(_):
        raise OSError("No space left on device")

    monkeypatch.setattr(gallery, "example", full)
    picker = GalleryPicker()
    picker.try_out("drift")
    assert "drift cannot be tried: No space left" in picker._message.value
    picker.close()
