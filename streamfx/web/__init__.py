"""The parts that face a browser."""
