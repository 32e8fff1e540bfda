"""What KMS says when it refuses: codes and texts as recorded from AWS where a recording exists."""


class KmsError(Exception):
    """A refusal of KMS: its code, its text and the HTTP status that carries it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


def invalid(message: str) -> KmsError:
    """The request breaks a rule that KMS checks before it looks at any key."""
    return KmsError("ValidationException", message)


def no_such_key(arn: object) -> KmsError:
    """The key does not exist, no longer or not yet."""
    return KmsError("NotFoundException", f"Key '{arn}' does not exist")


def wrong_state(arn: object, state: str) -> KmsError:
    """The key is in a state in which the operation is not possible."""
    return KmsError("KMSInvalidStateException", f"{arn} is {state}.")


def disabled(arn: object) -> KmsError:
    """The key is disabled."""
    return KmsError("DisabledException", f"{arn} is disabled.")


def unsupported(message: str = "") -> KmsError:
    """The key is of a kind for which the operation does not exist; AWS mostly gives no text."""
    return KmsError("UnsupportedOperationException", message)


def malformed_policy(message: str) -> KmsError:
    """The policy document is not one, or would lock its author out."""
    return KmsError("MalformedPolicyDocumentException", message)


def denied(caller: str, action: str, resource: str, why: str) -> KmsError:
    """The caller may not; `why` ends the sentence."""
    where = f" on resource: {resource}" if resource else ""
    message = f"User: {caller} is not authorized to perform: {action}{where} {why}"
    return KmsError("AccessDeniedException", message)


_OUT_OF_SIGHT = (
    "because the resource does not exist in this Region, no resource-based policies allow access, "
    "or a resource-based policy explicitly denies access"
)


def out_of_sight(caller: str, action: str, resource: str) -> KmsError:
    """A key that the caller may not know about: AWS does not say whether it exists."""
    return denied(caller, action, resource, _OUT_OF_SIGHT)


def ciphertext_out_of_sight(caller: str, action: str) -> KmsError:
    """A ciphertext whose key is gone, elsewhere or somebody else's."""
    return denied(caller, action, "", f"on the resource associated with this ciphertext {_OUT_OF_SIGHT}")


def bad_ciphertext() -> KmsError:
    """The ciphertext is damaged, or its encryption context is another; AWS gives no text."""
    return KmsError("InvalidCiphertextException", "")


def incorrect_key() -> KmsError:
    """The ciphertext was made with another key than the one named."""
    text = "The key ID in the request does not identify a CMK that can perform this operation."
    return KmsError("IncorrectKeyException", text)
