"""Data: episodes, the windows cut from them, where they are kept, and how they become batches."""
