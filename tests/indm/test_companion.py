"""The companion never slows down DigitalMicrograph, and survives all its events."""

import ast
import contextlib
import itertools
import socket
import sys
import threading

import numpy as np
import pytest
import vermin
from microscopes import Noise, Raw, being_lost, link_threads, linked, microscope, number, run_companion, until

import dmlink
from dmlink import Roi, bundle
from dmlink.indm.companion.client import Client
from dmlink.indm.companion.region import Region
from dmlink.indm.protocol import BYE, CREDIT, EVENT, FRAME, PING, PONG, SUBSCRIBE, Decoder
from dmlink.link import endpoint as endpoints
from dmlink.simulator import Microscope
from dmlink.simulator.interrupt import interrupt

SWITCHES = [
    {},
    {"events": "queue"},
    {"events": "none"},
    {"references": "strong"},
    {"create_image": "none"},
    {"unregister_all": False},
    {"unit_bytes": False},
    {"stale_persistent": True},
    {"twice_per_frame": True},
    {"partial_frames": 4},
    {"partial_frames": 4, "twice_per_frame": True, "events": "queue"},
    {"version": (3, 52, 1), "unregister_all": False, "scipy_in_background": False},
    {"threads": "frozen", "argv": "missing"},
    {"do_events": "hang"},
]


#: Frames of a recording that does not begin again while a late one is on its way.
MANY = 499


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path))
    yield
    assert link_threads() == []


# In every kind of DigitalMicrograph


@pytest.mark.parametrize(
    "switches", SWITCHES, ids=lambda s: ",".join(f"{k}={v}" for k, v in s.items()) or "default"
)
def test_serves_in_every_kind_of_dm(switches):
    recording = Noise(n=MANY)
    recording.x = dmlink.Axis(0.0, 0.5, "\N{MICRO SIGN}m")
    fps = 15 if "partial_frames" in switches else 50
    overdue = 0.3 if switches.get("events") == "none" else 60.0  # else half a frame would be examined
    constants = {"EVENTS_OVERDUE": overdue, "STILL_SECONDS": 0.1}
    with linked(recording, fps, constants=constants, **switches) as (dm, link):
        assert link.next(60).x == dmlink.Axis(0.0, 0.5, "um")
        paused(dm, link, recording)
        for _ in range(4):
            wanted = dm.camera.step()
            until(link, lambda wanted=wanted: recording.number(link.next(60)) == wanted)
        dm.camera.resume()
        link.set_roi("a", Roi(4, 4, 20, 20))
        until(link, lambda: "a" in link.rois())
        part = link.part("a")
        until(part, lambda: recording.has(part.next(60)))
        link.remove_roi("a")
        until(part, lambda: part.state == "waiting")
        link.show("mean", 3.0)
        link.show("image", np.eye(5))
        assert dm.window("mean").data[0, 0] == 3
        assert (dm.window("image").data == np.eye(5)).all()
        dm.restart_view(binning=2)
        until(link, lambda: link.next(60).data.shape == (24, 32))
        dm.close_view()
        until(link, lambda: link.state == "waiting")
        dm.restart_view(binning=1)
        until(link, lambda: link.next(60).data.shape == (48, 64))


def test_polls_when_no_events_come():
    with linked(fps=30, events="none") as (dm, link):
        assert dm.companion.wait_for("sends no events for this view")
        for _ in range(3):
            link.next(60)
        indexes = [link.next(60).index for _ in range(20)]
        assert indexes == sorted(set(indexes))


@pytest.mark.parametrize(
    "switches", [{"twice_per_frame": True}, {"partial_frames": 4}, {"partial_frames": 7}]
)
def test_partial_frame_is_sent_once_and_whole(switches):
    recording = Noise(n=MANY)
    with linked(recording, fps=2, events="queue", **switches) as (dm, link):  # parts come one by one
        first = recognised(dm, link, recording)
        for counted in range(1, 9):
            wanted = dm.camera.step()
            frame = link.next(60)
            assert recording.number(frame) == wanted
            assert frame.index == first.index + counted


def recognised(dm, link, recording):
    """Pause the camera, and return the last of three frames that were counted once each.

    Until then, events that are all late may be taken for frames that were overwritten.
    """
    frame, once = paused(dm, link, recording), 0
    while once < 3:
        before, frame = frame.index, stepped(dm, link, recording)
        once = once + 1 if frame.index == before + 1 else 0
    return frame


