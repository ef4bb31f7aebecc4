"""The Feast repository: store settings, entities, and the views and services of a release."""
