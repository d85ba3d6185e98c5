"""Every frame is accounted for: delivered, dropped, skipped or unsure; no reader costs another one frames."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from microscopes import Noise, Raw, linked, microscope, run_companion, until

import dmlink
from dmlink import Roi
from dmlink.frame import Frame
from dmlink.indm import protocol
from dmlink.link import endpoint as endpoints
from dmlink.link.delivery import LOSSLESS_IN_FLIGHT, Delivery
from dmlink.link.readers import LosslessReader, Reader
from dmlink.link.status import Status

SIZE = 8 * 8  # bytes of a frame


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DMLINK_ENDPOINT", raising=False)
    return tmp_path / "home"


def frame(index):
    return Frame(np.full((8, 8), index % 251, np.uint8), index)


@pytest.mark.parametrize("taken", [1, 2, 3])
def test_frame_on_its_way_has_its_room(taken):
    companion = Companion(lossless=True)
    reader = LosslessReader(companion.delivery, max_frames=4)
    assert companion.announce(4) == [0, 1, 2, 3]
    reader.next(0)
    companion.credit -= 1
    companion.delivery.coming()
    for _ in range(taken):
        reader.next(0)
    companion.index += 1
    companion.delivery.put(frame(companion.index), 0.001)
    companion.announce(8)
    assert reader.waiting <= 4
    assert "dropped" not in companion.delivery.status.reason


class Companion:
    """A companion as a delivery sees it: it receives credits and sends frames."""

    def __init__(self, *, lossless):
        self.delivery = Delivery(Status(endpoints.Endpoint("127.0.0.1", 1, "t")), lossless=lossless)
        self.credit = 0
        self.index = -1  # number of the last announced frame
        self.delivery.connected(self.grant, another=True)
        self.delivery.announce(self.index, 0)

    def grant(self, n):
        self.credit += n

    def announce(self, n=1):
        """Let the camera take n more frames; return the numbers of those that were sent."""
        sent = []
        for _ in range(n):
            self.index += 1
            if self.credit:
                self.credit -= 1
                self.delivery.coming()
                self.delivery.put(frame(self.index), 0.001)
                sent.append(self.index)
        self.delivery.announce(self.index, 0)
        return sent


# Delivery and its readers, without a network


def test_latest_reader_accounts_for_every_frame():
    companion = Companion(lossless=False)
    reader = Reader(companion.delivery)
    for passed in (1, 5, 1, 1, 40, 2):
        reader.poll()
        companion.announce(passed)
        reader.poll()
    companion.announce(3)
    reader.poll()
    assert reader.accounted() == companion.index + 1


def test_unwanted_frames_are_skipped(monkeypatch):
    monkeypatch.setattr("dmlink.link.delivery.FRESH_SECONDS", 0.0)
    monkeypatch.setattr("dmlink.link.readers.FRESH_SECONDS", 0.0)
    companion = Companion(lossless=False)
    reader = Reader(companion.delivery)
    companion.announce(20)
    stats = companion.delivery.stats(None)
    assert (stats.received, stats.dropped, stats.skipped) == (1, 0, 19)
    assert (reader.dropped, reader.skipped) == (0, 19)
    assert reader.poll().index == 0
    assert reader.accounted() == 20


def test_lossless_readers_lose_only_their_own():
    companion = Companion(lossless=True)
    slow = LosslessReader(companion.delivery, max_frames=10)
    quick = LosslessReader(companion.delivery)
    for _ in range(50):
        companion.announce()
        assert quick.next(0).index == companion.index
    assert (quick.dropped, slow.dropped) == (0, 40)  # immediately, not when a later frame arrives
    assert [slow.next(0).index for _ in range(10)] == list(range(10))
    assert slow.accounted() == quick.accounted() == 50


def test_later_losses_do_not_count_before_a_frame():
    companion = Companion(lossless=True)
    reader = LosslessReader(companion.delivery, max_frames=10)
    companion.announce(30)  # more than there was room for, while nothing was taken
    first = reader.next(0)
    assert (first.index, reader.accounted(before=first)) == (0, 0)
    assert reader.accounted() == 1 + reader.dropped == 30 - reader.waiting
    fifth = [reader.next(0) for _ in range(4)][-1]
    assert reader.accounted(before=fifth) == 4
    latest = Reader(companion.delivery)
    assert latest.accounted(before=latest.poll()) == 0


def test_full_reader_gets_no_frame():
    companion = Companion(lossless=True)
    reader = LosslessReader(companion.delivery, max_bytes=12 * SIZE)
    assert companion.announce(100) == list(range(12))  # the others wait, or are lost, in DigitalMicrograph
    assert reader.dropped == 88
    reader.next(0)
    assert companion.credit >= 1


def test_idle_reader_keeps_newest_flowing():
    companion = Companion(lossless=True)
    LosslessReader(companion.delivery, max_frames=5)
    latest = Reader(companion.delivery)
    for _ in range(30):
        latest.poll()
        companion.announce()
        assert latest.poll().index == companion.index


def test_credits_are_bounded():
    companion = Companion(lossless=True)
    readers = [LosslessReader(companion.delivery) for _ in range(5)]
    assert companion.credit == LOSSLESS_IN_FLIGHT
    for reader in readers:
        reader.close()
    companion.announce(20)
    assert companion.credit == 0


def test_late_frame_is_not_left_out():
    companion = Companion(lossless=False)
    companion.announce(3)
    companion.delivery.put(frame(2), 0.001)  # a still image, sent on request
    stats = companion.delivery.stats(None)
    assert stats.received + stats.dropped + stats.skipped == 3
    companion.delivery.put(frame(2), 0.001)  # sent again, because its ROI has moved
    assert companion.delivery.stats(None).received == stats.received


def test_new_companion_restarts_numbers():
    companion = Companion(lossless=False)
    companion.announce(50)
    before = companion.delivery.stats(None)
    companion.index = -1
    companion.delivery.connected(companion.grant, another=True)
    companion.announce(1)
    after = companion.delivery.stats(None)
    assert (after.dropped, after.skipped) == (before.dropped, before.skipped)


def test_readers_account_for_every_companion(monkeypatch):
    monkeypatch.setattr("dmlink.link.readers.FRESH_SECONDS", 1e9)
    companion = Companion(lossless=False)
    often, seldom, total = Reader(companion.delivery), Reader(companion.delivery), 0
    for frames in (30, 50, 1, 9):
        total += frames
        for _ in range(frames):
            companion.announce()
            often.poll()
        assert often.accounted() == total
        companion.index = -1
        companion.delivery.connected(companion.grant, another=True)
        companion.delivery.announce(-1, 0)
        companion.credit = 1
    assert (seldom.received, seldom.dropped, seldom.skipped) == (0, 90, 0)
    assert seldom.poll().index == 8
    assert (seldom.received, seldom.dropped) == (1, 89)


@pytest.mark.parametrize("size", [1, 40])
def test_lossless_reader_accounts_for_every_companion(size):
    companion = Companion(lossless=True)
    reader = LosslessReader(companion.delivery, max_frames=size)
    for _ in range(3):
        companion.announce(30)
        companion.index = -1
        companion.delivery.connected(companion.grant, another=True)
        companion.delivery.announce(-1, 0)
    while reader.waiting:
        reader.next(0)
    assert reader.received + reader.dropped == 90


# With a microscope


def test_counting_camera_loses_no_frame():
    recording = Noise(n=61, shape=(256, 256), dtype=np.uint8)
    y, x = np.ogrid[:256, :256]
    for i, image in enumerate(recording.stack):
        disc = (y - 130) ** 2 + (x - 124) ** 2 < (20, 30, 55)[i % 3] ** 2
        image[:] = disc * np.random.default_rng(i).poisson(2, (256, 256))
    with microscope(recording, fps=20, events="queue", constants={"EVENTS_OVERDUE": 0.2}) as dm:
        dm.camera.pause()
        dm.settle()
        with dmlink.connect(dm.endpoint, mode="lossless") as link:
            numbers = [recording.number(link.next(60))]  # the still image
            for _ in range(60):
                dm.camera.step()
                numbers.append(recording.number(link.next(60)))
    assert numbers == [(numbers[0] + i) % 61 for i in range(61)]


@pytest.mark.parametrize("mode", ["latest", "lossless"])
def test_link_accounts_for_every_announced_frame(mode):
    with microscope(fps=200) as dm:
        dm.camera.pause()
        dm.settle()
        with dmlink.connect(dm.endpoint, mode=mode) as link:
            link.next(60)
            before = dm.displayed
            dm.camera.resume()
            for _ in range(20):
                link.next(60)
            dm.wait_displayed(60)
            dm.camera.pause()
            dm.settle()
            announced = dm.displayed - before + 1
            until(link, lambda: sum(link.stats[i] for i in (0, 1, 5, 6)) == announced)


def test_idle_lossless_link_costs_no_other(tmp_path):
    constants = {"LOSSLESS_BYTES": 40 * 48 * 64 * 2}
    with linked(fps=25, mode="lossless", constants=constants) as (dm, idle):
        dm.camera.hold = lambda: dm._last_shown < dm.camera.written  # DM has time for every frame
        idle.next(60)
        with dmlink.connect(dm.endpoint) as link:
            dm.wait_displayed(60)
            with link.record(tmp_path / "series") as recorder:
                until(link, lambda: recorder.frames >= 50 and link.next(60))
            assert recorder.dropped == 0


def test_lossless_link_read_once_stops_nobody():
    with linked(fps=100, mode="lossless") as (dm, link):
        link.next(60)
        reader = link.reader()
        cell = dmlink.LiveCell("info.index", "latest").start(link)
        dm.wait_displayed(100)
        until(link, lambda: cell.latest and cell.latest[0] > 90)
        assert reader.next(60).index > 90
        cell.stop()


def test_part_stays_for_its_next_reader():
    with linked(fps=50) as (_, link):
        part = link.part(None, "lossless")
        reader = part.reader(every=True)
        assert link.part(None, "lossless") is part  # a reader is about to use it
        reader.close()
        following = part.reader(every=True)
        assert following.next(60)
        following.close()
        assert part.closed
        assert link.part(None, "lossless") is not part


def test_refused_result_ends_nothing():
    with linked(fps=50) as (dm, link):
        for i in range(40):
            link.show(f"n{i}", 1.0)
        until(link, lambda: "results are shown already" in link.reason)
        assert link.state == "live"
        with pytest.raises(ValueError, match="results are shown already"):
            until(link, lambda: link.show("n39", 1.0))
        for name in ("", "x" * 201, "a\nb", "\ud800"):
            with pytest.raises(ValueError, match="cannot name a shown result"):
                link.show(name, 1.0)
        before = link.next(60).index
        dm.wait_displayed(20)
        assert link.next(60).index > before


def test_long_lists_travel_in_parts():
    with linked(fps=50) as (dm, link):
        names = [f"{i:04d}" + "x" * 190 for i in range(400)]
        for name in names:
            link.set_roi(name, Roi(1, 1, 9, 9))
        until(link, lambda: len(link.rois()) == 400)
        script = "import DigitalMicrograph as DM, numpy as np\nfor i in range(600):\n"
        script += "    im = DM.CreateImage(np.zeros((4, 4), np.float32))\n"
        script += "    im.SetName('sample %04d %s' % (i, 'y' * 60))\n    im.ShowImage()\n    del im\n"
        dm.run_script(script).join()
        with dmlink.connect(dm.endpoint, source="Gold") as other:
            until(other, lambda: len(other.rois()) == 400)
            assert len(other.sources()) == 601
            assert other.next(60)
        assert link.state == "live"


def test_links_accept_any_image_name():
    names = ["x" * 70_000, "", "tab\tand\nline", "Gold"]
    with microscope(Noise(name=names[0])) as dm:
        script = "import DigitalMicrograph as DM, numpy as np\n"
        script += f"for name in {names!a}:\n    im = DM.CreateImage(np.zeros((4, 4), np.float32))\n"
        script += "    im.SetName(name)\n    im.ShowImage()\n    del im\n"
        dm.run_script(script).join()
        with dmlink.connect(dm.endpoint) as link:
            assert link.next(60).source == "x" * 200
            assert {"?", "tab?and?line", "Gold"} <= {source.name for source in link.sources()}


def test_one_link_too_many_gets_a_reason():
    with microscope(constants={"MAX_CLIENTS": 3}) as dm:
        links = [dmlink.connect(dm.endpoint) for _ in range(3)]
        with pytest.raises(ConnectionError, match="3 links are connected already; close one"):
            dmlink.connect(dm.endpoint)
        links.pop().close()
        until(links[0], lambda: dm.companion and _connects(dm.endpoint, links))
        for link in links:
            link.close()


def _connects(endpoint, links):
    try:
        links.append(dmlink.connect(endpoint))
    except ConnectionError:
        return False
    return True


def test_rude_strangers_slow_nobody():
    with linked(fps=100) as (dm, link):
        link.next(60)
        over = threading.Event()

        def pester():
            while not over.is_set():
                with Raw(dm.endpoint, enter=False) as raw:
                    raw.send(protocol.HELLO, version=1, nonce="\ud800" * 40)
                    raw.receive()

        strangers = [threading.Thread(target=pester) for _ in range(4)]
        for stranger in strangers:
            stranger.start()
        before = link.next(60).index
        dm.wait_displayed(100)
        until(link, lambda: link.next(60).index - before > 80)
        over.set()
        for stranger in strangers:
            stranger.join()
        assert not [line for line in dm.results_window if "Error" in line]


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_first_companion_is_found_again(tmp_path, home, end):
    np.save(tmp_path / "rec.npy", np.random.default_rng(0).integers(0, 99, (20, 32, 32)).astype("u2"))
    with microscope() as dm:
        command = [sys.executable, "-m", "dmlink", "simulate", str(tmp_path / "rec.npy"), "--port", "0"]
        second = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        there = second.stdout.readline().strip()
        assert str(endpoints.find()) == there
        getattr(second, end)()
        second.wait()
        second.stdout.close()
        assert str(endpoints.find()) == dm.endpoint
        with dmlink.connect() as link:
            assert link.next(60)
        run_companion(dm)
        assert len(list((home / "endpoints").iterdir())) == 1


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_companion_runs_without_its_folder(home):
    home.mkdir(mode=0o500)
    with linked() as (dm, link):
        assert link.next(60)
        assert any("cannot be written" in line for line in dm.results_window)


def test_unwritable_endpoint_is_named(home):
    home.parent.mkdir(exist_ok=True)
    home.write_text("a file where the folder should be")
    with linked() as (dm, link):
        assert link.next(60)
        assert any("cannot be written" in line for line in dm.results_window)


def test_token_is_in_no_representation():
    with linked() as (dm, link):
        token = endpoints.parse(dm.endpoint).token
        assert token not in repr(link.endpoint) + repr(link) + f"{link.endpoint!r}"
        assert token in str(link.endpoint)
    for typed in (
        "dmlink//127.0.0.1:1?token={}",
        "dmlink://h:1?tok={}",
        "dmlink://h:1/{}",
        "{}",
        "dmlink://{}@h",
    ):
        with pytest.raises(ValueError, match="is not an endpoint") as error:
            endpoints.parse(typed.format(token))
        assert token not in str(error.value)


def test_part_at_the_edge_has_its_pixels():
    recording = Noise()
    with linked(recording) as (dm, link):
        dm.draw_line(3, 2, 50, 40)
        link.set_roi("edge", Roi(-5, -7, 10, 12))
        until(link, lambda: "edge" in link.rois())
        with link.part("edge") as part:
            seen = until(part, lambda: (f := part.next(60)).line and f)
            assert seen.roi == Roi(0, 0, 10, 12)
            assert seen.data.shape == (10, 12)
            assert seen.line == (2, 3, 40, 50)  # relative to the corner of the pixels
            recording.number(seen)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors")  # noqa: PTH112
def test_waiting_frames_need_few_descriptors():
    with linked(fps=400, mode="lossless") as (dm, link):
        link.next(60)
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        dm.wait_displayed(400)
        until(link, lambda: link.stats.received > 200)
        assert len(os.listdir("/proc/self/fd")) - before < 20  # noqa: PTH208
