"""Kills, faults and races of builds in an object store, many seeds; prints the tally.

Usage: python -m tests.torture.store BUILD [--builds 100] [--faulty 20] [--races 100]
"""

import argparse
import logging
import tempfile
from pathlib import Path

from tests.stores import running_store
from tests.torture.store_faults import faults
from tests.torture.store_kills import (
    builders,
    contents,
    count_writes,
    forget,
    require_same,
    run_at_once,
    torture_store,
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path, help="a finished build of the embedded world, by this code")
    parser.add_argument("--builds", type=int, default=100, help="builds that are killed one to three times")
    parser.add_argument("--faulty", type=int, default=20, help="builds of which 15 % of the requests fail")
    parser.add_argument("--races", type=int, default=100, help="pairs of builders at once")
    options = parser.parse_args()
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    folder, reference = Path(tempfile.mkdtemp(prefix="store-torture-")), options.build.absolute()
    with running_store() as store, builders(reference, 2) as pair:
        writes = count_writes(store, pair[0], folder)
        kills = injected = 0
        for seed in range(options.builds):
            fell = torture_store(store, pair[0], folder, seed=seed, writes=writes)
            require_same(store, f"killed-{seed}", reference)
            kills += len(fell.split("; ")) if fell else 0
            store.empty()
        print(f"{options.builds} builds, {kills} kills: the same bytes", flush=True)
        for seed in range(options.faulty):
            with faults(store, seed=seed, share=0.15) as found:
                done = pair[0].run(f"{store.url}/faulty-{seed}", folder / f"faulty-{seed}")
            assert done.code == 0, done.error
            require_same(store, f"faulty-{seed}", reference)
            injected += len(found.faults)
            store.empty()
        print(f"{options.faulty} builds, {injected} faults: the same bytes", flush=True)
        refused = 0
        for number in range(options.races):
            url = f"{store.url}/race-{number}"
            rivals = [(builder, url, folder / f"race-{number}-{i}") for i, builder in enumerate(pair)]
            outcomes = run_at_once(rivals, seconds=6)
            codes = sorted(outcome.code for outcome in outcomes)
            assert codes in ([0, 9], [0, 0]), outcomes
            refused += codes == [0, 9]
            require_same(store, f"race-{number}", reference)
            assert contents(store, f"race-{number}")
            store.empty()
        print(f"{options.races} races: {refused} losers refused, the others found all done", flush=True)
    forget(folder)


if __name__ == "__main__":
    main()