def paused(dm, link, recording):
    """Pause the camera and return a frame that was written then.

    A running camera may keep writing while a late event is handled, which tears frames in DM itself.
    """
    dm.camera.pause()
    return stepped(dm, link, recording)


def stepped(dm, link, recording):
    """Let the paused camera write a frame, and return it."""
    wanted = dm.camera.step()
    return until(
        link, lambda: recording.has(frame := link.next(60)) and recording.number(frame) == wanted and frame
    )


def test_dead_rows_do_not_delay_frames():
    recording = Noise()
    recording.stack[:, -20:] = 0
    with linked(recording, mode="lossless", patient=True) as (_, link):
        frames = [link.next(60) for _ in range(40)]
    numbers = [recording.number(frame) for frame in frames]
    assert set(np.diff(numbers) % len(recording)) == {1}


def test_gms_3_5_0_is_refused(tmp_path):
    with microscope(companion=False, version=(3, 50, 1)) as dm:
        script = dm.run_script(bundle.companion(0))
        script.join()
        assert "GMS 3.5.0 and 3.5.1 crash" in "\n".join(script.output)
        assert not list(tmp_path.iterdir())


def test_main_thread_script_can_run_again():
    with linked(background=False, fps=50) as (dm, link):
        for _ in range(5):
            link.next(60)
        shown = dm.displayed
        dm.wait_displayed(20)
        assert dm.displayed > shown
        with being_lost(link):
            run_companion(dm, background=False)
        assert link.next(60)
        assert endpoints.find() == link.endpoint


def test_waits_for_an_image():
    with microscope(companion=False) as dm:
        dm.close_view()
        endpoint = run_companion(dm)
        with dmlink.connect(endpoint) as link:
            until(link, lambda: link.state == "waiting" and "start the live view" in link.reason)
            dm.restart_view()
            until(link, lambda: link.state == "live")
            assert link.next(60).source == "Gold"


COLOURS = """
planes = [DM.CreateImage(np.full((4, 4), value, np.uint8)) for value in (1, 2, 3)]
DM.ExecuteScriptString("rgb(" + ", ".join(plane.GetLabel() for plane in planes) + ").ShowImage()")
DM.GetFrontImage().SetName("Map")
"""


@pytest.mark.parametrize(
    ("colour_pixels", "why"),
    [("packed", "packs each colour of 'Map'"), ("refused", "does not give the pixels of 'Map'")],
)
def test_colours_that_python_cannot_read_are_said(colour_pixels, why):
    with microscope(companion=False, colour_pixels=colour_pixels) as dm:
        dm.close_view()
        dm.run_script("import numpy as np\nimport DigitalMicrograph as DM\n" + COLOURS).join()
        with dmlink.connect(run_companion(dm)) as link:
            until(link, lambda: why in link.reason)
            assert link.state == "waiting"


def test_camera_feeds_without_a_view():
    recording = Noise()
    constants = {"FEED": "camera", "CAMERA_EXPOSURE": 0.02}
    with microscope(recording, companion=False) as dm:
        dm.close_view()
        endpoint = run_companion(dm, constants)
        with dmlink.connect(endpoint) as link:
            frames = [link.next(60) for _ in range(6)]
            assert frames[0].source == "dmlink camera"
            assert len({recording.number(frame) for frame in frames}) > 1
            assert frames[-1].x == dmlink.Axis(-8.0, 0.5, "nm")
        dm.companion.stop()
        dm.companion.join()
        dm.close_window("dmlink camera")


@pytest.mark.parametrize("call", ["GetActiveCamera", "StartContinuousAcquisition"])
def test_refusing_camera_leaves_nothing(tmp_path, monkeypatch, call):
    with microscope(companion=False) as dm:
        if call == "GetActiveCamera":
            monkeypatch.setattr(dm._module, call, refuse)
        else:
            monkeypatch.setattr(f"dmlink.simulator.dm.python.camera.Py_Camera.{call}", refuse)
        before = {window.name for window in dm.windows()}
        text = bundle.companion(0, FEED="camera")
        running = dm.run_script(text)
        running.join()
        assert running.output == [
            "dmlink: the camera cannot be used: not inserted. Make it ready, or stream the live view instead."
        ]
        assert {window.name for window in dm.windows()} == before
        assert not (tmp_path / "endpoint.json").exists()
        monkeypatch.undo()
        with dmlink.connect(run_companion(dm)) as link:
            assert link.next(60)


