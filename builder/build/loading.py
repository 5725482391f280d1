"""Loading what a build reads: collections, namespaces and documents, in worker processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from builder.build.facts import Facts
from builder.build.inventory import Inventory
from builder.build.sources import Sources
from builder.build.worker import Item, LoadedItem
from builder.errors import Problem
from builder.registry.model import Namespace
from builder.storage.cache import Cache
from builder.storage.parallel import Steps
from builder.text.addresses import Anchors, Answer
from builder.write.engine import Pool
from builder.write.workers import Death


@dataclass(slots=True)
class Texts:
    """What came of loading: `signatures` identify what namespaces and documents are made from.

    `answers` are what the texts of these asked of the rest of the site, `anchors`
    where links can lead in them.
    """

    problems: list[Problem] = field(default_factory=list)
    namespaces: list[Namespace] = field(default_factory=list)
    signatures: dict[Item, str] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    anchors: list[Anchors] = field(default_factory=list)

    def add(self, item: LoadedItem) -> None:
        """Take the result of loading one item."""
        self.problems += item.problems
        self.signatures[item.item] = item.signature
        self.answers += item.answers
        self.anchors += item.anchors
        if isinstance(item.facts, Namespace):
            self.namespaces.append(item.facts)


def load(
    pool: Pool,
    names: Iterable[str],
    sources: Sources,
    *,
    inventory: Inventory,
    cache: Cache,
    progress: Steps,
) -> Texts:
    """Load the collections of these names, and all texts beside them.

    What is learnt is kept whatever comes of it. A text that takes too long is
    its own problem; raises LocalError for a worker that died of anything else.
    """
    folders = sorted(inventory.folders.values(), key=lambda folder: folder.name)
    items: list[Item] = [("collection", name) for name in sorted(names)]
    items += [("namespace", folder.name) for folder in folders if not folder.is_collection]
    items += [("document", name) for name in sorted(sources.content.documents)]
    texts = Texts()
    learnt = []
    results: Iterator[LoadedItem] = pool.run("load", items, key=_itself, died=_died)
    try:
        for count, result in enumerate(results, 1):
            progress("reading", count, len(items))
            learnt += result.learnt
            texts.add(result)
            if isinstance(result.facts, Facts):
                inventory.learn(result.item[1], result.facts, result.signature)
    finally:
        if learnt:
            cache.save(learnt)
            cache.close()
    return texts


def _itself(item: Item) -> Item:
    return item


def _died(item: Item, death: Death) -> LoadedItem:
    if not death.path:
        raise death.error(f"{item[1]}: the process that read it")
    return LoadedItem(item, None, (death.problem(),), [])
