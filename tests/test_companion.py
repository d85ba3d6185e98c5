"""What the companion promises inside of DigitalMicrograph: it never slows it, survives what happens there."""

import ast
import contextlib
import itertools
import sys
import threading
import time

import numpy as np
import pytest
import vermin
from microscopes import Noise, Raw, being_lost, link_threads, linked, microscope, number, run_companion, until

import dmlink
from dmlink import Roi, bundle
from dmlink import endpoint as endpoints
from dmlink.indm.changes import Changes
from dmlink.indm.protocol import CREDIT, FRAME, PING, PONG, SUBSCRIBE
from dmlink.indm.region import Picture, Region
from dmlink.simulator import Microscope

SWITCHES = [
    {},
    {"events": "queue"},
    {"events": "none"},
    {"references": "strong"},
    {"create_image": "none"},
    {"unregister_all": False},
    {"unit_bytes": False},
    {"stale_persistent": False},
    {"twice_per_frame": True},
    {"partial_frames": 4},
    {"partial_frames": 4, "twice_per_frame": True, "events": "queue"},
    {"version": (3, 52, 1), "unregister_all": False, "scipy_in_background": False},
    {"threads": "frozen", "argv": "missing"},
    {"do_events": "hang"},
]


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path))
    yield
    assert link_threads() == []


# In whatever DigitalMicrograph


@pytest.mark.parametrize(
    "switches", SWITCHES, ids=lambda s: ",".join(f"{k}={v}" for k, v in s.items()) or "default"
)
def test_it_serves_in_every_kind_of_digitalmicrograph(switches):
    recording = Noise()
    recording.x = dmlink.Axis(0.0, 0.5, "\N{MICRO SIGN}m")
    fps = 15 if "partial_frames" in switches else 50
    with linked(recording, fps, constants={"EVENTS_OVERDUE": 0.3, "STILL_SECONDS": 0.1}, **switches) as (
        dm,
        link,
    ):
        assert link.next(5).x == dmlink.Axis(0.0, 0.5, "um")
        paused(dm, link, recording)
        for _ in range(4):
            wanted = dm.camera.step()
            assert recording.number(link.next(5)) == wanted
        dm.camera.resume()
        link.set_roi("a", Roi(4, 4, 20, 20))
        until(link, lambda: "a" in link.rois())
        part = link.part("a")
        until(part, lambda: recording.has(part.next(5)))
        link.remove_roi("a")
        until(part, lambda: part.state == "waiting")
        link.show("mean", 3.0)
        link.show("image", np.eye(5))
        assert dm.window("mean").data[0, 0] == 3
        assert (dm.window("image").data == np.eye(5)).all()
        dm.restart_view(binning=2)
        until(link, lambda: link.next(5).data.shape == (24, 32))
        dm.close_view()
        until(link, lambda: link.state == "waiting")
        dm.restart_view(binning=1)
        until(link, lambda: link.next(5).data.shape == (48, 64))


def test_without_events_it_looks_at_the_view_and_says_so():
    with linked(fps=30, events="none") as (dm, link):
        assert dm.companion.wait_for("sends no events for this view")
        for _ in range(3):
            link.next(5)
        before, shown = link.next(5).index, dm.camera.written
        dm.wait_displayed(20)
        assert link.next(5).index - before >= 0.7 * (dm.camera.written - shown)


@pytest.mark.parametrize(
    "switches", [{"twice_per_frame": True}, {"partial_frames": 4}, {"partial_frames": 7}]
)
def test_a_frame_that_comes_in_parts_or_twice_is_one_frame_and_whole(switches):
    recording = Noise()
    with linked(recording, fps=12, events="queue", **switches) as (dm, link):
        first = paused(dm, link, recording)
        for counted in range(1, 9):
            wanted = dm.camera.step()
            frame = link.next(5)
            assert recording.number(frame) == wanted
            assert frame.index == first.index + counted


def paused(dm, link, recording):
    """Pause the camera and return a frame that was written then.

    A running one may write on while a late event is handled: then frames are torn, in DM itself.
    """
    dm.camera.pause()
    wanted = dm.camera.step()
    return until(
        link, lambda: recording.has(frame := link.next(5)) and recording.number(frame) == wanted and frame
    )


@pytest.fixture
def changes():
    return Changes()


def scan(image, changes, bands):
    """Fill the image band by band with new numbers; return what was said after each."""
    edges = np.linspace(0, len(image), bands + 1).astype(int)
    said = []
    for top, bottom in itertools.pairwise(edges):
        image[top:bottom] = np.random.default_rng().integers(0, 60000, image[top:bottom].shape)
        said.append(changes.complete(image))
    return said


