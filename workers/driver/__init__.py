"""The driver: one process that runs one sweep on a Ray cluster.

`core` decides (pure), `asha` and `halving` are its early-stopping rules (pure),
`live` and `actor` run a trial's code, `tuning` joins the core to Ray Tune, `outbox`
and `service` speak to the sweep service, `__main__` puts them together.
"""
