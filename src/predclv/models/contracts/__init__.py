"""What contract models share: `model` is their face, the rest what it calls upon."""
