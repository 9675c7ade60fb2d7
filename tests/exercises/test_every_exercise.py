"""What every exercise owes its learner, for all that the kit lists; and that this can fail.

A lesson's answers are in `answers_0X.py`: `prepare(learner)` types what its exercises need of the
lesson, and `ANSWERS` has for each exercise

    variable    what its cell sets, and the check is given
    mistakes    name → (replacements in the solution, words that the sentence must have)
    fresh       the notebook's variable with the folder that each attempt needs new, if any

A replacement is (text that is in the solution once, what a learner wrote instead).
"""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from dcp_tutor.exercises import Outcome, Verdict, all_exercises
from dcp_tutor.exercises.verdict import not_yet, right, wrong


@pytest.fixture(scope="module", params=all_exercises())
def tried(request, attempt, answers_to, prepared):
    prepared(request.param)
    return attempt(request.param, **answers_to(request.param))


@pytest.mark.ranks
def test_its_check_tells_right_from_wrong_and_one_mistake_from_another(tried, teaches):
    teaches(tried)


@pytest.mark.ranks
@pytest.mark.parametrize("settled", [right, wrong, not_yet])
def test_a_check_that_says_the_same_to_everything_is_caught(settled, tried, teaches):
    said = settled("Well done.")
    with pytest.raises(AssertionError):
        teaches(tried, lambda answer: said if isinstance(said, Verdict) else said.verdict)


@pytest.mark.ranks
def test_a_check_that_passes_one_mistake_is_caught(tried, teaches):
    for passed in tried.mistakes.values():
        with pytest.raises(AssertionError, match="Right"):
            teaches(tried, passes(tried, passed))


@pytest.mark.ranks
def test_a_check_that_says_one_sentence_for_all_mistakes_is_caught(tried, teaches):
    words = " ".join(word for mistake in tried.mistakes.values() for word in mistake.words)

    def lazy(answer):
        verdict = tried.verdict(answer)
        return Verdict(Outcome.WRONG, words) if verdict.outcome is Outcome.WRONG else verdict

    with pytest.raises(AssertionError):
        teaches(tried, lazy)


@pytest.mark.ranks
def test_fewer_than_three_mistakes_are_too_few(tried, teaches):
    two = dict(itertools.islice(tried.mistakes.items(), 2))
    with pytest.raises(AssertionError):
        teaches(dataclasses.replace(tried, mistakes=two))


@pytest.mark.parametrize("name", all_exercises())
def test_its_answers_are_there(name, answers_to):
    answers = answers_to(name)
    assert {"variable", "mistakes"} <= set(answers) <= {"variable", "mistakes", "fresh"}
    assert len(answers["mistakes"]) >= 3
    assert all(words for _, words in answers["mistakes"].values())


@pytest.mark.parametrize("name", ["01-nosuch", "99-nosuch"])
def test_an_exercise_without_answers_is_caught(name, answers_to):
    with pytest.raises(pytest.fail.Exception, match=f"answers_{name[:2]}.py"):
        answers_to(name)


def passes(tried, passed):
    def judged(answer):
        if answer is passed.answer:
            return right("Well done.")
        return tried.verdict(answer)

    return judged
