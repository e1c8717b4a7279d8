"""From predictions to numbers and words one can trust."""
