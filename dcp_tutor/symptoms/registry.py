"""All entries, in the order in which the page shows them."""

from __future__ import annotations

from dataclasses import dataclass

from dcp_tutor.symptoms import asked, dcp, groups, launches, system, values
from dcp_tutor.symptoms.symptom import Symptom


@dataclass(frozen=True, slots=True)
class Section:
    """Entries of one kind, under one heading."""

    title: str
    introduction: str
    symptoms: tuple[Symptom, ...]


SECTIONS: tuple[Section, ...] = (
    Section(
        "Before a rank starts",
        "What was typed cannot be done, or not on this machine. Nothing was started.",
        asked.SYMPTOMS,
    ),
    Section(
        "A launch that did not end well",
        "The first line names the rank whose failure came first; the others followed from it.",
        launches.FAILURES,
    ),
    Section(
        "Values between notebook and ranks",
        "What `-i` and `-o` carry, and what a rank cannot be asked.",
        values.SYMPTOMS,
    ),
    Section("Notes", "These are no errors: the launch goes on.", launches.NOTES),
    Section(
        "torch: process groups, GPUs, tensors",
        "Raised by torch inside a rank, or printed by torchrun.",
        groups.SYMPTOMS,
    ),
    Section(
        "torch: checkpoints",
        "Raised by DCP while it saves or loads; and what `dcp-tutor inspect` says of a folder.",
        dcp.SYMPTOMS,
    ),
    Section("Python and the system", "From beneath them all.", system.SYMPTOMS),
)

SYMPTOMS: tuple[Symptom, ...] = tuple(
    symptom for section in SECTIONS for symptom in section.symptoms
)

assert len({symptom.code for symptom in SYMPTOMS}) == len(SYMPTOMS), "each code once"
