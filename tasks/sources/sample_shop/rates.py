"""How the sample shop behaves: every planted rate, with the reason for its value.

The rates stand in the truth file too, so that a test may ask whether a model finds what was planted.
"""

from __future__ import annotations

# people
ENGLISH_SHARE = 0.6
"""Share of users who write English; the others write Chinese. Uneven, so that a mix-up of the two shows."""
THIRD_THEME_SHARE = 0.5
"""Share of users with three themes; the others have two."""
FIRST_THEME, SECOND_THEME = 0.6, 0.3
"""Weights of a user's themes before noise; a third theme gets the rest, without one the two share it."""
STRAY_SHARE = 0.06
"""Weight spread over all themes: people now and then look at something that is not theirs."""
DRIFT_SHARE = 0.35
"""Share of users whose main interest changes once: enough to measure, while most people stay themselves."""
DRIFT_DAYS = (10, 50)
"""First and last day + 1 on which an interest changes; over before the last week of a shop of sixty days."""
ACTIVITY_SIGMA = 1.1
"""Spread of the logarithm of activity: a few people do much of what is done (top tenth about two fifths)."""
SESSIONS_PER_DAY = 0.14
"""Mean sessions of a user and day; with the rates below some 24 events a user in sixty days."""
MOST_SESSION_RATE = 1.2
"""Cap of one user's rate, so that nobody runs through the whole catalogue."""

# visits
VISITS_PER_SESSION, MOST_VISITS = 1.7, 8
"""Mean (geometric) and greatest number of items looked at in one session."""
HABIT = 0.6
"""Probability to go on to the item that `follows` the last one, where that one is still new to the user: well above
what interest alone would give it (about 0.05), so that order tells what counts do not. At 0.7 neighbours who bought the
same tell more than the planted interests themselves."""
SEEN_WEIGHT = 0.06
"""Weight of an item already seen against a new one: people come back, and mostly go on to something new."""
ITEM_SKEW, THEME_SKEW = 1.0, 0.4
"""Exponents of popularity by rank (Zipf); real catalogues lie near 0.6 to 1, and the habit flattens it. Themes differ
less than items."""

# what happens on a visit
CHAT = 0.02
SEARCH = 0.09
VIEW = 0.85
CLICK = 0.2
"""Probability of a click beside a view; a visit without a view is a click."""
PURCHASE = 0.26
REVIEW_IF_BOUGHT, REVIEW_IF_NOT = 0.7, 0.23
RATING_IF_BOUGHT = 0.4
"""Probability of bare stars where something was bought and no review written."""
COMMENT = 0.15
QUESTION = 0.09
"""Far more text than a real shop has (some 1 % of visits), or sixty days would leave too little to learn from."""

# how pleased
SENTIMENT_BASE = 0.35
"""Positive, because public ratings are: four and five stars are about two thirds of them."""
BY_MATCH, BY_QUALITY, BY_TEMPERAMENT, BY_CHANCE = 0.6, 0.7, 0.6, 0.7
"""Standard deviation that each cause adds to the latent sentiment: none decides alone."""
SENTIMENT_SLOPE = 2.2
"""Steepness from latent sentiment to 0–1: most people are clearly pleased or clearly not."""
STAR_LIMITS = (0.12, 0.32, 0.55, 0.82)
STAR_NOISE = 0.06
"""Limits of sentiment between the stars, and the noise with which people apply them."""

# how it is said
POLARITY_SLOPE = 8.0
"""Steepness from sentiment to the probability that a sentence praises: mixed feelings give mixed reviews."""
GRADE_NOISE = 0.25
"""Noise of a phrase's grade around the sentiment that it expresses."""
NEUTRAL_SENTENCE = 0.15
"""Share of a review's sentences after the first that neither praise nor complain, where patterns allow it."""
BARE = 8
"""Weight of patterns that are nothing but slots, which only searches are: most searches are bare keywords."""
MOST_SENTENCES = 5
WORD_SKEW = 2.5
"""Exponent of the place in a theme's word list: the first words are said most, as in every language (Zipf)."""
ON_SUBJECT = 6
"""Weight of patterns that name a word of the theme against those that do not: people write about their subject."""
OPENING, CLOSING = 0.45, 0.4
TYPO = 0.03
EMOJI = 0.04
"""Low rates of what every real text has."""
