"""What a link promises: the newest frames, counted, and what is known of them; to come back by itself."""

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
    Noise,
    being_lost,
    leaving_no_blocks,
    link_threads,
    linked,
    microscope,
    run_companion,
    until,
)

import dmlink
from dmlink import Roi
from dmlink import endpoint as endpoints
from dmlink.indm import protocol
from dmlink.tally import Tally


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DMLINK_ENDPOINT", raising=False)
    return tmp_path / "home"


@pytest.fixture(autouse=True)
def _nothing_left(monkeypatch):
    monkeypatch.setattr("dmlink.link.RETRY_SECONDS", 0.1)
    with leaving_no_blocks(monkeypatch):
        yield
    assert link_threads() == []


# Frames


def test_every_frame_is_a_frame_of_the_recording_and_the_newest_one():
    recording = Noise()
    with linked(recording) as (_, link):
        frames = [frame for _, frame in zip(range(25), link, strict=False)]
        before = frames[0].index - frames[0].dropped - 1
        until(link, lambda: link.stats.received + link.stats.dropped == link.newest.index - before)
    numbers = [recording.number(frame) for frame in frames]
    gaps = np.diff([frame.index for frame in frames])
    assert (gaps > 0).all()
    wrong = (np.diff(numbers) - gaps) % len(recording) != 0
    assert wrong.sum() <= 3  # DM came so late with an event that the camera was a frame further
    # one may have been received between two that were taken
    assert all(frame.dropped <= gap - 1 for frame, gap in zip(frames[1:], gaps, strict=True))


def test_a_frame_is_read_only_and_says_what_its_axes_mean():
    with linked() as (dm, link):
        frame = link.next(5)
        assert (frame.data.shape, frame.data.dtype) == ((48, 64), np.uint16)
        assert not frame.data.flags.writeable
        assert (frame.x, frame.y) == (dmlink.Axis(-8.0, 0.5, "nm"), dmlink.Axis(-4.0, 0.25, "nm"))
        assert (frame.source, frame.roi) == ("Gold", None)
        assert frame.tags == {"exposure": pytest.approx(0.01), "binning": 1.0, "high_tension": 200000.0}
        assert 0 <= link.age(frame) < 2
        assert dm.camera.written >= frame.index


@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_times_and_ages_go_on_when_somebody_sets_the_clock(monkeypatch, tmp_path, jump):
    real = time.time
    with linked() as (_, link):
        before = link.next(5)
        recorder = link.record(tmp_path / "series")
        until(recorder._link, lambda: recorder.frames > 3)
        monkeypatch.setattr(time, "time", lambda: real() + jump)
        after = link.next(5)
        assert 0 <= link.age(after) < 5
        assert 0 <= after.time - before.time < 30
        recorder.stop()  # knows which frames came before
        assert recorder.state == "stopped"
        assert recorder.seconds < 20


@pytest.mark.parametrize(("unit", "plain"), [("\N{MICRO SIGN}m", "um"), ("1/\u00c5", "1/A")])
def test_units_are_plain_text_also_where_they_come_as_bytes(unit, plain):
    recording = Noise()
    recording.x = dmlink.Axis(0.0, 0.1, unit)
    with linked(recording) as (_, link):
        assert link.next(5).x == dmlink.Axis(0.0, 0.1, plain)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "f4", "f8", "c8", "c16"])
def test_every_data_type_of_dm_comes_as_it_is(dtype):
    recording = Noise(dtype=dtype)
    with linked(recording) as (_, link):
        frame = link.next(5)
    assert frame.data.dtype == np.dtype(dtype)
    recording.number(frame)


def test_a_slow_reader_gets_the_newest_frame_and_the_count_adds_up():
    with linked(fps=100) as (dm, link):
        first = link.next(5)
        shown = dm.displayed
        for wait in (20, 70):  # within the time that a link goes on by itself, and beyond it
            now = dm.wait_displayed(wait)
            assert link.next(5).index - first.index > now - shown - 10  # one kept would be `wait` frames old
        stats = link.stats
        assert stats.received + stats.dropped == link.newest.index - first.index + 1
        assert stats.bytes == stats.received * first.data.nbytes


