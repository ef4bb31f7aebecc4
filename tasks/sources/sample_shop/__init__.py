"""The sample shop: a bilingual shop in which everything that a model should find was planted and written down."""

from tasks.sources.sample_shop.faults import FAULTS, FaultClass
from tasks.sources.sample_shop.shop import OPENING_DAY, write_shop

__all__ = ["FAULTS", "OPENING_DAY", "FaultClass", "write_shop"]
