"""Training: data, base model, fine-tuning with the Trainer, evaluation."""
