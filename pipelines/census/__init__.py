"""The bundled example: predict from the census data of 1994 whether a person earns over 50,000 US dollars a year."""
