"""What one session's requests do to the znodes that only this session writes.

Nobody else writes below a writer's own folder, and a session's requests are carried out in the order
sent, so what each one does is known beforehand. After a crash the server must hold what was
acknowledged and then some prefix, possibly empty, of what was not.
"""

from dataclasses import dataclass, field

from . import wire

SEQUENCE_FOLDER = "/crash-sequence"


@dataclass(frozen=True)
class Znode:
    """Zxids are None where no reply told them."""

    data: bytes
    version: int = 0
    owner: int = 0
    czxid: int | None = None
    mzxid: int | None = None

    def agrees(self, seen):
        """Whether `seen`, read from the server, is this znode as far as known."""
        return (
            (self.data, self.version, self.owner) == (seen.data, seen.version, seen.owner)
            and self.czxid in (None, seen.czxid)
            and self.mzxid in (None, seen.mzxid)
        )


@dataclass
class State:
    """A writer's znodes by path, its sequential ones by tag (name, or None if no reply told it)."""

    znodes: dict = field(default_factory=dict)
    sequence: dict = field(default_factory=dict)
    session_open: bool = True

    def copy(self):
        return State(dict(self.znodes), dict(self.sequence), self.session_open)

    def difference(self, seen):
        """None if `seen`, read from the server, is this state, else what differs."""
        if self.session_open != seen.session_open:
            return f"session open: expected {self.session_open}, is {seen.session_open}"
        for path in self.znodes.keys() | seen.znodes.keys():
            expected, actual = self.znodes.get(path), seen.znodes.get(path)
            if expected is None or actual is None or not expected.agrees(actual):
                return f"{path}: expected {expected}, is {actual}"
        for tag in self.sequence.keys() | seen.sequence.keys():
            if tag not in self.sequence or tag not in seen.sequence:
                return f"sequential {tag}: expected {tag in self.sequence}, is not so"
            (name, owner), (actual_name, actual_owner) = self.sequence[tag], seen.sequence[tag]
            if owner != actual_owner or name not in (None, actual_name):
                return (f"sequential {tag}: expected {name}, {owner:x}, "
                        f"is {actual_name}, {actual_owner:x}")
        return None


@dataclass(frozen=True)
class Create:
    path: str
    data: bytes
    owner: int = 0
    op = wire.CREATE

    def body(self):
        flags = wire.EPHEMERAL if self.owner else wire.PERSISTENT
        return wire.create_body(self.path, self.data, flags)

    def apply(self, state, zxid=None):
        if self.path in state.znodes:
            return wire.NODE_EXISTS
        state.znodes[self.path] = Znode(self.data, 0, self.owner, zxid, zxid)
        return wire.OK


@dataclass(frozen=True)
class Versioned:
    """What delete, check and setData have in common."""

    path: str
    version: int

    def judge(self, state):
        znode = state.znodes.get(self.path)
        if znode is None:
            return wire.NO_NODE
        return wire.OK if self.version in (-1, znode.version) else wire.BAD_VERSION


@dataclass(frozen=True)
class Delete(Versioned):
    op = wire.DELETE

    def body(self):
        return wire.versioned_body(self.path, self.version)

    def apply(self, state, zxid=None):
        code = self.judge(state)
        if code == wire.OK:
            del state.znodes[self.path]
        return code


@dataclass(frozen=True)
class Check(Versioned):
    op = wire.CHECK

    def body(self):
        return wire.versioned_body(self.path, self.version)

    def apply(self, state, zxid=None):
        return self.judge(state)


@dataclass(frozen=True)
class SetData(Versioned):
    data: bytes = b""
    op = wire.SET_DATA

    def body(self):
        return wire.set_data_body(self.path, self.data, self.version)

    def apply(self, state, zxid=None):
        code = self.judge(state)
        if code == wire.OK:
            old = state.znodes[self.path]
            state.znodes[self.path] = Znode(self.data, old.version + 1, old.owner, old.czxid, zxid)
        return code


