"""The dashboard: one file a page, each answering one question, with the entry script alone in `_shell`."""
