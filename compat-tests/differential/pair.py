"""Two servers side by side: every step is played on both and compared before the next one."""

from harness import rawzk, servers

from . import compare, play
from .steps import Open, Request, Resume, Send


class Pair:
    """Java as the reference and a server under test, both started fresh with the same
    configuration.
    """

    def __init__(self, kinds, cfg=None, props=None):
        self.servers = []
        try:
            for kind in kinds:
                self.servers.append(servers.start(kind, cfg=cfg, props=props))
        except BaseException:
            self.close()
            raise
        self.names = ("java", kinds[1] if kinds[1] != "java" else "java again")
        self.fillers = [play.Filler(server) for server in self.servers]

    def close(self):
        for server in self.servers:
            server.cleanup()

    def level(self):
        """Same last zxid on both, whatever happened before; returns that zxid."""
        play.level(*self.fillers)
        return self.fillers[0].last_zxid()

    def run(self, script):
        """Plays a script (an object with `next(played)`); returns the first difference and the
        steps played.
        """
        run = Run(self)
        played = []
        try:
            step = script.next(None)
            while step is not None:
                played.append(step)
                difference, seen = run.step(step)
                if difference:
                    return difference, played
                step = script.next(seen)
            for step in run.goodbyes():
                played.append(step)
                difference, _ = run.step(step)
                if difference:
                    return difference, played
            return None, played
        finally:
            run.close()


class Run:
    """One script being played on a pair."""

    def __init__(self, pair):
        self.pair = pair
        start = pair.level()
        self.sides = [play.Side(server) for server in pair.servers]
        self.eyes = [compare.Eye(side) for side in self.sides]
        for side in self.sides:
            side.start_zxid = side.last_zxid = start
        self.open = set()

    def step(self, step):
        """(difference or None, the reference's entries per session)."""
        for side in self.sides:
            side.begin(step)
        records = [side.finish(step) for side in self.sides]
        seen = [eye.entries(step, record) for eye, record in zip(self.eyes, records)]
        self._track(step)
        difference = compare.first_difference(step, *seen, self.pair.names)
        if not difference and isinstance(step, Send) and step.deliberate:
            self.pair.level()
        return difference, seen[0]

    def goodbyes(self):
        """Steps that end every session of the script, so that none expires during a later one."""
        for session in sorted(self.open):
            if session not in self.sides[0].links:
                yield Resume(session, timeout=600000)
            yield Send(session, [Request(rawzk.CLOSE_SESSION, xid=999999, closes=True)])

    def _track(self, step):
        if isinstance(step, Open) and step.session in self.sides[0].links:
            self.open.add(step.session)

    def close(self):
        """Ends the sessions left behind, on each server by itself.

        None may expire during a later script.
        """
        for side in self.sides:
            side.close()
            for ident in side.living:
                _end_session(side, ident)


def _end_session(side, ident):
    try:
        client = rawzk.Client(
            side.host, side.port, session=ident, password=rawzk.password_of(ident), wait=5.0
        )
        if client.session:
            client.close_session()
        client.close()
    except (OSError, rawzk.Closed, rawzk.Error, rawzk.Undecodable):
        pass


class Fixed:
    """A script whose steps are known beforehand."""

    def __init__(self, steps):
        self._steps = iter(steps)

    def next(self, _seen):
        return next(self._steps, None)
