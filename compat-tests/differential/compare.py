"""Judges whether two servers said the same: frames are decoded, what may differ is mapped, the
rest is equal.

May differ: session ids (mapped one to one), passwords (checked against the id instead), times
(checked to be one time per zxid), and the order where the protocol leaves it open. Zxids must be
equal.
"""

from dataclasses import dataclass

from harness import rawzk

from .steps import Send, describe

_SORTED = {"children", "ephemerals"}


@dataclass
class Difference:
    """The first place where two servers disagreed."""

    step: object
    session: str
    index: int
    first: object
    second: object
    names: tuple

    def signature(self):
        """What is wrong, without the particulars: equal for the same fault met again."""
        request = getattr(self.first, "request", None) or getattr(self.second, "request", None)
        op = request.op if request else type(self.step).__name__
        return (op, _kind(self.first), _kind(self.second))

    def text(self):
        lines = [f"step: {describe(self.step)}", f"  session {self.session}, frame {self.index}:"]
        for name, entry in zip(self.names, (self.first, self.second)):
            lines.append(f"    {name}: {entry.text() if entry else 'nothing more'}")
        return "\n".join(lines)


def _kind(entry):
    if entry is None:
        return None
    header = entry.value.get("header") if isinstance(entry.value, dict) else None
    return (entry.what, header["err"] if header else None)


@dataclass
class Entry:
    """One frame as compared."""

    what: str
    value: object
    payload: bytes
    request: object = None

    def text(self):
        raw = self.payload.hex()
        shown = raw if len(raw) <= 1200 else raw[:1200] + "..."
        asked = f"  (answer to {self.request.describe().splitlines()[0]})" if self.request else ""
        return f"{self.what} {self.value}{asked}\n        hex {shown}"


class Eye:
    """Makes frames of one server comparable."""

    def __init__(self, side):
        self.side = side
        self.times = {}

    def entries(self, step, record):
        """Per session the comparable frames of a step."""
        return {session: self._session(step, session, frames) for session, frames in record.items()}

    def _session(self, step, session, frames):
        entries = [self._entry(*frame) for frame in frames]
        masked = isinstance(step, Send) and step.deliberate
        for entry in entries:
            if masked and entry.what in ("reply", "barrier"):
                entry.value["header"]["zxid"] = "masked"
        if isinstance(step, Send):
            if any(r.op == rawzk.CLOSE_SESSION for r in step.requests):
                entries = _sort_equal_zxids(entries)
            entries = _immediate_last(entries)
        return entries

    def _entry(self, what, payload, request):
        if what in (
            "closed",
            "no answer",
            "old connection closed",
            "old connection stays open",
            "stays open",
        ):
            return Entry(what, {}, payload)
        try:
            value = self._decode(what, payload, request)
        except rawzk.Undecodable as err:
            value = {"undecodable": str(err), "raw": payload.hex()}
        return Entry(what, value, payload, request)

    def _decode(self, what, payload, request):
        if what == "connected":
            return self._connected(payload)
        if what == "barrier":
            header, _ = rawzk.decode("ReplyHeader", payload)
            return {"header": header}
        op = request.op if request else None
        header, body, rest = rawzk.decode_reply(op, payload)
        return {"header": header, "body": self._walk(body), "rest": rest.hex()}

    def _connected(self, payload):
        if len(payload) < 36:
            return {"raw": payload.hex()}
        value, end = rawzk.decode("ConnectResponse", payload)
        ident = value["sessionId"]
        if ident:
            right = rawzk.password_of(ident)
            value["passwd"] = "right" if value["passwd"] == right else value["passwd"]
            value["server"] = ident >> 56
        value["sessionId"] = self._session_name(ident)
        value["rest"] = payload[end:].hex()
        return value

    def _session_name(self, ident):
        for name, known in self.side.ids.items():
            if known == ident:
                return name
        return f"session {ident:#x}" if ident else 0

    def _walk(self, value):
        if isinstance(value, list):
            return [self._walk(item) for item in value]
        if not isinstance(value, dict):
            return value
        if "czxid" in value:
            return self._stat(value)
        return {
            key: (
                sorted(item, key=lambda text: text or b"")
                if key in _SORTED and item is not None
                else self._walk(item)
            )
            for key, item in value.items()
        }

    def _stat(self, stat):
        out = dict(stat)
        out["ctime"] = self._time(stat["czxid"], stat["ctime"])
        out["mtime"] = self._time(stat["mzxid"], stat["mtime"])
        if stat["ephemeralOwner"]:
            out["ephemeralOwner"] = self._session_name(stat["ephemeralOwner"])
        return out

    def _time(self, zxid, time):
        known = self.times.setdefault(zxid, time)
        if known != time:
            return f"{time}, but the same zxid had {known}"
        return "some" if time else 0


def _immediate_last(entries):
    """Answers to auth and SASL come at once, ahead of earlier requests or not.

    Compared after the rest.
    """

    def immediate(entry):
        return entry.request is not None and entry.request.op in (rawzk.AUTH, rawzk.SASL)

    replies = [e for e in entries if immediate(e)]
    if len(replies) == len(entries):
        return entries
    return [e for e in entries if not immediate(e)] + replies


def _sort_equal_zxids(entries):
    """Events of one transaction that ends a session come in no particular order of znodes."""
    out, run = [], []
    for entry in [*entries, None]:
        if (
            entry
            and entry.what == "event"
            and (not run or run[0].value["header"]["zxid"] == entry.value["header"]["zxid"])
        ):
            run.append(entry)
            continue
        out += sorted(run, key=lambda e: repr(e.value))
        run = []
        if entry and entry.what == "event":
            run = [entry]
        elif entry:
            out.append(entry)
    return out


def first_difference(step, first, second, names):
    """The first disagreement between two sides' entries of a step, or None."""
    for session in sorted(set(first) | set(second)):
        ours, theirs = first.get(session, []), second.get(session, [])
        for index in range(max(len(ours), len(theirs))):
            a = ours[index] if index < len(ours) else None
            b = theirs[index] if index < len(theirs) else None
            if a is None or b is None or (a.what, a.value) != (b.what, b.value):
                return Difference(step, session, index, a, b, names)
    return None
