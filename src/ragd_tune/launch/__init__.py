"""Training by programs that are not ours, from interpreters that the user names.

Axolotl pins its neighbours exactly, so it cannot be a plugin beside others: its files are written
(``files``), it is started from an interpreter that has it (``axolotl``), and its adapter is taken.
"""
