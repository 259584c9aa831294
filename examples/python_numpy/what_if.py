"""A Monte-Carlo what-if: many futures of one large table, each in a clone that copies only the pages it changes.

usage: what_if.py [--futures N] [--pictures FOLDER]
"""
import argparse
import pathlib
import time

import numpy

from cow_arena import Arena, page_size

ROWS = 1 << 20  # accounts
TOUCHED = 400   # of them change hands in a future


class Bank:
    """Accounts in an arena: 8 MiB of balances, and as much of limits."""

    def __init__(self, arena):
        self.balance = arena.array(numpy.float64, ROWS)
        self.limit = arena.array(numpy.float64, ROWS, offset=ROWS * 8)


def live_through(bank, random):
    """A future: some accounts, most of them near each other, pay others what they can. What is lost in the end."""
    near = int(random.integers(0, ROWS - ROWS // 64))
    payers = near + random.integers(0, ROWS // 64, TOUCHED)
    payees = random.integers(0, ROWS, TOUCHED // 8)
    paid = numpy.minimum(bank.balance[payers] + bank.limit[payers], random.exponential(400.0, TOUCHED))
    numpy.subtract.at(bank.balance, payers, paid)
    numpy.add.at(bank.balance, payees, paid.sum() / len(payees) * 0.97)  # the rest is lost on the way
    return 0.03 * paid.sum()


def changed_pages(arena, since):
    pages = numpy.zeros(2 * ROWS * 8 // page_size(), bool)
    for first, count in arena.changed_since(since):
        pages[first:first + count] = True
    return pages


def draw(folder, copied, losses, columns=128):
    """What was copied, and what came out. Needs matplotlib."""
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as pyplot
    folder.mkdir(parents=True, exist_ok=True)
    figure, (one, all_of_them) = pyplot.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
    one.imshow(copied[0].reshape(-1, columns), cmap="Greys", aspect="auto", interpolation="nearest")
    one.set(title="pages that one future copied", xlabel="page in row", ylabel=f"row of {columns} pages")
    image = all_of_them.imshow(sum(copied).reshape(-1, columns), cmap="viridis", aspect="auto", interpolation="nearest")
    all_of_them.set(title=f"how many of {len(copied)} futures copied a page", xlabel="page in row")
    figure.colorbar(image, ax=all_of_them)
    figure.savefig(folder / "copied.svg")
    figure, axes = pyplot.subplots(figsize=(4.5, 3.2), layout="constrained")
    axes.hist(losses, bins=20)
    axes.set(title="what the futures lose", xlabel="lost", ylabel="futures")
    figure.savefig(folder / "losses.svg")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--futures", type=int, default=100)
    parser.add_argument("--pictures", type=pathlib.Path)
    arguments = parser.parse_args()

    arena = Arena(2 * ROWS * 8, "bank")
    bank = Bank(arena)
    random = numpy.random.default_rng(7)
    bank.balance[:] = random.exponential(1000.0, ROWS)
    bank.limit[:] = 200.0
    money = bank.balance.sum()

    # What-ifs on clones: the bank itself does not change, nor does any future see another.
    now = arena.snapshot()
    losses, copied = [], []
    begin = time.perf_counter()
    for future in range(arguments.futures):
        clone = now.clone()
        losses.append(live_through(Bank(clone), numpy.random.default_rng(future)))
        copied.append(changed_pages(clone, now))
    seconds = time.perf_counter() - begin
    assert bank.balance.sum() == money
    pages = len(copied[0])
    print(f"{arguments.futures} futures of {pages} pages: {seconds / arguments.futures * 1e3:.2f} ms each, "
          f"{numpy.mean([c.sum() for c in copied]):.0f} pages copied in each, loss {numpy.mean(losses):.0f} "
          f"+- {numpy.std(losses):.0f}")

    # The worst one is lived through in the bank itself; then it is undone.
    worst = int(numpy.argmax(losses))
    lost = live_through(bank, numpy.random.default_rng(worst))
    assert lost == losses[worst]
    old = now.view().array(numpy.float64, ROWS)  # the old, through a view, beside the new
    moved = numpy.flatnonzero(old != bank.balance)
    print(f"future {worst} is the worst: {len(moved)} accounts change, and {money - bank.balance.sum():.0f} is lost")
    assert (now.read(numpy.float64, 3, offset=int(moved[0]) * 8)[0] == old[moved[0]])
    arena.rollback(now)
    assert bank.balance.sum() == money and (bank.balance == old).all()
    stats = arena.stats()
    print(f"rolled back: of {stats['pages_moved'] + stats['pages_to_history']} pages the old had been kept")

    if arguments.pictures is not None:
        draw(arguments.pictures, copied, losses)


if __name__ == "__main__":
    main()
