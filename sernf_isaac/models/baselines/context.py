"""Observation tokens on their way to a baseline's network, for any number of candidates."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class TokenContext:
    """Tokens of B observations; stands where the flow has its `FlowContext`."""

    tokens: Tensor
    """(B, S, D)"""

    @classmethod
    def of(cls, tokens: "Tensor | TokenContext") -> "TokenContext":
        """Tokens, or what was made of them before."""
        return tokens if isinstance(tokens, TokenContext) else cls(tokens)

    @property
    def batch(self) -> int:
        """B."""
        return len(self.tokens)

    def repeated(self, count: int) -> "TokenContext":
        """Every observation `count` times in a row, for as many candidates of each."""
        return self if count == 1 else TokenContext(self.tokens.repeat_interleave(count, dim=0))

    def for_chunks(self, chunk: Tensor) -> "TokenContext":
        """Rows to go with chunks (B, H, A), or with (B, K, H, A) flattened to (B K, H, A)."""
        return self.repeated(1 if chunk.ndim == 3 else chunk.shape[1])
