"""Sweep files of other systems, read into ours with the same meaning.

`wandb`, `determined` and `katib` each turn their system's file into an `Imported`:
plain data that `sweep.spec.parse_spec` takes, and a warning for everything that has
no equal here. `optuna` does the same with a study in an Optuna storage.
"""
