"""Settings: where the companion listens, how it gets its frames, and how long it waits."""

HOST = "127.0.0.1"  # this computer only; from another one, connect through an SSH tunnel
EXPOSE = False  # must also be True if HOST is anything but this computer
PORT = 52370  # if it is in use, the next free port is taken
COMPRESS = False  # True: compress pixels for links that can decompress them; needs the package numcodecs

FEED = "view"  # the live view; "camera": acquire with the camera directly, without a live view
CAMERA_EXPOSURE = 0.1  # s, with FEED = "camera"
CAMERA_BINNING = 1
CAMERA_PROCESSING = 3  # gain normalized

STILL_SECONDS = 0.5  # after this time without an event, the image is sent as it is
EVENTS_OVERDUE = 2.0  # seconds without an event before the loop polls
SEARCH_SECONDS = 0.5  # how often to search DM's windows for a missing view
EVERY_EVENT = False  # True in a replay: each event is a frame, even with the same pixels as the last
