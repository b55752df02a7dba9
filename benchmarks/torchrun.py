"""What torchrun tells the processes that it starts; needs no torch."""

import os


def is_below() -> bool:
    """Say whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def is_first() -> bool:
    """Say whether this process is the one that writes and prints."""
    return not is_below() or os.environ["RANK"] == "0"


def settings() -> dict[str, int]:
    """Return the settings that torchrun has made for us: how many processes train."""
    return {"devices": int(os.environ["WORLD_SIZE"])} if is_below() else {}
