"""Archives of users' own code: checked when they come, looked into, never run here."""
