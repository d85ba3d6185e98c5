"""A link delivers the newest frames, counted, with their metadata, and reconnects by itself."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from microscopes import (
    PATIENCE,
    Noise,
    being_lost,
    leaving_no_blocks,
    link_threads,
    linked,
    microscope,
    run_companion,
    staying,
    until,
)

import dmlink
from dmlink import Roi
from dmlink.indm import protocol
from dmlink.link import endpoint as endpoints
from dmlink.link.stats import Counts


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DMLINK_ENDPOINT", raising=False)
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def _nothing_left(monkeypatch):
    monkeypatch.setattr("dmlink.link.link.RETRY_SECONDS", 0.1)
    with leaving_no_blocks(monkeypatch):
        yield
    assert staying(link_threads) == []


# Frames


def test_frames_are_the_newest():
    recording = Noise()
    with linked(recording, patient=True) as (_, link):
        frames = [frame for _, frame in zip(range(25), link, strict=False)]
        until(link, lambda: _accounts_for_all(link))
    numbers = [recording.number(frame) for frame in frames]
    gaps = np.diff([frame.index for frame in frames])
    assert (gaps > 0).all()
    assert not ((np.diff(numbers) - gaps) % len(recording)).any()
    # another may have been received between the two that were taken
    assert all(frame.dropped <= gap - 1 for frame, gap in zip(frames[1:], gaps, strict=True))


def _accounts_for_all(link):
    with link._delivery.status.changed:
        stats = link.stats
        announced = link._delivery.announced - link._delivery.first
        return stats.received + stats.dropped + stats.skipped == announced


def test_frame_is_read_only_and_calibrated():
    with linked() as (dm, link):
        frame = link.next(60)
        assert (frame.data.shape, frame.data.dtype) == ((48, 64), np.uint16)
        assert not frame.data.flags.writeable
        assert (frame.x, frame.y) == (dmlink.Axis(-8.0, 0.5, "nm"), dmlink.Axis(-4.0, 0.25, "nm"))
        assert (frame.source, frame.roi) == ("Gold", None)
        assert frame.tags == {"exposure": pytest.approx(0.01), "binning": 1.0, "high_tension": 200000.0}
        assert 0 <= link.age(frame) < 60
        assert dm.camera.written >= frame.index


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_clock_change_keeps_times_and_ages(monkeypatch, tmp_path, jump):
    real = time.time
    with linked() as (_, link):
        before = link.next(60)
        recorder = link.record(tmp_path / "series")
        until(recorder._link, lambda: recorder.frames > 3)
        monkeypatch.setattr(time, "time", lambda: real() + jump)
        after = link.next(60)
        assert 0 <= link.age(after) < abs(jump) / 2
        assert 0 <= after.time - before.time < abs(jump) / 2
        recorder.stop()  # it knows which frames came before
        assert recorder.state == "stopped"
        assert recorder.seconds < abs(jump) / 2


@pytest.mark.parametrize(("unit", "plain"), [("\N{MICRO SIGN}m", "um"), ("1/\u00c5", "1/A")])
def test_units_are_plain_text(unit, plain):
    recording = Noise()
    recording.x = dmlink.Axis(0.0, 0.1, unit)
    with linked(recording) as (_, link):
        assert link.next(60).x == dmlink.Axis(0.0, 0.1, plain)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8", "c8", "c16"])
def test_every_dm_type_arrives_unchanged(dtype):
    recording = Noise(dtype=dtype)
    with linked(recording, patient=True) as (_, link):
        frame = link.next(60)
    assert frame.data.dtype == np.dtype(dtype)
    recording.number(frame)


def test_slow_reader_gets_newest_frame(monkeypatch):
    monkeypatch.setattr("dmlink.link.readers.FRESH_SECONDS", PATIENCE)  # the camera runs: there is no still
    with linked(fps=100, patient=True) as (dm, link):
        first, shown = link.next(60), dm.displayed
        dm.wait_displayed(20)
        newest = link.newest  # for a while, a link continues by itself
        assert link.next(60).index >= newest.index
        until(link, lambda: _rests(dm, link))
        now = dm.displayed
        assert link.next(60).index - first.index > now - shown
        until(link, lambda: _accounts_for_all(link))
        stats = link.stats
        assert stats.bytes == stats.received * first.data.nbytes


def _rests(dm, link):
    """Return whether nothing is sent while 30 frames are shown."""
    received = link.stats.received
    dm.wait_displayed(30)
    return link.stats.received == received


def test_large_frame_does_not_cost_the_next():
    recording = Noise(3, (2048, 2048))
    with microscope(recording, fps=25) as dm:
        dm.camera.pause()
        dm.settle()
        with dmlink.connect(dm.endpoint) as link:
            frames = [link.next(60)]  # the still image; before the pause, another one could be in transit
            for _ in range(25):
                wanted = dm.camera.step()
                frames.append(link.next(60))
                assert recording.number(frames[-1]) == wanted
        assert {frame.dropped for frame in frames[1:]} == {0}


def test_nothing_is_sent_without_a_reader():
    with linked(fps=100) as (dm, link):
        link.next(60)
        until(link, lambda: _rests(dm, link))


def test_readers_count_independently():
    with linked() as (_, link):
        one, two = link.reader(), link.reader()
        for _ in range(5):
            a = one.next(60)
        b = two.next(60)
        assert b.index >= a.index
        assert (one.received, two.received) == (5, 1)
        one.close()
        with pytest.raises(ConnectionError, match="closed"):
            one.next(60)
        assert two.next(60).index > b.index


def test_timeout_names_endpoint_and_time():
    with linked() as (dm, link):
        dm.camera.pause()
        until(link, lambda: _quiet(link))
        with pytest.raises(TimeoutError, match=r"127\.0\.0\.1:\d+ within 0\.1 s \(live\)"):
            link.next(0.1)
        dm.camera.resume()
        assert link.next(60)


def _quiet(link):
    try:
        link.next(1.2)
    except TimeoutError:
        return True
    return False


def test_closing_wakes_waiting_readers():
    with linked() as (dm, link):
        dm.camera.pause()
        until(link, lambda: _quiet(link))
        told, begun = [], threading.Event()

        def wait():
            begun.set()
            told.extend(link)

        waiting = threading.Thread(target=wait)
        waiting.start()
        assert begun.wait(PATIENCE)
        link.close()
        waiting.join(PATIENCE)
        assert not waiting.is_alive()
        assert told == []
        with pytest.raises(ConnectionError, match="closed"):
            link.next(1)
        with pytest.raises(ConnectionError):
            link.set_roi("roi", Roi(0, 0, 5, 5))
        assert link.state == "closed"
        link.close()


def test_reader_reports_closed_lossless_link():
    with linked(mode="lossless") as (_, link):
        reader = link.reader()
        assert reader.next(60)
        link.close()
        link._credit = 0  # everything that might have been sent has arrived
        with pytest.raises(ConnectionError, match="closed"):
            reader.next(1)


@pytest.mark.parametrize("error", [ValueError, ZeroDivisionError])
def test_failing_watcher_harms_nobody(error):
    def fail():
        raise error

    with linked() as (_, link):
        states = set()
        unwatch = link.watch(fail)
        link.watch(lambda: states.add(link.state))
        for _ in range(5):
            link.next(60)
        unwatch()
        unwatch()
        assert states == {"live"}


def test_rate_needs_two_clock_ticks(monkeypatch):
    counts, now = Counts(), [time.perf_counter()]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    for index in range(3):
        counts.receive(dmlink.Frame(np.zeros((2, 2)), index))
    assert counts.stats(None).rate == 0
    now[0] += 0.5
    counts.receive(dmlink.Frame(np.zeros((2, 2)), 3))
    assert counts.stats(None).rate == pytest.approx(6)


def test_moved_roi_resends_still_image():
    recording = Noise()
    with microscope(recording) as dm:
        dm.camera.pause()
        dm.settle()
        roi = dm.draw_roi(0, 0, 8, 8)
        with dmlink.connect(dm.endpoint) as link:
            whole = link.next(60)
            with pytest.raises(TimeoutError):
                link.next(0.8)
            until(link, lambda: "roi" in link.rois())
            part = link.part("roi")
            assert np.array_equal(part.next(60).data, whole.data[:8, :8])
            dm.move_roi(roi, 4, 6, 12, 14)
            moved = part.next(60)
            assert moved.roi == Roi(4, 6, 12, 14)
            assert np.array_equal(moved.data, whole.data[4:12, 6:14])
            with pytest.raises(TimeoutError):
                part.next(0.8)


# Lines


def test_line_is_in_frame_pixels():
    with linked() as (dm, link):
        assert link.next(60).line is None
        link.set_roi("part", Roi(10, 4, 40, 60))
        until(link, lambda: "part" in link.rois())
        line = dm.draw_line(5, 20, 62.5, 30)
        until(link, lambda: link.next(60).line == (20, 5, 30, 62.5))
        part = link.part("part").next(60)
        assert part.line == part.info.line == (10, 1, 20, 58.5)
        assert set(link.rois()) == {"part"}
        dm.draw_line(0, 0, 1, 1)
        dm.settle()
        assert link.next(60).line == (20, 5, 30, 62.5)  # the first that was drawn
        dm.delete_roi(line)
        until(link, lambda: link.next(60).line == (0, 0, 1, 1))


def test_rois_are_in_frame_pixels():
    with linked() as (_, link):
        assert link.next(60).rois == {}
        link.set_roi("part", Roi(10, 4, 40, 60))
        link.set_roi("template", Roi(8, 6, 20, 30))
        until(link, lambda: len(link.next(60).rois) == 2)
        assert link.next(60).info.rois == {"part": (10, 4, 40, 60), "template": (8, 6, 20, 30)}
        part = link.part("part")
        until(link, lambda: part.next(60).rois.get("template") == Roi(-2, 2, 10, 26))


def test_other_annotations_are_ignored():
    with linked() as (dm, link):
        text = "import DigitalMicrograph as DM\nDM.GetFrontImage().GetImageDisplay(0).AddROI(DM.NewROI())"
        dm.run_script(text, background=False, name="circle").join()
        dm.draw_line(1, 2, 3, 4)
        until(link, lambda: link.next(60).line == (2, 1, 4, 3))
        assert link.rois() == {}


def test_moved_line_resends_still_image():
    with microscope() as dm:
        dm.camera.pause()
        dm.settle()
        line = dm.draw_line(0, 0, 8, 8)
        with dmlink.connect(dm.endpoint) as link:
            until(link, lambda: link.next(60).line == (0, 0, 8, 8))
            with pytest.raises(TimeoutError):
                link.next(0.8)
            dm.delete_roi(line)
            assert link.next(60).line is None
            with pytest.raises(TimeoutError):
                link.next(0.8)


# Regions of interest


def test_values_have_their_unit():
    text = "import DigitalMicrograph as DM\nDM.GetFrontImage().SetIntensityUnitString('e-')\nprint('set')"
    with linked() as (dm, link):
        assert link.next(60).value_unit == ""
        dm.run_script(text, background=False).join()
        until(link, lambda: link.newest.value_unit == "e-")


def test_roi_has_its_own_calibration():
    recording = Noise()
    with microscope(recording) as dm:
        dm.draw_roi(10, 20, 30, 60)
        with dmlink.connect(dm.endpoint) as link:
            until(link, lambda: "roi" in link.rois())
            frame = link.part("roi").next(60)
    assert frame.roi == Roi(10, 20, 30, 60)
    assert frame.data.shape == (20, 40)
    assert frame.x == dmlink.Axis(-8.0 + 20 * 0.5, 0.5, "nm")
    assert frame.y == dmlink.Axis(-4.0 + 10 * 0.25, 0.25, "nm")
    recording.number(frame)


def test_rois_agree_with_dm():
    with linked() as (dm, link):
        link.set_roi("drift", Roi(1, 2, 11, 22))
        until(link, lambda: link.rois() == {"drift": Roi(1, 2, 11, 22)})
        (drawn,) = dm.user_rois()
        assert dm.user_rois()[drawn] == (1, 2, 11, 22)
        dm.move_roi(drawn, 5, 5, 15, 25)
        until(link, lambda: link.rois() == {"drift": Roi(5, 5, 15, 25)})
        second = dm.draw_roi(0, 0, 9, 9)
        until(link, lambda: link.rois() == {"drift": Roi(5, 5, 15, 25), "roi": Roi(0, 0, 9, 9)})
        link.set_roi("roi", Roi(0, 0, 8, 8))
        dm.wait_until(lambda: dm.user_rois()[second] == (0, 0, 8, 8))
        link.remove_roi("drift")
        until(link, lambda: set(link.rois()) == {"roi"})
        assert set(dm.user_rois()) == {second}
        dm.delete_roi(second)
        until(link, lambda: not link.rois())
        with pytest.raises(ValueError, match=r"no ROI named 'drift'.*none"):
            link.remove_roi("drift")


def test_roi_can_be_removed_before_drawn():
    with linked() as (dm, link):
        link.set_roi("a", Roi(0, 0, 5, 5))
        link.remove_roi("a")
        link.set_roi("b", Roi(0, 0, 5, 5))
        until(link, lambda: set(link.rois()) == {"b"})
        assert len(dm.user_rois()) == 1


def test_rois_agree_however_often_they_change():
    with linked() as (dm, link):
        for edge in range(4, 9):
            link.set_roi("roi", Roi(0, 0, edge, edge))
            until(link, lambda edge=edge: link.rois().get("roi") == Roi(0, 0, edge, edge))
            (drawn,) = dm.user_rois()
            dm.move_roi(drawn, 0, 0, edge, 20)
            until(link, lambda edge=edge: link.rois().get("roi") == Roi(0, 0, edge, 20))


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        ((-5, -5, 10, 10), (0, 0, 10, 10)),
        ((40, 60, 99, 99), (40, 60, 48, 64)),
        ((90, 90, 99, 99), (47, 63, 48, 64)),
    ],
)
def test_roi_is_clamped_to_the_image(wanted, got):
    with linked() as (_, link):
        link.set_roi("roi", Roi(*wanted))
        until(link, lambda: link.rois().get("roi") == Roi(*got))


def test_resized_roi_has_its_new_shape():
    with linked() as (dm, link):
        roi = dm.draw_roi(0, 0, 8, 8)
        until(link, lambda: "roi" in link.rois())
        part = link.part("roi")
        assert part.next(60).data.shape == (8, 8)
        dm.move_roi(roi, 0, 0, 16, 32)
        until(link, lambda: part.next(60).data.shape == (16, 32))


def test_vanished_roi_is_waited_for():
    with linked() as (dm, link):
        first = dm.draw_roi(0, 0, 8, 8)
        until(link, lambda: "roi" in link.rois())
        part = link.part("roi")
        part.next(60)
        dm.delete_roi(first)
        until(part, lambda: part.state == "waiting" and "'roi' is not on the view" in part.reason)
        assert link.next(60)
        dm.draw_roi(4, 4, 20, 20)
        until(part, lambda: part.state == "live" and part.next(60).roi == Roi(4, 4, 20, 20))


def test_unknown_name_lists_known_ones():
    with microscope() as dm:
        dm.draw_roi(0, 0, 8, 8)
        with dmlink.connect(dm.endpoint) as link:
            until(link, link.rois)
            with pytest.raises(ValueError, match=r"no ROI named 'fft'.* available: 'roi'"):
                link.part("fft")
        with pytest.raises(ValueError, match=r"no view named 'Silver'.* available: 'Gold'"):
            dmlink.connect(dm.endpoint, source="Silver")
        with pytest.raises(ValueError, match="mode"):
            dmlink.connect(dm.endpoint, mode="all")


# Authentication, and finding the companion


def test_endpoint_file_is_private(home):
    with microscope() as dm:
        path = home / "endpoint.json"
        fields = json.loads(path.read_text())
        assert dm.endpoint == "dmlink://{host}:{port}?token={token}".format(**fields)
        assert fields["pid"] == os.getpid()
        assert path.stat().st_mode & 0o777 == 0o600 or os.name == "nt"  # the user's folder is private there
        with dmlink.connect() as link:
            assert link.next(60)
        if os.name == "posix":
            path.chmod(0o644)
            with pytest.raises(ConnectionError, match=r"Other users can read .* \(mode 644\)"):
                dmlink.connect()
    assert not path.exists()
    with pytest.raises(ConnectionError, match="No companion found"):
        dmlink.connect()


def test_wrong_token_is_not_a_lost_companion():
    with microscope() as dm:
        host, port, _ = endpoints.parse(dm.endpoint)
        with pytest.raises(ConnectionError, match="token does not match"):
            dmlink.connect(f"dmlink://{host}:{port}?token=wrong")
        assert dmlink.connect(dm.endpoint).close() is None
    with pytest.raises(ConnectionError, match="No companion answers"):
        dmlink.connect(dm.endpoint)


@pytest.mark.parametrize(
    "text", ["", "http://127.0.0.1:1?token=a", "dmlink://127.0.0.1?token=a", "dmlink://h:9"]
)
def test_bad_endpoint_is_refused(text, monkeypatch):
    if text:
        with pytest.raises(ValueError, match="not an endpoint"):
            dmlink.connect(text)
    monkeypatch.setenv("DMLINK_ENDPOINT", "nonsense")
    with pytest.raises(ValueError, match="not an endpoint"):
        dmlink.connect()


@contextmanager
def something_else(answer):
    """Listen as something other than a companion; `answer` gets each connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            try:
                sock, _ = server.accept()
            except OSError:
                return
            with sock:
                answer(sock)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"dmlink://127.0.0.1:{server.getsockname()[1]}?token=t"
        with contextlib.suppress(OSError):  # it is still waiting if nobody has connected
            socket.create_connection(server.getsockname()).close()
        thread.join()


