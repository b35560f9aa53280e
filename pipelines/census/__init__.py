"""The bundled example: from the census of 1994, whether a person makes over 50,000 US dollars a year."""
