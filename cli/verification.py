"""What an exported evidence file shows of itself: its digests, its chains, and whether both say the same."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

from cli.chains import Fault, digest_of, faults_in, split
from cli.shapes import Shape
from cli.words import entries


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What was looked at and what was found; a warning is no tampering, but worth to know."""

    packs: int
    chains: int
    entries: int
    faults: tuple[Fault, ...]
    warnings: tuple[Fault, ...]

    def shape(self) -> Shape:
        """The findings for programs."""
        return {"whole": not self.faults} | asdict(self)


class NoEvidence(Exception):
    """The file is no evidence of Keyturn's; the text says what is missing in it."""


def packs_of(document: object) -> list[Shape]:
    """The packs of a file: one, or those of a fleet; raises NoEvidence."""
    if not isinstance(document, dict):
        raise NoEvidence("it holds no JSON object")
    packs = document.get("packs", [document])
    if not isinstance(packs, list) or not all(_is_pack(pack) for pack in packs):
        raise NoEvidence("it has no `chains` of the right shape, as the JSON of `keyturn evidence` has")
    return packs


def _is_pack(pack: object) -> bool:
    """Whether it has the shape; what stands in it is judged later."""
    if not isinstance(pack, dict):
        return False
    lists = [pack.get(name, []) for name in ("keys", "deletions", "proofs", "trail", "chains")]
    policy = pack.get("policy", {})
    parts = isinstance(pack.get("project"), dict) and isinstance(policy, dict)
    lists.append(policy.get("history", []) if parts else [])
    rows = all(isinstance(one, list) and all(isinstance(row, dict) for row in one) for one in lists)
    return "chains" in pack and parts and rows and all(_is_chain(chain) for chain in pack["chains"])


def _is_chain(chain: Shape) -> bool:
    entries, head = chain.get("entries"), chain.get("head")
    rows = isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)
    return isinstance(chain.get("subject"), str) and rows and (head is None or isinstance(head, dict))


def verify(document: Shape, earlier: Shape | None = None) -> Findings:
    """Check a file, and that it goes on from an earlier one; raises NoEvidence."""
    packs = packs_of(document)
    chains = [chain for pack in packs for chain in pack["chains"]]
    faults = [fault for pack in packs for fault in _faults_of_pack(pack)]
    if "packs" in document and not _has_its_digest(document):
        faults.append(Fault(subject="the fleet's file", number=None, what="does not have the digest that it carries"))
    if earlier is not None:
        faults += _broken_off(chains, [chain for pack in packs_of(earlier) for chain in pack["chains"]])
    return Findings(
        packs=len(packs),
        chains=len(chains),
        entries=sum(len(chain["entries"]) for chain in chains),
        faults=tuple(dict.fromkeys(faults)),
        warnings=tuple(_warnings(chains)),
    )


def _has_its_digest(document: Shape) -> bool:
    return document.get("digest") == digest_of({name: v for name, v in document.items() if name != "digest"})


def _faults_of_pack(pack: Shape) -> Iterator[Fault]:
    name = f"the pack of project {pack['project'].get('project_id')}"
    if not _has_its_digest(pack):
        yield Fault(subject=name, number=None, what="does not have the digest that it carries")
    subjects = [chain["subject"] for chain in pack["chains"]]
    for subject in sorted({one for one in subjects if subjects.count(one) > 1}):
        yield Fault(subject=subject, number=None, what="has more than one chain")
    for subject in _spoken_of(pack):
        if subject not in subjects:
            yield Fault(subject=subject, number=None, what=f"has no chain, though {name} speaks of it")
    for chain in pack["chains"]:
        yield from faults_in(chain)
    yield from _strangers(pack)
    for proof in pack.get("proofs", []):
        text = str(proof.get("document")).encode("utf-8", "surrogatepass")
        if hashlib.sha256(text).hexdigest() != proof.get("digest"):
            yield Fault(subject=f"proof {proof.get('digest')}", number=None, what="was changed: its digest is another")


def _spoken_of(pack: Shape) -> Iterable[str]:
    named = [pack["project"].get("project_id")]
    named += [str(key.get("arn")).rpartition("/")[2] for key in pack.get("keys", [])]
    named += [deletion.get("deletion_id") for deletion in pack.get("deletions", [])]
    return dict.fromkeys(str(one) for one in named)


def _strangers(pack: Shape) -> Iterator[Fault]:
    """Entries that people are shown and that stand in no chain."""
    chained = {digest_of(entry) for chain in pack["chains"] for entry in chain["entries"]}
    shown = {"trail": pack.get("trail", []), "policy's history": pack.get("policy", {}).get("history", [])}
    for place, rows in shown.items():
        for row in rows:
            if digest_of(row) not in chained:
                what = f"stands in the {place}, but not so in its chain"
                yield Fault(subject=str(row.get("subject")), number=row.get("number"), what=what)


def _broken_off(chains: list[Shape], earlier: list[Shape]) -> Iterator[Fault]:
    """Where a chain is not the same, and more, as it was before."""
    now = {chain["subject"]: chain for chain in chains}
    for before in earlier:
        head, chain = before["head"], now.get(before["subject"])
        if head is None:
            continue
        subject, number = before["subject"], head.get("number")
        if chain is None:
            yield Fault(subject=subject, number=None, what="had a chain in the earlier file, and has none here")
        elif not any((e.get("number"), e.get("hash")) == (number, head.get("hash")) for e in chain["entries"]):
            yield Fault(subject=subject, number=number, what="is not what the earlier file has there")


def _warnings(chains: list[Shape]) -> Iterator[Fault]:
    for chain in chains:
        loose, _ = split(chain["entries"])
        if loose:
            what = f"{entries(len(loose))} from before there were chains: nothing shows whether they were changed"
            yield Fault(subject=chain["subject"], number=None, what=what)
