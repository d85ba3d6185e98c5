"""Live cell "statistics"."""

from dmlink.indm.memory import RunningAverage
from dmlink.indm.results import Points, Profile, Scalar

# Parameters
gain = 1.0  # 0.5 to 2.0: of the mean


def process(frame, info, state):
    average = state.setdefault("average", RunningAverage(1))
    return {
        "mean": Scalar(gain * average.add(frame).mean(), "counts"),
        "rows": Profile(frame.mean(axis=1), scale=info.y.scale, unit=info.y.unit),
        "spots": Points(frame[:1, :2], labels=["a"]),
    }
