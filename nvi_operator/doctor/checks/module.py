"""The kernel module of dataplane kmod: whether it can be used, and if not, what to do."""

from __future__ import annotations

from collections.abc import Iterator

from nvi_operator.doctor.finding import Finding
from nvi_operator.doctor.survey import Survey
from nvi_operator.kmod.verdict import judge
from nvi_operator.language.model.gateway import GatewaySpec


def module(survey: Survey, spec: GatewaySpec | None) -> Iterator[Finding]:
    """nvi.ko: loaded or installed, for this kernel, new enough, signed where that is required."""
    requested = spec.dataplane.type if spec is not None else "auto"
    if requested == "bpf":
        return
    verdict = judge(survey.module)
    todo = "\n".join(verdict.todo)
    if verdict.in_kernel and survey.kinds.get("nvi") == "no":
        yield Finding(
            "problem",
            "module",
            f"{verdict.why}, but no link of kind nvi can be made",
            "nvictl down && rmmod nvi\nnvictl module install",
        )
    elif verdict.usable:
        yield Finding("ok", "module", verdict.why)
    elif requested == "kmod":
        yield Finding("problem", "module", verdict.why, "\n".join(filter(None, (todo, _OTHERWISE))))
    elif verdict.installed_in_vain:
        yield Finding("warning", "module", f"{verdict.why}; dataplane auto uses eBPF", todo)
    else:
        yield Finding("ok", "module", verdict.why)


_OTHERWISE = "# or set spec.dataplane.type to auto or bpf"
