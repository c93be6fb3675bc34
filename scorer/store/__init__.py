"""What is durable: locks, checkpoints, state, the commit, paths, rejects."""