@dataclass(frozen=True)
class Multi:
    parts: tuple
    op = wire.MULTI

    def body(self):
        return wire.multi_body([(part.op, part.body()) for part in self.parts])

    def codes(self, state, zxid=None):
        """The code of each part; `state` changes only if all are OK."""
        draft = state.copy()
        for place, part in enumerate(self.parts):
            code = part.apply(draft, zxid)
            if code != wire.OK:
                after = len(self.parts) - place - 1
                return [wire.OK] * place + [code] + [wire.INCONSISTENT] * after
        state.znodes, state.sequence = draft.znodes, draft.sequence
        return [wire.OK] * len(self.parts)

    def apply(self, state, zxid=None):
        self.codes(state, zxid)
        return wire.OK


@dataclass(frozen=True)
class CreateSequential:
    """Under the folder all writers share; the tag is its data and says whose it is."""

    tag: str
    owner: int = 0
    op = wire.CREATE

    def body(self):
        flags = wire.EPHEMERAL_SEQUENTIAL if self.owner else wire.SEQUENTIAL
        return wire.create_body(f"{SEQUENCE_FOLDER}/n-", self.tag.encode(), flags)

    def apply(self, state, zxid=None, name=None):
        state.sequence[self.tag] = (name, self.owner)
        return wire.OK


@dataclass(frozen=True)
class DeleteSequential:
    tag: str
    name: str
    op = wire.DELETE

    def body(self):
        return wire.versioned_body(f"{SEQUENCE_FOLDER}/{self.name}", -1)

    def apply(self, state, zxid=None):
        if state.sequence.pop(self.tag, None) is None:
            return wire.NO_NODE
        return wire.OK


@dataclass(frozen=True)
class Get:
    path: str
    op = wire.GET_DATA

    def body(self):
        return wire.read_body(self.path)

    def apply(self, state, zxid=None):
        return wire.OK if self.path in state.znodes else wire.NO_NODE


@dataclass(frozen=True)
class Close:
    session: int
    op = wire.CLOSE

    def body(self):
        return b""

    def apply(self, state, zxid=None):
        gone = [path for path, znode in state.znodes.items() if znode.owner == self.session]
        for path in gone:
            del state.znodes[path]
        for tag in [tag for tag, (_, owner) in state.sequence.items() if owner == self.session]:
            del state.sequence[tag]
        state.session_open = False
        return wire.OK


def prefix_that_explains(acknowledged, unanswered, seen):
    """How many of the unanswered requests were carried out, or what speaks against each number."""
    state = acknowledged.copy()
    against = []
    for count in range(len(unanswered) + 1):
        difference = state.difference(seen)
        if difference is None:
            return count, None
        against.append(f"  with {count} of {len(unanswered)} unanswered: {difference}")
        if count < len(unanswered):
            unanswered[count].apply(state)
    return None, "\n".join(against)


def random_request(rng, folder, ahead, acknowledged, session, fresh):
    """The next request of a writer. `ahead` is its state once all before it are carried out."""
    path = f"{folder}/{'e' if rng.random() < 0.3 else 'k'}{rng.randrange(12)}"
    owner = session if path.rpartition("/")[2].startswith("e") else 0
    value = fresh.encode() * rng.choice((1, 1, 1, 40))
    known = ahead.znodes.get(path)
    version = rng.choice((-1, known.version if known else 0, known.version if known else 0, 77))
    kind = rng.random()
    if kind < 0.25:
        return Create(path, value, owner)
    if kind < 0.55:
        return SetData(path, version, value)
    if kind < 0.65:
        return Delete(path, version)
    if kind < 0.75:
        return CreateSequential(fresh, rng.choice((0, 0, session)))
    if kind < 0.84:
        named = [(tag, name) for tag, (name, _) in acknowledged.sequence.items()
                 if name and tag in ahead.sequence]
        if len(named) > 30 or (named and rng.random() < 0.3):
            return DeleteSequential(*rng.choice(named))
        return CreateSequential(fresh)
    if kind < 0.92:
        return Multi(_parts(rng, folder, ahead, value))
    return Get(path)


def _parts(rng, folder, ahead, value):
    """Parts of a multi, most of which succeed."""
    draft = ahead.copy()
    parts = []
    for _ in range(rng.randint(1, 4)):
        path = f"{folder}/k{rng.randrange(12)}"
        known = draft.znodes.get(path)
        if known is None:
            part = Create(path, value)
        else:
            part = rng.choice((SetData(path, known.version, value), Delete(path, -1),
                               Check(path, known.version)))
        if rng.random() < 0.08:
            part = Check(path, 77)
        part.apply(draft)
        parts.append(part)
    return tuple(parts)