def test_a_large_frame_that_takes_several_sends_does_not_cost_the_next_one():
    with linked(Noise(3, (2048, 2048)), fps=25) as (_, link):
        for _ in range(25):
            link.next(5)
        assert link.stats.dropped < 0.5 * link.stats.received


def test_without_a_reader_nothing_is_sent():
    with linked(fps=100) as (dm, link):
        link.next(5)
        dm.wait_displayed(80)
        received = link.stats.received
        dm.wait_displayed(30)
        assert link.stats.received <= received + 1


def test_independent_readers_count_for_themselves():
    with linked() as (_, link):
        one, two = link.reader(), link.reader()
        for _ in range(5):
            a = one.next(5)
        b = two.next(5)
        assert b.index >= a.index
        assert (one.received, two.received) == (5, 1)
        one.close()
        with pytest.raises(ConnectionError, match="closed"):
            one.next(5)
        assert two.next(5).index > b.index


def test_a_timeout_names_endpoint_and_time_and_the_link_goes_on():
    with linked() as (dm, link):
        dm.camera.pause()
        until(link, lambda: _quiet(link))
        with pytest.raises(TimeoutError, match=r"127\.0\.0\.1:\d+ within 0\.1 s \(live\)"):
            link.next(0.1)
        dm.camera.resume()
        assert link.next(5)


def _quiet(link):
    try:
        link.next(1.2)
    except TimeoutError:
        return True
    return False


def test_a_closed_link_tells_whoever_waits():
    with linked() as (dm, link):
        dm.camera.pause()
        until(link, lambda: _quiet(link))
        told = []
        waiting = threading.Thread(target=lambda: told.extend(link))
        waiting.start()
        link.close()
        waiting.join(5)
        assert not waiting.is_alive()
        with pytest.raises(ConnectionError, match="closed"):
            link.next(1)
        with pytest.raises(ConnectionError):
            link.set_roi("roi", Roi(0, 0, 5, 5))
        assert link.state == "closed"
        link.close()


def test_a_reader_of_a_closed_lossless_link_is_told_that_it_is_closed():
    with linked(mode="lossless") as (_, link):
        reader = link.reader()
        assert reader.next(5)
        link.close()
        link._credit = 0  # all that it might have been sent has come
        with pytest.raises(ConnectionError, match="closed"):
            reader.next(1)


@pytest.mark.parametrize("error", [ValueError, ZeroDivisionError])
def test_a_watcher_that_fails_ends_neither_the_link_nor_the_others(error):
    def fail():
        raise error

    with linked() as (_, link):
        states = set()
        unwatch = link.watch(fail)
        link.watch(lambda: states.add(link.state))
        for _ in range(5):
            link.next(5)
        unwatch()
        unwatch()
        assert states == {"live"}


def test_frames_within_one_tick_of_the_clock_have_no_rate_yet():
    tally, now = Tally(), time.monotonic()
    frame = dmlink.Frame(np.zeros((2, 2)))
    for _ in range(3):
        tally.count(frame, now)
    assert tally.stats(None).rate == 0
    tally.count(frame, now + 0.5)
    assert tally.stats(None).rate == pytest.approx(6)


def test_a_still_image_is_sent_once_and_again_when_its_roi_moves():
    recording = Noise()
    with microscope(recording) as dm:
        dm.camera.pause()
        dm.settle()
        roi = dm.draw_roi(0, 0, 8, 8)
        with dmlink.connect(dm.endpoint) as link:
            whole = link.next(5)
            with pytest.raises(TimeoutError):
                link.next(0.8)
            until(link, lambda: "roi" in link.rois())
            part = link.part("roi")
            assert np.array_equal(part.next(5).data, whole.data[:8, :8])
            dm.move_roi(roi, 4, 6, 12, 14)
            moved = part.next(5)
            assert moved.roi == Roi(4, 6, 12, 14)
            assert np.array_equal(moved.data, whole.data[4:12, 6:14])
            with pytest.raises(TimeoutError):
                part.next(0.8)


# Lines


