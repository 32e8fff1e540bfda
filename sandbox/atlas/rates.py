"""Rate limits as Atlas documents them: a bucket of tokens per set of operations and project, on the virtual clock.

The documented figures are defaults and no contract; any can be changed while the world lives.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import ceil

from sandbox.atlas.refusals import Refusal


@dataclass(frozen=True, kw_only=True)
class Rate:
    """So many calls at once, and so many more in `seconds`; counted per project or per service account."""

    burst: int
    refill: int
    seconds: int = 60
    scope: str = "GROUP"


DEFAULT_RATES: Mapping[str, Rate] = {
    "encryption": Rate(burst=2000, refill=1000),
    "clusters": Rate(burst=10000, refill=5000),
    "backups": Rate(burst=1200, refill=500),
    "alerts": Rate(burst=1200, refill=500),
    "events": Rate(burst=300, refill=100),
    "organizations": Rate(burst=300, refill=100, scope="USER"),
}


@dataclass(kw_only=True)
class _Bucket:
    tokens: float
    filled_at: datetime


class RateLimits:
    """Counts calls. `rates` may be changed; without its rate a set of operations has no limit."""

    def __init__(self) -> None:
        self.rates: dict[str, Rate] = dict(DEFAULT_RATES)
        self.shows_retry_after = True
        """Whether a refused call is told how long to wait: Atlas does not always say."""
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def spend(self, name: str, *, project: str, account: str, path: str, now: datetime) -> dict[str, str]:
        """Take a token and give the headers that tell how many are left; refused where there is none."""
        rate = self.rates.get(name)
        if rate is None:
            return {}
        bucket = self._filled(name, rate, account if rate.scope == "USER" else project, now)
        headers = {"RateLimit-Limit": str(rate.burst)}
        if bucket.tokens < 1:
            raise self._refusal(rate, bucket, path, headers)
        bucket.tokens -= 1
        return headers | {"RateLimit-Remaining": str(int(bucket.tokens))}

    def _filled(self, name: str, rate: Rate, whose: str, now: datetime) -> _Bucket:
        bucket = self._buckets.setdefault((name, whose), _Bucket(tokens=rate.burst, filled_at=now))
        if now != bucket.filled_at:
            gained = (now - bucket.filled_at).total_seconds() * rate.refill / rate.seconds
            bucket.tokens, bucket.filled_at = bucket.tokens + gained, now
        bucket.tokens = min(bucket.tokens, rate.burst)
        return bucket

    def _refusal(self, rate: Rate, bucket: _Bucket, path: str, headers: dict[str, str]) -> Refusal:
        wait = ceil((1 - bucket.tokens) * rate.seconds / rate.refill)
        headers = headers | {"RateLimit-Remaining": "0"}
        if self.shows_retry_after:
            headers["Retry-After"] = str(wait)
        where = path.lstrip("/")
        text = (
            f"Too many calls of {where}: wait {wait} seconds. At once {rate.burst} are possible,"
            f" and {rate.refill} more every {rate.seconds} seconds."
        )
        about = (where, wait, rate.burst, rate.refill, rate.seconds)
        return Refusal(429, "RATE_LIMITED_TOKEN_BUCKET", text, about, headers)
