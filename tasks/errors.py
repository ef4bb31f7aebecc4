"""The errors Penchant raises: one small tree, each one safe to pickle across a process border.

A message says what is wrong, where, and what to do next. Text written by people never appears in one.
"""


class PenchantError(Exception):
    """Base of every error that Penchant raises on purpose."""


class SettingsError(PenchantError):
    """A setting is unknown, of the wrong type or out of its range."""


class SourceError(PenchantError):
    """A file, table or query cannot be read as the mapping says; nothing was changed."""


class MappingError(SourceError):
    """A mapping file names an unknown key, column, format or scale."""


class SchemaError(PenchantError):
    """A frame does not have the columns or types that its table in `tasks.schema` promises."""


class BatchRefused(PenchantError):
    """A whole batch is refused because its columns are wrong or too much of it is bad; nothing was changed."""


class ConservationError(PenchantError):
    """Rows in do not equal rows accepted + quarantined + repeated; the run must not go on."""


class ArtifactError(PenchantError):
    """An artifact is missing, damaged or of another kind than its reader expects."""


class ModelError(PenchantError):
    """A model folder is missing, damaged, foreign, or does not fit its input."""


class SpaceMismatch(ModelError):
    """Two vectors of different encoders were about to be compared or mixed."""


class NotEnoughData(PenchantError):
    """There is too little data for a model to be fitted; says how much is needed."""


class LeakError(PenchantError):
    """A feature is dated after the label it would predict."""


class ReleaseError(PenchantError):
    """A release cannot be written, verified, switched to or found."""


class StoreUnavailable(PenchantError):
    """A store cannot be reached or is full; the same call may succeed later."""


class RequestError(PenchantError):
    """A reader asks for something that cannot be, such as an id with a NUL; the same request will never succeed."""


class DeliveryError(PenchantError):
    """An alert was not taken by one target; says why without the target's address, and is tried again later."""