@pytest.mark.parametrize("bands", [1, 2, 3, 4, 8, 32, 64])
@pytest.mark.parametrize("height", [64, 100, 1])
def test_a_scan_is_complete_with_its_last_row(changes, bands, height):
    image = np.zeros((height, 64), np.uint16)
    assert changes.complete(image)
    bands = min(bands, height)
    for _ in range(3):
        said = scan(image, changes, bands)
        assert said == [False] * (bands - 1) + [True]
        assert not changes.complete(image)


def test_a_scan_that_runs_already_is_waited_for(changes):
    image = np.zeros((64, 64), np.uint16)
    scan(image, changes, 1)
    image[32:48] = 1
    assert not changes.complete(image)
    image[48:] = 2
    assert changes.complete(image)
    assert scan(image, changes, 4) == [False, False, False, True]


def test_the_end_of_one_scan_and_the_beginning_of_the_next_are_no_frame(changes):
    image = np.zeros((64, 64), np.uint16)
    changes.complete(image)
    scan(image, changes, 4)
    image[:48] = 1
    assert not changes.complete(image)
    image[48:] = 1
    image[:16] = 2  # before we looked
    assert not changes.complete(image)
    image[16:] = 2
    assert changes.complete(image)


@pytest.mark.parametrize("dark", [slice(40, 64), slice(0, 20), slice(20, 40), slice(1, 63)])
def test_a_camera_with_rows_that_never_change_loses_one_frame_at_most(changes, dark):
    image = np.zeros((64, 64), np.uint16)
    changes.complete(image)
    said = []
    for value in range(1, 11):
        image[:] = value
        image[dark] = 0
        said.append(changes.complete(image))
    assert said.count(False) <= 1


def expose(image, electrons, random):
    """Fill the image with so many electrons per pixel."""
    image[:] = random.random(image.shape) < electrons


@pytest.mark.parametrize("electrons", [0.001, 0.002, 0.005, 0.02])
@pytest.mark.parametrize("shape", [(512, 512), (2048, 2048)])
def test_frames_with_few_electrons_are_seen(changes, electrons, shape):
    random, image = np.random.default_rng(1), np.zeros(shape, np.uint8)
    said = []
    for _ in range(100):
        expose(image, electrons, random)
        said.append(changes.complete(image))
    assert said.count(False) <= 3


def test_a_scan_with_few_electrons_is_waited_for(changes):
    random, image = np.random.default_rng(1), np.zeros((512, 512), np.uint8)
    changes.complete(image)
    for _ in range(10):
        said = []
        for top in range(0, 512, 128):
            expose(image[top : top + 128], 0.01, random)
            said.append(changes.complete(image))
        assert said == [False, False, False, True]


def test_a_scan_after_frames_with_few_electrons_is_waited_for(changes):
    random, image = np.random.default_rng(1), np.zeros((512, 512), np.uint8)
    for _ in range(30):
        expose(image, 0.002, random)
        changes.complete(image)
    assert [scan(image, changes, 4) for _ in range(3)] == [[False, False, False, True]] * 3


def test_another_shape_is_another_image(changes):
    assert changes.complete(np.zeros((8, 8)))
    assert changes.complete(np.zeros((8, 9)))
    assert changes.complete(np.zeros((8, 9), np.uint8))
    assert not changes.complete(np.zeros((8, 9), np.uint8))


def test_rows_that_never_change_do_not_hold_up_the_frames():
    recording = Noise()
    recording.stack[:, -20:] = 0
    with linked(recording, fps=100) as (dm, link):
        first, shown = link.next(5), dm.displayed
        dm.wait_displayed(40)
        frame = link.next(5)
        recording.number(frame)
        assert frame.index - first.index >= 0.8 * (dm.displayed - shown) - 3


def test_gms_3_5_0_is_refused_with_the_reason(tmp_path):
    with microscope(companion=False, version=(3, 50, 1)) as dm:
        script = dm.run_script(bundle.companion(0))
        script.join()
        assert "GMS 3.5.0 and 3.5.1 crash" in "\n".join(script.output)
        assert not list(tmp_path.iterdir())


def test_a_script_on_the_main_thread_serves_while_dm_goes_on_and_can_be_run_again():
    with linked(background=False, fps=50) as (dm, link):
        for _ in range(5):
            link.next(5)
        shown = dm.displayed
        dm.wait_displayed(20)
        assert dm.displayed > shown
        with being_lost(link):
            run_companion(dm, background=False)
        assert link.next(5)
        assert endpoints.find() == link.endpoint


def test_without_any_image_it_waits_for_one():
    with microscope(companion=False) as dm:
        dm.close_view()
        endpoint = run_companion(dm)
        with dmlink.connect(endpoint) as link:
            until(link, lambda: link.state == "waiting" and "start the live view" in link.reason)
            dm.restart_view()
            until(link, lambda: link.state == "live")
            assert link.next(5).source == "Gold"


