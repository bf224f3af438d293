"""How good poses are: metrics, tables, figures and pictures."""
