"""The live release, kept current event by event: what a push needs at hand, and where pushed events are kept."""
