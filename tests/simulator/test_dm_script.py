"""DM-script as used by Python scripts: loops, functions, tags, images; unknown calls are reported."""

import pytest
from microscopes import PATIENCE, Noise

from dmlink.simulator import Microscope

DECLARED = """
void twice(TagGroup tags, number &n, string label){
    // a comment with a "quote"
    n = n * 2
    if(n > 100){ return; }
    tags.TagGroupSetTagAsString(label, "n is " + n);
}
TagGroup tags = GetPersistentTagGroup(); number n = 3
for(number i = 0; i < 10; i++){
    if(i == 4) break
    twice(tags, n, "run " + i)
}
string letters = "a:b:c", head; number at
while((at = letters.find(":")) >= 0){
    head.StringAppend(letters.left(at))
    letters = letters.right(letters.len() - at - 1)
}
tags.TagGroupSetTagAsString("head", head + letters)
tags.TagGroupSetTagAsLong("n", n)
number there = tags.TagGroupDoesTagExist("run 3") && !tags.TagGroupDoesTagExist("run 4")
tags.TagGroupSetTagAsBoolean("there", there)
"""


@pytest.fixture
def dm():
    with Microscope(Noise()) as dm:
        yield dm
        assert not dm.escaped


def run(dm, text, script=""):
    done = dm.run_script(f"import numpy as np\nDM.ExecuteScriptString({script!r})\n{text}")
    done.join()
    return done.output


def test_loops_and_functions_run(dm):
    tags = "t = DM.GetPersistentTagGroup()\nprint(t['run 2'], t['head'], t['n'], t['there'])"
    assert run(dm, tags, DECLARED) == ["n is 24 abc 48 True"]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("number a = 1\n\nvoid f(number b){\n  unknown(b)\n}\nf(a)", "line 4\n.*unknown"),
        ("for(number i = 0; i < 3; i++){", "line 1"),
        ('number a = len("a",\n"b")', "line 1"),  # GMS does not accept line breaks inside parentheses either
        ("number a\na = 1 / 0", "line 2"),
        ("void f(number b){ }\nf(1, 2)", "line 2\nf takes 1 arguments, not 2"),
    ],
)
def test_mistake_names_its_line(dm, script, reason):
    with pytest.raises(RuntimeError, match=f"(?s)Error in {reason}"):
        run(dm, "", script)


def test_dm_script_starts_python(dm):
    assert run(dm, "", 'ExecutePythonScriptString("print(6 * 7)", 1)') == []
    assert dm._results.wait_for("42", PATIENCE, lambda: False) == "42"


def test_colours_can_be_split_again(dm):
    text = (
        "planes = [DM.CreateImage(np.full((2, 3), v, np.uint8)) for v in (1, 2, 3)]\n"
        "labels = ', '.join(plane.GetLabel() for plane in planes)\n"
        "DM.ExecuteScriptString('rgb(' + labels + ').ShowImage()')\n"
        "number = DM.GetFrontImage().GetID()\n"
        "DM.ExecuteScriptString('image g := green(FindImageByID(%d))\\ng.ShowImage()' % number)\n"
        "print(DM.GetFrontImage().GetNumArray().tolist())"
    )
    assert run(dm, text) == ["[[2, 2, 2], [2, 2, 2]]"]


def test_digiscan_scans_the_recording(dm):
    text = (
        "image = DM.CreateImage(np.zeros((24, 32), np.uint32))\nimage.ShowImage()\n"
        "scan = DM.DS_CreateParameters(32, 24, 0, 2.0, False)\n"
        "DM.DS_SetParametersSignal(scan, 1, 4, True, image.GetID())\n"
        "DM.DS_StartAcquisition(scan, continuous=False, synchronous=True)\n"
        "DM.DS_DeleteParameters(scan)\n"
        "DM.DS_MoveBeamTo(3, 4)\nprint(image.GetNumArray().sum(), DM.DS_GetBeamDSPosition())"
    )
    total = Noise().stack[0][::2, ::2].sum()
    assert run(dm, text) == [f"{total} (3.0, 4.0)"]


def test_pairs_and_rectangles_have_text(dm):
    text = (
        "tags = DM.GetFrontImage().GetTagGroup()\npath = 'Acquisition:Parameters:High Level:'\n"
        "print(tags.GetTagAsString(path + 'CCD Read Area'), tags.GetTagAsString(path + 'Binning'))"
    )
    assert run(dm, text) == ["(True, '0, 0, 48, 64') (True, '1, 1')"]


def test_column_is_one_for_all_handles(dm):
    text = (
        "DM.Py_Microscope().SetBeamTilt(1, 2)\nDM.Py_Microscope().SetFocus(5)\n"
        "m = DM.Py_Microscope()\nprint(m.GetBeamTilt(), m.GetFocus(), isinstance(m, DM.Py_Microscope))"
    )
    assert run(dm, text) == ["(1.0, 2.0) 5.0 True"]
