"""Layouts of networks go into files and come back."""

from dataclasses import asdict

from sernf_isaac.config import CriticConfig, PolicyConfig
from sernf_isaac.data.chunks import ChunkSpec
from sernf_isaac.models.layout import PolicyLayout


def test_a_layout_returns_from_a_file_also_with_settings_that_are_no_more() -> None:
    layout = PolicyLayout({"state": 3}, 2, ChunkSpec(), PolicyConfig(), CriticConfig(), seed=1)
    values = asdict(layout)
    assert PolicyLayout.from_dict(values) == layout
    values["critic"]["veto"], values["spec"]["pad_with_plan"] = None, True
    assert PolicyLayout.from_dict(values) == layout
