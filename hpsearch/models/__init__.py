"""Trained models: train them anew, save, load, predict, score."""
