"""Algorithms that run on TRL's trainers."""
