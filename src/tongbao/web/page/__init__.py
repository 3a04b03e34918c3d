"""The shell that all pages share: templates, styles, catalogues of both languages, cookies, sessions, forms, errors.

Must never decide anything about a trade, mark text as safe HTML, or load anything from a third party.
"""
