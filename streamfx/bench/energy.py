"""Energy: what the processor's own counters say it took (RAPL), where this process may read them."""

from __future__ import annotations

from pathlib import Path

_POWERCAP = Path("/sys/class/powercap")


class Rapl:
    """Adds up the energy of all processor packages. To be looked at every few minutes: counters wrap around.

    Args:
        root: place where Linux shows the counters.

    Raises:
        OSError, ValueError: they cannot be read.
    """

    def __init__(self, root: Path = _POWERCAP) -> None:
        # intel-rapl:0 is a package, intel-rapl:0:0 a part of it; on AMD they are called the same.
        self._packages = [path for path in sorted(root.glob("intel-rapl:*")) if path.name.count(":") == 1]
        if not self._packages:
            raise FileNotFoundError("the system shows no energy counters (RAPL)")
        self._wrap_at = [_number(package / "max_energy_range_uj") for package in self._packages]
        self._last, self._joules = self._counters(), 0.0

    def joules(self) -> float | None:
        """Return the energy taken since this was made; None where it cannot be read any more."""
        try:
            counters = self._counters()
        except (OSError, ValueError):
            return None
        for now, last, wrap_at in zip(counters, self._last, self._wrap_at, strict=True):
            self._joules += ((now - last) % (wrap_at + 1)) / 1e6
        self._last = counters
        return self._joules

    def _counters(self) -> list[int]:
        return [_number(package / "energy_uj") for package in self._packages]


def _number(path: Path) -> int:
    return int(path.read_text(encoding="ascii"))
