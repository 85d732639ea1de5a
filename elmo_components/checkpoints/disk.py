"""Tells a full disk from a broken file."""

import errno

__all__ = ["is_disk_full"]


def is_disk_full(error: BaseException) -> bool:
    """Returns whether an error says that a disk, or a user's share of it, is full."""
    return getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
