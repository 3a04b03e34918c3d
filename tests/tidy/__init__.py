"""Rules about the source itself, each with snippets that break it."""
