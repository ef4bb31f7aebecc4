"""Every error crosses a process border whole."""

import pickle

import pytest

from tasks import errors

ALL = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.PenchantError)]


@pytest.mark.parametrize("error", ALL)
def test_it_pickles_with_its_message(error: type[errors.PenchantError]) -> None:
    back = pickle.loads(pickle.dumps(error("what and where")))
    assert type(back) is error
    assert str(back) == "what and where"


@pytest.mark.parametrize("error", ALL)
def test_it_says_what_it_means(error: type[errors.PenchantError]) -> None:
    assert error.__doc__
