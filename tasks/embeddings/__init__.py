"""Text to vectors, histories to states: the neural room."""
