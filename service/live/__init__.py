"""Live events: what changes is read once and told to everybody who listens."""
