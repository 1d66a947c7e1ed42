"""What a model that plays the user is told, in mode checked and in mode open."""