def test_a_line_comes_with_the_frames_in_their_own_pixels():
    with linked() as (dm, link):
        assert link.next(5).line is None
        link.set_roi("part", Roi(10, 4, 40, 60))
        line = dm.draw_line(5, 20, 62.5, 30)
        until(link, lambda: link.next(5).line == (20, 5, 30, 62.5))
        assert "part" in link.rois()
        part = link.part("part").next(5)
        assert part.line == part.info.line == (10, 1, 20, 58.5)
        assert set(link.rois()) == {"part"}
        dm.draw_line(0, 0, 1, 1)
        dm.settle()
        assert link.next(5).line == (20, 5, 30, 62.5)  # the first that was drawn
        dm.delete_roi(line)
        until(link, lambda: link.next(5).line == (0, 0, 1, 1))


def test_what_is_neither_rectangle_nor_line_is_neither():
    with linked() as (dm, link):
        text = "import DigitalMicrograph as DM\nDM.GetFrontImage().GetImageDisplay(0).AddROI(DM.NewROI())"
        dm.run_script(text, background=False, name="circle").join(5)
        dm.draw_line(1, 2, 3, 4)
        until(link, lambda: link.next(5).line == (2, 1, 4, 3))
        assert link.rois() == {}


def test_a_still_image_is_sent_again_when_its_line_moves():
    with microscope() as dm:
        dm.camera.pause()
        dm.settle()
        line = dm.draw_line(0, 0, 8, 8)
        with dmlink.connect(dm.endpoint) as link:
            until(link, lambda: link.next(5).line == (0, 0, 8, 8))
            with pytest.raises(TimeoutError):
                link.next(0.8)
            dm.delete_roi(line)
            assert link.next(5).line is None
            with pytest.raises(TimeoutError):
                link.next(0.8)


# Regions of interest


def test_an_roi_brings_its_pixels_and_its_own_calibration():
    recording = Noise()
    with microscope(recording) as dm:
        dm.draw_roi(10, 20, 30, 60)
        with dmlink.connect(dm.endpoint) as link:
            until(link, lambda: "roi" in link.rois())
            frame = link.part("roi").next(5)
    assert frame.roi == Roi(10, 20, 30, 60)
    assert frame.data.shape == (20, 40)
    assert frame.x == dmlink.Axis(-8.0 + 20 * 0.5, 0.5, "nm")
    assert frame.y == dmlink.Axis(-4.0 + 10 * 0.25, 0.25, "nm")
    recording.number(frame)


def test_rois_are_equal_here_and_in_dm_whoever_changes_them():
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
        dm.wait_until(lambda: dm.user_rois()[second] == (0, 0, 8, 8), 5)
        link.remove_roi("drift")
        until(link, lambda: set(link.rois()) == {"roi"})
        assert set(dm.user_rois()) == {second}
        dm.delete_roi(second)
        until(link, lambda: not link.rois())
        with pytest.raises(ValueError, match=r"no ROI named 'drift'.*none"):
            link.remove_roi("drift")


def test_an_roi_can_be_removed_before_dm_has_drawn_it():
    with linked() as (dm, link):
        link.set_roi("a", Roi(0, 0, 5, 5))
        link.remove_roi("a")
        link.set_roi("b", Roi(0, 0, 5, 5))
        until(link, lambda: set(link.rois()) == {"b"})
        assert len(dm.user_rois()) == 1


def test_rois_agree_within_a_second():
    with linked() as (dm, link):
        for edge in range(4, 9):
            link.set_roi("roi", Roi(0, 0, edge, edge))
            until(link, lambda edge=edge: link.rois().get("roi") == Roi(0, 0, edge, edge), 1.0)
            (drawn,) = dm.user_rois()
            dm.move_roi(drawn, 0, 0, edge, 20)
            until(link, lambda edge=edge: link.rois().get("roi") == Roi(0, 0, edge, 20), 1.0)


@pytest.mark.parametrize(
    ("wanted", "got"),
    [
        ((-5, -5, 10, 10), (0, 0, 10, 10)),
        ((40, 60, 99, 99), (40, 60, 48, 64)),
        ((90, 90, 99, 99), (47, 63, 48, 64)),
    ],
)
def test_an_roi_is_clamped_to_the_image(wanted, got):
    with linked() as (_, link):
        link.set_roi("roi", Roi(*wanted))
        until(link, lambda: link.rois().get("roi") == Roi(*got))


