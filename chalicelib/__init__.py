"""Everything of Keyturn that ships to Lambda."""