def refuse(*_):
    raise RuntimeError("not inserted")


def test_ctrl_shift_q_removes_endpoint(tmp_path):
    with linked() as (dm, link):
        link.next(60)
        dm.companion.stop()
        dm.companion.join()
        assert not (tmp_path / "endpoint.json").exists()
        until(link, lambda: link.state == "lost")


def test_failing_cleanup_continues(tmp_path, monkeypatch):
    def fail(*_):
        raise RuntimeError("DM does not want to")

    monkeypatch.setattr("dmlink.simulator.dm.python.camera.Py_Camera.StopContinuousAcquisition", fail)
    with Microscope(Noise(), fps=50) as dm:
        dm._module.Py_ScriptObject.UnregisterAllListeners = fail
        with dmlink.connect(run_companion(dm, {"FEED": "camera"})) as link:
            link.next(60)
            dm.companion.stop()
            dm.companion.join()
            assert not (tmp_path / "endpoint.json").exists()
            until(link, lambda: link.state == "lost")
        assert dm.companion.output[-1] == "RuntimeError: DM does not want to"  # of the camera


@pytest.mark.usefixtures("restless")
def test_listener_never_tears_a_frame():
    region, size, sent = Region(None), 256, 0
    over = threading.Event()

    def listen():
        for i in range(30000):
            picture = region.picture(size)
            picture.pixels[:] = bytes([i % 251]) * size
            picture.header = {"index": i}
            region.mailbox.append(picture)
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


def test_slow_replay_frame_is_sent_once():
    constants = {"EVERY_EVENT": True, "EVENTS_OVERDUE": 0.0}
    recording = Noise()
    with linked(recording, fps=30, mode="lossless", constants=constants, patient=True) as (_, link):
        numbers = [recording.number(link.next(60)) for _ in range(40)]
    assert all(one != other for one, other in itertools.pairwise(numbers))


HOLD = "import time\nprint('busy')\nwhile 'go' not in globals(): time.sleep(0.001)"


@pytest.mark.parametrize("replay", [False, True])
@pytest.mark.parametrize("frames", ["all differ", "one pixel differs"])
def test_late_event_keeps_number_and_pixels(replay, frames):
    recording = Noise(n=99, shape=(48, 400))
    if frames == "one pixel differs":
        recording.stack[:] = 0
        recording.stack[:, 47, 60] = np.arange(99)  # outside the sample
    constants = {"STILL_SECONDS": 0.1, "EVERY_EVENT": replay, "EVENTS_OVERDUE": 0.0 if replay else 1e6}
    with linked(recording, constants=constants, patient=replay) as (dm, link):
        first = paused(dm, link, recording)
        for _ in range(20):  # enough to show that it is a camera's view
            dm.camera.step()
            first = link.next(60)
        with dmlink.connect(dm.endpoint) as early:
            assert (early.next(60).data == first.data).all()
        dm.run_script(HOLD, background=False).wait_for("busy")
        wanted = dm.camera.step()
        with dmlink.connect(dm.endpoint) as other:
            frame = other.next(60)  # the newest frame with an event
            assert (frame.index, recording.number(frame)) == (first.index, recording.number(first))
            dm.run_script("go = 1")
            frame = other.next(60)
        assert (frame.index, recording.number(frame)) == (first.index + 1, wanted)


def test_frame_seen_before_its_event_is_one():
    recording = Noise(n=MANY)
    with linked(recording, mode="lossless", constants={"EVENTS_OVERDUE": 0.2}) as (dm, link):
        first = paused(dm, link, recording)
        for _ in range(20):  # enough to show that it is a camera's view
            dm.camera.step()
            first = link.next(60)
        dm.run_script(HOLD, background=False).wait_for("busy")
        wanted = [dm.camera.step()]
        frames = [link.next(60)]  # the loop has polled, because no event came
        dm.run_script("go = 1").join()
        dm.settle()
        wanted.append(dm.camera.step())
        frames.append(link.next(60))
    assert [recording.number(frame) for frame in frames] == wanted
    assert [frame.index - first.index for frame in frames] == [1, 2]


# Never slowed


