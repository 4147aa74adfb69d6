"""Nothing leaves the machine that nobody asked for, and nothing is left in the home folder."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.media import make_clip

# Refuses what reaches for the network or starts another program, and says what it was.
_GUARDED = """
import sys
REFUSED = ("socket.connect", "socket.getaddrinfo", "socket.sendto", "socket.bind", "subprocess.Popen",
           "os.posix_spawn", "os.exec", "os.system", "urllib.Request")
def guard(event, arguments):
    if event in REFUSED:
        print("reached for", event, arguments, flush=True)
        raise PermissionError(event)
sys.addaudithook(guard)
import streamfx
report = streamfx.transcode("in.mp4", "out.mp4", effects=["tiny"], backend="openvino")
assert report.exit_code == 0, report.summary()
assert "openvino" in sys.modules
"""


def test_a_run_reaches_for_no_network_and_leaves_the_home_folder_as_it_is(
    environment: dict[str, str], tmp_path: Path
) -> None:
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    make_clip(work / "in.mp4", frames=2)
    ran = subprocess.run(
        [sys.executable, "-c", _GUARDED],
        cwd=work, env=environment | {"HOME": str(home)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == ""
    assert [path.name for path in home.rglob("*") if path.is_file()] == []
