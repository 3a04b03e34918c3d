"""The pages in a real browser, at both widths, in both languages, with and without scripts."""