class Companion:
    """A minimal companion: accepts the link, and sends `frame` in pieces, once."""

    def __init__(self, frame, pieces):
        self.frame, self.pieces, self.over = frame, pieces, threading.Event()

    def __call__(self, sock):
        self.sock, ours = sock, protocol.nonce()
        decoder = protocol.Decoder()
        while data := sock.recv(65536):
            for message in decoder.feed(data):
                if message.kind == protocol.HELLO:
                    proof = protocol.proof("t", "server", message.header["nonce"], ours)
                    self.say(protocol.HELLO, {"version": 1, "nonce": ours, "proof": proof})
                elif message.kind == protocol.AUTH:
                    self.say(protocol.WELCOME, {"sources": [], "rois": {}, "clock": time.time()})
                elif message.kind == protocol.SUBSCRIBE:
                    self.say(protocol.SUBSCRIBE, {"rois": {}, "state": "live"})
                elif message.kind == protocol.CREDIT and not self.over.is_set():
                    self.over.set()
                    self.send_frame()

    def say(self, kind, header, payload=b""):
        for buffer in protocol.pack(kind, header, payload):
            self.sock.sendall(buffer)

    def send_frame(self):
        about = {"shape": list(self.frame.shape), "dtype": self.frame.dtype.str, "index": 1, "time": 0.0}
        about.update(x=[0, 1, ""], y=[0, 1, ""], tags={}, source="view", roi=None)
        sent = b"".join(
            bytes(buffer) for buffer in protocol.pack(protocol.FRAME, about, self.frame.tobytes())
        )
        for piece in np.array_split(np.frombuffer(sent, np.uint8), self.pieces):
            self.sock.sendall(piece)
            time.sleep(0.002)  # a pause of the network


