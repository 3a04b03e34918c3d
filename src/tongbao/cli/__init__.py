"""The command line: one file per group of commands. It builds the World, composes rooms, prints, and sets exit codes.

Must never hold a rule: what a command decides, a use case decides.
"""
