"""Trained models: trained again to be kept, saved, loaded, predicting, scored."""
