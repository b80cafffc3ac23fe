"""The demo: code search over the Python standard library of the interpreter that runs it."""
