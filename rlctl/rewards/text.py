"""Rewards that look at the text of a completion: exact match, regular expression, format."""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from rlctl.config.component import Component, RewardFunction
from rlctl.rewards.forms import around, final_line, split_answer
from rlctl.rewards.outcome import Failed, Invalid, Score


class ExactMatch(Component):
    """1 where the completion equals a column, else 0; does not apply where the column is null."""

    type: Literal["exact_match"]
    """1 where the completion equals a column, else 0."""
    column: Annotated[str, Field(min_length=1)] = "answer"
    """Column with the right text."""
    strip: bool = True
    """Ignore space at both ends."""
    ignore_case: bool = False
    """Ignore upper and lower case."""
    collapse_space: bool = False
    """Count any run of spaces and line breaks as one space."""

    def columns(self) -> tuple[str, ...]:
        """The column that is compared with."""
        return (self.column,)

    def bounds(self) -> tuple[float, float]:
        """0 to 1."""
        return 0.0, 1.0

    def build(self) -> RewardFunction:
        """The comparison."""
        normal = self._normal

        def exact_match(completions: list[str], **columns: list[Any]) -> list[Score]:
            golds = columns[self.column]
            return [
                None if gold is None else float(normal(text) == normal(str(gold)))
                for text, gold in zip(completions, golds, strict=True)
            ]

        return exact_match

    def answer(self, completion: str) -> str | None:
        """The completion as it is compared; None where nothing is left of it."""
        return self._normal(completion) or None

    def reference(self, row: Mapping[str, Any]) -> str | None:
        """The column; where it ends in a line `#### 72`, what a policy is asked for: 72."""
        return final_line(row.get(self.column))

    def _normal(self, text: str) -> str:
        if self.collapse_space:
            text = " ".join(text.split())
        text = text.strip() if self.strip else text
        return text.casefold() if self.ignore_case else text


