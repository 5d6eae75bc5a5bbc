"""Settings files of an export without paths of this machine.

transformers leaves out the paths that it writes itself; what models and tokenizers add of their own stays in.
"""

import json
from pathlib import Path
from typing import Any

from rlctl.models.public_names import WHOLE, public_name

SETTINGS = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "adapter_config.json",
)


def name_paths_in_public(folder: Path) -> None:
    """Name every absolute path in the settings files by its last part; other files stay as they are.

    Args:
        folder: An export that is being written.
    """
    for file in (folder / name for name in SETTINGS if (folder / name).is_file()):
        settings = json.loads(file.read_text(encoding="utf-8"))
        shown = _named(settings)
        if shown != settings:
            file.write_text(json.dumps(shown, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _named(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        return {name: _named(inner, key if key == "auto_map" else name) for name, inner in value.items()}
    if isinstance(value, list):
        return [_named(inner, key) for inner in value]
    if not isinstance(value, str) or not WHOLE.fullmatch(value):
        return value
    if key == "auto_map":  # FOLDER--module.Class; the module is beside the weights
        return value.rpartition("--")[2]
    return public_name(value)
