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
    )
    from vila2.data.boxes import (
        area as area,
    )
    from vila2.data.boxes import (
        iou as iou,
    )
    from vila2.data.claims import Claim as Claim
    from vila2.data.coordinates import CoordinateScheme as CoordinateScheme
    from vila2.data.evidence import (
        EVIDENCE_KEY as EVIDENCE_KEY,
    )
    from vila2.data.evidence import (
        Box3D as Box3D,
    )
    from vila2.data.evidence import (
        Camera as Camera,
    )
    from vila2.data.evidence import (
        Evidence as Evidence,
    )
    from vila2.data.evidence import (
        SceneObject as SceneObject,
    )
    from vila2.data.evidence import (
        WrittenText as WrittenText,
    )
    from vila2.data.exchanges import exchanges_of as exchanges_of
    from vila2.data.images import decode_image as decode_image
    from vila2.data.importing import Reject as Reject
    from vila2.data.rejects import RejectTally as RejectTally
    from vila2.data.sample import (
        BoxPart as BoxPart,
    )
    from vila2.data.sample import (
        ImagePart as ImagePart,
    )
    from vila2.data.sample import (
        Part as Part,
    )
    from vila2.data.sample import (
        PointPart as PointPart,
    )
    from vila2.data.sample import (
        Sample as Sample,
    )
    from vila2.data.sample import (
        TextPart as TextPart,
    )
    from vila2.data.sample import (
        Turn as Turn,
    )
    from vila2.data.sample import (
        assistant as assistant,
    )
    from vila2.data.sample import (
        user as user,
    )
    from vila2.data.shards import ShardDataset as ShardDataset
    from vila2.data.tokens import TokenSpec as TokenSpec
    from vila2.engine.protocol import (
        Answer as Answer,
    )
    from vila2.engine.protocol import (
        Engine as Engine,
    )
    from vila2.engine.protocol import (
        GenerationSettings as GenerationSettings,
    )
    from vila2.engine.protocol import (
        Request as Request,
    )
    from vila2.errors import (
        DataError as DataError,
    )
    from vila2.errors import (
        EngineError as EngineError,
    )
    from vila2.errors import (
        PluginError as PluginError,
    )
    from vila2.errors import (
        Vila2Error as Vila2Error,
    )
    from vila2.evaluate.measures.items import Items as Items
    from vila2.plugin.contract import (
        API_VERSION as API_VERSION,
    )
    from vila2.plugin.contract import (
        Asked as Asked,
    )
    from vila2.plugin.contract import (
        Builder as Builder,
    )
    from vila2.plugin.contract import (
        BuilderConfig as BuilderConfig,
    )
    from vila2.plugin.contract import (
        MergePolicy as MergePolicy,
    )
    from vila2.plugin.contract import (
        Parsed as Parsed,
    )
    from vila2.plugin.contract import (
        Said as Said,
    )
    from vila2.plugin.contract import (
        Specialist as Specialist,
    )
    from vila2.plugin.hookspecs import hookimpl as hookimpl
    from vila2.plugin.references import load_reference as load_reference
    from vila2.plugin.trying import (
        config_from as config_from,
    )
    from vila2.plugin.trying import (
        told as told,
    )
    from vila2.progress import (
        Progress as Progress,
    )
    from vila2.progress import (
        Task as Task,
    )
    from vila2.sources import open_source as open_source
    from vila2.sources.conversations import UnfitConversation as UnfitConversation
    from vila2.sources.evidence import open_evidence as open_evidence
    from vila2.sources.evidence.annotated_images import (
        Frame as Frame,
    )
    from vila2.sources.evidence.annotated_images import (
        Size as Size,
    )
    from vila2.sources.evidence.annotated_images import (
        check_image_root as check_image_root,
    )
    from vila2.sources.evidence.annotated_images import (
        frame_of as frame_of,
    )
    from vila2.sources.evidence.annotated_images import (
        given_size as given_size,
    )
    from vila2.sources.evidence.annotated_images import (
        image_header as image_header,
    )
    from vila2.sources.evidence.annotated_images import (
        is_number as is_number,
    )
    from vila2.sources.evidence.sound import unsound as unsound
    from vila2.sources.rows import (
        Keys as Keys,
    )
    from vila2.sources.rows import (
        Row as Row,
    )
    from vila2.sources.rows import (
        read_image as read_image,
    )
    from vila2.sources.rows import (
        read_rows as read_rows,
    )
    from vila2.sources.rows import (
        row_files as row_files,
    )
    from vila2.sources.rows import (
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
    "Sample": "vila2.data.sample",
    "TextPart": "vila2.data.sample",
    "Turn": "vila2.data.sample",
    "assistant": "vila2.data.sample",
    "user": "vila2.data.sample",
    "Status": "vila2.data.annotations",
    "Box": "vila2.data.boxes",
    "area": "vila2.data.boxes",
    "iou": "vila2.data.boxes",
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
    "Reject": "vila2.data.importing",
    "ShardDataset": "vila2.data.shards",
    "TokenSpec": "vila2.data.tokens",
    "Answer": "vila2.engine.protocol",
    "Engine": "vila2.engine.protocol",
    "GenerationSettings": "vila2.engine.protocol",
    "Request": "vila2.engine.protocol",
    "Items": "vila2.evaluate.measures.items",
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
