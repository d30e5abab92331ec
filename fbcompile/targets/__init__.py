"""Targets: machine descriptions as data (TOML), loaded into frozen dataclasses."""
