"""How a registry wants to be asked: nothing, Basic, or a Bearer token fetched for one repository."""

import re
from collections.abc import Generator

import httpx
from pydantic import BaseModel, SecretStr, ValidationError

from activities.clients.http import fits_a_header, pause_asked
from activities.errors import Refused, Unreachable
from runbook.trouble import Cause

_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


class Challenge(BaseModel):
    """A WWW-Authenticate header taken apart; `scheme` is `basic`, `bearer` or another word, in lower case."""

    scheme: str = ""
    realm: str = ""
    service: str = ""
    error: str = ""

    @classmethod
    def of(cls, answer: httpx.Response) -> "Challenge | None":
        header = answer.headers.get("www-authenticate", "")
        if answer.status_code != 401 or not header:
            return None
        scheme, _, rest = header.partition(" ")
        return cls.model_validate({**dict(_PARAMETER.findall(rest)), "scheme": scheme.lower()})


class _Granted(BaseModel):
    token: str = ""
    access_token: str = ""


class RegistryAuth:
    """Sends nothing until challenged, then what the challenge asks for; `asked` says whether it was challenged.

    `user` empty fetches an anonymous token. A refusal is raised as Refused with the cause CREDENTIALS.
    No `httpx.Auth`: the library would read what comes in between to its end, however far that is.
    """

    def __init__(self, repository: str, user: str, password: SecretStr, *, insecure: bool) -> None:
        self._repository = repository
        self._user = user
        self._password = password
        self._insecure = insecure
        self.asked = False

    @property
    def who(self) -> str:
        return f"user {self._user}" if self._user else "anybody without credentials"

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response]:
        """What to ask next, given the whole answer to what was asked before; the last one is the answer to `request`."""
        answer = yield request
        challenge = Challenge.of(answer)
        if challenge is None:
            return
        self.asked = True
        if challenge.scheme == "bearer":
            granted = yield self._asking(challenge, request.url)
            request.headers["Authorization"] = f"Bearer {self._token(granted)}"
        elif challenge.scheme == "basic":
            if not self._user:
                raise self._refused(request.url, "it asks for a user and a password: set artifact.credentials")
            self._sign(request)
        else:
            raise self._refused(request.url, f"it asks for {challenge.scheme!r}, only Basic and Bearer are known")
        again = yield request
        if second := Challenge.of(again):
            raise self._refused(request.url, self._why(second))

    def _asking(self, challenge: Challenge, url: httpx.URL) -> httpx.Request:
        # Without a login that the realm brings along: ours is the one to be proved, and an address is told.
        realm = url.join(challenge.realm).copy_with(userinfo=b"")
        if self._user and realm.scheme != "https" and not self._insecure:
            raise self._refused(url, f"it wants the password sent in the clear to {realm.host}: not done")
        query = {"scope": f"repository:{self._repository}:pull"}
        if challenge.service:
            query["service"] = challenge.service
        asking = httpx.Request("GET", realm, params=realm.params.merge(query))
        if self._user:
            self._sign(asking)
        return asking

    def _sign(self, request: httpx.Request) -> None:
        basic = httpx.BasicAuth(self._user, self._password.get_secret_value())
        next(basic.auth_flow(request))

    def _token(self, granted: httpx.Response) -> str:
        place = granted.request.url.copy_with(query=None)
        if granted.status_code in {400, 401, 403}:
            raise self._refused(place, f"the token server answered {granted.status_code}: check user and password")
        if granted.status_code != 200:
            raise Unreachable(
                f"token server {place} answered {granted.status_code}; tried again later",
                again=pause_asked(granted.headers),
            )
        try:
            said = _Granted.model_validate_json(granted.content)
        except ValidationError:
            raise Unreachable(f"token server {place} answered 200 without a token; is {place} one?") from None
        token = said.token or said.access_token
        if not token:
            raise Unreachable(f"token server {place} gave an empty token; tried again later")
        if not fits_a_header(token):
            raise Refused(
                f"token server {place} gave a token with blanks, line ends or other signs that can't be sent: mend it there"
            )
        return token

    def _why(self, challenge: Challenge) -> str:
        if challenge.error == "insufficient_scope":
            return f"the login is right, but it may not pull {self._repository}: grant it read access"
        if challenge.error == "invalid_token":
            return "it does not take its own token: check the clocks of the registry and its token server"
        if challenge.scheme == "bearer":
            return f"no access to {self._repository}: grant it read access, or check the image's name"
        return "user or password is wrong, or was revoked"

    def _refused(self, url: httpx.URL, why: str) -> Refused:
        return Refused(f"registry {url.netloc.decode()} refuses {self.who}: {why}", cause=Cause.CREDENTIALS)
