"""Run tests, or any command, on a real kernel: `python -m tests.vm debian12-6.1 -- python3 -m pytest tests/kmod`."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.vm.kernels import kernels
from tests.vm.machine import run
from tests.vm.report import Record

MODULE_TESTS = ("tests/kmod",)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.vm", description=__doc__)
    parser.add_argument("kernel", nargs="+", help=f"all, or some of: {', '.join(kernels())}")
    parser.add_argument(
        "--timeout", type=float, default=1800, metavar="SECONDS", help="for each kernel (%(default)g)"
    )
    parser.add_argument("--no-debug", action="store_true", help="without the checks of memory, which cost time")
    parser.add_argument("--console", type=Path, metavar="FILE", help="write the guest's console there")
    words = sys.argv[1:]
    split = words.index("--") if "--" in words else len(words)
    options, argv = parser.parse_args(words[:split]), words[split + 1 :]
    argv = argv or ["python3", "-m", "pytest", "--color=no", "-p", "tests.vm.plugin", *MODULE_TESTS]
    names = list(kernels()) if options.kernel == ["all"] else options.kernel
    unknown = set(names) - set(kernels())
    if unknown:
        parser.error(f"no kernel {', '.join(sorted(unknown))} in kernels.toml")
    bad = 0
    for name in names:
        started = time.monotonic()
        outcome = run(kernels()[name], argv, timeout=options.timeout, debug=not options.no_debug, on_record=_show)
        if options.console:
            options.console.write_text(outcome.console, encoding="utf-8")
        passed = sum(1 for r in outcome.records if r.get("when") == "call" and r["outcome"] == "passed")
        for problem in outcome.problems:
            print(f"{name}: {problem}")
        if outcome.problems:
            print("\n".join(outcome.console.splitlines()[-60:]))
        bad += bool(outcome.problems)
        word = "FAILED" if outcome.problems else "ok"
        print(f"{name}: {word}, {passed} tests passed, {time.monotonic() - started:.0f} s", flush=True)
    return 1 if bad else 0


def _show(record: Record) -> None:
    if record["kind"] == "start":
        print(f"  booted {record['release']}", flush=True)
    elif "test" in record:
        print(f"  {record['outcome']} {record['test']} {record['seconds']} s", flush=True)
    elif "line" in record:
        print(record["line"], flush=True)


if __name__ == "__main__":
    sys.exit(main())
