"""The lessons as a whole: running them in one go, and keeping their committed outputs fresh.

| file | what it owns |
|---|---|
| `notebooks` | finding the lessons by name |
| `parameters` | checking `-p NAME VALUE` against the notebooks, before anything runs |
| `bounds` | what a parameter may be, read from the comment behind it |
| `execute` | one notebook through papermill, in a kernel of this very interpreter |
| `batch` | several notebooks, one after the other, whatever becomes of each |
| `stopping` | Ctrl-C and SIGTERM |
| `results` | what became of a notebook: state, where and why it failed, devices |
| `console` | progress in a terminal and in a log |
| `pages` | the web page of a notebook, and the index of a run |
| `records` | results that a notebook hands to the outside: `record(name, value)` |
| `canonical` | the one form in which executed notebooks are committed |
| `freshness` | whether committed outputs belong to the committed code |
| `outputs` | regenerating or checking the committed outputs of several notebooks |

Nothing is imported here: a lesson imports `records` and `bounds` and needs none of the rest.
"""
