"""What a Docker engine answers when it will not do what it was asked."""


class EngineError(Exception):
    """An answer other than success: `status` is HTTP's, `message` is what Docker would say."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def no_such_container(reference: str) -> EngineError:
    return EngineError(404, f"No such container: {reference}")


def no_such_image(reference: str) -> EngineError:
    return EngineError(404, f"No such image: {reference}")