def test_the_camera_can_feed_it_without_a_view():
    recording = Noise()
    constants = {"FEED": "camera", "CAMERA_EXPOSURE": 0.02}
    with microscope(recording, companion=False) as dm:
        dm.close_view()
        endpoint = run_companion(dm, constants)
        with dmlink.connect(endpoint) as link:
            frames = [link.next(5) for _ in range(6)]
            assert frames[0].source == "dmlink camera"
            assert len({recording.number(frame) for frame in frames}) > 1
            assert frames[-1].x == dmlink.Axis(-8.0, 0.5, "nm")
        dm.companion.stop()
        dm.companion.join()
        dm.close_window("dmlink camera")


def test_ctrl_shift_q_ends_it_and_takes_the_endpoint_away(tmp_path):
    with linked() as (dm, link):
        link.next(5)
        dm.companion.stop()
        dm.companion.join()
        assert not (tmp_path / "endpoint.json").exists()
        until(link, lambda: link.state == "lost")


def test_what_fails_at_the_end_keeps_nothing_else_from_ending(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("DM does not want to")

    monkeypatch.setattr("dmlink.simulator.acquisition.Py_Camera.StopContinuousAcquisition", fail)
    with Microscope(Noise(), fps=50) as dm:
        dm._module.Py_ScriptObject.UnregisterAllListeners = fail
        with dmlink.connect(run_companion(dm, {"FEED": "camera"})) as link:
            link.next(5)
            dm.companion.stop()
            dm.companion.join()
            assert not (tmp_path / "endpoint.json").exists()
            until(link, lambda: link.state == "lost")
        assert dm.companion.output[-1] == "RuntimeError: DM does not want to"  # of the camera


@pytest.fixture
def restless():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads take turns all the time
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("restless")
def test_a_picture_is_sent_as_it_was_taken_though_the_listener_writes_the_next():
    region, size, sent = Region(None), 256, 0
    over = threading.Event()

    def listen():
        for i in range(30000):
            memory = region.memory(size)
            memory[:] = bytes([i % 251]) * size
            region.mailbox.append(Picture(region, {"index": i}, memory))
        over.set()

    listener = threading.Thread(target=listen)
    listener.start()
    while not over.is_set() or region.mailbox:
        picture = region.take()
        if picture:
            sent += 1
            assert set(picture.pixels) == {picture.header["index"] % 251}
            region.give_back(picture.pixels)
    listener.join()
    assert sent


def test_a_frame_of_a_slow_replay_is_one_frame_though_its_event_is_late():
    constants = {"EVERY_EVENT": True, "EVENTS_OVERDUE": 0.0}
    recording = Noise()
    with linked(recording, fps=30, mode="lossless", constants=constants, events="queue") as (_, link):
        numbers = [recording.number(link.next(5)) for _ in range(40)]
    assert all(one != other for one, other in itertools.pairwise(numbers))


# Never slowed


def test_the_live_view_and_other_links_go_on_beside_a_dead_one():
    with microscope(Noise(shape=(512, 512)), fps=60) as dm, contextlib.ExitStack() as stack:
        dead = stack.enter_context(Raw(dm.endpoint, buffer=4096))
        dead.send(CREDIT, n=100)
        links = [stack.enter_context(dmlink.connect(dm.endpoint)) for _ in range(3)]
        for _ in range(50):
            for link in links:
                link.next(5)
        dm.wait_displayed(50)


def test_two_links_get_their_own_regions():
    with linked() as (dm, link), dmlink.connect(dm.endpoint) as other:
        link.set_roi("a", Roi(0, 0, 8, 8))
        until(other, lambda: "a" in other.rois())
        part = other.part("a")
        for _ in range(10):
            assert link.next(5).data.shape == (48, 64)
            assert other.next(5).data.shape == (48, 64)
            assert part.next(5).data.shape == (8, 8)


def test_a_link_that_does_not_read_is_dropped_and_holds_nobody():
    with linked(Noise(shape=(1024, 1024)), constants={"STALLED_SECONDS": 0.5}) as (dm, link):
        with Raw(dm.endpoint) as stalled:
            stalled.send(CREDIT, n=1000)
            begun = time.monotonic()
            while time.monotonic() - begun < 1.2:
                link.next(5)
            stalled.socket.settimeout(0.2)
            assert _drained(stalled.socket, 10) < 50 * 2**21
        assert link.next(5)


def test_a_link_that_is_dead_is_dropped_though_no_frames_are_sent():
    with microscope(constants={"PING_SECONDS": 0.2, "DEAD_SECONDS": 0.6}) as dm, Raw(dm.endpoint) as silent:
        assert silent.receive(PING)
        silent.send(PONG)
        assert silent.receive(PING)
        assert silent.receive(None) is None


def _drained(sock, seconds):
    """Read until the end of the connection; return how many bytes came."""
    end, n = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        try:
            got = len(sock.recv(1 << 20))
        except TimeoutError:
            continue
        except ConnectionError:
            got = 0
        if not got:
            return n
        n += got
    raise AssertionError(f"the connection goes on after {seconds} s")


def test_it_listens_to_this_computer_only_unless_told(tmp_path):
    with microscope(companion=False) as dm:
        script = dm.run_script(bundle.companion(0, HOST="0.0.0.0"))  # noqa: S104 - that is the point
        script.join()
        assert "HOST = '0.0.0.0' would let other computers connect" in "\n".join(script.output)
        assert not list(tmp_path.iterdir())
        run_companion(dm, {"HOST": "0.0.0.0", "EXPOSE": True})  # noqa: S104
        line = dm.companion.wait_for("other computers can connect")
        assert number(line.split("0.0.0.0:")[1].split(".")[0]) > 0
        text = bundle.companion(0)
        assert "EXPOSE = False" in text
    with pytest.raises(ValueError, match="no constant"):
        bundle.companion(0, NONSENSE=1)


# Packed for a slow network


@pytest.mark.parametrize("dtype", ["u1", "i2", "<u2", "<f4", "<c8"])
def test_packed_frames_are_the_same_frames(dtype):
    recording = Noise(shape=(200, 300), dtype=dtype)
    with microscope(recording, constants={"COMPRESS": True}) as dm:
        assert dm.companion.wait_for("dmlink: frames are packed")
        with dmlink.connect(dm.endpoint) as link:
            for _ in range(5):
                assert recording.has(link.next(5))
            assert link.stats.bytes % recording.stack[0].nbytes == 0
        with Raw(dm.endpoint, subscribe=False) as raw:
            raw.send(SUBSCRIBE, packing=["blosc"])
            raw.send(CREDIT, n=1)
            message = raw.receive(FRAME)
            assert message.header["packing"] == "blosc"
            assert len(message.payload) < recording.stack[0].nbytes


def test_a_link_that_cannot_unpack_gets_frames_as_they_are():
    recording = Noise()
    with microscope(recording, constants={"COMPRESS": True}) as dm, Raw(dm.endpoint) as raw:
        raw.send(CREDIT, n=1)
        message = raw.receive(FRAME)
        assert "packing" not in message.header
        assert len(message.payload) == recording.stack[0].nbytes


def test_pixels_that_packing_makes_no_fewer_travel_as_they_are():
    recording = Noise(dtype="<f8")
    recording.stack = np.random.default_rng(2).random(recording.shape)
    with linked(recording, constants={"COMPRESS": True}) as (_, link):
        assert recording.has(link.next(5))


def test_without_the_package_frames_are_not_packed_and_that_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "numcodecs", None)
    recording = Noise()
    with linked(recording, constants={"COMPRESS": True}) as (dm, link):
        assert dm.companion.wait_for("this Python has no numcodecs")
        assert recording.has(link.next(5))