@pytest.mark.parametrize("pieces", [1, 7, 40])
def test_large_frame_arrives_whole(pieces, monkeypatch):
    monkeypatch.setattr(protocol, "PING_SECONDS", 300.0)  # only the bytes wake the link
    frame = np.random.default_rng(3).integers(0, 60000, (1300, 900), np.uint16)
    with something_else(Companion(frame, pieces)) as endpoint, dmlink.connect(endpoint) as link:
        np.testing.assert_array_equal(link.next(timeout=60).data, frame)


@pytest.mark.parametrize("kind", ["silent", "garbage", "closing", "dribbling", "lying"])
def test_other_server_is_refused(kind, monkeypatch):
    monkeypatch.setattr("dmlink.link.connection.ANSWER_SECONDS", 0.5)
    over = threading.Event()

    def answer(sock):
        if kind == "garbage":
            sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        elif kind == "dribbling":
            for byte in protocol.PREFIX.pack(protocol.MAGIC, protocol.HELLO, 20, 0):
                with contextlib.suppress(OSError):
                    sock.sendall(bytes([byte]))
                over.wait(0.1)
        elif kind == "lying":
            sock.sendall(protocol.PREFIX.pack(protocol.MAGIC, protocol.HELLO, 1 << 31, 1 << 62))
        if kind != "closing":
            over.wait()

    with something_else(answer) as endpoint:
        with pytest.raises(ConnectionError, match="it is not a companion"):
            dmlink.connect(endpoint)
        over.set()


