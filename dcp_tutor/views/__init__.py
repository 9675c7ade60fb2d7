"""What a notebook shows: everything here turns data of the other rooms into text or pictures.

panel        what stands below a `%%torchrun` cell: live while ranks run, then one settled text
live         the live half of it: widgets, and a stop button that is heard while the cell runs
busy_kernel  how it is heard: the door to ipykernel's private names
lanes        each rank of a running launch in one lane
watching     whether somebody looks at a cell while it runs
log          what N ranks printed, as one settled text
terminal     the bytes of one rank's log file, as the lines that a terminal would show
pictures     tensors, files, plans and runs as drawings with words
explorers    the same drawings, with controls round them
words        how ranges, ranks, shapes and times are written
stable       one line of stderr, without what differs between machines and runs
"""
