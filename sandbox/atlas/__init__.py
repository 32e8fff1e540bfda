"""The pretend Atlas: clusters, backups and customer keys over virtual time, behind the documented API.

Where the real Atlas' behaviour is not documented, `habits.Habits` names the guess and lets a test choose
another.
"""

from sandbox.atlas.estate import DEFAULT_POLICIES
from sandbox.atlas.faults import Fault
from sandbox.atlas.model import BackupPolicy, CannotRestore, PretendSnapshot, ServiceAccount
from sandbox.atlas.server import PretendAtlas
from sandbox.atlas.world import AtlasWorld

__all__ = [
    "DEFAULT_POLICIES",
    "AtlasWorld",
    "BackupPolicy",
    "CannotRestore",
    "Fault",
    "PretendAtlas",
    "PretendSnapshot",
    "ServiceAccount",
]