def test_an_roi_that_is_resized_in_dm_comes_in_its_new_shape():
    with linked() as (dm, link):
        roi = dm.draw_roi(0, 0, 8, 8)
        until(link, lambda: "roi" in link.rois())
        part = link.part("roi")
        assert part.next(5).data.shape == (8, 8)
        dm.move_roi(roi, 0, 0, 16, 32)
        until(link, lambda: part.next(5).data.shape == (16, 32))


def test_an_roi_that_vanishes_in_dm_is_waited_for():
    with linked() as (dm, link):
        first = dm.draw_roi(0, 0, 8, 8)
        until(link, lambda: "roi" in link.rois())
        part = link.part("roi")
        part.next(5)
        dm.delete_roi(first)
        until(part, lambda: part.state == "waiting" and "'roi' is not on the view" in part.reason)
        assert link.next(5)
        dm.draw_roi(4, 4, 20, 20)
        until(part, lambda: part.state == "live" and part.next(5).roi == Roi(4, 4, 20, 20))


def test_unknown_names_are_refused_with_those_that_exist():
    with microscope() as dm:
        dm.draw_roi(0, 0, 8, 8)
        with dmlink.connect(dm.endpoint) as link:
            until(link, link.rois)
            with pytest.raises(ValueError, match=r"no ROI named 'fft'.* there are: 'roi'"):
                link.part("fft")
        with pytest.raises(ValueError, match=r"no view named 'Silver'.* there are: 'Gold'"):
            dmlink.connect(dm.endpoint, source="Silver")
        with pytest.raises(ValueError, match="mode"):
            dmlink.connect(dm.endpoint, mode="all")


# Getting in, and finding the companion


def test_the_companion_leaves_its_endpoint_for_this_user_alone(home):
    with microscope() as dm:
        path = home / "endpoint.json"
        fields = json.loads(path.read_text())
        assert dm.endpoint == "dmlink://{host}:{port}?token={token}".format(**fields)
        assert fields["pid"] == os.getpid()
        assert path.stat().st_mode & 0o777 == 0o600
        with dmlink.connect() as link:
            assert link.next(5)
        path.chmod(0o644)
        with pytest.raises(ConnectionError, match=r"can be read by others \(mode 644\)"):
            dmlink.connect()
    assert not path.exists()
    with pytest.raises(ConnectionError, match="No companion is known"):
        dmlink.connect()


def test_a_wrong_token_is_told_apart_from_no_companion():
    with microscope() as dm:
        host, port, _ = endpoints.parse(dm.endpoint)
        with pytest.raises(ConnectionError, match="token does not fit"):
            dmlink.connect(f"dmlink://{host}:{port}?token=wrong")
        assert dmlink.connect(dm.endpoint).close() is None
    with pytest.raises(ConnectionError, match="No companion answers"):
        dmlink.connect(dm.endpoint)


@pytest.mark.parametrize(
    "text", ["", "http://127.0.0.1:1?token=a", "dmlink://127.0.0.1?token=a", "dmlink://h:9"]
)
def test_what_is_not_an_endpoint_is_refused(text, monkeypatch):
    if text:
        with pytest.raises(ValueError, match="not an endpoint"):
            dmlink.connect(text)
    monkeypatch.setenv("DMLINK_ENDPOINT", "nonsense")
    with pytest.raises(ValueError, match="not an endpoint"):
        dmlink.connect()


@contextmanager
def something_else(answer):
    """Listen as anything but a companion; `answer` gets each connection."""
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
        server.shutdown(socket.SHUT_RDWR)
        thread.join(5)


class Companion:
    """The least of one, by hand: lets the link in, and sends `frame` in pieces, once."""

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
            time.sleep(0.002)  # the network's pause


@pytest.mark.parametrize("pieces", [1, 7, 40])
def test_a_large_frame_is_there_with_its_last_byte_however_it_comes(pieces, monkeypatch):
    monkeypatch.setattr(protocol, "PING_SECONDS", 300.0)  # nothing but the bytes wakes the link
    frame = np.random.default_rng(3).integers(0, 60000, (1300, 900), np.uint16)
    with something_else(Companion(frame, pieces)) as endpoint, dmlink.connect(endpoint) as link:
        np.testing.assert_array_equal(link.next(timeout=20).data, frame)


