"""Model-based search: what to try next, from what came out so far. Optuna's samplers decide."""
