"""Files that no library writes: SER as written by TIA, MIB as written by Merlin."""

import struct


def ser(stack, *, planned=None, version=0x0220, spectra=False):
    """Return the bytes of an unfinished SER file of `planned` frames, one second apart."""
    word, planned = ("q" if version >= 0x0220 else "i"), planned or len(stack)
    head = struct.pack(
        "<HHH4i", 0x4949, 0x0197, version, 0x4120 if spectra else 0x4122, 0x4152, planned, len(stack)
    )
    dimension = struct.pack("<i2dii", planned, 0, 1, 0, 6) + b"Number" + struct.pack("<i", 0)
    offsets_at = len(head) + struct.calcsize(f"<{word}") + 4 + len(dimension)
    room = struct.calcsize(f"<{2 * planned}{word}")
    data, starts, tags = b"", [], []
    for i, frame in enumerate(stack):
        starts.append(offsets_at + room + len(data))
        if spectra:
            data += struct.pack("<2dihi", 100, 0.5, 2, 2, frame.size) + frame.astype("<u2").tobytes()
        else:
            data += struct.pack("<2di", -1e-9, 1e-10, 0) + struct.pack("<2di", -2e-9, 2e-10, 0)
            data += struct.pack("<h2i", 2, *frame.shape[::-1]) + frame[::-1].astype("<u2").tobytes()
        tags.append(offsets_at + room + len(data))
        data += struct.pack("<hxxi", 0x4152, 1_700_000_000 + i)
    empty = [0] * (planned - len(stack))
    offsets = struct.pack(f"<{2 * planned}{word}", *starts, *empty, *tags, *empty)
    return head + struct.pack(f"<{word}i", offsets_at, 1) + dimension + offsets + data


def mib(stack, depth=16):
    """Return a MIB file's bytes, one frame every 0.1 s."""
    frames = []
    for i, frame in enumerate(stack):
        fields = [
            "MQ1",
            f"{i + 1:06}",
            "00384",
            "01",
            f"{frame.shape[1]:04}",
            f"{frame.shape[0]:04}",
            f"U{depth:02}",
        ]
        fields += ["   1x1", "01", f"2026-01-19 20:55:10.{i}00000", "0.050000"]
        frames.append(",".join(fields).encode().ljust(384) + frame.astype(f">u{depth // 8}").tobytes())
    return b"".join(frames)
