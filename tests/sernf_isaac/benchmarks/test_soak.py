"""A soak sees memory that grows."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from sernf_isaac.benchmarks import soak as benchmark
from sernf_isaac.benchmarks.soak import resident_mb, soak


class Episodes:
    """A session of one-minute episodes, which keeps so many megabytes of each.

    Its memory is counted here: what the process has depends on the tests that ran before.

    Args:
        leak_mb: Per episode.
    """

    def __init__(self, leak_mb: float) -> None:
        self.totals = SimpleNamespace(data_s=0.0, underruns=3)
        self._leak_mb, self.memory_mb = leak_mb, 1000.0

    def episodes(self, *, data_minutes: float):
        while self.totals.data_s < 60.0 * data_minutes:
            self.totals.data_s += 60.0
            self.memory_mb += self._leak_mb
            yield None


@pytest.mark.parametrize(("leak_mb", "grows"), [(0.0, False), (4.0, True)])
def test_a_leak_is_told_from_none(
    leak_mb: float, grows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[float] = []
    session = Episodes(leak_mb)
    monkeypatch.setattr(benchmark, "resident_mb", lambda: session.memory_mb)
    report = soak(session, 40, told.append)  # type: ignore[arg-type]  # stands in for one
    assert told[-1] == report.minutes == 40 and report.episodes == 40 and report.underruns == 3
    grown_mb = report.after_mb - report.before_mb
    assert grown_mb == pytest.approx(leak_mb * 32, abs=4)
    assert (report.growth > 0.01) == grows


def test_too_few_episodes_prove_nothing() -> None:
    with pytest.raises(ValueError, match="too few"):
        soak(Episodes(0.0), 3, lambda _: None)  # type: ignore[arg-type]


def test_memory_counts_this_process() -> None:
    own = next(
        line for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line
    )
    assert resident_mb() >= 0.9 * int(own.split()[1]) * 1024 / 1e6
