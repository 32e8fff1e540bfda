"""The operator's command `keyturn`: talks to the REST API with signed calls, and never ships to Lambda."""

VERSION = "0.1.0"
