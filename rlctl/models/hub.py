"""Sends an export to the Hugging Face Hub. What is here stays, whatever the Hub says."""

from pathlib import Path

from rlctl.errors import MissingError, UsageError
from rlctl.models.export_request import upload_command

REPLACED = (
    *("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"),
    *("config.json", "generation_config.json", "chat_template.jinja"),
    *("model.safetensors", "model-?????-of-?????.safetensors", "model.safetensors.index.json"),
    *("pytorch_model.bin", "pytorch_model-?????-of-?????.bin", "pytorch_model.bin.index.json"),
)
"""What an earlier push may have left that would be loaded in place of, or beside, what is pushed now."""


def push(folder: Path, repository: str, *, private: bool, commit_message: str) -> str:
    """Upload a folder to a model repository, which is made if there is none.

    Weights and settings of an earlier model that are not part of this one are deleted in the same commit.

    Args:
        folder: The export.
        repository: `OWNER/NAME`.
        private: Whether the repository must be private; one that is made is.
        commit_message: Of the commit.

    Returns:
        The address of the repository.

    Raises:
        UsageError: It must be private, and is there and public; nothing was sent.
        MissingError: There is no login, the Hub cannot be reached, or it refuses.
    """
    from huggingface_hub import HfApi, constants, get_token
    from huggingface_hub.errors import HfHubHTTPError

    later = f"The export is in {folder}; `{upload_command(folder, repository, private=private)}` sends it."
    if get_token() is None:
        hint = f"Run `hf auth login`, or set HF_TOKEN. {later}"
        raise MissingError("no login for the Hugging Face Hub", where="--push", hint=hint)
    api = HfApi()
    try:
        address = api.create_repo(repository, private=private, exist_ok=True)
        if private:
            _must_be_private(api.model_info(repository).private, folder, repository)
            later = f"The export is in {folder}; `{upload_command(folder, repository)}` sends it."
        api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            commit_message=commit_message,
            delete_patterns=list(REPLACED),
        )
    except UsageError:
        raise
    except HfHubHTTPError as error:
        status = error.response.status_code
        fix = "Check that the token may write there (`hf auth whoami`). " if status in (401, 403, 404) else ""
        message = f"the Hub refused ({status}: {error.server_message or _first_line(error)})"
        raise MissingError(message, where=repository, hint=f"{fix}{later}") from error
    except Exception as error:  # of the HTTP library, whose classes change their names
        hint = f"Check the network, HF_ENDPOINT and HF_HUB_OFFLINE. {later}"
        message = f"the upload failed ({_first_line(error)})"
        raise MissingError(message, where=constants.ENDPOINT, hint=hint) from error
    return str(address)


def _must_be_private(private: bool | None, folder: Path, repository: str) -> None:
    """The Hub leaves a repository that exists as it is, so an upload would be public."""
    if private is True:
        return
    hint = (
        f"Make it private (`hf repos settings {repository} --private`) or choose another name; then "
        f"`{upload_command(folder, repository)}` sends the export, which is in {folder}. Nothing was sent."
    )
    raise UsageError("--private, but the repository exists and is public", where=repository, hint=hint)


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
