"""Text to vectors, histories to states: the neural room."""

from tasks.embeddings.encoder import Encoder, check_space
from tasks.embeddings.histories import Histories, build_histories, of_sequences
from tasks.embeddings.languages import Alignment, alignment
from tasks.embeddings.sequence import SequenceConfig, SequenceModel, State
from tasks.embeddings.shards import missing, shard_of
from tasks.embeddings.training import fit_sequence

__all__ = [
    "Alignment",
    "Encoder",
    "Histories",
    "SequenceConfig",
    "SequenceModel",
    "State",
    "alignment",
    "build_histories",
    "check_space",
    "fit_sequence",
    "missing",
    "of_sequences",
    "shard_of",
]
