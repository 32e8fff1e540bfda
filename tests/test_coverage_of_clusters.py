"""Which clusters a rotation reaches, and why it does not reach the others."""

from dataclasses import replace

import pytest

from chalicelib.domain.coverage import SHARED_TIERS, judge_coverage
from chalicelib.domain.observed import Cluster, Encryption, Settings

ENABLED = Settings(enabled=True)
MAIN = Cluster(
    name="main",
    cluster_id="c1",
    kind="REPLICASET",
    state="IDLE",
    paused=False,
    encryption=Encryption.AWS,
    backups=True,
    point_in_time=False,
    tier="M10",
)


def test_clusters_that_the_customer_key_encrypts_are_covered_in_order_of_name():
    coverage = judge_coverage(ENABLED, [replace(MAIN, name="zoo"), MAIN])

    assert coverage.not_covered_because is None
    assert coverage.covered == ("main", "zoo")
    assert coverage.not_covered == ()


def test_a_project_without_clusters_is_covered():
    assert judge_coverage(ENABLED, []).not_covered_because is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tier": "M0"}, "M10 or larger"),
        ({"tier": "FLEX"}, "M10 or larger"),
        ({"encryption": Encryption.NONE}, "off for this cluster"),
        ({"encryption": Encryption.UNKNOWN}, "does not know"),
        ({"encryption": Encryption.AZURE}, "a key of AZURE"),
        ({"encryption": Encryption.GCP}, "a key of GCP"),
    ],
)
def test_a_cluster_that_is_not_reached_says_why_beside_one_that_is(changes, words):
    coverage = judge_coverage(ENABLED, [MAIN, replace(MAIN, name="other", **changes)])

    assert coverage.covered == ("main",)
    (uncovered,) = coverage.not_covered
    assert uncovered.name == "other"
    assert words in uncovered.reason


@pytest.mark.parametrize(
    ("provider", "words"),
    [
        (Encryption.AZURE, "Azure Key Vault"),
        (Encryption.GCP, "Google Cloud KMS"),
        (Encryption.NONE, "not enabled"),
        (Encryption.UNKNOWN, "not enabled"),
    ],
)
def test_a_project_without_an_aws_key_is_not_covered_with_any_cluster(provider, words):
    coverage = judge_coverage(Settings(enabled=False, other_provider=provider), [MAIN])

    assert words in coverage.not_covered_because
    assert coverage.covered == ()
    assert [(c.name, c.reason) for c in coverage.not_covered] == [("main", coverage.not_covered_because)]


@pytest.mark.parametrize("provider", [Encryption.NONE, Encryption.AZURE])
def test_only_a_cluster_on_a_shared_tier_is_said_to_be_on_one(provider):
    shared = replace(MAIN, name="small", tier="M0")
    coverage = judge_coverage(Settings(enabled=False, other_provider=provider), [MAIN, shared])

    said = {cluster.name: cluster.reason for cluster in coverage.not_covered}
    assert said == {"main": coverage.not_covered_because, "small": SHARED_TIERS}
    assert "M0" not in coverage.not_covered_because


@pytest.mark.parametrize("settings", [ENABLED, Settings(enabled=False)])
def test_a_project_of_shared_tiers_only_is_told_so_first(settings):
    shared = [replace(MAIN, name=tier, tier=tier) for tier in ("M0", "M2", "M5", "FLEX")]

    assert judge_coverage(settings, shared).not_covered_because == SHARED_TIERS
