"""Whatever either end receives, before or after authentication: nobody gets in, nothing hangs or leaks."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from messages import MESSAGES, CompanionUnderFire, LinkUnderFire, leaving_nothing


@pytest.mark.parametrize("end", [CompanionUnderFire, LinkUnderFire])
@pytest.mark.parametrize("way", ["before_the_token", "after_the_token"])
def test_bad_messages_do_no_harm(end, way, tmp_path, monkeypatch):
    monkeypatch.setenv("DMLINK_HOME", str(tmp_path))

    @settings(max_examples=50, suppress_health_check=list(HealthCheck))
    @given(MESSAGES)
    def fire(messages):
        getattr(target, way)(messages)
        target.check()

    with leaving_nothing(), end() as target:
        fire()