# Reconnecting


def test_closed_view_is_waited_for():
    with linked() as (dm, link):
        before = link.next(60)
        dm.close_view()
        until(link, lambda: link.state == "waiting")
        assert link.reason == "The view 'Gold' was closed in DigitalMicrograph; open it again."
        with pytest.raises(TimeoutError, match="waiting: The view"):
            until(link, lambda: link.next(0.1) is None)
        dm.restart_view()
        until(link, lambda: link.state == "live")
        assert until(link, lambda: link.next(60)).index > before.index


def test_next_view_is_found_after_capture():
    with linked() as (dm, link):
        link.next(60)
        dm.capture()
        until(link, lambda: link.state == "waiting")
        dm.restart_view()
        until(link, lambda: link.state == "live")
        assert link.next(60).source == "Gold"


def test_view_may_close_while_read():
    with linked() as (dm, link):
        link.set_roi("fft", dmlink.Roi(2, 2, 20, 20))
        until(link, lambda: "fft" in link.rois())
        reader = link.part("fft").reader()
        for turn in range(40):  # the critical moment is hit in one of ten
            dm.restart_view(1 + turn % 2)
            with contextlib.suppress(TimeoutError):
                reader.next(0.2)
        assert not [line for line in dm.results_window if "Error" in line]


@pytest.mark.parametrize("new_image", [True, False])
def test_binning_changes_shape_and_scale(new_image):
    with linked() as (dm, link):
        link.next(60)
        dm.restart_view(binning=2, new_image=new_image)
        until(link, lambda: link.next(60).data.shape == (24, 32))
        assert until(link, lambda: link.next(60).x.scale == 1.0)
        assert link.newest.tags["binning"] == 2.0


