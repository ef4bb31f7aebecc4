import numpy as np
import pytest

from tasks.embeddings.languages import alignment
from tasks.errors import ModelError


def test_translations_that_land_on_the_same_place_are_all_found() -> None:
    vectors = np.eye(5, dtype=np.float32)
    score = alignment(vectors, vectors)
    assert (score.parallel, score.random, score.found) == (1, 0, 1)


def test_translations_that_land_on_another_text_are_not_found() -> None:
    vectors = np.eye(4, dtype=np.float32)
    score = alignment(vectors, np.roll(vectors, 1, axis=0))
    assert score.parallel == 0
    assert score.random == pytest.approx(1 / 3)
    assert score.found == 0


@pytest.mark.parametrize("shapes", [((1, 3), (1, 3)), ((3, 3), (2, 3))])
def test_shapes_that_are_no_pairs_are_refused(shapes) -> None:
    with pytest.raises(ModelError, match="pairs of vectors"):
        alignment(*(np.ones(shape, np.float32) for shape in shapes))
