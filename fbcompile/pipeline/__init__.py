"""The pipeline: stages in order, from a model file to a verified C project."""
