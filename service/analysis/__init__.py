"""Answers about many trials at once, made of what the store tells. No SQL here."""