def test_roi_returns_with_other_binning():
    with linked() as (dm, link):
        link.set_roi("fft", Roi(8, 16, 24, 48))
        until(link, lambda: "fft" in link.rois())
        part = link.part("fft")
        part.next(60)
        dm.restart_view(binning=2)
        until(part, lambda: part.next(60).roi == Roi(4, 8, 12, 24))


@pytest.mark.parametrize("explicit", [True, False])
def test_new_companion_replaces_the_old(explicit):
    with microscope() as dm, dmlink.connect(dm.endpoint if explicit else None) as link:
        link.set_roi("fft", Roi(0, 0, 8, 8))
        until(link, link.rois)
        part = link.part("fft")
        part.next(60)
        first = dm.companion
        with being_lost(link) as reasons:
            dm.endpoint = run_companion(dm)
            first.join()
        assert link.next(60)
        assert link.endpoint == endpoints.parse(dm.endpoint)
        assert "stopped" in reasons[0]
        until(part, lambda: part.state == "live")
        assert "fft" in link.rois()  # names of ROIs outlive the companion that assigned them
        assert part.next(60)


def test_silent_peer_is_noticed(monkeypatch):
    monkeypatch.setattr(protocol, "PING_SECONDS", 0.2)
    monkeypatch.setattr(protocol, "DEAD_SECONDS", 0.6)
    over = threading.Event()

    def answer(sock):
        with sock.makefile("rb") as file:
            nonce = _read(file)["nonce"]
            for kind, header in (
                (
                    protocol.HELLO,
                    {"nonce": "s" * 64, "proof": protocol.proof("t", "server", nonce, "s" * 64)},
                ),
                (protocol.WELCOME, {"sources": [], "rois": {}, "clock": 0}),
                (protocol.SUBSCRIBE, {"rois": {}, "state": "live", "reason": ""}),
            ):
                sock.sendall(b"".join(protocol.pack(kind, header)))
                _read(file)
            over.wait()

    with something_else(answer) as endpoint, dmlink.connect(endpoint) as link:
        until(link, lambda: link.state == "lost")
        assert "stopped responding" in link.reason or "No companion" in link.reason
        over.set()


