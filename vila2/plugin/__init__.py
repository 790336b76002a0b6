"""Plugins: the contract, the hooks, and everything else that an author of a plugin imports.

All other modules of vila2 are private to it; ``vila2.testing`` has what a plugin's tests need.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vila2.data.annotations import Status as Status
    from vila2.data.boxes import (
        Box as Box,
        area as area,
        iou as iou,
    )
    from vila2.data.chance import (
        generator as generator,
        python_generator as python_generator,
    )
    from vila2.data.claims import Claim as Claim
    from vila2.data.coordinates import CoordinateScheme as CoordinateScheme
    from vila2.data.evidence import (
        EVIDENCE_KEY as EVIDENCE_KEY,
        Box3D as Box3D,
        Camera as Camera,
        Evidence as Evidence,
        SceneObject as SceneObject,
        WrittenText as WrittenText,
    )
    from vila2.data.exchanges import exchanges_of as exchanges_of
    from vila2.data.images import decode_image as decode_image
    from vila2.data.rejects import Reject as Reject, RejectTally as RejectTally
    from vila2.data.sample import (
        BoxPart as BoxPart,
        ImagePart as ImagePart,
        Part as Part,
        PointPart as PointPart,
        PolygonPart as PolygonPart,
        Sample as Sample,
        TextPart as TextPart,
        Turn as Turn,
        assistant as assistant,
        user as user,
    )
    from vila2.data.shards import ShardDataset as ShardDataset
    from vila2.data.tokens import TokenSpec as TokenSpec
    from vila2.engine.protocol import (
        Answer as Answer,
        Engine as Engine,
        GenerationSettings as GenerationSettings,
        Request as Request,
    )
    from vila2.errors import (
        DataError as DataError,
        EngineError as EngineError,
        PluginError as PluginError,
        Vila2Error as Vila2Error,
    )
    from vila2.evaluate.asking import BenchmarkOutcome as BenchmarkOutcome, ask_all as ask_all
    from vila2.evaluate.kinds.kind import BenchmarkKind as BenchmarkKind, needs_image as needs_image
    from vila2.evaluate.measures.items import Items as Items
    from vila2.plugin.contract import (
        API_VERSION as API_VERSION,
        Asked as Asked,
        Builder as Builder,
        BuilderConfig as BuilderConfig,
        MergePolicy as MergePolicy,
        Parsed as Parsed,
        Said as Said,
        Specialist as Specialist,
    )
    from vila2.plugin.hookspecs import hookimpl as hookimpl
    from vila2.plugin.references import load_reference as load_reference
    from vila2.plugin.tools import (
        Annotator as Annotator,
        Claimed as Claimed,
        Seen as Seen,
        Tool as Tool,
        ToolSettings as ToolSettings,
        reply as reply,
    )
    from vila2.plugin.trying import (
        config_from as config_from,
        settings_from as settings_from,
        told as told,
    )
    from vila2.plugin.verifying import VerifierContext as VerifierContext
    from vila2.progress import (
        Progress as Progress,
        Task as Task,
    )
    from vila2.recipe.parts.evaluate import BenchmarkSpec as BenchmarkSpec
    from vila2.sources import open_source as open_source
    from vila2.sources.conversations import UnfitConversation as UnfitConversation
    from vila2.sources.evidence import open_evidence as open_evidence
    from vila2.sources.evidence.annotated_images import (
        Frame as Frame,
        Size as Size,
        check_image_root as check_image_root,
        frame_of as frame_of,
        given_size as given_size,
        image_header as image_header,
        is_number as is_number,
    )
    from vila2.sources.evidence.sound import unsound as unsound
    from vila2.sources.rows import (
        Keys as Keys,
        Row as Row,
        read_image as read_image,
        read_rows as read_rows,
        row_files as row_files,
        without_suffix as without_suffix,
    )

# Resolved on first use: a plugin that only registers itself loads nothing more.
_HOMES = {
    "API_VERSION": "vila2.plugin.contract",
    "Asked": "vila2.plugin.contract",
    "Builder": "vila2.plugin.contract",
    "BuilderConfig": "vila2.plugin.contract",
    "MergePolicy": "vila2.plugin.contract",
    "Parsed": "vila2.plugin.contract",
    "Said": "vila2.plugin.contract",
    "Specialist": "vila2.plugin.contract",
    "Annotator": "vila2.plugin.tools",
    "Claimed": "vila2.plugin.tools",
    "Seen": "vila2.plugin.tools",
    "Tool": "vila2.plugin.tools",
    "ToolSettings": "vila2.plugin.tools",
    "reply": "vila2.plugin.tools",
    "hookimpl": "vila2.plugin.hookspecs",
    "load_reference": "vila2.plugin.references",
    "DataError": "vila2.errors",
    "EngineError": "vila2.errors",
    "PluginError": "vila2.errors",
    "Vila2Error": "vila2.errors",
    "BoxPart": "vila2.data.sample",
    "ImagePart": "vila2.data.sample",
    "Part": "vila2.data.sample",
    "PointPart": "vila2.data.sample",
    "PolygonPart": "vila2.data.sample",
    "Sample": "vila2.data.sample",
    "TextPart": "vila2.data.sample",
    "Turn": "vila2.data.sample",
    "assistant": "vila2.data.sample",
    "user": "vila2.data.sample",
    "Status": "vila2.data.annotations",
    "Box": "vila2.data.boxes",
    "area": "vila2.data.boxes",
    "iou": "vila2.data.boxes",
    "generator": "vila2.data.chance",
    "python_generator": "vila2.data.chance",
    "Claim": "vila2.data.claims",
    "CoordinateScheme": "vila2.data.coordinates",
    "EVIDENCE_KEY": "vila2.data.evidence",
    "Box3D": "vila2.data.evidence",
    "Camera": "vila2.data.evidence",
    "Evidence": "vila2.data.evidence",
    "SceneObject": "vila2.data.evidence",
    "WrittenText": "vila2.data.evidence",
    "exchanges_of": "vila2.data.exchanges",
    "decode_image": "vila2.data.images",
    "Reject": "vila2.data.rejects",
    "ShardDataset": "vila2.data.shards",
    "TokenSpec": "vila2.data.tokens",
    "Answer": "vila2.engine.protocol",
    "Engine": "vila2.engine.protocol",
    "GenerationSettings": "vila2.engine.protocol",
    "Request": "vila2.engine.protocol",
    "BenchmarkKind": "vila2.evaluate.kinds.kind",
    "BenchmarkOutcome": "vila2.evaluate.asking",
    "BenchmarkSpec": "vila2.recipe.parts.evaluate",
    "ask_all": "vila2.evaluate.asking",
    "needs_image": "vila2.evaluate.kinds.kind",
    "Items": "vila2.evaluate.measures.items",
    "VerifierContext": "vila2.plugin.verifying",
    "Progress": "vila2.progress",
    "Task": "vila2.progress",
    "open_source": "vila2.sources",
    "UnfitConversation": "vila2.sources.conversations",
    "open_evidence": "vila2.sources.evidence",
    "Keys": "vila2.sources.rows",
    "Row": "vila2.sources.rows",
    "read_image": "vila2.sources.rows",
    "read_rows": "vila2.sources.rows",
    "row_files": "vila2.sources.rows",
    "without_suffix": "vila2.sources.rows",
    "RejectTally": "vila2.data.rejects",
    "config_from": "vila2.plugin.trying",
    "settings_from": "vila2.plugin.trying",
    "told": "vila2.plugin.trying",
    "Frame": "vila2.sources.evidence.annotated_images",
    "Size": "vila2.sources.evidence.annotated_images",
    "check_image_root": "vila2.sources.evidence.annotated_images",
    "frame_of": "vila2.sources.evidence.annotated_images",
    "given_size": "vila2.sources.evidence.annotated_images",
    "image_header": "vila2.sources.evidence.annotated_images",
    "is_number": "vila2.sources.evidence.annotated_images",
    "unsound": "vila2.sources.evidence.sound",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
