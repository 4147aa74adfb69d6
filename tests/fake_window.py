"""A program in place of the process that has the window: answers as it is told, without a library.

``python fake_window.py FILE WHAT N``: after N pictures it does WHAT (close, hang, crash, break); FILE gets
what came. With WHAT ``error`` or ``deaf`` no window comes to be.
"""

from __future__ import annotations

import json
import sys
import time


def say(answer: str) -> None:
    sys.stdout.write(f"{answer}\n")
    sys.stdout.flush()


def main() -> None:
    file, what, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    task = json.loads(sys.stdin.buffer.readline())
    if what == "error":
        say("error no display")
        return
    if what == "deaf":
        time.sleep(600)
    say("ready")
    size = task["width"] * task["height"] * 3
    with open(file, "w", encoding="utf-8") as seen:
        seen.write(f"{task['title']}\n")
        for _ in range(count):
            picture = sys.stdin.buffer.read(size)
            if not picture:
                return
            seen.write(f"{len(picture)} {picture[:3].hex()}\n")
            seen.flush()
            say("shown")
    if what == "close":
        say("closed")
    elif what == "break":
        say("error the compositor has gone")
    elif what == "hang":
        time.sleep(600)


if __name__ == "__main__":
    main()
