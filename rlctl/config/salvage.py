"""Validates a YAML that may be wrong in many places at once, and saves what is right of it.

What pydantic refuses is reported and left out; the rest is validated again, until it stands. So checks across
sections run on everything that is right, and nothing is said twice or as a consequence of something else.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import ValidationError

from rlctl.config.component import is_taken
from rlctl.config.config import Config
from rlctl.config.explain import Finding, explain
from rlctl.config.yaml_marks import Path

STAND_INS: dict[tuple[str, str], Any] = {
    ("model", "path"): "builtin:tiny-math",
    ("data", "train"): [{"path": "builtin:arithmetic"}],
    ("rewards", "components"): [{"type": "repetition"}],
    ("algorithm", "type"): "grpo",
}
"""What takes the place of a required key that is missing or wrong, so that the rest can be checked."""
ITEM_STAND_INS: dict[Path, dict[str, Any]] = {
    ("rewards", "components"): {"type": "repetition"},
    ("eval", "rewards", "components"): {"type": "repetition"},
    ("data", "train"): {"path": "builtin:arithmetic"},
    ("data", "eval"): {"path": "builtin:arithmetic"},
}
"""What takes the place of a wrong item of a list whose items refer to each other."""
_MOST_ROUNDS = 30


@dataclass
class Salvage:
    """What became of the data.

    Args:
        data: The data as they were given.
        config: What is right of them, with stand-ins; None where nothing could be saved.
        findings: What is wrong, by the indices of `data`.
        bad: Paths of `data` that are wrong or missing.
    """

    data: dict[str, Any]
    config: Config | None = None
    findings: list[Finding] = field(default_factory=list)
    bad: set[Path] = field(default_factory=set)
    _dropped: set[Path] = field(default_factory=set)
    _kept: dict[Path, list[int]] = field(default_factory=dict)

    def rests_on_bad(self, finding: Finding) -> bool:
        """Whether a finding is about something that is wrong already, or reads something that is."""
        return any(_touch(bad, path) for bad in self.bad for path in (finding.path, *finding.reads))

    def original(self, path: Path) -> Path:
        """A path of what was validated as one of `data`: dropped items count, a lone source has no index."""
        found: Path = ()
        value: Any = self.data
        worked: Path = ()
        for step in path:
            step_found = self._kept[worked][step] if isinstance(step, int) and worked in self._kept else step
            worked = (*worked, step)
            if isinstance(step_found, int) and not isinstance(value, list):
                continue
            found = (*found, step_found)
            value = _get(value, step_found)
        return found

    def run(self, context: dict[str, Any]) -> "Salvage":
        """Validate, leave out what is wrong, and again."""
        self._dropped |= self.bad
        for _ in range(_MOST_ROUNDS):
            self._kept.clear()
            work = self._prune(self.data, (), ())
            self._stand_in(work)
            try:
                self.config = Config.model_validate(work, context=context)
                return self
            except ValidationError as error:
                before = len(self._dropped)
                self._note(explain(error, Config, work))
                if len(self._dropped) == before:
                    return self
        return self

    def _note(self, findings: list[Finding]) -> None:
        """Report findings that are no consequence of an earlier one, and drop what they are about."""
        unknown_types = {one.path[:-1] for one in findings if one.path[-1:] == ("type",)}
        known_bad = set(self.bad)
        for one in findings:
            if one.path[-1:] != ("type",) and any(one.path[: len(p)] == p for p in unknown_types):
                continue
            path = self.original(one.path)
            if not any(bad[: len(path)] == path for bad in known_bad):
                self.findings.append(replace(one, path=path))
            self.bad.add(path)
            self._dropped.add(self._to_drop(path, one))

    def _to_drop(self, path: Path, one: Finding) -> Path:
        """The whole section where its type is wrong or a key of it is missing; else the key."""
        whole = path[-1:] == ("type",) or (one.missing and path not in STAND_INS)
        return path[:-1] if whole and len(path) > 1 else path

    def _prune(self, value: Any, path: Path, worked: Path) -> Any:
        """A copy without what was dropped."""
        if isinstance(value, dict):
            left = {key: one for key, one in value.items() if (*path, key) not in self._dropped}
            return {key: self._prune(one, (*path, key), (*worked, key)) for key, one in left.items()}
        if isinstance(value, list):
            if path in ITEM_STAND_INS:
                value = [self._item(path, i, value) for i in range(len(value))]
            kept = [i for i in range(len(value)) if path in ITEM_STAND_INS or (*path, i) not in self._dropped]
            self._kept[worked] = kept
            return [self._prune(value[i], (*path, i), (*worked, n)) for n, i in enumerate(kept)]
        return value

    def _item(self, path: Path, index: int, items: list[Any]) -> Any:
        """An item, or what takes its place: a part of the reward keeps its name, which gates may ask for."""
        value = items[index]
        if (*path, index) not in self._dropped:
            return value
        stand_in = dict(ITEM_STAND_INS[path])
        if path[-1] == "components":
            named = [one.get("name", one.get("type")) for one in items if isinstance(one, dict)]
            name = value.get("name", value.get("type")) if isinstance(value, dict) else None
            free = (
                isinstance(name, str)
                and named.count(name) == 1
                and name.isidentifier()
                and not is_taken(name)
            )
            stand_in["name"] = name if free else f"part_{index}"
        return stand_in

    def _stand_in(self, work: dict[str, Any]) -> None:
        """Fill required keys that are known to be bad."""
        for (section, key), value in STAND_INS.items():
            if any(bad[:2] == (section, key) or bad == (section,) for bad in self.bad):
                holder = work.setdefault(section, {})
                if isinstance(holder, dict) and not holder.get(key):
                    holder[key] = value


def _touch(bad: Path, path: Path) -> bool:
    shorter = min(len(bad), len(path))
    return bad[:shorter] == path[:shorter]


def _get(value: Any, step: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(step)
    return value[step] if isinstance(value, list) and isinstance(step, int) and step < len(value) else None


def salvage(data: dict[str, Any], context: dict[str, Any], bad: Iterable[Path] = ()) -> Salvage:
    """Validate `data` and save what is right.

    Args:
        data: The YAML as plain data.
        context: pydantic's validation context: `folder`.
        bad: Paths that are known to be wrong and were reported.
    """
    return Salvage(data, bad=set(bad)).run(context)
