"""Starting real torchrun ranks from a notebook, cold or warm, and telling how it went.

| file | what it owns |
|---|---|
| `launch` | `launch(...)`: one launch from the call to its `Run` |
| `prepare` | what is checked and written before a rank starts |
| `collect` | reading a launch's folder after its end |
| `messages` | the words for a launch that did not end well |
| `run` | `Run`, `RankRun`: what a launch leaves behind |
| `journal` | one line for each launch, where `DCP_TUTOR_RUN_LOG` asks for it |
| `command` | torchrun's command line: checked with torchrun's own parser |
| `limits` | how many ranks, on which device |
| `folders` | where things are written, and when they go away |
| `agents` | handle on a running torchrun agent; starting one cold |
| `warm` | the notebook's side of the warm server: starting, using, replacing it |
| `server` | the warm server process: has torch imported, forks a supervisor for each launch |
| `supervisor` | the process above each agent: stops it, and leaves nothing behind |
| `forking` | torchrun in the place of a fork, and the seam: ranks come from `zygotes` |
| `loopback` | torchrun whose stores listen on loopback only |
| `zygotes` | processes that wait to become ranks, forked while the agent is alone |
| `interrupts` | interrupts that come at a bad moment |
| `failures` | which rank's failure came first, and how to say it |
| `stacks` | where each rank was, from the stacks it dumped |

In which properties warm equals cold, and in which it may differ: the two lists at the top of
`tests/launching/test_parity.py`, which runs the same programs both ways.

Nothing is imported here: `server` and `supervisor` are processes of their own, and start lean.
"""
