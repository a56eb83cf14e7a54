"""The same scripts against Java ZooKeeper and this server: every frame must be the same.

run test_differential.py                       the fixed seeds
run test_differential.py --seeds 500           more of them
run test_differential.py --seed 1234           one, replayed
run test_differential.py --only java           Java against Java: nothing may differ at all
"""

import pytest

from differential import cases, configurations, minimise
from differential.pair import Fixed, Pair


def pytest_generate_tests(metafunc):
    if "configuration" in metafunc.fixturenames:
        wanted = metafunc.config.getoption("--config")
        names = [wanted] if wanted else list(configurations.ALL)
        metafunc.parametrize("configuration", names, scope="module")
    if "seeds" in metafunc.fixturenames:
        only = metafunc.config.getoption("--seed")
        count = metafunc.config.getoption("--seeds")
        first = metafunc.config.getoption("--first-seed")
        chosen = [only] if only is not None else list(range(first, first + count))
        metafunc.parametrize("seeds", [chosen], ids=[f"seeds-{chosen[0]}-{chosen[-1]}"])


@pytest.fixture(scope="module")
def pair(configuration, request):
    other = "java" if request.config.getoption("--only") == "java" else "oxkeeper"
    chosen = configurations.ALL[configuration]
    pair = Pair(("java", other), chosen.cfg, chosen.props)
    yield pair
    pair.close()


@pytest.mark.parametrize("case", cases.CASES, ids=lambda case: case.__name__)
def test_a_hand_written_script_gets_the_same_frames_from_both(pair, configuration, case):
    root, steps = cases.script(case, cases.CASES.index(case))
    difference, _ = pair.run(Fixed(steps))
    if difference:
        shorter, difference = minimise.minimise(pair, root, steps, difference)
        pytest.fail(report(configuration, case.__name__, shorter, difference), pytrace=False)


def test_random_scripts_get_the_same_frames_from_both(pair, configuration, seeds, request):
    chosen = configurations.ALL[configuration]
    found = {}
    steps = 0
    for seed in seeds:
        script = chosen.script(seed, request.config.getoption("--steps"))
        difference, played = pair.run(script)
        steps += len(played)
        if difference is None:
            continue
        if difference.signature() in found:
            continue
        shorter, difference = minimise.minimise(pair, script.root, played, difference)
        found[difference.signature()] = (seed, shorter, difference)
        if len(found) >= request.config.getoption("--differences"):
            break
    print(f"{len(seeds)} seeds, {steps} steps")
    if found:
        pytest.fail(
            "\n\n".join(report(configuration, *one) for one in found.values()), pytrace=False
        )


def report(configuration, seed, steps, difference):
    lines = [
        f"configuration {configuration}, script {seed}: {len(steps)} steps are enough",
        difference.text(),
        "  script:",
    ]
    lines += [f"    {minimise.describe(step)}" for step in steps]
    return "\n".join(lines)
