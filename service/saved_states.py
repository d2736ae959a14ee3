"""Removes what a deleted sweep's trials saved."""

import logging
from collections.abc import Callable
from datetime import datetime

from service.store.interface import Store
from sweep.errors import StorageFailed
from sweep.storage import join, open_folder

logger = logging.getLogger(__name__)

ACTOR = "service"


def remove_states(store: Store, sweep_id: str, *, root: str, clock: Callable[[], datetime]) -> None:
    """Remove a sweep's folder of saved states, and record in the audit how that went.

    Never raises for a storage that fails: what is left may be removed by hand.

    Args:
        store: where the audit is.
        sweep_id: of a sweep that was deleted.
        root: the folder of all sweeps' states.
        clock: tells the time.
    """
    url = join(root, sweep_id)
    try:
        removed = open_folder(url).clear()
    except (StorageFailed, ImportError) as error:
        logger.warning("saved states of the deleted sweep %s are left: %s", sweep_id, error)
        kind, detail = "sweep.states_left", {"url": url, "error": str(error)}
    else:
        kind, detail = "sweep.states_removed", {"url": url}
        if not removed:
            return
    store.note_event(sweep_id, kind=kind, actor=ACTOR, now=clock(), detail=detail)
