"""Promises of cow_arena.py, each told by an assertion."""
import errno
import gc

import numpy

from cow_arena import Arena, page_size


def refused(code, call):
    try:
        call()
    except OSError as error:
        return error.errno == code and str(error) != ""
    return False


def main():
    arena = Arena(1 << 20)
    numbers = arena.array(numpy.int64, (4, 8), offset=64)
    numbers[:] = 1
    before = arena.snapshot()
    numbers[2, 3] = 7

    # A clone goes its own way; the view and the copy are of then, and the view cannot be written.
    clone = before.clone()
    clone.array(numpy.int64, (4, 8), offset=64)[0, 0] = 5
    old = before.view().array(numpy.int64, (4, 8), offset=64)
    assert (old == 1).all() and (before.read(numpy.int64, (4, 8), offset=64) == 1).all()
    assert numbers[0, 0] == 1 and numbers[2, 3] == 7
    try:
        old[0, 0] = 2
        raise AssertionError("a view was written")
    except ValueError:
        pass
    assert arena.changed_since(before)[0][0] == 0 and arena.changed_since(before)[-1][0] * page_size() < arena.array(
        numpy.uint8, 1 << 20).nbytes
    assert arena.stats()["epoch"] >= 1

    arena.rollback(before)
    assert (numbers == 1).all()

    # Arrays keep their memory: the arena, the snapshot and the view are named by nobody else here.
    lonely = Arena(1 << 20).array(numpy.uint8, 100)
    gc.collect()
    lonely[:] = 3
    assert lonely.sum() == 300
    del before
    gc.collect()
    assert (old == 1).all()

    assert refused(errno.EINVAL, lambda: arena.rollback(Arena(1 << 20).snapshot()))
    assert refused(errno.EINVAL, lambda: Arena(0))
    for shape, offset in (((1 << 20) + 1, 0), (1, 1 << 20), (1, -1)):
        try:
            arena.array(numpy.uint8, shape, offset)
            raise AssertionError("an array outside of its arena")
        except ValueError:
            pass


if __name__ == "__main__":
    main()
