"""Fixtures for tests of ensembles.

A test marked `ensembles("JOO", ..., long=[...])` runs once for each (see `harness.ensemble.LETTERS`).
`--only java` and `--only oxkeeper` turn every member into that kind; what is then the same twice
runs once. Logs of a failed test are kept in target/ensemble-logs.
"""

from pathlib import Path

import pytest

from harness.ensemble import Ensemble, Network

LOGS = Path(__file__).resolve().parents[2] / "target" / "ensemble-logs"


def of_kind(spec, only):
    """The spec with every member of the one kind asked for."""
    if only is None:
        return spec
    letter = "j" if only == "java" else "o"
    return "".join(letter.upper() if each.isupper() else letter for each in spec)


def pytest_generate_tests(metafunc):
    marker = metafunc.definition.get_closest_marker("ensembles")
    if marker is None:
        return
    only = metafunc.config.getoption("--only")
    seen = {}
    for specs, marks in ((marker.args, ()), (marker.kwargs.get("long", ()), (pytest.mark.long,))):
        for spec in specs:
            seen.setdefault(of_kind(spec, only), marks)
    metafunc.parametrize("spec", [pytest.param(spec, marks=marks) for spec, marks in seen.items()])


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call":
        item.failed_in_call = report.failed


@pytest.fixture
def build(request):
    """Makes ensembles, ended after the test; their logs are kept if it failed."""
    built = []

    def make(spec, **how):
        spec = of_kind(spec, request.config.getoption("--only"))
        built.append(Ensemble(spec, **how))
        return built[-1]

    yield make
    for number, ensemble in enumerate(built):
        if getattr(request.node, "failed_in_call", True):
            name = "".join(c if c.isalnum() or c in "-_" else "-" for c in request.node.name)
            ensemble.save_logs(LOGS / name / str(number))
            print(f"logs of {ensemble!r} are in {LOGS / name / str(number)}")
        ensemble.cleanup()


@pytest.fixture
def network():
    """Makes a network with a host for each member; skips where that cannot be."""
    made = []

    def make(size):
        why = Network.why_not()
        if why:
            pytest.skip(why)
        made.append(Network(size))
        return made[-1].__enter__()

    yield make
    for each in made:
        each.__exit__()
