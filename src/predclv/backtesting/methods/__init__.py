"""Methods by name: our models, baselines, other packages, and machine learning."""