@pytest.mark.parametrize("kind", ["silent", "garbage", "closing", "dribbling", "lying"])
def test_what_is_no_companion_is_said_to_be_none(kind, monkeypatch):
    monkeypatch.setattr("dmlink.connection.HANDSHAKE_SECONDS", 0.5)
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
            over.wait(5)

    with something_else(answer) as endpoint:
        with pytest.raises(ConnectionError, match="does not answer as a companion does"):
            dmlink.connect(endpoint)
        over.set()


# Coming back


def test_a_closed_view_is_waited_for_and_its_frames_are_counted_on():
    with linked() as (dm, link):
        before = link.next(5)
        dm.close_view()
        until(link, lambda: link.state == "waiting")
        assert link.reason == "The view 'Gold' was closed in DigitalMicrograph; open it again."
        with pytest.raises(TimeoutError, match="waiting: The view"):
            until(link, lambda: link.next(0.1) is None)
        dm.restart_view()
        until(link, lambda: link.state == "live")
        assert until(link, lambda: link.next(5)).index > before.index


def test_capture_ends_the_view_and_the_next_view_is_found():
    with linked() as (dm, link):
        link.next(5)
        dm.capture()
        until(link, lambda: link.state == "waiting")
        dm.restart_view()
        until(link, lambda: link.state == "live")
        assert link.next(5).source == "Gold"


def test_views_that_are_closed_while_they_are_looked_at_are_no_error():
    with linked() as (dm, link):
        link.set_roi("fft", dmlink.Roi(2, 2, 20, 20))
        until(link, lambda: "fft" in link.rois())
        reader = link.part("fft").reader()
        for turn in range(40):  # the moment in which it matters is met in one of ten
            dm.restart_view(1 + turn % 2)
            with contextlib.suppress(TimeoutError):
                reader.next(0.2)
        assert not [line for line in dm.results_window if "Error" in line]


@pytest.mark.parametrize("new_image", [True, False])
def test_a_view_restarted_with_binning_has_another_shape_and_scale(new_image):
    with linked() as (dm, link):
        link.next(5)
        dm.restart_view(binning=2, new_image=new_image)
        until(link, lambda: link.next(5).data.shape == (24, 32))
        assert until(link, lambda: link.next(5).x.scale == 1.0)
        assert link.newest.tags["binning"] == 2.0


def test_an_roi_that_a_link_uses_is_there_again_on_a_view_with_other_binning():
    with linked() as (dm, link):
        link.set_roi("fft", Roi(8, 16, 24, 48))
        until(link, lambda: "fft" in link.rois())
        part = link.part("fft")
        part.next(5)
        dm.restart_view(binning=2)
        until(part, lambda: part.next(5).roi == Roi(4, 8, 12, 24))


@pytest.mark.parametrize("explicit", [True, False])
def test_a_companion_run_again_replaces_the_first_and_links_come_back(explicit):
    with microscope() as dm, dmlink.connect(dm.endpoint if explicit else None) as link:
        link.set_roi("fft", Roi(0, 0, 8, 8))
        until(link, link.rois)
        part = link.part("fft")
        part.next(5)
        first = dm.companion
        with being_lost(link) as reasons:
            dm.endpoint = run_companion(dm)
            first.join(5)
        assert link.next(5)
        assert link.endpoint == endpoints.parse(dm.endpoint)
        assert "stopped" in reasons[0]
        until(part, lambda: part.state == "live", 10)
        assert "fft" in link.rois()  # names of ROIs outlive the companion that gave them
        assert part.next(5)


def test_a_peer_that_gives_no_sign_of_life_is_noticed_without_frames(monkeypatch):
    monkeypatch.setattr(protocol, "PING_SECONDS", 0.2)
    monkeypatch.setattr(protocol, "DEAD_SECONDS", 0.6)
    monkeypatch.setattr("dmlink.connection.HANDSHAKE_SECONDS", 0.5)
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
                (protocol.SUBSCRIBE, {"rois": {}}),
            ):
                sock.sendall(b"".join(protocol.pack(kind, header)))
                _read(file)
            over.wait(10)

    with something_else(answer) as endpoint, dmlink.connect(endpoint) as link:
        until(link, lambda: link.state == "lost")
        assert "no sign of life" in link.reason or "No companion" in link.reason
        over.set()


