"""Several processes that share every batch of one training: one for each GPU, or for some cores.

The hook (``launch``) starts them by torchrun; each (``rank``) runs the very training of one
process, on its share of each batch. What they tell each other (``group``) is nothing where there
is one process.
"""
