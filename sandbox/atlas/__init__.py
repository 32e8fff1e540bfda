"""The pretend Atlas: clusters, backups and customer keys over virtual time, behind the documented API.

Where the real Atlas' behaviour is not documented, `habits.Habits` names the guess and lets a test choose
another; how late things show is in `lags.Lags`.
"""

from sandbox.atlas.alerts import Webhook
from sandbox.atlas.answers import ATLAS_ACCOUNT
from sandbox.atlas.cmk import AccessKey
from sandbox.atlas.estate import DEFAULT_POLICIES
from sandbox.atlas.faults import Fault
from sandbox.atlas.habits import Habits
from sandbox.atlas.model import ServiceAccount
from sandbox.atlas.policy import BackupPolicy, CopySetting
from sandbox.atlas.rates import Rate
from sandbox.atlas.server import PretendAtlas
from sandbox.atlas.shifting import ShiftingPages
from sandbox.atlas.snapshot import CannotRestore, PretendSnapshot
from sandbox.atlas.world import AtlasWorld

__all__ = [
    "ATLAS_ACCOUNT",
    "DEFAULT_POLICIES",
    "AccessKey",
    "AtlasWorld",
    "BackupPolicy",
    "CannotRestore",
    "CopySetting",
    "Fault",
    "Habits",
    "PretendAtlas",
    "PretendSnapshot",
    "Rate",
    "ServiceAccount",
    "ShiftingPages",
    "Webhook",
]
