"""CUDA: one GPU, or several behind one session."""