def _read(file):
    _, length, size = protocol.unpack_prefix(file.read(protocol.PREFIX.size))
    header = protocol.unpack_header(file.read(length))
    file.read(size)
    return header


# Every frame


def test_lossless_link_keeps_order():
    recording = Noise()
    with linked(recording, mode="lossless", patient=True) as (dm, link):
        indexes = []
        for _, frame in zip(range(40), link, strict=False):
            indexes.append(frame.index)
            assert frame.dropped == 0
            if frame.index % 10 == 0:
                dm.wait_displayed(5)  # slower than the camera, for a while
        assert indexes == list(range(indexes[0], indexes[0] + 40))
        assert link.stats.dropped == 0


def test_lossless_overflow_is_counted(monkeypatch):
    frame_bytes = 48 * 64 * 2
    monkeypatch.setattr("dmlink.link.readers.WAITING_BYTES", 8 * frame_bytes)
    with linked(mode="lossless", constants={"LOSSLESS_BYTES": 5 * frame_bytes}) as (dm, link):
        first = link.next(60)
        dm.wait_displayed(40)
        until(link, lambda: "frames were dropped" in link.reason)
        frames = [link.next(60) for _ in range(20)]
        assert link.state == "live"
        lost = sum(frame.dropped for frame in frames)
        assert lost > 0
        assert frames[-1].index - first.index == len(frames) + lost
        indexes = [frame.index for frame in frames]
        assert indexes == sorted(set(indexes))