def _read(file):
    _, length, size = protocol.unpack_prefix(file.read(protocol.PREFIX.size))
    header = protocol.unpack_header(file.read(length))
    file.read(size)
    return header


# Every frame


def test_a_lossless_link_gives_every_frame_in_order():
    recording = Noise()
    with linked(recording, mode="lossless") as (dm, link):
        indexes = []
        for _, frame in zip(range(40), link, strict=False):
            indexes.append(frame.index)
            assert frame.dropped == 0
            if frame.index % 10 == 0:
                dm.wait_displayed(5)  # slower than the camera, for a while
        assert indexes == list(range(indexes[0], indexes[0] + 40))
        assert link.stats.dropped == 0


def test_what_does_not_fit_into_the_memory_of_a_lossless_link_is_counted_and_said():
    frame_bytes = 48 * 64 * 2
    with linked(mode="lossless", constants={"LOSSLESS_BYTES": 5 * frame_bytes}) as (dm, link):
        first = link.next(5)
        dm.wait_displayed(40)
        until(link, lambda: "frames were lost" in link.reason)
        frames = [link.next(5) for _ in range(20)]
        assert link.state == "live"
        lost = sum(frame.dropped for frame in frames)
        assert lost > 0
        assert frames[-1].index - first.index == len(frames) + lost
        indexes = [frame.index for frame in frames]
        assert indexes == sorted(set(indexes))


def test_a_lossless_link_keeps_order_and_count_when_the_view_is_opened_anew():
    frame_bytes = 48 * 64 * 2
    with linked(mode="lossless", constants={"LOSSLESS_BYTES": 12 * frame_bytes}) as (dm, link):
        indexes = [link.next(5).index]
        dm.wait_displayed(40)
        before = _lost(until(link, lambda: "frames were lost" in link.reason and link.reason))
        dm.restart_view(binning=2)
        dm.wait_displayed(5)
        shapes = []
        while shapes.count((24, 32)) < 30:
            frame = link.next(5)
            indexes.append(frame.index)
            shapes.append(frame.data.shape)
        assert indexes == sorted(set(indexes))
        assert shapes == sorted(shapes, reverse=True)  # all of the old view, then those of the new one
        assert shapes.count((48, 64)) >= 12
        assert _lost(link.reason) >= before


def _lost(reason):
    return int(re.match(r"(\d+) frames were lost", reason)[1])


def test_readers_of_a_lossless_link_do_not_starve():
    with linked(mode="lossless") as (_, link):
        reader = link.reader()
        assert [reader.next(5) for _ in range(30)]


# Sources, and results shown in DM

OTHER = """
import DigitalMicrograph as DM, numpy as np
image = DM.CreateImage({array})
image.SetName("{name}")
image.ShowImage()
del image
"""


def test_every_image_that_is_open_is_a_source():
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
            frame = spectrum.next(5)
            assert (frame.source, frame.data.shape) == ("Spectrum", (1, 12))
            assert np.array_equal(frame.data[0], np.arange(12))
            assert link.next(5).source == "Gold"
        with pytest.raises(ValueError, match=r"'Cube' has the shape \(3, 4, 5\)"):
            dmlink.connect(dm.endpoint, source="Cube")


def test_two_views_have_their_own_frames_and_rois():
    with linked() as (dm, link):
        dm.run_script(OTHER.format(array="np.zeros((20, 20), np.int16)", name="Other")).join()
        with dmlink.connect(dm.endpoint, source="Other") as other:
            other.set_roi("a", Roi(0, 0, 5, 5))
            until(other, lambda: "a" in other.rois())
            assert other.part("a").next(5).data.shape == (5, 5)
            assert link.rois() == {}
            dm.run_script(
                'image = DM.FindImageByName("Other")\n'
                "image.GetNumArray()[...] = 7\nimage.UpdateImage()\ndel image"
            ).join()
            until(other, lambda: other.next(5).data.min() == 7)
            assert (other.part("a").next(5).data == 7).all()


