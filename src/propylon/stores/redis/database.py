"""What is asked of the servers: values found together, scripts, and proof that a replica has it too."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from importlib import resources
from typing import Any, Final, NamedTuple, TypeVar

from redis.asyncio.cluster import PipelineCommand
from redis.asyncio.sentinel import MasterNotFoundError
from redis.exceptions import AskError, AuthenticationError, MovedError, NoScriptError, RedisClusterException, RedisError
from redis.exceptions import ConnectionError as NoConnectionError
from redis.exceptions import TimeoutError as NoAnswerError

from propylon.errors import SetupError, StoreUnavailable
from propylon.stores.coalescing import Coalescer
from propylon.stores.redis.layout import BEAT, EVERYTHING, shard_of
from propylon.stores.redis.place import MAX_UNDER_WAY, Client, Place, connect

T = TypeVar("T")

Send = Callable[..., Awaitable[Any]]

# A command is given up after this time, whatever the servers do; who has to wait for the one before, after two. The
# driver gives up a connection a little earlier, and then looks for the master anew.
CALL_TIMEOUT_S = 1.0

# A replica that has not received a write by then is not going to before the caller gives up.
CONFIRM_WITHIN_MS = 600

# So often a verb decides anew because somebody else was first. Each time at least one of them wins, so this many in
# a row take more callers than a server has room for.
MAX_TRIES = 200
LONGEST_PAUSE_S = 0.02

SCAN_AT_ONCE = 500

OUT_OF_TIME = TimeoutError | NoAnswerError

# The driver of a cluster closes all connections when one fails, and takes those on which something is under way for
# open: that is an AttributeError of its own.
DRIVER_FAILS = (RedisError, RedisClusterException, OSError, TimeoutError, AttributeError)


class Script(NamedTuple):
    """A program that runs inside the server, as one step."""

    text: bytes
    digest: str


def _script(name: str, *libraries: str) -> Script:
    here = resources.files(__package__)
    text = b"\n".join(here.joinpath(f"{part}.lua").read_bytes() for part in (*libraries, name))
    return Script(text, hashlib.sha1(text, usedforsecurity=False).hexdigest())


SWAP: Final = _script("swap", "feed")
HEAR: Final = _script("hear", "feed")
LOOK: Final = _script("look")
DROP: Final = _script("drop")
FAIL: Final = _script("fail")


class Overtaken(Exception):
    """A value is not what was decided by any more: look again and decide anew."""


class Database:
    """The servers. One object serves one event loop."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._client: Client | None = None
        self._found = Coalescer(self.values)
        self._turns = asyncio.Semaphore(MAX_UNDER_WAY)

    async def open(self) -> None:
        """Connect, and prove that the servers can be written to."""
        self._client = connect(self._place)
        try:
            await self.ping()
        except StoreUnavailable as error:
            await self.close()
            raise _why_not(self._place, error) from None

    async def close(self) -> None:
        """Let go of all connections."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def ping(self) -> None:
        """Prove that the store can be written to."""
        beat = ("SET", BEAT[0], b"1")
        await (self._confirmed(0, beat) if self._place.replicas else self.command(*beat))

    async def find(self, key: bytes) -> bytes | None:
        """Return a value; all that are asked for in one turn of the loop are one question."""
        return await self._found.find(key)

    async def command(self, *words: Any) -> Any:
        """Send one command."""
        async with self._at_server() as commands:
            return await commands.execute_command(*words)

    async def run(self, script: Script, keys: Sequence[bytes], *values: Any) -> Any:
        """Run a script, which the server is given where it does not know it (any more)."""
        return await self._run(self.command, script, keys, values)

    async def run_safely(self, shard: int, script: Script, keys: Sequence[bytes], *values: Any) -> Any:
        """Run a script; return once what it has done, and all before it in its shard, cannot be lost with a master."""
        if not self._place.replicas:
            return await self.run(script, keys, *values)
        return await self._run(lambda *words: self._confirmed(shard, words), script, keys, values)

    async def _run(self, send: Send, script: Script, keys: Sequence[bytes], values: Sequence[Any]) -> Any:
        try:
            return await send("EVALSHA", script.digest, len(keys), *keys, *values)
        except StoreUnavailable as error:
            if not isinstance(error.__cause__, NoScriptError):
                raise
        return await send("EVAL", script.text, len(keys), *keys, *values)

    async def wait_for(self, feed: bytes, after: str, wait_ms: int) -> Sequence[tuple[bytes, Mapping[bytes, bytes]]]:
        """Return what comes after an entry of a feed, waiting for it. It has a connection for itself meanwhile."""
        async with self._at_server(turn=False) as commands:
            answer = await commands.execute_command("XREAD", "BLOCK", wait_ms, "STREAMS", feed, after)
        return answer[0][1] if answer else ()

    async def each_key(self, cursors: dict[str, int]) -> AsyncIterator[list[bytes]]:
        """Return all keys, some hundred at once, from where ``cursors`` say (of each master, none at its end) on."""
        for name, master in await self._masters():
            while (cursor := cursors.get(name, 0)) >= 0:
                async with self._at_server():
                    words = ("SCAN", cursor, "MATCH", EVERYTHING, "COUNT", SCAN_AT_ONCE)
                    next_cursor, keys = await master.execute_command(*words)
                cursors[name] = int(next_cursor) or -1
                yield list(keys)

    async def values(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the values of many keys."""
        if not keys:
            return {}
        if self._place.kind != "cluster":
            return _pairs(keys, await self.command("MGET", *keys))
        shards: dict[int, list[bytes]] = defaultdict(list)  # all of one MGET must lie in one slot
        for key in keys:
            shards[shard_of(key)].append(key)
        found = await asyncio.gather(
            *(self._at_node(node, some) for node, some in (await self._by_node(shards)).items())
        )
        return {key: value for some in found for key, value in some.items()}

    async def _confirmed(self, shard: int, words: Sequence[Any]) -> Any:
        """Send one command and return its answer once as many replicas as it takes have everything up to it.

        An acknowledged write then survives the loss of its master; and a master that was cut off, while another took
        over, acknowledges nothing. All goes over one connection: asked over another, a new master would confirm what
        the old one took to its grave.
        """
        # Something must be written: what replicas have said before is no sign that they are still there.
        beat = ("SET", BEAT[shard], b"1")
        wait = ("WAIT", self._place.replicas, CONFIRM_WITHIN_MS)
        async with self._at_server() as commands:
            if self._place.kind == "cluster":
                answer, *proof = await self._at_master_of(commands, shard, (words, beat, wait))
                if isinstance(answer, MovedError | AskError):  # it was not done: the client follows
                    answer = await commands.execute_command(*words)
                    proof = await self._at_master_of(commands, shard, (beat, wait))
            else:
                answer, *proof = await _together(commands, (words, beat, wait))
        for told in (answer, *proof):
            if isinstance(told, Exception):
                raise StoreUnavailable from told
        if proof[-1] < self._place.replicas:
            raise StoreUnavailable("store_unavailable", replicas=proof[-1])
        return answer

    async def _at_master_of(self, commands: Any, shard: int, several: Sequence[Sequence[Any]]) -> list[Any]:
        """Send commands to a shard's master, as far as is known which one that is."""
        await commands.initialize()
        sent = [PipelineCommand(number, *words) for number, words in enumerate(several)]
        await commands.get_node_from_key(BEAT[shard]).execute_pipeline(sent)
        return [command.result for command in sent]

    async def _by_node(self, shards: Mapping[int, list[bytes]]) -> dict[Any, list[list[bytes]]]:
        """Return the questions for each master, as far as is known who has what."""
        nodes: dict[Any, list[list[bytes]]] = defaultdict(list)
        async with self._at_server() as commands:
            await commands.initialize()
            for shard, keys in shards.items():
                nodes[commands.get_node_from_key(BEAT[shard])].append(keys)
        return nodes

    async def _at_node(self, node: Any, questions: Sequence[list[bytes]]) -> dict[bytes, bytes]:
        """Ask one master in one go; what has moved meanwhile is asked for where it is now."""
        asked = [PipelineCommand(number, "MGET", *keys) for number, keys in enumerate(questions)]
        try:
            async with self._at_server():
                await node.execute_pipeline(asked)
        except StoreUnavailable as error:
            if isinstance(error.__cause__, OUT_OF_TIME):
                raise
        found: dict[bytes, bytes] = {}
        for keys, command in zip(questions, asked, strict=True):
            answer = command.result if isinstance(command.result, list) else await self.command("MGET", *keys)
            found |= _pairs(keys, answer)
        return found

    async def _masters(self) -> list[tuple[str, Any]]:
        async with self._at_server() as commands:
            if self._place.kind != "cluster":
                return [("", commands)]
            await commands.initialize()
            return [(node.name, node) for node in commands.get_primaries()]

    @asynccontextmanager
    async def _at_server(self, *, turn: bool = True) -> AsyncIterator[Any]:
        """Wait for a turn, bound the time, and say ``StoreUnavailable`` for whatever goes wrong."""
        if self._client is None:
            raise StoreUnavailable
        commands, task = self._client.commands, asyncio.current_task()
        given_up = task.cancelling() if task is not None else 0
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S), self._turns if turn else nullcontext():
                yield commands
        except DRIVER_FAILS as error:
            raise StoreUnavailable from error
        # The driver sends with asyncio.wait_for, which before Python 3.12 may lose the cancellation of its caller.
        if task is not None and task.cancelling() > given_up:
            raise asyncio.CancelledError


