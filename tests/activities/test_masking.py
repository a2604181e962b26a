"""What a container says is shown without anything that it was given."""

import json

import pytest

from activities.clients.engine_container import ContainerDetails, LocalImage
from activities.masking import Mask, mask_of

DATABASE = "postgres://shop:hunter2@db/shop"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("value", "said", "shown"),
    [
        (DATABASE, f"could not connect: {DATABASE}", "could not connect: •••"),
        (DATABASE, "login of shop with hunter2 was refused", "login of shop with ••• was refused"),
        (DATABASE, "twice: hunter2hunter2", "twice: •••"),
        (DATABASE, "cut: postgres://shop:hun", "cut: •••"),
        ("postgres://shop:sw%C3%B6rd%2Ffish@db", "password swörd/fish refused", "password ••• refused"),
        ("host=db user=shop password='sword fish'", "login with sword fish", "login with •••"),
        ("Server=db;Password=sword;fish", "it is sword;fish", "it is •••"),
        ('{"token": "a,b;c/d:e"}', "token a,b;c/d:e is not valid", "token ••• is not valid"),
        ("sword/fish", "GET /?key=sword%2Ffish HTTP/1.1", "GET /?key=••• HTTP/1.1"),
        ('sword"fish', json.dumps({"key": 'sword"fish'}), '{"key": "•••"}'),
        ("schwärtfisch", json.dumps({"key": "schwärtfisch"}), '{"key": "•••"}'),
        ("production", "running in production-1", "running in •••-1"),
    ],
)
def test_a_value_is_hidden_whole_in_parts_and_as_programs_write_it(value: str, said: str, shown: str) -> None:
    assert Mask([f"KEY={value}"])(said) == shown


@pytest.mark.parametrize("value", [KEY, KEY.replace("\n", "\\n")], ids=["lines", "one line"])
def test_no_line_of_a_key_is_shown(value: str) -> None:
    mask = Mask([f"KEY={value}"])
    assert [mask(line) for line in KEY.splitlines()] == ["•••"] * 4


def test_what_is_too_short_to_be_told_apart_is_shown() -> None:
    mask = Mask(["COLOUR=green", "DEBUG=1", "EMPTY=", "ALONE"])
    assert mask("green 1 ALONE COLOUR=green") == "green 1 ALONE COLOUR=green"


def test_the_login_in_an_address_is_hidden_wherever_it_comes_from() -> None:
    assert Mask([])("no answer from amqp://shop:pw@queue/shop") == "no answer from amqp://•••@queue/shop"
    assert Mask([])("see https://example.net/@shop") == "see https://example.net/@shop"


class Images:
    """An engine that has this image."""

    def __init__(self, image: LocalImage | None) -> None:
        self._image = image

    async def image(self, reference: str) -> LocalImage | None:
        return self._image if self._image and self._image.id == reference else None


def container(*environment: str) -> ContainerDetails:
    state = {"Status": "exited", "Running": False}
    config = {"Image": "shop", "Env": list(environment)}
    return ContainerDetails.model_validate(
        {"Id": "c", "Image": "sha256:1", "Config": config, "State": state, "RestartCount": 0}
    )


async def test_what_the_image_brings_along_is_no_secret_unless_it_was_changed() -> None:
    image = LocalImage.model_validate({"Id": "sha256:1", "Config": {"Env": ["PATH=/usr/local/bin", "MODE=careful"]}})
    mask = await mask_of(container("PATH=/usr/local/bin", "MODE=swordfish"), Images(image))
    assert mask("careful: /usr/local/bin has no swordfish") == "careful: /usr/local/bin has no •••"


async def test_of_an_image_that_is_gone_nothing_is_known_to_be_its_own() -> None:
    mask = await mask_of(container("PATH=/usr/local/bin", "KEY=swordfish"), Images(None))
    assert mask("/usr/local/bin has no swordfish") == "••• has no •••"


def test_a_mask_does_not_show_what_it_hides() -> None:
    assert "hunter2" not in repr(Mask([f"KEY={DATABASE}"]))
