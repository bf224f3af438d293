"""A run on two machines: what each side makes reaches the other, whole or not at all."""
