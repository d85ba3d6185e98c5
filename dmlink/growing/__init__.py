"""Growing recordings: read while they are being written, every frame once and in order."""

from dmlink.growing.following import Following as Following
from dmlink.growing.following import follow as follow
