"""The doctor: does this machine run the lessons? It tries things out rather than listing them.

| file | what it owns |
|---|---|
| `doctor` | `doctor()`: the table of checks, and going through it |
| `report` | `Report`, `Check`, `Finding`: what was found, as text, HTML and plain data |
| `machine` | `Machine`: all that checks ask of the world, in one place that tests replace |
| `software` | checks of interpreter, dependencies and torch |
| `ranks` | checks that launch: ranks, loopback, GPUs |
| `resources` | checks of memory, disk, shared memory, open files, what earlier notebooks left |

Here only Python's standard library is imported at the top of a file: where torch or psutil is
missing the doctor has to say so, not fall over.
"""
