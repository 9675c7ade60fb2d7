"""What a notebook shows: everything here turns data of the other rooms into text or pictures.

log       what N ranks printed, as one settled text
terminal  the bytes of one rank's log file, as the lines that a terminal would show
pictures  tensors, files, plans and runs as drawings with words
words     how ranges, ranks, shapes and times are written
stable    one line of stderr, without what differs between machines and runs
"""
