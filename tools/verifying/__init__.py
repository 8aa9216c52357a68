"""The parts of verify_dataset."""
