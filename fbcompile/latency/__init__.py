"""Latency of layers on a target: the table's key, the measured rows, the model for the rest."""
