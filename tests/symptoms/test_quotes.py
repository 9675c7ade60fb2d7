"""Parts of messages, as people remember them: each finds its entry, and plain words find none."""

from __future__ import annotations

import re

import pytest

from dcp_tutor.symptoms import SYMPTOMS, Symptom, find


def codes(text: str) -> list[str]:
    return [symptom.code for symptom in find(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metadata is None", "metadata-none"),
        ("metadata is None...", "metadata-none"),
        ('"metadata is None;"', "metadata-none"),
        ("RuntimeError: metadata is None", "metadata-none"),
        ("[rank1]: RuntimeError: metadata is None", "metadata-none"),
        ("\x1b[31mmetadata is None\x1b[0m", "metadata-none"),
        ("global metadata read failed", "metadata-none"),
        ("METADATA READ FAILED", "metadata-none"),
        ("Missing key", "missing-key"),
        ("Size mismatch between saved", "size-mismatch"),
        ("connectFullMesh", "full-mesh"),
        ("Connection closed", "connection-closed"),
        ("mixed torch.Tensor and DTensor", "mixed-dtensor"),
        ("shared with a parameter already managed", "tied-weights"),
        ("process group has not been initialized", "no-process-group"),
        ("out of memory", "cuda-memory"),
        ("no space left", "no-space"),
        ("ChildFailedError", "child-failed"),
        ("PytorchStreamReader", "data-file-damaged"),
        ("failed to validate global", "global-plan"),
        ("cannot cross between notebook and ranks", "cannot-cross"),
    ],
)
def test_a_part_finds_its_message(text: str, expected: str) -> None:
    found = codes(text)
    assert found[0] == expected
    assert len(found) <= 3


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "...", "error", "Error:", "RuntimeError", "RuntimeError:", "failed", "None"),
        *("rank 0", "rank", "checkpoint", "state_dict", "metadata", "torch.Tensor", "async_save"),
        *("the program", "of the program", "this machine", "the launch", "the file", "not found"),
        *("data file", "is not", "in the middle of", "all its ranks", "and all its", "dcp_tutor"),
        *("No such file or directory", "such file or directory", "must be a", "a number of"),
        "FileNotFoundError: [Errno 2] No such file or directory: 'notes.txt'",
        "KeyError: 'app'",
        "metadata is None of my business",
        "epoch 3, loss 0.25",
    ],
)
def test_plain_words_are_no_quote(text: str) -> None:
    assert codes(text) == []


def test_half_of_each_message_finds_it_and_hardly_anything_else() -> None:
    """The longest run of words without a gap, less its last word, of every form."""
    tried = 0
    for symptom in SYMPTOMS:
        for form in symptom.says:
            part = max(re.split(r"<[^<>]+>", form), key=len)
            words = part.split()[:-1]
            if len(" ".join(words)) < 30 or find(" ".join(words), quotes=False):
                continue  # too little, or the whole of another message
            tried += 1
            found = find(" ".join(words))
            assert symptom in found, form
            assert len(found) <= 3, form
    assert tried > 40


def test_a_message_that_stands_there_whole_is_no_quote() -> None:
    """`Missing key ...` is also a part of two other messages, which are not meant here."""
    assert codes("Missing key in checkpoint state_dict: app.model.w.") == ["missing-key"]
    # What says only that something failed is kept, behind the quote that says what.
    assert codes("CheckpointException: metadata is None") == [
        "metadata-none",
        "checkpoint-exception",
    ]


def test_what_stands_in_many_messages_tells_none() -> None:
    def entries(count: int) -> list[Symptom]:
        return [
            Symptom(
                code=f"cheese-{number}",
                says=(f"the green cheese of moon number {number}",),
                source="torch",
                cause="Somebody was hungry.",
                mend="Type `dinner()`.",
            )
            for number in range(count)
        ]

    assert len(find("green cheese", entries(3))) == 3
    assert find("green cheese", entries(4)) == ()
    assert find("green cheese", entries(3), quotes=False) == ()


def test_a_long_text_is_no_quote() -> None:
    text = "metadata is None" + " " * 400
    assert codes("metadata is None") and codes(text) == []
