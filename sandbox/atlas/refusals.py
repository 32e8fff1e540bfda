"""How this Atlas says no: the status, the code and a sentence of our own wording."""

from http import HTTPStatus


class Refusal(Exception):
    """A refused call; `headers` go out with the answer."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        parameters: tuple[str | int, ...] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.parameters = parameters
        self.headers = headers or {}

    def body(self) -> dict[str, object]:
        """The error body as Atlas shapes it."""
        return {
            "detail": self.detail,
            "error": self.status,
            "errorCode": self.code,
            "parameters": list(self.parameters),
            "reason": HTTPStatus(self.status).phrase,
        }


def bad_request(code: str, detail: str, *parameters: str | int) -> Refusal:
    """The request cannot be granted as it is."""
    return Refusal(400, code, detail, parameters)


def conflict(code: str, detail: str, *parameters: str | int) -> Refusal:
    """The request contradicts what is."""
    return Refusal(409, code, detail, parameters)


def no_such_project(project_id: str) -> Refusal:
    """No project has this id."""
    return Refusal(404, "GROUP_NOT_FOUND", f"No group with ID {project_id} exists.", (project_id,))


def no_such_cluster(name: str, project_id: str) -> Refusal:
    """No cluster of the project has this name."""
    text = f"No cluster named {name} exists in group {project_id}."
    return Refusal(404, "CLUSTER_NOT_FOUND", text, (name, project_id))


def no_such_snapshot(snapshot_id: str) -> Refusal:
    """The cluster has no snapshot with this id, no longer or not yet."""
    return Refusal(404, "SNAPSHOT_NOT_FOUND", f"There is no snapshot {snapshot_id}.", (snapshot_id,))


def no_such_resource(path: str) -> Refusal:
    """The path names nothing."""
    return Refusal(404, "RESOURCE_NOT_FOUND", f"There is nothing at {path}.", (path,))


def not_allowed(role: str) -> Refusal:
    """The service account lacks a role; the answer does not say which."""
    del role
    return Refusal(401, "USER_UNAUTHORIZED", "This user may not do that.")
