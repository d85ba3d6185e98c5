"""No browser here: texts are updated at once, because nobody has to read them."""

from __future__ import annotations

import pytest
from dmlink_widgets.pacing import painter


@pytest.fixture(scope="package", autouse=True)
def _status_at_once():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(painter, "STATUS_SECONDS", 0.05)
        yield
