"""Settings of views and cells that a notebook keeps and restores, without a browser."""

from __future__ import annotations

import json

import pytest
from dmlink_widgets.drawing.contrast import PRESETS
from dmlink_widgets.panels.cell_panel import CellPanel
from dmlink_widgets.panels.kept_picture import KeptPicture
from dmlink_widgets.panels.live_view import LiveView
from test_live_view import link, seen, until, view, wait_for  # noqa: F401 - fixtures of the live view
from test_tools import draw

import dmlink


def saved_view(view):  # noqa: F811
    """Return a view's settings as saved in a notebook."""
    return json.loads(json.dumps(view.settings()))


def test_view_is_as_it_was(view, link):  # noqa: F811
    view._contrast._map.value = "viridis"
    view._contrast._gamma.value = 2.0
    wait_for(view, lambda: view._overlay.shape != [1, 1])
    view._overlay.viewport = [0.0, 0.0, 16.0, 20.0]
    view._fft.value = True
    draw(view, "ruler", (10, 10), (10, 30))
    draw(view, "ring", (30, 30), (30, 50), (30, 40))
    link.set_roi("roi", dmlink.Roi(1, 2, 9, 9))
    until(link, lambda: set(link.rois()) == {"ring1", "roi"})
    saved = saved_view(view)
    link.remove_roi("ring1")
    link.remove_roi("roi")
    until(link, lambda: not link.rois())
    again = LiveView(link)
    seen(again)
    again._restore(saved)
    assert saved_view(again)["rois"].keys() <= {"ring1", "roi"}  # as soon as DigitalMicrograph has drawn them
    until(link, lambda: set(link.rois()) == {"ring1", "roi"})
    assert saved_view(again) == saved
    assert link.rois()["ring1"].outline.kind == "ring"
    assert again._choice.widget.layout.display == "none"
    again.close()


def test_only_a_click_moves_rois_in_dm(view, link):  # noqa: F811
    link.set_roi("roi", dmlink.Roi(1, 2, 9, 9))
    until(link, lambda: "roi" in link.rois())
    view._restore({"rois": {"roi": [[4, 4, 8, 8], None], "other": [[0, 0, 3, 3], None]}})
    assert view._choice.widget.layout.display is None
    assert link.rois() == {"roi": (1, 2, 9, 9)}
    view._choice._button.click()
    until(link, lambda: link.rois() == {"roi": (4, 4, 8, 8), "other": (0, 0, 3, 3)})
    view._choice._button.click()
    until(link, lambda: link.rois() == {"roi": (1, 2, 9, 9)})


@pytest.mark.parametrize(
    ("saved", "refused"),
    [
        ({"contrast": {"percentiles": [99, 1]}}, "contrast"),
        ({"contrast": {**vars(PRESETS["diffraction"]), "colours": "<b>"}}, "contrast"),
        ({"contrast": 3}, "contrast"),
        ({"zoom": [[64, 96], [0, 0, 1e9, 9]]}, "zoom"),
        ({"zoom": [[3, 3], [0, 0, 2, 2]]}, "zoom"),
        ({"zoom": [[64, 96], [float("nan"), 0, 2, 2]]}, "zoom"),
        ({"tools": {"gone": True}}, "tool gone"),
        ({"tools": []}, "tools"),
        ({"rulers": [[[1, 2]]]}, "rulers"),
        ({"rulers": "abc"}, "rulers"),
        ({"rois": {"roi": [[4, 4, 2, 2], None]}}, "roi roi"),
        ({"rois": {"<b>": [[1, 2, 3, 4], ["star", []]]}}, "roi &lt;b&gt;"),
    ],
)
def test_edited_settings_are_left_out_with_one_note(view, link, saved, refused):  # noqa: F811
    wait_for(view, lambda: view._overlay.shape != [1, 1])
    view._restore({**saved, "unknown": 1, "docked": False})
    assert refused in view._message.value
    assert view._message.value.count("cannot be used") == 1
    assert link.rois() == {}


@pytest.mark.parametrize("saved", [None, 3, [], "text", {}, {"contrast": None}])
def test_settings_of_any_type_are_survived(view, saved):  # noqa: F811
    view._restore(saved)
    assert "cannot be used" not in view._message.value


def test_settings_are_used_once_in_a_kernel(view, monkeypatch):  # noqa: F811
    monkeypatch.setattr(KeptPicture, "restored", set())
    contrast = {**vars(view._contrast.contrast), "gamma": 3.0}
    view.kept._answer({"saved": {"contrast": contrast}})
    assert view._contrast.contrast.gamma == 3.0
    view._contrast._gamma.value = 1.0
    view.kept._answer({"saved": {"contrast": contrast}})
    assert view._contrast.contrast.gamma == 1.0


def test_parameters_are_as_they_were():
    text = "a: (0, 9) = 3\nb: bool = True\nc: (0, 9) = 1\nframe.mean()"
    panel = CellPanel(dmlink.LiveCell(text, "kept"))
    panel.cell.set(a=7, b=False)
    assert panel.settings() == {"parameters": {"a": [3, 7], "b": [True, False]}}
    saved = {"a": [3, 7], "b": [True, "no"], "c": [2, 5], "gone": [1, 2], "d": 3}
    again = CellPanel(dmlink.LiveCell(text, "kept"))
    again._restore({"parameters": saved})
    assert {name: p.value for name, p in again.cell.parameters.items()} == {"a": 7, "b": True, "c": 1}
    assert again.kept.key == panel.kept.key == "cell kept"
    for refused in ("parameter b", "parameter gone", "parameter d"):
        assert refused in again._message.value
    panel.close()
    again.close()
