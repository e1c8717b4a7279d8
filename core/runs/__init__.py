"""Run folders: create, list, start, stop and tell the truth about them."""
