"""Rules made of conditions, without any text."""

from secmon.model.hit import Level
from secmon.sigma.rule import LogSource, Rule, RuleSet
from secmon.sigma.tree import Node, fields_of


def compiled(trees: list[tuple[Node, LogSource]]) -> RuleSet:
    """Return rules of these conditions, numbered from "00"; nothing but condition and log source is theirs."""
    rules = [
        Rule(
            id=f"{number:02}",
            name="",
            level=Level.LOW,
            path="",
            line=1,
            digest="",
            logsource=source,
            tree=tree,
            fields=fields_of(tree),
        )
        for number, (tree, source) in enumerate(trees)
    ]
    return RuleSet(rules=tuple(rules))
