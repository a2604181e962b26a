"""What ran before is gone: made anew, beside what runs, and nothing is stopped before that is there."""

from typing import Any

import pytest

from activities.clients.engine import Engine
from activities.clients.engine_container import ContainerToCreate
from activities.errors import Refused, Unreachable
from runbook.image import Image
from tests.activities.host_bench import (
    Bench,
    Interrupted,
    Killed,
    answered,
)
from tests.activities.returning import (
    assert_back,
    put_back,
    released,
    shape,
)


@pytest.mark.parametrize("image_too", [False, True], ids=["container", "container and image"])
async def test_what_is_gone_is_made_anew_from_its_digest(
    bench: Bench, old: Image, new: Image, *, image_too: bool
) -> None:
    environment = bench.environment()
    before, back = await released(bench, environment, old, new)
    engine = bench.engine
    await engine.remove(before)
    if image_too:
        image = bench.engine_app.state.images.find(old.pinned)
        bench.engine_app.state.images.remove(image.id, force=True, used_by=None)
    made = await put_back(bench, environment, back)
    assert (made.kept, made.version) == (False, "1.0.0")
    details = await engine.inspect("shop")
    assert (details.id, details.image) == (made.container_id, old.reference)
    assert "COLOUR=green" in details.environment
    assert (await answered(environment))["version"] == "v1.0.0"
    assert set(await shape(bench, environment)) == {"shop", "shop-fence-20"}
    again = await put_back(bench, environment, back)
    assert again.container_id == made.container_id


async def test_what_is_gone_without_a_digest_is_refused_before_anything_is_stopped(
    bench: Bench, old: Image, new: Image
) -> None:
    environment = bench.environment()
    before, back = await released(bench, environment, old, new)
    await bench.engine.remove(before)
    lost = back.model_copy(update={"digest": None, "image_id": "sha256:" + "0" * 64})
    with pytest.raises(Refused, match="no digest of it was recorded"):
        await put_back(bench, environment, lost)
    assert (await answered(environment))["version"] == "v1.1.0"


async def test_what_is_gone_and_never_had_a_digest_is_made_anew_from_its_image(bench: Bench, new: Image) -> None:
    environment = bench.environment()
    before, back = await released(bench, environment, await bench.built("1.0.0"), new)
    await bench.engine.remove(before)
    assert back.digest is None
    made = await put_back(bench, environment, back)
    assert made.container_id not in {None, before}
    assert (made.kept, made.version) == (False, "1.0.0")
    await assert_back(bench, environment, str(made.container_id))
    bench.forget_requests()
    assert (await put_back(bench, environment, back)).container_id == made.container_id
    assert len(bench.requests()) == 1


@pytest.mark.parametrize("has_digest", [True, False], ids=["pulled", "built on the host"])
async def test_what_somebody_has_put_right_meanwhile_is_done(
    bench: Bench, old: Image, new: Image, *, has_digest: bool
) -> None:
    environment, engine = bench.environment(), bench.engine
    ran = old if has_digest else await bench.built("1.0.0")
    before, back = await released(bench, environment, ran, new)
    failed = (await shape(bench, environment))["shop"][0]
    await engine.remove(before)
    with pytest.raises(Killed):
        await put_back(bench, environment, back, engine=Interrupted(engine, "stop"))
    assert (await shape(bench, environment))["shop-new-20"][1] == "created"
    # Whoever looks at the host runs the recorded image by hand, without any label, and the next attempt finds it.
    await engine.stop(failed, environment.stop_timeout)
    right = await bench.legacy(environment, ran)
    started = (await engine.inspect(right)).started_at
    made = await put_back(bench, environment, back)
    assert (made.container_id, made.kept) == (right, True)
    await assert_back(bench, environment, right)
    assert (await engine.inspect(right)).started_at == started


class Pruned:
    """An engine on which somebody prunes: containers that never ran are gone as soon as they are there."""

    def __init__(self, engine: Engine, times: int) -> None:
        self._engine = engine
        self._times = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    async def create(self, wanted: ContainerToCreate) -> str:
        made = await self._engine.create(wanted)
        if "-new-" in wanted.name and self._times:
            self._times -= 1
            await self._engine.remove(made)
        return made


async def test_as_long_as_there_is_nothing_to_start_nothing_is_stopped(bench: Bench, old: Image, new: Image) -> None:
    environment = bench.environment()
    before, back = await released(bench, environment, old, new)
    serving = (await shape(bench, environment))["shop"]
    await bench.engine.remove(before)
    with pytest.raises(Unreachable, match="changed by somebody else meanwhile"):
        await put_back(bench, environment, back, engine=Pruned(bench.engine, 9))
    assert (await shape(bench, environment))["shop"] == serving
    made = await put_back(bench, environment, back, engine=Pruned(bench.engine, 1))
    await assert_back(bench, environment, str(made.container_id))


async def test_a_recorded_container_with_another_image_is_not_taken_for_it(
    bench: Bench, old: Image, new: Image
) -> None:
    environment = bench.environment()
    before, back = await released(bench, environment, old, new)
    other = back.model_copy(update={"image_id": "sha256:" + "1" * 64})
    made = await put_back(bench, environment, other)
    assert made.container_id != before
    assert (await answered(environment))["version"] == "v1.0.0"
