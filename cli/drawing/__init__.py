"""The API's shapes as pictures for people, one file per noun."""
