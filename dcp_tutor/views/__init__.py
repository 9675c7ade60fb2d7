"""What a notebook shows: everything here turns data of the other rooms into text or pictures.

log       what N ranks printed, as one settled text
terminal  the bytes of one rank's log file, as the lines that a terminal would show
stable    one line of stderr, without what differs between machines and runs
"""