async def _together(commands: Any, several: Sequence[Sequence[Any]]) -> list[Any]:
    pipeline = commands.pipeline(transaction=False)
    for words in several:
        pipeline.execute_command(*words)
    answers: list[Any] = await pipeline.execute(raise_on_error=False)
    return answers


def _pairs(keys: Sequence[bytes], values: Sequence[bytes | None]) -> dict[bytes, bytes]:
    return {key: value for key, value in zip(keys, values, strict=True) if value is not None}


async def decided(step: Callable[[], Awaitable[T]]) -> T:
    """Return what ``step`` decides, again from the look on whenever somebody else was first."""
    for pause_s in _pauses():
        try:
            return await step()
        except Overtaken:
            await asyncio.sleep(pause_s)
    raise StoreUnavailable


def _pauses() -> Iterator[float]:
    for tries in range(MAX_TRIES):
        yield random.uniform(0, min(LONGEST_PAUSE_S, 0.0005 * 2 ** min(tries, 10)))  # noqa: S311 - no secret


def _why_not(place: Place, error: StoreUnavailable) -> SetupError:
    """Say in one sentence why a store does not open. What the driver says is not repeated: it may hold anything."""
    cause, words = error.__cause__, str(error.__cause__)
    key = "redis_unusable"
    if isinstance(cause, AuthenticationError) or "username-password" in words or "uthentication required" in words:
        key = "redis_login"
    elif "replicas" in error.facts or "NOREPLICAS" in words:
        key = "redis_replicas"
    elif isinstance(cause, MasterNotFoundError):
        key = "redis_no_master"
    elif isinstance(cause, NoConnectionError | RedisClusterException | OSError | OUT_OF_TIME):
        key = "redis_silent"
    return SetupError(
        key, place=str(place), replicas=place.replicas, service=repr(place.service), kind=type(cause).__name__
    )
