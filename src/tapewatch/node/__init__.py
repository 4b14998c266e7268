"""The composition root: everything pure and everything that does I/O meet here, and nowhere else."""
