"""What effects keep of a frame for the frames after it."""

from __future__ import annotations

import gc
import threading
import weakref

from streamfx.media.frame_memory import FrameMemories, FrameMemory


def test_a_frame_looks_back_on_the_two_before_it_the_nearest_first() -> None:
    memories, owner, other = FrameMemories(), object(), object()
    found = []
    for number in range(4):
        memory = memories.next()
        found.append(memory.recall(owner))
        memory.keep(owner, number)
        memory.keep(other, -number)
        memory.close()
    assert found == [(), (0,), (1, 0), (2, 1)]


def test_a_frame_of_which_nothing_was_kept_ends_what_is_known() -> None:
    memories, owner = FrameMemories(), object()
    for number in range(3):
        memory = memories.next()
        if number != 1:
            memory.keep(owner, number)
        memory.close()
    assert memories.next().recall(owner) == (2,)


def test_a_frame_waits_for_the_one_before_it_and_for_no_longer() -> None:
    memories, owner = FrameMemories(), object()
    first, second, third = (memories.next() for _ in range(3))
    found: dict[str, tuple[object, ...]] = {}
    threads = [
        threading.Thread(target=lambda name=name, memory=memory: found.update({name: memory.recall(owner)}))
        for name, memory in (("third", third), ("second", second))
    ]
    for thread in threads:
        thread.start()
    assert not found
    second.keep(owner, "second")
    first.close()  # and kept nothing
    for thread in threads:
        thread.join(10)
    assert found == {"second": (), "third": ("second",)}


def test_what_no_frame_can_ask_for_any_more_is_forgotten() -> None:
    class Kept:
        """Something that can be looked after."""

    memories, owner, kept = FrameMemories(), object(), Kept()
    gone = weakref.ref(kept)
    frames: list[FrameMemory] = []
    for number in range(3):
        frames.append(memories.next())
        frames[-1].keep(owner, kept if number == 0 else number)
    del kept
    for memory, alive in zip(frames, (True, True, False), strict=True):
        memory.close()
        gc.collect()
        assert (gone() is not None) == alive
