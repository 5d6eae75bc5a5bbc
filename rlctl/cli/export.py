"""`rlctl export`: a run's model as one folder, checked, and if wanted on the Hub."""

from typing import TYPE_CHECKING, Any

from rlctl.cli.output import print_json, print_lines, stdout_kept_for
from rlctl.models.export_request import Request, request

if TYPE_CHECKING:
    from rlctl.models.export import Exported


def run(
    name: str,
    output: str | None,
    repository: str | None,
    *,
    private: bool,
    adapter: bool,
    dtype: str | None,
    as_json: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Check what is asked for, then write, verify, push and say what was done."""
    asked = request(name, output, adapter=adapter, dtype=dtype, repository=repository, private=private)
    silent = as_json or quiet
    with stdout_kept_for(as_json):
        from rlctl.training.train import calm_libraries

        calm_libraries()
        from rlctl.models.export import export

        done = export(asked)
        if not silent:
            print_lines(*describe(asked, done, verbose=verbose))
        address = _push(asked) if repository is not None else None
    if as_json:
        print_json(document(asked, done, address))
    elif address is not None and not quiet:
        print_lines(f"pushed to {address}")


def _push(asked: Request) -> str:
    from rlctl.models.hub import push

    assert asked.repository is not None
    message = f"Export of {_title(asked)} by rlctl"
    return push(asked.folder, asked.repository, private=asked.private, commit_message=message)


def _title(asked: Request) -> str:
    step = asked.run.step
    return asked.run.config.run.name + (f", step {step}" if step is not None else "")


def describe(asked: Request, done: "Exported", *, verbose: bool) -> list[str]:
    """What was written and how it was checked, for a person."""
    how = "adapter merged" if asked.merged else "adapter alone" if asked.adapter else "all weights"
    size = f"{done.bytes / 1e6:,.1f} MB in {len(done.files)} files"
    lines = [f"{asked.folder}: {_title(asked)}, {how}, {done.dtype}, {size}"]
    if verbose:
        lines += [f"  {name}" for name in done.files]
    found = done.verified
    if found.same == found.prompts:
        return [*lines, f"greedy output of {found.prompts} prompts: the same"]
    all_ties = found.same + found.ties == found.prompts
    why = "the others part at a tie of two tokens" if all_ties else f"rounding to {done.dtype}"
    return [
        *lines,
        f"greedy output of {found.prompts} prompts: {found.same} of {found.prompts} the same ({why})",
    ]


def document(asked: Request, done: "Exported", address: str | None) -> dict[str, Any]:
    """The same as JSON."""
    found = done.verified
    return {
        "run": str(asked.run.folder),
        "step": asked.run.step,
        "folder": str(asked.folder),
        "files": done.files,
        "dtype": done.dtype,
        "merged": asked.merged,
        "verified": {"prompts": found.prompts, "same": found.same, "ties": found.ties},
        "pushed": address,
    }
