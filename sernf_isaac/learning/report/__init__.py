"""Pages that let a laboratory judge its own data and training."""
