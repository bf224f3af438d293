"""Which networks a policy is made of, besides the flow's own numbers in `config.py`.

Part of a policy's file, so that whoever loads it builds the same networks.
"""

from dataclasses import dataclass, field

KINDS = ("flow", "gaussian", "act", "flow_matching")
BACKBONES = ("resnet18", "dinov2")


@dataclass
class ActConfig:
    """Action Chunking Transformer (paper App. G.3a); its width is `policy.token_dim`."""

    num_heads: int = 8
    """Attention heads (G.3a: 8)."""
    num_layers: int = 3
    """Of the style's encoder, and of the decoder."""
    feedforward: int = 2048
    """Width of the feedforward layers (G.3a: 2048)."""
    style_dim: int = 32
    """Size of the style variable (G.3a: 32)."""
    kl_weight: float = 10.0
    """Weight of the KL divergence of the style (G.3a: 10)."""


@dataclass
class FlowMatchingConfig:
    """Flow matching with DiT blocks (paper App. G.3b); its width is `policy.token_dim`."""

    num_heads: int = 8
    """Attention heads (G.3b: 8)."""
    num_layers: int = 4
    """DiT blocks (G.3b: 4)."""
    feedforward: int = 2048
    """Width of the feedforward layers (G.3b: 2048)."""
    steps: int = 8
    """Euler steps from noise to a chunk."""


@dataclass
class VisionConfig:
    """What reads camera images (paper App. G)."""

    backbone: str = "dinov2"
    """"dinov2" (scissors) or "resnet18" (RoboMimic)."""
    weights: str | None = None
    """File of the backbone's published state dict; null starts untrained, with a warning."""
    variant: str = "vit_large_patch14_reg4_dinov2"
    """timm's name of the DINOv2 network; smaller ones for tests and small machines."""
    tuning: str = "frozen"
    """What trains of the backbone: "frozen" (App. B), "norm" (App. G) or "all" (ResNet-18)."""
    shared: bool = True
    """One backbone for all cameras (scissors), or one for each (RoboMimic)."""
    cache: bool = False
    """Compute what a frozen backbone makes of each stored image once, and keep that in memory
    instead of the image. DINOv2 ViT-L makes half a megabyte of an image, ResNet-18 at 84 x 84 nine
    kilobytes."""
    cameras: dict[str, list[int]] = field(default_factory=dict)
    """(3, h, w) of each camera. Found in the data; leave it empty."""

    def __post_init__(self) -> None:
        if self.backbone not in BACKBONES:
            raise ValueError(f"vision.backbone ({self.backbone!r}) must be one of {BACKBONES}")
        if self.cache and self.tuning != "frozen":
            raise ValueError(f"vision.cache needs tuning = 'frozen', not {self.tuning!r}")


@dataclass
class Architecture:
    """The kind of the policy, the numbers of the kinds that are no flow, and its eyes."""

    kind: str = "flow"
    """"flow", or what it is compared with: "gaussian" of the same size, "act", "flow_matching"."""
    act: ActConfig = field(default_factory=ActConfig)
    flow_matching: FlowMatchingConfig = field(default_factory=FlowMatchingConfig)
    vision: VisionConfig = field(default_factory=VisionConfig)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"architecture.kind ({self.kind!r}) must be one of {KINDS}")

    @classmethod
    def from_dict(cls, values: dict) -> "Architecture":
        """The inverse of `dataclasses.asdict`.

        Raises:
            TypeError: If a field is unknown.
        """
        parts = {
            "act": ActConfig(**values.get("act", {})),
            "flow_matching": FlowMatchingConfig(**values.get("flow_matching", {})),
            "vision": VisionConfig(**values.get("vision", {})),
        }
        return cls(**values | parts)
