"""The account of every source frame balances, or says what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamfx.media.stage import Stage
from streamfx.pipeline.ledger import Account, FailedFrame, Ledger

FATES = ["encoded", "repeated", "dropped", "failed", "decode_failed", "in flight"]


@given(st.lists(st.sampled_from(FATES), max_size=60))
def test_whatever_becomes_of_the_frames_the_account_balances(fates: list[str]) -> None:
    ledger = Ledger()
    for index, fate in enumerate(fates):
        if fate == "decode_failed":
            ledger.decode_failed("broken")
            continue
        ledger.enter(index, filler=fate == "repeated")
        if fate == "dropped":
            ledger.dropped(index, "queue full")
        elif fate == "failed":
            ledger.failed(index, Stage.ENCODE, "no space")
        elif fate != "in flight":
            getattr(ledger, fate)(index)
    account = ledger.account()
    assert account.fillers == fates.count("repeated"), "nothing came in for them"
    assert account.frames_in == len(fates) - account.fillers == ledger.frames_in
    assert ledger.frames_taken == len(fates)
    assert account.in_flight == fates.count("in flight")
    assert (
        account.frames_failed == fates.count("failed") + fates.count("decode_failed") == ledger.frames_failed
    )
    written = fates.count("encoded") + fates.count("repeated")
    assert (account.differences(written) == []) == (account.in_flight == 0)
    assert account.differences(written + 1)[-1] == (
        f"{written} frames were encoded, but {written + 1} packets were written"
    )


def test_what_does_not_balance_with_fillers_is_said() -> None:
    account = Account(frames_in=3, fillers=2, encoded=3, repeated=1)
    assert account.differences(4) == [
        "3 frames came in and 2 were made in their place, but the states add up to 4"
    ]


def test_a_frame_cannot_have_two_ends() -> None:
    ledger = Ledger()
    ledger.enter(4)
    ledger.encoded(4)
    with pytest.raises(ValueError, match="frame 4 has its final state already, or never came in"):
        ledger.dropped(4, "queue full")
    with pytest.raises(ValueError, match="frame 5 has its final state already, or never came in"):
        ledger.encoded(5)


def test_a_source_that_delivers_a_frame_twice_is_found_out() -> None:
    ledger = Ledger()
    ledger.enter(4)
    with pytest.raises(ValueError, match="the source delivered frame 4 twice"):
        ledger.enter(4)


def test_causes_and_reasons_are_kept_apart() -> None:
    ledger = Ledger()
    for index in range(4):
        ledger.enter(index)
    ledger.dropped(0, "queue full")
    ledger.dropped(1, "queue full")
    ledger.dropped(2, "aborted")
    ledger.failed(3, Stage.GENERATE, "not finite")
    ledger.decode_failed("truncated packet")
    assert ledger.account() == Account(
        frames_in=5,
        dropped={"queue full": 2, "aborted": 1},
        failed={"generate": 1, "decode": 1},
        failures=(
            FailedFrame(3, Stage.GENERATE, "not finite"),
            FailedFrame(None, Stage.DECODE, "truncated packet"),
        ),
    )


def test_a_million_failures_need_no_more_memory_than_twenty() -> None:
    ledger = Ledger(failures_kept=20)
    for number in range(1000):
        ledger.decode_failed(f"broken {number}")
    account = ledger.account()
    assert account.failed == {"decode": 1000}
    assert [failure.reason for failure in account.failures] == [f"broken {number}" for number in range(20)]


def test_an_output_that_was_not_finished_is_not_compared() -> None:
    assert Account(frames_in=2, encoded=2).differences(packets_written=None) == []
