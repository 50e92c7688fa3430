"""Reads sharded checkpoints of torch (DCP) without running code in their pickle."""

import pickle
from typing import Any

import torch
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta

_METADATA = "torch.distributed.checkpoint.metadata"
# All that `.metadata` of tensors names besides dtypes; none of these runs code of the file.
_KNOWN = {
    *((_METADATA, name) for name in ("Metadata", "MetadataIndex", "StorageMeta", "_MEM_FORMAT_ENCODING")),
    *((_METADATA, name) for name in ("TensorStorageMetadata", "ChunkStorageMetadata", "TensorProperties")),
    ("torch.distributed.checkpoint.filesystem", "_StorageInfo"),
    ("torch.serialization", "_get_layout"),
    ("torch", "Size"),
    *((module, "PosixPath") for module in ("pathlib", "pathlib._local")),
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """One of the known classes, or a dtype.

        Raises:
            UnpicklingError: another one.
        """
        if module == "torch" and isinstance(dtype := getattr(torch, name, None), torch.dtype):
            return dtype
        if (module, name) not in _KNOWN:
            raise pickle.UnpicklingError(f"names {module}.{name}, which is not run")
        return super().find_class(module, name)


class ShardReader(FileSystemReader):
    """torch's reader of a folder. Its own method unpickles `.metadata`, which can run any code."""

    def read_metadata(self, *args: Any, **kwargs: Any) -> Metadata:
        """What the folder contains.

        Raises:
            UnpicklingError: `.metadata` names more than descriptions of tensors.
        """
        with self.fs.create_stream(self._get_metadata_path(kwargs.get("rank")), "rb") as stream:
            metadata: Metadata = _Unpickler(stream).load()
        if metadata.storage_meta is None:
            metadata.storage_meta = StorageMeta()
        metadata.storage_meta.load_id = self.load_id
        return metadata
