"""In-hand cube spinning, palm down (paper Appendices C and F)."""
