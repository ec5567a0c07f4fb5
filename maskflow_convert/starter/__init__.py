"""The first YAML of a data set.

`search` has the adapters look into a folder, `choice` settles which of it is meant, `look` goes through some images of
that, `draft` writes the YAML, and `telling` says all that on the terminal.
"""
