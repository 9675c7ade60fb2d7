"""Messages that a learner may meet: what each means, and what to type.

| file | what is in it |
|---|---|
| `symptom` | one entry: code, words, cause, mend |
| `asked` | messages before a rank starts: what was typed cannot be done |
| `launches` | messages of a launch that did not end well, and notes beside one that did |
| `values` | messages about `-i`, `-o` and the keyboard |
| `groups` | torch's messages about process groups, GPUs and tensors |
| `dcp` | torch's messages about checkpoints |
| `system` | Python's and the system's |
| `registry` | all of them, in the order of the page |
| `matching` | from a pasted text to entries, best first |
| `quotes` | from a part of a message to its entry |
| `plain` | texts without what may differ between two pastes |
| `page` | the page `notebooks/troubleshooting.md` |

To add an entry: write a `Symptom` into the file of its kind, a real sample of its message into
tests/symptoms, and type `dcp-tutor why --page > notebooks/troubleshooting.md`.
"""

from __future__ import annotations

from dcp_tutor.symptoms.matching import find
from dcp_tutor.symptoms.registry import SECTIONS, SYMPTOMS, Section
from dcp_tutor.symptoms.symptom import Symptom

__all__ = ["SECTIONS", "SYMPTOMS", "Section", "Symptom", "find"]