def test_dead_link_slows_nobody():
    with microscope(Noise(shape=(512, 512)), fps=60) as dm, contextlib.ExitStack() as stack:
        dead = stack.enter_context(Raw(dm.endpoint, buffer=4096))
        dead.send(CREDIT, n=100)
        links = [stack.enter_context(dmlink.connect(dm.endpoint)) for _ in range(3)]
        for _ in range(50):
            for link in links:
                link.next(60)
        dm.wait_displayed(50)


def test_two_links_have_their_own_regions():
    with linked() as (dm, link), dmlink.connect(dm.endpoint) as other:
        link.set_roi("a", Roi(0, 0, 8, 8))
        until(other, lambda: "a" in other.rois())
        part = other.part("a")
        for _ in range(10):
            assert link.next(60).data.shape == (48, 64)
            assert other.next(60).data.shape == (48, 64)
            assert part.next(60).data.shape == (8, 8)


def test_stalled_link_is_dropped():
    with linked(Noise(shape=(1024, 1024)), constants={"STALLED_SECONDS": 0.5}) as (dm, link):
        with Raw(dm.endpoint) as stalled:
            stalled.send(CREDIT, n=1000)
            clients = dm._scripts.value("dmlink_companion_running")._clients
            until(link, lambda: link.next(60) and len(clients) == 1)
            assert _drained(stalled.socket) < 50 * 2**21
        assert link.next(60)


def test_dead_link_is_dropped_without_frames():
    with microscope(constants={"PING_SECONDS": 0.2, "DEAD_SECONDS": 4.0}) as dm, Raw(dm.endpoint) as silent:
        assert silent.receive(PING)
        silent.send(PONG)
        assert silent.receive(PING)
        while (message := silent.receive(None)) is not None:
            assert message.kind == EVENT  # about the frames that it was not sent


def _drained(sock):
    """Read until the end of the connection; return the number of bytes."""
    n = 0
    with contextlib.suppress(ConnectionError):
        while got := len(sock.recv(1 << 20)):
            n += got
    return n


def test_listens_on_loopback_by_default(tmp_path):
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
    with pytest.raises(ValueError, match="no constant NONSENSE"):
        bundle.companion(0, NONSENSE=1)


# Packed for a slow network


@pytest.mark.parametrize("dtype", ["u1", "i2", "<u2", "<f4", "<c8"])
def test_packed_frames_are_equal(dtype):
    recording = Noise(shape=(200, 300), dtype=dtype)
    with microscope(recording, constants={"COMPRESS": True}, patient=True) as dm:
        assert dm.companion.wait_for("dmlink: frames are packed")
        with dmlink.connect(dm.endpoint) as link:
            for _ in range(5):
                assert recording.has(link.next(60))
            assert link.stats.bytes % recording.stack[0].nbytes == 0
        with Raw(dm.endpoint, subscribe=False) as raw:
            raw.send(SUBSCRIBE, packing=["blosc"])
            raw.send(CREDIT, n=1)
            message = raw.receive(FRAME)
            assert message.header["packing"] == "blosc"
            assert len(message.payload) < recording.stack[0].nbytes


def test_link_without_codec_gets_raw_frames():
    recording = Noise()
    with microscope(recording, constants={"COMPRESS": True}) as dm, Raw(dm.endpoint) as raw:
        raw.send(CREDIT, n=1)
        message = raw.receive(FRAME)
        assert "packing" not in message.header
        assert len(message.payload) == recording.stack[0].nbytes


def test_incompressible_frames_are_sent_raw():
    recording = Noise(dtype="<f8")
    recording.stack = np.random.default_rng(2).random(recording.shape)
    with linked(recording, constants={"COMPRESS": True}, patient=True) as (_, link):
        assert recording.has(link.next(60))


def test_missing_codec_is_reported(monkeypatch):
    monkeypatch.setitem(sys.modules, "numcodecs", None)
    recording = Noise()
    with linked(recording, constants={"COMPRESS": True}, patient=True) as (dm, link):
        assert dm.companion.wait_for("this Python has no numcodecs")
        assert recording.has(link.next(60))


# One file for GMS


def test_is_one_file_of_python_3_7():
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


def test_joined_modules_share_no_name():
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


def test_uses_only_known_dm_calls():
    """Every attribute of DM in use exists in the simulator, which has only what GMS is known to have."""
    text = bundle.companion()
    used = {
        node.attr
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "DM"
    }
    with microscope(companion=False) as dm:
        missing = [name for name in used if not hasattr(dm._module, name)]
    assert not missing


