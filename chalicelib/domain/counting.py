"""Numbers with their nouns and verbs, as people read them: one way to say them, everywhere."""


def counted(number: int, noun: str) -> str:
    """A number with its noun, in the plural where that is right."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def agreeing(number: int, one: str, many: str) -> str:
    """The verb that goes with a number of things."""
    return one if number == 1 else many
