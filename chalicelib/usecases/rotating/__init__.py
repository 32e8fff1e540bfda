"""The steps of a rotation, one file for each thing that is done to the outside world."""
