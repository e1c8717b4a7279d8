"""The parts of Classify."""