# One file for GMS


def test_the_companion_is_one_file_of_python_3_7_that_needs_numpy_only():
    text = bundle.companion()
    tree = ast.parse(text, feature_version=(3, 7))
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names])
    }
    assert imported - set(sys.stdlib_module_names) == {"numpy", "DigitalMicrograph", "numcodecs"}
    assert text.count("numcodecs import") == text.count("try:\n            from numcodecs import Blosc") == 1
    assert not {"pickle", "marshal", "subprocess", "ctypes", "runpy"} & imported
    assert not [
        n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id in {"eval", "exec", "compile"}
    ]
    needed = vermin.visit(text).minimum_versions()
    assert needed[1] is None or needed[1] <= (3, 7)


def test_no_name_of_one_module_takes_the_place_of_another_ones_in_the_file():
    seen = {}
    for name in bundle.COMPANION:
        for node in ast.parse(bundle.part(name).body).body:
            names = []
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                names = [node.name]
            elif isinstance(node, ast.Assign):
                names = [n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)]
            for defined in names:
                assert defined not in seen, f"{defined} is defined in {seen.get(defined)} and in {name}"
                seen[defined] = name


def test_only_known_calls_of_dm_are_used():
    """Every attribute of DM that is used exists in the simulator, which has nothing that GMS may not have."""
    text = bundle.companion()
    used = {
        node.attr
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "DM"
    }
    with microscope(companion=False) as dm:
        missing = [name for name in used if not hasattr(dm._module, name)]
    assert not missing
