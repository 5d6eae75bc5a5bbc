"""Sends an export to the Hugging Face Hub. What is here stays, whatever the Hub says."""

from pathlib import Path

from rlctl.errors import MissingError


def push(folder: Path, repository: str, *, private: bool, commit_message: str) -> str:
    """Upload a folder to a model repository, which is made if there is none.

    Args:
        folder: The export.
        repository: `OWNER/NAME`.
        private: Whether a repository that is made is private; one that exists stays as it is.
        commit_message: Of the commit.

    Returns:
        The address of the repository.

    Raises:
        MissingError: There is no login, the Hub cannot be reached, or it refuses.
    """
    from huggingface_hub import HfApi, constants, get_token
    from huggingface_hub.errors import HfHubHTTPError

    option = " --private" if private else ""
    later = f"The export is in {folder}; `hf upload {repository} {folder} .{option}` sends it."
    if get_token() is None:
        hint = f"Run `hf auth login`, or set HF_TOKEN. {later}"
        raise MissingError("no login for the Hugging Face Hub", where="--push", hint=hint)
    api = HfApi()
    try:
        address = api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder, commit_message=commit_message)
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


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