def test_every_event_of_late_frames_counts():
    with microscope(companion=False) as dm:
        dm.camera.pause()
        dm.settle()
        import DigitalMicrograph as DM  # noqa: N817 - it is there only now

        from dmlink.indm.companion.view import View

        image = DM.GetFrontImage()
        view = View(image, wake=lambda: None)
        for value in range(20):  # enough to show that it is a camera's view
            image.GetNumArray()[:] = value
            view.observe(image, event=True)
        image.GetNumArray()[:] = 99
        assert view.observe(image)  # before its event
        before = view.index
        view._events_came += 2
        view.observe(image, event=True)  # the frame still expected, and two more
        assert view.index == before + 2
        view.end()
        del image


def test_still_image_of_a_scan_is_whole():
    with microscope(companion=False) as dm:
        dm.camera.pause()
        dm.settle()
        import DigitalMicrograph as DM  # noqa: N817 - it is there only now

        from dmlink.indm.companion.view import View

        image = DM.GetFrontImage()
        view = View(image, wake=lambda: None)
        region = view.region(None, lossless=False)
        for value in range(1, 4):
            for top in range(0, 48, 12):
                image.GetNumArray()[top : top + 12] = value
                view.observe(image, event=True)
        view.observe_now(image, {region})
        assert set(region.take().pixels) == {0, 3}
        image.GetNumArray()[:12] = 9
        view.observe_now(image, {region})  # the event is late
        assert set(region.take().pixels) == {0, 3}
        view.observe(image, event=True)  # part of the next scan
        view.observe_now(image, {region})
        assert set(region.take().pixels) == {0, 3}
        view.end()
        del image


def test_links_get_the_same_frame(monkeypatch):
    """Even if the camera writes on after each copy."""
    with microscope(companion=False) as dm:
        dm.camera.pause()
        dm.settle()
        import DigitalMicrograph as DM  # noqa: N817 - it is there only now

        from dmlink.indm.companion import view as views

        def copy_and_write_on(array, place, out, copy=views.copy_rectangle):
            copy(array, place, out)
            array += 1

        monkeypatch.setattr(views, "copy_rectangle", copy_and_write_on)
        image = DM.GetFrontImage()
        view = views.View(image, wake=lambda: None)
        regions = [view.region(None, lossless) for lossless in (True, True, False)]
        for region in regions:
            region.wanted = True
        image.GetNumArray()[:] = 7
        view.observe(image, event=True)
        pictures = [region.take() for region in regions]
        assert [set(picture.pixels) for picture in pictures] == 3 * [{0, 7}]
        assert len({picture.header["time"] for picture in pictures}) == 1
        view.end()
        del image


def test_unreadable_frames_are_unsure():
    with microscope(companion=False) as dm:
        dm.camera.pause()
        dm.settle()
        import DigitalMicrograph as DM  # noqa: N817 - it is there only now

        from dmlink.indm.companion.view import View

        image = DM.GetFrontImage()
        view = View(image, wake=lambda: None)
        number, unsure = view.counts
        view._errors = 3  # it has said so
        view.observe(None, event=True)
        view.observe(None, event=True)
        assert view.counts == (number, unsure + 2)
        view.end()
        del image


@pytest.mark.parametrize("already_read", range(0, 8_000_000, 400_000))
def test_interruption_leaves_messages_whole(already_read):
    """Ctrl+Shift+Q may come between sending some bytes and noting how many."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        theirs = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
    client, region, kinds = Client(ours), Region(None, lossless=True), []
    client.region, client.credit = region, 10_000
    header = {"shape": [400, 500], "dtype": "<u2", "roi": None, "index": 0}

    def serve():
        with contextlib.suppress(KeyboardInterrupt):
            while True:
                if not client.sending:
                    picture = region.picture(400_000)
                    picture.header = header
                    client.put_picture(picture)
                client.send()

    with ours, theirs:
        serving = threading.Thread(target=serve)
        serving.start()
        decoder, came = Decoder(), 0
        while came <= already_read:
            data = theirs.recv(50_000)
            came += len(data)
            kinds += [message.kind for message in decoder.feed(data)]
        interrupt(serving)
        serving.join()
        client.part("It was stopped.", (7, 0))
        while data := theirs.recv(1 << 20):
            kinds += [message.kind for message in decoder.feed(data)]
            if client.sending:
                client.send()
    assert kinds[-2:] == [EVENT, BYE]
    assert set(kinds[:-2]) <= {FRAME}
