"""A Redis Cluster: each key has one of 16384 slots, and each slot a master.

Everything of one script has one hash tag, hence one slot: a call goes to one node, and several
calls together go to each node in one piece.  Who serves which slot is asked once, and again when a
node was lost or said that it does not serve; a slot that has moved is followed at once.  All that
follows <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence
from typing import Final, cast

from redis.asyncio.connection import AbstractConnection
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ConnectionError,  # noqa: A004 - the driver's
    MovedError,
    RedisError,
    ResponseError,
)

from urlmon_adapters.redis._commands import Command, Fate, Reply
from urlmon_adapters.redis._errors import NO_CLUSTER, code_of, is_lost
from urlmon_adapters.redis._nodes import (
    Address,
    Kind,
    Node,
    Options,
    Topology,
    address,
    pause,
    retire,
)
from urlmon_adapters.redis._replies import items, number, text

# Answers of a node that did nothing: another one serves the keys, or this one soon.
_MOVES: Final = frozenset({"MOVED", "ASK"})
_WAITS: Final = frozenset({"TRYAGAIN", "CLUSTERDOWN", "LOADING", "MASTERDOWN"})
# A map that names each other's node as the owner would have us run in circles.
_MOST_MOVES: Final = 5
_LOOK_SECONDS: Final = 1.0


class Cluster(Topology):
    """The masters of a cluster."""

    kind = Kind.CLUSTER

    def __init__(self, seeds: Sequence[Options], *, largest: int) -> None:
        """Ask nobody yet.

        Args:
            seeds: How some of the nodes are reached; the others likewise, but for host and port.
            largest: Connections to each node at most, beside those of tasks that wait for a lock.
        """
        self._seeds = [address(each) for each in seeds]
        self._options = seeds[0]
        self._largest = largest
        self._nodes: dict[Address, Node] = {}
        self._owners: list[Node | None] = []
        # Whether the map may be wrong; and who gave no answer, and so is asked for it last.
        self._doubtful = True
        self._silent: set[Address] = set()
        self._looking = asyncio.Lock()

    async def exchange(self, commands: Sequence[Command], *, until: float | None) -> None:
        rest, moves, tries = list(commands), 0, 0
        asked: dict[Command, Node] = {}
        try:
            while True:
                await self._look()
                trouble = await self._round(rest, asked)
                rest = [each for each in rest if not _is_settled(each)]
                if not rest:
                    return
                asked = self._follow(rest)
                if trouble is None and moves < _MOST_MOVES and all(map(_has_moved, rest)):
                    moves += 1
                    continue
                trouble = trouble or cast("RedisError", rest[0].answer)
                if any(each.maybe_applied for each in rest) or not _may_pass(trouble):
                    raise trouble  # noqa: TRY301 - as if it had been raised down there
                self._doubtful = True
                moves, tries = 0, tries + 1
                await pause(tries, until=until, trouble=trouble)
        except BaseException:
            # A node that is frozen shows only in that the caller's time is over.
            self._doubtful = True
            raise

    async def connection(self, channel: str) -> AbstractConnection:
        # Any node would do; but the message need not travel from the one that serves the lock.
        await self._look()
        return self._owner(channel).connection()

    async def masters(self) -> Sequence[Node]:
        self._doubtful = True
        await self._look()
        return sorted({node for node in self._owners if node}, key=lambda node: node.name)

    async def aclose(self) -> None:
        for node in [*self._nodes.values()]:
            await node.aclose()

    async def _round(
        self, commands: Sequence[Command], asked: dict[Command, Node]
    ) -> RedisError | None:
        """Send each command to its node once; return why one was lost, or None."""
        try:
            groups = self._groups(commands, asked)
        except ClusterDownError as exc:
            return exc
        if len(groups) == 1:
            return await self._attempt(*groups[0])
        async with asyncio.TaskGroup() as tasks:
            attempts = [tasks.create_task(self._attempt(*group)) for group in groups]
        return next((trouble for each in attempts if (trouble := each.result())), None)

    async def _attempt(self, node: Node, commands: Sequence[Command]) -> RedisError | None:
        """Send commands to a node; return why it was lost, or None."""
        try:
            await node.exchange(commands)
        except RedisError as exc:
            self._silent.add(node.address)
            return exc
        except BaseException:
            self._silent.add(node.address)
            raise
        return None

    def _groups(
        self, commands: Iterable[Command], asked: dict[Command, Node]
    ) -> list[tuple[Node, list[Command]]]:
        """Return what goes to which node, in one piece."""
        groups: dict[Node, list[Command]] = {}
        alone = list[tuple[Node, list[Command]]]()
        anywhere = list[Command]()
        for command in commands:
            if command.key is None:
                anywhere.append(command)
            elif command in asked:
                alone.append((asked[command], [Command(("ASKING",)), command]))
            else:
                groups.setdefault(self._owner(command.key), []).append(command)
        if anywhere:
            node = next(iter(groups), None) or self._anyone()
            groups[node] = anywhere + groups.get(node, [])
        return [*groups.items(), *alone]

    def _owner(self, key: str) -> Node:
        """Return the node that serves a key."""
        node = self._owners[key_slot(key.encode())]
        if node is None:
            raise ClusterDownError("nobody serves it", status_code="CLUSTERDOWN")
        return node

    def _anyone(self) -> Node:
        """Return some master."""
        masters = {node for node in self._owners if node}
        if not masters:
            raise ClusterDownError("nobody serves anything", status_code="CLUSTERDOWN")
        return random.choice([*masters])  # noqa: S311 - spreads the load

    def _follow(self, commands: Iterable[Command]) -> dict[Command, Node]:
        """Note which slots have moved, and return which commands are asked of whom this once."""
        asked: dict[Command, Node] = {}
        for command in commands:
            answer = command.answer
            if command.key is None or not command.refused or not isinstance(answer, AskError):
                continue
            slot = key_slot(command.key.encode())
            sender = self._owners[slot]
            # A node that does not know its own name leaves it out.
            host = answer.host or (sender.address[0] if sender else self._seeds[0][0])
            node = self._node((host, answer.port))
            if isinstance(answer, MovedError):
                self._owners[slot] = node
            else:
                asked[command] = node
        return asked

    async def _look(self) -> None:
        """Learn who serves which slot, where that is not known."""
        if not self._doubtful:
            return
        async with self._looking:
            if not self._doubtful:  # another task was first
                return
            await self._take(*await self._ask())
            self._doubtful = False

    async def _ask(self) -> tuple[Reply, str]:
        """Return the map of the first node that tells it, and the node's host."""
        candidates = [*{*self._nodes, *self._seeds}]
        random.shuffle(candidates)
        trouble: RedisError = ConnectionError("no node answers")
        for each in sorted(candidates, key=self._silent.__contains__):
            command = Command(("CLUSTER", "SLOTS"))
            try:
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._node(each).exchange([command])
            except TimeoutError:
                self._silent.add(each)
                continue
            except RedisError as exc:
                self._silent.add(each)
                trouble = exc
                continue
            if not isinstance(command.answer, RedisError):
                self._silent.discard(each)
                return command.answer, each[0]
            trouble = command.answer
            if code_of(trouble) == "ERR":  # cluster support is disabled
                trouble = ResponseError("no cluster", status_code=NO_CLUSTER)
        raise trouble

    async def _take(self, slots: Reply, host: str) -> None:
        """Make the map of an answer to CLUSTER SLOTS, and leave the nodes that left."""
        owners: list[Node | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        members = set(self._seeds)
        for first, last, *nodes in map(items, items(slots)):
            # A node that does not know its own name leaves it out.
            places = [
                (text(where) if where else host, number(port))
                for where, port, *_ in map(items, nodes)
            ]
            members.update(places)
            length = number(last) + 1 - number(first)
            owners[number(first) : number(last) + 1] = [self._node(places[0])] * length
        self._owners = owners
        await retire(self._nodes, but=members)

    def _node(self, where: Address) -> Node:
        """Return a node, which need not be known yet."""
        if where not in self._nodes:
            host, port = where
            options = {**self._options, "host": host, "port": port}
            self._nodes[where] = Node(options, largest=self._largest)
        return self._nodes[where]


def _is_settled(command: Command) -> bool:
    """Say whether a command was answered by the node that serves it."""
    return command.fate is Fate.ANSWERED and not (
        isinstance(command.answer, RedisError) and code_of(command.answer) in _MOVES | _WAITS
    )


def _has_moved(command: Command) -> bool:
    """Say whether a command was sent on to another node."""
    return isinstance(command.answer, AskError)


def _may_pass(trouble: RedisError) -> bool:
    """Say whether the same may succeed soon."""
    return is_lost(trouble) or code_of(trouble) in _MOVES | _WAITS
