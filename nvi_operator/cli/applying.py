"""One reconcile by hand: what `apply` and `rollback` have in common."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from nvi_operator.cli.asking import ask_about_flows
from nvi_operator.cli.confirming import judge_trial, new_trial
from nvi_operator.cli.context import Context, warn_of_instance
from nvi_operator.cli.once import Around, reconcile_once
from nvi_operator.cli.output import note, show_plan, tell, warn
from nvi_operator.cli.returning import give_up, give_up_if_due
from nvi_operator.errors import NviError
from nvi_operator.events.revisions import way_back
from nvi_operator.history.decisions import Decisions, DecisionsFile, Held, ReturnTarget
from nvi_operator.history.revision import Content
from nvi_operator.history.store import History
from nvi_operator.kernel.inspect.survey import take_survey
from nvi_operator.kernel.kernel import Kernel
from nvi_operator.language.load.loader import LoadedSpec
from nvi_operator.language.model.gateway import GatewaySpec
from nvi_operator.plan.change import Plan
from nvi_operator.reconcile.compiler import Compiler
from nvi_operator.reconcile.precheck import problems, refuse_collisions
from nvi_operator.rollout import waiter
from nvi_operator.rollout.attempt import Attempt
from nvi_operator.rollout.trial import Trial, refuse_pending, refuse_suspended
from nvi_operator.view.plan import applied
from nvi_operator.view.progress import spinner

if TYPE_CHECKING:
    from nvi_operator.rollout.saved_plan import SavedPlan


def apply(
    context: Context,
    loaded: LoadedSpec,
    content: Content,
    *,
    of: int | None = None,
    saved: SavedPlan | None = None,
) -> int:
    """`content` is what `loaded` was made of; `of` the revision that it is from. `saved`: its steps, or none."""
    arguments, spec = context.arguments, loaded.spec
    decisions, lock_out = context.decisions(keeps_on=True), context.lock_out()
    with closing(context.lock()) as lock, context.history() as history:
        lock.open()  # an ordinary user is told so at once, and of nothing else
        if of is None:
            warn_of_instance(lock)
        give_up_if_due(context, lock, history, decisions)
        compiler = Compiler(loaded.name, spec)
        trial = new_trial(context, lock, history, decisions, content, compiler)
        held = None
        if of is not None and lock.instance() is not None:
            held = Held(0, "", ReturnTarget(of, content), f"rolled back to revision {of}")
        _run_prechecks(spec, context.attempt(history, content, of=of), force=arguments.force)
        health = context.health(spec)
        with Kernel(spec.numbers, lock=lock) as kernel:
            kernel.health = health
            ask_about_flows(arguments, kernel, compiler)
            attempt = context.attempt(history, content, of=of)  # its time begins once the question is answered

            def refuse(plan: Plan) -> None:
                if not arguments.force:
                    lock_out.refuse(kernel, compiler, plan, sessions=True)
                if saved is not None:
                    saved.refuse_other_plan(plan)

            under_lock = _UnderLock(decisions, history, trial, held, refuse)
            around = Around(under_lock.before, under_lock.accept, trial, under_lock.failed, under_lock.done)
            with spinner("applying and verifying"):
                outcome = reconcile_once(kernel, compiler, attempt, around)
            outcome.raise_failure()
            warn(kernel.warnings)
        if under_lock.failed_check:
            give_up(context, lock, history, decisions)
            raise NviError(f"{loaded.name}: {under_lock.failed_check}: the change was given up")
    if arguments.output == "json" or not arguments.quiet:
        note(outcome.plan)
        show_plan(arguments, loaded.name, outcome.plan, applied)
    if trial is not None and trial.pending is not None and arguments.confirm:
        back = way_back(trial.pending.back.revision)
        tell(f"confirm within {arguments.confirm:g} s: nvictl confirm; otherwise: {back}")
    return 0


class _UnderLock:
    """What an apply does under the gateway's lock beside its reconcile. `refuse` may refuse a plan; `held` is what a
    running daemon is told of a rollback.
    """

    def __init__(
        self,
        decisions: DecisionsFile,
        history: History,
        trial: Trial | None,
        held: Held | None,
        refuse: Callable[[Plan], None],
    ) -> None:
        self._trial = trial
        self.failed_check = ""  # which one, and why, once the kernel holds the spec
        self._decisions = decisions
        self._history = history
        self._held = held
        self._refuse = refuse
        self._found = Decisions()  # before the reconcile

    def before(self) -> None:
        self._found = self._decisions.read()
        refuse_pending(self._found, waiter.now())
        refuse_suspended(self._found)

    def accept(self, plan: Plan) -> None:
        self._refuse(plan)
        if self._held is not None:  # the daemon is told before it sees what changes
            self._decisions.write(replace(self._found, held=self._held))

    def failed(self) -> None:
        if self._held is not None:
            self._decisions.write(self._found)

    def done(self) -> None:
        if self._trial is not None:
            self.failed_check = judge_trial(self._trial, self._decisions, self._history)
        if self._held is None:
            self._settle()

    def _settle(self) -> None:
        """Whatever was held or pending, this spec is in force now."""
        found = self._decisions.read()
        if (found.pending or found.held) and not (self._trial and self._trial.pending):
            self._decisions.write(found.settled())


def _run_prechecks(spec: GatewaySpec, attempt: Attempt, *, force: bool) -> None:
    """Warn of what `doctor` calls a problem, but for rights, which are an error where the plan needs them. Raises
    ConflictError where another program uses the mark bits.
    """
    try:
        found = problems(take_survey(spec, try_binding=False), spec)
        if not force:
            refuse_collisions(found)
    except NviError as error:
        attempt.stopped(error)
        raise
    warn(f"{each.topic}: {each.what} (see nvictl doctor)" for each in found if each.topic != "privileges")
