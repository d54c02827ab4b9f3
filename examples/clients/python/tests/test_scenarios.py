"""The suite that all clients of this repository run: the real layer behind a proxy that cuts at random bytes."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import pytest
import scenarios

AT_A_TIME = 12
"""Most of a run is waiting. Few enough that the machine's own slowness is no idle time-out."""

Case = tuple[str, str, int]


def play(client: str, scenario: str, seed: int) -> dict[str, Any]:
    run = scenarios.Run.begin(scenario, seed, client)
    return run.report(scenarios.CLIENTS[client](run))


@pytest.fixture(scope="session")
def verdicts(request: pytest.FixtureRequest) -> dict[Case, Future[dict[str, Any]]]:
    """All runs that were asked for, played side by side.

    They are over before the first is judged: pytest writes to the environment between two tests, and httpx reads it
    where a client is made, which fails where another thread writes."""
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        running: dict[Case, Future[dict[str, Any]]] = {}
        for item in request.session.items:
            if isinstance(item, pytest.Function) and item.originalname == "test_scenario":
                chosen: dict[str, Any] = dict(item.callspec.params)
                case: Case = chosen["client"], chosen["scenario"], chosen["seed"]
                running[case] = pool.submit(play, *case)
        try:
            wait(running.values())
        finally:
            pool.shutdown(cancel_futures=True)
    return running


@pytest.mark.parametrize(("scenario", "seed"), scenarios.catalogue())
@pytest.mark.parametrize("client", scenarios.CLIENTS)
def test_scenario(client: str, scenario: str, seed: int, verdicts: dict[Case, Future[dict[str, Any]]]) -> None:
    verdict = verdicts[client, scenario, seed].result()
    assert verdict["passed"], "\n".join([*verdict["problems"], *verdict.get("run", {}).get("log", [])])
