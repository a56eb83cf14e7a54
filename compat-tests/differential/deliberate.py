"""Where this server differs from Java 3.9.5 on purpose, as data: the only list of such differences.

Each entry says how the comparison treats it:
  never sent   Java cannot be sent it (it crashes, or the reply depends on a race);
               `test_deliberate.py` sends it to this server alone and checks what is expected there
  masked       generated in comparisons; the step is marked, reply zxids of that step are not
               compared, and both servers are brought to the same zxid afterwards
  ordered      generated only where Java's order is certain (the request travels alone)
  equal        the difference cannot be seen by a client of one standalone server in sequence
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Deliberate:
    """One difference on purpose."""

    id: str
    what: str
    why: str
    treatment: str


DELIBERATE = [
    Deliberate(
        "undecodable-write",
        "a write whose body cannot be decoded is answered -5 and logs nothing; Java logs an "
        "error transaction with the last zxid again, and a multi refused by its decoder consumes "
        "a zxid",
        "the repeated zxid wedges Java ensembles; nothing was asked that could be ordered",
        "masked",
    ),
    Deliberate(
        "ttl-flags",
        "createTTL with flags 0 to 4 is answered -8 whatever the ttl",
        "with a negative ttl Java logs it, then its process exits while applying it",
        "never sent",
    ),
    Deliberate(
        "quota-znode-crash",
        "creating /zookeeper/quota/zookeeper_limits, or storing unparsable text or null in an "
        "active zookeeper_stats, does not end the server",
        "Java's process exits",
        "never sent",
    ),
    Deliberate(
        "delete-container",
        "opcode 20 from a client is an unknown opcode (-6, then close)",
        "in Java it deletes any childless znode without looking at ACL or session",
        "never sent",
    ),
    Deliberate(
        "create-session",
        "opcode -10 from a client is an unknown opcode (-6, then close)",
        "Java creates the session again and sends a second ConnectResponse",
        "never sent",
    ),
    Deliberate(
        "wrong-password-resume",
        "a resume with a wrong password is refused without touching the rightful client's "
        "connection",
        "Java disconnects the rightful client before it looks at the password",
        "never sent",
    ),
    Deliberate(
        "pending-child-count",
        "closeSession lowers its parents' pending child counts, so a delete of the parent "
        "pipelined right "
        "behind it by another session works",
        "Java answers -111 until the close is applied",
        "equal",
    ),
    Deliberate(
        "mode-opcode-mismatch",
        "a create mode that does not belong to its opcode (4 under create or create2 outside "
        "a multi, other "
        "than 4 under createContainer) is answered -8",
        "Java stores what the opcode says while its digest predicts what the flags say",
        "never sent",
    ),
    Deliberate(
        "pending-acl",
        "a write pipelined right behind a setACL is judged by the new ACL",
        "Java judges it by the old one until the setACL is applied: a race somebody may win",
        "ordered",
    ),
    Deliberate(
        "data-version-skips-minus-one",
        "a data version that would become -1 becomes 0",
        "-1 means any version in a request: Java's counter wraps through it and defeats "
        "compare-and-set",
        "equal",
    ),
    Deliberate(
        "non-bmp-text-stays",
        "a character beyond U+FFFF in an ACL id survives a multi and a restart",
        "Java writes it as two surrogates and reads those back as two U+FFFD: the id is lost",
        "never sent",
    ),
    Deliberate(
        "immediate-errors-in-order",
        "-6 for an unknown opcode and -124 are answered in request order",
        "in Java they overtake earlier replies, and the close drops those",
        "ordered",
    ),
]

BY_ID = {entry.id: entry for entry in DELIBERATE}