def test_lossless_link_survives_new_view(monkeypatch):
    frame_bytes = 48 * 64 * 2
    monkeypatch.setattr("dmlink.link.readers.WAITING_BYTES", 8 * frame_bytes)
    with linked(mode="lossless", constants={"LOSSLESS_BYTES": 12 * frame_bytes}) as (dm, link):
        indexes = [link.next(60).index]
        dm.wait_displayed(40)
        before = _lost(link)
        dm.restart_view(binning=2)
        dm.wait_displayed(5)
        shapes = []
        while shapes.count((24, 32)) < 30:
            frame = link.next(60)
            indexes.append(frame.index)
            shapes.append(frame.data.shape)
        assert indexes == sorted(set(indexes))
        assert shapes == sorted(shapes, reverse=True)  # all of the old view, then those of the new one
        assert shapes.count((48, 64)) >= 12
        assert _lost(link) >= before


def _lost(link):
    """Wait until the link reports dropped frames, and return their number."""
    reason = until(link, lambda: "frames were dropped" in link.reason and link.reason)
    return int(re.match(r"(\d+) frames were dropped", reason)[1])


def test_lossless_readers_do_not_starve():
    with linked(mode="lossless") as (_, link):
        reader = link.reader()
        assert [reader.next(60) for _ in range(30)]


# Sources, and results shown in DM

OTHER = """
import DigitalMicrograph as DM, numpy as np
image = DM.CreateImage({array})
image.SetName("{name}")
image.ShowImage()
del image
"""


def test_every_open_image_is_a_source():
    with linked() as (dm, link):
        dm.run_script(OTHER.format(array="np.arange(12, dtype=np.float32)", name="Spectrum")).join()
        dm.run_script(OTHER.format(array="np.ones((3, 4, 5), np.float32)", name="Cube")).join()
        sources = link.sources()
        assert sources[0].name == "Gold"
        assert {(s.name, s.shape, s.dtype) for s in sources} == {
            ("Gold", (48, 64), "<u2"),
            ("Spectrum", (1, 12), "<f4"),
        }
        with dmlink.connect(dm.endpoint, source="Spectrum") as spectrum:
            frame = spectrum.next(60)
            assert (frame.source, frame.data.shape) == ("Spectrum", (1, 12))
            assert np.array_equal(frame.data[0], np.arange(12))
            assert link.next(60).source == "Gold"
        with pytest.raises(ValueError, match=r"'Cube' has the shape \(3, 4, 5\)"):
            dmlink.connect(dm.endpoint, source="Cube")


def test_two_views_have_own_frames_and_rois():
    with linked() as (dm, link):
        dm.run_script(OTHER.format(array="np.zeros((20, 20), np.int16)", name="Other")).join()
        with dmlink.connect(dm.endpoint, source="Other") as other:
            other.set_roi("a", Roi(0, 0, 5, 5))
            until(other, lambda: "a" in other.rois())
            assert other.part("a").next(60).data.shape == (5, 5)
            assert link.rois() == {}
            dm.run_script(
                'image = DM.FindImageByName("Other")\n'
                "image.GetNumArray()[...] = 7\nimage.UpdateImage()\ndel image"
            ).join()
            until(other, lambda: other.next(60).data.min() == 7)
            assert (other.part("a").next(60).data == 7).all()


def test_colour_image_is_streamed():
    with microscope() as dm:
        text = OTHER.format(array="np.arange(60, dtype=np.uint8).reshape(4, 5, 3).copy()", name="Colours")
        dm.run_script(text).join()
        with dmlink.connect(dm.endpoint, source="Colours") as link:
            assert link.next(60).data.shape == (4, 5, 3)
            link.set_roi("roi", Roi(1, 1, 3, 3))
            until(link, link.rois)
            expected = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)[1:3, 1:3]
            assert np.array_equal(link.part("roi").next(60).data, expected)


