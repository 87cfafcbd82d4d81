"""All ranks meet; then rank 3 breaks, while the others wait for it."""

from mpi4py import MPI

world = MPI.COMM_WORLD
world.Barrier()
if world.rank == 3:
    raise ValueError("no such layer")
world.Barrier()
