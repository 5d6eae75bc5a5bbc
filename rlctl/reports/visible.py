"""Control characters made visible: completions hold whatever a model writes, and a terminal would obey it."""

from typing import Any

CONTROLS: dict[int, int | str] = {
    **{code: 0x2400 + code for code in range(32) if chr(code) not in "\t\n"},
    **{code: f"\\x{code:x}" for code in range(0x80, 0xA0)},
    0x7F: 0x2421,
}
"""Control characters, but for tab and line break → what shows them; for `str.translate`."""


def visible(value: Any) -> Any:
    """The same with control characters shown in all its texts.

    Args:
        value: Plain data: texts, numbers, lists, and mappings with texts as keys.
    """
    if isinstance(value, str):
        return value.translate(CONTROLS)
    if isinstance(value, dict):
        return {visible(key): visible(one) for key, one in value.items()}
    return [visible(one) for one in value] if isinstance(value, list | tuple) else value
