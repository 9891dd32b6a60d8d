"""The commands of `gateway`, a file each; gateway/cli.py has their options.

Each is a function that takes what its options say and returns an exit status. Those that work on records speak HTTP
to a gateway: one that runs elsewhere, or one that runs in the command's own process over a data folder (connect.py),
so that whatever a command does, a client can do.
"""
