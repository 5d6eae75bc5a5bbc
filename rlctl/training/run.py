"""One life for every run: a folder that one process writes, checkpoints, and how it ends.

Whatever the algorithm: the run is opened (a new one, or one to go on with), begins, passes a boundary at the
end of every step, and leaves a status in `run.json`. Only the main process writes what all share.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from filelock import FileLock

from rlctl.config.config import Config
from rlctl.config.dump import to_yaml
from rlctl.errors import RlctlError, Stopped, TrainingError, UsageError
from rlctl.files import replace_text, sync, write_json
from rlctl.training import place
from rlctl.training.checkpoints import Checkpoint, Checkpoints
from rlctl.training.faults import disk_full, explain, in_words
from rlctl.training.former import Former, find
from rlctl.training.logs import RunLogs
from rlctl.training.progress import Progress
from rlctl.training.provenance import now, process, provenance
from rlctl.training.resume import inexact
from rlctl.training.saver import Saver
from rlctl.training.stopping import StopSignals
from rlctl.training.together import Together


class Run:
    """A run's folder, open for writing.

    Args:
        config: The resolved config; `run.output_dir` and `run.name` name the folder.
        resume: Go on with the run of this name, if there is one.
        together: The processes of the run.
        stop: The signals that it heeds.
        tell: Says something to a person.

    Entering it refuses what cannot be run, before anything large is loaded; `begin` makes the folder. `point`
    is the checkpoint that the run goes on from, or None.
    """

    def __init__(
        self,
        config: Config,
        *,
        resume: bool = False,
        together: Together | None = None,
        stop: StopSignals | None = None,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.config = config
        self.together = together or Together()
        self.main = self.together.main
        self.stop = stop or StopSignals()
        self.tell = tell
        self.path = place.folder_of(config)
        self.final = self.path / "final"
        self.logs = RunLogs(self.path / "logs", main=self.main)
        self.progress = Progress(config.eval.metric)
        checkpoints = Checkpoints(self.path / "checkpoints", config.training.save_total_limit)
        self.saver = Saver(checkpoints, self.logs, self.progress, self.together)
        self.point: Checkpoint | None = None
        self.record: dict[str, Any] = {}
        self._resume = resume
        self._former: Former | None = None
        self._lock: FileLock | None = None
        self._news: str | None = None
        self._begun = False

    @property
    def worth_keeping(self) -> bool:
        """Whether a step has been done: from then on the folder stays, whatever happens."""
        return self._former is not None or self.saver.step > 0

    def __enter__(self) -> Self:
        self.point = self.together.on_main(self._open)
        return self

    def _open(self) -> Checkpoint | None:
        if not self._resume:
            place.refuse_existing(self.config)
            return None
        if not self.path.is_dir():
            place.refuse_unwritable(self.path)
            self.tell(f"no run {self.path.name!r} yet: starting at step 0{place.near(self.path)}")
            return None
        try:
            self._lock = place.lock(self.path)
            checkpoints, processes = self.saver.checkpoints, self.together.processes
            self._former = find(self.path, self.config, checkpoints, processes, self.tell)
            return None if self._former is None else self._former.point
        except OSError as error:
            raise self._unwritable(error) from error
        except RlctlError:
            self._release()
            raise

    def begin(self, record: dict[str, Any]) -> None:
        """Make the folder, or go back to the checkpoint; from now on signals save.

        Args:
            record: What `run.json` holds beside the provenance.

        Raises:
            UsageError: The folder exists by now, or cannot be written.
        """
        self.stop.defer(self.together.exchange)
        self.together.on_main(lambda: self._begin(record))
        self._begun = True

    def _begin(self, record: dict[str, Any]) -> None:
        made = False
        try:
            if self._lock is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.path.mkdir()  # of two runs that start together with one name, one gets the folder
                made = True
                self._lock = place.lock(self.path)
            self._write_start({**provenance(self.config), "id": uuid4().hex, "start": now(), **record})
        except FileExistsError:
            raise place.name_taken(self.path) from None
        except OSError as error:
            if made:
                shutil.rmtree(self.path, ignore_errors=True)
            raise self._unwritable(error) from error

    def _write_start(self, found: dict[str, Any]) -> None:
        self.record = found if self._former is None else self._former.goes_on(found)
        if self._former is not None:
            self._tell_from_where()
        self.record |= {"status": "running", "process": process()}
        self._write_record()
        self.saver.config, self.saver.run = to_yaml(self.config), self.record["id"]
        replace_text(self.path / "config.yaml", self.saver.config, synced=True)
        self.logs.folder.mkdir(exist_ok=True)
        sync([self.path, self.path.parent])
        lengths = dict.fromkeys(self.logs.lengths(), 0) if self.point is None else self.point.about["logs"]
        for missing in self.logs.cut(lengths):
            self.note(f"warning: {missing} since {self.point.name if self.point else 'the start'}")
        self.saver.checkpoints.clear()
        self.saver.checkpoints.set_aside(after=self.point.step if self.point else -1)
        if self._news:
            self.note(self._news)

    def _tell_from_where(self) -> None:
        """Say that the run goes on, and whether it is still the run that it would have been."""
        entry = self.record["resumed"][-1]
        if self.point is None:
            self.tell("no checkpoint yet: starting at step 0")
        elif entry["changed"]:
            self._news = inexact(entry)
        else:
            self.tell(f"going on after step {self.point.step}")

    def restore(self) -> None:
        """Every part of `saver.parts` goes on from `point`."""
        assert self.point is not None
        if (fault := self.saver.restore(self.point)) is not None:
            self.note(f"warning: {self._not_saved(fault)}")

    @contextmanager
    def taking_steps(self) -> Iterator[None]:
        """Around all steps: what a signal or a failure interrupts is saved.

        Raises:
            Stopped: A signal came; it says where the run is saved.
            TrainingError: It could not be saved.
        """
        try:
            yield
            self._tell_of(self.saver.settle())
        except Stopped as stopped:
            raise self._put_down(stopped) from None
        except Exception:
            self._rescue()
            raise

    def boundary(self, step: int, last: int) -> None:
        """`step` steps of `last` are done and logged, and the next has not begun: save where it is due.

        A checkpoint that cannot be written is told of, and the run goes on.
        """
        every = self.config.training.save_steps
        save = step > 0 and every is not None and (step % every == 0 or step == last)
        self.saver.boundary(step)
        if save:
            self._save()
        else:
            self._tell_of(self.saver.settle(wait=False), " Training goes on.")

    def _save(self) -> None:
        """Save the last boundary, if it is not saved; the disk finishes it beside what comes next."""
        self._tell_of(self.saver.settle(), " Training goes on.")
        self._tell_of(self.saver.save(wait=False), " Training goes on.")

    def save_now(self) -> str:
        """Save the last boundary, if it is not saved, whatever `save_steps` is; says what became of it."""
        self._tell_of(self.saver.settle())
        fault = self.saver.save()
        if fault is not None and self.saver.saved != self.saver.step:
            return self._not_saved(fault)
        return f"Saved in {self.saver.checkpoints.path(self.saver.step)}"

    def evaluated(self, step: int) -> None:
        """The evaluation after a step is part of what is reached; a new best is saved if it is not."""
        self.saver.evaluated()
        if step > 0 and self.config.training.save_steps is not None and self.progress.best() == step:
            self._save()

    @property
    def stalled(self) -> str | None:
        """Why training ends early, in words; None where it does not."""
        return self.progress.stalled(self.config.eval.patience)

    def end_early(self) -> None:
        """No further step: save where it is to go on from, should it be given more patience."""
        if self.config.training.save_steps is not None:
            self._save()

    def tell_if_early(self, last: int) -> None:
        """Say it, where the run has ended before its `last` step."""
        if self.saver.step < last and self.stalled:
            self.remember(stopped_early={"step": self.saver.step, "reason": self.stalled})
            self.note(f"stopped early after step {self.saver.step} of {last}: {self.stalled}")

    def evaluation_due(self, step: int, last: int) -> bool:
        """Whether held-out prompts are to be completed now; after the last step they are in any case."""
        every = self.config.training.eval_steps
        due = step in (0, last) or (every is not None and step % every == 0)
        return due and self.progress.evaluation(step) is None

    def _tell_of(self, fault: Exception | None, what_then: str = "") -> None:
        if fault is not None:
            self.note(f"warning: {self._not_saved(fault)}.{what_then}")

    def remember(self, **facts: Any) -> None:
        """Add to `run.json`."""
        if self.main:
            self.record.update(facts)
            self._write_record()

    def _put_down(self, stopped: Stopped) -> RlctlError:
        """Save what a signal has interrupted; returns the error to end with."""
        step = self.saver.step
        if not self.worth_keeping or step == 0:
            return Stopped(
                f"{stopped.message} before the first step was done: nothing to save",
                hint="The same command with --resume begins again at step 0.",
            )
        self.tell(f"{stopped.message}: saving; a second signal ends at once")
        self._tell_of(self.saver.settle())
        if (fault := self.saver.save()) is not None and self.saver.saved != step:
            return TrainingError(
                f"{stopped.message} after step {step}; {self._not_saved(fault)}",
                where=str(self.path),
                hint="The same command with --resume goes on from the newest checkpoint.",
            )
        self.record["step"] = step
        self.logs.text(f"{stopped.message} after step {step}")
        checkpoint = str(self.saver.checkpoints.path(step))
        return Stopped(
            f"{stopped.message} after step {step}; saved in {checkpoint}",
            hint="The same command with --resume goes on from there.",
            step=step,
            checkpoint=checkpoint,
        )

    def _rescue(self) -> None:
        """Save what was reached before a failure, where that can still be done."""
        saver = self.saver
        if self.together.processes == 1 and saver.whole and saver.step > 0 and saver.saved != saver.step:
            try:
                self._tell_of(self.saver.settle())
                fault = self.saver.save()
            except RlctlError:
                return
            if fault is None:
                name = self.saver.checkpoints.path(self.saver.step).name
                self.tell(f"saved before it failed: {name}; --resume goes on from there")

    def note(self, text: str) -> None:
        """Say something, and keep it in the log."""
        self.logs.text(text)
        self.tell(text)

    def _not_saved(self, fault: Exception) -> str:
        if self.saver.saved == self.saver.tried:
            return f"older checkpoints could not be removed: {in_words(fault)}"
        kept = self.saver.checkpoints.steps()
        newest = f"the newest checkpoint is of step {kept[-1]}" if kept else "there is no checkpoint"
        return f"step {self.saver.tried} could not be saved: {in_words(fault)} ({newest})"

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.saver.wait()
        try:
            self._leave(error)
        finally:
            self._release()

    def _leave(self, error: BaseException | None) -> None:
        if error is None:
            self._end("done")
            return
        if self.main and self._begun and not self.worth_keeping:
            # It ended before the first step: leave nothing behind, so that the next try may have the name.
            shutil.rmtree(self.path, ignore_errors=True)
        if isinstance(error, KeyboardInterrupt | Stopped):
            self._end("stopped")
            return
        explained = explain(error, self.config)
        self._end("failed", error=str(explained or error))
        if explained is not None and explained is not error:
            raise explained from error

    def _end(self, status: str, **more: Any) -> None:
        if not (self.main and self._begun):
            return
        self.record.update(status=status, end=now(), **more)
        try:
            if not self.path.exists():
                return
            self._write_record()
            if status == "done":
                self.logs.pack()
        except OSError:
            if status == "done":
                raise

    def _write_record(self) -> None:
        write_json(self.path / "run.json", self.record, synced=True)

    def _release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _unwritable(self, error: OSError) -> RlctlError:
        if disk_full(error) and (full := explain(error, self.config)):
            return full
        message = f"cannot write here ({error.strerror})"
        return UsageError(message, where=str(error.filename or self.path), hint=place.ELSEWHERE)