class Regex(Component):
    """1 where a regular expression matches, else 0; or the number of matches."""

    type: Literal["regex"]
    """1 where a regular expression matches, else 0; or the number of matches."""
    pattern: Annotated[str, Field(min_length=1)]
    """Pattern of the Python package `regex`; flags such as `(?i)` go inside."""
    mode: Literal["search", "match", "full", "count"] = "search"
    """search: anywhere. match: at the start. full: the whole completion. count: how many do not overlap."""
    group: str | Annotated[int, Field(ge=0)] | None = None
    """Compare this group (number or name) with `column`: 1 where they are equal, space at both ends aside."""
    column: str | None = None
    """Column that `group` is compared with."""
    required: bool = False
    """A completion without a match is invalid, instead of scoring 0."""
    match_timeout: Annotated[float, Field(gt=0)] = 1.0
    """Seconds for one completion; a pattern that takes longer has failed, it does not score 0."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        import regex

        try:
            regex.compile(pattern)
        except regex.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern

    @model_validator(mode="after")
    def _group_and_column(self) -> "Regex":
        if (self.group is None) != (self.column is None):
            raise ValueError("`group` and `column` belong together")
        if self.group is None:
            return self
        if self.mode == "count":
            raise ValueError("`group` cannot be compared with `mode: count`")
        import regex

        compiled = regex.compile(self.pattern)
        known = [*range(compiled.groups + 1), *compiled.groupindex]
        if self.group not in known:
            raise ValueError(f"the pattern has no group {self.group!r}; it has {', '.join(map(str, known))}")
        return self

    def columns(self) -> tuple[str, ...]:
        """The column that `group` is compared with."""
        return (self.column,) if self.column else ()

    def bounds(self) -> tuple[float, float]:
        """0 to 1, or to any number of matches."""
        return 0.0, float("inf") if self.mode == "count" else 1.0

    def reference(self, row: Mapping[str, Any]) -> str | None:
        """The column that is compared with; None where the pattern cannot be written around it."""
        right = final_line(row.get(self.column)) if self.column else None
        return right if right is not None and self._matches(self.wrap(right)) else None

    def wrap(self, text: str) -> str:
        """The fixed pieces of the pattern around the last line, where that matches."""
        return around(self.pattern, text, self._matches)

    def _matches(self, text: str) -> bool:
        try:
            found = self._search()(text, timeout=self.match_timeout)
            return next(found, None) is not None if self.mode == "count" else found is not None
        except TimeoutError:
            return False

    def _search(self) -> Callable[..., Any]:
        """The method that looks for the pattern."""
        import regex

        compiled = regex.compile(self.pattern)
        methods = {"search": compiled.search, "match": compiled.match, "full": compiled.fullmatch}
        return methods.get(self.mode, compiled.finditer)

    def build(self) -> RewardFunction:
        """The search, with a time limit for each completion."""
        search = self._search()

        def score(text: str, gold: Any) -> Score:
            if self.column and gold is None:
                return None
            try:
                found = search(text, timeout=self.match_timeout)
                count = sum(1 for _ in found) if self.mode == "count" else int(found is not None)
            except TimeoutError:
                return Failed(f"the pattern took longer than {self.match_timeout:g} s")
            if not count and self.required:
                return Invalid("no match")
            if self.column and found is not None:
                return float((found[self.group] or "").strip() == str(gold).strip())
            return float(count)

        def regex_reward(completions: list[str], **columns: list[Any]) -> list[Score]:
            golds = columns[self.column] if self.column else [None] * len(completions)
            return [score(text, gold) for text, gold in zip(completions, golds, strict=True)]

        return regex_reward


class Format(Component):
    """1 where all tags or sections are there, in order, else 0."""

    type: Literal["format"]
    """1 where all tags or sections are there, in order, else 0."""
    tags: list[Annotated[str, Field(pattern=r"^[A-Za-z_][\w.-]*$")]] = []
    """Names of tags, e.g. `[think, answer]` for `<think>…</think> <answer>…</answer>`."""
    sections: list[Annotated[str, Field(min_length=1)]] = []
    """Headings, e.g. `["Reasoning:", "Answer:"]`; each section ends where the next one starts."""
    once: bool = True
    """Each may occur only once."""
    only: bool = False
    """Nothing but space may stand outside of the tags, or before the first section."""
    nonempty: bool = True
    """Each must hold more than space."""
    opened: bool = False
    """The prompt already opens the first tag, so the completion starts inside of it."""
    partial: bool = False
    """Give the share of parts that are right (`only` counts as one part), instead of all or nothing."""
    required: bool = False
    """A completion in the wrong format is invalid, instead of scoring less than 1."""

    @model_validator(mode="after")
    def _one_kind(self) -> "Format":
        if bool(self.tags) == bool(self.sections):
            raise ValueError("format needs either `tags` or `sections`")
        names = self.tags or self.sections
        if len(set(names)) < len(names):
            raise ValueError("a tag or section is named twice")
        if self.opened and not self.tags:
            raise ValueError("`opened` is about tags; there are none")
        if self.required and self.partial:
            raise ValueError(
                "`required` makes anything but the full format invalid, so `partial` has no effect"
            )
        return self

    def bounds(self) -> tuple[float, float]:
        """0 to 1."""
        return 0.0, 1.0

    def build(self) -> RewardFunction:
        """The check of one completion after the other."""

        def format_reward(completions: list[str]) -> list[Score]:
            return [self._score(text) for text in completions]

        return format_reward

    def wrap(self, text: str) -> str:
        """The last line in the last tag or section, what comes before it in the others."""
        if all(self._parts(text)):
            return text
        head, last = split_answer(text)
        names = self.tags or self.sections
        contents = [*[head or last] * (len(names) - 1), text if len(names) == 1 else last]
        if self.sections:
            return "\n".join(f"{name} {content}" for name, content in zip(names, contents, strict=True))
        tags = [f"<{name}>{content}</{name}>" for name, content in zip(names, contents, strict=True)]
        return "\n".join(tags).removeprefix(f"<{names[0]}>" if self.opened else "")

    def _parts(self, text: str) -> list[bool]:
        """Whether each part of the format is right."""
        right, outside = self._tags(text) if self.tags else self._sections(text)
        return [*right, not outside.strip()] if self.only else right

    def _score(self, text: str) -> Score:
        right = self._parts(text)
        if self.partial:
            return sum(right) / len(right)
        if self.required and not all(right):
            return Invalid("wrong format")
        return float(all(right))

    def _tags(self, text: str) -> tuple[list[bool], str]:
        """Whether each tag is right, and the text outside of the tags."""
        text = f"<{self.tags[0]}>{text}" if self.opened else text
        right, outside, position = [], "", 0
        for tag in self.tags:
            opening, closing = f"<{tag}>", f"</{tag}>"
            start = text.find(opening, position)
            end = text.find(closing, start + len(opening)) if start >= 0 else -1
            good = end >= 0 and self._fine(text, text[start + len(opening) : end], opening, closing)
            right.append(good)
            if good:
                outside += text[position:start]
                position = end + len(closing)
        return right, outside + text[position:]

    def _sections(self, text: str) -> tuple[list[bool], str]:
        """Whether each section is right, and the text before the first that is."""
        starts, position = [], 0
        for heading in self.sections:
            start = text.find(heading, position)
            starts.append(start)
            position = start + len(heading) if start >= 0 else position
        present = [start for start in starts if start >= 0]
        right = []
        for heading, start in zip(self.sections, starts, strict=True):
            end = min((other for other in present if other > start), default=len(text))
            good = start >= 0 and self._fine(text, text[start + len(heading) : end], heading)
            right.append(good)
        return right, text[: min(present)] if present else text

    def _fine(self, text: str, content: str, *marks: str) -> bool:
        if self.nonempty and not content.strip():
            return False
        return not self.once or all(text.count(mark) == 1 for mark in marks)