def test_results_open_dm_windows():
    with linked() as (dm, link):
        for value in range(5):
            link.show("mean", {"a": value, "b": -value})
        link.show("profile", dmlink.Profile([1, 2, 3], scale=0.5, unit="1/nm", value_unit="e"))
        link.show("map", dmlink.Image(np.eye(4), scale=2.0, unit="nm"))
        link.show("colours", np.full((4, 5, 3), 9, np.uint8))
        strip = dm.wait_until(lambda: [w for w in dm.windows() if w.name == "mean" and w.data[0, -1] == 4])[0]
        assert strip.kind == 3
        assert np.unique(strip.data, axis=1).tolist() == [[0, 1, 2, 3, 4], [0, -1, -2, -3, -4]]
        dm.wait_until(lambda: dm.window("profile").intensity.unit)  # written last
        profile = dm.window("profile")
        assert (profile.data.tolist(), profile.axes[0]) == ([1, 2, 3], dmlink.Axis(0, 0.5, "1/nm"))
        assert profile.intensity.unit == "e"
        dm.wait_until(lambda: dm.window("map").axes[1].unit)
        shown = dm.window("map")
        assert (shown.data == np.eye(4)).all()
        assert shown.axes == (dmlink.Axis(0, 2.0, "nm"),) * 2
        assert (dm.window("colours").data == 9).all()
        link.show("map", np.ones((4, 4)))
        dm.wait_until(lambda: dm.window("map").data.min() == 1)
        link.hide("map")
        dm.wait_until(lambda: "map" not in [w.name for w in dm.windows()])
        dm.close_window("profile")
        link.show("profile", [4, 5, 6])
        link.show("last", 1)
        dm.window("last")
        assert "profile" not in [w.name for w in dm.windows()]
        assert [source.name for source in link.sources()] == ["Gold"]
        with pytest.raises(TypeError, match="cannot be shown"):
            link.show("text", "words")


def test_click_during_show_is_harmless():
    with linked() as (dm, link):
        execute = dm._module.ExecuteScriptString

        def clicked(text):
            execute(text)
            if "ShowImage" in text:
                dm.click_view()

        dm._module.ExecuteScriptString = clicked
        link.show("colours", np.full((4, 5, 3), 9, np.uint8))
        assert dm.window("colours").data.shape == (4, 5, 3)
        dm._module.ExecuteScriptString = execute
        link.hide("colours")
        dm.wait_until(lambda: [w.name for w in dm.windows()] == ["Gold"])
        assert link.next(60).source == "Gold"


def test_fast_results_do_not_slow_the_view():
    with linked(Noise(shape=(256, 256)), constants={"SHORTEST_REST": 0.1}) as (dm, link):
        image, began = np.zeros((256, 256), np.float32), time.monotonic()
        for _ in range(60):
            link.next(60)
            link.show("image", image)
        dm.wait_displayed(20)
        updates = dm.window("image").updates
        assert updates <= 2 + (time.monotonic() - began) / 0.1


def test_result_window_is_never_the_source():
    with linked() as (dm, link):
        link.show("map", np.eye(4))
        dm.window("map")
        with being_lost(link):
            run_companion(dm)
        assert link.next(60).source == "Gold"


# Across processes


@contextmanager
def simulate(tmp_path, *options, n=9):
    recording = Noise(n)
    np.save(tmp_path / "Gold.npy", recording.stack)
    process = subprocess.Popen(
        [sys.executable, "-m", "dmlink", "simulate", str(tmp_path / "Gold.npy"), "--fps", "60", *options],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield recording, process, process.stdout.readline().strip()
    finally:
        if os.name == "posix":
            process.send_signal(signal.SIGCONT)  # a test may have stopped it
        process.terminate()
        process.wait()
        process.stdout.close()


def test_link_survives_companion_restart(tmp_path, home):
    with simulate(tmp_path, "--port", "0") as (recording, process, endpoint):
        assert endpoint.startswith("dmlink://127.0.0.1:")
        assert (home / "endpoint.json").exists()
        with dmlink.connect() as link:
            for _, frame in zip(range(20), link, strict=False):
                recording.number(frame)
            process.terminate()
            process.wait()
            until(link, lambda: link.state == "lost")
            with simulate(tmp_path, "--port", "0"):
                until(link, lambda: link.state == "live")
                recording.number(link.next(60))


def test_next_port_is_taken_if_one_is_in_use(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with simulate(tmp_path, "--port", str(port)) as (_, _, endpoint):
            assert endpoints.parse(endpoint).port != port
            with dmlink.connect(endpoint) as link:
                assert link.next(60)
