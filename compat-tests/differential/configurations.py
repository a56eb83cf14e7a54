"""The configurations the random scripts run under."""

from dataclasses import dataclass, field

from .generate import Crowd
from .odd import SUPER_DIGEST

# Nothing may happen by itself while a script runs: no clean-up of containers, no expiry, no early
# snapshot.
_CALM_CFG = {"maxSessionTimeout": 600000, "forceSync": "no", "tickTime": 2000}
_CALM_PROPS = {"znode.container.checkIntervalMs": 36000000}


@dataclass
class Configuration:
    """What both servers of a pair are started with."""

    cfg: dict = field(default_factory=dict)
    props: dict = field(default_factory=dict)

    def __post_init__(self):
        self.cfg = _CALM_CFG | self.cfg
        self.props = _CALM_PROPS | self.props

    @property
    def extended_types(self):
        return self.props.get("zookeeper.extendedTypesEnabled") == "true"

    def script(self, seed, steps):
        """The random script of a seed that suits this configuration."""
        return Crowd(seed, steps, self.extended_types, self.cfg.get("enforceQuota") == "true")


_SUPER = {"zookeeper.DigestAuthenticationProvider.superDigest": SUPER_DIGEST}

ALL = {
    "defaults": Configuration(),
    "extended": Configuration(props={"zookeeper.extendedTypesEnabled": "true", **_SUPER}),
    "quota": Configuration(cfg={"enforceQuota": "true"}, props=_SUPER),
    "reconfig": Configuration(
        cfg={"reconfigEnabled": "true"},
        props={
            "jute.maxbuffer": 8000,
            "zookeeper.jute.maxbuffer.extrasize": 2000,
            **_SUPER,
            "zookeeper.digest.enabled": "false",
            "zookeeper.closeSessionTxn.enabled": "false",
        },
    ),
    "skip-acl": Configuration(props={"zookeeper.skipACL": "yes", **_SUPER}),
}
