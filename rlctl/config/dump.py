"""The resolved config as YAML: every default spelled out, paths absolute, loadable to an equal `Config`."""

from typing import Any

import yaml

from rlctl.config.config import Config
from rlctl.config.yaml_marks import scalar


class _Dumper(yaml.SafeDumper):
    """Puts text in quotes wherever YAML 1.1 or 1.2 would read something else, such as `1e-5` or `no`."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        tag = super().resolve(kind, value, implicit)
        if kind is yaml.ScalarNode and implicit[0] and tag == _TEXT and not isinstance(scalar(value), str):
            return f"{_TEXT}-like"
        return tag

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


_TEXT = "tag:yaml.org,2002:str"


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    other_breaks = any(sign in value for sign in "\r\x85\u2028\u2029")
    style = '"' if other_breaks else "|" if "\n" in value else None
    return dumper.represent_scalar(_TEXT, str(value), style=style)


_Dumper.add_representer(str, _text)
_Dumper.add_multi_representer(str, _text)


def to_yaml(config: Config) -> str:
    """The config as YAML, in the order of the sections; the same config gives the same bytes."""
    return as_yaml(config.model_dump(mode="python"))


def as_yaml(sections: dict[str, Any]) -> str:
    """Plain values as YAML of the same look."""
    return yaml.dump(
        sections,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=110,
    )
