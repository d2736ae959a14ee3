"""Where sweeps, trials and reports are kept."""
