"""Which projects and clusters a rotation reaches, and in plain words why it does not reach the others."""

from collections.abc import Iterable
from dataclasses import dataclass

from chalicelib.domain.observed import Cluster, Encryption, Settings
from chalicelib.domain.records import Uncovered

SHARED_TIERS = "customer keys are unavailable on M0, M2, M5 and flex clusters: they need M10 or larger"


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """The clusters a rotation reaches and those it does not; `not_covered_because` speaks for the whole project."""

    not_covered_because: str | None
    covered: tuple[str, ...]
    not_covered: tuple[Uncovered, ...]


def judge_coverage(settings: Settings, clusters: Iterable[Cluster]) -> Coverage:
    """Sort the clusters of a project by whether its customer key encrypts them."""
    ordered = sorted(clusters, key=lambda cluster: cluster.name)
    because = _project_reason(settings, ordered)
    if because is not None:
        return Coverage(
            not_covered_because=because,
            covered=(),
            not_covered=tuple(
                Uncovered(name=c.name, reason=SHARED_TIERS if c.shared_tier else because) for c in ordered
            ),
        )
    return Coverage(
        not_covered_because=None,
        covered=tuple(c.name for c in ordered if _cluster_reason(c) is None),
        not_covered=tuple(
            Uncovered(name=c.name, reason=reason) for c in ordered if (reason := _cluster_reason(c)) is not None
        ),
    )


def _project_reason(settings: Settings, clusters: list[Cluster]) -> str | None:
    if clusters and all(cluster.shared_tier for cluster in clusters):
        return SHARED_TIERS
    if settings.enabled:
        return None
    match settings.other_provider:
        case Encryption.AZURE:
            return "the project encrypts with Azure Key Vault; Keyturn rotates AWS KMS keys"
        case Encryption.GCP:
            return "the project encrypts with Google Cloud KMS; Keyturn rotates AWS KMS keys"
        case _:
            return "encryption at rest with a customer key is not enabled"


def _cluster_reason(cluster: Cluster) -> str | None:
    if cluster.shared_tier:
        return SHARED_TIERS
    match cluster.encryption:
        case Encryption.AWS:
            return None
        case Encryption.NONE:
            return "encryption at rest with the customer key is off for this cluster: this rotation does not cover it"
        case Encryption.UNKNOWN:
            return "Atlas names an encryption provider that Keyturn does not know"
        case _:
            return f"the cluster encrypts with a key of {cluster.encryption}, not with the project's AWS KMS key"