def test_a_colour_image_can_be_streamed_if_dm_gives_its_pixels():
    with microscope() as dm:
        text = OTHER.format(array="np.arange(60, dtype=np.uint8).reshape(4, 5, 3).copy()", name="Colours")
        dm.run_script(text).join()
        with dmlink.connect(dm.endpoint, source="Colours") as link:
            assert link.next(5).data.shape == (4, 5, 3)
            link.set_roi("roi", Roi(1, 1, 3, 3))
            until(link, link.rois)
            expected = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)[1:3, 1:3]
            assert np.array_equal(link.part("roi").next(5).data, expected)


def test_results_are_shown_in_windows_of_dm():
    with linked() as (dm, link):
        for value in range(5):
            link.show("mean", {"a": value, "b": -value})
        link.show("profile", dmlink.Profile([1, 2, 3], scale=0.5, unit="1/nm", value_unit="e"))
        link.show("map", dmlink.Image(np.eye(4), scale=2.0, unit="nm"))
        link.show("colours", np.full((4, 5, 3), 9, np.uint8))
        strip = dm.wait_until(lambda: [w for w in dm.windows() if w.name == "mean" and w.data[0, 4] == 4], 5)[
            0
        ]
        assert strip.kind == 3
        assert strip.data[:, :5].tolist() == [[0, 1, 2, 3, 4], [0, -1, -2, -3, -4]]
        profile = dm.window("profile")
        assert (profile.data.tolist(), profile.axes[0]) == ([1, 2, 3], dmlink.Axis(0, 0.5, "1/nm"))
        assert profile.intensity.unit == "e"
        shown = dm.window("map")
        assert (shown.data == np.eye(4)).all()
        assert shown.axes == (dmlink.Axis(0, 2.0, "nm"),) * 2
        assert (dm.window("colours").data == 9).all()
        link.show("map", np.ones((4, 4)))
        dm.wait_until(lambda: dm.window("map").data.min() == 1, 5)
        link.hide("map")
        dm.wait_until(lambda: "map" not in [w.name for w in dm.windows()], 5)
        dm.close_window("profile")
        link.show("profile", [4, 5, 6])
        link.show("last", 1)
        dm.window("last")
        assert "profile" not in [w.name for w in dm.windows()]
        assert [source.name for source in link.sources()] == ["Gold"]
        with pytest.raises(TypeError, match="cannot be shown"):
            link.show("text", "words")


def test_a_click_while_colours_are_shown_leaves_the_image_clicked_alone():
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
        dm.wait_until(lambda: [w.name for w in dm.windows()] == ["Gold"], 5)
        assert link.next(5).source == "Gold"


def test_results_shown_fast_are_drawn_now_and_then_and_the_live_view_goes_on():
    with linked(Noise(shape=(256, 256))) as (dm, link):
        image = np.zeros((256, 256), np.float32)
        for _ in range(60):
            link.next(5)
            link.show("image", image)
        dm.wait_displayed(20)
        assert dm.window("image").updates < 60


def test_the_default_is_never_a_window_with_our_results():
    with linked() as (dm, link):
        link.show("map", np.eye(4))
        dm.window("map")
        with being_lost(link):
            run_companion(dm)
        assert link.next(5).source == "Gold"


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
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(10)
        process.stdout.close()


def test_frames_come_from_another_process_and_a_stopped_one_is_lost_and_found(tmp_path, home):
    with simulate(tmp_path, "--port", "0") as (recording, process, endpoint):
        assert endpoint.startswith("dmlink://127.0.0.1:")
        assert (home / "endpoint.json").stat().st_mode & 0o777 == 0o600
        with dmlink.connect() as link:
            for _, frame in zip(range(20), link, strict=False):
                recording.number(frame)
            process.terminate()
            process.wait(10)
            until(link, lambda: link.state == "lost", 10)
            with simulate(tmp_path, "--port", "0"):
                until(link, lambda: link.state == "live", 10)
                recording.number(link.next(5))


def test_the_next_port_is_taken_if_one_is_in_use(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with simulate(tmp_path, "--port", str(port)) as (_, _, endpoint):
            assert endpoints.parse(endpoint).port != port
            with dmlink.connect(endpoint) as link:
                assert link.next(5)
