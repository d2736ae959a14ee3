"""The dispatcher: pure decisions, a thin loop, launchers."""
