"""What is left of a config when it is published: no secret, no path of this machine.

Secrets are known by the name of their key or by their look, so this is a net, not a proof. What is
likeliest to be private, the arguments of a user's reward, is therefore never published.
"""

import re
from typing import Any

from rlctl.models.public_names import public_name, without_folders

HIDDEN = "…"

PATH_KEYS = ("path", "tokenizer", "chat_template", "output_dir", "function")
"""Keys of the YAML whose text is a path where it starts with a slash."""

SECRET_KEY = re.compile(
    r".*(?:key|token|secret|password|passwd|pwd|passphrase|credential|authorization|bearer)"
    r"|.*(?:(?:api|access|secret|private|auth)[_-]?key|token|secret|password|credential)s|(?:.*[_-])?auth",
    re.IGNORECASE,
)
WORD_OF_A_TOKENIZER = re.compile(
    r"(?:.*_)?(?:eos|bos|pad|unk|sep|cls|mask|image|audio|video|stop)_tokens?", re.IGNORECASE
)

_RANDOM = "(?=[A-Za-z0-9{0}]*[A-Z0-9]|[A-Za-z0-9{0}]{{16}})[A-Za-z0-9{0}]{{5,}}"
"""Not a plain word; formatted with further characters."""
SECRET = re.compile(
    rf"\bsk-{_RANDOM.format('_-')}|\b[spr]k_(?:live|test)_\w+"  # OpenAI, Anthropic, Stripe
    rf"|\b(?:hf|gh[opusr]|npm|r8|gsk)_{_RANDOM.format('')}|\b(?:github_pat|wandb_v1)_\w+"
    rf"|\b(?:glpat|pypi|xai|nvapi|xox[a-z])-{_RANDOM.format('_-')}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{12,}|\bAIza[\w-]{20,}"
    r"|\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]+)?"  # JSON web token
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
HEADER = re.compile(r"(?P<said>\b(?:Bearer\s+(?![{…])|Basic\s+(?=[A-Za-z0-9+/]{12})))[^\s\"'`|]+")
LOGIN = re.compile(r"(?P<said>://)[^\s/@\"'`|]+@")
QUERY = re.compile(r"(?P<said>\b[a-z][a-z0-9+.-]*://[^\s?\"'`|<>]+\?)[^\s\"'`|<>]+", re.IGNORECASE)
ASSIGNED = re.compile(
    r"(?P<said>(?:key|token|secret|password|passwd|pwd|passphrase|credential|authorization)"
    r"[\"']?(?:=|: ?)[\"']?)(?![{…]|Bearer\b|Basic\b)[^\s\"'`|&,;]+",
    re.IGNORECASE,
)


def without_secrets(text: str) -> str:
    """A text without what is known by its look alone: tokens, headers, logins and queries of addresses.

    Args:
        text: Anything that is to be published.
    """
    for pattern in (LOGIN, QUERY, HEADER):
        text = pattern.sub(rf"\g<said>{HIDDEN}" + ("@" if pattern is LOGIN else ""), text)
    return SECRET.sub(HIDDEN, text)


def public_text(text: str) -> str:
    """A text without secrets, those said by name included (`token=…`), and with paths by their last part.

    Args:
        text: A value of a config.
    """
    return without_folders(ASSIGNED.sub(rf"\g<said>{HIDDEN}", without_secrets(text)))


def public_path(path: str) -> str:
    """A name of a model, a data set or a file: a path by its last part, an address without login and query.

    Args:
        path: What a config or a record names.
    """
    name, mark, _ = public_name(path).partition("?")
    return public_text(name) + (f"?{HIDDEN}" if mark else "")


def public(value: Any, key: str = "") -> Any:
    """A copy of what a config holds, as it may be published.

    Args:
        value: A dict, a list, or a single value.
        key: The key that it is under.
    """
    if _is_secret(key, value):
        return HIDDEN
    if isinstance(value, dict):
        return {public_text(str(name)): public(inner, str(name)) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [public(inner, key) for inner in value]
    if not isinstance(value, str):
        return value
    return public_path(value) if key in PATH_KEYS else public_text(value)


def public_component(part: dict[str, Any]) -> dict[str, Any]:
    """A part of the reward as it may be published: of its `args` the names alone.

    Args:
        part: The section, or some of its keys.
    """
    shown = public({key: value for key, value in part.items() if key != "args"})
    if isinstance(part.get("args"), dict):
        shown["args"] = {public_text(str(name)): HIDDEN for name in part["args"]}
    return {key: shown[key] for key in part if key in shown}


def _is_secret(key: str, value: Any) -> bool:
    if value is None or isinstance(value, bool) or value in ("", {}, []) or not SECRET_KEY.fullmatch(key):
        return False
    count = isinstance(value, int | float) and key.lower().endswith("tokens")
    return not count and not WORD_OF_A_TOKENIZER.fullmatch(key)
