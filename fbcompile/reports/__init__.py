"""What a run leaves for people and scripts: bits.json, layers.csv and report.json."""
