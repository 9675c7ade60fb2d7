"""Each entry explains the real message that it is for, also in the middle of a long log."""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Callable

import pytest

from dcp_tutor.symptoms import SYMPTOMS, find

CODES = [symptom.code for symptom in SYMPTOMS]


def codes(text: str) -> list[str]:
    return [symptom.code for symptom in find(text)]


def test_every_entry_has_a_sample_and_every_sample_an_entry(samples: dict[str, list[str]]) -> None:
    assert sorted(samples) == sorted(CODES)


@pytest.mark.parametrize("code", CODES)
def test_a_real_message_is_explained(code: str, samples: dict[str, list[str]]) -> None:
    for text in samples[code]:
        assert code in codes(text), text


@pytest.mark.parametrize("code", [symptom.code for symptom in SYMPTOMS if not symptom.general])
def test_what_says_the_cause_comes_first(code: str, samples: dict[str, list[str]]) -> None:
    for text in samples[code]:
        assert codes(text)[0] == code, text


NOISE = """\
[rank{rank}]: Traceback (most recent call last):
[rank{rank}]:   File "/home/anna/.venv/lib/python3.13/site-packages/torch/c10d.py", line {n}, in f
[rank{rank}]:     return func(*args, **kwargs)
[rank{rank}]:            ^^^^^^^^^^^^^^^^^^^^^
"""


def in_a_log(text: str, chance: random.Random) -> str:
    """Return a message as people paste it: other numbers, colours, tags, within a traceback."""
    noise = NOISE.format(rank=chance.randrange(64), n=chance.randrange(9999))
    lines = "".join(f"[rank3]: \x1b[31m{line}\x1b[0m\n" for line in text.splitlines())
    return f"In [7]: run it\n{noise}{lines}{noise}\nAll logs: /tmp/dcp-tutor-x1/03-save\n"


@pytest.mark.parametrize("code", CODES)
def test_a_message_within_a_long_log(code: str, samples: dict[str, list[str]]) -> None:
    chance = random.Random(code)
    for text in samples[code]:
        assert code in codes(in_a_log(text, chance))


@pytest.mark.parametrize("code", CODES)
def test_a_message_broken_by_a_narrow_terminal(code: str, samples: dict[str, list[str]]) -> None:
    for text in samples[code]:
        narrow = re.sub(r"(.{37})", r"\1\n", text)
        assert code in codes(narrow), narrow


@pytest.mark.parametrize("code", CODES)
def test_a_message_with_other_numbers(code: str, samples: dict[str, list[str]]) -> None:
    # Ranks, ports, seconds and sizes; not those that are part of a word or of the wording.
    symptom = next(symptom for symptom in SYMPTOMS if symptom.code == code)
    if any(re.search(r"\d", form) for form in symptom.says):
        pytest.skip("its wording has a number of its own")
    for text in samples[code]:
        other = re.sub(r"(?<![\w.])\d+(?![\w])", "4711", text)
        assert code in codes(other), other


def test_the_noise_alone_is_no_message() -> None:
    assert codes(in_a_log("", random.Random(0))) == []
    assert codes("") == []
    assert codes("epoch 3, loss 0.25, saved to /tmp/checkpoint; all went well") == []


def test_a_lost_connection_comes_after_its_reason(samples: dict[str, list[str]]) -> None:
    text = samples["connection-closed"][0] + "\n" + samples["missing-key"][0]
    assert codes(text)[0] == "missing-key"
    assert "connection-closed" in codes(text)


def test_several_messages_are_all_found(samples: dict[str, list[str]]) -> None:
    text = "\n".join(samples[code][0] for code in ("no-space", "size-mismatch", "rank-sigkill"))
    assert {"no-space", "size-mismatch", "rank-sigkill"} <= set(codes(text))


def test_a_rank_that_left_while_others_connected_is_told_alone(
    samples: dict[str, list[str]],
) -> None:
    for text in samples["left-while-connecting"]:
        assert codes(text) == ["left-while-connecting"]


def test_a_huge_log_is_quick(samples: dict[str, list[str]]) -> None:
    log = "step 7: loss 0.1 on rank 3 of 4, device cuda\n" * 200_000
    assert codes(log + samples["no-space"][0]) == ["no-space"]


# NCCL's own are not in torch's CPU builds, and some are written together from parts.
COMPILED = [
    "Connection closed by peer ",
    "Did the remote server shutdown or crash?",
    "Gloo connectFullMesh failed with ",
    "The client socket has timed out after {} while trying to connect to",
    "wait timeout after {}ms, keys: {}",
    "ms for recv operation to complete",
    "Detected mismatch between collectives on ranks",
    "EADDRINUSE",
    "No backend type associated with device type ",
    "recvValue failed on ",
]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the library is named otherwise")
@pytest.mark.parametrize("words", COMPILED)
def test_torch_still_has_these_words(words: str, torch_holds: Callable[[str], bool]) -> None:
    assert torch_holds(words)


def test_the_search_in_the_library_can_fail(torch_holds: Callable[[str], bool]) -> None:
    assert not torch_holds("these words stand in no library of torch's")
