"""Explorers: the same drawings as `pictures`, with controls round them.

    reshard      explore_reshard: a tensor, a layout, and what its load reads
    checkpoint   explore_checkpoint: the tree of keys, and where each entry lies

Beneath:
    explorer        what both are in a notebook: widgets on a screen, a still picture elsewhere
    alive           a picture answers to the pointer, to the Tab key and to the page's theme
    controls        the widgets of explore_reshard; target: the layouts that they can say
    resharding      what explore_reshard shows, as data and HTML
    matrix          ranks x files; matrix_drawing draws it
    keys            the list of explore_checkpoint; places: where an entry's bytes lie
    pieces          tables and sentences in the page's own colours
"""
