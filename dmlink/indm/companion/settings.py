"""Settings: where the companion listens, how it gets its frames, and how patient it is."""

HOST = "127.0.0.1"  # that is this computer only; from another one connect through an SSH tunnel
EXPOSE = False  # has to be True as well if HOST is not this computer only
PORT = 52370  # the next free port is taken if this one is in use
COMPRESS = False  # True: pixels are packed for links that can unpack them; needs the package numcodecs

FEED = "view"  # the live view; "camera": take the camera and acquire continuously, without a live view
CAMERA_EXPOSURE = 0.1  # s, with FEED = "camera"
CAMERA_BINNING = 1
CAMERA_PROCESSING = 3  # gain normalized

STILL_SECONDS = 0.5  # without an event for so long, the image is sent as it stands
EVENTS_OVERDUE = 2.0  # seconds without an event before the loop looks by itself
SEARCH_SECONDS = 0.5  # how often DM's windows are searched for a view that is not there
EVERY_EVENT = False  # True, in a replay: each event is a frame, also if its pixels are those of the last
