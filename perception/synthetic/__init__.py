"""Makes labelled pictures: what is drawn, how it is drawn, and the labels by projection."""
