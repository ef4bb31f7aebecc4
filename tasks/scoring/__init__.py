"""Scoring: id maps, interactions, scorers, their blend, recommendations and the reasons for them."""

from tasks.scoring.blend import Blend
from tasks.scoring.calibration import calibrated, centred
from tasks.scoring.collaborative import CollaborativeScorer
from tasks.scoring.content import ContentFeatures, ContentScorer
from tasks.scoring.ids import IdMap
from tasks.scoring.interactions import Interactions
from tasks.scoring.learning import evidence, learn
from tasks.scoring.linear import EASEScorer, TransitionScorer
from tasks.scoring.neighbours import ItemKNNScorer, MarkovScorer
from tasks.scoring.persistence import load, save
from tasks.scoring.popularity import PopularityScorer
from tasks.scoring.reasons import Facts
from tasks.scoring.recommend import recommend, stream
from tasks.scoring.scorer import Scorer
from tasks.scoring.sequence import SequenceScorer
from tasks.scoring.top import Top, top

__all__ = [
    "Blend",
    "CollaborativeScorer",
    "ContentFeatures",
    "ContentScorer",
    "EASEScorer",
    "Facts",
    "IdMap",
    "Interactions",
    "ItemKNNScorer",
    "MarkovScorer",
    "PopularityScorer",
    "Scorer",
    "SequenceScorer",
    "Top",
    "TransitionScorer",
    "calibrated",
    "centred",
    "evidence",
    "learn",
    "load",
    "recommend",
    "save",
    "stream",
    "top",
]
